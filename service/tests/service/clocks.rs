//! Wrong clocks: that of the service, and those that events got their times from.

use std::time::Duration;

use async_nats::jetstream;
use conformance::servers::{NatsServer, StreamBackup, StreamMessage, stream_messages};
use hourlog::{
    Archive, Error, ErrorKind, Events, Log, Memory, Offset, Record, Remote,
    time::{Clock, DAY, HOUR, system_clock},
    wire::{AlterRequest, DescribeReply, LogsRequest, Order, PurgeRequest, ReplayRequest, TimelineRequest, When},
};
use hourlogd::{Rules, Running, Settings};

use crate::kit::{self, WAIT_MAX, archived, events, log, publish_all};

fn a_day_ahead() -> Offset {
    system_clock().saturating_add_nanos(DAY)
}

fn a_day_behind() -> Offset {
    system_clock().saturating_add_nanos(-DAY)
}

fn in_2099() -> Offset {
    "2099-01-01T00:00:00Z".parse().expect("the time is valid")
}

/// Starts a service with this clock over `store`. Its events are kept for an hour if their log begins
/// with `kept`.
async fn service(nats: &NatsServer, store: Memory, clock: Clock) -> (Running, Remote) {
    let kept = "kept.>=1h".parse().expect("the rule is valid");
    let settings = Settings {
        nats: nats.url(),
        clock,
        rules: Rules { retention: vec![kept], ..Rules::default() },
        sweep_every: Duration::from_millis(200),
        ..Settings::default()
    };
    let running = hourlogd::start(settings, store).await.expect("the service starts");
    let remote = Remote::connect(&nats.url()).await.expect("the server accepts a connection").with_timeout(WAIT_MAX);
    (running, remote)
}

fn when(text: &str) -> Option<When> {
    Some(text.parse().expect("the time is valid"))
}

/// Returns the data of a page's events, and the number of events ahead of now that it tells of.
async fn page(remote: &Remote, id: &str, request: &str) -> (Vec<String>, Option<u64>) {
    let request: ReplayRequest = serde_json::from_str(request).expect("the request is valid");
    let page = remote.replay(&log(id), &request).await.expect("the log exists");
    (conformance::kit::names(&page.events), page.ahead.map(|ahead| ahead.events))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_clock_of_the_service_changes_no_answer_and_removes_nothing() {
    let nats = NatsServer::start().await;
    for (number, clock) in [a_day_ahead as Clock, a_day_behind].into_iter().enumerate() {
        let store = Memory::new();
        let (running, remote) = service(&nats, store, clock).await;
        let (new, old) = (format!("kept.a{number}"), format!("kept.z{number}"));
        let jetstream = jetstream::new(remote.client().clone());
        publish_all(&jetstream, (0..500).map(|event| (format!("log.{new}"), event.to_string()))).await;
        let long_ago = Record::new("old").at("2018-02-04T10:00:00Z".parse().expect("the time is valid"));
        remote.append(&log(&old), long_ago).await.expect("it is archived");
        archived(&remote).await;

        let hour = ReplayRequest { from: when("-1h"), to: when("now"), ..ReplayRequest::default() };
        let page = remote.replay(&log(&new), &hour).await.expect("the log exists");
        assert_eq!(page.events.len(), 500, "clock {number}");
        let hour = TimelineRequest { from: when("-1h"), to: when("now"), bins: Some(1), ..TimelineRequest::default() };
        assert_eq!(remote.timeline(&log(&new), &hour).await.expect("the log exists").count, 500, "clock {number}");
        let status = remote.status().await.expect("the service replies");
        let jetstream_now = status.jetstream_now.expect("JetStream has told it");
        assert!(jetstream_now.duration_since(system_clock()) < Duration::from_secs(60));
        assert!((status.now.nanos() - jetstream_now.nanos()).abs() > DAY / 2);
        let lag_seconds = status.sources[0].lag_seconds.expect("the stream answers");
        assert!(lag_seconds < 3_600.0, "{lag_seconds}");

        // Logs are swept in the order of their ids, so the old event goes last.
        let begun = std::time::Instant::now();
        while remote.describe(&log(&old)).await.expect("the log exists").events > 0 {
            assert!(begun.elapsed() < WAIT_MAX, "no sweep with clock {number}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(events(&remote, &new).await.len(), 500, "a sweep with clock {number} has removed events of today");
        let request = PurgeRequest { before: When::Ago(HOUR), dry_run: false };
        let purged = remote.purge(&log(&new), &request).await.expect("the log exists");
        assert_eq!(purged.events, 0, "removed by a purge with clock {number}");
        running.stop().await.expect("the service stops");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_of_jetstream_that_was_in_2099_is_said_and_events_after_it_arrive_once_and_in_order() {
    let mut service = kit::service().await;
    publish_all(&service.jetstream().await, (1..=20).map(|number| ("log.a".to_owned(), number.to_string()))).await;
    archived(&service.remote().await).await;
    let client = service.remote().await.client().clone();
    let before = stream_messages(&client, "HOURLOG").await;
    let last = before.last().expect("the stream holds messages").clone();
    let message = |sequence: u64| StreamMessage {
        sequence,
        time: if sequence == 21 { in_2099() } else { last.time.saturating_add_nanos(sequence as i64) },
        payload: sequence.to_string().into(),
        ..last.clone()
    };
    let messages: Vec<StreamMessage> = before.iter().cloned().chain((21..=60).map(message)).collect();
    let backup = StreamBackup::of_messages(&client, "HOURLOG", &messages, 100).await;
    service.process.kill();
    service.jetstream().await.delete_stream("HOURLOG").await.expect("the stream can be deleted");
    backup.restore(&client).await;
    service.start_again().await;
    // After a restart, too.
    for _ in 0..2 {
        let remote = service.remote().await;
        archived(&remote).await;
        let described = remote.describe(&log("a")).await.expect("the log exists");
        let warns =
            |warning: &String| warning.contains("JetStream's clock was ahead") && warning.contains("2099-01-01");
        assert!(described.events == 60 && described.warnings.iter().any(warns), "{described:?}");
        let status = remote.status().await.expect("the service replies");
        assert_eq!(status.sources[0].max_time, Some(in_2099()));
        let mut request = ReplayRequest { order: Order::Arrival, limit: Some(7), ..ReplayRequest::default() };
        let mut arrived = Vec::new();
        loop {
            let page = remote.replay(&log("a"), &request).await.expect("the log exists");
            if page.events.is_empty() {
                break;
            }
            arrived.extend(conformance::kit::names(&page.events));
            request.after = page.next;
        }
        assert_eq!(arrived, (1..=60).map(|number| number.to_string()).collect::<Vec<_>>());
        service.process.kill();
        service.start_again().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_ahead_of_now_hide_nothing() -> Result<(), Error> {
    let (nats, store) = (NatsServer::start().await, Memory::new());
    let early = Archive::new(store.clone(), in_2099);
    for id in ["dev.7", "only.ahead"] {
        early.log(&log(id)).await?.write_many(["x", "y", "z"].map(Record::new).to_vec()).await?;
    }
    let (running, remote) = service(&nats, store, system_clock).await;
    let jetstream = jetstream::new(remote.client().clone());
    publish_all(&jetstream, ["a", "b", "c"].map(|text| ("log.dev.7".to_owned(), text.to_owned()))).await;
    archived(&remote).await;

    let described: DescribeReply = remote.describe(&log("dev.7")).await?;
    let ahead = described.ahead.expect("three events lie ahead");
    assert_eq!((described.events, ahead.events, ahead.first, ahead.at_least), (6, 3, in_2099(), false));
    assert!(described.last.is_some_and(|last| last <= a_day_ahead()));
    assert!(described.warnings.iter().any(|warning| warning.contains("3 events lie ahead of now")), "{described:?}");
    let listed = remote.logs(&LogsRequest { ahead: true, ..LogsRequest::default() }).await?.logs;
    assert_eq!(listed.iter().map(|log| log.log.as_str()).collect::<Vec<_>>(), ["dev.7", "only.ahead"]);
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let request = LogsRequest { ahead: true, limit: Some(1), after, ..LogsRequest::default() };
        let page = remote.logs(&request).await?;
        paged.extend(page.logs.into_iter().map(|log| log.log));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(paged, [log("dev.7"), log("only.ahead")]);
    assert_eq!((listed[0].last, listed[0].ahead), (described.last, described.ahead));
    assert_eq!((listed[1].last, listed[1].events), (None, 3));

    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    for (request, expected, ahead) in [
        (r#"{"reverse":true,"limit":2}"#, vec!["c", "b"], Some(3)),
        (r#"{"reverse":true,"to":"end","limit":2}"#, vec!["z", "y"], None),
        (r#"{"from":"last"}"#, vec!["c", "x", "y", "z"], None),
        (r#"{"from":"end"}"#, vec![], None),
        (r#"{"from":"-1h","to":"now"}"#, vec!["a", "b", "c"], None),
        (r#"{}"#, vec!["a", "b", "c", "x", "y", "z"], None),
        (r#"{"from":"now"}"#, vec!["x", "y", "z"], None),
        (r#"{"order":"arrival","from":"last"}"#, vec!["c"], None),
    ] {
        assert_eq!(page(&remote, "dev.7", request).await, (texts(&expected), ahead), "{request}");
    }
    let newest = page(&remote, "only.ahead", r#"{"reverse":true}"#).await;
    assert_eq!(newest, (Vec::new(), Some(3)));

    let whole = remote.timeline(&log("dev.7"), &TimelineRequest::default()).await?;
    assert_eq!((whole.count, whole.ahead), (3, described.ahead));
    assert!(whole.to <= a_day_ahead());
    let request = TimelineRequest { to: when("end"), bins: Some(1), ..TimelineRequest::default() };
    assert_eq!(remote.timeline(&log("dev.7"), &request).await?.count, 6);
    let none = remote.timeline(&log("only.ahead"), &TimelineRequest::default()).await?;
    assert_eq!((none.count, none.ahead.map(|ahead| ahead.events)), (0, Some(3)));

    // A follower that begins at the newest event misses nothing that arrives later.
    let last = ReplayRequest { order: Order::Arrival, from: when("last"), ..ReplayRequest::default() };
    let after = remote.replay(&log("dev.7"), &last).await?.next;
    remote.append(&log("dev.7"), Record::new("d")).await?;
    let follow = ReplayRequest { order: Order::Arrival, after, ..ReplayRequest::default() };
    assert_eq!(conformance::kit::names(&remote.replay(&log("dev.7"), &follow).await?.events), ["d"]);
    // Another width would apply to the buckets of 2099, whose events would not be found any more.
    let request = AlterRequest { width: Some("1m".parse()?), ..AlterRequest::default() };
    let refused = remote.alter(&log("dev.7"), &request).await.expect_err("events lie ahead");
    assert_eq!(refused.kind(), ErrorKind::Refused, "{refused}");
    running.stop().await
}
