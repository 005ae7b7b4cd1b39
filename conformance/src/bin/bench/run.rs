//! The measurement of one side in one round.

use std::time::Duration;

/// One side of one round.
#[derive(Debug, Clone, Default)]
pub(crate) struct Run {
    pub events: u64,
    pub wall: Duration,
    /// Processor time by process.
    pub cpu: Vec<(&'static str, Duration)>,
    pub p50_micros: f64,
    pub p99_micros: f64,
}

impl Run {
    pub(crate) fn rate(&self) -> f64 {
        self.events as f64 / self.wall.as_secs_f64()
    }

    /// Returns the processor time of a process for each event, in microseconds.
    pub(crate) fn cpu_micros(&self, process: &str) -> f64 {
        let cpu = self.cpu.iter().find(|(name, _)| *name == process).map_or(Duration::ZERO, |(_, cpu)| *cpu);
        cpu.as_secs_f64() * 1e6 / self.events as f64
    }
}
