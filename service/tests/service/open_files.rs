//! Open files: connections take none from the archive, and a service that ran out of them recovers.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use conformance::servers::{NatsServer, ServiceOptions};
use tokio::net::TcpStream;

use crate::{
    http::{address, get},
    kit::{Service, WAIT_MAX, archived, events, noise, options, publish_all},
};

/// Size of an event. With [`EVENTS`] of them, the archive must write tables.
const EVENT_BYTES: usize = 512 << 10;
const EVENTS: usize = 100;

/// Starts a service with soft and hard limits of open files.
async fn service(limits: &str) -> Service {
    let wrapper = vec!["prlimit".to_owned(), format!("--nofile={limits}")];
    let options = ServiceOptions { wrapper, ..options(&["--http", "127.0.0.1:0"]) };
    Service::start(NatsServer::start().await, options).await
}

/// Sets the soft limit of the running service.
fn limit(service: &Service, files: usize) {
    let process = service.process.id().to_string();
    let set = Command::new("prlimit").args(["--pid", &process, &format!("--nofile={files}:")]).status();
    assert!(set.expect("util-linux is installed").success());
}

async fn publish(service: &Service, log: &str, count: usize) {
    let payload = noise(EVENT_BYTES);
    let messages = (0..count).map(|_| (format!("log.{log}"), payload.clone()));
    publish_all(&service.jetstream().await, messages).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_take_no_files_from_the_archive_and_from_nats() {
    let mut service = service("200:200").await;
    let address = address(&service);
    let mut held = Vec::new();
    for _ in 0..185 {
        held.push(TcpStream::connect(&address).await.expect("the service listens"));
    }
    publish(&service, "large", EVENTS).await;
    let remote = service.remote().await;
    archived(&remote).await;
    assert_eq!(events(&remote, "large").await.len(), EVENTS);
    service.nats.restart().await;
    publish(&service, "later", 1).await;
    let remote = service.remote().await;
    archived(&remote).await;
    assert_eq!(events(&remote, "later").await.len(), 1);
    assert_eq!(get(&service, "/readyz").await.0, "HTTP/1.1 200 OK");
    assert!(service.process.open_files() < 150, "{} open files", service.process.open_files());
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_open_files_says_so_and_recovers_by_itself() {
    let service = service("64:4096").await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", service.process.id())).expect("it is running");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).expect("Linux reports this limit");
    assert_eq!(files.split_whitespace().nth(3), Some("4096"), "the soft limit is raised to the hard one: {files}");

    publish(&service, "first", 1).await;
    let remote = service.remote().await;
    archived(&remote).await;
    limit(&service, 16);
    publish(&service, "large", EVENTS).await;
    let begun = Instant::now();
    let said = "no more open files: raise nofile (LimitNOFILE), now 16";
    loop {
        let archive = service.report().await["archive"].clone();
        if archive["reason"].as_str().is_some_and(|reason| reason.contains(said)) {
            break;
        }
        assert!(begun.elapsed() < WAIT_MAX, "{archive}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(events(&remote, "first").await.len(), 1, "reads go on");
    limit(&service, 1_024);
    archived(&remote).await;
    assert_eq!(events(&remote, "large").await.len(), EVENTS);
    assert_eq!(service.report().await["archive"]["ok"], true);
}
