//! Retention: old events are removed by themselves, also those of logs that sleep, and give their
//! room back.

use std::{path::Path, time::Instant};

use hourlog::{Record, Remote, wire::*};

use crate::kit::{Service, WAIT_MAX, archived, events, log, publish_all, service_with};

/// Waits until a log has exactly this many events.
async fn wait_for_count(remote: &Remote, id: &str, count: u64) {
    let begun = Instant::now();
    while remote.describe(&log(id)).await.expect("the log exists").events != count {
        assert!(begun.elapsed() < WAIT_MAX, "{id} does not get down to {count} events");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

fn at(text: &str) -> hourlog::Offset {
    text.parse().expect("the time is valid")
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_swept_by_rule_or_by_their_own_setting_also_while_they_sleep() {
    let flags = ["--retention", "debug.>=7d", "--sweep-seconds", "1", "--idle-seconds", "1"];
    let service = service_with(&flags).await;
    let remote = service.remote().await;
    for id in ["debug.a", "debug.kept", "orders", "own"] {
        if id == "debug.kept" {
            let retention = Some(Retention::Forever);
            let request = CreateRequest { retention, ..CreateRequest::default() };
            remote.create(&log(id), &request).await.expect("the log is new");
        }
        remote.append(&log(id), Record::new("old").at(at("2018-02-04T10:00:00Z"))).await.expect("it is archived");
        remote.append(&log(id), Record::new("new")).await.expect("it is archived");
    }
    wait_for_count(&remote, "debug.a", 1).await;
    let known = remote.describe(&log("debug.a")).await.expect("the log exists");
    assert_eq!(known.expired, Some(at("2018-02-04T11:00:00Z")));
    // A log with a new setting is swept while it sleeps.
    let alter = AlterRequest { retention: Some("1d".parse().expect("it is valid")), ..AlterRequest::default() };
    remote.alter(&log("own"), &alter).await.expect("the log exists");
    wait_for_count(&remote, "own", 1).await;
    assert_eq!(events(&remote, "debug.kept").await.len(), 2, "its own setting wins over the rule");
    assert_eq!(events(&remote, "orders").await.len(), 2, "no rule names it");
    let report = service.report().await;
    assert_eq!(report["events_removed"], 2, "{report}");
    // A reader of the removed range is told, and where the log begins now.
    let request = ReplayRequest { from: Some(at("2018-02-04T00:00:00Z").into()), ..ReplayRequest::default() };
    let page = remote.replay(&log("debug.a"), &request).await.expect("the log exists");
    assert_eq!((page.expired, page.resolved), (known.expired, Some(page.events[0].position)));
}

/// Returns the bytes that a directory takes on the disk, as `du` does.
fn disk_bytes(directory: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir(directory).expect("the directory can be read");
    entries
        .filter_map(Result::ok)
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
            // A file that was deleted meanwhile takes nothing.
            found => found.map_or(0, |metadata| metadata.blocks() * 512),
        })
        .sum()
}

/// Publishes events of a kibibyte that do not compress well.
async fn fill(service: &Service, subject: &str, count: u64) {
    let payload = |number: u64| {
        let mut state = number + 1;
        let digits = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            format!("{:08x}", state >> 32)
        });
        digits.take(128).collect::<String>()
    };
    let messages = (0..count).map(|number| (subject.to_owned(), payload(number)));
    publish_all(&service.jetstream().await, messages).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_of_half_the_data_gives_its_room_back_to_the_disk() {
    const EVENTS: u64 = 40_000;
    let service = service_with(&["--wal-keep-seconds", "0"]).await;
    let remote = service.remote().await;
    fill(&service, "log.removed", EVENTS).await;
    fill(&service, "log.kept", EVENTS).await;
    archived(&remote).await;
    let before = disk_bytes(service.directory.path());
    let removed = remote.delete(&log("removed"), &DeleteRequest::default()).await.expect("the log exists");
    assert_eq!(removed.events, EVENTS);
    // The tables hold little more than the events that are left. Beside them are journals of a fixed size.
    let tables = service.directory.path().join("tables/keyspaces");
    let sizes = || (disk_bytes(service.directory.path()), disk_bytes(&tables));
    let begun = Instant::now();
    let is_smaller = |(all, tables): (u64, u64)| all < before * 9 / 10 && tables < EVENTS * 1_024 * 12 / 10;
    while !is_smaller(sizes()) {
        assert!(begun.elapsed() < WAIT_MAX, "the archive takes {:?} of {before} bytes", sizes());
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    // Nothing else is touched, also after a restart.
    assert_eq!(remote.describe(&log("kept")).await.expect("the log exists").events, EVENTS);
    assert_eq!(events(&remote, "kept").await.len() as u64, EVENTS);
}
