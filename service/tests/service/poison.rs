//! Messages that the client library cannot read neither stop the ingest nor the API, and are kept.

use std::time::{Duration, Instant};

use base64::{Engine, prelude::BASE64_STANDARD};
use hourlog::Record;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::kit::{LONG, Service, archived, events, log, service};

/// Behind a poisonous message, a good one is to be readable within so long.
const READABLE_WITHIN: Duration = Duration::from_secs(5);

const SHAPES: [(&[u8], &str); 3] = [
    (b"Kind: \xff\xfe", "a header is not UTF-8"),
    (b"no colon at all", "a header has no colon"),
    (b"Bad Name: x", "the name of a header has a character that no name has"),
];

/// The header block that holds `line`.
fn block(line: &[u8]) -> Vec<u8> {
    [b"NATS/1.0\r\nGood: yes\r\n", line, b"\r\n\r\n"].concat()
}

/// Publishes what no client would, over a bare socket.
async fn publish(service: &Service, subject: &str, reply: &str, line: &[u8], payload: &str) {
    let mut socket = TcpStream::connect(("127.0.0.1", service.nats.port())).await.expect("the server is there");
    let headers = block(line);
    let (length, total) = (headers.len(), headers.len() + payload.len());
    let mut bytes = b"CONNECT {\"verbose\":false,\"headers\":true}\r\n".to_vec();
    bytes.extend(format!("HPUB {subject} {reply} {length} {total}\r\n").into_bytes());
    bytes.extend(&headers);
    bytes.extend(payload.as_bytes());
    bytes.extend(b"\r\nPING\r\n");
    socket.write_all(&bytes).await.expect("it is sent");
    let mut said = Vec::new();
    while !said.ends_with(b"PONG\r\n") {
        let mut part = [0; 1024];
        let length = socket.read(&mut part).await.expect("the server answers");
        assert_ne!(length, 0, "the server said {}", String::from_utf8_lossy(&said));
        said.extend(&part[..length]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_poisonous_shape_is_in_rejected_and_the_next_event_is_readable_soon() {
    let service = service().await;
    let remote = service.remote().await;
    for (at, (line, reason)) in SHAPES.into_iter().enumerate() {
        publish(&service, "log.poison", "", line, "kept").await;
        let begun = Instant::now();
        remote.append(&log("good"), Record::new("next")).await.expect("it is archived");
        assert!(begun.elapsed() < READABLE_WITHIN, "{reason}: it took {:?}", begun.elapsed());
        let rejected = events(&remote, "_rejected").await;
        assert_eq!(rejected.len(), at + 1);
        let record = &rejected[at].record;
        assert_eq!(&*record.data, b"kept");
        assert_eq!(record.metadata.get("Hourlog-Rejected"), [reason]);
        assert_eq!(record.metadata.get("Hourlog-Subject"), ["log.poison"]);
        assert_eq!(record.metadata.get("Good"), ["yes"]);
        assert_eq!(record.metadata.get("Hourlog-Headers-Base64"), [BASE64_STANDARD.encode(block(line))]);
    }
    assert_eq!(events(&remote, "good").await.len(), SHAPES.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_that_came_while_the_service_was_down_is_passed_over_once_each() {
    let mut service = service().await;
    service.process.kill();
    let jetstream = service.jetstream().await;
    for (line, _) in SHAPES {
        publish(&service, "log.poison", "", line, "kept").await;
        jetstream.publish("log.good", "next".into()).await.expect("it is sent").await.expect("the stream takes it");
    }
    service.start_again().await;
    let remote = service.remote().await;
    archived(&remote).await;
    assert_eq!(events(&remote, "_rejected").await.len(), SHAPES.len());
    assert_eq!(events(&remote, "good").await.len(), SHAPES.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisonous_request_costs_the_api_a_reconnect_and_the_ingest_nothing() {
    let service = service().await;
    // A request that was under way then gets no answer, and is asked again.
    let remote = service.remote().await.timeout(Duration::from_secs(1));
    remote.append(&log("good"), Record::new("one")).await.expect("it is archived");
    publish(&service, "hourlog.replay.good", "_INBOX.x.y", SHAPES[1].0, "{}").await;
    let begun = Instant::now();
    while remote.append(&log("good"), Record::new("two")).await.is_err() {
        assert!(begun.elapsed() < LONG, "the API does not come back");
    }
    let lost = |connection: &str| {
        let said = service.process.said();
        let lines = said.iter().filter(|line| line.contains("disconnected from NATS") && line.contains(connection));
        lines.count()
    };
    assert_eq!((lost("api"), lost("ingest")), (1, 0));
}
