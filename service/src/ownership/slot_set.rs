//! Sets of slots.

use hourlog::store::SLOTS;

/// A set of slots, as bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SlotSet(u64);

impl SlotSet {
    pub(crate) const ALL: Self = Self(u64::MAX);
    pub(crate) const NONE: Self = Self(0);

    pub(crate) fn contains(self, slot: u8) -> bool {
        self.0 & (1 << slot) != 0
    }

    pub(crate) fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Returns the slots of this set that the other one lacks.
    pub(crate) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) fn is_empty(self) -> bool {
        self == Self::NONE
    }

    /// Returns true if both sets have a slot.
    pub(crate) fn intersects(self, other: Self) -> bool {
        !self.intersection(other).is_empty()
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = u8> {
        (0..SLOTS).filter(move |slot| self.contains(*slot))
    }
}

impl FromIterator<u8> for SlotSet {
    fn from_iter<T: IntoIterator<Item = u8>>(slots: T) -> Self {
        Self(slots.into_iter().fold(0, |bits, slot| bits | 1 << slot))
    }
}
