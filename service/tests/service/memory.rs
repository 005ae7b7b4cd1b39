//! A backlog in the stream does not fill the service's memory.

use std::time::{Duration, Instant};

use conformance::servers::{NatsServer, ServiceOptions};
use tempfile::TempDir;

use crate::kit::{Service, WAIT_MAX, archived, noise, options, publish_all};

/// Size of the backlog, spread over [`LOGS`] logs.
const BACKLOG_BYTES: u64 = 1 << 30;
const EVENT_BYTES: u64 = 1_000;
/// The text that events are parts of.
const NOISE_BYTES: usize = 4 << 20;
const LOGS: u64 = 1_000;
/// Logs that are idle meanwhile. Their events lie among the others, so compactions rewrite all files.
const IDLE_LOGS: u64 = 2_000;
/// Limits of the service's memory during the outage, and while it catches up. Up to 96 MiB wait to be written out then; what
/// was is kept until a later table is written, for 264 to 385 MiB in total on a quiet machine, and 503 MiB on a busy one.
const RESIDENT_MIB_MAX: [u64; 2] = [150, 600];
/// Logs that are written, and sleep.
const SLEEPING_LOGS: u64 = 10_000;
/// Memory that they may take then, above that of a service with an empty archive.
const SLEEPING_MIB_MAX: u64 = 40;
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
    let noise = noise(NOISE_BYTES);
    let payload = |number: u64| {
        let from = (number * 7_919) as usize % (NOISE_BYTES - EVENT_BYTES as usize);
        noise[from..from + EVENT_BYTES as usize].to_owned()
    };
    let events = BACKLOG_BYTES / EVENT_BYTES;
    // A list has room for the other logs only, and these come last.
    let idle = (0..IDLE_LOGS).map(|number| (format!("log.z.idle.{number}"), "x".to_owned()));
    publish_all(&service.jetstream().await, idle).await;
    let messages = (0..events).map(|number| (format!("log.waiting.{}", number % LOGS), payload(number)));
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

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_logs_sleep_gives_their_memory_back() {
    let flags = ["--idle-seconds", "1", "--new-logs-a-second", "1000000"];
    let service = Service::start(NatsServer::start().await, options(&flags)).await;
    let before_mib = service.process.resident_mib();
    let messages = (0..3 * SLEEPING_LOGS).map(|number| (format!("log.{}", number % SLEEPING_LOGS), "x".repeat(100)));
    publish_all(&service.jetstream().await, messages).await;
    // The first page of a list, in which each log has its events.
    let logs = archived(&service.remote().await).await.logs;
    assert!(!logs.is_empty() && logs.iter().all(|log| log.events == 3), "{logs:?}");
    // The counts of recent events are forgotten after a minute.
    let begun = Instant::now();
    while service.process.resident_mib() > before_mib + SLEEPING_MIB_MAX {
        let mib = service.process.resident_mib();
        assert!(
            begun.elapsed() < 3 * WAIT_MAX,
            "{mib} MiB are resident, {before_mib} MiB before the logs were written"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("resident again after {:?}", begun.elapsed());
}
