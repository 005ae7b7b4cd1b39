//! What was acknowledged is there once and in order, whatever was killed meanwhile.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use async_nats::{HeaderMap, jetstream};
use futures_util::future::join_all;

use conformance::servers::{copy_directory, replace_directory};

use hourlog::wire::TimelineRequest;

use crate::kit::{Service, archived, events, log, publish_all, service};

const LOGS: u64 = 50;
const EVENTS: u64 = 50_000;
/// Published at once. Divides [`EVENTS`].
const AT_ONCE: u64 = 500;

/// Publishes events and remembers, for each log, the order in which the stream has them.
struct Publisher {
    jetstream: jetstream::Context,
    /// By log, the events by their sequence in the stream.
    acked: BTreeMap<u64, BTreeMap<u64, u64>>,
}

impl Publisher {
    /// Publishes `numbers`, all at once, and those that are not acknowledged again with the same id: the stream knows the
    /// id of what it has.
    async fn publish(&mut self, numbers: Range<u64>) {
        let mut left: Vec<u64> = numbers.collect();
        while !left.is_empty() {
            let outcomes = join_all(left.iter().map(|number| self.send(*number))).await;
            let mut lost = Vec::new();
            for (number, sequence) in left.into_iter().zip(outcomes) {
                match sequence {
                    Some(sequence) => {
                        self.acked.entry(number % LOGS).or_default().insert(sequence, number);
                    }
                    None => lost.push(number),
                }
            }
            left = lost;
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
            // It is busy: what was published is not archived yet.
            service.process.kill();
            service.start_again().await;
        }
    }
    check(&service, &publisher).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nats_server_killed_twice_is_come_back_to_by_the_service_itself() {
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
async fn what_was_published_while_the_service_was_down_is_there_at_its_publish_time() {
    let mut service = service().await;
    service.process.kill();
    let jetstream = service.jetstream().await;
    publish_all(&jetstream, (0..10_000).map(|number| ("log.down".to_owned(), number.to_string()))).await;
    let mut stream = jetstream.get_stream("HOURLOG").await.expect("the stream is there");
    let info = stream.info().await.expect("the stream answers").state.clone();

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
async fn an_archive_that_was_set_back_is_filled_from_the_stream_again() {
    let mut service = service().await;
    let message = |number: u32| (format!("log.back.{}", number % 3), number.to_string());
    publish_all(&service.jetstream().await, (0..300).map(message)).await;
    archived(&service.remote().await).await;
    assert!(service.process.terminate().await.success());
    let tables = service.directory.path().join("tables");
    let before = tempfile::TempDir::new().expect("a directory can be made");
    copy_directory(&tables, before.path());

    service.start_again().await;
    publish_all(&service.jetstream().await, (300..900).map(message)).await;
    archived(&service.remote().await).await;
    assert!(service.process.terminate().await.success());
    replace_directory(before.path(), &tables);

    service.start_again().await;
    let said = service.process.said();
    assert!(said.iter().any(|line| line.contains("has lost what it had acknowledged")), "{said:?}");
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
async fn a_stream_read_again_from_its_start_ten_times_moves_no_count() {
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
        sent.expect("it is sent").await.expect("the stream takes it");
    }
    let before = counted(&service).await;
    for _ in 0..10 {
        assert!(service.process.terminate().await.success());
        // An archive that is behind what it acknowledged reads everything again.
        let watermark = service.directory.path().join("watermark");
        std::fs::write(watermark, "1000000 1000000\n").expect("the directory is the test's own");
        service.start_again().await;
        assert!(service.process.said().iter().any(|line| line.contains("from its oldest message")));
        assert_eq!(counted(&service).await, before);
    }
}

/// Everything that counts events, and the events.
async fn counted(service: &Service) -> Vec<String> {
    let remote = service.remote().await;
    let mut found = Vec::new();
    for known in archived(&remote).await.logs {
        let id = log(&known.log);
        let timeline = remote.timeline(&id, &TimelineRequest::default()).await.expect("counts");
        let bins: Vec<u64> = timeline.bins.iter().map(|bin| bin.count).collect();
        let described = remote.describe(&id).await.expect("it is known");
        let events = events(&remote, &known.log).await;
        found.push(format!(
            "{} {} {} {} {} {bins:?} {events:?}",
            known.log, known.events, described.events, described.bytes, described.buckets
        ));
    }
    found
}
