//! Crashes: every acknowledged event is there once and in order after the service or NATS is
//! killed.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use async_nats::{HeaderMap, jetstream};
use futures_util::future::join_all;

use conformance::servers::{copy_directory, replace_directory};

use hourlog::wire::TimelineRequest;

use crate::kit::{Service, archived, events, publish_all, service};

const LOGS: u64 = 50;
const EVENTS: u64 = 50_000;
/// Events published concurrently. Divides [`EVENTS`].
const AT_ONCE: u64 = 500;

/// Publisher that remembers the stream's order of the events of each log.
struct Publisher {
    jetstream: jetstream::Context,
    /// Events by log and stream sequence.
    acked: BTreeMap<u64, BTreeMap<u64, u64>>,
}

impl Publisher {
    /// Publishes `numbers` concurrently, and retries the unacknowledged ones with the same message
    /// id. The stream recognises the ids that it already has.
    async fn publish(&mut self, numbers: Range<u64>) {
        let mut remaining: Vec<u64> = numbers.collect();
        while !remaining.is_empty() {
            let outcomes = join_all(remaining.iter().map(|number| self.send(*number))).await;
            let mut unacknowledged = Vec::new();
            for (number, sequence) in remaining.into_iter().zip(outcomes) {
                match sequence {
                    Some(sequence) => {
                        self.acked.entry(number % LOGS).or_default().insert(sequence, number);
                    }
                    None => unacknowledged.push(number),
                }
            }
            remaining = unacknowledged;
        }
    }

    async fn send(&self, number: u64) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", number.to_string());
        let subject = format!("log.crash.{}", number % LOGS);
        let sent = self.jetstream.publish_with_headers(subject, headers, number.to_string().into()).await;
        Some(sent.ok()?.await.ok()?.sequence)
    }
}

async fn publisher(service: &Service) -> Publisher {
    let mut jetstream = service.jetstream().await;
    jetstream.set_timeout(Duration::from_secs(2));
    Publisher { jetstream, acked: BTreeMap::new() }
}

async fn check(service: &Service, publisher: &Publisher) {
    let remote = service.remote().await;
    let logs = archived(&remote).await.logs;
    assert_eq!(logs.iter().map(|log| log.events).sum::<u64>(), EVENTS, "counts");
    for (log, acked) in &publisher.acked {
        let expected: Vec<String> = acked.values().map(u64::to_string).collect();
        let found: Vec<String> = events(&remote, &format!("crash.{log}"))
            .await
            .iter()
            .map(|event| String::from_utf8_lossy(&event.record.data).into_owned())
            .collect();
        assert!(found == expected, "log {log}: {} events where {} were acknowledged", found.len(), expected.len());
    }
    assert_eq!(publisher.acked.values().map(BTreeMap::len).sum::<usize>() as u64, EVENTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_killed_five_times_archives_each_event_once_and_in_order() {
    let mut service = service().await;
    let mut publisher = publisher(&service).await;
    for (part, from) in (0..EVENTS).step_by(AT_ONCE as usize).enumerate() {
        publisher.publish(from..from + AT_ONCE).await;
        if [10, 25, 40, 60, 80].contains(&part) {
            // The service is busy: the latest events are not archived yet.
            service.process.kill();
            service.start_again().await;
        }
    }
    check(&service, &publisher).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_reconnects_by_itself_to_a_nats_server_killed_twice() {
    let mut service = service().await;
    let mut publisher = publisher(&service).await;
    for (part, from) in (0..EVENTS).step_by(AT_ONCE as usize).enumerate() {
        let kills = [30, 60].contains(&part);
        let kill = async {
            if kills {
                service.nats.kill();
                service.nats.restart().await;
            }
        };
        tokio::join!(publisher.publish(from..from + AT_ONCE), kill);
    }
    assert_eq!(service.process.ended(), None);
    check(&service, &publisher).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_published_while_the_service_is_down_keep_their_publish_time() {
    let mut service = service().await;
    service.process.kill();
    let jetstream = service.jetstream().await;
    publish_all(&jetstream, (0..10_000).map(|number| ("log.down".to_owned(), number.to_string()))).await;
    let mut stream = jetstream.get_stream("HOURLOG").await.expect("the stream exists");
    let info = stream.info().await.expect("the server replies").state.clone();

    service.start_again().await;
    let remote = service.remote().await;
    archived(&remote).await;
    let found = events(&remote, "down").await;
    assert_eq!(found.len(), 10_000);
    assert!(found.iter().enumerate().all(|(number, event)| *event.record.data == *number.to_string().as_bytes()));
    assert!(found.iter().all(|event| event.arrived.is_none()));
    let nanos = |event: &hourlog::Event| i128::from(event.position.offset.nanos());
    assert_eq!(nanos(&found[0]), info.first_timestamp.unix_timestamp_nanos());
    assert_eq!(nanos(&found[9_999]), info.last_timestamp.unix_timestamp_nanos());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolled_back_archive_is_filled_from_the_stream_again() {
    let mut service = service().await;
    let message = |number: u32| (format!("log.back.{}", number % 3), number.to_string());
    publish_all(&service.jetstream().await, (0..300).map(message)).await;
    archived(&service.remote().await).await;
    assert!(service.process.terminate().await.success());
    let tables = service.directory.path().join("tables");
    let before = tempfile::TempDir::new().expect("a temporary directory can be created");
    copy_directory(&tables, before.path());

    service.start_again().await;
    publish_all(&service.jetstream().await, (300..900).map(message)).await;
    archived(&service.remote().await).await;
    assert!(service.process.terminate().await.success());
    replace_directory(before.path(), &tables);

    service.start_again().await;
    let said = service.process.stderr_lines();
    assert!(said.iter().any(|line| line.contains("has lost acknowledged writes")), "{said:?}");
    let remote = service.remote().await;
    let listed = archived(&remote).await.logs;
    assert_eq!(listed.iter().map(|log| log.events).collect::<Vec<_>>(), [300, 300, 300]);
    for log in 0..3_u32 {
        let found = events(&remote, &format!("back.{log}")).await;
        let expected = (0..900).filter(|number| number % 3 == log).map(|number| number.to_string());
        assert!(found.iter().map(|event| event.record.data.to_vec()).eq(expected.map(String::into_bytes)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_a_stream_from_its_start_ten_times_changes_no_count() {
    let mut service = service().await;
    let jetstream = service.jetstream().await;
    for number in 0..2_000_i64 {
        let mut headers = HeaderMap::new();
        match number % 5 {
            0 => headers.insert("Hourlog-Time", format!("@{}", 1_517_738_400 + number * 60)),
            1 => headers.insert("Hourlog-Time", "nonsense"),
            2 => {
                headers.insert("Hourlog-Time", "2018-02-04T10:00:00Z");
                headers.insert("Hourlog-Once", "0");
            }
            _ => {}
        }
        let subject = format!("log.again.{}", number % 3);
        let sent = jetstream.publish_with_headers(subject, headers, (number % 50).to_string().into()).await;
        sent.expect("the message can be sent").await.expect("the stream accepts the message");
    }
    let before = counted(&service).await;
    for _ in 0..10 {
        assert!(service.process.terminate().await.success());
        // This watermark makes the archive look behind its acknowledged writes, so the service
        // reads everything again.
        let watermark = service.directory.path().join("watermark");
        std::fs::write(watermark, "1000000 1000000\n").expect("the test owns the directory");
        service.start_again().await;
        assert!(service.process.stderr_lines().iter().any(|line| line.contains("from its oldest message")));
        assert_eq!(counted(&service).await, before);
    }
}

/// Returns every count of events, and the events, as text.
async fn counted(service: &Service) -> Vec<String> {
    let remote = service.remote().await;
    let mut found = Vec::new();
    for known in archived(&remote).await.logs {
        let id = &known.log;
        let timeline = remote.timeline(id, &TimelineRequest::default()).await.expect("the timeline is read");
        let bins: Vec<u64> = timeline.bins.iter().map(|bin| bin.count).collect();
        let described = remote.describe(id).await.expect("the log exists");
        let events = events(&remote, id.as_str()).await;
        found.push(format!(
            "{} {} {} {} {} {bins:?} {events:?}",
            known.log, known.events, described.events, described.bytes, described.buckets
        ));
    }
    found
}
