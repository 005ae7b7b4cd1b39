//! Poison messages: those that the client library cannot parse are kept, and stop neither ingest
//! nor API.

use std::time::{Duration, Instant};

use base64::{Engine, prelude::BASE64_STANDARD};
use hourlog::Record;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::kit::{Service, WAIT_MAX, archived, events, log, service};

/// Longest time until an event after a poison message is readable.
const READABLE_WITHIN: Duration = Duration::from_secs(5);

const SHAPES: [(&[u8], &str); 4] = [
    (CARRIAGE_RETURN, "a header value contains a line break"),
    (b"Kind: \xff\xfe", "a header is not UTF-8"),
    (b"no colon at all", "a header has no colon"),
    (b"Bad Name: x", "a header name contains a character that is not allowed"),
];

/// A header on which the client's task panics. It does not connect again by itself.
const CARRIAGE_RETURN: &[u8] = b"Kind: a\rb";

/// Number of times that a flood of poison may break the ingest's connection: with the first message,
/// and once more if that took long.
const LOSSES_MAX: usize = 2;

/// Returns a header block that contains `line`.
fn block(line: &[u8]) -> Vec<u8> {
    [b"NATS/1.0\r\nGood: yes\r\n", line, b"\r\n\r\n"].concat()
}

/// Publishes a malformed message over a plain socket, because no client would.
pub(crate) async fn publish(service: &Service, subject: &[u8], reply: &str, line: &[u8], payload: &str) {
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
    publish(&service, b"hourlog.replay.good", "_INBOX.x.y", b"no colon at all", "{}").await;
    let begun = Instant::now();
    while remote.append(&log("good"), Record::new("two")).await.is_err() {
        assert!(begun.elapsed() < WAIT_MAX, "the API does not recover");
    }
    assert_eq!((lost(&service, "api"), lost(&service, "ingest")), (1, 0));
}

/// Returns the number of times that a connection of the service was lost.
fn lost(service: &Service, connection: &str) -> usize {
    let said = service.process.stderr_lines();
    said.iter().filter(|line| line.contains("disconnected from NATS") && line.contains(connection)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_on_which_the_client_panics_makes_the_endpoints_start_again() {
    let service = service().await;
    let remote = service.remote().await.with_timeout(Duration::from_secs(1));
    remote.append(&log("good"), Record::new("one")).await.expect("the record is archived");
    for number in 0..3 {
        publish(&service, b"hourlog.append.good", "_INBOX.x.y", CARRIAGE_RETURN, "{}").await;
        let begun = Instant::now();
        while remote.append(&log("good"), Record::new("two")).await.is_err() {
            assert!(begun.elapsed() < WAIT_MAX, "the endpoints do not start again after request {number}");
        }
    }
    assert_eq!(lost(&service, "ingest"), 0);
    // Nothing else goes on with the client that has ended.
    let ready = service.report().await;
    assert_eq!((&ready["nats"]["ok"], &ready["wal"]["ok"]), (&json!(true), &json!(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_poison_breaks_the_connection_once_and_keeps_nobody_waiting() {
    let service = service().await;
    let remote = service.remote().await;
    // Twenty floods: a poison message of each shape before each append.
    const ROUNDS: usize = 20;
    let mut slowest = Duration::ZERO;
    for _ in 0..ROUNDS {
        for (line, _) in &SHAPES[1..] {
            publish(&service, b"log.poison", "", line, "kept").await;
        }
        let begun = Instant::now();
        remote.append(&log("good"), Record::new("next")).await.expect("the record is archived");
        slowest = slowest.max(begun.elapsed());
    }
    println!("the slowest append took {slowest:?}, with {} lost connections", lost(&service, "ingest"));
    let poison = ROUNDS * (SHAPES.len() - 1);
    assert_eq!(events(&remote, "_rejected").await.len(), poison);
    assert_eq!(events(&remote, "good").await.len(), ROUNDS);
    assert_eq!(service.report().await["poison"], poison);
    assert!(lost(&service, "ingest") <= LOSSES_MAX, "{} connections were lost", lost(&service, "ingest"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_the_same_whether_it_was_read_after_poison_or_not() {
    let service = service().await;
    let remote = service.remote().await;
    let lines: [&[u8]; 4] = [b"A: b\r\n folded", b"C: d\nE:f", b"G:", b"H:  i j "];
    for after_poison in [false, true] {
        if after_poison {
            publish(&service, b"log.poison", "", b"no colon at all", "kept").await;
        }
        for line in lines {
            publish(&service, b"log.odd", "", line, "kept").await;
        }
        archived(&remote).await;
    }
    let found = events(&remote, "odd").await;
    assert_eq!(found.len(), 2 * lines.len(), "{:?}", events(&remote, "_rejected").await);
    for (before, after) in found.iter().zip(&found[lines.len()..]) {
        assert_eq!(before.record, after.record);
    }
    assert_eq!(found[0].record.metadata.get("A"), ["b folded"]);
    assert_eq!(found[1].record.metadata.get("E"), ["f"]);
}
