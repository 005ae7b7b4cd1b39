//! The search for the message with which a stream begins to be new: a bisection, because no old
//! message follows a new one.
//!
//! A message whose age cannot be told decides nothing, so its neighbours are asked. A message that
//! only seems new, because the archive has lost its event, is found out by an old one after it.

use std::collections::{BTreeSet, VecDeque};

use hourlog::Result;

use super::{Age, AgedMessages};

/// The most requests of one search. Reached only where the age of thousands of messages in a row
/// cannot be told.
const REQUESTS_MAX: usize = 10_000;
/// Number of messages after the first new one that must be new, too.
const CONFIRMATIONS: usize = 16;

/// The end of the old messages in a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Boundary {
    /// The last message that is old, or the sequence before the range.
    pub(super) old_to: u64,
    /// The first message after it whose age cannot be told, unless a new one comes before it.
    pub(super) undecided: Option<u64>,
    /// The first new message.
    pub(super) new: Option<u64>,
}

/// Searches the messages from `first` to `last`.
///
/// # Errors
/// The error of `messages`.
pub(super) async fn find(messages: &mut impl AgedMessages, first: u64, last: u64) -> Result<Boundary> {
    let first = first.max(1);
    let mut search = BoundarySearch {
        old_to: first - 1,
        end: last + 1,
        new: None,
        undecided: BTreeSet::new(),
        asked: BTreeSet::new(),
        requests: 0,
    };
    // If the last message is old, all are.
    if first <= last {
        search.ask(messages, last).await?;
    }
    loop {
        let is_complete = search.narrow(messages).await?;
        let Some(new) = search.new else { return Ok(search.boundary(is_complete)) };
        if !search.contradict(messages, new, last).await? {
            return Ok(search.boundary(is_complete));
        }
    }
}

/// The state of a search. The boundary lies after `old_to` and before `end`.
struct BoundarySearch {
    old_to: u64,
    end: u64,
    new: Option<u64>,
    undecided: BTreeSet<u64>,
    /// The sequences that were asked for without a decision.
    asked: BTreeSet<u64>,
    requests: usize,
}

impl BoundarySearch {
    /// Narrows the search until nothing is left, or only messages whose age cannot be told. Returns
    /// false if it gives up before.
    async fn narrow(&mut self, messages: &mut impl AgedMessages) -> Result<bool> {
        'narrower: while self.old_to + 1 < self.end {
            for sequence in spread(self.old_to + 1, self.end) {
                if self.asked.contains(&sequence) {
                    continue;
                }
                if self.requests >= REQUESTS_MAX {
                    return Ok(false);
                }
                if self.ask(messages, sequence).await? {
                    continue 'narrower;
                }
            }
            break;
        }
        Ok(true)
    }

    /// Asks for the first message at or after `sequence`. Returns true if that narrows the search.
    async fn ask(&mut self, messages: &mut impl AgedMessages, sequence: u64) -> Result<bool> {
        self.requests += 1;
        match messages.first_from(sequence).await? {
            Some((found, age)) if found < self.end => match age {
                Age::Old => self.old_to = found,
                Age::New => (self.end, self.new) = (sequence, Some(found)),
                Age::Undecided => {
                    self.undecided.insert(found);
                    self.asked.extend([sequence, found]);
                    return Ok(false);
                }
            },
            // There is no message from here to the end.
            _ => self.end = sequence,
        }
        Ok(true)
    }

    /// Looks for an old message between the first new one and `last`. If there is one, the search
    /// goes on after it, and this returns true.
    async fn contradict(&mut self, messages: &mut impl AgedMessages, new: u64, last: u64) -> Result<bool> {
        for sequence in spread(new + 1, last + 1).take(CONFIRMATIONS) {
            if self.requests >= REQUESTS_MAX {
                break;
            }
            self.requests += 1;
            if let Some((found, Age::Old)) = messages.first_from(sequence).await?
                && found <= last
            {
                (self.old_to, self.end, self.new) = (found, last + 1, None);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn boundary(&self, is_complete: bool) -> Boundary {
        let first_asked = self.undecided.range(self.old_to + 1..).next().copied();
        // After giving up, nothing is known of the messages between.
        let undecided = if is_complete { first_asked } else { Some(self.old_to + 1) };
        Boundary {
            old_to: self.old_to,
            undecided: undecided.filter(|undecided| self.new.is_none_or(|new| *undecided < new)),
            new: self.new,
        }
    }
}

/// Returns the sequences from `first` to before `end`: the middle, the middles of both halves, and
/// so on.
fn spread(first: u64, end: u64) -> impl Iterator<Item = u64> {
    let mut ranges = VecDeque::from([(first, end)]);
    std::iter::from_fn(move || {
        loop {
            let (first, end) = ranges.pop_front()?;
            if first < end {
                let middle = first + (end - first) / 2;
                ranges.extend([(first, middle), (middle + 1, end)]);
                return Some(middle);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    /// The messages of a stream by sequence.
    struct Listed(Vec<(u64, Age)>, usize);

    impl AgedMessages for Listed {
        async fn first_from(&mut self, sequence: u64) -> Result<Option<(u64, Age)>> {
            self.1 += 1;
            Ok(self.0.iter().copied().find(|(listed, _)| *listed >= sequence))
        }
    }

    /// Returns the boundary in the ages `o` (old), `n` (new), `?` (undecided) and `-` (no message) of
    /// the messages from 1 on.
    fn boundary(ages: &str) -> (u64, Option<u64>, Option<u64>) {
        let age = |letter| match letter {
            'o' => Some(Age::Old),
            'n' => Some(Age::New),
            '?' => Some(Age::Undecided),
            _ => None,
        };
        let listed = (1..).zip(ages.chars()).filter_map(|(sequence, letter)| Some((sequence, age(letter)?)));
        let mut messages = Listed(listed.collect(), 0);
        let found = find(&mut messages, 1, ages.len() as u64).now_or_never().expect("a list answers at once");
        let Boundary { old_to, undecided, new } = found.expect("a list does not fail");
        (old_to, undecided, new)
    }

    #[test]
    fn the_boundary_is_the_first_new_message_after_the_last_old_one() {
        for (ages, expected) in [
            ("", (0, None, None)),
            ("ooooo", (5, None, None)),
            ("nnnn", (0, None, Some(1))),
            ("oooonnn", (4, None, Some(5))),
            ("oo--nn-", (2, None, Some(5))),
            ("--oo---", (4, None, None)),
            ("-------", (0, None, None)),
        ] {
            assert_eq!(boundary(ages), expected, "{ages}");
        }
    }

    #[test]
    fn a_message_whose_age_cannot_be_told_is_as_old_as_an_old_one_after_it() {
        for (ages, expected) in [
            ("o?o??onn", (6, None, Some(7))),
            ("???????onnnnnnnnnnnnnnnn", (8, None, Some(9))),
            ("oo?-?nn", (2, Some(3), Some(6))),
            ("oo??", (2, Some(3), None)),
            ("????", (0, Some(1), None)),
            ("oonn??", (2, None, Some(3))),
        ] {
            assert_eq!(boundary(ages), expected, "{ages}");
        }
    }

    #[test]
    fn an_old_message_after_a_new_one_shows_that_the_archive_has_lost_an_event() {
        assert_eq!(boundary("ooooooonoooonnn"), (12, None, Some(13)));
    }

    #[test]
    fn a_search_costs_the_logarithm_of_the_length() {
        let age = |sequence| if sequence < 700_001 { Age::Old } else { Age::New };
        let mut messages = Listed((1..=1_000_000).map(|sequence| (sequence, age(sequence))).collect(), 0);
        let found = find(&mut messages, 1, 1_000_000).now_or_never().expect("a list answers at once");
        assert_eq!(found.expect("a list does not fail").new, Some(700_001));
        assert!(messages.1 <= 21 + CONFIRMATIONS, "{} requests", messages.1);
    }
}
