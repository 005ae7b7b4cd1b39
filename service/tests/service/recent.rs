//! The events of a log that arrived lately: the counts of a reply are those of the events themselves.

use std::time::{Duration, Instant};

use hourlog::{
    Offset, Record,
    time::SECOND,
    wire::{LogReply, LogsRequest, RECENT_WINDOW_SECONDS, RECENT_WINDOWS_MAX, RecentReply},
};

use crate::kit::{Service, WAIT_MAX, archived, events, log, publish_all, service};

const WINDOW_NANOS: i64 = RECENT_WINDOW_SECONDS as i64 * SECOND;

/// Returns the start of the first window.
fn begin(recent: &RecentReply) -> Offset {
    let windows = i64::try_from(recent.counts.len()).expect("there are twelve at most");
    recent.to.saturating_add_nanos(-windows * WINDOW_NANOS)
}

/// Counts the events that a reader finds in the windows of `recent`.
async fn counted(service: &Service, id: &str, recent: &RecentReply) -> Vec<u32> {
    let events = events(&service.remote().await, id).await;
    let windows = 0..recent.counts.len() as i64;
    let count = |window: i64| {
        let from = begin(recent).saturating_add_nanos(window * WINDOW_NANOS);
        let range = from..from.saturating_add_nanos(WINDOW_NANOS);
        events.iter().filter(|event| range.contains(&event.arrival_time())).count() as u32
    };
    windows.map(count).collect()
}

/// Waits until the list of logs says what is expected, and returns the logs.
async fn listed_until(service: &Service, is_reached: impl Fn(&[LogReply]) -> bool) -> Vec<LogReply> {
    let (remote, begun) = (service.remote().await, Instant::now());
    loop {
        let logs = remote.logs(&LogsRequest::default()).await.expect("the logs are listed").logs;
        if is_reached(&logs) {
            return logs;
        }
        assert!(begun.elapsed() < WAIT_MAX, "{logs:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rate_of_a_log_counts_its_events_and_says_since_when() {
    let mut service = service().await;
    let (remote, jetstream) = (service.remote().await, service.jetstream().await);
    remote.append(&log("quiet"), Record::new("x")).await.expect("the record is archived");
    let first = remote.logs(&LogsRequest::default()).await.expect("the logs are listed").logs.remove(0);
    assert!(first.recent.counts.len() < RECENT_WINDOWS_MAX, "a new service knows no minute: {first:?}");
    assert_eq!(first.rate.is_none(), first.recent.counts.is_empty());
    // From here on, every event is in a window that is counted.
    listed_until(&service, |logs| !logs[0].recent.counts.is_empty()).await;
    // A late event counts when it arrives, not at its own time.
    let early = "2018-02-04T10:00:00Z".parse().expect("the time is valid");
    remote.append(&log("busy"), Record::new("x").at(early)).await.expect("the record is archived");
    publish_all(&jetstream, (0..300).map(|number| ("log.busy".to_owned(), number.to_string()))).await;
    archived(&remote).await;
    let newest = events(&remote, "busy").await.last().expect("the log has events").arrival_time();
    let logs = listed_until(&service, |logs| logs[0].recent.to > newest).await;
    for LogReply { log, recent, rate, .. } in &logs {
        assert_eq!(recent.counts, counted(&service, log.as_str(), recent).await, "{log}: {recent:?}");
        assert_eq!(*rate, recent.per_second());
    }
    assert_eq!(logs[0].recent.counts.iter().sum::<u32>(), 301, "{logs:?}");
    let described = remote.describe(&log("busy")).await.expect("the log exists");
    assert!(described.recent.to >= logs[0].recent.to && described.rate > Some(0.0), "{described:?}");

    // After a restart, the windows of before are not called empty, and nothing is counted that was read again.
    service.process.kill();
    service.start_again().await;
    let started = service.remote().await.status().await.expect("the service replies").started;
    let logs = listed_until(&service, |logs| !logs[0].recent.counts.is_empty()).await;
    for LogReply { log, recent, .. } in &logs {
        assert!(begin(recent) >= started.saturating_add_nanos(-SECOND), "{recent:?}, {started}");
        assert_eq!(recent.counts, counted(&service, log.as_str(), recent).await, "{log}: {recent:?}");
    }
}
