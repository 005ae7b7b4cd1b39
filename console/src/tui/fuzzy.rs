//! Finding something by some of its letters.

use nucleo_matcher::{
    Config, Matcher,
    pattern::{CaseMatching, Normalization, Pattern},
};

/// Those of `items` that have the letters of `text` in order, the best first. All of them, as they are, where it is empty.
pub(crate) fn find<T: AsRef<str>>(items: Vec<T>, text: &str) -> Vec<T> {
    if text.trim().is_empty() {
        return items;
    }
    let pattern = Pattern::parse(text, CaseMatching::Ignore, Normalization::Smart);
    let found = pattern.match_list(items, &mut Matcher::new(Config::DEFAULT));
    found.into_iter().map(|(item, _)| item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_in_order_find_and_the_nearest_come_first() {
        let ids = || vec!["orders.us", "quakes.us", "quakes.uw"];
        assert_eq!(find(ids(), "qus"), ["quakes.us", "quakes.uw"]);
        assert_eq!(find(ids(), "US"), ["orders.us", "quakes.us", "quakes.uw"]);
        assert_eq!(find(ids(), "  "), ids());
        assert!(find(ids(), "usq").is_empty());
    }
}
