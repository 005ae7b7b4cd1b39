//! The longest waits of a run: of an append for its answer, and of a follower for an acknowledged event.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hourlog::Seq;

/// The longest waits so far.
#[derive(Debug)]
pub struct Waits {
    state: Mutex<WaitState>,
}

#[derive(Debug, Default)]
struct WaitState {
    append: Duration,
    follower: Duration,
    /// The events of the followed logs that were acknowledged, and that their followers have not got yet.
    followed: HashMap<u32, Followed>,
}

#[derive(Debug, Default)]
struct Followed {
    newest: Option<Seq>,
    acknowledged: BTreeMap<Seq, Instant>,
}

impl Waits {
    /// Waits of a run in which `followed` are the logs with a follower.
    pub fn of_logs(followed: impl IntoIterator<Item = u32>) -> Self {
        let followed = followed.into_iter().map(|log| (log, Followed::default())).collect();
        Self { state: Mutex::new(WaitState { followed, ..WaitState::default() }) }
    }

    /// Notes that an append to a log was answered after `waited`, with all its retries.
    pub fn appended(&self, log: u32, seq: Seq, waited: Duration) {
        let mut state = self.state();
        state.append = state.append.max(waited);
        // The follower may have been faster than the answer.
        let followed = state.followed.get_mut(&log).filter(|followed| followed.newest < Some(seq));
        if let Some(followed) = followed {
            followed.acknowledged.insert(seq, Instant::now());
        }
    }

    /// Notes that the follower of a log got all events up to `seq`.
    pub fn followed(&self, log: u32, seq: Seq) {
        let mut state = self.state();
        let WaitState { followed, follower: longest, .. } = &mut *state;
        let Some(followed) = followed.get_mut(&log) else { return };
        followed.newest = followed.newest.max(Some(seq));
        followed.acknowledged.retain(|acknowledged, at| {
            let is_later = *acknowledged > seq;
            if !is_later {
                *longest = (*longest).max(at.elapsed());
            }
            is_later
        });
    }

    /// Returns the longest time until an append was answered.
    pub fn longest_append(&self) -> Duration {
        self.state().append
    }

    /// Returns the longest time until a follower got an event that was acknowledged.
    pub fn longest_follower(&self) -> Duration {
        self.state().follower
    }

    fn state(&self) -> MutexGuard<'_, WaitState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follower_waits_only_for_events_that_it_does_not_have() {
        let waits = Waits::of_logs([7]);
        waits.followed(7, Seq::new(1, 5));
        for (log, sequence) in [(7, 5), (7, 4), (8, 9)] {
            waits.appended(log, Seq::new(1, sequence), Duration::from_secs(3));
        }
        waits.followed(7, Seq::new(1, 9));
        assert_eq!((waits.longest_append(), waits.longest_follower()), (Duration::from_secs(3), Duration::ZERO));
        waits.appended(7, Seq::new(1, 12), Duration::ZERO);
        waits.followed(7, Seq::new(1, 11));
        assert_eq!(waits.longest_follower(), Duration::ZERO);
        waits.followed(7, Seq::new(1, 12));
        assert!(waits.longest_follower() > Duration::ZERO);
    }
}
