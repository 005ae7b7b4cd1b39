//! What `nats micro ls`, `info` and `stats` ask: the discovery of the NATS Services API.
//!
//! The client library has this too, and answers to whatever reply subject a question names: with a reply to the subject of a log
//! it would write there for whoever may not. Here the same guard stands before it as before every endpoint.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_nats::{Client, Subscriber};
use hourlog::Offset;
use serde_json::{Value, json};

use super::Verb;

/// What instances are called together.
const NAME: &str = "hourlog";
/// The group that shares the requests, as the Services API has it.
pub(super) const QUEUE_GROUP: &str = "q";

/// This instance, as it presents itself.
#[derive(Debug)]
pub(super) struct Instance {
    id: String,
    prefix: String,
    started: Offset,
    endpoints: [Counters; Verb::ALL.len()],
}

/// What an endpoint has done.
#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    errors: AtomicU64,
    nanos: AtomicU64,
    last_error: Mutex<String>,
}

/// What can be asked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Question {
    Ping,
    Info,
    Stats,
}

impl Question {
    pub(super) const ALL: [Self; 3] = [Self::Ping, Self::Info, Self::Stats];

    fn verb(self) -> &'static str {
        match self {
            Self::Ping => "PING",
            Self::Info => "INFO",
            Self::Stats => "STATS",
        }
    }
}

impl Instance {
    /// One that answers below `prefix`, started at `now`.
    pub(super) fn new(prefix: &str, now: Offset) -> Self {
        Self {
            id: nuid::next().to_string(),
            prefix: prefix.to_owned(),
            started: now,
            endpoints: std::array::from_fn(|_| Counters::default()),
        }
    }

    /// Subscribes to `question`: asked of all services, of those of this name, and of this instance.
    pub(super) async fn subscribe(
        &self,
        client: &Client,
        question: Question,
    ) -> Result<[Subscriber; 3], async_nats::Error> {
        let all = format!("$SRV.{}", question.verb());
        let (named, own) = (format!("{all}.{NAME}"), format!("{all}.{NAME}.{}", self.id));
        Ok([client.subscribe(all).await?, client.subscribe(named).await?, client.subscribe(own).await?])
    }

    /// The subject of an endpoint, with a wildcard in place of the log.
    pub(super) fn subject(&self, verb: Verb) -> String {
        let (_, subject) = verb.name_and_subject();
        let wildcard = if subject.ends_with('.') { ">" } else { "" };
        format!("{}.{subject}{wildcard}", self.prefix)
    }

    /// A request was answered, after `took`, with `error` or well.
    pub(super) fn count(&self, verb: Verb, took: Duration, error: Option<String>) {
        let counters = &self.endpoints[verb as usize];
        counters.requests.fetch_add(1, Relaxed);
        counters.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
        if let Some(error) = error {
            counters.errors.fetch_add(1, Relaxed);
            *counters.last_error.lock().unwrap_or_else(PoisonError::into_inner) = error;
        }
    }

    /// The answer to `question`; `data` is what the service says of itself.
    pub(super) fn answer(&self, question: Question, data: impl Fn() -> Value) -> Value {
        let mut answer = json!({
            "type": format!("io.nats.micro.v1.{}_response", question.verb().to_lowercase()),
            "name": NAME,
            "id": self.id,
            "version": env!("CARGO_PKG_VERSION"),
            "metadata": {},
        });
        match question {
            Question::Ping => {}
            Question::Info => {
                answer["description"] = "Hourlog: keeps events by time and plays them again".into();
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
        let (name, _) = verb.name_and_subject();
        json!({ "name": name, "subject": self.subject(verb), "queue_group": QUEUE_GROUP, "metadata": {} })
    }

    fn stats(&self, verb: Verb, data: &Value) -> Value {
        let (name, _) = verb.name_and_subject();
        let Counters { requests, errors, nanos, last_error } = &self.endpoints[verb as usize];
        let (requests, nanos) = (requests.load(Relaxed), nanos.load(Relaxed));
        json!({
            "name": name,
            "subject": self.subject(verb),
            "queue_group": QUEUE_GROUP,
            "num_requests": requests,
            "num_errors": errors.load(Relaxed),
            "last_error": *last_error.lock().unwrap_or_else(PoisonError::into_inner),
            "processing_time": nanos,
            "average_processing_time": nanos.checked_div(requests).unwrap_or(0),
            "data": data,
        })
    }
}
