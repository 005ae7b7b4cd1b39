//! The metrics of the service. None has a label with a log id: the number of logs has no limit.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use hourlog::{Offset, time::SECOND};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge, info::Info},
    registry::Registry,
};

use crate::{
    health::{Health, SourceHealth},
    losses::Missing,
};

/// Returns the registry of all metrics of the service and its process.
pub(crate) fn registry(health: &Arc<Health>) -> Registry {
    let mut registry = Registry::default();
    let own = registry.sub_registry_with_prefix("hourlog");
    own.register("build", "Version of the service", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
    health.counters.register(own);
    own.register_collector(Box::new(State { health: Arc::clone(health) }));
    #[cfg(target_os = "linux")]
    registry.register_collector(Box::new(Process));
    registry
}

/// Collector that reads the state at each scrape.
#[derive(Debug)]
struct State {
    health: Arc<Health>,
}

impl Collector for State {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let health = &self.health;
        gauge(
            &mut encoder,
            "archive_up",
            "1 while the archive accepts writes, otherwise 0",
            i64::from(health.archive.is_healthy()),
        )?;
        let clock_ahead = health.time.clock_ahead_nanos() as f64 / SECOND as f64;
        let help = "Seconds by which the service's clock is ahead of JetStream's";
        gauge(&mut encoder, "clock_ahead_seconds", help, clock_ahead)?;
        gauge(&mut encoder, "actors", "Logs with a running actor", number(health.actors.load(Relaxed) as u64))?;
        let assignment = health.ownership.assignment();
        let help = "Slots that this instance writes; 64 in all instances together";
        gauge(&mut encoder, "slots_owned", help, number(assignment.own.len() as u64))?;
        let help = "Instances over this archive that this one takes for alive, itself included";
        gauge(&mut encoder, "instances", help, number(assignment.others.len() as u64 + 1))?;
        if let Some(disk) = health.counters.disk() {
            for (name, help, bytes) in [
                ("archive_journal_bytes", "Bytes of the archive's journals", disk.journal_bytes),
                ("archive_table_bytes", "Bytes of the archive's tables", disk.table_bytes),
                ("archive_disk_free_bytes", "Free bytes of the archive's disk", disk.free_bytes),
                ("archive_disk_bytes", "Size of the archive's disk in bytes", disk.total_bytes),
            ] {
                gauge(&mut encoder, name, help, number(bytes))?;
            }
        }
        for (name, help, value) in [
            (
                "archive_rollbacks",
                "Rollbacks: times that an archive node recovered and the newest events were read again",
                health.rollbacks.load(Relaxed),
            ),
            (
                "replies_dropped",
                "Requests dropped because their reply subject is not an inbox",
                health.replies_dropped.load(Relaxed),
            ),
            ("sweeps", "Sweeps of logs that keep their events for a time", health.sweeps.load(Relaxed)),
            (
                "buckets_removed",
                "Buckets removed by sweeps, purges and deletions",
                health.buckets_removed.load(Relaxed),
            ),
            ("events_removed", "Events removed by sweeps, purges and deletions", health.events_removed.load(Relaxed)),
            ("actors_failed", "Log actors that ended with a panic or an error", health.actors_failed.load(Relaxed)),
        ] {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        encode_sources(&mut encoder, &health.sources, health.time.now())
    }
}

/// A metric of each source: its name, its description, and how to read it.
type OfSource<T> = (&'static str, &'static str, fn(&SourceHealth) -> T);

const SOURCE_GAUGES: [OfSource<i64>; 16] = [
    ("stream_up", "1 while the stream can be read, otherwise 0", |source| i64::from(source.nats.is_healthy())),
    ("stream_settings_ok", "1 while the stream's settings are safe for events, otherwise 0", |source| {
        i64::from(source.settings.is_healthy())
    }),
    ("stream_answers", "1 while the stream answers the service's questions, otherwise 0", |source| {
        i64::from(source.answering.is_healthy())
    }),
    ("stream_stores", "1 while the stream stores messages, 0 while its files fail or it is full", |source| {
        i64::from(source.stores())
    }),
    ("ingest_moves", "0 while messages wait, none is archived and no other fault explains it, otherwise 1", |source| {
        i64::from(source.progress.is_healthy())
    }),
    ("archived_sequence", "Sequence of the stream up to which all messages are archived", |source| {
        number(*source.archived.borrow())
    }),
    ("catch_up_messages", "Messages to read again before readers get replies; 0 when caught up", |source| {
        number(source.catch_up_lag())
    }),
    (
        "max_time_seconds",
        "Greatest arrival time of a message so far, in seconds since 1970; 0 if there was none",
        |source| source.max_time().map_or(0, |time| time.nanos() / SECOND),
    ),
    ("wal_bytes", "Bytes of the stream's messages, at the last check", |source| number(source.fill().0)),
    ("wal_bytes_max", "Limit of the stream in bytes; 0 for none", |source| number(source.fill().1.unwrap_or(0))),
    (
        "awaited_messages",
        "Messages that were read and are not in the stream, because it is gone, being restored, or has lost them; 0 while reading goes on",
        |source| number(source.awaited.load(Relaxed)),
    ),
    ("fork_lost_first_sequence", "First sequence that the stream lost in its last fork; 0 if none", |source| {
        number(source.with_losses(|losses| losses.fork.and_then(|fork| fork.lost)).map_or(0, |lost| lost.0))
    }),
    ("fork_lost_last_sequence", "Last sequence that the stream lost in its last fork; 0 if none", |source| {
        number(source.with_losses(|losses| losses.fork.and_then(|fork| fork.lost)).map_or(0, |lost| lost.1))
    }),
    (
        "fork_missing_messages",
        "Messages that the stream lost in its last fork and the archive does not hold either",
        |source| {
            let missing = source.with_losses(|losses| losses.fork.and_then(|fork| fork.missing));
            number(missing.map_or(0, |missing| missing.messages))
        },
    ),
    (
        "set_back_first_sequence",
        "First sequence that neither archive nor stream had at the last start on a set-back archive; 0 if none",
        |source| number(last_set_back(source).map_or(0, |missing| missing.first)),
    ),
    (
        "set_back_last_sequence",
        "Last sequence that neither archive nor stream had at the last start on a set-back archive; 0 if none",
        |source| number(last_set_back(source).map_or(0, |missing| missing.last)),
    ),
];

const SOURCE_COUNTERS: [OfSource<u64>; 4] = [
    ("forks", "Forks: times that the stream used sequences again", |source| source.with_losses(|losses| losses.forks)),
    ("set_backs", "Starts on an archive that was set back, or whose stream was purged meanwhile", |source| {
        source.with_losses(|losses| losses.set_back_count)
    }),
    ("messages_removed", "Messages that left the stream, or were damaged in it, before they were archived", |source| {
        source.with_losses(|losses| losses.removed_messages)
    }),
    ("messages_poison", "Messages that the client library cannot read, and that were read in another way", |source| {
        source.poison.load(Relaxed)
    }),
];

fn last_set_back(source: &SourceHealth) -> Option<Missing> {
    source.with_losses(|losses| losses.set_backs.last().map(|set_back| set_back.missing))
}

/// Writes the metrics of the sources, each with the name of its stream as label.
fn encode_sources(encoder: &mut DescriptorEncoder<'_>, sources: &[Arc<SourceHealth>], now: Offset) -> fmt::Result {
    for (name, help, value) in SOURCE_GAUGES {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for source in sources {
            metric.encode_family(&[("stream", &*source.stream)])?.encode_gauge(&value(source))?;
        }
    }
    // A lag that is unknown has no series: a 0 would look as if nothing waited.
    let help = "Messages in the stream that are not archived yet; absent while the stream does not answer";
    let mut metric = encoder.encode_descriptor("lag_messages", help, None, MetricType::Gauge)?;
    for source in sources {
        if let Some(lag) = source.lag() {
            metric.encode_family(&[("stream", &*source.stream)])?.encode_gauge(&number(lag))?;
        }
    }
    let help = "Age of the oldest message that was read and is not archived yet; 0 if there is none, absent if unknown";
    let mut metric = encoder.encode_descriptor("lag_seconds", help, None, MetricType::Gauge)?;
    for source in sources {
        if let Some(age) = source.lag_seconds(now) {
            metric.encode_family(&[("stream", &*source.stream)])?.encode_gauge(&age)?;
        }
    }
    for (name, help, value) in SOURCE_COUNTERS {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for source in sources {
            metric
                .encode_family(&[("stream", &*source.stream)])?
                .encode_counter::<NoLabelSet, _, u64>(&value(source), None)?;
        }
    }
    Ok(())
}

/// Collector for the process, with the names that all Prometheus clients use.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct Process;

#[cfg(target_os = "linux")]
impl Collector for Process {
    /// Without `/proc`, there are no metrics of the process. The others still matter.
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let Ok(process) = procfs::process::Process::myself() else { return Ok(()) };
        let (Ok(stat), Ok(booted)) = (process.stat(), procfs::boot_time_secs()) else { return Ok(()) };
        let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
        let cpu = ConstCounter::new(seconds(stat.utime + stat.stime));
        let help = "Processor time of the process in seconds";
        cpu.encode(encoder.encode_descriptor("process_cpu_seconds", help, None, cpu.metric_type())?)?;
        let memory = number(stat.rss.saturating_mul(procfs::page_size()));
        gauge(&mut encoder, "process_resident_memory_bytes", "Resident memory of the process in bytes", memory)?;
        let started = booted as f64 + seconds(stat.starttime);
        gauge(&mut encoder, "process_start_time_seconds", "Start of the process in seconds since 1970", started)?;
        if let Ok(files) = process.fd_count() {
            gauge(&mut encoder, "process_open_fds", "Open file descriptors", number(files as u64))?;
        }
        Ok(())
    }
}

fn gauge<V>(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: V) -> fmt::Result
where
    ConstGauge<V>: EncodeMetric,
{
    let gauge = ConstGauge::new(value);
    gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
}

/// Converts a number for a gauge; values beyond `i64` become its maximum.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
