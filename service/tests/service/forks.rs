//! Forks: a stream that uses sequences again loses no newer event, and seqs keep rising.

use std::collections::BTreeSet;

use async_nats::Client;
use bytes::Bytes;
use futures_util::StreamExt;
use hourlog::{ErrorKind, Event, Record, Remote};
use serde_json::{Value, json};

use crate::kit::{Service, archived, events, log, publish_all, service};

/// Publishes `numbers` to two logs, with `name` and the number as data.
async fn publish(service: &Service, name: &str, numbers: std::ops::Range<u32>) {
    let message = |number| (format!("log.fork.{}", number % 2), format!("{name}{number}"));
    publish_all(&service.jetstream().await, numbers.map(message)).await;
}

/// Checks that each expected event is there once, and that seqs rise in arrival order.
async fn check(remote: &Remote, expected: &[(&str, std::ops::Range<u32>)]) {
    archived(remote).await;
    let mut found: Vec<Event> = events(remote, "fork.0").await;
    found.extend(events(remote, "fork.1").await);
    let data = |event: &Event| String::from_utf8_lossy(&event.record.data).into_owned();
    let names: BTreeSet<String> = found.iter().map(data).collect();
    let expected: BTreeSet<String> = expected
        .iter()
        .flat_map(|(name, numbers)| numbers.clone().map(move |number| format!("{name}{number}")))
        .collect();
    assert_eq!(names.len(), found.len(), "an event is duplicated");
    assert_eq!(names, expected);
    for log in ["fork.0", "fork.1"] {
        let mut events: Vec<&Event> = found.iter().filter(|event| event.log.as_str() == log).collect();
        events.sort_by_key(|event| event.position.seq);
        assert!(events.is_sorted_by_key(|event| event.position.offset), "seqs of {log} do not rise with time");
    }
    let counted: u64 = archived(remote).await.logs.iter().map(|log| log.events).sum();
    assert_eq!(counted, found.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_tail_is_detected_while_the_service_runs() {
    let mut service = service().await;
    let remote = service.remote().await;
    publish(&service, "a", 0..100).await;
    archived(&remote).await;
    let before = service.nats.snapshot();
    publish(&service, "b", 0..50).await;
    archived(&remote).await;
    service.nats.roll_back(&before).await;
    publish(&service, "c", 0..60).await;
    let remote = service.remote().await;
    check(&remote, &[("a", 0..100), ("b", 0..50), ("c", 0..60)]).await;
    let fork = &service.report().await["fork"];
    assert_eq!((fork["from"].as_u64(), fork["lost"].as_str()), (Some(101), Some("101-150")), "{fork}");
    assert_eq!(service.process.ended(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_lost_and_reused_while_the_service_is_down_is_detected_at_start() {
    for used_again in [10, 50, 200] {
        let mut service = service().await;
        publish(&service, "a", 0..100).await;
        archived(&service.remote().await).await;
        let before = service.nats.snapshot();
        publish(&service, "b", 0..50).await;
        archived(&service.remote().await).await;
        service.process.kill();
        service.nats.roll_back(&before).await;
        publish(&service, "c", 0..used_again).await;
        service.start_again().await;
        let all = [("a", 0..100), ("b", 0..50), ("c", 0..used_again)];
        check(&service.remote().await, &all).await;
        // The stream forks only once: after a crash, the service reads messages of the current
        // epoch.
        service.process.kill();
        service.start_again().await;
        let remote = service.remote().await;
        check(&remote, &all).await;
        assert_eq!(service.report().await["fork"], Value::Null);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recreated_stream_begins_a_new_epoch() {
    let mut service = service().await;
    let remote = service.remote().await;
    publish(&service, "a", 0..100).await;
    archived(&remote).await;
    let jetstream = service.jetstream().await;
    jetstream.delete_stream("HOURLOG").await.expect("the stream can be deleted");
    // The service recreates the stream by itself.
    while jetstream.get_stream("HOURLOG").await.is_err() {
        tokio::task::yield_now().await;
    }
    publish(&service, "b", 0..30).await;
    check(&remote, &[("a", 0..100), ("b", 0..30)]).await;

    service.process.kill();
    let config = jetstream.get_stream("HOURLOG").await.expect("the stream exists").cached_info().config.clone();
    jetstream.delete_stream("HOURLOG").await.expect("the stream can be deleted");
    while jetstream.create_stream(config.clone()).await.is_err() {
        tokio::task::yield_now().await;
    }
    publish(&service, "c", 0..200).await;
    service.start_again().await;
    check(&service.remote().await, &[("a", 0..100), ("b", 0..30), ("c", 0..200)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purged_stream_is_not_a_fork() {
    let mut service = service().await;
    let remote = service.remote().await;
    publish(&service, "a", 0..100).await;
    archived(&remote).await;
    let jetstream = service.jetstream().await;
    let stream = jetstream.get_stream("HOURLOG").await.expect("the stream exists");
    stream.purge().await.expect("the stream can be purged");
    service.process.kill();
    service.start_again().await;
    publish(&service, "b", 0..10).await;
    let remote = service.remote().await;
    check(&remote, &[("a", 0..100), ("b", 0..10)]).await;
    assert_eq!(service.report().await["fork"], Value::Null);
}

/// Backup of the stream, as `nats stream backup` makes it.
struct Backup {
    described: Value,
    chunks: Vec<Bytes>,
}

async fn api(client: &Client, subject: &str, body: &Value) -> Value {
    let reply = client.request(format!("$JS.API.{subject}"), body.to_string().into()).await.expect("JetStream replies");
    let reply: Value = serde_json::from_slice(&reply.payload).expect("the reply is JSON");
    assert!(reply["error"].is_null(), "{subject}: {reply}");
    reply
}

async fn backup(client: &Client) -> Backup {
    let inbox = client.new_inbox();
    let mut sent = client.subscribe(inbox.clone()).await.expect("the client can subscribe");
    let described = api(client, "STREAM.SNAPSHOT.HOURLOG", &json!({ "deliver_subject": inbox })).await;
    let mut chunks = Vec::new();
    // The client acknowledges each chunk; the last one is empty.
    while let Some(chunk) = sent.next().await.filter(|chunk| !chunk.payload.is_empty()) {
        chunks.push(chunk.payload);
        if let Some(reply) = chunk.reply {
            client.publish(reply, "".into()).await.expect("the message can be sent");
        }
    }
    Backup { described, chunks }
}

async fn restore(client: &Client, backup: Backup) {
    let body = json!({ "config": backup.described["config"], "state": backup.described["state"] });
    let reply = api(client, "STREAM.RESTORE.HOURLOG", &body).await;
    let deliver = reply["deliver_subject"].as_str().expect("the reply names a subject for the chunks").to_owned();
    for chunk in backup.chunks.into_iter().chain([Bytes::new()]) {
        let reply = client.request(deliver.clone(), chunk).await.expect("JetStream accepts the chunk");
        assert!(!String::from_utf8_lossy(&reply.payload).contains("\"error\""), "{:?}", reply.payload);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_restored_from_a_backup_begins_a_new_epoch_after_it() {
    let mut service = service().await;
    publish(&service, "a", 0..100).await;
    archived(&service.remote().await).await;
    let jetstream = service.jetstream().await;
    let client = service.remote().await.client().clone();
    let kept = backup(&client).await;
    publish(&service, "b", 0..50).await;
    archived(&service.remote().await).await;

    service.process.kill();
    jetstream.delete_stream("HOURLOG").await.expect("the stream can be deleted");
    restore(&client, kept).await;
    publish(&service, "c", 0..60).await;
    service.start_again().await;
    let remote = service.remote().await;
    check(&remote, &[("a", 0..100), ("b", 0..50), ("c", 0..60)]).await;
    let fork = &service.report().await["fork"];
    assert_eq!((fork["from"].as_u64(), fork["lost"].as_str()), (Some(101), Some("101-150")), "{fork}");
    let said = service.process.stderr_lines();
    assert!(said.iter().any(|line| line.contains("the stream has forked") && line.contains("101-150")), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_right_after_a_fork_gets_its_position_in_the_new_epoch() {
    let mut service = service().await;
    publish(&service, "a", 0..100).await;
    for round in 0..5 {
        let before = service.nats.snapshot();
        publish(&service, "b", 0..50).await;
        archived(&service.remote().await).await;
        service.nats.roll_back(&before).await;
        // This is a first attempt whose reply was lost: the stream holds the record, and the
        // service has not noticed the fork yet.
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Msg-Id", format!("fork.0 {round}"));
        headers.insert("Hourlog-Msg-Id", round.to_string());
        let jetstream = service.jetstream().await;
        // A server that has just started may not have its stream yet.
        while jetstream
            .publish_with_headers("log.fork.0", headers.clone(), "x".into())
            .await
            .expect("the message can be sent")
            .await
            .is_err()
        {}
        let record = Record::new("x").with("Nats-Msg-Id", round.to_string());
        let answer = loop {
            match service.remote().await.append(&log("fork.0"), record.clone()).await {
                Ok(answer) => break answer,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
            }
        };
        let found = events(&service.remote().await, "fork.0").await;
        assert!(answer.duplicate && found.iter().any(|event| event.position == answer.position), "{answer:?}");
    }
}
