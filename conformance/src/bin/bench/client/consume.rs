//! Reads a stream with a bare consumer of JetStream.

use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, DeliverPolicy, pull, push},
};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

use super::{Report, publish::connect};

/// Reads `events` messages from the start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ConsumeJob {
    pub url: String,
    pub events: u64,
    pub kind: ConsumerKind,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ConsumerKind {
    Pull,
    Push,
}

/// The messages and the bytes of one pull: the fastest of those that were tried.
const PULL_MESSAGES: usize = 16_384;
const PULL_BYTES: usize = 8 << 20;

impl ConsumerKind {
    pub(crate) fn settings(self) -> String {
        match self {
            Self::Pull => format!(
                "pull consumer: no acks, in memory, {PULL_MESSAGES} messages or {} MiB a pull",
                PULL_BYTES >> 20
            ),
            Self::Push => "push consumer: no acks, in memory, no flow control, room for every message".to_owned(),
        }
    }
}

impl ConsumeJob {
    pub(super) async fn run(self) -> Report {
        let client = connect(&self.url).await;
        let stream = jetstream::new(client.clone()).get_stream("HOURLOG").await.expect("the stream exists");
        Report::of(self.events, async {
            match self.kind {
                ConsumerKind::Pull => pull(&stream, self.events).await,
                ConsumerKind::Push => push(&client, &stream, self.events).await,
            }
        })
        .await
    }
}

async fn pull(stream: &jetstream::stream::Stream, events: u64) {
    let config = pull::Config {
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::None,
        memory_storage: true,
        ..pull::Config::default()
    };
    let consumer = stream.create_consumer(config).await.expect("a consumer can be created");
    let messages = consumer.stream().max_messages_per_batch(PULL_MESSAGES).max_bytes_per_batch(PULL_BYTES).messages();
    let mut messages = messages.await.expect("the consumer can be read");
    for _ in 0..events {
        let message = messages.next().await.expect("every event is delivered").expect("the message can be read");
        message.info().expect("a JetStream message has its sequence");
    }
}

async fn push(client: &async_nats::Client, stream: &jetstream::stream::Stream, events: u64) {
    let config = push::Config {
        deliver_subject: client.new_inbox(),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::None,
        memory_storage: true,
        ..push::Config::default()
    };
    let consumer = stream.create_consumer(config).await.expect("a consumer can be created");
    let mut messages = consumer.messages().await.expect("the consumer can be read");
    for _ in 0..events {
        let message = messages.next().await.expect("every event is delivered").expect("the message can be read");
        message.info().expect("a JetStream message has its sequence");
    }
}
