//! The rule that tells an ingest that stands still from one that has nothing to do.

use std::time::Duration;

/// Interval between two observations.
pub(super) const OBSERVE_EVERY: Duration = Duration::from_secs(1);
/// Time without progress after which the ingest is asked to check the stream: the messages that wait
/// may have been removed, and nothing else would tell.
const CHECK_AFTER: Duration = Duration::from_secs(10);
/// Time without progress after which the ingest counts as stalled. Far longer than any timeout of
/// the archive, whose failures are reported as such.
pub(super) const STALLED_AFTER: Duration = Duration::from_secs(30);

/// A source at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Observation {
    /// The sequence up to which everything is archived.
    pub(super) archived: u64,
    /// Number of messages that wait.
    pub(super) waiting: u64,
    /// True if a fault is known that keeps them waiting.
    pub(super) is_explained: bool,
}

/// The judgement of an observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing waits, or something was archived lately, or the reason is known.
    Fine,
    /// Nothing was archived for some time. The ingest should check the stream.
    Check,
    /// Nothing was archived for too long, and no fault explains it.
    Stalled,
}

/// The observations of one source so far.
#[derive(Debug, Default)]
pub(super) struct Stall {
    archived: Option<u64>,
    /// Observed time without progress.
    stands: Duration,
}

impl Stall {
    /// Judges an observation, `passed` after the one before it.
    pub(super) fn observe(&mut self, seen: Observation, passed: Duration) -> Verdict {
        let moved = self.archived.replace(seen.archived) != Some(seen.archived);
        if moved || seen.waiting == 0 || seen.is_explained {
            self.stands = Duration::ZERO;
            return Verdict::Fine;
        }
        let before = self.stands;
        // A process that was paused has observed nothing meanwhile.
        self.stands += passed.min(OBSERVE_EVERY * 2);
        if self.stands >= STALLED_AFTER {
            Verdict::Stalled
        } else if before < CHECK_AFTER && self.stands >= CHECK_AFTER {
            Verdict::Check
        } else {
            Verdict::Fine
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITS: Observation = Observation { archived: 7, waiting: 3, is_explained: false };

    /// Returns the verdicts on these observations, a second apart.
    fn verdicts(stall: &mut Stall, seen: Observation, count: usize) -> Vec<Verdict> {
        (0..count).map(|_| stall.observe(seen, OBSERVE_EVERY)).collect()
    }

    #[test]
    fn an_ingest_is_stalled_once_messages_have_waited_for_half_a_minute() {
        let mut stall = Stall::default();
        let seen = verdicts(&mut stall, WAITS, 31);
        assert_eq!(seen.iter().position(|verdict| *verdict == Verdict::Check), Some(10));
        assert_eq!(seen.iter().position(|verdict| *verdict == Verdict::Stalled), Some(30));
        assert_eq!(seen.iter().filter(|verdict| **verdict == Verdict::Check).count(), 1);
        assert_eq!(stall.observe(Observation { archived: 8, ..WAITS }, OBSERVE_EVERY), Verdict::Fine);
        assert!(!verdicts(&mut stall, Observation { archived: 8, ..WAITS }, 29).contains(&Verdict::Stalled));
    }

    #[test]
    fn progress_an_empty_queue_and_a_known_fault_begin_the_time_again() {
        for seen in [
            Observation { archived: 8, ..WAITS },
            Observation { archived: 2, ..WAITS },
            Observation { waiting: 0, ..WAITS },
            Observation { is_explained: true, ..WAITS },
        ] {
            let mut stall = Stall::default();
            verdicts(&mut stall, WAITS, 30);
            assert_eq!(stall.observe(seen, OBSERVE_EVERY), Verdict::Fine, "{seen:?}");
            assert!(!verdicts(&mut stall, WAITS, 29).contains(&Verdict::Stalled), "{seen:?}");
        }
    }

    #[test]
    fn a_pause_of_the_process_is_no_stall() {
        let mut stall = Stall::default();
        verdicts(&mut stall, WAITS, 2);
        assert_eq!(stall.observe(WAITS, Duration::from_secs(3_600)), Verdict::Fine);
    }
}
