//! Publishes events over one connection, each with an acknowledgement of the stream.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_nats::{Client, ConnectOptions, HeaderMap, Message, Subject};
use futures_util::StreamExt;
use hourlog::{Offset, header, time::system_clock};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::Report;
use crate::payload::Payload;

/// The time in which the next acknowledgement must arrive.
const ACK_TIME_MAX: Duration = Duration::from_secs(60);

/// Publishes events to the logs in turn.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PublishJob {
    pub url: String,
    pub logs: u64,
    pub events: u64,
    pub payload: Payload,
    pub time: EventTime,
    /// The most unacknowledged messages.
    pub window: u64,
}

/// The time of an event.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EventTime {
    /// JetStream's time: no header.
    Arrival,
    /// The time of publishing, in the header.
    Now,
    /// A time in the past, in the header: each event this many nanoseconds after the one before it.
    Spaced { begin_nanos: i64, step_nanos: i64 },
}

/// The window of a fast publisher.
pub(crate) const WINDOW: u64 = 8_192;

impl PublishJob {
    /// Events for a fast publisher.
    pub(crate) fn new(url: String, logs: u64, events: u64, payload: Payload, time: EventTime) -> Self {
        Self { url, logs, events, payload, time, window: WINDOW }
    }

    pub(super) async fn run(self) -> Report {
        let client = connect(&self.url).await;
        let subjects: Vec<Subject> = (0..self.logs).map(|log| format!("log.bench.{log}").into()).collect();
        // Makes the pool before the clock starts.
        self.payload.data(0);
        Report::of(self.events, async {
            let mut window = Window::open(&client, self.window).await;
            for number in 0..self.events {
                let subject = subjects[(number % self.logs) as usize].clone();
                let headers = self.time.header(number);
                window.publish(&client, subject, headers, self.payload.data(number)).await;
            }
            window.wait_for(self.events).await;
        })
        .await
    }
}

impl EventTime {
    fn header(self, number: u64) -> Option<HeaderMap> {
        let time = match self {
            Self::Arrival => return None,
            Self::Now => system_clock(),
            Self::Spaced { begin_nanos, step_nanos } => {
                Offset::from_nanos(begin_nanos + number.cast_signed() * step_nanos)
            }
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::TIME, time.to_string());
        Some(headers)
    }
}

/// Connects a client whose subscriptions hold everything that a measurement sends.
pub(super) async fn connect(url: &str) -> Client {
    const MESSAGES_MAX: usize = 16 << 20;
    let options = ConnectOptions::new().subscription_capacity(MESSAGES_MAX);
    options.connect(url).await.expect("NATS answers")
}

/// Unacknowledged messages: counts the acknowledgements that go to one inbox.
struct Window {
    inbox: Subject,
    sent: u64,
    size: u64,
    acks: Arc<Acks>,
}

#[derive(Default)]
struct Acks {
    count: AtomicU64,
    changed: Notify,
}

impl Window {
    async fn open(client: &Client, size: u64) -> Self {
        let inbox: Subject = client.new_inbox().into();
        let mut received = client.subscribe(inbox.clone()).await.expect("NATS answers");
        let acks = Arc::new(Acks::default());
        let counted = Arc::clone(&acks);
        // Ends with the connection.
        tokio::spawn(async move {
            while let Some(message) = received.next().await {
                check(&message);
                counted.count.fetch_add(1, Relaxed);
                counted.changed.notify_one();
            }
        });
        Self { inbox, sent: 0, size, acks }
    }

    async fn publish(&mut self, client: &Client, subject: Subject, headers: Option<HeaderMap>, data: bytes::Bytes) {
        if self.sent >= self.size {
            self.wait_for(self.sent - self.size + 1).await;
        }
        let inbox = self.inbox.clone();
        let sent = match headers {
            Some(headers) => client.publish_with_reply_and_headers(subject, inbox, headers, data).await,
            None => client.publish_with_reply(subject, inbox, data).await,
        };
        sent.expect("the message can be sent");
        self.sent += 1;
    }

    /// Waits for this many acknowledgements.
    async fn wait_for(&self, count: u64) {
        while self.acks.count.load(Relaxed) < count {
            let changed = tokio::time::timeout(ACK_TIME_MAX, self.acks.changed.notified()).await;
            changed.expect("the stream acknowledges every message");
        }
    }
}

/// Fails unless the stream has stored the message.
pub(super) fn check(ack: &Message) {
    let text = String::from_utf8_lossy(&ack.payload);
    assert!(text.contains("\"stream\"") && !text.contains("\"error\""), "a message was refused: {text}");
}
