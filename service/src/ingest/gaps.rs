//! Gaps: messages that left the stream before they were archived, or that its files have lost.

use std::{
    collections::BTreeSet,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use async_nats::jetstream;
use hourlog::{Offset, Result, store::Store};

use super::{Ingest, IngestArgs, reader::Reader};
use crate::{
    losses::Removed,
    stream::{
        message::MessageKey,
        missing::{Gone, Range},
        raw,
    },
};

/// Number of gaps that may wait to be explained. With more, the stream is asked at once.
const WAITING_MAX: usize = 10_000;
/// Shortest time between two requests for the list of removed messages, which can be long.
const ASK_INTERVAL: Duration = Duration::from_secs(1);

/// Gaps in the middle of the stream that are not explained yet.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    /// In order. Messages that are read again show the same gap once more.
    waiting: BTreeSet<Range>,
    /// The sequences that were gone when the stream was last asked.
    gone: Gone,
    asked: Option<Instant>,
    /// True if the last request failed.
    has_failed: bool,
    /// True once it was said that the stream has too many gaps.
    is_overdue: bool,
}

impl Gaps {
    /// Adds a gap, unless it is known that somebody removed these messages.
    fn add(&mut self, gap: Range) {
        if !self.gone.explains(gap) {
            self.waiting.insert(gap);
        }
    }

    /// Returns true while no checkpoint may be stored: a restart behind a gap would never see it. A
    /// stream that does not answer holds nothing up.
    pub(super) fn hold_checkpoint(&self) -> bool {
        !self.waiting.is_empty() && !self.has_failed
    }

    fn are_due(&self, now: Instant) -> bool {
        let is_due = |asked| now.saturating_duration_since(asked) >= ASK_INTERVAL;
        !self.waiting.is_empty() && (self.asked.is_none_or(is_due) || self.waiting.len() > WAITING_MAX)
    }
}

impl<S: Store> Ingest<S> {
    /// Passes over messages that are no longer in the stream, from the next one on: at the end of the
    /// stream nothing else would, so the lag would stay.
    pub(super) async fn skip_removed(
        &mut self,
        handle: &jetstream::stream::Stream,
        reader: Option<&mut Reader>,
    ) -> Result<()> {
        let state = &handle.cached_info().state;
        let next = self.checkpoint.taken().message.sequence + 1;
        if next > state.last_sequence {
            return Ok(());
        }
        let IngestArgs { jetstream, source, .. } = &self.args;
        let (stream, first) = (source.stream(), state.first_sequence);
        let present = if first > next && state.messages > 0 {
            Some(first)
        } else {
            raw::fetch(jetstream, stream, next).await?.map(|message| message.key.sequence)
        };
        // Messages that were published after the state was read are kept.
        let last = present.map_or(state.last_sequence, |present| (present - 1).min(state.last_sequence));
        if last < next {
            return Ok(());
        }
        // The client may hold messages that have left the stream since. They came over the same
        // connection, before the replies above.
        if let Some(reader) = reader {
            self.take_ready(reader).await?;
        }
        let created =
            i64::try_from(handle.cached_info().created.unix_timestamp_nanos()).map_or(Offset::MIN, Offset::from_nanos);
        self.skip_to(last, created, first > next);
        self.explain_gaps().await;
        Ok(())
    }

    /// Passes over the messages up to `last`, because the stream, which was created at `created`, no
    /// longer has them. `are_oldest` is true if they were the stream's oldest.
    fn skip_to(&mut self, last: u64, created: Offset, are_oldest: bool) {
        let taken = self.checkpoint.taken().message;
        if last <= taken.sequence {
            return;
        }
        if are_oldest {
            self.report_removed(taken.sequence + 1, last);
        } else {
            self.note_gap(taken.sequence + 1, last);
        }
        // An earlier time would look as if the stream had been recreated since.
        self.checkpoint.take(MessageKey { sequence: last, time: taken.time.max(created) });
        self.checkpoint.hand_out();
        self.in_flight.push_archived();
    }

    /// Notes that the messages from `from` to `to` are missing in the middle of the stream.
    pub(super) fn note_gap(&mut self, from: u64, to: u64) {
        // Nobody may remove messages from the service's own stream before they are archived.
        if self.source().is_wal {
            self.report_removed(from, to);
        }
        self.gaps.add((from, to));
    }

    /// Finds out why messages are missing in the middle of the stream, and reports those that nobody
    /// removed. Asks the stream at most once a second.
    pub(super) async fn explain_gaps(&mut self) {
        let now = Instant::now();
        if !self.gaps.are_due(now) {
            return;
        }
        self.gaps.asked = Some(now);
        let asked = Gone::ask(&self.args.jetstream, self.name()).await;
        self.gaps.has_failed = asked.is_err();
        let gone = match asked {
            Ok(gone) => gone,
            Err(error) => {
                tracing::warn!(stream = self.name(), %error, "cannot tell why messages are missing; retrying");
                return;
            }
        };
        let waiting = std::mem::take(&mut self.gaps.waiting);
        let Some(gone) = gone else {
            if !std::mem::replace(&mut self.gaps.is_overdue, true) {
                tracing::warn!(
                    stream = self.name(),
                    "so many messages were removed from the stream that those which its files lost cannot be told from them"
                );
            }
            return;
        };
        let mut counted = 0;
        for gap in waiting {
            let damage = gone.damage(gap);
            // The consumer does not count what lies before its beginning.
            if gap.0 > self.opened_after {
                counted += damage.counted;
            }
            if !self.source().is_wal {
                damage.ranges.into_iter().for_each(|(from, to)| self.report(from, to));
            }
        }
        self.gaps.gone = gone;
        // The server counts damaged messages among those that the consumer has not sent yet.
        self.counted += counted;
        let taken = self.checkpoint.taken().message.sequence;
        let published = &self.source().published;
        published.store(published.load(Relaxed).saturating_sub(counted).max(taken), Relaxed);
    }

    /// Reports that messages left the stream before they were archived.
    pub(super) fn report_removed(&mut self, from: u64, to: u64) {
        // An existing stream is read from the first message that it still has.
        if from > 1 || !self.args.stream.may_begin_later() {
            self.report(from, to);
        }
    }

    /// Reports that messages are missing in the stream.
    fn report(&mut self, from: u64, to: u64) {
        // After a restart of the ingest, the same gap is seen again.
        let from = from.max(self.removals_reported_to + 1);
        if from > to {
            return;
        }
        self.removals_reported_to = to;
        let IngestArgs { source, settings, .. } = &self.args;
        source.health.removed(Removed { at: (settings.clock)(), from, to });
        if let Some(left_out) = self.removals.count(Instant::now()) {
            tracing::error!(stream = %source.stream(), from, to, left_out, "messages are missing in the stream: they were removed before they were archived, or its files are damaged");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_that_is_seen_again_waits_once() {
        let mut gaps = Gaps::default();
        for gap in [(20, 29), (40, 49), (20, 29)] {
            gaps.add(gap);
        }
        assert_eq!(gaps.waiting.into_iter().collect::<Vec<_>>(), [(20, 29), (40, 49)]);
    }
}
