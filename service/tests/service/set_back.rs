//! An archive that is a copy of before: what it lost is said, and no follower misses a new event.

use std::time::{Duration, Instant};

use hourlog::{
    ArrivalCursor, Cursor, Remote,
    remote::RemotePage,
    wire::{MissingStatus, Order, ReplayRequest, SetCursorRequest, StatusReply},
};
use serde_json::Value;
use tempfile::TempDir;

use crate::kit::{Service, WAIT_MAX, archived, events, log, options, publish_all, service, service_with, until_purged};

/// Flags with which the janitor deletes everything that is archived.
const KEEP_NOTHING: [&str; 4] = ["--wal-keep-seconds", "0", "--wal-keep-bytes", "0"];

async fn publish(service: &Service, numbers: std::ops::Range<u32>) {
    let message = |number: u32| ("log.back".to_owned(), number.to_string());
    publish_all(&service.jetstream().await, numbers.map(message)).await;
}

/// Reads one page in arrival order, with everything that was published.
async fn page(remote: &Remote, after: ArrivalCursor, limit: u32) -> RemotePage {
    let after = Some(Cursor::Arrival(after));
    let request =
        ReplayRequest { after, order: Order::Arrival, limit: Some(limit), fresh: true, ..ReplayRequest::default() };
    remote.replay(&log("back"), &request).await.expect("the service replies")
}

/// Returns the cursor of a follower that has read `count` events.
async fn cursor_after(remote: &Remote, count: u32) -> ArrivalCursor {
    match page(remote, ArrivalCursor::FIRST, count).await.next {
        Some(Cursor::Arrival(cursor)) => cursor,
        next => panic!("{next:?} is not a cursor in arrival order"),
    }
}

fn numbers(page: &RemotePage) -> Vec<String> {
    page.events.iter().map(|event| String::from_utf8_lossy(&event.record.data).into_owned()).collect()
}

fn range(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

async fn status(service: &Service) -> StatusReply {
    service.remote().await.status().await.expect("the service replies")
}

/// Stops the service and copies its archive.
async fn copy_of_archive(service: &mut Service) -> TempDir {
    assert!(service.process.terminate().await.success());
    service.copy_archive()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_back_archive_says_its_exact_loss_and_no_follower_misses_a_new_event() {
    let mut service = service_with(&KEEP_NOTHING).await;
    publish(&service, 1..101).await;
    let remote = service.remote().await;
    archived(&remote).await;
    let name = "worker".parse().expect("the name is valid");
    let set = |cursor| SetCursorRequest { name: "worker".parse().expect("the name is valid"), cursor, force: false };
    let at_100 = cursor_after(&remote, 1_000).await;
    assert!(remote.set_cursor(&log("back"), &set(at_100)).await.expect("the service replies").stored);
    let copy = copy_of_archive(&mut service).await;

    // The time that will be lost. The stream keeps its last 21 messages.
    service.start_again().await;
    publish(&service, 101..700).await;
    archived(&service.remote().await).await;
    until_purged(&service).await;
    service.process.terminate().await;
    service.options = options(&["--http", "127.0.0.1:0"]);
    service.start_again().await;
    publish(&service, 700..721).await;
    let remote = service.remote().await;
    archived(&remote).await;
    let [at_650, at_710, at_720] =
        [cursor_after(&remote, 650).await, cursor_after(&remote, 710).await, cursor_after(&remote, 720).await];
    assert!(remote.set_cursor(&log("back"), &set(at_720)).await.expect("the service replies").stored);
    service.process.terminate().await;
    publish(&service, 721..731).await;

    service.put_archive_back(&copy).await;
    let remote = service.remote().await;
    let begun = Instant::now();
    archived(&remote).await;
    assert!(begun.elapsed() < WAIT_MAX / 2, "a fresh read waited for messages that are gone");
    publish(&service, 731..741).await;
    archived(&remote).await;

    // It is said everywhere, with the range.
    let missing = MissingStatus { first: 101, last: 699, messages: 599, exact: true };
    let said = status(&service).await.sources[0].set_back.clone().expect("the loss is reported");
    assert_eq!(said.missing, missing);
    let report = service.report().await;
    assert_eq!(report["set_back"]["missing"], "101-699");
    assert_eq!((report["removed"].as_u64(), &report["fork"]), (Some(0), &Value::Null));
    let line = "the archive was set back, or the stream was purged: messages 101–699 are in neither";
    assert!(service.process.stderr_lines().iter().any(|said| said.contains("ERROR") && said.contains(line)));
    let (ready, body) = crate::http::get(&service, "/readyz").await;
    assert!(ready.contains("200 OK") && body.contains(line), "the service works, so it is ready: {ready} {body}");
    let (_, metrics) = crate::http::get(&service, "/metrics").await;
    for line in [
        "hourlog_set_backs_total{stream=\"HOURLOG\"} 1",
        "hourlog_set_back_first_sequence{stream=\"HOURLOG\"} 101",
        "hourlog_set_back_last_sequence{stream=\"HOURLOG\"} 699",
        "hourlog_lag_messages{stream=\"HOURLOG\"} 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "no {line} in {metrics}");
    }

    // Every follower gets all events that it has not read, once.
    let left = page(&remote, at_100, 1_000).await;
    assert_eq!((numbers(&left), left.moved), (range(700..741), None));
    assert!(left.events.iter().all(|event| event.position.seq.epoch() > 1));
    for (cursor, expected) in [(at_650, 700..741), (at_710, 711..741), (at_720, 721..741)] {
        let ahead = page(&remote, cursor, 1_000).await;
        assert_eq!(numbers(&ahead), range(expected));
        let moved = ahead.moved.expect("the reader is told");
        assert_eq!((moved.requested, moved.reason.as_str()), (cursor, line));
        assert!(moved.resolved.seq.epoch() > 1, "{moved}");
        let Some(Cursor::Arrival(next)) = ahead.next else { panic!("{:?}", ahead.next) };
        let on = page(&remote, next, 1_000).await;
        assert_eq!((on.events.len(), on.moved), (0, None));
    }
    // The stored cursor was set back with its archive.
    assert_eq!(remote.cursor(&log("back"), &name).await.expect("the service replies"), Some(at_100));
    let stored = remote.set_cursor(&log("back"), &set(at_720)).await.expect("the service replies");
    assert!(stored.stored && stored.cursor.seq.epoch() > 1, "{stored:?}");

    // It stays so over a kill, and nothing is stored twice.
    for _ in 0..2 {
        service.process.kill();
        service.start_again().await;
        let remote = service.remote().await;
        archived(&remote).await;
        assert_eq!(events(&remote, "back").await.len(), 100 + 41);
        assert_eq!(status(&service).await.sources[0].set_back.as_ref(), Some(&said));
        assert_eq!(numbers(&page(&remote, at_720, 1_000).await), range(721..741));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_killed_right_after_a_set_back_stores_nothing_twice() {
    let mut service = service_with(&KEEP_NOTHING).await;
    publish(&service, 1..101).await;
    archived(&service.remote().await).await;
    let copy = copy_of_archive(&mut service).await;
    service.start_again().await;
    publish(&service, 101..201).await;
    archived(&service.remote().await).await;
    until_purged(&service).await;
    service.process.terminate().await;
    service.options = options(&[]);
    publish(&service, 201..301).await;
    for delay in [0, 5, 20, 80, 200] {
        service.put_archive_back(&copy).await;
        tokio::time::sleep(Duration::from_millis(delay)).await;
        service.process.kill();
        service.start_again().await;
        let remote = service.remote().await;
        archived(&remote).await;
        let found: Vec<_> = events(&remote, "back").await.into_iter().map(|event| event.record.data).collect();
        let expected = range(1..101).into_iter().chain(range(201..301)).map(|number| number.into());
        assert!(found.into_iter().eq(expected), "killed after {delay} ms");
        assert_eq!(service.report().await["set_back"]["missing"], "101-200");
        service.process.terminate().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_set_back_before_its_first_message_is_reported_too() {
    let mut service = service_with(&KEEP_NOTHING).await;
    archived(&service.remote().await).await;
    let copy = copy_of_archive(&mut service).await;
    service.start_again().await;
    publish(&service, 1..31).await;
    archived(&service.remote().await).await;
    until_purged(&service).await;
    let at_30 = cursor_after(&service.remote().await, 30).await;
    service.process.terminate().await;
    // The stream is empty, so nothing else would show the loss.
    service.put_archive_back(&copy).await;
    let remote = service.remote().await;
    archived(&remote).await;
    assert_eq!(service.report().await["set_back"]["missing"], "1-30");
    publish(&service, 31..41).await;
    assert_eq!(numbers(&page(&remote, at_30, 1_000).await), range(31..41));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_back_archive_reads_again_what_the_stream_still_has_and_moves_no_reader() {
    let mut service = service().await;
    publish(&service, 1..101).await;
    archived(&service.remote().await).await;
    let copy = copy_of_archive(&mut service).await;
    service.start_again().await;
    publish(&service, 101..301).await;
    let remote = service.remote().await;
    archived(&remote).await;
    let at_250 = cursor_after(&remote, 250).await;
    service.process.terminate().await;
    service.put_archive_back(&copy).await;
    let remote = service.remote().await;
    // At once, while the service may still be reading.
    let request = ReplayRequest {
        after: Some(Cursor::Arrival(at_250)),
        order: Order::Arrival,
        wait: "5s".parse().ok(),
        ..ReplayRequest::default()
    };
    let first = remote.replay(&log("back"), &request).await.expect("the service replies");
    assert!(first.moved.is_none() && range(251..301).starts_with(&numbers(&first)), "{:?}", numbers(&first));
    let all = page(&remote, at_250, 1_000).await;
    assert_eq!((numbers(&all), all.moved), (range(251..301), None));
    assert_eq!(events(&remote, "back").await.len(), 300);
    assert_eq!(service.report().await["set_back"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_ahead_of_archive_and_stream_is_moved_and_gets_every_new_event() {
    let mut service = service().await;
    publish(&service, 1..101).await;
    archived(&service.remote().await).await;
    let copy = copy_of_archive(&mut service).await;
    let stream = service.nats.snapshot();
    service.start_again().await;
    publish(&service, 101..801).await;
    let remote = service.remote().await;
    archived(&remote).await;
    let at_800 = cursor_after(&remote, 800).await;
    service.process.terminate().await;
    service.nats.roll_back(&stream).await;
    publish(&service, 1_001..1_051).await;

    service.put_archive_back(&copy).await;
    let remote = service.remote().await;
    archived(&remote).await;
    let stored = SetCursorRequest { name: "worker".parse().expect("it is valid"), cursor: at_800, force: false };
    let stored = remote.set_cursor(&log("back"), &stored).await.expect("the service replies");
    assert!(stored.stored && stored.cursor.seq < at_800.seq, "{stored:?}");
    for after in [at_800, stored.cursor] {
        let ahead = page(&remote, after, 1_000).await;
        assert_eq!(numbers(&ahead), range(1_001..1_051));
        assert_eq!(ahead.moved.is_some(), after == at_800, "{:?}", ahead.moved);
    }
    let json = serde_json::json!({ "order": "arrival", "after": at_800.to_string() }).to_string();
    let reply = remote.client().request("hourlog.replay.back", json.into()).await.expect("the service replies");
    let reply: Value = serde_json::from_slice(&reply.payload).expect("the reply is JSON");
    assert_eq!(reply["moved"]["requested"], at_800.to_string());
    assert!(reply["moved"]["reason"].as_str().is_some_and(|reason| reason.contains("ahead of everything")), "{reply}");
}
