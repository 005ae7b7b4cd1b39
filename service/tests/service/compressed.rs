//! Compressed pages, and how many requests and bytes a reader takes.

use async_nats::HeaderMap;
use conformance::servers::Service;
use futures_util::{StreamExt, TryStreamExt};
use hourlog::{
    Event, Events, Log, Remote,
    wire::{Compression, PROTOBUF, ReplayRequest, json::JsonPage, proto},
};
use serde_json::{Value, json};

use crate::kit::{archived, events, log, publish_all, service};

/// The server's default payload limit.
const PAYLOAD_MAX: usize = 1 << 20;
const EVENTS: u64 = 12_000;

fn line(number: u64) -> String {
    let status = [200, 200, 404, 500][number as usize % 4];
    format!(
        r#"{{"level":"info","service":"checkout","path":"/api/v1/orders/{number}","status":{status},"message":"request completed","trace":"{:016x}"}}"#,
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    )
}

/// Bytes that no compression makes smaller.
fn noise(number: u64) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(600).collect()
}

/// Returns the number of requests that an endpoint has answered.
async fn answered(remote: &Remote, endpoint: &str) -> u64 {
    let reply = remote.client().request("$SRV.STATS.hourlog", "".into()).await.expect("the service answers");
    let stats: Value = serde_json::from_slice(&reply.payload).expect("the reply is JSON");
    let endpoints = stats["endpoints"].as_array().expect("a list");
    let found = endpoints.iter().find(|found| found["name"] == endpoint).expect("the endpoint");
    found["num_requests"].as_u64().expect("a number")
}

/// Reads a whole log in large pages. Returns its events, the number of replies, and their compressions.
async fn read(remote: &Remote, id: &str, format: &str, encoding: &str) -> (Vec<Event>, Vec<Option<String>>) {
    let (mut found, mut encodings, mut after) = (Vec::new(), Vec::new(), Value::Null);
    loop {
        let mut headers = HeaderMap::new();
        headers.insert("accept", format);
        headers.insert("accept-encoding", encoding);
        let body = json!({ "limit": 20_000, "max_bytes": 4_000_000, "after": after }).to_string();
        let subject = remote.subjects().replay(&log(id));
        let reply = remote.client().request_with_headers(subject, headers, body.into()).await.expect("a reply");
        assert!(reply.payload.len() <= PAYLOAD_MAX);
        let encoding = reply.headers.as_ref().and_then(|headers| headers.get("Content-Encoding"));
        encodings.push(encoding.map(ToString::to_string));
        let payload = match encoding {
            Some(name) => {
                let compression: Compression = name.as_str().parse().expect("a compression");
                compression.decompress(&reply.payload, (4 << 20) + (16 << 10)).expect("within the limit").into()
            }
            None => reply.payload,
        };
        let (next, is_last) = if format == PROTOBUF {
            let page = proto::decode(payload).expect("a page");
            let end = (page.next.clone(), page.end() == proto::End::CaughtUp);
            found.extend(page.events.into_iter().map(|event| event.of_log(&log(id))));
            end
        } else {
            let page: JsonPage = serde_json::from_slice(&payload).expect("a page");
            found.extend(page.events.into_iter().map(|event| Event::try_from(event).expect("an event")));
            (page.next.map(|next| next.to_string()), page.end == hourlog::read::End::CaughtUp.into())
        };
        if is_last {
            return (found, encodings);
        }
        after = next.into();
    }
}

async fn filled() -> (Service, Remote) {
    let service = service().await;
    let (remote, jetstream) = (service.remote().await, service.jetstream().await);
    publish_all(&jetstream, (0..EVENTS).map(|number| ("log.lines".to_owned(), line(number)))).await;
    for number in 0..EVENTS / 4 {
        let sent = remote.client().publish("log.noise", noise(number).into()).await;
        sent.expect("the message can be sent");
    }
    // After them, so that all are in the stream.
    publish_all(&jetstream, [("log.end".to_owned(), String::new())]).await;
    archived(&remote).await;
    (service, remote)
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_pages_hold_more_than_a_message_and_lose_nothing() {
    let (service, remote) = filled().await;
    let (lines, noises) = (events(&remote, "lines").await, events(&remote, "noise").await);
    assert_eq!((lines.len() as u64, noises.len() as u64), (EVENTS, EVENTS / 4));
    for format in ["application/json", PROTOBUF] {
        let (plain, without) = read(&remote, "lines", format, "br").await;
        assert_eq!(plain, lines, "{format}");
        assert!(without.iter().all(Option::is_none), "{format}");
        for encoding in ["zstd", "lz4"] {
            let (found, with) = read(&remote, "lines", format, &format!("br, {encoding};q=0.5")).await;
            assert_eq!(found, lines, "{format} {encoding}");
            assert!(with.iter().all(|found| found.as_deref() == Some(encoding)), "{format} {encoding}: {with:?}");
            assert!(with.len() < without.len(), "{format} {encoding}: {} pages, not {}", with.len(), without.len());
            let (found, with) = read(&remote, "noise", format, encoding).await;
            assert_eq!(found, noises, "{format} {encoding}");
            // As JSON, numbers and names make an event smaller than half as large again.
            assert!(format != PROTOBUF || with.iter().all(Option::is_none), "{format} {encoding}: {with:?}");
        }
    }
    // A small page is sent as it is, and so is an error.
    for (id, limit) in [("lines", 3), ("nothing", 100)] {
        let mut headers = HeaderMap::new();
        headers.insert("Accept-Encoding", "zstd");
        let body = json!({ "limit": limit }).to_string().into();
        let subject = remote.subjects().replay(&log(id));
        let reply = remote.client().request_with_headers(subject, headers, body).await.expect("a reply");
        assert!(reply.headers.as_ref().and_then(|headers| headers.get("Content-Encoding")).is_none(), "{id}");
    }

    // The client asks for it by an option, and gets the same events in fewer bytes.
    let taken = async |compression| {
        let remote = service.remote().await.with_compression(compression);
        let before = remote.client().statistics().in_bytes.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(events(&remote, "lines").await, lines);
        assert_eq!(events(&remote, "noise").await, noises);
        remote.client().statistics().in_bytes.load(std::sync::atomic::Ordering::Relaxed) - before
    };
    let plain = taken(None).await;
    for compression in [Compression::Zstd, Compression::Lz4] {
        let compressed = taken(Some(compression)).await;
        assert!(compressed * 4 < plain * 3, "{compression}: {compressed} bytes, not {plain}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_asks_once_for_the_pages_ahead_of_it_and_leaves_no_work_behind() {
    let service = service().await;
    let (remote, jetstream) = (service.remote().await, service.jetstream().await);
    publish_all(&jetstream, (0..200).map(|number| ("log.lines".to_owned(), line(number)))).await;
    archived(&remote).await;
    let mut pages = Box::pin(remote.pages(log("lines"), ReplayRequest::default(), 10));
    let page = pages.try_next().await.expect("a page").expect("events");
    assert_eq!(page.events.len(), 10);
    while answered(&remote, "replay").await < 2 {
        tokio::task::yield_now().await;
    }
    for _ in 0..20 {
        assert_eq!(answered(&remote, "replay").await, 2, "one page was taken, and a request asked for those ahead");
    }
    drop(pages);
    for _ in 0..20 {
        assert_eq!(answered(&remote, "replay").await, 2, "a reader that has left asks for nothing");
    }
    // The pages that were read ahead are those that a reader gets.
    let read: Vec<_> = remote.pages(log("lines"), ReplayRequest::default(), 10).collect().await;
    let read = read.into_iter().flat_map(|page| page.expect("a page").events).map(|event| event.record.data.to_vec());
    assert!(read.eq((0..200).map(|number| line(number).into_bytes())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seek_is_one_request() {
    let service = service().await;
    let remote = service.remote().await;
    let mut handle = remote.log(&log("lines")).await.expect("a handle");
    let record = |time: &str| hourlog::Record::new("x").at(time.parse().expect("a time"));
    handle.write(record("2018-02-04T10:00:00Z")).await.expect("the record is archived");
    handle.write(record("2018-02-04T12:00:00Z")).await.expect("the record is archived");
    let mut before = answered(&remote, "replay").await;
    for (time, reason) in [
        ("2018-02-04T09:00:00Z", "before_first"),
        ("2018-02-04T10:00:00Z", "exact"),
        ("2018-02-04T11:00:00Z", "next"),
        ("2018-02-04T13:00:00Z", "after_last"),
    ] {
        let seeked = handle.seek(time.parse().expect("a time")).await.expect("the service answers");
        assert_eq!(seeked.reason.as_str(), reason);
        while answered(&remote, "replay").await == before {
            tokio::task::yield_now().await;
        }
        before += 1;
        assert_eq!(answered(&remote, "replay").await, before, "{reason}");
    }
    for body in [json!({ "seek": true, "reverse": true }), json!({ "seek": true, "order": "arrival" })] {
        let subject = remote.subjects().replay(&log("lines"));
        let reply = remote.client().request(subject, body.to_string().into()).await.expect("a reply");
        let error = reply.headers.as_ref().and_then(|headers| headers.get("Nats-Service-Error"));
        assert!(
            error.is_some_and(|error| error.as_str().starts_with("seek goes forwards in timeline order")),
            "{body}"
        );
    }
}
