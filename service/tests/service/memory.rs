//! A backlog in the stream does not fill the service's memory.

use std::time::{Duration, Instant};

use conformance::servers::{NatsServer, ServiceOptions};
use tempfile::TempDir;

use crate::kit::{Service, WAIT_MAX, archived, options, publish_all};

/// Size of the backlog, spread over [`LOGS`] logs.
const BACKLOG_BYTES: u64 = 1 << 30;
const EVENT_BYTES: u64 = 1_000;
const LOGS: u64 = 1_000;
/// Logs that are idle meanwhile. Their events lie among the others, so compactions rewrite all files.
const IDLE_LOGS: u64 = 2_000;
/// Limits of the service's memory during the outage, and while it catches up.
const RESIDENT_MIB_MAX: [u64; 2] = [150, 400];
/// Time of the outage after the backlog is complete.
const OUTAGE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_of_a_gibibyte_during_an_archive_outage_keeps_memory_small() {
    let directory = TempDir::new().expect("a temporary directory can be created");
    let fault = directory.path().join("fault");
    std::fs::write(&fault, "").expect("the test owns the directory");
    let environment = vec![("HOURLOG_FAULT_FILE".to_owned(), fault.display().to_string())];
    let size = (2 * BACKLOG_BYTES).to_string();
    let options = ServiceOptions { environment, ..options(&["--wal-max-bytes", &size]) };
    let service = Service::start(NatsServer::start().await, options).await;
    let payload = "x".repeat(EVENT_BYTES as usize);
    let events = BACKLOG_BYTES / EVENT_BYTES;
    // A list has room for the other logs only, and these come last.
    let idle = (0..IDLE_LOGS).map(|number| (format!("log.z.idle.{number}"), "x".to_owned()));
    publish_all(&service.jetstream().await, idle).await;
    let messages = (0..events).map(|number| (format!("log.waiting.{}", number % LOGS), payload.clone()));
    publish_all(&service.jetstream().await, messages).await;
    tokio::time::sleep(OUTAGE).await;
    assert_eq!(service.report().await["archive"]["ok"], false);
    let outage_mib = service.process.resident_mib_max();

    std::fs::remove_file(&fault).expect("the file exists");
    let remote = service.remote().await;
    let begun = Instant::now();
    while service.report().await["lag"] != 0 {
        assert!(begun.elapsed() < WAIT_MAX * 3, "{}", service.report().await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let logs = archived(&remote).await.logs;
    assert_eq!(logs.iter().map(|log| log.events).sum::<u64>(), events);
    let total_mib = service.process.resident_mib_max();
    println!("at most {outage_mib} MiB resident during the outage, {total_mib} MiB until the service caught up");
    assert!(outage_mib <= RESIDENT_MIB_MAX[0] && total_mib <= RESIDENT_MIB_MAX[1], "{outage_mib} MiB, {total_mib} MiB");
}
