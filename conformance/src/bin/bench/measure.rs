//! Rates, ratios, and the load of the machine during the measurement.

use std::{
    fmt,
    fs::File,
    future::Future,
    io::Write,
    time::{Duration, Instant},
};

use futures_util::future::LocalBoxFuture;
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};

/// The number of writes for probing the speed of a sync.
const PROBE_SYNCS: usize = 20;

/// The time that a number of events took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measurement {
    pub(crate) events: u64,
    pub(crate) wall: Duration,
    /// The CPU time of this process.
    pub(crate) cpu: Duration,
}

impl Measurement {
    /// Measures `work`, which handles `events` events.
    pub(crate) async fn of(events: u64, work: impl Future<Output = ()>) -> Self {
        let (begun, cpu) = (Instant::now(), cpu());
        work.await;
        Self { events, wall: begun.elapsed(), cpu: self::cpu() - cpu }
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.events as f64 / self.wall.as_secs_f64()
    }

    fn cpu_nanos(&self) -> f64 {
        self.cpu.as_nanos() as f64 / self.events as f64
    }
}

fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("a process can read its own usage");
    let of = |time: nix::sys::time::TimeVal| {
        Duration::new(time.tv_sec().unsigned_abs(), time.tv_usec().unsigned_abs() as u32 * 1_000)
    };
    of(usage.user_time()) + of(usage.system_time())
}

/// Returns the upper bound of doing two things one after the other, in events per second.
pub(crate) fn harmonic(one: &Measurement, other: &Measurement) -> f64 {
    1.0 / (1.0 / one.per_second() + 1.0 / other.per_second())
}

/// The speed of a candidate relative to a baseline.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) against: &'static str,
    /// Pairs of a candidate and the rate of its baseline, measured right after each other.
    pub(crate) pairs: Vec<(Measurement, f64)>,
}

impl Figure {
    fn ratios(&self) -> Vec<f64> {
        sorted(self.pairs.iter().map(|(run, baseline)| run.per_second() / baseline))
    }

    pub(crate) fn json(&self) -> Value {
        let ratios = self.ratios();
        json!({
            "name": self.name, "against": self.against, "ratio": median(&ratios), "ratios": ratios,
            "events_per_second": median(&sorted(self.pairs.iter().map(|(run, _)| run.per_second()))),
            "baseline_per_second": median(&sorted(self.pairs.iter().map(|(_, baseline)| *baseline))),
            "cpu_nanos_per_event": median(&sorted(self.pairs.iter().map(|(run, _)| run.cpu_nanos()))),
        })
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ratios = self.ratios();
        write!(
            f,
            "{:<40} {:>5.2}× ({:.2}–{:.2})  {:>9.0}/s against {:>9.0}/s of {}; CPU {:.1} µs per event",
            self.name,
            median(&ratios),
            ratios.first().copied().unwrap_or(f64::NAN),
            ratios.last().copied().unwrap_or(f64::NAN),
            median(&sorted(self.pairs.iter().map(|(run, _)| run.per_second()))),
            median(&sorted(self.pairs.iter().map(|(_, baseline)| *baseline))),
            self.against,
            median(&sorted(self.pairs.iter().map(|(run, _)| run.cpu_nanos()))) / 1_000.0,
        )
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The load of the machine and the speed of its disk.
#[derive(Debug)]
pub(crate) struct Machine {
    load: String,
    sync: Duration,
}

impl Machine {
    pub(crate) fn probe() -> Self {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').take(3).collect::<Vec<_>>().join(" ");
        Self { load, sync: sync_probe() }
    }

    pub(crate) fn json(&self) -> Value {
        json!({ "load": self.load, "sync_micros": self.sync.as_micros() as u64 })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "load {}, one sync of 4 KiB {:?}", self.load, self.sync)
    }
}

/// Measures the median time of a small write with a sync.
pub(crate) fn sync_probe() -> Duration {
    let directory = tempfile::tempdir().expect("a temporary directory can be created");
    let mut file = File::create(directory.path().join("probe")).expect("a file can be created");
    let mut times: Vec<Duration> = (0..PROBE_SYNCS)
        .map(|_| {
            let begun = Instant::now();
            file.write_all(&[7; 4096]).expect("the disk has room");
            file.sync_data().expect("the disk syncs");
            begun.elapsed()
        })
        .collect();
    times.sort();
    times[PROBE_SYNCS / 2]
}

/// Returns true if the speed of the disk changed much during a pair. Such a pair is meaningless.
fn was_disturbed(before: Duration, after: Duration) -> bool {
    const TIMES_MAX: u32 = 3;
    before * TIMES_MAX < after || after * TIMES_MAX < before
}

/// Reports progress on stderr, because the measurements take minutes.
#[expect(clippy::print_stderr, reason = "stdout is for the figures only")]
fn report_progress(time: usize, times: usize, runs: &[Measurement]) {
    let rates: Vec<String> = runs.iter().map(|run| format!("{:.0}/s", run.per_second())).collect();
    eprintln!("run {time} of {times}: {}", rates.join(", "));
}

/// Runs all `sides` `times` times, alternately in order and in reverse order.
///
/// The first `warm_ups` are not counted, nor are those during which the disk was disturbed.
pub(crate) async fn in_turn<'a, const SIDES: usize>(
    times: usize,
    warm_ups: usize,
    sides: [&dyn Fn() -> LocalBoxFuture<'a, Measurement>; SIDES],
) -> Vec<[Measurement; SIDES]> {
    let mut runs = Vec::new();
    for time in 0..warm_ups + times {
        let before = sync_probe();
        let mut run = [None; SIDES];
        for index in 0..SIDES {
            let side = if time % 2 == 0 { index } else { SIDES - 1 - index };
            run[side] = Some(sides[side]().await);
        }
        let run = run.map(|run| run.expect("every side was measured"));
        report_progress(time + 1, warm_ups + times, &run);
        if time >= warm_ups && !was_disturbed(before, sync_probe()) {
            runs.push(run);
        }
    }
    runs
}
