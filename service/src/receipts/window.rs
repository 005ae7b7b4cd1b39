//! The numbers that a receipt has counted, in bounded memory.
//!
//! A publisher numbers its messages and keeps a bounded number of them unacknowledged. So a message that
//! comes for the first time is at most that far behind the newest one; anything older is a repetition.

use hourlog::wire::RECEIPT_BEHIND_MAX;
use serde::{Deserialize, Serialize};

/// Words of 64 bits for the greatest number and those that may come behind it.
const WORDS: usize = RECEIPT_BEHIND_MAX as usize / 64 + 1;
/// Numbers that have a bit at one time.
const NUMBERS: u64 = WORDS as u64 * 64;

/// The numbers that were counted, as far behind the greatest one as a number may come for the first time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Window {
    greatest: u64,
    /// A bit for each number, at the number modulo their count. Empty before the first one.
    counted: Vec<u64>,
}

impl Window {
    /// Adds a number. Returns false if it was there, or may have been.
    pub(super) fn insert(&mut self, number: u64) -> bool {
        if number == 0 || self.greatest.saturating_sub(number) > RECEIPT_BEHIND_MAX {
            return false;
        }
        self.counted.resize(WORDS, 0);
        if number > self.greatest {
            let first = (self.greatest + 1).max(number.saturating_sub(NUMBERS - 1));
            for skipped in first..=number {
                let (word, bit) = place(skipped);
                self.counted[word] &= !bit;
            }
            self.greatest = number;
        }
        let (word, bit) = place(number);
        let is_new = self.counted[word] & bit == 0;
        self.counted[word] |= bit;
        is_new
    }
}

/// Returns the word of a number, and its bit in it.
fn place(number: u64) -> (usize, u64) {
    let at = number % NUMBERS;
    ((at / 64) as usize, 1 << (at % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_counts_once_in_any_order_within_the_bound() {
        let mut window = Window::default();
        let mut count = |numbers: &[u64]| numbers.iter().filter(|number| window.insert(**number)).count();
        assert_eq!(count(&[1, 2, 5, 4, 4, 5, 1]), 4);
        assert_eq!(count(&[3, 3]), 1);
        assert_eq!(count(&[RECEIPT_BEHIND_MAX + 9]), 1);
        assert_eq!(count(&[8, 9, 10, 9]), 2, "8 is too far behind to tell");
        assert_eq!(count(&[u64::MAX, u64::MAX - RECEIPT_BEHIND_MAX, u64::MAX - RECEIPT_BEHIND_MAX - 1, 11]), 2);
        assert_eq!(window.counted.len(), WORDS);
    }

    #[test]
    fn random_repetitions_are_never_counted_twice() {
        use rand::{Rng, SeedableRng};
        let mut random = rand::rngs::StdRng::seed_from_u64(16);
        let (mut window, mut seen) = (Window::default(), std::collections::HashSet::new());
        let mut next = 1_u64;
        for _ in 0..20_000 {
            // A part of what was published last comes again, some of it for the first time.
            let number = if random.random_bool(0.2) {
                next.saturating_sub(random.random_range(1..2 * RECEIPT_BEHIND_MAX)).max(1)
            } else {
                next += random.random_range(1..4);
                next
            };
            let is_new = window.insert(number);
            assert!(!is_new || seen.insert(number), "{number} was counted twice");
            assert!(is_new || seen.contains(&number) || number + RECEIPT_BEHIND_MAX < next, "{number} was lost");
        }
    }
}
