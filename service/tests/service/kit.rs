//! Helpers of the tests: a nats-server, a service that can be killed, and a client.

use std::{
    collections::VecDeque,
    path::Path,
    time::{Duration, Instant},
};

use async_nats::jetstream;
use conformance::servers::{NatsServer, ServiceOptions};
use futures_util::TryStreamExt;
use hourlog::{Event, LogId, Remote, wire::ReplayRequest};
use rand::distr::{Alphanumeric, SampleString};

pub(crate) use conformance::servers::{Service, WAIT_MAX, archived};

/// Starts the service with an empty archive.
pub(crate) async fn service() -> Service {
    service_with(&[]).await
}

/// Starts the service with additional flags and an empty archive.
pub(crate) async fn service_with(flags: &[&str]) -> Service {
    Service::start(NatsServer::start().await, options(flags)).await
}

/// Returns the options for starting the built service.
pub(crate) fn options(flags: &[&str]) -> ServiceOptions {
    ServiceOptions::new(binary(), flags)
}

pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_hourlogd"))
}

pub(crate) fn log(id: &str) -> LogId {
    id.parse().expect("the log id is valid")
}

/// Reads all events of a log.
pub(crate) async fn events(remote: &Remote, id: &str) -> Vec<Event> {
    let events = remote.events(log(id), ReplayRequest::default());
    events.try_collect().await.expect("the log can be read to its end")
}

/// Returns text that compression does not make smaller.
pub(crate) fn noise(length: usize) -> String {
    Alphanumeric.sample_string(&mut rand::rng(), length)
}

/// Publishes `(subject, payload)` pairs in this order and waits until the stream acknowledges all
/// of them.
pub(crate) async fn publish_all(jetstream: &jetstream::Context, messages: impl IntoIterator<Item = (String, String)>) {
    // Below the client's own limit of unacknowledged messages.
    const ACKS_AHEAD_MAX: usize = 1_000;
    let mut acks = VecDeque::new();
    for (subject, payload) in messages {
        if acks.len() == ACKS_AHEAD_MAX {
            let oldest: jetstream::context::PublishAckFuture = acks.pop_front().expect("the queue is full");
            oldest.await.expect("the stream accepts the message");
        }
        acks.push_back(jetstream.publish(subject, payload.into()).await.expect("the message can be sent"));
    }
    for ack in acks {
        ack.await.expect("the stream accepts the message");
    }
}

/// Waits until the janitor has deleted everything in the stream.
pub(crate) async fn until_purged(service: &Service) {
    let jetstream = service.jetstream().await;
    let mut stream = jetstream.get_stream("HOURLOG").await.expect("the stream exists");
    let begun = Instant::now();
    while stream.info().await.expect("the server replies").state.messages > 0 {
        assert!(begun.elapsed() < WAIT_MAX, "the janitor did not purge the stream");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Creates the stream ORDERS, as somebody else has made it.
pub(crate) async fn orders(nats: &NatsServer) -> jetstream::Context {
    let jetstream = jetstream::new(async_nats::connect(nats.url()).await.expect("the server accepts a connection"));
    let config = jetstream::stream::Config {
        name: "ORDERS".to_owned(),
        subjects: vec!["orders.>".to_owned()],
        ..Default::default()
    };
    jetstream.create_stream(config).await.expect("the stream can be created");
    jetstream
}
