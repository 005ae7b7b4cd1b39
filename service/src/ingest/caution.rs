//! When the ingest reads messages raw, because the client may be unable to read the next ones.
//!
//! A pure rule. Time is an argument.

use std::time::{Duration, Instant};

/// Time without poison after which the client reads again. Each poison message that it meets costs a
/// connection, which delays everybody by some tenths of a second.
const QUIET: Duration = Duration::from_secs(30);

/// Knowledge about poison in the stream: messages that the client cannot read.
#[derive(Debug, Default)]
pub(super) struct Caution {
    /// The next message may be the one that interrupted the client.
    is_suspicious: bool,
    /// The time at which poison was last read.
    poison_at: Option<Instant>,
}

impl Caution {
    /// Notes that reading was interrupted: the next message may be the cause.
    pub(super) fn suspect(&mut self) {
        self.is_suspicious = true;
    }

    /// Notes that messages were read raw, or that there was none. Returns true for the first poison
    /// after a quiet time.
    pub(super) fn has_read(&mut self, poison: bool, now: Instant) -> bool {
        self.is_suspicious = false;
        let was_quiet = !self.reads_raw(now);
        if poison {
            self.poison_at = Some(now);
        }
        poison && was_quiet
    }

    /// Returns true if the next messages are to be read raw.
    pub(super) fn reads_raw(&self, now: Instant) -> bool {
        self.is_suspicious || self.poison_at.is_some_and(|at| now.saturating_duration_since(at) < QUIET)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_an_interruption_one_message_is_read_raw() {
        let (mut caution, now) = (Caution::default(), Instant::now());
        assert!(!caution.reads_raw(now));
        caution.suspect();
        assert!(caution.reads_raw(now));
        assert!(!caution.has_read(false, now));
        assert!(!caution.reads_raw(now));
    }

    #[test]
    fn after_poison_messages_are_read_raw_until_it_was_quiet() {
        let (mut caution, begun) = (Caution::default(), Instant::now());
        caution.suspect();
        assert!(caution.has_read(true, begun));
        let next = begun + QUIET / 2;
        assert!(!caution.has_read(true, next), "the flood is one");
        assert!(caution.reads_raw(next + QUIET - Duration::from_millis(1)));
        assert!(!caution.reads_raw(next + QUIET));
        caution.suspect();
        assert!(caution.has_read(true, next + QUIET));
    }
}
