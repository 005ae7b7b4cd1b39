//! The sequences that a stream does not have, and why: removed, or damaged.
//!
//! A stream's files can be damaged. nats-server says little about that:
//! - After a clean stop it counts a damaged message as present, and leaves it out when it delivers.
//! - After a kill it reads its files again. It lists what it cannot read beside what was removed, and
//!   says in `lost` that it lost bytes, and at times which messages.
//!
//! So a message that is missing was damaged if the server does not list it as removed, or lists it as
//! lost. While the server says that it has lost messages but not which, any that is missing can be one.

use async_nats::jetstream::{self, response::Response};
use hourlog::{Error, ErrorKind, Result};
use serde::Deserialize;

/// A range of sequences: the first and the last.
pub(crate) type Range = (u64, u64);

/// Number of removed messages that are asked for. The server lists each by its number.
const LISTED_MAX: u64 = 100_000;

/// The sequences that a stream lists as gone.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Gone {
    /// The sequence of the oldest message.
    first: u64,
    /// Removed by somebody, or damaged. Sorted, and not adjacent.
    deleted: Vec<Range>,
    /// Damaged, as far as the server knows which. `None` if it has lost none.
    lost: Option<Vec<Range>>,
}

/// The damaged part of a gap.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Damage {
    /// The damaged messages. Sorted, and not adjacent.
    pub(crate) ranges: Vec<Range>,
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
    /// Asks JetStream which messages of `stream` are gone. Returns `None` if they are too many to list.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if JetStream does not answer.
    pub(crate) async fn ask(jetstream: &jetstream::Context, stream: &str) -> Result<Option<Self>> {
        if info(jetstream, stream, false).await?.num_deleted > LISTED_MAX {
            return Ok(None);
        }
        let State { first_seq, deleted, lost, .. } = info(jetstream, stream, true).await?;
        let lost = lost.map(|lost| ranges(lost.msgs.unwrap_or_default()));
        Ok(Some(Self { first: first_seq, deleted: ranges(deleted), lost }))
    }

    /// Returns true if somebody removed the whole `gap`.
    pub(crate) fn explains(&self, gap: Range) -> bool {
        self.lost.is_none() && within(&self.deleted, gap).next() == Some(gap)
    }

    /// Returns the part of `gap` that was damaged.
    pub(crate) fn damage(&self, gap: Range) -> Damage {
        let mut damage = Damage::default();
        let mut add = |from: u64, to: u64| match damage.ranges.last_mut() {
            _ if from > to => {}
            Some(last) if last.1 + 1 == from => last.1 = to,
            _ => damage.ranges.push((from, to)),
        };
        // Below the oldest message, the stream's limits removed what is missing.
        let mut next = gap.0.max(self.first);
        for (from, to) in within(&self.deleted, (next, gap.1)) {
            if from > next {
                damage.counted += from - next;
                add(next, from - 1);
            }
            match &self.lost {
                None => {}
                Some(lost) if lost.is_empty() => add(from, to),
                Some(lost) => within(lost, (from, to)).for_each(|(from, to)| add(from, to)),
            }
            next = to + 1;
        }
        if next <= gap.1 {
            damage.counted += gap.1 + 1 - next;
            add(next, gap.1);
        }
        damage
    }
}

async fn info(jetstream: &jetstream::Context, stream: &str, details: bool) -> Result<State> {
    let failed = |cause: String| {
        Error::new(
            ErrorKind::Unavailable,
            format!("cannot ask which messages of the stream {stream} are gone: {cause}"),
        )
    };
    let request = serde_json::json!({ "deleted_details": details });
    let reply: Response<Info> = jetstream
        .request(format!("STREAM.INFO.{stream}"), &request)
        .await
        .map_err(|error| failed(error.to_string()))?;
    match reply {
        Response::Ok(info) => Ok(info.state),
        Response::Err { error } => Err(failed(error.to_string())),
    }
}

/// Returns the parts of `ranges` that are within `bounds`.
fn within(ranges: &[Range], bounds: Range) -> impl Iterator<Item = Range> {
    let start = ranges.partition_point(|range| range.1 < bounds.0);
    let overlapping = ranges[start..].iter().take_while(move |range| range.0 <= bounds.1);
    overlapping.map(move |range| (range.0.max(bounds.0), range.1.min(bounds.1)))
}

/// Returns sequences as ranges.
fn ranges(mut sequences: Vec<u64>) -> Vec<Range> {
    sequences.sort_unstable();
    let mut ranges: Vec<Range> = Vec::new();
    for sequence in sequences {
        match ranges.last_mut() {
            Some(last) if sequence <= last.1 + 1 => last.1 = sequence,
            _ => ranges.push((sequence, sequence)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(deleted: &[Range], lost: Option<&[Range]>, gap: Range, ranges: &[Range], counted: u64) {
        let gone = Gone { first: 10, deleted: deleted.to_vec(), lost: lost.map(<[Range]>::to_vec) };
        assert_eq!(gone.damage(gap), Damage { ranges: ranges.to_vec(), counted }, "{gone:?} {gap:?}");
        if gone.explains(gap) {
            assert_eq!(ranges, [], "{gone:?} {gap:?}");
        }
    }

    #[test]
    fn missing_messages_that_nobody_removed_are_damaged() {
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
    fn a_loss_without_a_list_makes_everything_that_is_missing_damaged() {
        check(&[(20, 29)], Some(&[]), (20, 29), &[(20, 29)], 0);
    }

    #[test]
    fn messages_older_than_the_stream_are_not_damaged() {
        check(&[], None, (5, 9), &[], 0);
        check(&[], None, (5, 10), &[(10, 10)], 1);
    }

    #[test]
    fn sequences_become_ranges() {
        assert_eq!(ranges(vec![7, 3, 4, 5, 9]), [(3, 5), (7, 7), (9, 9)]);
    }
}
