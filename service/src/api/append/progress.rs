//! The progress of an append, for the error of one that does not end.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hourlog::Sent;

/// No sequence: nothing was published. Sequences begin at 1.
const NOT_SENT: u64 = 0;
/// No sequence: the record was published, and the stream has not acknowledged it.
const PUBLISHING: u64 = u64::MAX;

/// How far a record has come: its sequence in the stream, or one of two states before that. One number, because
/// every request has it.
#[derive(Debug, Default)]
pub(crate) struct Progress(AtomicU64);

impl Progress {
    /// The record is not in the stream.
    pub(in crate::api) fn not_sent(&self) {
        self.0.store(NOT_SENT, Relaxed);
    }

    /// The record is about to be published.
    pub(in crate::api) fn publishing(&self) {
        self.0.store(PUBLISHING, Relaxed);
    }

    /// The stream has acknowledged the record.
    pub(super) fn in_stream(&self, sequence: u64) {
        self.0.store(sequence, Relaxed);
    }

    /// Returns the state of the record, which was published to `stream`.
    pub(crate) fn sent(&self, stream: &str) -> Sent {
        match self.0.load(Relaxed) {
            NOT_SENT => Sent::No,
            PUBLISHING => Sent::Unknown,
            sequence => Sent::InStream { stream: stream.into(), sequence },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_not_sent_then_unknown_then_in_the_stream() {
        let progress = Progress::default();
        assert_eq!(progress.sent("S"), Sent::No);
        progress.publishing();
        assert_eq!(progress.sent("S"), Sent::Unknown);
        progress.in_stream(42);
        assert_eq!(progress.sent("S"), Sent::InStream { stream: "S".into(), sequence: 42 });
        progress.not_sent();
        assert_eq!(progress.sent("S"), Sent::No);
    }
}
