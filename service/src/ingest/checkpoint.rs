//! The checkpoint: how far a source has been read and archived, and how much of that may be stored.
//!
//! Pure rules: no store, no client, no clock. Time is an argument.
//!
//! - `slots`: the progress of each slot by itself, which matters after slots have moved between instances.

mod slots;

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use hourlog::{
    Offset, Seq,
    store::{SLOTS, SourceRow, Write},
};

use crate::{
    ownership::SlotSet,
    stream::{epochs::Epochs, message::MessageKey},
};
use slots::Slots;

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
    /// The slots that are written here, and what each had when reading last began again.
    slots: Slots,
    /// Flushed progress with the time of its flush. Each may be stored once it is durable.
    flushed: VecDeque<(Instant, Progress)>,
    stored: Progress,
    flush_at: Instant,
    check_for_catch_up_at: Instant,
}

impl Checkpoint {
    /// Returns the checkpoint of the slots `own` in the archive's rows of the source.
    pub(super) fn load(
        sources: &[(u8, SourceRow)],
        epochs: &Epochs,
        own: SlotSet,
        durable_after: Duration,
        now: Instant,
    ) -> Self {
        let slots = Slots::load(own, sources, epochs);
        // The slot that lags most decides.
        let (stored, _) = slots.least().unwrap_or_else(|| {
            let furthest = slots::stored_furthest(sources, epochs);
            (furthest, furthest)
        });
        let (head, lost) = handed_out(sources, epochs);
        Self {
            durable_after,
            generation: 0,
            taken: stored,
            head,
            lost,
            in_flight: VecDeque::new(),
            archived: stored,
            slots,
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

    /// Returns true if this instance writes the message `sequence` of a slot, and has not yet done so.
    pub(super) fn wants(&self, slot: u8, sequence: u64) -> bool {
        self.slots.archived(slot).is_some_and(|archived| sequence > archived)
    }

    /// Returns the sequence up to which each slot was archived when reading last began again; `None` for a slot of another
    /// instance.
    pub(super) fn floors(&self) -> [Option<u64>; SLOTS as usize] {
        std::array::from_fn(|slot| self.slots.archived(slot as u8))
    }

    /// Returns the writes that store a progress: one row for each slot that is behind it.
    pub(super) fn writes(&self, progress: Progress, stream: &Arc<str>, epochs: &Epochs) -> Vec<Write> {
        let Progress { message: MessageKey { sequence, time }, max_time } = progress;
        let is_behind = |slot: &u8| self.slots.stored(*slot).is_some_and(|stored| stored < sequence);
        let write = |slot| {
            let (stream, seq) = (Arc::clone(stream), epochs.seq(slot, sequence));
            Write::Archived { stream, slot, seq, time, max_time }
        };
        (0..SLOTS).filter(is_behind).map(write).collect()
    }

    /// Takes the slots `own` in place of those before: reads again from where the slot that lags most was stored.
    /// The `gained` ones, which others may have written, are read from their stored checkpoints; the rest go on.
    pub(super) fn reassign(&mut self, own: SlotSet, gained: SlotSet, sources: &[(u8, SourceRow)], epochs: &Epochs) {
        self.slots.raise(self.archived, self.stored);
        self.slots.reassign(own, gained, sources, epochs);
        self.learn_heads(sources, epochs);
        // An earlier flush does not cover the gained slots.
        self.flushed.clear();
        let (archived, stored) = self.slots.least().unwrap_or((self.taken, self.taken));
        self.stored = stored;
        self.restart_from(archived);
    }

    /// Notes the newest message that other instances have handed out.
    pub(super) fn learn_heads(&mut self, sources: &[(u8, SourceRow)], epochs: &Epochs) {
        let (head, _) = handed_out(sources, epochs);
        self.head = self.head.into_iter().chain(head).max_by_key(|head| head.sequence);
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

    /// Returns true if messages were taken since the last chunk.
    pub(super) fn has_untold(&self) -> bool {
        self.taken != *self.in_flight.back().unwrap_or(&self.archived)
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
        self.slots.raise(self.stored, self.stored);
        self.slots.catch_up();
        self.restart_from(self.slots.least().map_or(self.stored, |(archived, _)| archived));
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
        self.slots.fork(from);
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

/// Returns the newest message that any instance has handed out in the newest epoch, and the epochs that were lost.
fn handed_out(sources: &[(u8, SourceRow)], epochs: &Epochs) -> (Option<MessageKey>, LostEpochs) {
    // Over a database, a write that was under way during a rollback may outlive the epoch that it belongs to.
    let handed_out = sources.iter().flat_map(|(slot, row)| [row.head, row.checkpoint].map(|seq| (*slot, seq)));
    let lost = handed_out.filter(|(slot, seq)| seq.epoch() > epochs.newest(*slot));
    let lost = lost.fold(LostEpochs::default(), |LostEpochs { to, count }, (slot, seq)| LostEpochs {
        to: to.max(seq.sequence()),
        count: count.max(seq.epoch() - epochs.newest(slot)),
    });
    let heads = sources.iter().filter(|(slot, row)| row.head > Seq::ZERO && epochs.is_newest(*slot, row.head));
    let heads = heads.map(|(_, row)| MessageKey { sequence: row.head.sequence(), time: row.head_time });
    (heads.max_by_key(|head| head.sequence), lost)
}

/// Returns the least and the greatest progress that is stored for a slot, of all instances.
pub(super) fn stored_ends(sources: &[(u8, SourceRow)], epochs: &Epochs) -> (Progress, Progress) {
    (slots::stored_of_all(sources, epochs), slots::stored_furthest(sources, epochs))
}

/// Returns the message up to which all slots are stored, of all instances.
pub(crate) fn stored_of_all(sources: &[(u8, SourceRow)], epochs: &Epochs) -> MessageKey {
    slots::stored_of_all(sources, epochs).message
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
        Checkpoint::load(&[], &epochs(), SlotSet::ALL, durable_after, now)
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
        let load = |sources: &[_]| Checkpoint::load(sources, &epochs(), SlotSet::ALL, Duration::ZERO, Instant::now());
        assert_eq!(load(&sources).taken().message.sequence, 100);
        assert_eq!(load(&sources).head().map(|head| head.sequence), Some(109 + u64::from(SLOTS) - 1));
        sources.pop();
        assert_eq!(load(&sources).taken().message.sequence, 0, "a slot without a row has nothing");
    }

    #[test]
    fn a_head_of_an_unknown_epoch_shows_that_the_archive_has_lost_it() {
        let row = |epoch: u32| SourceRow { head: Seq::new(epoch, 40 + u64::from(epoch)), ..SourceRow::NOTHING };
        let load = |sources: &[_]| Checkpoint::load(sources, &epochs(), SlotSet::ALL, DURABLE_AFTER, Instant::now());
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

    /// The rows of a source whose slots are stored up to these sequences; the last one is that of all others.
    fn rows(stored: &[u64]) -> Vec<(u8, SourceRow)> {
        let row = |slot: u8| {
            let sequence = *stored.get(usize::from(slot)).or(stored.last()).expect("there is a sequence");
            let time = message(sequence).time;
            let checkpoint = Seq::new(1, sequence);
            (slot, SourceRow { checkpoint, checkpoint_time: time, max_time: time, ..SourceRow::NOTHING })
        };
        (0..SLOTS).map(row).collect()
    }

    fn slots(slots: &[u8]) -> SlotSet {
        slots.iter().copied().collect()
    }

    #[test]
    fn a_slot_that_comes_is_read_from_its_stored_checkpoint_and_the_others_are_passed_over() {
        let now = Instant::now();
        let mut checkpoint = Checkpoint::load(&rows(&[20]), &epochs(), slots(&[0, 1]), DURABLE_AFTER, now);
        archive(&mut checkpoint, 30);
        checkpoint.flushed(progress(30), now);
        checkpoint.reassign(slots(&[1, 2]), slots(&[2]), &rows(&[20, 20, 24]), &epochs());
        assert_eq!(checkpoint.taken(), progress(24));
        let wants = |checkpoint: &Checkpoint, slot| (1..=40).find(|sequence| checkpoint.wants(slot, *sequence));
        assert_eq!([0, 1, 2, 3].map(|slot| wants(&checkpoint, slot)), [None, Some(31), Some(25), None]);
        assert_eq!(checkpoint.storable(now + DURABLE_AFTER), None, "the flush says nothing about the slot that came");
        // After a rollback, each goes back to what is stored of it.
        archive(&mut checkpoint, 28);
        checkpoint.catch_up();
        assert_eq!(checkpoint.taken(), progress(20));
        assert_eq!([1, 2].map(|slot| wants(&checkpoint, slot)), [Some(21), Some(25)]);
    }

    #[test]
    fn an_instance_that_was_taken_for_dead_begins_all_its_slots_again() {
        let now = Instant::now();
        let mut checkpoint = Checkpoint::load(&rows(&[20]), &epochs(), slots(&[0, 1]), DURABLE_AFTER, now);
        archive(&mut checkpoint, 30);
        checkpoint.reassign(slots(&[0, 1]), slots(&[0, 1]), &rows(&[22, 40]), &epochs());
        assert_eq!(checkpoint.taken(), progress(22));
        assert!(checkpoint.wants(0, 23) && !checkpoint.wants(1, 40) && checkpoint.wants(1, 41));
    }

    #[test]
    fn a_progress_is_stored_for_the_slots_that_are_behind_it() {
        let now = Instant::now();
        let checkpoint = Checkpoint::load(&rows(&[20, 50, 20]), &epochs(), slots(&[0, 1]), DURABLE_AFTER, now);
        let stored = |sequence| {
            let writes = checkpoint.writes(progress(sequence), &Arc::from("S"), &epochs());
            let slot = |write| if let Write::Archived { slot, .. } = write { slot } else { panic!("no checkpoint") };
            writes.into_iter().map(slot).collect::<Vec<_>>()
        };
        assert_eq!((stored(20), stored(30), stored(60)), (vec![], vec![0], vec![0, 1]));
    }

    #[test]
    fn only_what_all_instances_have_archived_is_purged() {
        assert_eq!(stored_of_all(&rows(&[30, 25, 40]), &epochs()), message(25));
        let mut rows = rows(&[30]);
        rows.pop();
        assert_eq!(stored_of_all(&rows, &epochs()).sequence, 0, "nothing is stored of one slot");
    }

    #[test]
    fn an_instance_without_slots_reads_on_from_the_slot_that_is_furthest() {
        let checkpoint =
            Checkpoint::load(&rows(&[20, 50, 20]), &epochs(), SlotSet::NONE, DURABLE_AFTER, Instant::now());
        assert_eq!(checkpoint.taken(), progress(50));
        assert!(!checkpoint.wants(1, 51));
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
