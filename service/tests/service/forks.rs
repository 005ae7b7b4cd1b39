//! A stream that uses its sequences again: nothing new is passed over, and seqs rise.

use std::collections::BTreeSet;

use async_nats::Client;
use bytes::Bytes;
use futures_util::StreamExt;
use hourlog::{ErrorKind, Event, Record, Remote};
use serde_json::{Value, json};

use crate::kit::{Service, archived, events, log, publish_all, service};

/// Publishes the numbers, each with its own name as data, over two logs.
async fn publish(service: &Service, name: &str, numbers: std::ops::Range<u32>) {
    let message = |number| (format!("log.fork.{}", number % 2), format!("{name}{number}"));
    publish_all(&service.jetstream().await, numbers.map(message)).await;
}

/// Each of `expected` is there once, and seqs rise in the order in which the events came.
async fn check(remote: &Remote, expected: &[(&str, std::ops::Range<u32>)]) {
    archived(remote).await;
    let mut found: Vec<Event> = events(remote, "fork.0").await;
    found.extend(events(remote, "fork.1").await);
    let data = |event: &Event| String::from_utf8_lossy(&event.record.data).into_owned();
    let names: BTreeSet<String> = found.iter().map(data).collect();
    let wanted: BTreeSet<String> = expected
        .iter()
        .flat_map(|(name, numbers)| numbers.clone().map(move |number| format!("{name}{number}")))
        .collect();
    assert_eq!(names.len(), found.len(), "an event is there twice");
    assert_eq!(names, wanted);
    for log in ["fork.0", "fork.1"] {
        let mut of_log: Vec<&Event> = found.iter().filter(|event| event.log.as_str() == log).collect();
        of_log.sort_by_key(|event| event.position.seq);
        assert!(of_log.is_sorted_by_key(|event| event.position.offset), "seqs of {log} do not rise with time");
    }
    let counted: u64 = archived(remote).await.logs.iter().map(|log| log.events).sum();
    assert_eq!(counted, found.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_tail_is_noticed_while_the_service_runs() {
    let mut service = service().await;
    let remote = service.remote().await;
    publish(&service, "a", 0..100).await;
    archived(&remote).await;
    let before = service.nats.snapshot();
    publish(&service, "b", 0..50).await;
    archived(&remote).await;
    service.nats.set_back(&before).await;
    publish(&service, "c", 0..60).await;
    let remote = service.remote().await;
    check(&remote, &[("a", 0..100), ("b", 0..50), ("c", 0..60)]).await;
    let fork = &service.report().await["fork"];
    assert_eq!((fork["from"].as_u64(), fork["lost"].as_str()), (Some(101), Some("101-150")), "{fork}");
    assert_eq!(service.process.ended(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_that_was_lost_and_used_again_while_the_service_was_down_is_noticed_at_its_start() {
    for used_again in [10, 50, 200] {
        let mut service = service().await;
        publish(&service, "a", 0..100).await;
        archived(&service.remote().await).await;
        let before = service.nats.snapshot();
        publish(&service, "b", 0..50).await;
        archived(&service.remote().await).await;
        service.process.kill();
        service.nats.set_back(&before).await;
        publish(&service, "c", 0..used_again).await;
        service.start_again().await;
        let all = [("a", 0..100), ("b", 0..50), ("c", 0..used_again)];
        check(&service.remote().await, &all).await;
        // It forks once: what is read again after a crash is of the new life.
        service.process.kill();
        service.start_again().await;
        let remote = service.remote().await;
        check(&remote, &all).await;
        assert_eq!(service.report().await["fork"], Value::Null);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_deleted_and_made_anew_begins_a_new_life() {
    let mut service = service().await;
    let remote = service.remote().await;
    publish(&service, "a", 0..100).await;
    archived(&remote).await;
    let jetstream = service.jetstream().await;
    jetstream.delete_stream("HOURLOG").await.expect("it is deleted");
    // The service makes it anew by itself.
    while jetstream.get_stream("HOURLOG").await.is_err() {
        tokio::task::yield_now().await;
    }
    publish(&service, "b", 0..30).await;
    check(&remote, &[("a", 0..100), ("b", 0..30)]).await;

    service.process.kill();
    let config = jetstream.get_stream("HOURLOG").await.expect("it is there").cached_info().config.clone();
    jetstream.delete_stream("HOURLOG").await.expect("it is deleted");
    while jetstream.create_stream(config.clone()).await.is_err() {
        tokio::task::yield_now().await;
    }
    publish(&service, "c", 0..200).await;
    service.start_again().await;
    check(&service.remote().await, &[("a", 0..100), ("b", 0..30), ("c", 0..200)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purged_stream_has_not_forked() {
    let mut service = service().await;
    let remote = service.remote().await;
    publish(&service, "a", 0..100).await;
    archived(&remote).await;
    let jetstream = service.jetstream().await;
    let stream = jetstream.get_stream("HOURLOG").await.expect("it is there");
    stream.purge().await.expect("it is purged");
    service.process.kill();
    service.start_again().await;
    publish(&service, "b", 0..10).await;
    let remote = service.remote().await;
    check(&remote, &[("a", 0..100), ("b", 0..10)]).await;
    assert_eq!(service.report().await["fork"], Value::Null);
}

/// The stream as `nats stream backup` keeps it.
struct Backup {
    described: Value,
    chunks: Vec<Bytes>,
}

async fn api(client: &Client, subject: &str, body: &Value) -> Value {
    let reply = client.request(format!("$JS.API.{subject}"), body.to_string().into()).await.expect("JetStream answers");
    let reply: Value = serde_json::from_slice(&reply.payload).expect("it is JSON");
    assert!(reply["error"].is_null(), "{subject}: {reply}");
    reply
}

async fn backup(client: &Client) -> Backup {
    let inbox = client.new_inbox();
    let mut sent = client.subscribe(inbox.clone()).await.expect("an inbox");
    let described = api(client, "STREAM.SNAPSHOT.HOURLOG", &json!({ "deliver_subject": inbox })).await;
    let mut chunks = Vec::new();
    // Each part is acknowledged; the last is empty.
    while let Some(chunk) = sent.next().await.filter(|chunk| !chunk.payload.is_empty()) {
        chunks.push(chunk.payload);
        if let Some(reply) = chunk.reply {
            client.publish(reply, "".into()).await.expect("it is sent");
        }
    }
    Backup { described, chunks }
}

async fn restore(client: &Client, backup: Backup) {
    let body = json!({ "config": backup.described["config"], "state": backup.described["state"] });
    let reply = api(client, "STREAM.RESTORE.HOURLOG", &body).await;
    let deliver = reply["deliver_subject"].as_str().expect("where to send it").to_owned();
    for chunk in backup.chunks.into_iter().chain([Bytes::new()]) {
        let reply = client.request(deliver.clone(), chunk).await.expect("JetStream takes it");
        assert!(!String::from_utf8_lossy(&reply.payload).contains("\"error\""), "{:?}", reply.payload);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_restored_from_a_backup_begins_a_new_life_behind_it() {
    let mut service = service().await;
    publish(&service, "a", 0..100).await;
    archived(&service.remote().await).await;
    let jetstream = service.jetstream().await;
    let client = service.remote().await.client().clone();
    let kept = backup(&client).await;
    publish(&service, "b", 0..50).await;
    archived(&service.remote().await).await;

    service.process.kill();
    jetstream.delete_stream("HOURLOG").await.expect("it is deleted");
    restore(&client, kept).await;
    publish(&service, "c", 0..60).await;
    service.start_again().await;
    let remote = service.remote().await;
    check(&remote, &[("a", 0..100), ("b", 0..50), ("c", 0..60)]).await;
    let fork = &service.report().await["fork"];
    assert_eq!((fork["from"].as_u64(), fork["lost"].as_str()), (Some(101), Some("101-150")), "{fork}");
    let said = service.process.said();
    assert!(said.iter().any(|line| line.contains("the stream has forked") && line.contains("101-150")), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_in_a_stream_that_has_just_forked_is_told_where_it_is_in_the_new_life() {
    let mut service = service().await;
    publish(&service, "a", 0..100).await;
    for round in 0..5 {
        let before = service.nats.snapshot();
        publish(&service, "b", 0..50).await;
        archived(&service.remote().await).await;
        service.nats.set_back(&before).await;
        // As a first attempt whose answer was lost: the stream has it, and the service has not noticed yet that it forked.
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Msg-Id", format!("fork.0:{round}"));
        headers.insert("Hourlog-Msg-Id", round.to_string());
        let jetstream = service.jetstream().await;
        // A server that has just been started may not have its stream yet.
        while jetstream
            .publish_with_headers("log.fork.0", headers.clone(), "x".into())
            .await
            .expect("it is sent")
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
