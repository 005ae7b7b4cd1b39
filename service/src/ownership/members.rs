//! The rule that tells which instances are alive and which of them owns a slot.
//!
//! A pure rule without a clock. An instance is alive until this one has seen a number of its own heartbeats
//! after the last one of the other. So an instance that hears nothing, because its own connection is cut or NATS is
//! down, takes nobody for dead.

use std::{collections::BTreeMap, sync::Arc};

use hourlog::store::SLOTS;

use super::SlotSet;

/// The id of an instance: another one after each start.
pub(crate) type InstanceId = Arc<str>;

/// Own heartbeats after the last one of another instance, from which on that one is dead. One is sent each second.
pub(super) const LEASE_BEATS: u64 = 5;

/// The instances that are alive.
#[derive(Debug)]
pub(super) struct Members {
    own: InstanceId,
    /// Number of own heartbeats that were seen.
    beats: u64,
    /// Each instance with the number of own heartbeats at its last one.
    alive: BTreeMap<InstanceId, u64>,
}

impl Members {
    /// Returns the members as an instance knows them that has heard nothing yet, not even itself.
    pub(super) fn new(own: InstanceId) -> Self {
        Self { own, beats: 0, alive: BTreeMap::new() }
    }

    /// Notes a heartbeat. Returns true if the members have changed.
    pub(super) fn beat(&mut self, id: &str) -> bool {
        let is_own = *id == *self.own;
        self.beats += u64::from(is_own);
        let is_new = match self.alive.get_mut(id) {
            Some(last) => {
                *last = self.beats;
                false
            }
            None => {
                self.alive.insert(id.into(), self.beats);
                true
            }
        };
        let before = self.alive.len();
        if is_own {
            let beats = self.beats;
            self.alive.retain(|_, last| beats - *last < LEASE_BEATS);
        }
        is_new || self.alive.len() < before
    }

    /// Notes that an instance has said that it leaves. Returns true if the members have changed.
    pub(super) fn leave(&mut self, id: &str) -> bool {
        self.alive.remove(id).is_some()
    }

    /// Returns true if an instance is alive.
    pub(super) fn contains(&self, id: &str) -> bool {
        self.alive.contains_key(id)
    }

    /// Returns the other instances.
    pub(super) fn others(&self) -> Vec<InstanceId> {
        self.alive.keys().filter(|id| **id != self.own).cloned().collect()
    }

    /// Returns the owner of each slot; `None` while nobody is alive.
    pub(super) fn owners(&self) -> Vec<Option<InstanceId>> {
        (0..SLOTS).map(|slot| self.alive.keys().max_by_key(|id| (rank(slot, id), *id)).cloned()).collect()
    }

    /// Returns the slots that this instance owns.
    pub(super) fn own_slots(&self) -> SlotSet {
        (0..).zip(self.owners()).filter(|(_, owner)| owner.as_ref() == Some(&self.own)).map(|(slot, _)| slot).collect()
    }
}

/// Returns the rank of an instance for a slot: the highest one owns it. A change of one instance moves only the
/// slots that it gets or had.
fn rank(slot: u8, id: &str) -> u64 {
    // FNV-1a, which is the same in every version.
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let bytes = id.bytes().chain([slot]);
    let hash = bytes.fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    // The last byte changes only the low bits: mix them into the high ones.
    let hash = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ (hash >> 29)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(ids: &[&str]) -> Members {
        let mut members = Members::new("a".into());
        for id in ids {
            members.beat(id);
        }
        members
    }

    #[test]
    fn an_instance_is_dead_once_five_own_heartbeats_were_seen_after_its_last_one() {
        let mut members = members(&["a", "b"]);
        for _ in 1..LEASE_BEATS {
            assert!(!members.beat("a") && members.contains("b"));
        }
        assert!(members.beat("a") && !members.contains("b"));
        assert!(members.beat("b") && members.contains("b"), "it was stopped only");
    }

    #[test]
    fn an_instance_that_hears_nothing_takes_nobody_for_dead() {
        let mut members = members(&["a", "b"]);
        for _ in 0..100 {
            members.beat("b");
        }
        assert!(members.contains("a"), "the others cannot tell this one that it is dead");
        members.beat("a");
        assert_eq!(members.others(), ["b".into()]);
    }

    #[test]
    fn a_leaving_instance_is_gone_at_once() {
        let mut members = members(&["a", "b"]);
        assert!(members.leave("b") && !members.leave("b"));
        assert_eq!(members.own_slots(), SlotSet::ALL);
    }

    #[test]
    fn each_slot_has_one_owner_and_each_instance_about_the_same_number() {
        for count in 1..=5 {
            let ids: Vec<String> = (0..count).map(|number| format!("{number}WFl3MWlqCHpcvs84jNZ1KJ")).collect();
            let members = members(&ids.iter().map(String::as_str).collect::<Vec<_>>());
            let mut slots: BTreeMap<InstanceId, usize> = BTreeMap::new();
            for owner in members.owners() {
                *slots.entry(owner.expect("somebody is alive")).or_default() += 1;
            }
            let fair = usize::from(SLOTS) / count;
            assert!(
                slots.len() == count && slots.values().all(|slots| (fair / 2..=fair * 2).contains(slots)),
                "{slots:?}"
            );
        }
    }

    #[test]
    fn a_new_instance_takes_slots_and_moves_no_others() {
        let mut members = members(&["a", "b", "c"]);
        let before = members.owners();
        members.beat("d");
        for (before, after) in before.iter().zip(members.owners()) {
            assert!(*before == after || after.as_deref() == Some("d"));
        }
        members.leave("d");
        assert_eq!(members.owners(), before);
    }
}
