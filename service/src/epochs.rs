//! Which epoch of its slot a message belongs to: what makes seqs rise for ever.

use hourlog::{EpochRow, Offset, Result, SLOTS, Seq, Store, parts, seq};

/// The epochs of one source in each slot, as `(first sequence, epoch)`, in order.
#[derive(Debug, Clone)]
pub(crate) struct Epochs(Vec<Vec<(u64, u32)>>);

impl Epochs {
    /// The epochs of `stream`; in a slot that has none yet, one is begun at `now`.
    ///
    /// # Errors
    /// What the store answers.
    pub(crate) async fn load<S: Store>(store: &S, stream: &str, now: Offset) -> Result<Self> {
        let mut of_slots = Vec::with_capacity(usize::from(SLOTS));
        for slot in 0..SLOTS {
            let life = EpochRow { epoch: 1, stream: stream.to_owned(), from: 1, started: now };
            let rows = store.epochs(slot).await?;
            let rows = begun(store, slot, rows, life, |_, row| row.stream == stream).await?;
            of_slots.push(rows.iter().filter(|row| row.stream == stream).map(|row| (row.from, row.epoch)).collect());
        }
        Ok(Self(of_slots))
    }

    /// Begins a new epoch in every slot: from the message `from` on, the source's sequences are used again.
    ///
    /// # Errors
    /// What the store answers.
    pub(crate) async fn fork<S: Store>(store: &S, stream: &str, from: u64, now: Offset) -> Result<Self> {
        for slot in 0..SLOTS {
            let life = EpochRow { epoch: 1, stream: stream.to_owned(), from, started: now };
            let rows = store.epochs(slot).await?;
            let known = rows.len();
            begun(store, slot, rows, life, |at, row| at >= known && row.stream == stream && row.from == from).await?;
        }
        Self::load(store, stream, now).await
    }

    /// Begins all of them again: a store that has come back may have lost the newest.
    ///
    /// # Errors
    /// What the store answers.
    pub(crate) async fn begin_again<S: Store>(&self, store: &S, stream: &str, now: Offset) -> Result<()> {
        for (slot, epochs) in (0..SLOTS).zip(&self.0) {
            for (from, epoch) in epochs {
                let row = EpochRow { epoch: *epoch, stream: stream.to_owned(), from: *from, started: now };
                store.begin_epoch(slot, row).await?;
            }
        }
        Ok(())
    }

    /// The seq of the source's message `sequence` in `slot`: the newest epoch that holds it.
    pub(crate) fn seq(&self, slot: u8, sequence: u64) -> Seq {
        let epochs = &self.0[usize::from(slot)];
        let newest = epochs.iter().rfind(|(from, _)| *from <= sequence).or(epochs.first());
        seq(newest.expect("a slot has an epoch once it is loaded").1, sequence)
    }

    /// The sequence that `seq` was made of, as far as the source's life of today has it: what was begun anew since then is
    /// not covered by it.
    pub(crate) fn sequence(&self, slot: u8, seq: Seq) -> u64 {
        let (epoch, sequence) = parts(seq);
        let begun_since = self.0[usize::from(slot)].iter().filter(|(_, other)| *other > epoch);
        begun_since.map(|(from, _)| from - 1).fold(sequence, u64::min)
    }

    /// The greatest seq of `slot` up to which everything is archived, where the messages up to `archived` are. What older lives of the
    /// source have left counts as archived: nothing of it will come any more.
    pub(crate) fn archived(&self, slot: u8, archived: u64) -> Seq {
        match self.0[usize::from(slot)].last() {
            Some((from, epoch)) if archived + 1 >= *from => seq(*epoch, archived),
            _ => self.seq(slot, archived),
        }
    }

    /// Whether `seq` is of the newest epoch of `slot`.
    pub(crate) fn is_newest(&self, slot: u8, seq: Seq) -> bool {
        self.0[usize::from(slot)].last().is_some_and(|(_, epoch)| *epoch == parts(seq).0)
    }
}

/// The epochs of a slot, which are `rows` now, once one of them is what `is_it` tells by its place and its row. Until then `life` is begun
/// as the next, which another instance may have taken at the same moment.
async fn begun<S: Store>(
    store: &S,
    slot: u8,
    mut rows: Vec<EpochRow>,
    life: EpochRow,
    is_it: impl Fn(usize, &EpochRow) -> bool,
) -> Result<Vec<EpochRow>> {
    while !rows.iter().enumerate().any(|(at, row)| is_it(at, row)) {
        let epoch = rows.last().map_or(life.epoch, |row| row.epoch + 1);
        store.begin_epoch(slot, EpochRow { epoch, ..life.clone() }).await?;
        rows = store.epochs(slot).await?;
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_an_old_life_does_not_cover_what_was_begun_anew() {
        let epochs = Epochs(vec![vec![(1, 1), (100, 2), (50, 3)]]);
        for (epoch, sequence, expected) in [(1, 150, 49), (1, 30, 30), (2, 120, 49), (3, 120, 120)] {
            assert_eq!(epochs.sequence(0, seq(epoch, sequence)), expected);
        }
    }

    #[test]
    fn what_older_lives_have_left_is_archived_once_the_new_one_begins() {
        let epochs = Epochs(vec![vec![(1, 1), (50, 2)]]);
        for (archived, expected) in [(20, seq(1, 20)), (48, seq(1, 48)), (49, seq(2, 49)), (70, seq(2, 70))] {
            assert_eq!(epochs.archived(0, archived), expected);
        }
    }

    #[test]
    fn the_newest_life_of_a_stream_that_holds_a_sequence_counts() {
        let epochs = Epochs(vec![vec![(1, 1), (100, 2), (50, 3)]]);
        for (sequence, epoch) in [(1, 1), (49, 1), (50, 3), (99, 3), (120, 3)] {
            assert_eq!(epochs.seq(0, sequence), seq(epoch, sequence));
        }
    }
}
