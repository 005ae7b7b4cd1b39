//! The state of the service as numbers. None of them carries the id of a log.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};

use crate::telemetry::{Part, Status};

/// Reads the state each time it is asked.
#[derive(Debug)]
pub(crate) struct Metrics(pub(crate) Arc<Status>);

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let status = &self.0;
        let up = |part| i64::from(status.is_well(part));
        let fork = status.last_fork();
        let (lost_from, lost_to) = fork.as_ref().and_then(|fork| fork.lost).unwrap_or_default();
        let gauges = [
            ("archive_up", "Whether the archive takes writes", up(Part::Archive)),
            ("stream_up", "Whether the stream can be read", up(Part::Nats)),
            ("stream_settings_ok", "Whether the stream's settings lose no events", up(Part::Wal)),
            ("lag_messages", "Messages of the stream that are not archived yet", whole(status.lag())),
            (
                "archived_sequence",
                "The stream's message up to which everything is archived",
                whole(*status.archived.borrow()),
            ),
            (
                "rereading_messages",
                "Messages that are read again before readers are answered",
                whole(status.rereading()),
            ),
            ("actors", "Logs with a running actor", whole(status.actors.load(Relaxed) as u64)),
            (
                "fork_lost_first_sequence",
                "The first message that the stream lost in its last fork; 0 where it lost none",
                whole(lost_from),
            ),
            (
                "fork_lost_last_sequence",
                "The last message that the stream lost in its last fork; 0 where it lost none",
                whole(lost_to),
            ),
            (
                "fork_archived_sequence",
                "The message up to which the archive had the stream before its last fork",
                whole(fork.map_or(0, |fork| fork.archived)),
            ),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let counters = [
            ("forks", "How often the stream has used sequences again", *status.forks.borrow()),
            (
                "archive_set_backs",
                "How often a node of the archive came back, and the newest events were read again",
                status.set_backs.load(Relaxed),
            ),
            ("events_rejected", "Events that went to the log _rejected", status.rejected.load(Relaxed)),
            (
                "replies_dropped",
                "Requests whose reply would have gone elsewhere than to an inbox",
                status.replies_dropped.load(Relaxed),
            ),
            ("actors_failed", "Actors that failed and were started again", status.actors_failed.load(Relaxed)),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        Ok(())
    }
}

/// A number as gauges have them.
fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
