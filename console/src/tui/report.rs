//! A report of the service about itself: the status of each instance, its counts of requests, and the streams that it reads.

use hourlog::{Offset, Result, wire::StatusReply};
use serde::Deserialize;

/// Limit of the endpoints that are read from an answer. A service has two dozen.
const ENDPOINTS_MAX: usize = 64;

/// The report. What could not be read has the reason in its place.
#[derive(Debug)]
pub struct ServiceReport {
    /// The status of each instance.
    pub statuses: Result<Vec<StatusReply>>,
    /// The counts of each instance.
    pub stats: Result<Vec<InstanceStats>>,
    /// The streams by name.
    pub streams: Vec<(String, Result<StreamReport>)>,
}

/// The counts of an instance since its start, as the NATS Services API reports them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct InstanceStats {
    /// The id of this run; a status has the same one.
    pub id: String,
    /// Its version.
    pub version: String,
    /// The time of its start.
    #[serde(default)]
    pub started: Option<Offset>,
    #[serde(default)]
    metadata: Metadata,
    /// Its endpoints.
    pub endpoints: Vec<EndpointStats>,
    /// The time at which the answer was received, in nanoseconds of a clock that only goes forward.
    #[serde(skip)]
    pub received_nanos: i64,
}

/// The facts by which services on one account are told apart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct Metadata {
    #[serde(default)]
    prefix: Option<String>,
}

/// The counts of an endpoint since the start of its instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct EndpointStats {
    /// Its name.
    pub name: String,
    /// Requests that were answered.
    #[serde(rename = "num_requests")]
    pub requests: u64,
    /// Those of them that were answered with an error.
    #[serde(rename = "num_errors")]
    pub errors: u64,
    /// The newest error: its code, a colon, and a sentence. Empty if there was none.
    #[serde(default)]
    pub last_error: String,
    /// Nanoseconds that answering took, all together.
    #[serde(rename = "processing_time")]
    pub nanos: u64,
}

/// A stream, as JetStream reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamReport {
    /// Bytes that it holds.
    pub bytes: u64,
    /// Limit of its bytes, if it has one.
    pub bytes_max: Option<u64>,
    /// Messages that it holds.
    pub messages: u64,
    /// The time of its oldest message, if it has one.
    pub oldest: Option<Offset>,
}

impl InstanceStats {
    /// Reads the answer of an instance below `prefix`. Returns `None` for that of another service, and for what is none.
    pub fn parse(answer: &[u8], prefix: &str, received_nanos: i64) -> Option<Self> {
        let mut stats: Self = serde_json::from_slice(answer).ok()?;
        if stats.metadata.prefix.as_deref() != Some(prefix) {
            return None;
        }
        stats.endpoints.truncate(ENDPOINTS_MAX);
        Some(Self { received_nanos, ..stats })
    }
}

impl StreamReport {
    /// Reads the answer of JetStream to a question for a stream.
    pub fn parse(answer: &serde_json::Value) -> Option<Self> {
        let (state, config) = (&answer["state"], &answer["config"]);
        let messages = state["messages"].as_u64()?;
        let oldest = state["first_ts"].as_str().and_then(|time| time.parse().ok());
        Some(Self {
            bytes: state["bytes"].as_u64()?,
            // JetStream writes no limit as a negative one.
            bytes_max: config["max_bytes"].as_u64().filter(|max| *max > 0),
            messages,
            oldest: oldest.filter(|_| messages > 0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_answer_of_another_service_is_passed_over() {
        let answer = json!({
            "type": "io.nats.micro.v1.stats_response", "name": "hourlog", "id": "A7", "version": "0.3.0",
            "started": "2018-02-04T10:00:00Z", "metadata": { "prefix": "hourlog", "archive": "x" },
            "endpoints": [{
                "name": "append", "subject": "hourlog.append.>", "queue_group": "q", "num_requests": 4, "num_errors": 1,
                "last_error": "429:the stream is full", "processing_time": 8_000, "average_processing_time": 2_000,
                "data": { "lag": 0 },
            }],
        });
        let parse = |prefix: &str| InstanceStats::parse(answer.to_string().as_bytes(), prefix, 7);
        let stats = parse("hourlog").expect("it is an answer of the service");
        assert_eq!((stats.id.as_str(), stats.received_nanos), ("A7", 7));
        let append = &stats.endpoints[0];
        assert_eq!((append.requests, append.errors, append.nanos), (4, 1, 8_000));
        assert_eq!(append.last_error, "429:the stream is full");
        assert_eq!((parse("other"), InstanceStats::parse(b"{}", "hourlog", 7)), (None, None));
    }

    #[test]
    fn a_stream_without_messages_or_a_limit_reports_neither() {
        let answer = |messages: u64, max_bytes: i64| {
            StreamReport::parse(&json!({
                "config": { "max_bytes": max_bytes },
                "state": { "messages": messages, "bytes": 9, "first_ts": "2018-02-04T10:00:00Z" },
            }))
            .expect("it is an answer of JetStream")
        };
        assert_eq!((answer(0, -1).bytes_max, answer(0, -1).oldest), (None, None));
        assert_eq!((answer(2, 100).bytes_max, answer(2, 100).oldest.is_some()), (Some(100), true));
        assert_eq!(StreamReport::parse(&json!({ "error": { "code": 404 } })), None);
    }
}
