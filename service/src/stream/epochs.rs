//! The epochs of a source: they make seqs rise even when the stream uses sequences again.

use futures_util::future::try_join_all;
use hourlog::{
    Error, ErrorKind, Offset, Result, Seq,
    store::{EpochRow, SLOTS, Store},
};

/// The epochs by which a set-back archive goes on: more than the stream has forked since its copy. Few,
/// because they are the high part of a database's write timestamps.
const EPOCHS_LEAPT: u32 = 32;

/// The epochs of one source in each slot, in order.
#[derive(Debug, Clone)]
pub(crate) struct Epochs(Vec<Vec<Epoch>>);

/// One epoch of a source in a slot.
#[derive(Debug, Clone, Copy)]
struct Epoch {
    number: u32,
    /// The first sequence.
    from: u64,
    /// The time at which it was begun, the same in every slot.
    started: Offset,
}

/// The epochs of several sources, read together.
#[derive(Debug)]
pub(crate) struct LoadedEpochs {
    /// Those of each source.
    pub(crate) epochs: Vec<Epochs>,
    /// The newest epoch in each slot of a stream that is none of these sources; 0 if there is none.
    pub(crate) newest_other: Vec<u32>,
}

impl LoadedEpochs {
    /// Loads the epochs of `streams`. Begins those that only some of the slots have in the others, too, and one at
    /// `now` in each slot of each stream that has none yet. Reads each slot once.
    ///
    /// # Errors
    /// The store's error.
    pub(crate) async fn load<S: Store>(store: &S, streams: &[&str], now: Offset) -> Result<Self> {
        let mut slots = Vec::with_capacity(usize::from(SLOTS));
        for slot in 0..SLOTS {
            slots.push(store.epochs(slot).await?);
        }
        for stream in streams {
            complete(store, &mut slots, stream).await?;
        }
        let mut loaded = Self { epochs: vec![Epochs(Vec::new()); streams.len()], newest_other: Vec::new() };
        for (slot, mut rows) in (0..SLOTS).zip(slots) {
            for stream in streams {
                let first = EpochRow { epoch: 1, stream: (*stream).to_owned(), from: 1, started: now };
                rows = begin_unless(store, slot, rows, first, 1, |_, row| row.stream == *stream).await?;
            }
            for (epochs, stream) in loaded.epochs.iter_mut().zip(streams) {
                epochs.push_slot(&rows, stream);
            }
            // The writers of single logs have names with a slash, which no stream has.
            let is_other = |row: &&EpochRow| !streams.contains(&row.stream.as_str()) && !row.stream.starts_with('/');
            let others = rows.iter().filter(is_other).map(|row| row.epoch);
            loaded.newest_other.push(others.max().unwrap_or(0));
        }
        Ok(loaded)
    }
}

impl Epochs {
    /// Loads the epochs of one stream.
    #[cfg(test)]
    pub(crate) async fn load<S: Store>(store: &S, stream: &str, now: Offset) -> Result<Self> {
        let loaded = LoadedEpochs::load(store, &[stream], now).await?;
        Ok(loaded.epochs.into_iter().next().expect("one stream was asked for"))
    }

    /// Reads the epochs of a stream as they are stored.
    ///
    /// # Errors
    /// The store's error.
    pub(crate) async fn read<S: Store>(store: &S, stream: &str) -> Result<Self> {
        let rows = try_join_all((0..SLOTS).map(|slot| store.epochs(slot))).await?;
        let mut epochs = Self(Vec::with_capacity(usize::from(SLOTS)));
        rows.iter().for_each(|rows| epochs.push_slot(rows, stream));
        Ok(epochs)
    }

    /// Returns the first sequence of the epochs that `before` lacks; `None` if it lacks none, or if not all slots have
    /// the newest one yet.
    pub(crate) fn begun_since(&self, before: &Self) -> Option<u64> {
        let is_later = |slot: u8| self.newest(slot) > before.newest(slot);
        if !(0..SLOTS).all(is_later) {
            return None;
        }
        let begun = |slot: u8| {
            let known = before.newest(slot);
            self.0[usize::from(slot)].iter().filter(move |epoch| epoch.number > known).map(|epoch| epoch.from)
        };
        (0..SLOTS).flat_map(begun).min()
    }

    /// Adds the next slot, which has these rows.
    fn push_slot(&mut self, rows: &[EpochRow], stream: &str) {
        let epoch = |row: &EpochRow| Epoch { number: row.epoch, from: row.from, started: row.started };
        self.0.push(rows.iter().filter(|row| row.stream == stream).map(epoch).collect());
    }

    /// Begins an epoch in every slot, because the source uses its sequences again from message
    /// `from` on.
    ///
    /// # Errors
    /// Those of [`begin`](Self::begin).
    pub(crate) async fn fork<S: Store>(&self, store: &S, stream: &str, from: u64, now: Offset) -> Result<Self> {
        self.begin(store, stream, from, now, 1).await
    }

    /// Begins an epoch in every slot with message `from`, because the archive was set back. It is
    /// greater than all that the archive may have lost.
    ///
    /// # Errors
    /// Those of [`begin`](Self::begin).
    pub(crate) async fn leap<S: Store>(&self, store: &S, stream: &str, from: u64, now: Offset) -> Result<Self> {
        self.begin(store, stream, from, now, EPOCHS_LEAPT).await
    }

    /// Makes sure that these are all epochs of the stream in the archive: what was read by them says nothing about
    /// others. Completes one that another instance has not begun in all slots before it ended.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if another instance has begun one, and the store's error.
    pub(crate) async fn check_all_known<S: Store>(&self, store: &S, stream: &str) -> Result<()> {
        let mut slots = try_join_all((0..SLOTS).map(|slot| store.epochs(slot))).await?;
        complete(store, &mut slots, stream).await?;
        let mut stored = Self(Vec::with_capacity(usize::from(SLOTS)));
        slots.iter().for_each(|rows| stored.push_slot(rows, stream));
        match stored.begun_since(self) {
            None => Ok(()),
            Some(_) => Err(begun_by_another(stream)),
        }
    }

    /// Begins an epoch in every slot with message `from`, which is `step` after the last one of the slot. `self` are the
    /// epochs by which the stream was read.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if another instance has begun one, and the store's error.
    pub(crate) async fn begin<S: Store>(
        &self,
        store: &S,
        stream: &str,
        from: u64,
        now: Offset,
        step: u32,
    ) -> Result<Self> {
        if S::IS_SHARED {
            self.check_all_known(store, stream).await?;
        }
        let mut epochs = Self(Vec::with_capacity(usize::from(SLOTS)));
        for slot in 0..SLOTS {
            let rows = store.epochs(slot).await?;
            let begun = EpochRow { epoch: 1, stream: stream.to_owned(), from, started: now };
            let known = rows.len();
            let is_begun = |index: usize, row: &EpochRow| index >= known && row.stream == stream;
            let rows = begin_unless(store, slot, rows, begun, step, is_begun).await?;
            if rows[known..].iter().any(|row| row.stream == stream && row.from != from) {
                return Err(begun_by_another(stream));
            }
            epochs.push_slot(&rows, stream);
        }
        Ok(epochs)
    }

    /// Returns the same epochs in every slot, as `(first sequence, epoch)`.
    #[cfg(test)]
    pub(crate) fn of(epochs: &[(u64, u32)]) -> Self {
        let epochs = epochs.iter().map(|(from, number)| Epoch { number: *number, from: *from, started: Offset::MIN });
        Self(vec![epochs.collect(); usize::from(SLOTS)])
    }

    /// Writes all epochs to the store again: after a rollback it may have lost the newest. They are the same rows as
    /// before, so that the next start can complete what a kill interrupts here.
    ///
    /// # Errors
    /// The store's error.
    pub(crate) async fn restore<S: Store>(&self, store: &S, stream: &str) -> Result<()> {
        for (slot, epochs) in (0..SLOTS).zip(&self.0) {
            for Epoch { number, from, started } in epochs.iter().copied() {
                store.begin_epoch(slot, EpochRow { epoch: number, stream: stream.to_owned(), from, started }).await?;
            }
        }
        Ok(())
    }

    /// Returns the seq in `slot` of the source's message `sequence`, by the newest epoch that
    /// contains it.
    pub(crate) fn seq(&self, slot: u8, sequence: u64) -> Seq {
        let epochs = &self.0[usize::from(slot)];
        let newest = epochs.iter().rfind(|epoch| epoch.from <= sequence).or(epochs.first());
        Seq::new(newest.expect("load begins an epoch in every slot").number, sequence)
    }

    /// Returns the sequence up to which `seq` covers the source as it is now. A seq of an older
    /// epoch covers nothing that belongs to a later one.
    pub(crate) fn sequence(&self, slot: u8, seq: Seq) -> u64 {
        let (epoch, sequence) = (seq.epoch(), seq.sequence());
        let later = self.0[usize::from(slot)].iter().filter(|other| other.number > epoch);
        later.map(|other| other.from - 1).fold(sequence, u64::min)
    }

    /// Returns the greatest seq of `slot` up to which everything is archived, given the same as a
    /// sequence. The rest of an older epoch counts as archived, because no more of its messages
    /// will arrive.
    pub(crate) fn archived(&self, slot: u8, archived: u64) -> Seq {
        match self.0[usize::from(slot)].last() {
            Some(epoch) if archived + 1 >= epoch.from => Seq::new(epoch.number, archived),
            _ => self.seq(slot, archived),
        }
    }

    /// Returns true if `seq` belongs to an epoch of this source in `slot`.
    pub(crate) fn contains(&self, slot: u8, seq: Seq) -> bool {
        self.0[usize::from(slot)].iter().any(|epoch| epoch.number == seq.epoch())
    }

    /// Returns the newest epoch of `slot`.
    pub(crate) fn newest(&self, slot: u8) -> u32 {
        self.0[usize::from(slot)].last().map_or(0, |epoch| epoch.number)
    }

    /// Returns the epoch of `slot` that followed `epoch`, if there is one.
    pub(crate) fn after(&self, slot: u8, epoch: u32) -> Option<u32> {
        self.0[usize::from(slot)].iter().map(|other| other.number).find(|other| *other > epoch)
    }

    /// Returns true if `seq` belongs to the newest epoch of `slot`.
    pub(crate) fn is_newest(&self, slot: u8, seq: Seq) -> bool {
        self.newest(slot) == seq.epoch()
    }
}

fn begun_by_another(stream: &str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("another instance has begun an epoch of the stream {stream}"))
}

/// Begins `wanted` as the epoch of a slot that is `step` after its last one, unless a row of the slot
/// is the wanted one, as `is_wanted` tells by index and row. `rows` are the slot's rows now. Retries, because another
/// instance can take the same epoch number at the same moment. Returns the rows of the slot
/// afterwards.
async fn begin_unless<S: Store>(
    store: &S,
    slot: u8,
    mut rows: Vec<EpochRow>,
    wanted: EpochRow,
    step: u32,
    is_wanted: impl Fn(usize, &EpochRow) -> bool,
) -> Result<Vec<EpochRow>> {
    while !rows.iter().enumerate().any(|(index, row)| is_wanted(index, row)) {
        let epoch = rows.last().map_or(wanted.epoch, |row| row.epoch + step);
        store.begin_epoch(slot, EpochRow { epoch, ..wanted.clone() }).await?;
        rows = store.epochs(slot).await?;
    }
    Ok(rows)
}

/// Begins the epochs of `stream` in every slot that has not got them yet, although other slots have. A kill has
/// interrupted what began them or restored them, or the archive has lost the rows of some slots. `slots` are the rows
/// of all slots.
///
/// The other slots may have handed out events in them. And no slot may go on in an epoch that is over in another: a
/// head that only some of the slots take for new would hide the fork from the rest.
async fn complete<S: Store>(store: &S, slots: &mut [Vec<EpochRow>], stream: &str) -> Result<()> {
    let missing: Vec<_> = slots.iter().map(|rows| missing(rows, slots, stream)).collect();
    let lacking = missing.iter().filter(|missing| !missing.is_empty()).count();
    if lacking > 0 {
        tracing::warn!(
            stream,
            slots = lacking,
            "some slots lack epochs that others have begun; beginning them there, too"
        );
    }
    for ((slot, rows), missing) in (0..).zip(slots).zip(missing) {
        for (begun, step) in missing {
            let is_begun = |_: usize, row: &EpochRow| is_same(row, &begun);
            *rows = begin_unless(store, slot, std::mem::take(rows), begun.clone(), step, is_begun).await?;
        }
    }
    Ok(())
}

/// Returns the epochs of `stream` that another of `slots` has after the last one of `rows`, each with its distance
/// from the one before. A slot that does not have the last one of `rows` says nothing about what follows it.
fn missing(rows: &[EpochRow], slots: &[Vec<EpochRow>], stream: &str) -> Vec<(EpochRow, u32)> {
    let last = rows.iter().rfind(|row| row.stream == stream);
    let later = |other: &Vec<EpochRow>| {
        let known = match last {
            None => 0,
            Some(last) => other.iter().rposition(|row| is_same(row, last)).map_or(other.len(), |at| at + 1),
        };
        let step = |at: usize| at.checked_sub(1).map_or(1, |before| other[at].epoch - other[before].epoch);
        let of_stream = (known..other.len()).filter(|at| other[*at].stream == stream);
        of_stream.map(|at| (other[at].clone(), step(at))).collect::<Vec<_>>()
    };
    slots.iter().map(later).max_by_key(Vec::len).unwrap_or_default()
}

/// Returns true if two rows, perhaps of different slots, were begun together.
fn is_same(row: &EpochRow, other: &EpochRow) -> bool {
    (&row.stream, row.from, row.started) == (&other.stream, other.from, other.started)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use hourlog::Memory;

    /// The epochs of the stream S that `load` finds in slots 0 and 63, where each slot below `cut` has the first of
    /// `rows` and each other slot has the second. A row is `(stream, epoch, from, started)`.
    fn loaded(rows: [&[(&str, u32, u64, i64)]; 2], cut: u8) -> [Vec<(u64, u32)>; 2] {
        let (store, ready) = (Memory::new(), "memory answers at once");
        for slot in 0..SLOTS {
            for (stream, epoch, from, started) in rows[usize::from(slot >= cut)] {
                let started = Offset::from_nanos(*started);
                let row = EpochRow { epoch: *epoch, stream: (*stream).to_owned(), from: *from, started };
                store.begin_epoch(slot, row).now_or_never().expect(ready).expect("memory takes epochs");
            }
        }
        let load =
            || Epochs::load(&store, "S", Offset::MAX).now_or_never().expect(ready).expect("memory has no errors");
        let lists = |epochs: Epochs| {
            [0, 63].map(|slot| epochs.0[slot].iter().map(|epoch| (epoch.from, epoch.number)).collect::<Vec<_>>())
        };
        let found = lists(load());
        assert_eq!(lists(load()), found, "nothing is left to complete");
        found
    }

    #[test]
    fn an_epoch_that_some_slots_have_is_begun_in_the_others() {
        let one = [(1, 1), (50, 2)].to_vec();
        assert_eq!(loaded([&[("S", 1, 1, 0), ("S", 2, 50, 9)], &[("S", 1, 1, 0)]], 12), [one.clone(), one.clone()]);
        assert_eq!(loaded([&[("S", 1, 1, 0)], &[("S", 1, 1, 0), ("S", 2, 50, 9)]], 63), [one.clone(), one]);
        let first = [(1, 1)].to_vec();
        assert_eq!(loaded([&[("S", 1, 1, 0)], &[]], 12), [first.clone(), first]);
        // Two forks, of which the second uses the same sequences again, and a set-back.
        let rows = [("S", 1, 1, 0), ("S", 2, 50, 9), ("S", 3, 50, 10), ("S", 35, 700, 11)];
        let all = [(1, 1), (50, 2), (50, 3), (700, 35)].to_vec();
        assert_eq!(loaded([&rows, &rows[..1]], 12), [all.clone(), all.clone()]);
        assert_eq!(loaded([&rows, &rows[..2]], 12), [all.clone(), all]);
        // The numbers of a slot are those of all streams.
        let found = loaded([&[("S", 1, 1, 0), ("S", 2, 50, 9)], &[("S", 1, 1, 0), ("T", 2, 1, 5)]], 12);
        assert_eq!(found[1], [(1, 1), (50, 3)]);
    }

    #[test]
    fn slots_whose_newest_epoch_is_the_same_lack_nothing() {
        // A fork that was found again after it had begun in some slots.
        let found =
            loaded([&[("S", 1, 1, 0), ("S", 2, 50, 9), ("S", 3, 50, 12)], &[("S", 1, 1, 0), ("S", 2, 50, 12)]], 12);
        assert_eq!(found, [vec![(1, 1), (50, 2), (50, 3)], vec![(1, 1), (50, 2)]]);
        // Rows with other times were not begun together.
        let found = loaded([&[("S", 1, 1, 0), ("S", 2, 50, 9)], &[("S", 1, 1, 0), ("S", 2, 50, 12)]], 12);
        assert_eq!(found, [vec![(1, 1), (50, 2)], vec![(1, 1), (50, 2)]]);
    }

    #[test]
    fn epochs_that_are_restored_are_the_same_rows() {
        let (store, ready) = (Memory::new(), "memory answers at once");
        let epochs = Epochs::load(&store, "S", Offset::MIN).now_or_never().expect(ready).expect("memory takes epochs");
        epochs.fork(&store, "S", 50, Offset::from_nanos(9)).now_or_never().expect(ready).expect("memory takes epochs");
        let forked = Epochs::load(&store, "S", Offset::MAX).now_or_never().expect(ready).expect("memory has no errors");
        let other = Memory::new();
        epochs.restore(&other, "S").now_or_never().expect(ready).expect("memory takes epochs");
        forked.restore(&other, "S").now_or_never().expect(ready).expect("memory takes epochs");
        let rows = |store: &Memory| store.epochs(63).now_or_never().expect(ready).expect("memory has no errors");
        assert_eq!(rows(&other), rows(&store));
    }

    #[test]
    fn a_seq_of_an_old_epoch_does_not_cover_later_epochs() {
        let epochs = Epochs::of(&[(1, 1), (100, 2), (50, 3)]);
        for (epoch, sequence, expected) in [(1, 150, 49), (1, 30, 30), (2, 120, 49), (3, 120, 120)] {
            assert_eq!(epochs.sequence(0, Seq::new(epoch, sequence)), expected);
        }
    }

    #[test]
    fn an_old_epoch_counts_as_archived_once_the_next_one_begins() {
        let epochs = Epochs::of(&[(1, 1), (50, 2)]);
        for (archived, expected) in
            [(20, Seq::new(1, 20)), (48, Seq::new(1, 48)), (49, Seq::new(2, 49)), (70, Seq::new(2, 70))]
        {
            assert_eq!(epochs.archived(0, archived), expected);
        }
    }

    #[test]
    fn an_epoch_after_a_set_back_is_greater_than_those_that_were_lost() {
        let (store, ready) = (Memory::new(), "memory answers at once");
        let epochs = |epochs: Option<Result<Epochs>>| epochs.expect(ready).expect("memory takes epochs");
        let loaded = epochs(Epochs::load(&store, "S", Offset::MIN).now_or_never());
        let forked = epochs(loaded.fork(&store, "S", 50, Offset::MIN).now_or_never());
        let leapt = epochs(forked.leap(&store, "S", 700, Offset::MIN).now_or_never());
        let last = epochs(leapt.fork(&store, "S", 60, Offset::MIN).now_or_never());
        let newest = [loaded, forked, leapt, last].map(|epochs| epochs.newest(7));
        assert_eq!(newest, [1, 2, 2 + EPOCHS_LEAPT, 3 + EPOCHS_LEAPT]);
    }

    #[test]
    fn an_instance_that_missed_the_begin_of_an_epoch_is_told_and_the_epoch_is_completed() {
        let (store, ready) = (Memory::new(), "memory answers at once");
        let loaded = Epochs::load(&store, "S", Offset::MIN).now_or_never().expect(ready).expect("memory takes epochs");
        // The other one has ended after some slots.
        for slot in 0..5 {
            let row = EpochRow { epoch: 33, stream: "S".to_owned(), from: 700, started: Offset::MIN };
            store.begin_epoch(slot, row).now_or_never().expect(ready).expect("memory takes epochs");
        }
        let refused = loaded.check_all_known(&store, "S").now_or_never().expect(ready);
        assert_eq!(refused.expect_err("there is one").kind(), ErrorKind::Unavailable);
        let stored = Epochs::read(&store, "S").now_or_never().expect(ready).expect("memory has no errors");
        assert!((0..SLOTS).all(|slot| stored.newest(slot) == 33) && stored.begun_since(&loaded) == Some(700));
    }

    #[test]
    fn the_epochs_of_all_sources_are_read_together_with_those_of_other_streams() {
        let (store, ready) = (Memory::new(), "memory answers at once");
        let load = |streams: &[&str]| {
            let loaded = LoadedEpochs::load(&store, streams, Offset::MIN).now_or_never().expect(ready);
            let LoadedEpochs { epochs, newest_other } = loaded.expect("memory takes epochs");
            (epochs.iter().map(|epochs| epochs.newest(63)).collect::<Vec<_>>(), newest_other[63])
        };
        assert_eq!(load(&["A"]), (vec![1], 0));
        assert_eq!(load(&["A", "B"]), (vec![1, 2], 0));
        let known = Epochs::load(&store, "B", Offset::MIN).now_or_never().expect(ready).expect("memory has no errors");
        known.fork(&store, "B", 50, Offset::MIN).now_or_never().expect(ready).expect("memory takes epochs");
        assert_eq!(load(&["A"]), (vec![1], 3), "B is not a source any more");
        assert_eq!(load(&["B", "A"]), (vec![3, 1], 0));
    }

    #[test]
    fn the_newest_epoch_that_contains_a_sequence_decides_its_seq() {
        let epochs = Epochs::of(&[(1, 1), (100, 2), (50, 3)]);
        for (sequence, epoch) in [(1, 1), (49, 1), (50, 3), (99, 3), (120, 3)] {
            assert_eq!(epochs.seq(0, sequence), Seq::new(epoch, sequence));
        }
    }
}
