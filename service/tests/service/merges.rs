//! Merges: the logs below a prefix, in one timeline.

use std::time::Duration;

use conformance::servers::Service;
use hourlog::{
    ErrorKind, Event, Events, Log, LogId, Record, Remote,
    read::End,
    time::SECOND,
    wire::{JSON, MergeRequest, MergedPosition, Span, When, json::JsonMergedPage},
};

use crate::kit::{archived, log, publish_all, service};

const LOGS: usize = 40;
const EVENTS: usize = 6_000;

/// A service with events of forty logs below `app`, in turn, of the log `app` itself, and of a neighbour by name.
async fn service_with_logs() -> (Service, Remote) {
    let service = service().await;
    let message = |number: usize| {
        let subject = match number % 100 {
            7 => "log.app".to_owned(),
            8 => "log.apple".to_owned(),
            _ => format!("log.app.{}.x", number * number % LOGS),
        };
        (subject, format!(r#"{{"n":{number},"pad":"{}"}}"#, "x".repeat(number % 700)))
    };
    publish_all(&service.jetstream().await, (0..EVENTS).map(message)).await;
    let remote = service.remote().await;
    archived(&remote).await;
    (service, remote)
}

fn place(event: &Event) -> MergedPosition {
    MergedPosition { position: event.position, log: event.log.clone() }
}

/// Reads page after page, to the end.
async fn read(remote: &Remote, prefix: Option<&LogId>, mut request: MergeRequest) -> (Vec<Event>, End) {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let page = remote.merge(prefix, &request).await.expect("the service replies");
        events.extend(page.events);
        if page.end.is_last() {
            return (events, page.end);
        }
        assert_ne!(page.next, request.after, "a page goes on behind the one before");
        request.after = page.next;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_a_merge_are_the_events_of_all_logs_in_one_order() {
    let (_service, remote) = service_with_logs().await;
    let app = log("app");
    let mut all = Vec::new();
    for listed in archived(&remote).await.logs.iter().filter(|listed| listed.log.as_str() != "apple") {
        all.extend(crate::kit::events(&remote, listed.log.as_str()).await);
    }
    all.sort_by_key(place);
    assert_eq!(all.len(), EVENTS - EVENTS / 100);

    for limit in [None, Some(7), Some(20_000)] {
        let request = MergeRequest { limit, ..MergeRequest::default() };
        let (found, end) = read(&remote, Some(&app), request).await;
        assert_eq!(end, End::CaughtUp);
        assert!(found == all, "{limit:?}");
    }
    let small = MergeRequest { max_bytes: Some(9_000), limit: Some(20_000), ..MergeRequest::default() };
    assert!(read(&remote, Some(&app), small.clone()).await.0 == all);
    let (mut found, _) = read(&remote, Some(&app), MergeRequest { reverse: true, ..small }).await;
    found.reverse();
    assert!(found == all);

    // A part of the time, in both directions.
    let [from, to] = [1_000, 3_000].map(|index: usize| all[index].position.offset);
    for reverse in [false, true] {
        let range =
            MergeRequest { from: Some(When::At(from)), to: Some(When::At(to)), reverse, ..MergeRequest::default() };
        let (mut found, end) = read(&remote, Some(&app), range).await;
        if reverse {
            found.reverse();
        }
        let expected: Vec<&Event> = all.iter().filter(|event| (from..to).contains(&event.position.offset)).collect();
        assert!(found.iter().eq(expected) && end == End::Bound);
    }

    // All logs, and those of a pattern.
    assert_eq!(read(&remote, None, MergeRequest::default()).await.0.len(), EVENTS);
    let some = MergeRequest { pattern: Some("app.9.*".to_owned()), ..MergeRequest::default() };
    let (found, _) = read(&remote, Some(&app), some).await;
    let of_log = |event: &&Event| event.log.as_str() == "app.9.x";
    assert!(found.iter().eq(all.iter().filter(of_log)) && !found.is_empty());

    // With a filter, which looks at all of them.
    let filter = MergeRequest { condition: Some("json.n % 500 == 1".to_owned()), limit: Some(5), ..Default::default() };
    let page = remote.merge(Some(&app), &filter).await.expect("the service replies");
    assert_eq!((page.events.len(), page.end), (5, End::More));
    let (found, _) = read(&remote, Some(&app), filter).await;
    assert_eq!(found.len(), EVENTS / 500);
    assert!(found.is_sorted_by_key(place));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_takes_long_goes_on_in_every_page_and_misses_nothing() {
    let service = service().await;
    let long = |number: usize| (format!("log.slow.{}", number % 3), format!("{}{number}", "Ä".repeat(200_000)));
    publish_all(&service.jetstream().await, (0..30).map(long)).await;
    let remote = service.remote().await;
    archived(&remote).await;
    let slow = vec![r#"data.icontains("y")"#; 40].join(" || ");
    let condition = Some(format!("{slow} || data.endsWith(\"9\")"));
    for reverse in [false, true] {
        let mut request = MergeRequest { condition: condition.clone(), reverse, ..MergeRequest::default() };
        let (mut found, mut pages) = (0, 0);
        loop {
            let page = remote.merge(Some(&log("slow")), &request).await.expect("the service replies in time");
            found += page.events.len();
            pages += 1;
            if page.end.is_last() {
                break;
            }
            assert!(page.scanned > 0 && page.next != request.after, "{page:?}");
            request.after = page.next;
        }
        assert_eq!(found, 3);
        assert!(pages > 1, "the filter is not slow enough to see a deadline");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_as_json_has_the_same_events() {
    let (service, remote) = service_with_logs().await;
    let client = async_nats::connect(service.nats.url()).await.expect("the server accepts a connection");
    let reply = client.request("hourlog.merge.app", r#"{"limit":30,"reverse":true}"#.into()).await.expect("a reply");
    let headers = reply.headers.expect("it names its format");
    assert_eq!(headers.get("Content-Type").map(|format| format.as_str()), Some(JSON));
    let page: JsonMergedPage = serde_json::from_slice(&reply.payload).expect("a page");
    let request = MergeRequest { limit: Some(30), reverse: true, ..MergeRequest::default() };
    let same = remote.merge(Some(&log("app")), &request).await.expect("the service replies");
    let events: Vec<Event> = page.events.into_iter().map(|event| event.try_into().expect("an event")).collect();
    assert_eq!(events, same.events);
    assert_eq!((page.next, page.logs, page.scanned), (same.next, same.logs, same.scanned));
    assert_eq!(page.logs, 1 + archived(&remote).await.logs.len() as u64 - 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_merge_gets_the_next_event_also_of_a_log_that_is_new() {
    let (_service, remote) = service_with_logs().await;
    let app = log("app");
    let newest = MergeRequest { reverse: true, limit: Some(1), ..MergeRequest::default() };
    let page = remote.merge(Some(&app), &newest).await.expect("the service replies");
    let mut request = MergeRequest { after: page.next, wait: Some(Span(30 * SECOND)), ..MergeRequest::default() };
    for name in ["app.new.x", "app.1.x", "app"] {
        let waiting = {
            let (remote, request, app) = (remote.clone(), request.clone(), app.clone());
            tokio::spawn(async move { remote.merge(Some(&app), &request).await })
        };
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut other = remote.log(&log("elsewhere")).await.expect("the id is valid");
        other.write(Record::new("not of these logs")).await.expect("the archive accepts it");
        let mut writer = remote.log(&log(name)).await.expect("the id is valid");
        writer.write(Record::new(name)).await.expect("the archive accepts it");
        let page = waiting.await.expect("the task ends").expect("the service replies");
        assert_eq!(page.events.iter().map(|event| event.log.as_str()).collect::<Vec<_>>(), [name]);
        request.after = page.next;
    }
    let page = remote.merge(Some(&app), &MergeRequest { wait: Some(Span(SECOND / 20)), ..request.clone() }).await;
    let page = page.expect("the service replies");
    assert_eq!((page.events.len(), page.end, page.next), (0, End::CaughtUp, request.after));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_leaves_its_prefix_is_refused() {
    let (_service, remote) = service_with_logs().await;
    let pattern = |pattern: &str| MergeRequest { pattern: Some(pattern.to_owned()), ..MergeRequest::default() };
    for (request, said) in [
        (pattern(">"), "is not below app"),
        (pattern("apple"), "is not below app"),
        (pattern("*.1.x"), "is not below app"),
        (MergeRequest { limit: Some(0), ..MergeRequest::default() }, "limit is 0"),
        (MergeRequest { from: Some(When::Last), ..MergeRequest::default() }, "last"),
        (MergeRequest { condition: Some("jsn".to_owned()), ..MergeRequest::default() }, "did you mean json"),
    ] {
        let error = remote.merge(Some(&log("app")), &request).await.expect_err("it is refused");
        assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains(said), "{error}");
    }
    let (found, end) = read(&remote, Some(&log("nobody")), MergeRequest::default()).await;
    assert!(found.is_empty() && end == End::CaughtUp);
}
