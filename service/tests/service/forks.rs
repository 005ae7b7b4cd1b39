//! Forks: a stream that uses sequences again loses no newer event, and seqs keep rising.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use conformance::servers::{NatsServer, ServiceOptions, StreamBackup, stream_messages};
use hourlog::{
    ErrorKind, Event, Record, Remote,
    wire::{MissingStatus, ReplayRequest},
};
use serde_json::Value;
use tempfile::TempDir;

use crate::kit::{Service, WAIT_MAX, archived, events, log, options, publish_all, service, service_with};

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
        let fork = service.report().await["fork"].clone();
        service.process.kill();
        service.start_again().await;
        let remote = service.remote().await;
        check(&remote, &all).await;
        assert_eq!(service.report().await["fork"], fork);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recreated_stream_begins_a_new_epoch() {
    let mut service = service_with(&["--wal-recreate", "0"]).await;
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
    let report = service.report().await;
    assert_eq!(
        (&report["fork"], &report["set_back"], report["removed"].as_u64()),
        (&Value::Null, &Value::Null, Some(0))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_messages_that_a_fork_lost_for_good_are_named_exactly_and_survive_a_kill() {
    let directory = TempDir::new().expect("a temporary directory can be created");
    let fault = directory.path().join("fault");
    let environment = vec![("HOURLOG_FAULT_FILE".to_owned(), fault.display().to_string())];
    let with_fault = ServiceOptions { environment, ..options(&[]) };
    let mut service = Service::start(NatsServer::start().await, with_fault).await;
    publish(&service, "a", 0..100).await;
    archived(&service.remote().await).await;

    // Killed before the checkpoint is stored: everything that was read is in the archive all the same.
    for _ in 0..3 {
        let before = service.nats.snapshot();
        publish(&service, "b", 0..50).await;
        archived(&service.remote().await).await;
        service.process.kill();
        service.nats.roll_back(&before).await;
        publish(&service, "c", 0..60).await;
        service.start_again().await;
        archived(&service.remote().await).await;
        let fork = service.report().await["fork"].clone();
        assert!(fork["lost"].is_string() && fork["missing"] == "none", "{fork}");
        service.process.kill();
        service.start_again().await;
        archived(&service.remote().await).await;
        assert_eq!(service.report().await["fork"], fork);
    }

    // One of two logs took its messages, the other one did not.
    let of_slot = |remainder| move |id: &String| log(id).slot() % 2 == remainder;
    let ids: Vec<String> = (0..64).map(|number| format!("half.{number}")).collect();
    let fails = ids.iter().find(|id| of_slot(0)(id)).expect("some log has an even slot");
    let works = ids.iter().find(|id| of_slot(1)(id)).expect("some log has an odd slot");
    let jetstream = service.jetstream().await;
    let last = jetstream.get_stream("HOURLOG").await.expect("it exists").cached_info().state.last_sequence;
    let before = service.nats.snapshot();
    std::fs::write(&fault, "").expect("the test owns the directory");
    let jetstream = service.jetstream().await;
    let half =
        |id: &String, count: u32| (0..count).map(move |_| (format!("log.{id}"), "x".to_owned())).collect::<Vec<_>>();
    publish_all(&jetstream, half(fails, 10).into_iter().chain(half(works, 20))).await;
    let remote = service.remote().await;
    let begun = Instant::now();
    while remote.replay(&log(works), &ReplayRequest::default()).await.map_or(0, |page| page.events.len()) < 20 {
        assert!(begun.elapsed() < WAIT_MAX, "the log without a fault does not take its events");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    service.process.kill();
    std::fs::remove_file(&fault).expect("the file exists");
    service.nats.roll_back(&before).await;
    publish(&service, "d", 0..1).await;
    for _ in 0..2 {
        service.start_again().await;
        archived(&service.remote().await).await;
        let fork = service.remote().await.status().await.expect("the service replies").sources[0].fork.clone();
        let fork = fork.expect("the fork is reported");
        let missing = MissingStatus { first: last + 1, last: last + 10, messages: 10, exact: true };
        assert_eq!((fork.from, fork.lost, fork.missing), (last + 1, Some((last + 1, last + 30)), Some(missing)));
        service.process.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_restored_from_a_backup_begins_a_new_epoch_after_it() {
    let mut service = service().await;
    publish(&service, "a", 0..100).await;
    archived(&service.remote().await).await;
    let jetstream = service.jetstream().await;
    let client = service.remote().await.client().clone();
    let kept = StreamBackup::take(&client, "HOURLOG").await;
    publish(&service, "b", 0..50).await;
    archived(&service.remote().await).await;

    service.process.kill();
    jetstream.delete_stream("HOURLOG").await.expect("the stream can be deleted");
    kept.restore(&client).await;
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
        let record = Record::new("x").with("Nats-Msg-Id", round.to_string());
        let remote = service.remote().await;
        let lost = remote.append(&log("fork.0"), record.clone()).await.expect("the record is archived");
        // The stream sees an id that only the service can make.
        let stored = stream_messages(remote.client(), "HOURLOG").await.pop().expect("the record is in the stream");
        let stored = String::from_utf8(stored.headers).expect("the headers are text");
        let id = stored.lines().find_map(|line| line.strip_prefix("Nats-Msg-Id: ")).expect("the message has an id");
        service.nats.roll_back(&before).await;
        // This is a first attempt whose reply was lost: the stream holds the record, and the
        // service has not noticed the fork yet.
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Msg-Id", id);
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
        let answer = loop {
            match service.remote().await.append(&log("fork.0"), record.clone()).await {
                Ok(answer) => break answer,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
            }
        };
        let found = events(&service.remote().await, "fork.0").await;
        assert!(answer.duplicate && found.iter().any(|event| event.position == answer.position), "{answer:?}");
        assert!(answer.position.seq.epoch() > lost.position.seq.epoch(), "{answer:?}");
    }
}
