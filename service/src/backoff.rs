//! Waiting a little longer after each failure, and never all at the same time.

use std::time::Duration;

/// The pauses between attempts: doubling from `first` to `most`, each shortened by up to a half at random.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, failures: 0 }
    }

    /// The pause after one more failure.
    pub(crate) fn next(&mut self) -> Duration {
        let doubled = self.first.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        doubled.min(self.most).mul_f64(rand::random_range(0.5..=1.0))
    }

    /// It went well: the next pause is the first again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}
