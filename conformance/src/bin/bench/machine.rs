//! The machine: its description, the processor time of processes, and what else ran beside a measurement.

use std::{
    fmt, fs,
    hint::black_box,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

use crate::statistics::Surroundings;

/// The steps of a calibration loop: about 10 ms.
const LOOP_STEPS: u64 = 10_000_000;
/// The unit of times in `/proc`, which is the same on all processors that Linux supports today.
const TICK_MILLIS: u64 = 10;
/// The number of writes for probing the speed of a sync.
const PROBE_SYNCS: usize = 20;

/// The machine, as the results describe it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub processor: String,
    pub processors: usize,
    pub memory_gib: u64,
    pub kernel: String,
    /// The median time of a write of 4 KiB with a sync.
    pub sync_micros: u64,
}

impl Machine {
    pub(crate) fn probe() -> Self {
        let value = |path: &str, name: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.split_once(':'));
            line.map_or_else(String::new, |(_, value)| value.trim().to_owned())
        };
        let memory = value("/proc/meminfo", "MemTotal");
        let kib: u64 = memory.split(' ').next().and_then(|kib| kib.parse().ok()).unwrap_or(0);
        Self {
            processor: value("/proc/cpuinfo", "model name"),
            processors: processors(),
            memory_gib: kib.div_ceil(1 << 20),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            sync_micros: u64::try_from(sync_probe().as_micros()).unwrap_or(u64::MAX),
        }
    }

    /// Returns true if results of both can be compared.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        (&self.processor, self.processors, self.memory_gib) == (&other.processor, other.processors, other.memory_gib)
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processor, processors, memory_gib, kernel, sync_micros } = self;
        write!(
            f,
            "{processors} × {processor}, {memory_gib} GiB, kernel {kernel}, a write of 4 KiB with a sync in {sync_micros} µs"
        )
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Measures the median time of a small write with a sync.
fn sync_probe() -> Duration {
    let directory = tempfile::tempdir().expect("a temporary directory can be created");
    let mut file = fs::File::create(directory.path().join("probe")).expect("a file can be created");
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

/// Returns the processor time of this process, of all threads.
pub(crate) fn own_cpu() -> Duration {
    usage(UsageWho::RUSAGE_SELF)
}

fn usage(who: UsageWho) -> Duration {
    let usage = getrusage(who).expect("a process can read its own usage");
    let of = |time: nix::sys::time::TimeVal| {
        Duration::new(time.tv_sec().unsigned_abs(), time.tv_usec().unsigned_abs() as u32 * 1_000)
    };
    of(usage.user_time()) + of(usage.system_time())
}

/// Returns the processor time of a running process, in steps of 10 ms.
///
/// # Panics
/// If `/proc` does not have it.
pub(crate) fn cpu_of(process: u32) -> Duration {
    let stat = Stat::read(&format!("/proc/{process}/stat")).expect("the process runs, on Linux");
    from_ticks(stat.own_ticks)
}

/// Returns the resident memory of a running process.
///
/// # Panics
/// If `/proc` does not have it.
pub(crate) fn resident_bytes(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the process runs, on Linux");
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<u64>().ok()).expect("Linux reports VmRSS in kB") * 1024
}

/// Returns the bytes of the files below `directory`.
pub(crate) fn disk_bytes(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
        Ok(metadata) => allocated(&metadata),
        // Removed meanwhile.
        Err(_) => 0,
    };
    entries.filter_map(Result::ok).map(size).sum()
}

/// Returns the room of a file on its disk: a file may be longer than what is written of it.
#[cfg(unix)]
fn allocated(metadata: &fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    metadata.blocks() * 512
}

#[cfg(not(unix))]
fn allocated(metadata: &fs::Metadata) -> u64 {
    metadata.len()
}

/// The fields of `/proc/PID/stat` that are needed here.
#[derive(Debug)]
struct Stat {
    parent: u32,
    /// User and system time.
    own_ticks: u64,
    /// The same, of children that it has waited for.
    children_ticks: u64,
}

impl Stat {
    fn read(path: &str) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        // The name of the program is in brackets and may hold blanks.
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self {
            parent: u32::try_from(number(1)?).ok()?,
            own_ticks: number(11)? + number(12)?,
            children_ticks: number(13)? + number(14)?,
        })
    }
}

fn from_ticks(ticks: u64) -> Duration {
    Duration::from_millis(ticks * TICK_MILLIS)
}

/// The state of the machine at one moment.
#[derive(Debug)]
pub(crate) struct Moment {
    at: Instant,
    busy: Duration,
    stolen: Duration,
    /// The time of this process and of all that it started.
    own: Duration,
    calibration: Duration,
}

impl Moment {
    pub(crate) fn now() -> Self {
        let calibration = calibrate();
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        let first = text.lines().next().unwrap_or_default();
        let ticks: Vec<u64> = first.split_whitespace().skip(1).filter_map(|ticks| ticks.parse().ok()).collect();
        let at = |index: usize| ticks.get(index).copied().unwrap_or(0);
        // user, nice, system, idle, iowait, irq, softirq, steal
        let busy = from_ticks(at(0) + at(1) + at(2) + at(5) + at(6));
        Self { at: Instant::now(), busy, stolen: from_ticks(at(7)), own: family_cpu(), calibration }
    }

    /// Returns what happened since `before`. `fastest` is the fastest calibration loop so far.
    pub(crate) fn since(&self, before: &Self, fastest: &mut Duration) -> Surroundings {
        *fastest = (*fastest).min(self.calibration).min(before.calibration);
        let all = (self.at - before.at).as_secs_f64() * processors() as f64;
        let foreign = (self.busy - before.busy).saturating_sub(self.own - before.own);
        Surroundings {
            foreign_share: foreign.as_secs_f64() / all,
            stolen_share: (self.stolen - before.stolen).as_secs_f64() / all,
            loop_times: self.calibration.max(before.calibration).as_secs_f64() / fastest.as_secs_f64(),
        }
    }
}

/// Returns the time of a loop of fixed work.
fn calibrate() -> Duration {
    let begun = Instant::now();
    let mut value = 1_u64;
    for step in 0..LOOP_STEPS {
        value = black_box(value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step));
    }
    black_box(value);
    begun.elapsed()
}

/// Returns the processor time of this process and of its children, with those that have ended.
fn family_cpu() -> Duration {
    let this = std::process::id();
    let processes = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let stats = processes.filter_map(|entry| Stat::read(entry.path().join("stat").to_str()?));
    let children: u64 = stats.filter(|stat| stat.parent == this).map(|stat| stat.own_ticks + stat.children_ticks).sum();
    own_cpu() + usage(UsageWho::RUSAGE_CHILDREN) + from_ticks(children)
}
