//! Finding something by some of its letters.

use std::{cmp::Reverse, sync::LazyLock};

use fuzzy_matcher::{FuzzyMatcher, skim::SkimMatcherV2};

static MATCHER: LazyLock<SkimMatcherV2> = LazyLock::new(SkimMatcherV2::default);

/// Those of `items` that have the letters of `text` in order, the best first. All of them, as they are, where it is empty.
pub(crate) fn find<T: AsRef<str>>(items: Vec<T>, text: &str) -> Vec<T> {
    if text.trim().is_empty() {
        return items;
    }
    let score = |item: T| Some((MATCHER.fuzzy_match(item.as_ref(), text)?, item));
    let mut found: Vec<(i64, T)> = items.into_iter().filter_map(score).collect();
    // Those that are as good stay in their order.
    found.sort_by_key(|(score, _)| Reverse(*score));
    found.into_iter().map(|(_, item)| item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_in_order_find_and_the_nearest_come_first() {
        let ids = || vec!["orders.us", "quakes.us", "quakes.uw"];
        assert_eq!(find(ids(), "qus"), ["quakes.us", "quakes.uw"]);
        assert_eq!(find(ids(), "us"), ["orders.us", "quakes.us", "quakes.uw"]);
        assert_eq!(find(ids(), "  "), ids());
        assert!(find(ids(), "usq").is_empty());
    }
}
