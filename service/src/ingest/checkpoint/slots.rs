//! The slots that this instance writes, each with how far it is archived and stored by itself.
//!
//! A slot that has come from another instance lags behind the others. Until reading has reached them, messages of the
//! others are passed over.

use hourlog::store::{SLOTS, SourceRow};

use super::Progress;
use crate::{
    ownership::SlotSet,
    stream::{epochs::Epochs, message::MessageKey},
};

/// How far a slot was archived and stored when reading last began again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SlotProgress {
    archived: Progress,
    stored: Progress,
}

/// The slots of this instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slots([Option<SlotProgress>; SLOTS as usize]);

impl Slots {
    /// Returns the slots `own` as the archive has stored them.
    pub(super) fn load(own: SlotSet, rows: &[(u8, SourceRow)], epochs: &Epochs) -> Self {
        let mut slots = [None; SLOTS as usize];
        for slot in own.iter() {
            let stored = stored(slot, rows, epochs);
            slots[usize::from(slot)] = Some(SlotProgress { archived: stored, stored });
        }
        Self(slots)
    }

    /// Returns the sequence up to which a slot was archived when reading last began again; `None` for a slot of another
    /// instance.
    pub(super) fn archived(&self, slot: u8) -> Option<u64> {
        self.0[usize::from(slot)].map(|progress| progress.archived.message.sequence)
    }

    /// Returns the sequence up to which a slot was stored then.
    pub(super) fn stored(&self, slot: u8) -> Option<u64> {
        self.0[usize::from(slot)].map(|progress| progress.stored.message.sequence)
    }

    /// Returns the least progress to which all slots are archived, and that to which they are stored; `None` without
    /// slots.
    pub(super) fn least(&self) -> Option<(Progress, Progress)> {
        let least = |of: fn(&SlotProgress) -> Progress| {
            self.0.iter().flatten().map(of).min_by_key(|progress| progress.message.sequence)
        };
        least(|slot| slot.archived).zip(least(|slot| slot.stored))
    }

    /// Notes that all slots are archived and stored up to here.
    pub(super) fn raise(&mut self, archived: Progress, stored: Progress) {
        let later = |one: Progress, other: Progress| {
            if one.message.sequence < other.message.sequence { other } else { one }
        };
        for slot in self.0.iter_mut().flatten() {
            slot.archived = later(slot.archived, archived);
            slot.stored = later(slot.stored, stored);
        }
    }

    /// Replaces the slots by `own`. The `gained` ones begin where they are stored; the rest keep their progress.
    pub(super) fn reassign(&mut self, own: SlotSet, gained: SlotSet, rows: &[(u8, SourceRow)], epochs: &Epochs) {
        let loaded = Self::load(gained, rows, epochs);
        for (slot, (progress, loaded)) in (0..SLOTS).zip(self.0.iter_mut().zip(loaded.0)) {
            *progress = loaded.or(*progress).filter(|_| own.contains(slot));
        }
    }

    /// Goes back to what is stored.
    pub(super) fn catch_up(&mut self) {
        for slot in self.0.iter_mut().flatten() {
            slot.archived = slot.stored;
        }
    }

    /// Limits the progress, because the stream uses its sequences again from `from` on.
    pub(super) fn fork(&mut self, from: u64) {
        for slot in self.0.iter_mut().flatten() {
            for progress in [&mut slot.archived, &mut slot.stored] {
                progress.message.sequence = progress.message.sequence.min(from - 1);
            }
        }
    }
}

/// Returns the progress that is stored for a slot. A slot without a row has nothing.
fn stored(slot: u8, rows: &[(u8, SourceRow)], epochs: &Epochs) -> Progress {
    let row = rows.iter().find(|(of, _)| *of == slot).map_or(SourceRow::NOTHING, |(_, row)| *row);
    let sequence = epochs.sequence(slot, row.checkpoint);
    Progress { message: MessageKey { sequence, time: row.checkpoint_time }, max_time: row.max_time }
}

/// Returns the progress that is stored for all slots together, of all instances: the lowest one.
pub(super) fn stored_of_all(rows: &[(u8, SourceRow)], epochs: &Epochs) -> Progress {
    let all = (0..SLOTS).map(|slot| stored(slot, rows, epochs));
    all.min_by_key(|progress| progress.message.sequence).expect("there are slots")
}

/// Returns the progress of the slot that is stored furthest: an instance without slots reads on from there.
pub(super) fn stored_furthest(rows: &[(u8, SourceRow)], epochs: &Epochs) -> Progress {
    let all = (0..SLOTS).map(|slot| stored(slot, rows, epochs));
    all.max_by_key(|progress| progress.message.sequence).expect("there are slots")
}
