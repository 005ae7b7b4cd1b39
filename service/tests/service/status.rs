//! `hourlog.status`: what the service says of itself, whatever happens to its archive.

use std::time::Instant;

use conformance::servers::{NatsServer, ServiceOptions};
use hourlog::wire::StatusReply;
use tempfile::TempDir;

use crate::kit::{Service, WAIT_MAX, archived, events, options, publish_all};

async fn until(remote: &hourlog::Remote, reached: impl Fn(&StatusReply) -> bool) -> StatusReply {
    let begun = Instant::now();
    loop {
        let status = remote.status().await.expect("the service replies");
        if reached(&status) {
            return status;
        }
        assert!(begun.elapsed() < WAIT_MAX, "{status:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_tells_what_was_done_and_what_waits() {
    let directory = TempDir::new().expect("a temporary directory can be created");
    let fault = directory.path().join("fault");
    let environment = vec![("HOURLOG_FAULT_FILE".to_owned(), fault.display().to_string())];
    let service = ServiceOptions { environment, ..options(&["--prefix", "archive"]) };
    let service = Service::start(NatsServer::start().await, service).await;
    let remote = hourlog::Remote::with_prefix(service.remote().await.client().clone(), "archive");
    let publish = async |count: usize| {
        let subjects = (0..count).map(|number| (format!("log.m.{number}"), "xy".to_owned()));
        publish_all(&service.jetstream().await, subjects).await;
    };
    publish(10).await;
    publish_all(&service.jetstream().await, [("log._system".to_owned(), String::new())]).await;
    archived(&remote).await;
    events(&remote, "m.3").await;

    let status = until(&remote, |status| status.sources[0].stored == Some(11)).await;
    assert_eq!((status.prefix.as_str(), status.archive.kind.as_str()), ("archive", "embedded"));
    assert!(status.archive.state.ok && status.started < status.now, "{status:?}");
    let disk = status.archive.disk.as_ref().expect("an embedded archive has a disk");
    assert!(disk.journal_bytes > 0 && disk.free_bytes <= disk.total_bytes, "{disk:?}");
    let source = status.source("HOURLOG").expect("the service reads its own stream");
    assert_eq!(
        (source.kind.as_str(), source.published, source.archived, source.lag_messages),
        ("wal", 11, 11, Some(0))
    );
    assert_eq!((source.messages, source.bytes_max, source.lag_seconds), (11, Some(1 << 30), Some(0.0)));
    let counters = &status.counters;
    assert_eq!((counters.ingested, counters.archived, counters.replayed), (11, 11, 1));
    assert_eq!((counters.replayed_bytes, counters.rejected, counters.logs_awake), (2, 1, 11));
    assert!(counters.requests >= 2 && counters.request_errors == 0, "{counters:?}");

    std::fs::write(&fault, "").expect("the test owns the directory");
    publish(10).await;
    let status = until(&remote, |status| !status.archive.state.ok && status.sources[0].lag_seconds > Some(0.0)).await;
    let source = &status.sources[0];
    assert!(source.lag_messages > Some(0) && source.published == 21 && source.archived < 21, "{source:?}");
    assert!(status.archive.state.reason.as_deref().is_some_and(|reason| reason.contains("a test")), "{status:?}");
    std::fs::remove_file(&fault).expect("the file exists");
    let status = until(&remote, |status| status.sources[0].archived == 21).await;
    assert!(status.sources[0].lag_messages == Some(0) && status.sources[0].lag_seconds == Some(0.0), "{status:?}");
}
