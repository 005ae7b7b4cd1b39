//! Fuzzy matching: finds items by some of their letters.

use std::{cmp::Reverse, sync::LazyLock};

use fuzzy_matcher::{FuzzyMatcher, skim::SkimMatcherV2};

static MATCHER: LazyLock<SkimMatcherV2> = LazyLock::new(SkimMatcherV2::default);

/// Returns how well `item` has the letters of `text` in this order.
pub(crate) fn score(item: &str, text: &str) -> Option<i64> {
    /// Score of the whole text in one piece, above all that its letters apart get.
    const WHOLE: i64 = 1_000;
    let score = MATCHER.fuzzy_match(item, text)?;
    let is_whole = item.to_lowercase().contains(&text.to_lowercase());
    Some(if is_whole { score + WHOLE } else { score })
}

/// Returns the items that have the letters of `text` in this order, best match first. An empty text
/// returns all items in their own order.
pub(crate) fn find<T: AsRef<str>>(items: Vec<T>, text: &str) -> Vec<T> {
    if text.trim().is_empty() {
        return items;
    }
    let scored = |item: T| Some((score(item.as_ref(), text)?, item));
    let mut matches: Vec<(i64, T)> = items.into_iter().filter_map(scored).collect();
    // The sort is stable: equal matches keep their order.
    matches.sort_by_key(|(score, _)| Reverse(*score));
    matches.into_iter().map(|(_, item)| item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_in_order_match_and_the_best_match_comes_first() {
        let ids = || vec!["orders.us", "quakes.us", "quakes.uw"];
        assert_eq!(find(ids(), "qus"), ["quakes.us", "quakes.uw"]);
        assert_eq!(find(ids(), "us"), ["orders.us", "quakes.us", "quakes.uw"]);
        assert_eq!(find(ids(), "  "), ids());
        assert!(find(ids(), "usq").is_empty());
        assert_eq!(find(vec!["debian.pkgconf", "debian.dpkg"], "dpkg"), ["debian.dpkg", "debian.pkgconf"]);
    }
}
