//! How far each slot of a source is archived, by this instance or by another one.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hourlog::{Seq, store::SLOTS};

use crate::ownership::SlotSet;

/// How far a slot is archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reached {
    /// This instance writes it: up to this sequence, or as far as the whole source if that is more.
    Own(u64),
    /// Another instance writes it: up to this seq, as far as is known.
    Other(Seq),
}

/// How far the slots of a source are archived.
#[derive(Debug)]
pub(crate) struct SlotsReached(Mutex<State>);

#[derive(Debug)]
struct State {
    slots: [Reached; SLOTS as usize],
    /// The slots that readers must wait for: what was archived of them is read again.
    catching_up: SlotSet,
}

impl Default for SlotsReached {
    /// All slots are this instance's, and nothing is archived.
    fn default() -> Self {
        Self(Mutex::new(State { slots: [Reached::Own(0); SLOTS as usize], catching_up: SlotSet::NONE }))
    }
}

impl SlotsReached {
    pub(crate) fn of(&self, slot: u8) -> Reached {
        self.lock().slots[usize::from(slot)]
    }

    /// Takes the sequences up to which own slots are archived; `None` for those of other instances.
    pub(crate) fn assign(&self, floors: [Option<u64>; SLOTS as usize]) {
        for (slot, floor) in self.lock().slots.iter_mut().zip(floors) {
            *slot = match (floor, *slot) {
                (Some(floor), _) => Reached::Own(floor),
                (None, Reached::Other(seq)) => Reached::Other(seq),
                (None, Reached::Own(_)) => Reached::Other(Seq::MIN),
            };
        }
    }

    /// Notes how far the slot of another instance is archived. Never goes back.
    pub(crate) fn note_other(&self, slot: u8, seq: Seq) {
        if let Reached::Other(known) = &mut self.lock().slots[usize::from(slot)] {
            *known = seq.max(*known);
        }
    }

    /// Limits what is archived of own slots, because the stream uses later sequences again.
    pub(crate) fn limit(&self, to: u64) {
        for slot in &mut self.lock().slots {
            if let Reached::Own(sequence) = slot {
                *sequence = to.min(*sequence);
            }
        }
    }

    /// Forgets what is archived of own slots, because the archive may have lost it.
    pub(crate) fn forget(&self) {
        for slot in &mut self.lock().slots {
            if let Reached::Own(sequence) = slot {
                *sequence = 0;
            }
        }
    }

    pub(crate) fn catching_up(&self) -> SlotSet {
        self.lock().catching_up
    }

    pub(crate) fn catch_up(&self, slots: SlotSet) {
        self.lock().catching_up = slots;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_of_another_instance_never_goes_back_and_begins_again_when_it_was_an_own_one() {
        let reached = SlotsReached::default();
        reached.assign(std::array::from_fn(|slot| (slot == 0).then_some(40)));
        assert_eq!((reached.of(0), reached.of(1)), (Reached::Own(40), Reached::Other(Seq::MIN)));
        for sequence in [7, 5] {
            reached.note_other(1, Seq::new(1, sequence));
        }
        reached.note_other(0, Seq::new(1, 99));
        assert_eq!((reached.of(0), reached.of(1)), (Reached::Own(40), Reached::Other(Seq::new(1, 7))));
        reached.assign(std::array::from_fn(|slot| (slot == 1).then_some(8)));
        assert_eq!((reached.of(0), reached.of(1)), (Reached::Other(Seq::MIN), Reached::Own(8)));
        reached.limit(9);
        assert_eq!(reached.of(1), Reached::Own(8));
        reached.limit(3);
        assert_eq!(reached.of(1), Reached::Own(3));
        reached.forget();
        assert_eq!(reached.of(1), Reached::Own(0));
    }
}
