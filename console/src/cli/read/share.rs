//! The share of one log in the memory of a read of several.

use hourlog::wire::{PAGE_EVENTS_MAX, ReplayRequest};

/// The most events in the pages of all logs together. An event takes about 300 bytes beside its data.
const EVENTS_MAX: usize = 200_000;
/// The most bytes of data and metadata in the pages of all logs together.
const BYTES_MAX: usize = 64 << 20;
/// Pages of a log in memory: the one that is printed, and the next one.
const PAGES_PER_LOG: usize = 2;
/// Smallest size of a page, in bytes. With a smaller one, every few events cost a request.
const PAGE_BYTES_MIN: usize = 16 << 10;
/// The most bytes of a page, which is the service's default.
const PAGE_BYTES_MAX: usize = 512 << 10;

/// The size of a page of one among several logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    /// The most events of a page.
    pub(super) events: u32,
    /// The most bytes of a page; `None` for the service's default.
    bytes: Option<u32>,
}

impl Share {
    /// Returns the share of one log among `logs`.
    pub(super) fn of(logs: usize) -> Self {
        if logs <= 1 {
            return Self { events: PAGE_EVENTS_MAX, bytes: None };
        }
        let pages = logs * PAGES_PER_LOG;
        let events = u32::try_from(EVENTS_MAX / pages).unwrap_or(PAGE_EVENTS_MAX);
        let bytes = u32::try_from((BYTES_MAX / pages).clamp(PAGE_BYTES_MIN, PAGE_BYTES_MAX)).ok();
        Self { events: events.clamp(1, PAGE_EVENTS_MAX), bytes }
    }

    /// Returns the request with pages of this size.
    pub(super) fn bound(self, request: ReplayRequest) -> ReplayRequest {
        ReplayRequest { max_bytes: self.bytes, ..request }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_of_all_logs_are_bounded_together() {
        assert_eq!(Share::of(1), Share { events: PAGE_EVENTS_MAX, bytes: None });
        for logs in [2, 12, 256, 1_000] {
            let share = Share::of(logs);
            assert!(share.events as usize * logs * PAGES_PER_LOG <= EVENTS_MAX, "{logs}");
            let bytes = share.bytes.expect("it is bounded") as usize;
            assert!(bytes * logs * PAGES_PER_LOG <= BYTES_MAX, "{logs}");
            assert!(share.events >= 100 && bytes >= PAGE_BYTES_MIN, "{logs}");
        }
    }
}
