//! Probes and metrics as monitoring requests them, and clients that mean no good.

use std::time::{Duration, Instant};

use prometheus_parse::{Scrape, Value};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::kit::{Service, WAIT_MAX, archived, options, publish_all};

use conformance::servers::NatsServer;

/// Returns the address that the service traces.
pub(crate) fn address(service: &Service) -> String {
    let said = service.process.stderr_lines();
    let line = said.iter().find(|line| line.contains("health and metrics")).expect("the service traces its address");
    let address = line
        .split("address=")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next())
        .expect("the trace holds an address");
    address.to_owned()
}

/// Sends a request and returns the head and the body of its response.
async fn send(address: &str, request: &str) -> (String, String) {
    let mut socket = TcpStream::connect(address).await.expect("the service listens");
    socket.write_all(request.as_bytes()).await.expect("the message can be sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("the response is text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("the response has a head and a body");
    (head.to_owned(), body.to_owned())
}

/// Sends a GET request and returns the status line and the body of its response.
pub(crate) async fn get(service: &Service, path: &str) -> (String, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: hourlog\r\nConnection: close\r\n\r\n");
    let (head, body) = send(&address(service), &request).await;
    (head.lines().next().unwrap_or_default().to_owned(), body)
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
    // A question to the stream may have got lost with the server; the lag is then unknown for a moment.
    let begun = Instant::now();
    let body = loop {
        let (status, body) = get(&service, "/metrics").await;
        assert_eq!(status, "HTTP/1.1 200 OK");
        if body.contains("hourlog_lag_messages{") {
            break body;
        }
        assert!(begun.elapsed() < WAIT_MAX, "{body}");
    };
    for line in [
        "hourlog_archive_up 1",
        "hourlog_lag_messages{stream=\"HOURLOG\"} 0",
        "hourlog_lag_seconds{stream=\"HOURLOG\"} 0.0",
        "hourlog_archived_sequence{stream=\"HOURLOG\"} 17",
        "hourlog_forks_total{stream=\"HOURLOG\"} 1",
        "hourlog_fork_lost_first_sequence{stream=\"HOURLOG\"} 11",
        "hourlog_fork_lost_last_sequence{stream=\"HOURLOG\"} 15",
        "hourlog_fork_missing_messages{stream=\"HOURLOG\"} 0",
        "hourlog_events_rejected_total{reason=\"subject\"} 0",
    ] {
        assert!(body.lines().any(|found| found == line), "no {line} in {body}");
    }
    assert!(!body.contains("m.1"), "a metric names a log");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_is_not_ready_but_alive_while_its_archive_is_unavailable() {
    let directory = TempDir::new().expect("a temporary directory can be created");
    let fault = directory.path().join("fault");
    let service = service(&fault).await;
    for probe in ["/livez", "/readyz", "/health"] {
        assert_eq!(get(&service, probe).await.0, "HTTP/1.1 200 OK");
    }
    std::fs::write(&fault, "").expect("the test owns the directory");
    publish(&service, 10).await;
    let until = async |expected: &str| {
        let begun = Instant::now();
        loop {
            let (status, body) = get(&service, "/readyz").await;
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
    assert_eq!(get(&service, "/health").await.0, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(get(&service, "/livez").await, ("HTTP/1.1 200 OK".to_owned(), "ok\n".to_owned()));
    assert!(report["archive"]["since"].is_string() && report["archive"]["log"].is_string(), "{report}");
    std::fs::remove_file(&fault).expect("the file exists");
    until("HTTP/1.1 200 OK").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_and_openmetrics_can_parse_the_metrics() {
    let directory = TempDir::new().expect("a temporary directory can be created");
    let service = service(&directory.path().join("fault")).await;
    let remote = service.remote().await;
    publish(&service, 10).await;
    archived(&remote).await;
    crate::kit::events(&remote, "m.3").await;
    remote.describe(&crate::kit::log("nowhere")).await.expect_err("the log does not exist");

    let address = address(&service);
    let request = |accept: &str| format!("GET /metrics HTTP/1.1\r\nHost: hourlog\r\nAccept: {accept}\r\n\r\n");
    let (head, text) = send(&address, &request("*/*")).await;
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    let parsed = Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).expect("Prometheus can parse it");
    for sample in &parsed.samples {
        // The parser leaves the sum and the count of a histogram as they are.
        let of_histogram = ["_sum", "_count"].iter().find_map(|suffix| sample.metric.strip_suffix(suffix));
        let is_typed = !matches!(sample.value, Value::Untyped(_));
        assert!(is_typed || of_histogram.is_some_and(|name| parsed.docs.contains_key(name)), "{sample:?} has no type");
        assert!(sample.labels.values().all(|label| !label.contains("m.3")), "{sample:?} names a log");
        assert!(parsed.docs.keys().any(|name| sample.metric.starts_with(name)), "{} has no help", sample.metric);
    }
    let value = |name: &str, endpoint: Option<&str>| {
        let found =
            parsed.samples.iter().find(|sample| sample.metric == name && sample.labels.get("endpoint") == endpoint);
        match &found.unwrap_or_else(|| panic!("no {name} in {text}")).value {
            Value::Counter(value) | Value::Gauge(value) => *value,
            other => panic!("{name} is {other:?}"),
        }
    };
    for (name, endpoint, expected) in [
        ("hourlog_events_ingested_total", None, 10.0),
        ("hourlog_event_bytes_ingested_total", None, 10.0),
        ("hourlog_events_archived_total", None, 10.0),
        ("hourlog_events_replayed_total", None, 1.0),
        ("hourlog_event_bytes_replayed_total", None, 1.0),
        ("hourlog_requests_total", Some("describe"), 1.0),
        ("hourlog_request_errors_total", Some("describe"), 1.0),
        ("hourlog_actors", None, 10.0),
        ("hourlog_build_info", None, 1.0),
    ] {
        assert_eq!(value(name, endpoint), expected, "{name}");
    }
    for positive in [
        "hourlog_archive_journal_bytes",
        "hourlog_archive_disk_free_bytes",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
    ] {
        assert!(value(positive, None) > 0.0, "{positive}");
    }
    for histogram in ["hourlog_request_seconds", "hourlog_archive_write_seconds", "hourlog_archive_write_events"] {
        let found = parsed.samples.iter().any(|sample| {
            sample.metric == histogram && matches!(&sample.value, Value::Histogram(buckets) if buckets.len() > 5)
        });
        assert!(found, "no {histogram} in {text}");
    }

    let (head, text) = send(&address, &request("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")).await;
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(text.ends_with("# EOF\n") && text.contains("# TYPE hourlog_events_ingested counter\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_hold_connections_keep_no_probe_out() {
    let directory = TempDir::new().expect("a temporary directory can be created");
    let service = service(&directory.path().join("fault")).await;
    let address = address(&service);
    let mut held = Vec::new();
    #[cfg(target_os = "linux")]
    let files_before = service.process.open_files();
    for _ in 0..3_000 {
        let mut socket = TcpStream::connect(&address).await.expect("the service listens");
        // The service may have ended this connection already.
        let _ = socket.write_all(b"GET /live").await;
        held.push(socket);
    }
    assert_eq!(get(&service, "/livez").await.0, "HTTP/1.1 200 OK");
    #[cfg(target_os = "linux")]
    assert!(service.process.open_files() <= files_before + 100, "{files_before} open files before");
    let endless = format!("GET /livez HTTP/1.1\r\nX: {}", "x".repeat(1 << 20));
    let mut socket = TcpStream::connect(&address).await.expect("the service listens");
    let _ = socket.write_all(endless.as_bytes()).await;
    held.push(socket);
    let (head, _) = send(&address, "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\nx").await;
    assert!(head.starts_with("HTTP/1.1 405 "), "{head}");
    let ended = async {
        for socket in &mut held {
            let _ = socket.read_to_end(&mut Vec::new()).await;
        }
    };
    tokio::time::timeout(WAIT_MAX, ended).await.expect("every connection ends");
    assert_eq!(get(&service, "/readyz").await.0, "HTTP/1.1 200 OK");
}
