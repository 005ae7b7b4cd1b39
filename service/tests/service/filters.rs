//! Filters: which events of a log a replay returns.

use std::time::Duration;

use conformance::servers::Service;
use futures_util::{StreamExt, TryStreamExt};
use hourlog::{
    Cursor, ErrorKind, Events, Log, Record, Remote,
    read::End,
    remote::RemotePage,
    time::SECOND,
    wire::{Order, ReplayRequest, Span},
};

use crate::kit::{archived, log, publish_all, service};

/// More than two slices of a filtered page.
const EVENTS: usize = 9_000;

fn line(number: usize) -> (String, String) {
    let level = if number.is_multiple_of(1_000) { "error" } else { "info" };
    (
        "log.app.web".to_owned(),
        format!(r#"{{"n":{number},"level":"{level}","city":"M\u00fcnchen","pad":"{}"}}"#, "x".repeat(400)),
    )
}

async fn service_with_lines() -> (Service, Remote) {
    let service = service().await;
    publish_all(&service.jetstream().await, (0..EVENTS).map(line)).await;
    let remote = service.remote().await;
    archived(&remote).await;
    (service, remote)
}

fn condition(source: &str) -> ReplayRequest {
    ReplayRequest { condition: Some(source.to_owned()), ..ReplayRequest::default() }
}

async fn page(remote: &Remote, request: &ReplayRequest) -> RemotePage {
    remote.replay(&log("app.web"), request).await.expect("the service replies")
}

fn numbers(page: &RemotePage) -> Vec<u64> {
    let number = |data: &[u8]| {
        let json: serde_json::Value = serde_json::from_slice(data).expect("the data is JSON");
        json["n"].as_u64().expect("a number")
    };
    page.events.iter().map(|event| number(&event.record.data)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_has_only_the_events_that_pass_and_says_how_many_it_looked_at() {
    let (_service, remote) = service_with_lines().await;
    let thousands: Vec<u64> = (0..9).map(|number| number * 1_000).collect();

    let found = page(&remote, &condition(r#"json.level == "error""#)).await;
    assert_eq!((numbers(&found), found.end, found.scanned), (thousands.clone(), End::CaughtUp, EVENTS as u64));

    // In reverse, and with a limit, after which the next page goes on.
    let mut request = ReplayRequest { reverse: true, limit: Some(2), ..condition(r#"json.level == "error""#) };
    let mut reversed = Vec::new();
    loop {
        let found = page(&remote, &request).await;
        reversed.extend(numbers(&found));
        if found.end.is_last() {
            break;
        }
        request.after = found.next;
    }
    assert_eq!(reversed, thousands.iter().rev().copied().collect::<Vec<_>>());

    // In arrival order, with the pages of the client.
    let request = ReplayRequest { order: Order::Arrival, ..condition("json.n % 3000 == 0") };
    let events: Vec<_> = remote.events(log("app.web"), request).try_collect().await.expect("the log can be read");
    assert_eq!(events.len(), 3);

    for (text, count) in [("München", EVENTS), (r#""n":4000,"#, 1), (r#"re:"n":[45]000,"#, 2), ("Berlin", 0)] {
        let request = ReplayRequest { text: Some(text.to_owned()), ..ReplayRequest::default() };
        let events: Vec<_> = remote.events(log("app.web"), request).try_collect().await.expect("the log can be read");
        assert_eq!(events.len(), count, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_filter_that_finds_nothing_returns_in_time_and_goes_on_after_what_it_looked_at() {
    const LONG_EVENTS: u64 = 30;
    let service = service().await;
    let long = |_| ("log.app.long".to_owned(), "Ä".repeat(450_000));
    publish_all(&service.jetstream().await, (0..LONG_EVENTS).map(long)).await;
    let remote = service.remote().await;
    archived(&remote).await;
    // An expression that reads each event forty times, and finds nothing.
    let mut request = condition(&vec![r#"data.icontains("y")"#; 40].join(" || "));
    let (mut scanned, mut pages) = (0, 0);
    loop {
        let found = remote.replay(&log("app.long"), &request).await.expect("the service replies");
        assert!(found.events.is_empty());
        assert!(found.scanned > 0 || found.end == End::CaughtUp, "a page looks at one event at least");
        scanned += found.scanned;
        pages += 1;
        match found.end {
            End::CaughtUp => break,
            end => assert_eq!(end, End::Deadline),
        }
        assert_ne!(found.next, request.after, "a page goes on behind the one before");
        request.after = found.next;
    }
    assert_eq!(scanned, LONG_EVENTS);
    assert!(pages > 1, "the filter is not slow enough to see a deadline");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_reader_gets_the_next_event_that_passes() {
    let (_service, remote) = service_with_lines().await;
    let wanted = log("app.web");
    let request = ReplayRequest {
        order: Order::Arrival,
        wait: Some(Span(30 * SECOND)),
        header: Some("kind=wanted".to_owned()),
        ..ReplayRequest::default()
    };
    let reader = {
        let (remote, request, wanted) = (remote.clone(), request.clone(), wanted.clone());
        tokio::spawn(async move { remote.replay(&wanted, &request).await })
    };
    let mut writer = remote.log(&wanted).await.expect("the id is valid");
    for kind in ["other", "other", "wanted", "other"] {
        tokio::time::sleep(Duration::from_millis(100)).await;
        writer.write(Record::new(kind).with("kind", kind)).await.expect("the archive accepts it");
    }
    let found = reader.await.expect("the task ends").expect("the service replies");
    assert_eq!(found.events.iter().map(|event| &event.record.data[..]).collect::<Vec<_>>(), [b"wanted"]);

    // A follower goes on after what did not pass.
    let request = ReplayRequest { after: found.next, ..request };
    let mut followed = Box::pin(remote.tail(wanted, request));
    writer.write(Record::new("later").with("kind", "wanted")).await.expect("the archive accepts it");
    let next = followed.next().await.expect("a tail does not end").expect("the log can be read");
    assert_eq!(&next.record.data[..], b"later");

    // A short wait ends without an event, after everything.
    let short = ReplayRequest { wait: Some(Span(SECOND / 20)), ..condition("json.n < 0") };
    let found = page(&remote, &short).await;
    assert_eq!((found.events.len(), found.end), (0, End::CaughtUp));
    assert!(matches!(found.next, Some(Cursor::Timeline(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_filter_is_refused_with_its_column() {
    let (_service, remote) = service_with_lines().await;
    for (request, said) in [
        (condition("jsn.n == 1"), "in column 1: there is no name jsn; did you mean json?"),
        (condition("json.n =="), "in column"),
        (condition(&"(".repeat(4_000)), "where"),
        (condition(&"x".repeat(1 << 19)), "too long"),
        (ReplayRequest { text: Some("re:(a{1000}){1000}".to_owned()), ..ReplayRequest::default() }, "too large"),
        (ReplayRequest { seek: true, ..condition("json.n == 1") }, "leave out where"),
    ] {
        let error = remote.replay(&log("app.web"), &request).await.expect_err("it is refused");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
}
