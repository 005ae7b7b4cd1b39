//! Ownership: which instance writes which slots, among several over one archive.
//!
//! Each instance keeps a key in a KV bucket alive, and all listen to the bucket's subjects. So every instance knows
//! the others, and computes the owner of each slot by itself. This is a hint: two owners for a moment write the
//! same rows, because a row is a function of its message.
//!
//! - `members`: the pure rule. `assignment`: what it gives, and which slots have moved. `lease`: the key, and the task
//!   that renews it. `pulse`: was the process stopped? `handover`: what happens when slots move.

mod assignment;
mod handover;
mod lease;
mod members;
mod pulse;
mod slot_set;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hourlog::{Offset, Seq};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub(crate) use assignment::Assignment;
pub(crate) use handover::Handover;
pub(crate) use lease::{Join, Lease};
pub(crate) use members::InstanceId;
use pulse::Pulse;
pub(crate) use slot_set::SlotSet;

/// Time after its last heartbeat that it has seen, for which an instance answers for its slots. The others take them
/// over after that.
const ANSWERS_FOR: Duration = Duration::from_secs(5);

/// The owner of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This instance.
    Own,
    /// Another instance.
    Other(InstanceId),
    /// Unknown: this instance has not heard itself for too long, so others may have taken its slots over.
    Unknown,
}

/// The ownership of the slots. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Ownership {
    pub(crate) id: InstanceId,
    assignment: watch::Receiver<Arc<Assignment>>,
    /// The time at which this instance last heard itself; `None` if there is only one instance by the kind of the
    /// archive.
    heard: Option<watch::Receiver<Instant>>,
    pulse: Option<watch::Receiver<Pulse>>,
    told: Arc<Told>,
}

/// How far each instance has come, as its heartbeats tell.
#[derive(Debug, Default)]
struct Told {
    own: Mutex<BTreeMap<String, SourceState>>,
    others: Mutex<BTreeMap<String, BTreeMap<String, SourceState>>>,
    /// Number of heartbeats of others that have stopped reading a stream.
    pauses: watch::Sender<u64>,
}

/// How far an instance has come with a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct SourceState {
    /// True if it has stopped reading, with nothing under way.
    is_paused: bool,
    /// The seq in slot 0 of the message up to which all of its slots are stored, as a number.
    stored: i64,
}

impl Ownership {
    /// Returns the ownership of an instance whose archive no other one can use.
    pub(crate) fn alone(now: Offset) -> Self {
        let id: InstanceId = nuid::next().to_string().into();
        let assignment = Assignment::alone(&id, now);
        // The sender is not needed: nothing changes.
        Self { id, assignment: watch::channel(Arc::new(assignment)).1, heard: None, pulse: None, told: Arc::default() }
    }

    /// Returns true if other instances can join.
    pub(crate) fn is_shared(&self) -> bool {
        self.heard.is_some()
    }

    pub(crate) fn assignment(&self) -> Arc<Assignment> {
        Arc::clone(&self.assignment.borrow())
    }

    /// Returns the assignment once readers come to this instance.
    pub(crate) async fn live(&self) -> Arc<Assignment> {
        let mut changes = self.assignment.clone();
        match changes.wait_for(|assignment| assignment.is_live()).await {
            Ok(assignment) => Arc::clone(&assignment),
            // Nothing changes any more.
            Err(_) => self.assignment(),
        }
    }

    /// Returns the assignment as it changes.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Assignment>> {
        self.assignment.clone()
    }

    /// Returns true if this instance writes the slot.
    pub(crate) fn owns(&self, slot: u8) -> bool {
        self.assignment.borrow().own.contains(slot)
    }

    /// Returns true if the others take this instance for alive, as far as it can know.
    pub(crate) fn is_valid(&self) -> bool {
        self.heard.as_ref().is_none_or(|heard| heard.borrow().elapsed() < ANSWERS_FOR)
    }

    /// Returns true if a request that is at hand may have waited for long, because this process was stopped meanwhile.
    pub(crate) fn has_old_requests(&self, now: Offset) -> bool {
        self.pulse.as_ref().is_some_and(|pulse| pulse.borrow().has_old_requests(now))
    }

    /// Returns the instance that answers for a slot.
    pub(crate) fn owner(&self, slot: u8) -> Owner {
        if !self.is_valid() {
            return Owner::Unknown;
        }
        match self.assignment.borrow().owner(slot) {
            Some(owner) if *owner == self.id => Owner::Own,
            Some(owner) => Owner::Other(Arc::clone(owner)),
            None => Owner::Unknown,
        }
    }

    /// Tells the others that this instance has stopped reading a stream, or reads it.
    pub(crate) fn pause(&self, stream: &str, is_paused: bool) {
        self.tell(stream, |state| state.is_paused = is_paused);
    }

    /// Tells the others the seq in slot 0 up to which all slots of this instance are stored.
    pub(crate) fn stored(&self, stream: &str, seq: Seq) {
        self.tell(stream, |state| state.stored = seq.get());
    }

    fn tell(&self, stream: &str, change: impl FnOnce(&mut SourceState)) {
        change(lock(&self.told.own).entry(stream.to_owned()).or_default());
    }

    /// Returns the number of heartbeats of others that have stopped reading a stream, as it changes.
    pub(crate) fn pauses(&self) -> watch::Receiver<u64> {
        self.told.pauses.subscribe()
    }

    /// Returns true if all others have stopped reading a stream.
    pub(crate) fn others_have_paused(&self, stream: &str) -> bool {
        let told = lock(&self.told.others);
        let has_paused = |id: &InstanceId| told.get(&**id)?.get(stream).map(|state| state.is_paused);
        self.assignment.borrow().others.iter().all(|id| has_paused(id).unwrap_or(false))
    }

    /// Returns the seq in slot 0 up to which all slots of another instance are stored, as it has told last.
    pub(crate) fn stored_by(&self, id: &str, stream: &str) -> Option<Seq> {
        Some(Seq::from_number(lock(&self.told.others).get(id)?.get(stream)?.stored))
    }

    /// Waits until another instance than `before` answers for a slot.
    pub(crate) async fn moved(&self, slot: u8, before: &Owner) {
        let mut assignment = self.assignment.clone();
        let mut heard = self.heard.clone();
        loop {
            assignment.mark_unchanged();
            let now = self.owner(slot);
            if now != *before && now != Owner::Unknown {
                return;
            }
            let heard_again = async {
                match &mut heard {
                    Some(heard) => heard.changed().await.is_ok(),
                    None => false,
                }
            };
            let is_running = tokio::select! {
                changed = assignment.changed() => changed.is_ok(),
                is_running = heard_again => is_running,
            };
            if !is_running {
                // Nothing changes any more.
                return std::future::pending().await;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
