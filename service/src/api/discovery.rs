//! The discovery of the NATS Services API, which `nats micro ls`, `info` and `stats` ask.
//!
//! The client library has it too, but replies to any subject that a question names. A question with
//! a log's subject as its reply would make it write to that log with the rights of the service.
//! Here the same guard as for every endpoint checks the reply subject first.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_nats::{Client, Subscriber};
use futures_util::StreamExt;
use hourlog::{Error, ErrorKind, Offset, Result};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::Verb;
use crate::archive_id::Instance;

/// Service name that all instances share.
const NAME: &str = "hourlog";
/// Longest wait for a further answer of another service.
const ANSWERS_MAX: Duration = Duration::from_millis(300);
/// Queue group that shares the requests, as the Services API defines it.
pub(super) const QUEUE_GROUP: &str = "q";

/// Returns the services that answer on this account now.
///
/// # Errors
/// [`ErrorKind::Unavailable`] if the server does not take the question.
pub(crate) async fn find_instances(client: &Client) -> Result<Vec<Instance>> {
    let unavailable =
        |error: async_nats::Error| Error::new(ErrorKind::Unavailable, "cannot ask for other services").because(error);
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.map_err(|error| unavailable(error.into()))?;
    let question = format!("$SRV.INFO.{NAME}");
    client.publish_with_reply(question, inbox, "".into()).await.map_err(|error| unavailable(error.into()))?;
    let mut found = Vec::new();
    // The server says at once if there is no other service.
    while let Ok(Some(answer)) = timeout(ANSWERS_MAX, answers.next()).await {
        if answer.status.is_some() {
            break;
        }
        let Ok(answer) = serde_json::from_slice::<Value>(&answer.payload) else { continue };
        let metadata = &answer["metadata"];
        if let (Some(prefix), Some(archive)) = (metadata["prefix"].as_str(), metadata["archive"].as_str()) {
            found.push(Instance { prefix: prefix.to_owned(), archive: archive.into() });
        }
    }
    Ok(found)
}

/// This instance and its request statistics.
#[derive(Debug)]
pub(super) struct OwnInstance {
    pub(super) id: String,
    pub(super) presented: Instance,
    pub(super) started: Offset,
    endpoints: [Counters; Verb::ALL.len()],
}

/// Request statistics of one endpoint.
#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    errors: AtomicU64,
    nanos: AtomicU64,
    last_error: Mutex<String>,
}

/// A discovery question.
#[derive(Debug, Clone, Copy)]
pub(super) enum Question {
    Ping,
    Info,
    Stats,
}

impl Question {
    pub(super) const ALL: [Self; 3] = [Self::Ping, Self::Info, Self::Stats];

    fn name(self) -> &'static str {
        match self {
            Self::Ping => "PING",
            Self::Info => "INFO",
            Self::Stats => "STATS",
        }
    }
}

impl OwnInstance {
    /// Creates an instance that was started at `now`.
    pub(super) fn new(id: &str, presented: Instance, now: Offset) -> Self {
        Self { id: id.to_owned(), presented, started: now, endpoints: std::array::from_fn(|_| Counters::default()) }
    }

    /// Subscribes to `question` on its three subjects: for all services, for this name, for this
    /// instance.
    pub(super) async fn subscribe(
        &self,
        client: &Client,
        question: Question,
    ) -> Result<[Subscriber; 3], async_nats::Error> {
        let all = format!("$SRV.{}", question.name());
        let (named, own) = (format!("{all}.{NAME}"), format!("{all}.{NAME}.{}", self.id));
        Ok([client.subscribe(all).await?, client.subscribe(named).await?, client.subscribe(own).await?])
    }

    /// Returns the subject of an endpoint, with a wildcard in place of the log.
    pub(super) fn subject(&self, verb: Verb) -> String {
        let subject = verb.endpoint().subject;
        let wildcard = if subject.ends_with('.') { ">" } else { "" };
        format!("{}.{subject}{wildcard}", self.presented.prefix)
    }

    /// Counts an answered request, which took `took` and failed if there is an `error`.
    pub(super) fn count(&self, verb: Verb, took: Duration, error: Option<String>) {
        let counters = &self.endpoints[verb as usize];
        counters.requests.fetch_add(1, Relaxed);
        counters.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
        if let Some(error) = error {
            counters.errors.fetch_add(1, Relaxed);
            *counters.last_error.lock().unwrap_or_else(PoisonError::into_inner) = error;
        }
    }

    /// Returns the number of requests that were answered, and that of those that failed.
    pub(super) fn totals(&self) -> (u64, u64) {
        let sum = |count: fn(&Counters) -> &AtomicU64| {
            self.endpoints.iter().map(|counters| count(counters).load(Relaxed)).sum()
        };
        (sum(|counters| &counters.requests), sum(|counters| &counters.errors))
    }

    /// Returns the answer to `question`. `data` reports the state of the service; only statistics
    /// use it.
    pub(super) fn answer(&self, question: Question, data: impl Fn() -> Value) -> Value {
        let mut answer = json!({
            "type": format!("io.nats.micro.v1.{}_response", question.name().to_lowercase()),
            "name": NAME,
            "id": self.id,
            "version": env!("CARGO_PKG_VERSION"),
            "metadata": { "prefix": self.presented.prefix, "archive": &*self.presented.archive },
        });
        match question {
            Question::Ping => {}
            Question::Info => {
                answer["description"] = "Hourlog: keeps events by time and replays them".into();
                answer["endpoints"] = Verb::ALL.iter().map(|verb| self.info(*verb)).collect();
            }
            Question::Stats => {
                answer["started"] = json!(self.started);
                let data = data();
                answer["endpoints"] = Verb::ALL.iter().map(|verb| self.stats(*verb, &data)).collect();
            }
        }
        answer
    }

    fn info(&self, verb: Verb) -> Value {
        let name = verb.endpoint().name;
        json!({ "name": name, "subject": self.subject(verb), "queue_group": verb.queue_group().unwrap_or_default(), "metadata": {} })
    }

    fn stats(&self, verb: Verb, data: &Value) -> Value {
        let name = verb.endpoint().name;
        let Counters { requests, errors, nanos, last_error } = &self.endpoints[verb as usize];
        let (requests, nanos) = (requests.load(Relaxed), nanos.load(Relaxed));
        json!({
            "name": name,
            "subject": self.subject(verb),
            "queue_group": verb.queue_group().unwrap_or_default(),
            "num_requests": requests,
            "num_errors": errors.load(Relaxed),
            "last_error": *last_error.lock().unwrap_or_else(PoisonError::into_inner),
            "processing_time": nanos,
            "average_processing_time": nanos.checked_div(requests).unwrap_or(0),
            "data": data,
        })
    }
}
