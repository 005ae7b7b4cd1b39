//! The sequences that a stream does not have, and why: removed, or damaged.
//!
//! A stream's files can be damaged. nats-server says little about that:
//! - After a clean stop it counts a damaged message as present, and leaves it out when it delivers.
//! - After a kill it reads its files again. It lists what it cannot read beside what was removed, and
//!   says in `lost` that it lost bytes, and at times which messages.
//!
//! So a message that is gone was damaged if the server does not list it as removed, or lists it as
//! lost. While the server says that it has lost messages but not which, any that is gone can be one.

use async_nats::jetstream;
use hourlog::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::json;

use super::{
    questions,
    sequences::{Range, Sequences},
};

/// Number of removed messages that are asked for. The server lists each by its number.
const LISTED_MAX: u64 = 100_000;

/// The sequences that a stream lists as gone.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Gone {
    /// The sequence of the oldest message.
    first: u64,
    /// Removed by somebody, or damaged. `None` if they are too many to list.
    deleted: Option<Sequences>,
    /// Damaged, as far as the server knows which. `None` if it has lost none.
    lost: Option<Sequences>,
}

/// The reasons of a gap. What is in neither part was removed by somebody.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reasons {
    /// Messages that the stream's limits removed, or a purge, if there are any: they are older than its oldest one.
    pub(crate) older: Option<Range>,
    /// The damaged messages.
    pub(crate) damaged: Sequences,
    /// The number of those that the server still counts as present.
    pub(crate) counted: u64,
}

#[derive(Deserialize)]
struct Info {
    state: State,
}

#[derive(Deserialize)]
struct State {
    first_seq: u64,
    #[serde(default)]
    num_deleted: u64,
    #[serde(default)]
    deleted: Vec<u64>,
    lost: Option<Lost>,
}

#[derive(Deserialize)]
struct Lost {
    msgs: Option<Vec<u64>>,
}

impl Gone {
    /// Asks JetStream which messages of `stream` are gone.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if JetStream does not answer, [`ErrorKind::NotFound`] if the stream does not exist.
    pub(crate) async fn ask(jetstream: &jetstream::Context, stream: &str) -> Result<Self> {
        let ask = async |details: bool| {
            let info: Option<Info> = questions::info(jetstream, stream, &json!({ "deleted_details": details })).await?;
            let not_found = || Error::new(ErrorKind::NotFound, format!("the stream {stream} does not exist"));
            Ok(info.ok_or_else(not_found)?.state)
        };
        let State { first_seq, num_deleted, .. } = ask(false).await?;
        if num_deleted > LISTED_MAX {
            return Ok(Self { first: first_seq, deleted: None, lost: None });
        }
        let State { first_seq, deleted, lost, .. } = ask(true).await?;
        let lost = lost.map(|lost| lost.msgs.unwrap_or_default().into_iter().collect());
        Ok(Self { first: first_seq, deleted: Some(deleted.into_iter().collect()), lost })
    }

    /// Creates the list of a stream that begins with the sequence `first`, and from which somebody removed `deleted`.
    #[cfg(test)]
    pub(crate) fn of(first: u64, deleted: &[Range]) -> Self {
        let mut set = Sequences::default();
        deleted.iter().for_each(|range| set.insert(*range));
        Self { first, deleted: Some(set), lost: None }
    }

    /// Returns true if too many messages are gone to tell the damaged ones.
    pub(crate) fn is_too_much(&self) -> bool {
        self.deleted.is_none()
    }

    /// Returns true if somebody removed the whole `gap`.
    pub(crate) fn explains(&self, gap: Range) -> bool {
        let Some(deleted) = &self.deleted else { return false };
        self.lost.is_none() && deleted.within(gap).next() == Some(gap)
    }

    /// Returns the reasons of a gap.
    pub(crate) fn reasons(&self, gap: Range) -> Reasons {
        let mut reasons =
            Reasons { older: (gap.0 < self.first).then(|| (gap.0, gap.1.min(self.first - 1))), ..Reasons::default() };
        let newer = (gap.0.max(self.first), gap.1);
        let Some(deleted) = self.deleted.as_ref().filter(|_| newer.0 <= newer.1) else { return reasons };
        for (from, to) in deleted.outside(newer) {
            reasons.counted += to - from + 1;
            reasons.damaged.insert((from, to));
        }
        if let Some(lost) = &self.lost {
            for removed in deleted.within(newer) {
                if lost.is_empty() {
                    reasons.damaged.insert(removed);
                }
                lost.within(removed).for_each(|range| reasons.damaged.insert(range));
            }
        }
        reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[Range]) -> Sequences {
        let mut set = Sequences::default();
        ranges.iter().for_each(|range| set.insert(*range));
        set
    }

    fn check(deleted: &[Range], lost: Option<&[Range]>, gap: Range, damaged: &[Range], counted: u64) {
        let gone = Gone { first: 10, deleted: Some(set(deleted)), lost: lost.map(set) };
        let reasons = gone.reasons(gap);
        assert_eq!((reasons.damaged.ranges(), reasons.counted), (damaged, counted), "{gone:?} {gap:?}");
        if gone.explains(gap) {
            assert_eq!(reasons, Reasons::default(), "{gone:?} {gap:?}");
        }
    }

    #[test]
    fn messages_that_nobody_removed_are_damaged() {
        check(&[], None, (20, 29), &[(20, 29)], 10);
        check(&[(20, 29)], None, (20, 29), &[], 0);
        check(&[(1, 22), (25, 25), (28, 40)], None, (20, 29), &[(23, 24), (26, 27)], 4);
    }

    #[test]
    fn messages_that_the_server_lost_are_damaged_and_not_counted() {
        check(&[(20, 29)], Some(&[(22, 50)]), (20, 29), &[(22, 29)], 0);
        check(&[(22, 29)], Some(&[(22, 29)]), (20, 29), &[(20, 29)], 2);
    }

    #[test]
    fn a_loss_without_a_list_makes_everything_that_is_gone_damaged() {
        check(&[(20, 29)], Some(&[]), (20, 29), &[(20, 29)], 0);
    }

    #[test]
    fn messages_older_than_the_stream_were_removed_by_its_limits_and_are_not_damaged() {
        check(&[], None, (5, 9), &[], 0);
        check(&[], None, (5, 10), &[(10, 10)], 1);
        let gone = Gone { first: 10, deleted: Some(Sequences::default()), lost: None };
        for (gap, older) in [((5, 9), Some((5, 9))), ((5, 12), Some((5, 9))), ((10, 12), None)] {
            assert_eq!(gone.reasons(gap).older, older, "{gap:?}");
        }
    }

    #[test]
    fn with_too_many_to_list_only_the_older_ones_are_known() {
        let gone = Gone { first: 10, deleted: None, lost: None };
        let older = Reasons { older: Some((5, 9)), ..Reasons::default() };
        assert!(gone.is_too_much() && !gone.explains((20, 29)));
        assert_eq!((gone.reasons((5, 29)), gone.reasons((20, 29))), (older, Reasons::default()));
    }
}
