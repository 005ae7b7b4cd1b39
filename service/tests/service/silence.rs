//! Faults behind a healthy look: a stream that falls silent, a stream that stores nothing, and an
//! ingest that stands still.

use std::time::{Duration, Instant};

use conformance::servers::{NatsOptions, NatsServer, Proxy, ServiceOptions};
use hourlog::wire::SourceStatus;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    http::get,
    kit::{Service, WAIT_MAX, archived, options, publish_all},
};

/// The longest time until a silent stream is reported. The service takes eight seconds; without the
/// questions, it took 25.
const REPORTED_MAX: Duration = Duration::from_secs(20);

/// Waits until `GET /readyz` has a body that is `reached`, and returns its status line and the body.
async fn until_ready_says(service: &Service, reached: impl Fn(&Value) -> bool) -> (String, Value) {
    let begun = Instant::now();
    loop {
        let (status, body) = get(service, "/readyz").await;
        let body: Value = serde_json::from_str(&body).expect("the body is JSON");
        if reached(&body) {
            return (status, body);
        }
        assert!(begun.elapsed() < WAIT_MAX, "{body}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until the status of the service's own stream is `reached`, and returns it.
async fn until_source(service: &Service, reached: impl Fn(&SourceStatus) -> bool) -> SourceStatus {
    let (remote, begun) = (service.remote().await, Instant::now());
    loop {
        let mut status = remote.status().await.expect("the service replies");
        let source = status.sources.remove(0);
        if reached(&source) {
            return source;
        }
        assert!(begun.elapsed() < WAIT_MAX, "{source:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Publishes until the stream does not acknowledge a message.
async fn publish_until_refused(service: &Service, bytes: usize) {
    let mut jetstream = service.jetstream().await;
    jetstream.set_timeout(Duration::from_secs(2));
    for number in 0.. {
        let subject = format!("log.m.{}", number % 10);
        let sent = jetstream.publish(subject, "x".repeat(bytes).into()).await.expect("the message can be sent");
        if sent.await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_falls_silent_is_reported_and_its_lag_is_unknown() {
    let nats = NatsServer::start().await;
    let proxy = Proxy::start(&format!("127.0.0.1:{}", nats.port())).await;
    let flags = ["--nats", &format!("nats://{}", proxy.address()), "--http", "127.0.0.1:0"];
    let service = Service::start(nats, options(&flags)).await;
    publish_all(&service.jetstream().await, (0..10).map(|_| ("log.a".to_owned(), "x".to_owned()))).await;
    archived(&service.remote().await).await;
    let (status, body) = until_ready_says(&service, |body| body["archived"] == 10).await;
    assert_eq!((status.as_str(), &body["lag"]), ("HTTP/1.1 200 OK", &Value::from(0)), "{body}");

    proxy.silence(true);
    let begun = Instant::now();
    let (status, body) = until_ready_says(&service, |body| body["answering"]["ok"] == false).await;
    assert!(begun.elapsed() < REPORTED_MAX, "reported after {:?}", begun.elapsed());
    assert_eq!((status.as_str(), &body["lag"]), ("HTTP/1.1 503 Service Unavailable", &Value::Null), "{body}");
    let reason = body["answering"]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("HOURLOG has not answered"), "{body}");
    let metrics = get(&service, "/metrics").await.1;
    assert!(metrics.contains("hourlog_stream_answers{stream=\"HOURLOG\"} 0"), "{metrics}");
    assert!(!metrics.contains("hourlog_lag_messages{") && !metrics.contains("hourlog_lag_seconds{"), "{metrics}");
    assert_eq!(get(&service, "/livez").await.0, "HTTP/1.1 200 OK");

    proxy.silence(false);
    let is_healthy = |body: &Value| {
        ["answering", "storing", "progress", "nats"].iter().all(|part| body[part]["ok"] == true) && body["lag"] == 0
    };
    assert_eq!(until_ready_says(&service, is_healthy).await.0, "HTTP/1.1 200 OK");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_nats_server_with_a_full_disk_is_reported_although_its_stream_answers() {
    let nats = NatsServer::start_with(NatsOptions { disk_bytes: Some(24 << 20), ..NatsOptions::default() }).await;
    let service = Service::start(nats, options(&["--http", "127.0.0.1:0"])).await;
    // Healthy before: the question leaves no trace in the stream.
    publish_all(&service.jetstream().await, (0..10).map(|_| ("log.a".to_owned(), "x".to_owned()))).await;
    archived(&service.remote().await).await;
    assert!(until_source(&service, |source| source.archived == 10).await.storing.ok);

    publish_until_refused(&service, 10_000).await;
    let source = until_source(&service, |source| !source.storing.ok).await;
    let reason = source.storing.reason.as_deref().unwrap_or_default();
    assert!(reason.contains("no space left on device") && reason.contains("restart nats-server"), "{source:?}");
    assert!(source.answering.ok && source.reading.ok && source.lag_messages.is_some(), "{source:?}");
    let (status, body) = until_ready_says(&service, |body| body["storing"]["ok"] == false).await;
    assert_eq!(status, "HTTP/1.1 503 Service Unavailable", "{body}");
    let metrics = get(&service, "/metrics").await.1;
    assert!(metrics.contains("hourlog_stream_stores{stream=\"HOURLOG\"} 0"), "{metrics}");
    assert!(metrics.contains("hourlog_stream_answers{stream=\"HOURLOG\"} 1"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_stream_is_reported_as_full_until_it_has_room_again() {
    let directory = TempDir::new().expect("a temporary directory can be created");
    let fault = directory.path().join("fault");
    let environment = vec![("HOURLOG_FAULT_FILE".to_owned(), fault.display().to_string())];
    let service = ServiceOptions { environment, ..options(&["--wal-max-bytes", "100000"]) };
    let service = Service::start(NatsServer::start().await, service).await;
    std::fs::write(&fault, "").expect("the test owns the directory");
    publish_until_refused(&service, 5_000).await;
    let source = until_source(&service, |source| !source.storing.ok).await;
    let reason = source.storing.reason.as_deref().unwrap_or_default();
    assert!(reason.contains("HOURLOG is full and refuses messages (503, 10077)"), "{source:?}");
    assert!(source.answering.ok && source.progress.ok, "{source:?}");
    std::fs::remove_file(&fault).expect("the file exists");
    until_source(&service, |source| source.storing.ok && source.lag_messages == Some(0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_that_stands_still_while_messages_wait_is_reported() {
    let environment = vec![("HOURLOG_FAILPOINT".to_owned(), "ingest-stands".to_owned())];
    let service = ServiceOptions { environment, ..options(&["--http", "127.0.0.1:0"]) };
    let service = Service::start(NatsServer::start().await, service).await;
    publish_all(&service.jetstream().await, (0..3).map(|_| ("log.a".to_owned(), "x".to_owned()))).await;
    let (status, body) = until_ready_says(&service, |body| body["progress"]["ok"] == false).await;
    assert_eq!((status.as_str(), &body["lag"]), ("HTTP/1.1 503 Service Unavailable", &Value::from(3)), "{body}");
    let reason = body["progress"]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("3 messages wait"), "{body}");
    let others = ["answering", "storing", "nats", "archive"];
    assert!(others.iter().all(|part| body[part]["ok"] == true), "{body}");
    let source = until_source(&service, |source| !source.progress.ok).await;
    assert_eq!((source.published, source.archived), (3, 0));
    let metrics = get(&service, "/metrics").await.1;
    assert!(metrics.contains("hourlog_ingest_moves{stream=\"HOURLOG\"} 0"), "{metrics}");
}
