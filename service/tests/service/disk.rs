//! An archive on a full disk. The disk is a small tmpfs in a mount namespace of the service.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use conformance::servers::{NatsServer, ServiceOptions, with_small_disk};
use hourlog::{ErrorKind, Record, Remote};
use tempfile::TempDir;

use crate::kit::{Service, WAIT_MAX, archived, events, log, options, publish_all};

/// Size of the disk. The journal and the tables must fit.
const DISK_BYTES: u64 = 160 << 20;
/// Events published while the disk is full.
const EVENTS: usize = 20_000;

/// Starts a service with its archive on the small disk. Also returns the path of that disk as seen
/// from outside the namespace.
async fn on_a_small_disk() -> (Service, PathBuf) {
    let directory = TempDir::new().expect("a temporary directory can be created");
    let options = ServiceOptions { wrapper: with_small_disk(directory.path(), DISK_BYTES), ..options(&[]) };
    let service = Service::start_in(NatsServer::start().await, directory, options).await;
    let inside = format!("/proc/{}/root{}", service.process.id(), service.directory.path().display());
    (service, PathBuf::from(inside))
}

/// Fills the disk with a file.
fn fill(directory: &Path) -> PathBuf {
    let path = directory.join("filler");
    let mut file = File::create(&path).expect("the disk has room for a file");
    let part = vec![1; 1 << 16];
    while file.write_all(&part).is_ok() {}
    path
}

/// Appends until a record is not acknowledged. Returns the number of acknowledged records.
async fn append_until_full(remote: &Remote) -> usize {
    let remote = remote.clone().with_timeout(Duration::from_secs(3));
    let begun = Instant::now();
    for number in 0.. {
        let record = Record::new(format!("{number} {}", "x".repeat(10_000)));
        match remote.append(&log("acked"), record).await {
            Ok(_) => assert!(begun.elapsed() < WAIT_MAX, "the disk is full, but appends still succeed"),
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::Deadline | ErrorKind::Unavailable), "{error}");
                return number;
            }
        }
    }
    unreachable!("the loop ends with an error")
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_full_disk_nothing_is_acknowledged_replays_work_and_writes_resume_once_there_is_room() {
    let (mut service, disk) = on_a_small_disk().await;
    let remote = service.remote().await;
    for number in 0..100 {
        remote.append(&log("before"), Record::new(number.to_string())).await.expect("the disk has room");
    }
    let filler = fill(&disk);
    let acked = append_until_full(&remote).await;
    let message = |number: usize| (format!("log.waiting.{}", number % 10), format!("{number} {}", "x".repeat(500)));
    publish_all(&service.jetstream().await, (0..EVENTS).map(message)).await;

    // The service reports the outage, and replays of acknowledged events keep working.
    let begun = Instant::now();
    while service.report().await["archive"]["ok"] == true {
        assert!(begun.elapsed() < WAIT_MAX, "the service does not report the outage of the archive");
    }
    while !service.report().await["archive"]["reason"].as_str().is_some_and(|reason| reason.contains("MiB left")) {
        assert_eq!(events(&remote, "before").await.len(), 100);
        assert!(events(&remote, "acked").await.len() >= acked);
        assert!(begun.elapsed() < WAIT_MAX, "{}", service.report().await);
    }
    assert_eq!(events(&remote, "before").await.len(), 100);

    std::fs::remove_file(filler).expect("the file exists");
    let listed = archived(&remote).await.logs;
    let waiting: u64 = listed.iter().filter(|log| log.log.as_str().starts_with("waiting.")).map(|log| log.events).sum();
    assert_eq!(waiting, EVENTS as u64);
    for number in 0..10 {
        let found = events(&remote, &format!("waiting.{number}")).await;
        let data = |at: usize| String::from_utf8_lossy(&found[at].record.data).into_owned();
        assert_eq!(found.len(), EVENTS / 10);
        assert!((0..found.len()).all(|at| data(at).starts_with(&format!("{} ", at * 10 + number))));
    }
    // The unacknowledged record may be in the stream, and is then archived too.
    let found = events(&remote, "acked").await;
    assert!((acked..=acked + 1).contains(&found.len()), "{acked} acknowledged, {} found", found.len());
    assert_eq!(service.process.ended(), None);
    let report = service.report().await;
    assert_eq!(report["archive"]["ok"], true, "{report}");
    // The outage lasts for seconds, with several failures a second.
    for failure in ["the archive does not", "cannot store the checkpoint"] {
        let traced = service.process.stderr_lines().into_iter().filter(|line| line.contains(failure));
        let traced: Vec<_> = traced.collect();
        assert!(traced.len() as u64 <= 1 + begun.elapsed().as_secs() / 60, "{traced:#?}");
    }
}
