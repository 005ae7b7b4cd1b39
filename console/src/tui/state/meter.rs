//! The rates of a counter that is read again and again.

use std::collections::VecDeque;

use hourlog::time::{MINUTE, SECOND};

/// Longest time between two readings that makes a rate. A mean over a longer one is not the rate of now.
const STRETCH_MAX_NANOS: i64 = 6 * SECOND;
/// Time for which rates are kept.
const KEPT_NANOS: i64 = MINUTE;

/// The readings of a counter. Times are nanoseconds of any clock, always the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter {
    last: Option<(i64, u64)>,
    /// The time between two readings each, the newest last.
    stretches: VecDeque<Stretch>,
}

/// The counts between two readings.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    from: i64,
    to: i64,
    count: u64,
}

impl Stretch {
    fn per_second(self) -> f64 {
        self.count as f64 * SECOND as f64 / (self.to - self.from).max(1) as f64
    }

    /// Returns the nanoseconds that it has in common with a time.
    fn overlap(self, from: i64, to: i64) -> i64 {
        (self.to.min(to) - self.from.max(from)).max(0)
    }
}

impl Meter {
    /// Takes a reading in. A counter that is lower than before has begun again, and so do its rates.
    pub(crate) fn read(&mut self, at: i64, count: u64) {
        match self.last {
            Some((before, known)) if at <= before || count < known => self.stretches.clear(),
            Some((before, known)) if at - before <= STRETCH_MAX_NANOS => {
                self.stretches.push_back(Stretch { from: before, to: at, count: count - known });
            }
            _ => {}
        }
        self.last = Some((at, count));
        while self.stretches.front().is_some_and(|oldest| oldest.to <= at.saturating_sub(KEPT_NANOS)) {
            self.stretches.pop_front();
        }
    }

    /// Notes that the counter was not read for a while.
    pub(crate) fn pause(&mut self) {
        self.last = None;
    }

    /// Returns the counts per second between the last two readings.
    pub(crate) fn rate(&self) -> Option<f64> {
        let (at, _) = self.last?;
        self.stretches.back().filter(|newest| newest.to == at).map(|newest| newest.per_second())
    }

    /// Returns the rates of the minute before the last reading, in equal slots. One that was not read for half of its time
    /// is unknown.
    pub(crate) fn strip(&self, slots: usize) -> Vec<Option<f64>> {
        let Some((until, _)) = self.last else { return vec![None; slots] };
        let length = KEPT_NANOS / (slots.max(1) as i64);
        let begin = until.saturating_sub(length * slots as i64);
        let rate = |slot: usize| {
            let from = begin.saturating_add(length * slot as i64);
            let known = self.stretches.iter().map(|stretch| (stretch.overlap(from, from + length), stretch));
            let (mut nanos, mut sum) = (0, 0.0);
            for (overlap, stretch) in known {
                nanos += overlap;
                sum += overlap as f64 * stretch.per_second();
            }
            (nanos * 2 >= length).then(|| sum / nanos as f64)
        };
        (0..slots).map(rate).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(readings: &[(i64, u64)]) -> Meter {
        let mut meter = Meter::default();
        for (seconds, count) in readings {
            meter.read(seconds * SECOND, *count);
        }
        meter
    }

    #[test]
    fn a_rate_needs_two_readings_and_is_their_difference() {
        assert_eq!(meter(&[]).rate(), None);
        assert_eq!(meter(&[(100, 50)]).rate(), None);
        assert_eq!(meter(&[(100, 50), (102, 50)]).rate(), Some(0.0));
        assert_eq!(meter(&[(100, 50), (102, 50), (104, 57)]).rate(), Some(3.5));
    }

    #[test]
    fn a_counter_that_begins_again_has_no_rate_until_the_next_reading() {
        let mut meter = meter(&[(100, 50), (102, 60), (104, 3)]);
        assert_eq!(meter.rate(), None);
        assert!(meter.strip(30).iter().all(Option::is_none));
        meter.read(106 * SECOND, 7);
        assert_eq!(meter.rate(), Some(2.0));
    }

    #[test]
    fn a_pause_is_a_hole_and_not_a_mean() {
        let mut meter = meter(&[(100, 0), (102, 20), (120, 900), (122, 904)]);
        assert_eq!(meter.rate(), Some(2.0));
        let strip = meter.strip(30);
        assert_eq!((strip[29], strip[28], strip[19], strip[20]), (Some(2.0), None, Some(10.0), None));
        meter.pause();
        assert_eq!(meter.rate(), None);
    }

    #[test]
    fn a_strip_is_the_last_minute_in_equal_slots() {
        let readings: Vec<(i64, u64)> = (0..50).map(|reading| (reading * 2, (reading * reading) as u64)).collect();
        let meter = meter(&readings);
        // From reading 19 to reading 49, the number grows by twice its own and one.
        let strip: Vec<f64> = meter.strip(30).into_iter().flatten().collect();
        let expected: Vec<f64> = (19..49).map(|reading| f64::from(reading) + 0.5).collect();
        assert_eq!(strip, expected);
        // A slot of several readings has their mean.
        assert_eq!(meter.strip(15)[14], Some(48.0));
        assert_eq!(meter.stretches.len(), 30, "older ones are dropped");
    }

    #[test]
    fn readings_with_uneven_pauses_leave_no_holes() {
        let mut meter = Meter::default();
        for reading in 0..40_i64 {
            let jitter = [0, 310, -120, 40][reading as usize % 4] * 1_000_000;
            meter.read(reading * 2_050_000_000 + jitter, reading as u64);
        }
        assert!(meter.strip(30).iter().all(Option::is_some));
    }
}
