//! Health and metrics as monitoring requests them.

use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::kit::{Service, WAIT_MAX, archived, options, publish_all};

use conformance::servers::NatsServer;

/// Sends a GET request and returns the status line and the body of its response.
async fn get(service: &Service, path: &str) -> (String, String) {
    let said = service.process.stderr_lines();
    let line = said.iter().find(|line| line.contains("health and metrics")).expect("the service traces its address");
    let address = line
        .split("address=")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next())
        .expect("the trace holds an address");
    let mut socket = TcpStream::connect(address).await.expect("the service listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: hourlog\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.expect("the message can be sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("the response is text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("the response has a head and a body");
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
async fn metrics_show_the_range_that_a_fork_lost() {
    let directory = TempDir::new().expect("a temporary directory can be created");
    let mut service = service(&directory.path().join("fault")).await;
    publish(&service, 10).await;
    let before = service.nats.snapshot();
    publish(&service, 5).await;
    archived(&service.remote().await).await;
    service.nats.roll_back(&before).await;
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
    assert!(!body.contains("m.1"), "a metric names a log");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_shows_an_archive_outage_and_its_recovery() {
    let directory = TempDir::new().expect("a temporary directory can be created");
    let fault = directory.path().join("fault");
    let service = service(&fault).await;
    assert_eq!(get(&service, "/health").await.0, "HTTP/1.1 200 OK");
    std::fs::write(&fault, "").expect("the test owns the directory");
    publish(&service, 10).await;
    let until = async |expected: &str| {
        let begun = Instant::now();
        loop {
            let (status, body) = get(&service, "/health").await;
            if status == expected {
                return body;
            }
            assert!(begun.elapsed() < WAIT_MAX, "{status} {body}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let body = until("HTTP/1.1 503 Service Unavailable").await;
    let report: serde_json::Value = serde_json::from_str(&body).expect("the reply is JSON");
    assert_eq!(report["archive"]["ok"], false);
    assert!(report["archive"]["since"].is_string() && report["archive"]["log"].is_string(), "{report}");
    std::fs::remove_file(&fault).expect("the file exists");
    until("HTTP/1.1 200 OK").await;
}
