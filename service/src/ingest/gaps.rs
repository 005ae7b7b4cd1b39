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
        damage::{Gone, Reasons},
        ends::created,
        message::MessageKey,
        raw,
        sequences::{Range, Sequences},
    },
};

/// Number of gaps that may wait to be explained. With more, the stream is asked at once.
const WAITING_MAX: usize = 10_000;
/// Shortest time between two requests for the list of removed messages, which can be long.
const ASK_INTERVAL: Duration = Duration::from_secs(1);

/// The gaps of the stream, and which of them are settled.
///
/// A gap is settled once it was reported, or needs no report. Messages that are read again show the same gaps
/// again, and at times larger ones: what was not archived may have left the stream meanwhile. So each
/// sequence is settled by itself.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    /// Gaps in the middle of the stream that are not explained yet, in order.
    waiting: BTreeSet<Range>,
    settled: Sequences,
    /// The sequences that were gone when the stream was last asked.
    gone: Gone,
    asked: Option<Instant>,
    /// True if the last request failed.
    has_failed: bool,
    /// True once it was said that the stream has too many gaps.
    is_overdue: bool,
}

/// The explanation of the gaps that waited.
#[derive(Debug, Default, PartialEq, Eq)]
struct Explained {
    /// The messages to report.
    to_report: Vec<Range>,
    /// The number of missing messages that the server counts among those that the consumer has not sent yet.
    counted: u64,
}

impl Gaps {
    /// Creates the state at the start of the service. The messages in `reported` were reported before.
    pub(super) fn new(reported: Sequences) -> Self {
        Self { settled: reported, ..Self::default() }
    }

    /// Adds a gap, unless it is known that somebody removed these messages.
    fn add(&mut self, gap: Range) {
        if self.gone.explains(gap) {
            self.settled.insert(gap);
        } else {
            self.waiting.insert(gap);
        }
    }

    /// Settles the messages in `range`. Returns those of them that were not settled before.
    pub(super) fn settle(&mut self, range: Range) -> Vec<Range> {
        let new = self.settled.outside(range);
        self.settled.insert(range);
        new
    }

    /// Explains the gaps that wait, given what is gone now. The consumer begins after the sequence `opened_after`.
    fn explain(&mut self, gone: Gone, opened_after: u64) -> Explained {
        let mut explained = Explained::default();
        for gap in std::mem::take(&mut self.waiting) {
            let Reasons { older, damaged, counted } = gone.reasons(gap);
            // The consumer does not count what lies before its beginning.
            if gap.0 > opened_after {
                explained.counted += counted;
            }
            for range in older.iter().chain(damaged.ranges()) {
                explained.to_report.extend(self.settle(*range));
            }
            self.settled.insert(gap);
        }
        self.gone = gone;
        explained
    }

    /// Forgets what concerns the messages up to `stored`, which are never read again.
    pub(super) fn forget_to(&mut self, stored: u64) {
        // A gap that waits is settled once more when it is explained.
        let waiting = self.waiting.first().map_or(u64::MAX, |(first, _)| *first);
        self.settled.remove_to(stored.min(waiting.saturating_sub(1)));
    }

    /// Forgets what concerns the messages from `from` on, because the stream uses these sequences again. Returns
    /// those that wait: nobody can tell any more why they were missing.
    fn fork(&mut self, from: u64) -> Vec<Range> {
        let mut unexplained = Vec::new();
        for (first, last) in std::mem::take(&mut self.waiting) {
            if first < from {
                self.waiting.insert((first, last.min(from - 1)));
            }
            if last >= from {
                unexplained.extend(self.settle((first.max(from), last)));
            }
        }
        self.settled.remove_from(from);
        self.gone = Gone::default();
        unexplained
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
        let info = handle.cached_info();
        let state = &info.state;
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
        self.skip_to(last, created(info), first > next);
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
    /// removed from there. Asks the stream at most once a second.
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
        if gone.is_too_much() && !std::mem::replace(&mut self.gaps.is_overdue, true) {
            tracing::warn!(
                stream = self.name(),
                "so many messages were removed from the stream that those which its files lost cannot be told from them"
            );
        }
        let Explained { to_report, counted } = self.gaps.explain(gone, self.opened_after);
        to_report.into_iter().for_each(|range| self.report(range));
        // The server counts damaged messages among those that the consumer has not sent yet.
        self.counted += counted;
        let taken = self.checkpoint.taken().message.sequence;
        let published = &self.source().published;
        published.store(published.load(Relaxed).saturating_sub(counted).max(taken), Relaxed);
    }

    /// Reports that messages left the stream before they were archived.
    fn report_removed(&mut self, from: u64, to: u64) {
        let new = self.gaps.settle((from, to));
        // An existing stream is read from the first message that it still has.
        if from > 1 || !self.args.stream.may_begin_later() {
            new.into_iter().for_each(|range| self.report(range));
        }
    }

    /// Reports the gaps that nobody can explain any more, because the stream uses the sequences from `from` on
    /// again.
    pub(super) fn end_gaps(&mut self, from: u64) {
        self.gaps.fork(from).into_iter().for_each(|range| self.report(range));
    }

    /// Reports that messages are missing in the stream.
    fn report(&mut self, (from, to): Range) {
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

    /// A stream that begins with `first`, and lists nothing as removed: what is missing is damaged.
    fn from(first: u64) -> Gone {
        Gone::of(first, &[])
    }

    fn explain(gaps: &mut Gaps, gone: Gone) -> Vec<Range> {
        gaps.explain(gone, 0).to_report
    }

    #[test]
    fn a_gap_that_is_seen_again_waits_and_is_reported_once() {
        let mut gaps = Gaps::default();
        for gap in [(20, 29), (40, 49), (20, 29)] {
            gaps.add(gap);
        }
        assert_eq!(explain(&mut gaps, from(1)), [(20, 29), (40, 49)]);
        gaps.add((20, 29));
        // Counted again, because a new consumer counts it again.
        assert_eq!(gaps.explain(from(1), 0), Explained { to_report: Vec::new(), counted: 10 });
        assert_eq!(gaps.explain(from(1), 0), Explained::default());
    }

    #[test]
    fn a_gap_that_waits_is_reported_although_a_later_one_was_reported_before_it() {
        let mut gaps = Gaps::default();
        gaps.add((20, 29));
        assert_eq!(gaps.settle((100, 199)), [(100, 199)]);
        assert_eq!(explain(&mut gaps, from(1)), [(20, 29)]);
    }

    #[test]
    fn messages_that_left_between_two_reported_gaps_before_they_were_read_again_are_reported() {
        let mut gaps = Gaps::default();
        gaps.add((20, 29));
        gaps.add((40, 49));
        assert_eq!(explain(&mut gaps, from(1)), [(20, 29), (40, 49)]);
        // A log failed before 30 to 39 were archived.
        gaps.add((20, 49));
        assert_eq!(explain(&mut gaps, from(1)), [(30, 39)]);
        assert_eq!(gaps.settle((15, 60)), [(15, 19), (50, 60)]);
    }

    #[test]
    fn messages_that_the_streams_limits_removed_while_it_was_read_are_reported() {
        let mut gaps = Gaps::default();
        gaps.add((20, 29));
        assert_eq!(explain(&mut gaps, from(30)), [(20, 29)]);
        gaps.add((40, 49));
        assert_eq!(explain(&mut gaps, Gone::of(45, &[(45, 49)])), [(40, 44)]);
    }

    #[test]
    fn messages_that_somebody_removed_are_not_reported_even_once_the_stream_begins_after_them() {
        let mut gaps = Gaps::default();
        gaps.add((20, 29));
        assert_eq!(explain(&mut gaps, Gone::of(1, &[(20, 29), (40, 49)])), []);
        gaps.add((40, 49));
        assert!(!gaps.hold_checkpoint(), "it is explained already");
        for gap in [(20, 29), (40, 49)] {
            gaps.gone = Gone::default();
            gaps.add(gap);
        }
        assert_eq!(explain(&mut gaps, from(60)), []);
    }

    #[test]
    fn a_gap_that_still_waits_when_the_stream_forks_is_reported() {
        let mut gaps = Gaps::default();
        assert_eq!(gaps.settle((5, 5)), [(5, 5)]);
        assert_eq!(gaps.settle((35, 35)), [(35, 35)]);
        gaps.add((20, 29));
        assert_eq!(gaps.fork(25), [(25, 29)]);
        assert_eq!(explain(&mut gaps, from(1)), [(20, 24)]);
        // These sequences have other messages now.
        assert_eq!(gaps.settle((20, 40)), [(25, 40)]);
        gaps.forget_to(10);
        assert_eq!(gaps.settle((5, 5)), [(5, 5)], "it is never read again");
    }

    #[test]
    fn a_gap_that_waits_is_not_reported_again_after_a_checkpoint_behind_it() {
        let mut gaps = Gaps::default();
        assert_eq!(gaps.settle((20, 29)), [(20, 29)]);
        gaps.waiting.insert((20, 29));
        gaps.forget_to(40);
        assert_eq!(gaps.settle((20, 29)), []);
    }
}
