//! The metrics of the service. None has a label with a log id: the number of logs has no limit.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};

use crate::health::{Component, Health};

/// Collector that reads the state at each scrape.
#[derive(Debug)]
pub(crate) struct Metrics(pub(crate) Arc<Health>);

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let health = &self.0;
        let up = |component| i64::from(health.is_healthy(component));
        let fork = health.last_fork();
        let (lost_from, lost_to) = fork.as_ref().and_then(|fork| fork.lost).unwrap_or_default();
        let gauges = [
            ("archive_up", "1 while the archive accepts writes, otherwise 0", up(Component::Archive)),
            ("stream_up", "1 while the stream can be read, otherwise 0", up(Component::Nats)),
            (
                "stream_settings_ok",
                "1 while the stream's settings are safe for events, otherwise 0",
                up(Component::Wal),
            ),
            ("lag_messages", "Messages in the stream that are not archived yet", gauge_value(health.lag())),
            (
                "archived_sequence",
                "Sequence of the stream up to which all messages are archived",
                gauge_value(*health.archived.borrow()),
            ),
            (
                "catch_up_messages",
                "Messages to read again before readers get replies; 0 when caught up",
                gauge_value(health.catch_up_lag()),
            ),
            ("actors", "Logs with a running actor", gauge_value(health.actors.load(Relaxed) as u64)),
            (
                "fork_lost_first_sequence",
                "First sequence that the stream lost in its last fork; 0 if none",
                gauge_value(lost_from),
            ),
            (
                "fork_lost_last_sequence",
                "Last sequence that the stream lost in its last fork; 0 if none",
                gauge_value(lost_to),
            ),
            (
                "fork_archived_sequence",
                "Sequence up to which the stream was archived before its last fork; 0 if none",
                gauge_value(fork.map_or(0, |fork| fork.archived)),
            ),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let counters = [
            ("forks", "Forks: times that the stream used sequences again", *health.forks.borrow()),
            (
                "archive_rollbacks",
                "Rollbacks: times that an archive node recovered and the newest events were read again",
                health.rollbacks.load(Relaxed),
            ),
            ("events_rejected", "Events stored in the log _rejected", health.rejected.load(Relaxed)),
            (
                "replies_dropped",
                "Requests dropped because their reply subject is not an inbox",
                health.replies_dropped.load(Relaxed),
            ),
            ("actors_failed", "Log actors that ended with a panic or an error", health.actors_failed.load(Relaxed)),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        Ok(())
    }
}

/// Converts a number for a gauge; values beyond `i64` become its maximum.
fn gauge_value(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
