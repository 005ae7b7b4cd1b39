//! The endpoints as their clients see them: other services, and people with `nats req`.

use std::time::Duration;

use async_nats::HeaderMap;
use hourlog::{ErrorKind, Offset, Record, remote::header_map, wire::*};
use serde_json::{Value, json};

use crate::kit::{Service, archived, log, service};

/// Sends a JSON request and returns its JSON reply.
async fn ask(service: &Service, subject: &str, body: &Value) -> Value {
    let remote = service.remote().await;
    let reply =
        remote.client().request(subject.to_owned(), body.to_string().into()).await.expect("the service replies");
    assert!(!reply.payload.is_empty(), "{subject} {body}: {:?}", reply.headers);
    serde_json::from_slice(&reply.payload).expect("the reply is JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_publish_is_replayed_as_readable_json() {
    let service = service().await;
    let remote = service.remote().await;
    let mut headers = HeaderMap::new();
    headers.append("kind", "paid");
    headers.append("kind", "twice");
    headers.append("Nats-Expected-Stream", "HOURLOG");
    let published = remote.client().publish_with_headers("log.orders.eu", headers, r#"{"id":7}"#.into());
    published.await.expect("the message can be sent");
    remote.client().flush().await.expect("the message can be sent");
    let page = ask(&service, "hourlog.replay.orders.eu", &json!({ "from": "first", "limit": 10, "fresh": true })).await;
    let event = &page["events"][0];
    assert_eq!(event["metadata"], json!({ "kind": ["paid", "twice"] }));
    assert_eq!(event["data"], r#"{"id":7}"#);
    assert_eq!(event["log"], "orders.eu");
    let offset = event["offset"].as_str().expect("the field is a string");
    assert_eq!(event["position"], format!("{offset}-{}", event["seq"].as_str().expect("the field is a string")));
    assert_eq!(
        (&page["end"], &page["next"], &page["resolved"]),
        (&json!("caught_up"), &event["position"], &event["position"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_respects_its_range_limits_and_direction() {
    let service = service().await;
    let remote = service.remote().await;
    for (second, name) in [(1, "a"), (2, "b"), (2, "c"), (3, "d")] {
        let at = format!("2018-02-04T10:00:0{second}Z").parse().expect("the time is valid");
        remote.append(&log("range"), Record::new(name).at(at)).await.expect("the record is archived");
    }
    let names = |page: &Value| {
        let events = page["events"].as_array().expect("the page has events").iter();
        events.map(|event| event["data"].as_str().expect("the field is a string").to_owned()).collect::<String>()
    };
    for (request, expected, end) in [
        (json!({}), "abcd", "caught_up"),
        (json!({ "from": "2018-02-04T10:00:02Z" }), "bcd", "caught_up"),
        (json!({ "to": "2018-02-04T10:00:02Z" }), "a", "bound"),
        (json!({ "from": "2018-02-04T10:00:02Z", "to": "2018-02-04T10:00:02Z" }), "", "bound"),
        (json!({ "reverse": true }), "dcba", "caught_up"),
        (json!({ "reverse": true, "limit": 2 }), "dc", "more"),
        (json!({ "reverse": true, "from": "2018-02-04T10:00:02Z", "to": "2018-02-04T10:00:03Z" }), "cb", "bound"),
        (json!({ "from": "last" }), "d", "caught_up"),
        (json!({ "from": "-1h" }), "", "caught_up"),
        (json!({ "order": "arrival", "limit": 3 }), "abc", "more"),
        (json!({ "max_bytes": 2 }), "ab", "more"),
    ] {
        let page = ask(&service, "hourlog.replay.range", &request).await;
        assert_eq!((names(&page).as_str(), page["end"].as_str()), (expected, Some(end)), "{request}");
    }
    let first = ask(&service, "hourlog.replay.range", &json!({ "limit": 2 })).await;
    let rest = ask(&service, "hourlog.replay.range", &json!({ "after": first["next"] })).await;
    assert_eq!(names(&rest), "cd");
    let first = ask(&service, "hourlog.replay.range", &json!({ "limit": 2, "reverse": true })).await;
    let rest = ask(&service, "hourlog.replay.range", &json!({ "after": first["next"], "reverse": true })).await;
    assert_eq!(names(&rest), "ba");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_replay_returns_the_next_event() {
    let service = service().await;
    let remote = service.remote().await;
    remote.append(&log("wait"), Record::new("one")).await.expect("the record is archived");
    let after = remote.replay(&log("wait"), &ReplayRequest::default()).await.expect("the replay succeeds").next;
    let waiting = tokio::spawn({
        let remote = remote.clone();
        let wait = Some("30s".parse().expect("the span is valid"));
        async move { remote.replay(&log("wait"), &ReplayRequest { after, wait, ..ReplayRequest::default() }).await }
    });
    remote.append(&log("wait"), Record::new("two")).await.expect("the record is archived");
    let page = waiting.await.expect("the task does not panic").expect("the replay succeeds");
    assert_eq!(page.events.iter().map(|event| &*event.record.data).collect::<Vec<_>>(), [b"two"]);
    // Without an event, the wait ends after its time.
    let wait = Some("10ms".parse().expect("the span is valid"));
    let request = ReplayRequest { after: page.next, wait, ..ReplayRequest::default() };
    let page = remote.replay(&log("wait"), &request).await.expect("the replay succeeds");
    assert_eq!((page.events.len(), page.end), (0, hourlog::read::End::CaughtUp));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_returns_the_position_and_a_duplicate_returns_the_same_one() {
    let service = service().await;
    let remote = service.remote().await;
    let record = Record::new("once").with("Nats-Msg-Id", "7").with("Nats-Rollup", "all");
    let first = remote.append(&log("ids"), record.clone()).await.expect("the record is archived");
    let second = remote.append(&log("ids"), record.clone()).await.expect("the record was archived before");
    assert_eq!((second.position, first.duplicate, second.duplicate), (first.position, false, true));
    // The same id in another log belongs to another record.
    let other = remote.append(&log("other"), record).await.expect("the record is archived");
    assert!(!other.duplicate);
    let page = remote.replay(&log("ids"), &ReplayRequest::default()).await.expect("the replay succeeds");
    assert_eq!(page.events.len(), 1);
    assert_eq!(page.events[0].record.metadata.get("Nats-Msg-Id"), ["7"]);
    assert!(page.events[0].record.metadata.get("Nats-Rollup").is_empty());
    let ahead = Record::new("x").at("2200-01-01T00:00:00Z".parse().expect("the time is valid"));
    let error = remote.append(&log("ids"), ahead).await.expect_err("the time is too far ahead");
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.to_string().contains("5 minutes ahead"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_counts_exactly_whatever_its_edges_are() {
    let service = service().await;
    let remote = service.remote().await;
    let start: Offset = "2026-10-24T20:00:00Z".parse().expect("the time is valid");
    let at = |number: u64| start + Duration::from_millis(number * 7_919);
    let records = (0..20_000).map(|number| Record::new("x").at(at(number)));
    let jetstream = service.jetstream().await;
    let messages: Vec<_> = records.map(|record| header_map(&record).expect("the headers are valid")).collect();
    for headers in messages {
        let sent = jetstream.publish_with_headers("log.edges", headers, "x".into()).await;
        sent.expect("the message can be sent");
    }
    archived(&remote).await;
    let count =
        |from: Offset, to: Offset| (0..20_000).filter(|number| (from..to).contains(&at(*number))).count() as u64;
    let when = |offset: Offset| Some(When::At(offset));
    // The clocks go back at 3:00, and the day has 25 hours.
    let (from, to) = (start + Duration::from_secs(4_321), start + Duration::from_secs(123_456));
    let step = |step: &str| TimelineRequest {
        from: when(from),
        to: when(to),
        step: Some(step.parse().expect("the step is valid")),
        zone: Some("Europe/Oslo".to_owned()),
        ..TimelineRequest::default()
    };
    for request in [
        step("1d"),
        step("1h"),
        step("7m"),
        TimelineRequest { exact: true, ..step("13s") },
        TimelineRequest { from: when(from), to: when(to), bins: Some(7), ..TimelineRequest::default() },
    ] {
        let reply = remote.timeline(&log("edges"), &request).await.expect("the timeline is read");
        assert!(reply.exact && reply.edge == 0 && reply.next.is_none(), "{request:?}");
        for bin in &reply.bins {
            assert_eq!(bin.count, count(bin.from, bin.to), "{bin:?}");
        }
        assert_eq!(reply.count, count(from, to));
    }
    let days = remote.timeline(&log("edges"), &step("1d")).await.expect("the timeline is read").bins;
    let midnights: Vec<String> = days.iter().skip(1).map(|day| day.from.to_string()).collect();
    assert_eq!(midnights, ["2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"]);
    // More than one request reads.
    let fine = remote.timeline(&log("edges"), &step("13s")).await.expect("the timeline is read");
    assert!(!fine.exact && fine.count + fine.edge >= count(from, to), "{}", fine.count);
    assert_eq!(fine.grain.duration(), Duration::from_secs(60));

    // The cost of exact counts is known before, and each part of the answer says what is left of it.
    assert!(fine.scanned <= 10_000 && fine.of >= count(from, to) / 2, "{} of {}", fine.scanned, fine.of);
    let exact = TimelineRequest { exact: true, ..step("13s") };
    let whole = remote.timeline(&log("edges"), &exact).await.expect("the timeline is read");
    assert_eq!((whole.of, whole.exact), (fine.of, true));
    // A minute has eight events at most, and the first and the last minute are cut.
    assert!(
        (0..=16).contains(&(whole.of - whole.scanned)),
        "all but the edges are read: {} of {}",
        whole.scanned,
        whole.of
    );

    let refused = async |request: TimelineRequest| {
        remote.timeline(&log("edges"), &request).await.expect_err("the request is invalid").to_string()
    };
    let both = refused(TimelineRequest { bins: Some(3), ..step("1d") }).await;
    assert!(both.contains("bins or a step, not both"), "{both}");
    let zone = refused(TimelineRequest { zone: Some("Europe/Olso".to_owned()), ..step("1d") }).await;
    assert!(zone.contains("Europe/Olso") && zone.contains("unknown"), "{zone}");
    let many = refused(step("1s")).await;
    assert!(many.contains("choose a longer step"), "{many}");
}

/// Sends a JSON request and returns the code and the sentence of its error.
async fn refusal(service: &Service, subject: &str, body: &Value) -> (String, String) {
    let client = service.remote().await.client().clone();
    let reply = client.request(subject.to_owned(), body.to_string().into()).await.expect("the service replies");
    let headers = reply.headers.unwrap_or_default();
    let header = |name| headers.get(name).map(ToString::to_string).unwrap_or_default();
    (header(ERROR_CODE), header(ERROR))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_endpoint_refuses_what_it_does_not_know_and_limits_of_zero() {
    let service = service().await;
    service.remote().await.append(&log("x"), Record::new("x")).await.expect("the record is archived");
    let info = service.remote().await.client().request("$SRV.INFO.hourlog", "".into()).await;
    let info: Value = serde_json::from_slice(&info.expect("the service replies").payload).expect("the reply is JSON");
    let mut checked = 0;
    for endpoint in info["endpoints"].as_array().expect("the service lists its endpoints") {
        let subject = endpoint["subject"].as_str().expect("an endpoint has a subject").replace('>', "x");
        // The body of an append is the event's data.
        if subject.contains(".append.") {
            continue;
        }
        let (code, error) = refusal(&service, &subject, &json!({ "nosuch": 1 })).await;
        assert!(code == "400" && error.contains("unknown field `nosuch`"), "{subject}: {code} {error}");
        checked += 1;
    }
    assert_eq!(checked, 23);
    for (subject, body) in [
        ("hourlog.replay.x", json!({ "limit": 0 })),
        ("hourlog.replay.x", json!({ "limit": 0, "order": "arrival", "wait": "10s" })),
        ("hourlog.replay.x", json!({ "max_bytes": 0 })),
        ("hourlog.replay.x", json!({ "pages": 0 })),
        ("hourlog.merge.x", json!({ "limit": 0 })),
        ("hourlog.timelines", json!({ "bins": 0 })),
        ("hourlog.timeline.x", json!({ "by": "log", "groups": 0 })),
        ("hourlog.logs", json!({ "limit": 0 })),
        ("hourlog.logs", json!({ "limit": 0, "pattern": "x" })),
        ("hourlog.timeline.x", json!({ "bins": 0 })),
    ] {
        let (code, error) = refusal(&service, subject, &body).await;
        assert!(code == "400" && error.contains(" is 0; give 1 or more"), "{subject} {body}: {code} {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_with_a_width_of_a_minute_counts_by_minutes() {
    let service = service().await;
    let remote = service.remote().await;
    let width = Some("1m".parse().expect("the width is valid"));
    let made = remote
        .create(&log("made"), &CreateRequest { width, ..CreateRequest::default() })
        .await
        .expect("the log is created");
    assert_eq!((made.events, made.width.to_string()), (0, "1m".to_owned()));
    for minute in [0, 0, 1, 5] {
        let at = format!("2018-02-04T10:0{minute}:30Z").parse().expect("the time is valid");
        remote.append(&log("made"), Record::new("x").at(at)).await.expect("the record is archived");
    }
    let known = remote.describe(&log("made")).await.expect("the log exists");
    assert_eq!((known.events, known.buckets, known.fullest_bucket), (4, 3, 2));
    let when = |text: &str| Some(text.parse().expect("the time is valid"));
    let request = TimelineRequest {
        from: when("2018-02-04T10:00:00Z"),
        to: when("2018-02-04T10:06:00Z"),
        bins: Some(6),
        ..TimelineRequest::default()
    };
    let counts: Vec<u64> = remote
        .timeline(&log("made"), &request)
        .await
        .expect("the timeline is read")
        .bins
        .iter()
        .map(|bin| bin.count)
        .collect();
    assert_eq!(counts, [2, 1, 0, 0, 0, 1]);

    // A range that ends with the newest event includes it.
    let last = Some(When::Last);
    let page = async |request: ReplayRequest| {
        remote.replay(&log("made"), &request).await.expect("the page is read").events.len()
    };
    assert_eq!(page(ReplayRequest { to: last, ..ReplayRequest::default() }).await, 4);
    assert_eq!(page(ReplayRequest { to: last, reverse: true, ..ReplayRequest::default() }).await, 4);
    assert_eq!(page(ReplayRequest { from: last, to: last, ..ReplayRequest::default() }).await, 1);
    let request = TimelineRequest { to: last, bins: Some(2), ..TimelineRequest::default() };
    assert_eq!(remote.timeline(&log("made"), &request).await.expect("the timeline is read").count, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_listed_by_pattern_and_in_pages() {
    let service = service().await;
    let remote = service.remote().await;
    for id in ["a.x", "a.y", "b.x", "c"] {
        remote.append(&log(id), Record::new("x")).await.expect("the record is archived");
    }
    let ids = |reply: LogsReply| reply.logs.into_iter().map(|log| log.log.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(archived(&remote).await), ["a.x", "a.y", "b.x", "c"]);
    for (pattern, expected) in [("a.*", vec!["a.x", "a.y"]), ("*.x", vec!["a.x", "b.x"]), ("c", vec!["c"])] {
        let request = LogsRequest { pattern: Some(pattern.to_owned()), ..LogsRequest::default() };
        assert_eq!(ids(remote.logs(&request).await.expect("the logs are listed")), expected);
    }
    let (mut after, mut found) = (None, Vec::new());
    loop {
        let request = LogsRequest { after, limit: Some(3), ..LogsRequest::default() };
        let reply = remote.logs(&request).await.expect("the logs are listed");
        after = reply.next.clone();
        found.extend(ids(reply));
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, ["a.x", "a.y", "b.x", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_go_only_to_inboxes() {
    let service = service().await;
    let remote = service.remote().await;
    let client = remote.client();
    remote.append(&log("victim"), Record::new("one")).await.expect("the record is archived");
    for reply in ["log.victim", "$JS.API.STREAM.PURGE.HOURLOG", "_INBOX", "hourlog.append.victim"] {
        client.publish_with_reply("hourlog.replay.victim", reply, "{}".into()).await.expect("the message can be sent");
        client.publish_with_reply("hourlog.replay.nope", reply, "".into()).await.expect("the message can be sent");
    }
    let listed = archived(&remote).await;
    assert_eq!(listed.logs.iter().map(|log| (log.log.as_str(), log.events)).collect::<Vec<_>>(), [("victim", 1)]);
    let stats = client.request("$SRV.STATS.hourlog", "".into()).await.expect("the service replies");
    let stats: Value = serde_json::from_slice(&stats.payload).expect("the reply is JSON");
    assert_eq!(stats["endpoints"][0]["data"]["replies_dropped"], 8, "{stats}");
}
