//! Forks: the pure rule for a stream that does not end where it was read to.
//!
//! A stream that was recreated, or lost its newest messages, uses its sequences again for other
//! messages: it has forked. A stream that is being restored has its messages under their own
//! sequences, but not all of them yet. Neither sequences nor clocks tell the two apart. So each
//! message is compared with what was read: it is old, or it is new.
//!
//! - `age`: the age of one message; `boundary`: where the old messages of a stream end.

mod age;
mod boundary;

use std::time::{Duration, Instant};

use hourlog::Result;

pub(crate) use age::{Age, ArchiveOfMessage, ReadSoFar};
use boundary::Boundary;

/// Time after which a stream that has not grown is not being restored: nats-server ends a restore
/// that stands still for five seconds.
const STANDS_STILL_AFTER: Duration = Duration::from_secs(10);

/// The messages of a stream, with their ages.
pub(crate) trait AgedMessages {
    /// Returns the sequence and the age of the first message at or after `sequence`, if there is
    /// one.
    fn first_from(&mut self, sequence: u64) -> impl Future<Output = Result<Option<(u64, Age)>>> + Send;
}

/// The present state of a stream, as the server reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamEnds {
    /// The time at which the stream was created or restored, in nanoseconds.
    pub(crate) created: i128,
    /// The first sequence.
    pub(crate) first: u64,
    /// The last sequence.
    pub(crate) last: u64,
}

/// The relation of a stream to what was read from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the same: read on.
    Same,
    /// It is being restored, or has lost its newest messages. Each of its messages up to `old_to` is
    /// old. A consumer would begin behind it.
    Shorter {
        old_to: u64,
        /// True if there are messages after it. Their age cannot be told yet.
        is_undecided: bool,
        /// True once it is too long since the stream grew for a restore.
        stands_still: bool,
    },
    /// It has forked: everything from this sequence on is new.
    Forked { from: u64 },
}

/// Compares a stream with what was read from it, again and again while it is shorter.
#[derive(Debug, Default)]
pub(crate) struct ForkRule {
    shorter: Option<Shorter>,
}

/// The last comparison with a stream that is shorter than what was read from it.
#[derive(Debug, Clone, Copy)]
struct Shorter {
    ends: StreamEnds,
    old_to: u64,
    /// The first message whose age cannot be told.
    undecided: Option<u64>,
    /// The time since which the stream has not grown.
    since: Instant,
}

impl ForkRule {
    /// Compares the stream, which was read up to the sequence `read_to` and is archived up to
    /// `archived`. Looks only at messages that the last comparison has not seen.
    ///
    /// # Errors
    /// The error of `messages`.
    pub(crate) async fn compare(
        &mut self,
        ends: StreamEnds,
        read_to: u64,
        archived: u64,
        messages: &mut impl AgedMessages,
        now: Instant,
    ) -> Result<Verdict> {
        let mut before = self.shorter.take().filter(|before| before.ends.goes_on_as(&ends));
        // Between two looks the stream may have lost messages and grown again.
        if let Some(Shorter { old_to, .. }) = before.filter(|before| before.old_to >= ends.first)
            && messages.first_from(old_to).await? != Some((old_to, Age::Old))
        {
            before = None;
        }
        if let Some(before) = before.filter(|before| before.ends.last == ends.last && ends.last < read_to) {
            return Ok(self.keep(before, now));
        }
        let first = ends.first.max(before.map_or(0, |before| before.old_to) + 1);
        let found = boundary::find(messages, first, ends.last.min(read_to)).await?;
        Ok(match found {
            Boundary { new: Some(new), undecided, .. } => Verdict::Forked { from: undecided.unwrap_or(new) },
            Boundary { old_to, undecided, .. } if ends.last < read_to => {
                self.keep(Shorter { ends, old_to, undecided, since: now }, now)
            }
            // Not even the head shows that they are old. Those after the archived ones are read again.
            Boundary { undecided: Some(undecided), .. } if undecided <= archived => Verdict::Forked { from: undecided },
            Boundary { .. } => Verdict::Same,
        })
    }

    /// Notes that the stream is the same as before.
    pub(crate) fn reset(&mut self) {
        self.shorter = None;
    }

    /// Judges a shorter stream without new messages. While it may still grow, a message whose age
    /// cannot be told may turn out to be followed by an old one.
    fn keep(&mut self, shorter: Shorter, now: Instant) -> Verdict {
        let stands_still = now.duration_since(shorter.since) >= STANDS_STILL_AFTER;
        match shorter.undecided.filter(|_| stands_still) {
            Some(from) => Verdict::Forked { from },
            None => {
                self.shorter = Some(shorter);
                let is_undecided = shorter.undecided.is_some();
                Verdict::Shorter { old_to: shorter.old_to, is_undecided, stands_still }
            }
        }
    }
}

impl StreamEnds {
    /// Returns true if `later` can be the same stream after more messages.
    fn goes_on_as(&self, later: &Self) -> bool {
        self.created == later.created && self.last <= later.last
    }
}

#[cfg(test)]
mod tests;
