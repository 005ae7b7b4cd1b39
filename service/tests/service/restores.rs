//! Restores: a stream that is restored under a running service goes on in its epoch, and no clock
//! hides the messages that it has lost.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use async_nats::Client;
use conformance::servers::{StreamBackup, StreamMessage, stream_messages};
use hourlog::{ErrorKind, Event, Offset, Record, time::HOUR};
use serde_json::Value;

use crate::kit::{Service, WAIT_MAX, archived, events, log, publish_all, service, service_with};

/// The logs of the tests. Each has every third message.
const LOGS: [&str; 3] = ["restored.0", "restored.1", "restored.2"];

async fn publish(service: &Service, numbers: std::ops::Range<u64>) {
    let message = |number: u64| (format!("log.{}", LOGS[number as usize % 3]), number.to_string());
    publish_all(&service.jetstream().await, numbers.map(message)).await;
}

async fn delete_stream(service: &Service) {
    service.jetstream().await.delete_stream("HOURLOG").await.expect("the stream can be deleted");
}

/// Waits until the service's report satisfies `is_met`.
async fn wait_for_report(service: &Service, what: &str, is_met: impl Fn(&Value) -> bool) {
    let begun = Instant::now();
    loop {
        let report = service.report().await;
        if is_met(&report) {
            return;
        }
        assert!(begun.elapsed() < WAIT_MAX, "{what}: {report}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn has_reason(report: &Value, part: &str) -> bool {
    report["nats"]["reason"].as_str().is_some_and(|reason| reason.contains(part))
}

/// Reads all events, and checks that each number up to `count` is there once.
async fn check(service: &Service, count: u64) -> Vec<Event> {
    let remote = service.remote().await;
    archived(&remote).await;
    let (mut found, mut times) = (Vec::new(), BTreeMap::<u64, u64>::new());
    for log in LOGS {
        found.extend(events(&remote, log).await);
    }
    for event in &found {
        let number = String::from_utf8_lossy(&event.record.data).parse().expect("the data is a number");
        *times.entry(number).or_default() += 1;
    }
    let (lost, twice): (Vec<u64>, Vec<u64>) = (
        (0..count).filter(|number| !times.contains_key(number)).collect(),
        times.iter().filter(|(_, times)| **times > 1).map(|(number, _)| *number).collect(),
    );
    assert!(lost.is_empty() && twice.is_empty(), "lost {}: {lost:?}, twice {}: {twice:?}", lost.len(), twice.len());
    assert_eq!(times.len() as u64, count);
    found
}

fn epochs(events: &[Event]) -> Vec<u32> {
    let mut epochs: Vec<u32> = events.iter().map(|event| event.position.seq.epoch()).collect();
    epochs.sort_unstable();
    epochs.dedup();
    epochs
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_restored_step_by_step_goes_on_in_its_epoch() {
    let mut service = service().await;
    let client = service.remote().await.client().clone();
    publish(&service, 0..3_000).await;
    archived(&service.remote().await).await;
    // The service runs, is killed half way, or starts while the stream is gone.
    for (round, is_killed_after) in [None, Some(5), Some(0)].into_iter().enumerate() {
        let published = 3_000 + round as u64 * 100;
        let messages = stream_messages(&client, "HOURLOG").await;
        let backup = StreamBackup::of_messages(&client, "HOURLOG", &messages, 300).await;
        delete_stream(&service).await;
        wait_for_report(&service, "a stream that is gone", |report| has_reason(report, "is gone")).await;
        let refused = service.remote().await.append(&log("restored.0"), Record::new("x")).await;
        assert_eq!(refused.expect_err("the stream is gone").kind(), ErrorKind::Unavailable);
        if is_killed_after == Some(0) {
            service.process.kill();
            service.start_again().await;
            wait_for_report(&service, "a stream that is gone", |report| has_reason(report, "is gone")).await;
        }
        let mut restore = backup.begin_restore(&client).await;
        // The first chunk names the ends of the stream.
        assert!(restore.send_next().await);
        for step in 1..=9 {
            assert!(restore.send_next().await);
            let awaited = published - step * 300;
            wait_for_report(&service, "a part is restored", |report| report["awaited"] == awaited).await;
            assert!(has_reason(&service.report().await, "is being restored"));
            if is_killed_after == Some(step) {
                service.process.kill();
                restore.stand_still(service.start_again()).await;
            }
        }
        restore.finish().await;
        wait_for_report(&service, "the stream is restored", |report| report["nats"]["ok"] == true).await;
        publish(&service, published..published + 100).await;
        let found = check(&service, published + 100).await;
        assert_eq!(epochs(&found), [1]);
        let report = service.report().await;
        assert_eq!((&report["fork"], &report["awaited"]), (&Value::Null, &Value::from(0)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_backup_begins_an_epoch_with_the_first_new_message() {
    let service = service().await;
    let client = service.remote().await.client().clone();
    publish(&service, 0..100).await;
    let older = StreamBackup::take(&client, "HOURLOG").await;
    publish(&service, 100..150).await;
    archived(&service.remote().await).await;
    let newer = StreamBackup::take(&client, "HOURLOG").await;
    // Nothing is decided before a message is published: a better backup may follow.
    for backup in [&older, &newer, &older] {
        delete_stream(&service).await;
        wait_for_report(&service, "a stream that is gone", |report| has_reason(report, "is gone")).await;
        backup.restore(&client).await;
        wait_for_report(&service, "a stream that is there", |report| !has_reason(report, "is gone")).await;
    }
    wait_for_report(&service, "a stream that is shorter", |report| report["awaited"] == 50).await;
    // What is left of the stream is archived.
    archived(&service.remote().await).await;
    let remote = service.remote().await;
    let appended = remote.append(&log(LOGS[0]), Record::new("150")).await.expect("a new message is archived at once");
    assert_eq!((appended.position.seq.epoch(), appended.position.seq.sequence()), (2, 101));
    check(&service, 151).await;
    let report = service.report().await;
    let fork = &report["fork"];
    assert_eq!((fork["from"].as_u64(), fork["lost"].as_str()), (Some(101), Some("101-150")), "{fork}");
    assert_eq!((&report["awaited"], &report["nats"]["ok"]), (&Value::from(0), &Value::from(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_stays_away_is_created_again_after_the_stated_time() {
    let mut service = service_with(&["--wal-recreate", "2"]).await;
    publish(&service, 0..30).await;
    archived(&service.remote().await).await;
    for (round, is_down) in [false, true].into_iter().enumerate() {
        if is_down {
            service.process.kill();
        }
        delete_stream(&service).await;
        let gone = Instant::now();
        if is_down {
            service.start_again().await;
        }
        let jetstream = service.jetstream().await;
        while jetstream.get_stream("HOURLOG").await.is_err() {
            assert!(gone.elapsed() < WAIT_MAX, "the stream is not created");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(gone.elapsed() >= Duration::from_millis(1_500), "created after {:?}", gone.elapsed());
        wait_for_report(&service, "a new stream", |report| report["nats"]["ok"] == true).await;
        let published = 30 * (round as u64 + 1);
        publish(&service, published..published + 30).await;
        check(&service, published + 30).await;
        let fork = &service.report().await["fork"];
        assert_eq!((fork["from"].as_u64(), fork["lost"].as_str()), (Some(1), Some("1-30")), "{fork}");
    }
}

/// Writes a stream that has lost everything after message 400, on a server whose clock then went back
/// by an hour: `lost` of its messages and 100 more were published again.
async fn with_tail_an_hour_early(client: &Client, lost: u64) -> StreamBackup {
    let mut messages = stream_messages(client, "HOURLOG").await;
    let read = messages.len() as u64;
    messages.truncate(400);
    let last = messages.last().expect("the stream holds messages").time;
    let message = |(number, sequence): (u64, u64)| StreamMessage {
        sequence,
        time: last.saturating_add_nanos(-HOUR + number as i64),
        subject: format!("log.{}", LOGS[number as usize % 3]),
        headers: Vec::new(),
        payload: number.to_string().into(),
    };
    messages.extend((read..read + lost + 100).zip(401..).map(message));
    StreamBackup::of_messages(client, "HOURLOG", &messages, 200).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_went_back_hides_no_new_message() {
    for (lost, is_down) in [(400, true), (400, false), (50, true)] {
        let mut service = service().await;
        let client = service.remote().await.client().clone();
        publish(&service, 0..400 + lost).await;
        archived(&service.remote().await).await;
        let backup = with_tail_an_hour_early(&client, lost).await;
        if is_down {
            service.process.kill();
        }
        delete_stream(&service).await;
        backup.restore(&client).await;
        if is_down {
            service.start_again().await;
        }
        check(&service, 400 + lost + lost + 100).await;
        let fork = &service.report().await["fork"];
        let range = format!("401-{}", 400 + lost);
        assert_eq!((fork["from"].as_u64(), fork["lost"].as_str()), (Some(401), Some(range.as_str())), "{fork}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_with_a_time_of_its_own_is_new_if_its_message_is() {
    let mut service = service().await;
    let client = service.remote().await.client().clone();
    let headers = b"NATS/1.0\r\nHourlog-Time: 2018-02-04T10:00:00Z\r\n\r\n".to_vec();
    publish(&service, 0..10).await;
    let message = |sequence: u64, time: Offset| StreamMessage {
        sequence,
        time,
        subject: "log.own".to_owned(),
        headers: headers.clone(),
        payload: b"the same".to_vec(),
    };
    archived(&service.remote().await).await;
    let kept = stream_messages(&client, "HOURLOG").await;
    let last = kept.last().expect("the stream holds messages").time;
    // The second life has the same records under the same sequences, at earlier times.
    for (life, step) in [1_000, 10_i64].into_iter().enumerate() {
        let tail = (11..=15).map(|sequence| message(sequence, last.saturating_add_nanos(step * sequence as i64)));
        let messages: Vec<StreamMessage> = kept.iter().cloned().chain(tail).collect();
        let backup = StreamBackup::of_messages(&client, "HOURLOG", &messages, 100).await;
        service.process.kill();
        delete_stream(&service).await;
        backup.restore(&client).await;
        service.start_again().await;
        let remote = service.remote().await;
        archived(&remote).await;
        assert_eq!(events(&remote, "own").await.len(), 5 * (life + 1));
    }
    check(&service, 10).await;
}
