//! A file imported again, whatever happened in between: nothing is added and nothing is lost.

use std::{
    fmt::Write as _,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use conformance::servers::{NatsServer, Service, ServiceOptions, WAIT_MAX, archived};
use hourlog::{
    Remote,
    wire::{LogsReply, LogsRequest},
};
use tempfile::TempDir;

use super::QUAKES;

/// Lines of the file. Every tenth line repeats the one before it.
pub(crate) const LINES: u64 = 80_000;
/// Logs that the lines are spread over.
const LOGS: u64 = 20;

/// Starts the built service. It keeps no archived message in the stream, so a second import must be
/// recognised by the archive alone.
pub(crate) async fn service() -> Service {
    let flags = ["--wal-keep-seconds", "0", "--wal-keep-bytes", "0"];
    let options = ServiceOptions::beside(env!("CARGO_BIN_EXE_hourlog"), &flags);
    Service::start(NatsServer::start().await, options).await
}

pub(crate) fn hourlog(service: &Service, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hourlog"));
    command.args(args).env("NATS_URL", service.nats.url()).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn run(mut command: Command) -> Output {
    let output = tokio::task::spawn_blocking(move || command.output().expect("the binary can be started")).await;
    let output = output.expect("the closure does not panic");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Returns the events of the logs, without the fields that differ between imports.
async fn exported(service: &Service, logs: &str) -> Vec<String> {
    let output = run(hourlog(service, &["export", logs])).await;
    let text = String::from_utf8(output.stdout).expect("the export is UTF-8");
    let events = text.lines().filter(|line| !line.starts_with("{\"trailer\""));
    events
        .map(|line| {
            let event: serde_json::Value = serde_json::from_str(line).expect("each line is JSON");
            format!("{} {} {}", event["offset"], event["metadata"], event["data"])
        })
        .collect()
}

pub(crate) async fn count_events(remote: &Remote) -> u64 {
    sum(&archived(remote).await)
}

pub(crate) fn sum(listed: &LogsReply) -> u64 {
    listed.logs.iter().map(|log| log.events).sum()
}

/// Waits until the stream is empty.
async fn wait_until_purged(service: &Service) {
    let mut stream = service.jetstream().await.get_stream("HOURLOG").await.expect("the stream exists");
    let started = Instant::now();
    while stream.info().await.expect("the server answers").state.messages > 0 {
        assert!(started.elapsed() < WAIT_MAX, "the stream is not purged");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) fn write_file(directory: &TempDir) -> String {
    let mut text = String::new();
    for line in 0..LINES {
        let event = line - u64::from(line % 10 == 9);
        let (log, minute) = (event % LOGS, event / 3);
        let _ = writeln!(
            text,
            r#"{{"log":"file.{log}","time":"@{}","metadata":{{"Nats-Msg-Id":["same"]}},"data":"{event}"}}"#,
            1_517_738_400 + minute * 60
        );
    }
    let path = directory.path().join("events.jsonl");
    std::fs::write(&path, text).expect("the file can be written");
    path.display().to_string()
}

fn kill(mut child: Child) {
    assert!(child.try_wait().expect("the child can be waited for").is_none(), "the import ended before it was killed");
    child.kill().expect("the child can be killed");
    child.wait().expect("the child can be waited for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_imported_again_after_the_stream_was_purged_adds_nothing() {
    let service = service().await;
    let remote = service.remote().await;
    run(hourlog(&service, &["import", QUAKES])).await;
    let first = exported(&service, "quakes.>").await;
    assert_eq!(first.len(), 1707);
    wait_until_purged(&service).await;
    run(hourlog(&service, &["import", QUAKES])).await;
    assert_eq!(count_events(&remote).await, 1707);
    assert_eq!(exported(&service, "quakes.>").await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_killed_halfway_with_its_service_is_complete_once_repeated() {
    let mut service = service().await;
    let directory = TempDir::new().expect("a directory can be created");
    let file = write_file(&directory);
    for round in 1..=2 {
        let import = hourlog(&service, &["import", &file]).spawn().expect("the binary can be started");
        let remote = service.remote().await;
        let started = Instant::now();
        // Read the counts as they are, without waiting for events in flight.
        while sum(&remote.logs(&LogsRequest::default()).await.expect("the service answers")) < round * LINES / 8 {
            assert!(started.elapsed() < WAIT_MAX, "the import makes no progress");
        }
        kill(import);
        service.process.kill();
        service.start_again().await;
    }
    run(hourlog(&service, &["import", &file])).await;
    let remote = service.remote().await;
    assert_eq!(count_events(&remote).await, LINES);
    let mut events = exported(&service, "file.>").await;
    assert_eq!(events.len() as u64, LINES);
    // Two equal lines are two events, and no more.
    events.sort_unstable();
    events.dedup();
    assert_eq!(events.len() as u64, LINES - LINES / 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_concurrent_imports_of_one_file_add_it_once() {
    let service = service().await;
    let directory = TempDir::new().expect("a directory can be created");
    let file = write_file(&directory);
    tokio::join!(run(hourlog(&service, &["import", &file])), run(hourlog(&service, &["import", &file])));
    assert_eq!(count_events(&service.remote().await).await, LINES);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_copied_under_another_name_within_the_duplicate_window_loses_nothing() {
    let service = service().await;
    run(hourlog(&service, &["import", QUAKES])).await;
    // The copy has the same message ids, and the stream remembers those for a while.
    let mut export = hourlog(&service, &["export", "quakes.ci"]).spawn().expect("the binary can be started");
    let mut import = hourlog(&service, &["import", "-", "--log", "copy"]);
    import.stdin(export.stdout.take().expect("stdout is piped"));
    run(import).await;
    assert!(export.wait().expect("the export can be waited for").success());
    let (copy, original) = (exported(&service, "copy").await, exported(&service, "quakes.ci").await);
    assert_eq!((copy.len(), &copy), (386, &original));
}
