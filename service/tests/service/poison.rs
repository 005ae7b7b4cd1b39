//! Poison messages: those that the client library cannot parse are kept, and stop neither ingest
//! nor API.

use std::time::{Duration, Instant};

use base64::{Engine, prelude::BASE64_STANDARD};
use hourlog::Record;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::kit::{Service, WAIT_MAX, archived, events, log, service};

/// Longest time until an event after a poison message is readable.
const READABLE_WITHIN: Duration = Duration::from_secs(5);

const SHAPES: [(&[u8], &str); 3] = [
    (b"Kind: \xff\xfe", "a header is not UTF-8"),
    (b"no colon at all", "a header has no colon"),
    (b"Bad Name: x", "a header name contains a character that is not allowed"),
];

/// Returns a header block that contains `line`.
fn block(line: &[u8]) -> Vec<u8> {
    [b"NATS/1.0\r\nGood: yes\r\n", line, b"\r\n\r\n"].concat()
}

/// Publishes a malformed message over a plain socket, because no client would.
async fn publish(service: &Service, subject: &[u8], reply: &str, line: &[u8], payload: &str) {
    let mut socket =
        TcpStream::connect(("127.0.0.1", service.nats.port())).await.expect("the server accepts a connection");
    let headers = block(line);
    let (length, total) = (headers.len(), headers.len() + payload.len());
    let mut bytes = b"CONNECT {\"verbose\":false,\"headers\":true}\r\n".to_vec();
    bytes.extend([b"HPUB ", subject, format!(" {reply} {length} {total}\r\n").as_bytes()].concat());
    bytes.extend(&headers);
    bytes.extend(payload.as_bytes());
    bytes.extend(b"\r\nPING\r\n");
    socket.write_all(&bytes).await.expect("the message can be sent");
    let mut said = Vec::new();
    while !said.ends_with(b"PONG\r\n") {
        let mut part = [0; 1024];
        let length = socket.read(&mut part).await.expect("the server answers");
        assert_ne!(length, 0, "the server said {}", String::from_utf8_lossy(&said));
        said.extend(&part[..length]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_poison_message_is_rejected_and_the_next_event_is_readable_soon() {
    let service = service().await;
    let remote = service.remote().await;
    for (at, (line, reason)) in SHAPES.into_iter().enumerate() {
        publish(&service, b"log.poison", "", line, "kept").await;
        let begun = Instant::now();
        remote.append(&log("good"), Record::new("next")).await.expect("the record is archived");
        assert!(begun.elapsed() < READABLE_WITHIN, "{reason}: reading took {:?}", begun.elapsed());
        let rejected = events(&remote, "_rejected").await;
        assert_eq!(rejected.len(), at + 1);
        let record = &rejected[at].record;
        assert_eq!(&*record.data, b"kept");
        assert_eq!(record.metadata.get("Hourlog-Rejected"), [reason]);
        assert_eq!(record.metadata.get("Nats-Subject"), ["log.poison"]);
        assert_eq!(record.metadata.get("Good"), ["yes"]);
        assert_eq!(record.metadata.get("Hourlog-Headers-Base64"), [BASE64_STANDARD.encode(block(line))]);
    }
    assert_eq!(events(&remote, "good").await.len(), SHAPES.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_that_is_not_utf8_is_rejected_and_does_not_become_a_log() {
    let service = service().await;
    let remote = service.remote().await;
    publish(&service, b"log.\xff\xfe", "", b"Kind: odd", "kept").await;
    remote.append(&log("good"), Record::new("next")).await.expect("the record is archived");
    let rejected = events(&remote, "_rejected").await;
    assert_eq!(rejected.len(), 1);
    let record = &rejected[0].record;
    assert!(record.metadata.get("Hourlog-Rejected")[0].contains("is not UTF-8"), "{record:?}");
    assert_eq!((record.metadata.get("Kind"), &*record.data), (&["odd".to_owned()][..], &b"kept"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_published_while_the_service_is_down_is_rejected_once_each() {
    let mut service = service().await;
    service.process.kill();
    let jetstream = service.jetstream().await;
    for (line, _) in SHAPES {
        publish(&service, b"log.poison", "", line, "kept").await;
        jetstream
            .publish("log.good", "next".into())
            .await
            .expect("the message can be sent")
            .await
            .expect("the stream accepts the message");
    }
    service.start_again().await;
    let remote = service.remote().await;
    archived(&remote).await;
    assert_eq!(events(&remote, "_rejected").await.len(), SHAPES.len());
    assert_eq!(events(&remote, "good").await.len(), SHAPES.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_request_makes_the_api_reconnect_and_leaves_the_ingest_alone() {
    let service = service().await;
    // The reconnect loses the reply of a request in progress, so the timeout is short and the test
    // retries.
    let remote = service.remote().await.with_timeout(Duration::from_secs(1));
    remote.append(&log("good"), Record::new("one")).await.expect("the record is archived");
    publish(&service, b"hourlog.replay.good", "_INBOX.x.y", SHAPES[1].0, "{}").await;
    let begun = Instant::now();
    while remote.append(&log("good"), Record::new("two")).await.is_err() {
        assert!(begun.elapsed() < WAIT_MAX, "the API does not recover");
    }
    let lost = |connection: &str| {
        let said = service.process.stderr_lines();
        let lines = said.iter().filter(|line| line.contains("disconnected from NATS") && line.contains(connection));
        lines.count()
    };
    assert_eq!((lost("api"), lost("ingest")), (1, 0));
}
