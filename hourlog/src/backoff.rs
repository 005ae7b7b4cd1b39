//! Growing pauses between retries, with jitter.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

/// The pauses between attempts: doubled from `first` up to `max`, each shortened by up to a half at random.
///
/// The jitter keeps clients that failed together from retrying together.
///
/// ```
/// use std::time::Duration;
/// use hourlog::nats::Backoff;
///
/// let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(3));
/// assert!(backoff.next_pause() <= Duration::from_millis(100));
/// assert!(backoff.next_pause() <= Duration::from_millis(200));
/// backoff.reset();
/// assert!(backoff.next_pause() <= Duration::from_millis(100));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// Pauses from `first` to `max`.
    pub const fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, failures: 0 }
    }

    /// Returns the pause after one more failure.
    pub fn next_pause(&mut self) -> Duration {
        let doubled = self.first.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        // The seed of the standard library's hash maps is random enough for jitter.
        let random = RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64;
        doubled.min(self.max).mul_f64(0.5 + random / 2.0)
    }

    /// Starts again with the first pause, after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_maximum_and_are_never_shorter_than_half_of_it() {
        let (first, max) = (Duration::from_millis(100), Duration::from_secs(3));
        let mut backoff = Backoff::new(first, max);
        for expected in [100, 200, 400, 800, 1_600, 3_000, 3_000].map(Duration::from_millis) {
            let pause = backoff.next_pause();
            assert!(expected / 2 <= pause && pause <= expected, "{pause:?} after {expected:?}");
        }
    }
}
