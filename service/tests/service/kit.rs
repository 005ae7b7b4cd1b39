//! What the tests share: a nats-server, a service over it that can be killed, and a client.

use std::{collections::VecDeque, path::Path};

use async_nats::jetstream;
use conformance::servers::{NatsServer, ServiceOptions};
use futures_util::TryStreamExt;
use hourlog::{Event, LogId, Remote, wire::ReplayRequest};

pub(crate) use conformance::servers::{LONG, Service, archived};

/// The service on an empty archive.
pub(crate) async fn service() -> Service {
    service_with(&[]).await
}

/// The service with further flags, on an empty archive.
pub(crate) async fn service_with(flags: &[&str]) -> Service {
    Service::start(NatsServer::start().await, options(flags)).await
}

/// How the built service is started.
pub(crate) fn options(flags: &[&str]) -> ServiceOptions {
    ServiceOptions::new(binary(), flags)
}

pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_hourlogd"))
}

pub(crate) fn log(id: &str) -> LogId {
    id.parse().expect("a good id")
}

/// All events of a log.
pub(crate) async fn events(remote: &Remote, id: &str) -> Vec<Event> {
    let events = remote.events(log(id), ReplayRequest::default());
    events.try_collect().await.expect("the log is read to its end")
}

/// Publishes `(subject, payload)`s in this order and waits until the stream has taken all of them.
pub(crate) async fn publish_all(jetstream: &jetstream::Context, messages: impl IntoIterator<Item = (String, String)>) {
    // Fewer than the client allows to be under way.
    const ACKS_AHEAD_MAX: usize = 1_000;
    let mut acks = VecDeque::new();
    for (subject, payload) in messages {
        if acks.len() == ACKS_AHEAD_MAX {
            let oldest: jetstream::context::PublishAckFuture = acks.pop_front().expect("there are some");
            oldest.await.expect("the stream takes it");
        }
        acks.push_back(jetstream.publish(subject, payload.into()).await.expect("it is sent"));
    }
    for ack in acks {
        ack.await.expect("the stream takes it");
    }
}
