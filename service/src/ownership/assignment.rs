//! The owners of all slots, and which slots have moved since an earlier assignment.
//!
//! A pure rule without a clock: time is an argument. Assignments may be passed over. So each slot keeps the number of
//! the assignment with which it last came, went, or may have been written by others.

use hourlog::{Offset, store::SLOTS};

use super::{
    SlotSet,
    members::{InstanceId, Members},
};

/// The reason for another assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Instances have come or gone.
    Members,
    /// The same, and others may have owned the slots of this instance meanwhile.
    Regained,
    /// Readers come to this instance from now on. It has read its slots before.
    Live,
}

/// The owners of all slots, as this instance knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assignment {
    /// Number of changes before it.
    pub(crate) number: u64,
    /// The owner of each slot; `None` while nobody is alive.
    owners: Vec<Option<InstanceId>>,
    /// The slots of this instance.
    pub(crate) own: SlotSet,
    /// The other instances.
    pub(crate) others: Vec<InstanceId>,
    /// For each slot, the number of the assignment with which it last moved to this instance or away from it.
    moved_at: [u64; SLOTS as usize],
    /// The number of the assignment from which on readers come to this instance; `None` before that.
    live_at: Option<u64>,
    /// The time at which it was made.
    pub(crate) since: Offset,
}

impl Assignment {
    /// Returns the assignment of an instance that is the only one.
    pub(super) fn alone(id: &InstanceId, now: Offset) -> Self {
        let mut members = Members::new(id.clone());
        members.beat(id);
        Self { live_at: Some(0), ..Self::first(&members, now) }
    }

    /// Returns the assignment of an instance that begins.
    pub(super) fn first(members: &Members, now: Offset) -> Self {
        let (owners, own, others) = (members.owners(), members.own_slots(), members.others());
        Self { number: 0, owners, own, others, moved_at: [0; SLOTS as usize], live_at: None, since: now }
    }

    /// Returns the next assignment.
    pub(super) fn next(&self, members: &Members, change: Change, now: Offset) -> Self {
        let number = self.number + 1;
        let live_at = if change == Change::Live { Some(number) } else { self.live_at };
        let mut next = Self { number, moved_at: self.moved_at, live_at, ..Self::first(members, now) };
        let kept = if change == Change::Regained { SlotSet::NONE } else { next.own };
        for slot in self.own.union(next.own).without(self.own.intersection(kept)).iter() {
            next.moved_at[usize::from(slot)] = number;
        }
        next
    }

    /// Returns the owner of a slot.
    pub(crate) fn owner(&self, slot: u8) -> Option<&InstanceId> {
        self.owners[usize::from(slot)].as_ref()
    }

    /// Returns the slots that this instance has won or lost since the assignment with this number. An own slot counts
    /// if others may have written it meanwhile.
    pub(crate) fn moved_since(&self, number: u64) -> SlotSet {
        (0..SLOTS).filter(|slot| self.moved_at[usize::from(*slot)] > number).collect()
    }

    /// Returns the own slots that others may have written since the assignment with this number.
    pub(crate) fn gained_since(&self, number: u64) -> SlotSet {
        self.moved_since(number).intersection(self.own)
    }

    /// Returns the own slots whose readers came to another instance at the time of the assignment with this number.
    pub(crate) fn newly_read_since(&self, number: u64) -> SlotSet {
        if self.live_at.is_some_and(|live_at| live_at > number) { self.own } else { self.gained_since(number) }
    }

    /// Returns the own slots whose messages other instances may have counted since the assignment `before`: not those
    /// of an instance that was alone all the time.
    pub(crate) fn counted_by_others_since(&self, before: &Self) -> SlotSet {
        let was_alone = before.others.is_empty() && self.others.is_empty();
        if was_alone { self.gained_since(before.number) } else { self.newly_read_since(before.number) }
    }

    /// Returns true once readers come to this instance. Before that, those that start at the same time do not know it.
    pub(crate) fn is_live(&self) -> bool {
        self.live_at.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the members in the eyes of the first of them.
    fn members(ids: &[&str]) -> Members {
        let mut members = Members::new(ids[0].into());
        for id in ids {
            members.beat(id);
        }
        members
    }

    #[test]
    fn slots_that_stay_have_not_moved() {
        let alone = Assignment::first(&members(&["a"]), Offset::MIN);
        assert_eq!((alone.own, alone.gained_since(0)), (SlotSet::ALL, SlotSet::NONE));
        let shared = alone.next(&members(&["a", "b"]), Change::Members, Offset::MIN);
        assert_eq!((shared.moved_since(0), shared.gained_since(0)), (SlotSet::ALL.without(shared.own), SlotSet::NONE));
        assert_eq!(shared.moved_since(1), SlotSet::NONE);
        let alone = shared.next(&members(&["a"]), Change::Members, Offset::MIN);
        assert_eq!(alone.gained_since(1), SlotSet::ALL.without(shared.own));
    }

    #[test]
    fn a_slot_that_was_lost_and_won_again_counts_as_gained_also_for_one_who_missed_the_loss() {
        let alone = Assignment::first(&members(&["a"]), Offset::MIN);
        let shared = alone.next(&members(&["a", "b"]), Change::Members, Offset::MIN);
        let again = shared.next(&members(&["a"]), Change::Members, Offset::MIN);
        assert_eq!(again.gained_since(0), SlotSet::ALL.without(shared.own));
    }

    #[test]
    fn slots_regained_after_a_silence_count_as_gained_also_for_one_who_missed_that_assignment() {
        let before = Assignment::first(&members(&["a", "b"]), Offset::MIN);
        let regained = before.next(&members(&["a", "b"]), Change::Regained, Offset::MIN);
        let later = regained.next(&members(&["a", "b", "c"]), Change::Members, Offset::MIN);
        assert_eq!((regained.gained_since(0), later.gained_since(0)), (before.own, later.own));
        assert_eq!(later.gained_since(1), SlotSet::NONE);
    }

    #[test]
    fn readers_of_all_own_slots_are_new_to_an_instance_that_goes_live_also_if_it_missed_that_assignment() {
        let starting = Assignment::first(&members(&["a", "b"]), Offset::MIN);
        let live = starting.next(&members(&["a", "b"]), Change::Live, Offset::MIN);
        let later = live.next(&members(&["a", "b", "c"]), Change::Members, Offset::MIN);
        assert!(!starting.is_live());
        for assignment in [live, later] {
            assert!(assignment.is_live());
            assert_eq!(assignment.newly_read_since(0), assignment.own);
            assert_eq!((assignment.gained_since(0), assignment.newly_read_since(1)), (SlotSet::NONE, SlotSet::NONE));
        }
    }

    #[test]
    fn an_instance_that_starts_alone_has_its_messages_counted_by_nobody_else() {
        let starting = Assignment::first(&members(&["a"]), Offset::MIN);
        let live = starting.next(&members(&["a"]), Change::Live, Offset::MIN);
        assert_eq!(live.counted_by_others_since(&starting), SlotSet::NONE);
        let shared = live.next(&members(&["a", "b"]), Change::Members, Offset::MIN);
        let again = shared.next(&members(&["a"]), Change::Members, Offset::MIN);
        assert_eq!(
            again.counted_by_others_since(&live),
            SlotSet::ALL.without(shared.own),
            "it was not alone all the time"
        );
    }

    #[test]
    fn an_instance_that_starts_beside_others_leaves_to_them_what_they_have_counted() {
        let starting = Assignment::first(&members(&["a", "b"]), Offset::MIN);
        let live = starting.next(&members(&["a", "b"]), Change::Live, Offset::MIN);
        assert_eq!(live.counted_by_others_since(&starting), live.own);
        let alone = starting.next(&members(&["a"]), Change::Live, Offset::MIN);
        assert_eq!(alone.counted_by_others_since(&starting), SlotSet::ALL);
    }
}
