//! Health and metrics, as those who watch services ask for them.

use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::kit::{LONG, Service, archived, options, publish_all};

use conformance::servers::NatsServer;

/// The status line and the body of what is answered to a GET.
async fn get(service: &Service, path: &str) -> (String, String) {
    let said = service.process.said();
    let line = said.iter().find(|line| line.contains("health and metrics")).expect("it says where it listens");
    let address = line.split("address=").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("an address");
    let mut socket = TcpStream::connect(address).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: hourlog\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.expect("it is sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("it is text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}

async fn service(fault_file: &std::path::Path) -> Service {
    let environment = vec![("HOURLOG_FAULT_FILE".to_owned(), fault_file.display().to_string())];
    let options = conformance::servers::ServiceOptions { environment, ..options(&["--http", "127.0.0.1:0"]) };
    Service::start(NatsServer::start().await, options).await
}

async fn publish(service: &Service, count: usize) {
    publish_all(&service.jetstream().await, (0..count).map(|number| (format!("log.m.{number}"), "x".to_owned()))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_the_range_that_a_fork_lost() {
    let directory = TempDir::new().expect("a directory can be made");
    let mut service = service(&directory.path().join("fault")).await;
    publish(&service, 10).await;
    let before = service.nats.snapshot();
    publish(&service, 5).await;
    archived(&service.remote().await).await;
    service.nats.set_back(&before).await;
    publish(&service, 7).await;
    archived(&service.remote().await).await;
    let (status, body) = get(&service, "/metrics").await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    for line in [
        "hourlog_archive_up 1",
        "hourlog_lag_messages 0",
        "hourlog_archived_sequence 17",
        "hourlog_forks_total 1",
        "hourlog_fork_lost_first_sequence 11",
        "hourlog_fork_lost_last_sequence 15",
        "hourlog_fork_archived_sequence 15",
        "hourlog_events_rejected_total 0",
    ] {
        assert!(body.lines().any(|found| found == line), "no {line} in {body}");
    }
    assert!(!body.contains("m.1"), "a log is named");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_says_that_the_archive_is_away_and_that_it_is_back() {
    let directory = TempDir::new().expect("a directory can be made");
    let fault = directory.path().join("fault");
    let service = service(&fault).await;
    assert_eq!(get(&service, "/health").await.0, "HTTP/1.1 200 OK");
    std::fs::write(&fault, "").expect("the directory is the test's own");
    publish(&service, 10).await;
    let until = async |expected: &str| {
        let begun = Instant::now();
        loop {
            let (status, body) = get(&service, "/health").await;
            if status == expected {
                return body;
            }
            assert!(begun.elapsed() < LONG, "{status} {body}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let body = until("HTTP/1.1 503 Service Unavailable").await;
    let report: serde_json::Value = serde_json::from_str(&body).expect("it is JSON");
    assert_eq!(report["archive"]["ok"], false);
    assert!(report["archive"]["since"].is_string() && report["archive"]["log"].is_string(), "{report}");
    std::fs::remove_file(&fault).expect("it is there");
    until("HTTP/1.1 200 OK").await;
}
