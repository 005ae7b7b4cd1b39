//! What waits in the stream does not wait in memory.

use std::time::{Duration, Instant};

use conformance::servers::{NatsServer, ServiceOptions};
use tempfile::TempDir;

use crate::kit::{LONG, Service, archived, options, publish_all};

/// What waits, over how many logs.
const WAITING_BYTES: u64 = 1 << 30;
const EVENT_BYTES: u64 = 1_000;
const LOGS: u64 = 1_000;
/// The most that the service may have in memory while the archive is away, and while it catches up.
const RESIDENT_MIB_MAX: [u64; 2] = [150, 400];
/// How long the archive is away once everything waits.
const AWAY: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn with_a_gibibyte_waiting_and_the_archive_away_the_service_stays_small() {
    let directory = TempDir::new().expect("a directory can be made");
    let fault = directory.path().join("fault");
    std::fs::write(&fault, "").expect("the directory is the test's own");
    let environment = vec![("HOURLOG_FAULT_FILE".to_owned(), fault.display().to_string())];
    let size = (2 * WAITING_BYTES).to_string();
    let options = ServiceOptions { environment, ..options(&["--wal-max-bytes", &size]) };
    let service = Service::start(NatsServer::start().await, options).await;
    let payload = "x".repeat(EVENT_BYTES as usize);
    let events = WAITING_BYTES / EVENT_BYTES;
    let messages = (0..events).map(|number| (format!("log.waiting.{}", number % LOGS), payload.clone()));
    publish_all(&service.jetstream().await, messages).await;
    tokio::time::sleep(AWAY).await;
    assert_eq!(service.report().await["archive"]["ok"], false);
    let away = service.process.resident_mib_max();

    std::fs::remove_file(&fault).expect("it is there");
    let remote = service.remote().await;
    let begun = Instant::now();
    while service.report().await["lag"] != 0 {
        assert!(begun.elapsed() < LONG * 3, "{}", service.report().await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let logs = archived(&remote).await.logs;
    assert_eq!(logs.iter().map(|log| log.events).sum::<u64>(), events);
    let all = service.process.resident_mib_max();
    println!("at most {away} MiB resident while the archive was away, {all} MiB until all was archived");
    assert!(away <= RESIDENT_MIB_MAX[0] && all <= RESIDENT_MIB_MAX[1], "{away} MiB, {all} MiB");
}
