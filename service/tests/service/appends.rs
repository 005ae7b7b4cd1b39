//! Appends that fail: their errors tell what has become of the record, and a retry never stores it twice.

use std::time::{Duration, Instant};

use conformance::servers::{NatsServer, ServiceOptions};
use futures_util::StreamExt;
use hourlog::{ErrorKind, LogId, Record, Sent, header};
use tempfile::TempDir;

use crate::kit::{Service, WAIT_MAX, archived, events, options, service, service_with, until_purged};

/// Returns a log whose writes fail while the file of faults exists.
fn failing_log() -> LogId {
    let mut ids = (0..).map(|number| format!("slow.{number}").parse::<LogId>().expect("the log id is valid"));
    ids.find(|id| id.slot().is_multiple_of(2)).expect("every second slot fails")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_is_not_archived_in_time_names_its_message() {
    let directory = TempDir::new().expect("a temporary directory can be created");
    let fault = directory.path().join("fault");
    let environment = vec![("HOURLOG_FAULT_FILE".to_owned(), fault.display().to_string())];
    let service = Service::start(NatsServer::start().await, ServiceOptions { environment, ..options(&[]) }).await;
    let (remote, log) = (service.remote().await, failing_log());
    std::fs::write(&fault, "").expect("the test owns the directory");

    // The service answers before the request times out, although it waits for the archive.
    let error = remote.clone().with_timeout(Duration::from_secs(2)).append(&log, Record::new("1")).await;
    let error = error.expect_err("it is not archived");
    assert_eq!(error.sent(), Some(&Sent::InStream { stream: "HOURLOG".into(), sequence: 1 }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert!(error.to_string().contains("message 1 of the stream HOURLOG, and will be archived"), "{error}");

    let mut headers = async_nats::HeaderMap::new();
    headers.insert("hourlog-wait", "200ms");
    let request = remote.client().request_with_headers(format!("hourlog.append.{log}"), headers, "2".into());
    let reply = request.await.expect("the service replies").headers.expect("it is an error");
    let value = |name: &str| reply.get(name).map(|value| value.as_str());
    assert_eq!(value("Nats-Service-Error-Code"), Some("504"));
    let told = ["Hourlog-Sent", "Hourlog-Stream", "Hourlog-Sequence"].map(value);
    assert_eq!(told, [Some("yes"), Some("HOURLOG"), Some("2")]);

    // What is refused was not sent.
    let two_ids = Record::new("x").with("Hourlog-Msg-Id", "1").with("HOURLOG-MSG-ID", "2");
    let error = remote.append(&log, two_ids).await.expect_err("it is refused");
    assert_eq!((error.sent(), error.kind()), (Some(&Sent::No), ErrorKind::Invalid), "{error}");
    let error = remote.append(&log, Record::new("x".repeat(2 << 20))).await.expect_err("it is refused");
    assert_eq!((error.sent(), error.kind()), (Some(&Sent::No), ErrorKind::TooLarge));
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Hourlog-Wait", "soon");
    let request = remote.client().request_with_headers(format!("hourlog.append.{log}"), headers, "x".into());
    let reply = request.await.expect("the service replies").headers.expect("it is an error");
    assert_eq!(reply.get("Hourlog-Sent").map(|value| value.as_str()), Some("no"));
    assert_eq!(reply.get("Nats-Service-Error-Code").map(|value| value.as_str()), Some("400"));

    std::fs::remove_file(&fault).expect("the file exists");
    archived(&remote).await;
    let found = events(&remote, log.as_str()).await;
    let data: Vec<_> = found.iter().map(|event| String::from_utf8_lossy(&event.record.data).into_owned()).collect();
    assert_eq!(data, ["1", "2"]);
    assert!(found.iter().all(|event| event.record.metadata.is_empty()), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_by_hand_with_the_id_of_a_call_is_the_same_record() {
    let service = service_with(&["--wal-keep-seconds", "0", "--wal-keep-bytes", "0"]).await;
    let remote = service.remote().await;
    let log: LogId = "retries".parse().expect("the log id is valid");
    let unstored = Record::new("x").with(header::MSG_ID, "7").with(header::STORED_MSG_ID, "");
    let first = remote.append(&log, unstored).await.expect("the record is archived");
    let by_hand = || Record::new("x").with(header::MSG_ID, "7");
    let again = remote.append(&log, by_hand()).await.expect("the record was archived before");
    assert_eq!((again.position, again.duplicate), (first.position, true));
    until_purged(&service).await;
    let again = remote.append(&log, by_hand()).await.expect("the record was archived before");
    assert_eq!((again.position, again.duplicate), (first.position, true));
    let found = events(&remote, "retries").await;
    assert!(found.len() == 1 && found[0].record.metadata.is_empty(), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_stores_its_record_once_although_the_service_is_killed_with_the_request() {
    let mut service = service().await;
    let remote = service.remote().await.with_timeout(Duration::from_secs(3));
    let log: LogId = "killed".parse().expect("the log id is valid");
    let mut requests = remote.client().subscribe("hourlog.append.>").await.expect("the subject can be subscribed to");
    remote.client().flush().await.expect("the server replies");

    service.process.pause();
    let call = tokio::spawn({
        let (remote, log) = (remote.clone(), log.clone());
        async move { remote.append(&log, Record::new("x")).await }
    });
    tokio::time::timeout(WAIT_MAX, requests.next()).await.expect("the record is sent");
    service.process.kill();
    service.start_again().await;
    let reply = call.await.expect("the call does not panic").expect("the record is archived");
    assert!(!reply.duplicate);
    assert_eq!(events(&remote, "killed").await.len(), 1);

    // Nobody answers in time: nothing is known, and the paused service stores the attempts as one.
    service.process.pause();
    let short = remote.clone().with_timeout(Duration::from_millis(200));
    let record = Record::new("y").with(header::MSG_ID, "y");
    let error = short.append(&log, record.clone()).await.expect_err("nobody answers");
    assert_eq!((error.sent(), error.kind()), (Some(&Sent::Unknown), ErrorKind::Deadline), "{error}");
    assert!(!error.to_string().contains("try again"), "{error}");
    service.process.resume();
    let begun = Instant::now();
    while events(&remote, "killed").await.len() < 2 {
        assert!(begun.elapsed() < WAIT_MAX, "the service does not handle what it was sent");
    }
    let reply = remote.append(&log, record).await.expect("the record is archived");
    assert!(reply.duplicate);
    assert_eq!(events(&remote, "killed").await.len(), 2);

    // Otherwise the subscriber of this test is one that could answer.
    requests.unsubscribe().await.expect("the server replies");
    remote.client().flush().await.expect("the server replies");
    service.process.kill();
    // nats-server notices a moment later that nobody is there.
    let begun = Instant::now();
    while remote.client().request("$SRV.PING.hourlog", "".into()).await.is_ok() {
        assert!(begun.elapsed() < WAIT_MAX, "the killed service is still subscribed");
    }
    let error = remote.append(&log, Record::new("z")).await.expect_err("nobody is there");
    assert_eq!((error.sent(), error.kind()), (Some(&Sent::No), ErrorKind::Unavailable), "{error}");
}
