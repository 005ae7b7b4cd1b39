//! The checkpoint: how far a source has been read and archived, and how much of that may be stored.
//!
//! Pure rules: no store, no client, no clock. Time is an argument.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use hourlog::{
    Offset, Seq,
    store::{SLOTS, SourceRow, Write},
};

use crate::stream::{epochs::Epochs, message::MessageKey};

/// Interval between checks that the archive has lost no events.
pub(super) const CATCH_UP_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Interval between flushes of an archive that is not durable at once. The counts of a log lag by
/// up to this.
const FLUSH_INTERVAL: Duration = Duration::from_secs(4);

/// A point of the source. Everything up to it has been taken, archived or stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    /// The last message.
    pub(super) message: MessageKey,
    /// The greatest time of a message so far.
    pub(super) max_time: Offset,
}

impl Progress {
    /// Returns the writes that store this progress: one row per slot.
    pub(super) fn writes(&self, stream: &Arc<str>, epochs: &Epochs) -> Vec<Write> {
        let write = |slot| Write::Archived {
            stream: Arc::clone(stream),
            slot,
            seq: epochs.seq(slot, self.message.sequence),
            time: self.message.time,
            max_time: self.max_time,
        };
        (0..SLOTS).map(write).collect()
    }
}

/// The next request to the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Store this progress.
    Store(Progress),
    /// Ask whether the archive needs to catch up.
    CheckForCatchUp,
    /// Flush. Everything up to this progress is then flushed.
    Flush(Progress),
}

/// The epochs that the archive has lost, although it still knows of messages that were handed out in them: the stream
/// has forked before these messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LostEpochs {
    /// The newest of the messages; 0 if nothing is lost.
    pub(super) to: u64,
    /// The most by which the epoch of such a message is above the newest one of its slot.
    pub(super) count: u32,
}

/// The progress of one source.
///
/// Always `stored <= archived <= taken`: a chunk of messages is taken and handed out, then
/// archived, then flushed, then durable, and only then stored.
#[derive(Debug)]
pub(super) struct Checkpoint {
    /// The time for which flushed events can still be lost. Zero for an archive that is durable at
    /// once.
    durable_after: Duration,
    /// Number of restarts. A log that failed in one generation takes no more events of it.
    generation: u64,
    taken: Progress,
    /// The newest message handed out in this epoch, if any. Unlike `taken`, it does not move back
    /// when messages are read again.
    head: Option<MessageKey>,
    lost: LostEpochs,
    /// The ends of the chunks that are handed out but not archived yet.
    in_flight: VecDeque<Progress>,
    archived: Progress,
    /// Flushed progress with the time of its flush. Each may be stored once it is durable.
    flushed: VecDeque<(Instant, Progress)>,
    stored: Progress,
    flush_at: Instant,
    check_for_catch_up_at: Instant,
}

impl Checkpoint {
    /// Returns the checkpoint in the archive's rows of the source.
    pub(super) fn load(sources: &[(u8, SourceRow)], epochs: &Epochs, durable_after: Duration, now: Instant) -> Self {
        let covered = |(slot, row): &(u8, SourceRow)| (epochs.sequence(*slot, row.checkpoint), *row);
        // The slot that lags most decides. A slot without a row has nothing.
        let (sequence, row) = match sources.iter().map(covered).min_by_key(|(sequence, _)| *sequence) {
            Some(least) if sources.len() == usize::from(SLOTS) => least,
            _ => (0, SourceRow::NOTHING),
        };
        // Over a database, a write that was under way during a rollback may outlive the epoch that it belongs to.
        let handed_out = sources.iter().flat_map(|(slot, row)| [row.head, row.checkpoint].map(|seq| (*slot, seq)));
        let lost = handed_out.filter(|(slot, seq)| seq.epoch() > epochs.newest(*slot));
        let lost = lost.fold(LostEpochs::default(), |LostEpochs { to, count }, (slot, seq)| LostEpochs {
            to: to.max(seq.sequence()),
            count: count.max(seq.epoch() - epochs.newest(slot)),
        });
        let heads = sources.iter().filter(|(slot, row)| row.head > Seq::ZERO && epochs.is_newest(*slot, row.head));
        let heads = heads.map(|(_, row)| MessageKey { sequence: row.head.sequence(), time: row.head_time });
        let stored = Progress { message: MessageKey { sequence, time: row.checkpoint_time }, max_time: row.max_time };
        Self {
            durable_after,
            generation: 0,
            taken: stored,
            head: heads.max_by_key(|head| head.sequence),
            lost,
            in_flight: VecDeque::new(),
            archived: stored,
            flushed: VecDeque::new(),
            stored,
            flush_at: now + FLUSH_INTERVAL,
            check_for_catch_up_at: now,
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn taken(&self) -> Progress {
        self.taken
    }

    pub(super) fn head(&self) -> Option<MessageKey> {
        self.head
    }

    pub(super) fn lost(&self) -> LostEpochs {
        self.lost
    }

    pub(super) fn archived(&self) -> Progress {
        self.archived
    }

    pub(super) fn stored(&self) -> Progress {
        self.stored
    }

    /// Returns the greatest time of a message so far, given that the next message has `time`.
    pub(super) fn max_time_with(&self, time: Offset) -> Offset {
        self.taken.max_time.max(time)
    }

    /// Takes the next message.
    pub(super) fn take(&mut self, message: MessageKey) {
        self.taken = Progress { message, max_time: self.max_time_with(message.time) };
        if self.head.is_none_or(|head| head.sequence < message.sequence) {
            self.head = Some(message);
        }
    }

    /// Ends a chunk with the message that was taken last: the chunk is handed out.
    pub(super) fn hand_out(&mut self) {
        self.in_flight.push_back(self.taken);
    }

    /// Notes that the oldest chunk in flight is archived.
    pub(super) fn mark_oldest_chunk_archived(&mut self) {
        self.archived = self.in_flight.pop_front().expect("only a chunk that was handed out is archived");
    }

    /// Goes back to what is archived, because a log failed: everything after it is to be taken
    /// again.
    pub(super) fn restart_from_archived(&mut self) {
        self.restart_from(self.archived);
    }

    /// Goes back to what is stored, because the archive may have lost everything after it.
    pub(super) fn catch_up(&mut self) {
        self.restart_from(self.stored);
        self.flushed.clear();
    }

    fn restart_from(&mut self, progress: Progress) {
        self.generation += 1;
        self.taken = progress;
        self.archived = progress;
        self.in_flight.clear();
    }

    /// Begins an epoch with the sequence `from`. To be called once nothing of the old epoch is in
    /// flight.
    pub(super) fn fork(&mut self, from: u64) {
        debug_assert!(self.in_flight.is_empty(), "a fork waits until nothing is in flight");
        self.generation += 1;
        self.head = None;
        self.lost = LostEpochs::default();
        // Progress in the old epoch means nothing in the new one.
        self.flushed.clear();
        for progress in [&mut self.taken, &mut self.archived, &mut self.stored] {
            progress.message.sequence = progress.message.sequence.min(from - 1);
        }
    }

    /// Returns the next request to the archive, if one is due. The caller makes one request at a
    /// time.
    pub(super) fn due(&mut self, now: Instant) -> Option<Due> {
        if let Some(progress) = self.storable(now) {
            return Some(Due::Store(progress));
        }
        if self.is_durable_at_once() {
            return None;
        }
        if now >= self.check_for_catch_up_at {
            self.check_for_catch_up_at = now + CATCH_UP_CHECK_INTERVAL;
            return Some(Due::CheckForCatchUp);
        }
        if now >= self.flush_at {
            self.flush_at = now + FLUSH_INTERVAL;
            return Some(Due::Flush(self.archived));
        }
        None
    }

    /// Returns the progress that may be stored now, unless it is stored already. It is everything
    /// archived that is durable.
    pub(super) fn storable(&mut self, now: Instant) -> Option<Progress> {
        let durable = if self.is_durable_at_once() {
            Some(self.archived)
        } else {
            let is_durable = |since: Instant| now.duration_since(since) >= self.durable_after;
            let count = self.flushed.iter().take_while(|(since, _)| is_durable(*since)).count();
            self.flushed.drain(..count).next_back().map(|(_, progress)| progress)
        };
        durable.filter(|progress| *progress != self.stored)
    }

    /// Notes that everything up to `progress` was flushed by `now`.
    pub(super) fn flushed(&mut self, progress: Progress, now: Instant) {
        let newest = self.flushed.back().map_or(self.stored, |(_, newest)| *newest);
        // A flush that began before a fork says nothing about the new epoch.
        if progress != newest && progress.message.sequence <= self.archived.message.sequence {
            self.flushed.push_back((now, progress));
        }
    }

    /// Notes that the archive has stored `progress`.
    pub(super) fn mark_stored(&mut self, progress: Progress) {
        self.stored = progress;
    }

    fn is_durable_at_once(&self) -> bool {
        self.durable_after.is_zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use hourlog::Memory;

    const DURABLE_AFTER: Duration = Duration::from_secs(20);

    fn epochs() -> Epochs {
        let loading = Epochs::load(&Memory::new(), "S", Offset::MIN).now_or_never();
        loading.expect("memory answers at once").expect("memory takes epochs")
    }

    /// A checkpoint at the start of an empty archive.
    fn checkpoint(durable_after: Duration, now: Instant) -> Checkpoint {
        Checkpoint::load(&[], &epochs(), durable_after, now)
    }

    fn message(sequence: u64) -> MessageKey {
        MessageKey { sequence, time: Offset::from_nanos(sequence as i64) }
    }

    fn progress(sequence: u64) -> Progress {
        Progress { message: message(sequence), max_time: message(sequence).time }
    }

    /// Takes the messages up to `last` and hands them out as one chunk.
    fn hand_out(checkpoint: &mut Checkpoint, last: u64) {
        for sequence in checkpoint.taken().message.sequence + 1..=last {
            checkpoint.take(message(sequence));
        }
        checkpoint.hand_out();
    }

    /// Takes and archives the messages up to `last`.
    fn archive(checkpoint: &mut Checkpoint, last: u64) {
        hand_out(checkpoint, last);
        checkpoint.mark_oldest_chunk_archived();
    }

    /// A checkpoint at `stored` of an archive that is durable after a while.
    fn stored_at(sequence: u64, now: Instant) -> Checkpoint {
        let mut checkpoint = checkpoint(DURABLE_AFTER, now);
        archive(&mut checkpoint, sequence);
        checkpoint.mark_stored(progress(sequence));
        checkpoint
    }

    #[test]
    fn the_slot_that_lags_most_decides_where_reading_starts() {
        let row = |sequence: u64| SourceRow {
            checkpoint: Seq::new(1, sequence),
            head: Seq::new(1, sequence + 9),
            ..SourceRow::NOTHING
        };
        let mut sources: Vec<_> = (0..SLOTS).map(|slot| (slot, row(100 + u64::from(slot)))).collect();
        let load = |sources: &[_]| Checkpoint::load(sources, &epochs(), Duration::ZERO, Instant::now());
        assert_eq!(load(&sources).taken().message.sequence, 100);
        assert_eq!(load(&sources).head().map(|head| head.sequence), Some(109 + u64::from(SLOTS) - 1));
        sources.pop();
        assert_eq!(load(&sources).taken().message.sequence, 0, "a slot without a row has nothing");
    }

    #[test]
    fn a_head_of_an_unknown_epoch_shows_that_the_archive_has_lost_it() {
        let row = |epoch: u32| SourceRow { head: Seq::new(epoch, 40 + u64::from(epoch)), ..SourceRow::NOTHING };
        let load = |sources: &[_]| Checkpoint::load(sources, &epochs(), DURABLE_AFTER, Instant::now());
        let known = load(&[(0, row(1)), (1, row(1))]);
        assert_eq!((known.head().map(|head| head.sequence), known.lost()), (Some(41), LostEpochs::default()));
        let mut lost = load(&[(0, row(1)), (1, row(2)), (2, row(4))]);
        assert_eq!((lost.head().map(|head| head.sequence), lost.lost()), (Some(41), LostEpochs { to: 44, count: 3 }));
        lost.fork(12);
        assert_eq!((lost.head(), lost.lost()), (None, LostEpochs::default()), "they have begun again");
    }

    #[test]
    fn progress_that_is_only_taken_is_never_stored() {
        let now = Instant::now();
        let mut checkpoint = checkpoint(Duration::ZERO, now);
        hand_out(&mut checkpoint, 5);
        assert_eq!(checkpoint.due(now), None);
        checkpoint.mark_oldest_chunk_archived();
        hand_out(&mut checkpoint, 9);
        assert_eq!(checkpoint.due(now), Some(Due::Store(progress(5))));
    }

    #[test]
    fn the_archived_progress_moves_by_whole_chunks_in_order() {
        let mut checkpoint = checkpoint(Duration::ZERO, Instant::now());
        for last in [3, 7, 8] {
            hand_out(&mut checkpoint, last);
        }
        for last in [3, 7, 8] {
            checkpoint.mark_oldest_chunk_archived();
            assert_eq!(checkpoint.archived(), progress(last));
        }
    }

    #[test]
    fn max_time_keeps_the_greatest_time() {
        let mut checkpoint = checkpoint(Duration::ZERO, Instant::now());
        checkpoint.take(MessageKey { sequence: 1, time: Offset::from_nanos(50) });
        checkpoint.take(MessageKey { sequence: 2, time: Offset::from_nanos(40) });
        assert_eq!(checkpoint.taken().max_time, Offset::from_nanos(50));
    }

    #[test]
    fn nothing_is_stored_twice() {
        let now = Instant::now();
        let mut checkpoint = checkpoint(Duration::ZERO, now);
        archive(&mut checkpoint, 5);
        assert_eq!(checkpoint.due(now), Some(Due::Store(progress(5))));
        checkpoint.mark_stored(progress(5));
        assert_eq!(checkpoint.due(now), None);
    }

    #[test]
    fn a_store_that_failed_is_due_again() {
        let now = Instant::now();
        let mut checkpoint = checkpoint(Duration::ZERO, now);
        archive(&mut checkpoint, 5);
        assert_eq!(checkpoint.due(now), checkpoint.due(now));
    }

    #[test]
    fn an_archive_that_is_durable_at_once_is_never_flushed_or_asked() {
        let now = Instant::now();
        let mut checkpoint = checkpoint(Duration::ZERO, now);
        assert_eq!(checkpoint.due(now + FLUSH_INTERVAL * 10), None);
    }

    #[test]
    fn flushed_progress_is_stored_only_once_it_is_durable() {
        let now = Instant::now();
        let mut checkpoint = checkpoint(DURABLE_AFTER, now);
        archive(&mut checkpoint, 5);
        assert_eq!(checkpoint.storable(now + DURABLE_AFTER * 2), None, "it was never flushed");
        checkpoint.flushed(progress(5), now);
        assert_eq!(checkpoint.storable(now + DURABLE_AFTER - Duration::from_nanos(1)), None);
        assert_eq!(checkpoint.storable(now + DURABLE_AFTER), Some(progress(5)));
    }

    #[test]
    fn only_the_newest_of_several_durable_flushes_is_stored() {
        let now = Instant::now();
        let mut checkpoint = checkpoint(DURABLE_AFTER, now);
        for (second, last) in [(0, 5), (4, 9), (8, 12)] {
            archive(&mut checkpoint, last);
            checkpoint.flushed(progress(last), now + Duration::from_secs(second));
        }
        assert_eq!(checkpoint.storable(now + DURABLE_AFTER + Duration::from_secs(4)), Some(progress(9)));
        assert_eq!(checkpoint.storable(now + DURABLE_AFTER + Duration::from_secs(8)), Some(progress(12)));
    }

    #[test]
    fn a_flush_without_new_events_makes_nothing_storable() {
        let now = Instant::now();
        let mut checkpoint = stored_at(5, now);
        checkpoint.flushed(progress(5), now);
        assert_eq!(checkpoint.storable(now + DURABLE_AFTER), None);
        archive(&mut checkpoint, 6);
        checkpoint.flushed(progress(6), now);
        // The same again does not put off what was flushed first.
        checkpoint.flushed(progress(6), now + Duration::from_secs(4));
        assert_eq!(checkpoint.storable(now + DURABLE_AFTER), Some(progress(6)));
        checkpoint.mark_stored(progress(6));
        assert_eq!(checkpoint.storable(now + DURABLE_AFTER * 2), None);
    }

    #[test]
    fn checks_for_catch_up_and_flushes_are_due_at_their_intervals() {
        let now = Instant::now();
        let mut checkpoint = checkpoint(DURABLE_AFTER, now);
        archive(&mut checkpoint, 5);
        assert_eq!(checkpoint.due(now), Some(Due::CheckForCatchUp));
        assert_eq!(checkpoint.due(now), None);
        assert_eq!(checkpoint.due(now + CATCH_UP_CHECK_INTERVAL), Some(Due::CheckForCatchUp));
        // Of two that are due, the check comes first.
        assert_eq!(checkpoint.due(now + FLUSH_INTERVAL), Some(Due::CheckForCatchUp));
        assert_eq!(checkpoint.due(now + FLUSH_INTERVAL), Some(Due::Flush(progress(5))));
        assert_eq!(checkpoint.due(now + FLUSH_INTERVAL), None);
    }

    #[test]
    fn a_restart_takes_again_what_is_not_archived() {
        let now = Instant::now();
        let mut checkpoint = stored_at(2, now);
        archive(&mut checkpoint, 5);
        checkpoint.flushed(progress(5), now);
        hand_out(&mut checkpoint, 9);
        let generation = checkpoint.generation();
        checkpoint.restart_from_archived();
        assert_eq!((checkpoint.taken(), checkpoint.archived()), (progress(5), progress(5)));
        assert_eq!(checkpoint.head(), Some(message(9)), "the head does not move back");
        assert_ne!(checkpoint.generation(), generation);
        assert_eq!(checkpoint.storable(now + DURABLE_AFTER), Some(progress(5)), "what was flushed stays so");
    }

    #[test]
    fn a_rollback_takes_again_what_is_not_stored() {
        let now = Instant::now();
        let mut checkpoint = stored_at(2, now);
        archive(&mut checkpoint, 5);
        checkpoint.flushed(progress(5), now);
        hand_out(&mut checkpoint, 9);
        let generation = checkpoint.generation();
        checkpoint.catch_up();
        assert_eq!((checkpoint.taken(), checkpoint.archived()), (progress(2), progress(2)));
        assert_ne!(checkpoint.generation(), generation);
        assert_eq!(checkpoint.storable(now + DURABLE_AFTER), None, "the flush may be lost");
        archive(&mut checkpoint, 5);
        assert_eq!(checkpoint.archived(), progress(5), "no chunk of before the rollback is counted");
    }

    #[test]
    fn a_fork_begins_an_epoch_without_a_head_and_before_its_first_message() {
        let now = Instant::now();
        let mut checkpoint = stored_at(3, now);
        archive(&mut checkpoint, 9);
        checkpoint.flushed(progress(9), now);
        let generation = checkpoint.generation();
        checkpoint.fork(6);
        let sequences = [checkpoint.taken(), checkpoint.archived(), checkpoint.stored()].map(|at| at.message.sequence);
        assert_eq!(sequences, [5, 5, 3]);
        assert_eq!(checkpoint.head(), None);
        assert_ne!(checkpoint.generation(), generation);
        assert_eq!(checkpoint.storable(now + DURABLE_AFTER), None, "a flush of the old epoch counts no more");
    }

    #[test]
    fn a_flush_that_began_before_a_fork_is_ignored() {
        let now = Instant::now();
        let mut checkpoint = checkpoint(DURABLE_AFTER, now);
        archive(&mut checkpoint, 9);
        checkpoint.fork(6);
        checkpoint.flushed(progress(9), now);
        assert_eq!(checkpoint.storable(now + DURABLE_AFTER), None);
    }
}
