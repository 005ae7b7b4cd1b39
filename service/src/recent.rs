//! The events of a log that arrived lately, counted in windows of five seconds.
//!
//! An event counts once it is archived, once however often it is written, in the window of its arrival time
//! by JetStream's clock. So a count is the number of events that a reader finds in that window.

use std::sync::{Mutex, PoisonError};

use hourlog::{
    Offset, Seq,
    store::EventRow,
    time::SECOND,
    wire::{RECENT_WINDOW_SECONDS, RECENT_WINDOWS_MAX, RecentReply},
};

const WINDOW_NANOS: i64 = RECENT_WINDOW_SECONDS as i64 * SECOND;
/// Number of windows that are kept: those of a reply, and newer ones, because a reply ends where everything is
/// archived.
const KEPT: usize = 16;

/// The counts of one log, shared by its actor and the supervisor.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<Counts>);

impl Recent {
    /// Counts events that are archived, in the order of their seqs.
    pub(crate) fn add(&self, rows: &[EventRow]) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for EventRow { event, .. } in rows {
            counts.add(event.position.seq, event.arrival_time());
        }
    }

    /// Returns the counts of the newest windows that end by `archived_before`, before which every event is
    /// archived. Events that arrived before `from` are not known.
    pub(crate) fn reply(&self, from: Offset, archived_before: Offset) -> RecentReply {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).reply(from, archived_before)
    }

    /// Returns the counts of a log that has had no event since `from`.
    pub(crate) fn nothing(from: Offset, archived_before: Offset) -> RecentReply {
        Counts::default().reply(from, archived_before)
    }

    /// Returns true if a reply with this end may hold events.
    pub(crate) fn matters(&self, archived_before: Offset) -> bool {
        let newest = self.0.lock().unwrap_or_else(PoisonError::into_inner).newest;
        newest.saturating_add(RECENT_WINDOWS_MAX as i64) >= number(archived_before)
    }
}

/// Counts by window. Windows have numbers, from 1970 on.
#[derive(Debug)]
struct Counts {
    /// The greatest seq that is counted.
    counted_to: Seq,
    /// The number of the newest window with an event.
    newest: i64,
    /// The number of the first window that is known.
    first: i64,
    /// The counts of the newest windows, each at its number modulo their number. A window of five seconds holds
    /// fewer than 2³² events.
    counts: [u32; KEPT],
}

impl Default for Counts {
    fn default() -> Self {
        Self { counted_to: Seq::MIN, newest: i64::MIN, first: i64::MIN, counts: [0; KEPT] }
    }
}

impl Counts {
    fn add(&mut self, seq: Seq, arrived: Offset) {
        if seq <= self.counted_to {
            return;
        }
        self.counted_to = seq;
        // Most events are in the newest window, and a division takes as long as the rest.
        let into = arrived.nanos().wrapping_sub(self.newest.wrapping_mul(WINDOW_NANOS));
        let number = if (0..WINDOW_NANOS).contains(&into) { self.newest } else { number(arrived) };
        let ahead = number.saturating_sub(self.newest);
        if ahead > 0 {
            for cleared in 0..ahead.min(KEPT as i64) {
                self.counts[slot(number - cleared)] = 0;
            }
            self.newest = number;
        } else if ahead <= -(KEPT as i64) {
            // JetStream's clock was set back.
            (self.newest, self.first, self.counts) = (number, number + 1, [0; KEPT]);
        }
        let count = &mut self.counts[slot(number)];
        *count = count.saturating_add(1);
    }

    fn reply(&self, from: Offset, archived_before: Offset) -> RecentReply {
        let end = number(archived_before);
        let first = number(from.saturating_add_nanos(WINDOW_NANOS - 1))
            .max(self.first)
            .max(self.newest.saturating_sub(KEPT as i64 - 1))
            .max(end - RECENT_WINDOWS_MAX as i64);
        let count = |number| if number > self.newest { 0 } else { self.counts[slot(number)] };
        RecentReply {
            to: Offset::from_nanos(end.saturating_mul(WINDOW_NANOS)),
            counts: (first..end).map(count).collect(),
        }
    }
}

/// Returns the number of the window that `time` lies in.
fn number(time: Offset) -> i64 {
    time.nanos().div_euclid(WINDOW_NANOS)
}

fn slot(number: i64) -> usize {
    number.rem_euclid(KEPT as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourlog::time::DAY;
    use proptest::prelude::*;

    const START: Offset = Offset::from_nanos(20_000 * DAY);

    fn at(millis: i64) -> Offset {
        START.saturating_add_nanos(millis * 1_000_000)
    }

    fn counted(events: &[(u64, i64)]) -> Counts {
        let mut counts = Counts::default();
        for (seq, millis) in events {
            counts.add(Seq::new(1, *seq), at(*millis));
        }
        counts
    }

    #[test]
    fn each_event_counts_once_in_the_window_of_its_arrival() {
        let counts = counted(&[(1, 0), (2, 4_999), (3, 5_000), (2, 4_999), (3, 5_000), (4, 20_000)]);
        let reply = counts.reply(at(-100_000), at(25_000));
        assert_eq!((reply.to, reply.counts), (at(25_000), vec![0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 1]));
        // The window that has not ended is left out.
        let reply = counts.reply(at(-100_000), at(24_999));
        assert_eq!((reply.to, reply.counts), (at(20_000), vec![0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0]));
    }

    #[test]
    fn a_service_that_runs_for_20_seconds_knows_four_windows() {
        let counts = counted(&[(1, 1_000), (2, 19_000)]);
        assert_eq!(counts.reply(at(0), at(20_000)).counts, [1, 0, 0, 1]);
        assert_eq!(counts.reply(at(1), at(20_000)).counts, [0, 0, 1], "the first window is known in part only");
        assert_eq!(counts.reply(at(19_000), at(20_000)).counts, [0; 0]);
        assert_eq!(Recent::nothing(at(0), at(20_000)).counts, [0; 4]);
    }

    #[test]
    fn windows_that_are_not_kept_are_not_called_empty() {
        // The archive lags behind what is written.
        let counts = counted(&[(1, 0), (2, 60_000), (3, 90_000)]);
        assert_eq!(counts.reply(at(-100_000), at(30_000)).counts, [0; 3]);
        assert_eq!(counts.reply(at(-100_000), at(65_000)).counts, [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn a_clock_that_was_set_back_begins_again() {
        let counts = counted(&[(1, 0), (2, 3_600_000), (3, 10_000), (4, 15_000)]);
        assert_eq!(counts.reply(at(-100_000), at(25_000)).counts, [1, 0]);
    }

    proptest! {
        #[test]
        fn a_reply_counts_what_arrived_in_its_windows(
            mut arrived in prop::collection::vec(0..120_000_i64, 0..300),
            from in 0..60_000_i64,
            end in 0..150_000_i64,
        ) {
            arrived.sort_unstable();
            let events: Vec<(u64, i64)> = (1..).zip(arrived.iter().copied()).collect();
            let reply = counted(&events).reply(at(from), at(end));
            let windows = reply.counts.len() as i64;
            let mut begin = reply.to.saturating_add_nanos(-windows * WINDOW_NANOS);
            prop_assert!(windows == 0 || begin >= at(from) && reply.to <= at(end));
            for count in &reply.counts {
                let window = begin..begin.saturating_add_nanos(WINDOW_NANOS);
                let expected = arrived.iter().filter(|millis| window.contains(&at(**millis))).count();
                prop_assert_eq!(*count as usize, expected);
                begin = window.end;
            }
        }
    }
}
