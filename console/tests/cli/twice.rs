//! The same file imported again, whatever came in between: nothing is added, nothing is lost.

use std::{
    fmt::Write as _,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use conformance::servers::{LONG, NatsServer, Service, ServiceOptions, archived};
use hourlog::{
    Remote,
    wire::{LogsReply, LogsRequest},
};
use tempfile::TempDir;

use super::QUAKES;

/// Lines of the file, of which every tenth is the one before it once more.
const LINES: u64 = 80_000;
/// Over so many logs.
const LOGS: u64 = 20;

/// The built service, which keeps nothing in the stream that is archived: a second import finds only what the archive has.
async fn service() -> Service {
    let flags = ["--wal-keep-seconds", "0", "--wal-keep-bytes", "0"];
    let options = ServiceOptions::beside(env!("CARGO_BIN_EXE_hourlog"), &flags);
    Service::start(NatsServer::start().await, options).await
}

fn hourlog(service: &Service, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hourlog"));
    command.args(args).env("NATS_URL", service.nats.url()).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn run(mut command: Command) -> Output {
    let output = tokio::task::spawn_blocking(move || command.output().expect("the binary is there")).await;
    let output = output.expect("it does not panic");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// What the logs hold, without what is different each time.
async fn exported(service: &Service, logs: &str) -> Vec<String> {
    let output = run(hourlog(service, &["export", logs])).await;
    let text = String::from_utf8(output.stdout).expect("it is text");
    let events = text.lines().filter(|line| !line.starts_with("{\"trailer\""));
    events
        .map(|line| {
            let event: serde_json::Value = serde_json::from_str(line).expect("each line is JSON");
            format!("{} {} {}", event["offset"], event["metadata"], event["data"])
        })
        .collect()
}

async fn counted(remote: &Remote) -> u64 {
    sum(&archived(remote).await)
}

fn sum(listed: &LogsReply) -> u64 {
    listed.logs.iter().map(|log| log.events).sum()
}

/// Waits until the stream holds nothing any more.
async fn purged(service: &Service) {
    let mut stream = service.jetstream().await.get_stream("HOURLOG").await.expect("it is there");
    let begun = Instant::now();
    while stream.info().await.expect("it answers").state.messages > 0 {
        assert!(begun.elapsed() < LONG, "the stream is not emptied");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn file(directory: &TempDir) -> String {
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
    std::fs::write(&path, text).expect("the directory is the test's own");
    path.display().to_string()
}

fn kill(mut child: Child) {
    assert!(child.try_wait().expect("it can be waited for").is_none(), "it has ended before it was killed");
    child.kill().expect("it can be killed");
    child.wait().expect("it can be waited for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_imported_again_when_the_stream_has_nothing_of_it_any_more_adds_nothing() {
    let service = service().await;
    let remote = service.remote().await;
    run(hourlog(&service, &["import", QUAKES])).await;
    let first = exported(&service, "quakes.>").await;
    assert_eq!(first.len(), 1707);
    purged(&service).await;
    run(hourlog(&service, &["import", QUAKES])).await;
    assert_eq!(counted(&remote).await, 1707);
    assert_eq!(exported(&service, "quakes.>").await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_killed_half_way_with_its_service_and_begun_again_is_whole() {
    let mut service = service().await;
    let directory = TempDir::new().expect("a directory can be made");
    let file = file(&directory);
    for part in 1..=2 {
        let import = hourlog(&service, &["import", &file]).spawn().expect("the binary is there");
        let remote = service.remote().await;
        let begun = Instant::now();
        // As it is, without waiting for what is on its way.
        while sum(&remote.logs(&LogsRequest::default()).await.expect("it answers")) < part * LINES / 8 {
            assert!(begun.elapsed() < LONG, "the import makes no progress");
        }
        kill(import);
        service.process.kill();
        service.start_again().await;
    }
    run(hourlog(&service, &["import", &file])).await;
    let remote = service.remote().await;
    assert_eq!(counted(&remote).await, LINES);
    let mut found = exported(&service, "file.>").await;
    assert_eq!(found.len() as u64, LINES);
    // Both of two equal lines are there, and no third.
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len() as u64, LINES - LINES / 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_imports_of_one_file_at_once_add_it_once() {
    let service = service().await;
    let directory = TempDir::new().expect("a directory can be made");
    let file = file(&directory);
    tokio::join!(run(hourlog(&service, &["import", &file])), run(hourlog(&service, &["import", &file])));
    assert_eq!(counted(&service.remote().await).await, LINES);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_exported_and_imported_under_another_name_at_once_loses_nothing() {
    let service = service().await;
    run(hourlog(&service, &["import", QUAKES])).await;
    // At once: well within the time for which the stream knows message ids, and those are the same.
    let mut export = hourlog(&service, &["export", "quakes.ci"]).spawn().expect("the binary is there");
    let mut import = hourlog(&service, &["import", "-", "--log", "copy"]);
    import.stdin(export.stdout.take().expect("it is piped"));
    run(import).await;
    assert!(export.wait().expect("it can be waited for").success());
    let (copy, original) = (exported(&service, "copy").await, exported(&service, "quakes.ci").await);
    assert_eq!((copy.len(), &copy), (386, &original));
}
