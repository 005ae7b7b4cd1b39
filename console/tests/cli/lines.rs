//! `hourlog pub --lines`: each line is one event, in order, whatever dies, in bounded memory.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use conformance::servers::{Service, ServiceOptions, WAIT_MAX, archived};
use futures_util::TryStreamExt;
use hourlog::{Event, wire::ReplayRequest};

use super::{Finished, NatsOptions, NatsServer, Stage, Stdio, Write as _};

/// A running `pub --lines`, and the number of positions that it has printed.
struct Publishing {
    child: Child,
    stdin: Option<ChildStdin>,
    printed: Arc<AtomicU64>,
    reader: JoinHandle<()>,
}

impl Publishing {
    fn start(mut command: std::process::Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary can be started");
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().expect("stdout is piped"));
        let printed = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&printed);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                assert!(line.expect("the output is UTF-8").contains('-'), "a position is printed");
                count.fetch_add(1, Relaxed);
            }
        });
        Self { child, stdin, printed, reader }
    }

    /// Waits until `count` positions are printed.
    async fn until_printed(&mut self, count: u64) {
        let begun = Instant::now();
        while self.printed.load(Relaxed) < count {
            let ended = self.child.try_wait().expect("the child can be waited for");
            assert!(ended.is_none() && begun.elapsed() < WAIT_MAX, "{ended:?}, {} printed", self.printed.load(Relaxed));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the command ends by itself. Returns the number of printed positions, too.
    async fn ended(self) -> (Option<i32>, String, u64) {
        let Self { child, printed, reader, .. } = self;
        let output = tokio::task::spawn_blocking(move || {
            let output = child.wait_with_output().expect("the command ends");
            reader.join().expect("the reader does not panic");
            output
        });
        let output = output.await.expect("the closure does not panic");
        let stderr = String::from_utf8(output.stderr).expect("stderr is UTF-8");
        (output.status.code(), stderr, printed.load(Relaxed))
    }
}

fn hourlog(service: &Service, args: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hourlog"));
    command.args(args).env("NATS_URL", service.nats.url());
    command
}

async fn service() -> Service {
    let options = ServiceOptions::beside(env!("CARGO_BIN_EXE_hourlog"), &[]);
    Service::start(NatsServer::start().await, options).await
}

async fn events(service: &Service, log: &str) -> Vec<Event> {
    let remote = service.remote().await;
    archived(&remote).await;
    let events = remote.events(log.parse().expect("a valid id"), ReplayRequest::default());
    events.try_collect().await.expect("the log can be read to its end")
}

/// Lines of the trial with kills.
const LINES: u64 = 40_000;

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_stored_once_and_in_order_while_the_service_and_the_server_are_killed() {
    let mut service = service().await;
    let args = ["pub", "lines", "--lines", "-o", "raw", "--timeout", "2s"];
    let mut publishing = Publishing::start(hourlog(&service, &args));
    let mut stdin = publishing.stdin.take().expect("stdin is piped");
    let writer = std::thread::spawn(move || {
        for number in 0..LINES {
            writeln!(stdin, "{number}").expect("the command reads");
        }
    });
    publishing.until_printed(1).await;
    service.process.kill();
    service.start_again().await;
    for part in 1..=3 {
        publishing.until_printed(LINES * part / 5).await;
        service.nats.kill();
        service.nats.restart().await;
    }
    publishing.until_printed(LINES * 4 / 5).await;
    service.process.kill();
    service.nats.kill();
    service.nats.restart().await;
    service.start_again().await;
    let (code, stderr, printed) = publishing.ended().await;
    writer.join().expect("the writer does not panic");
    assert_eq!((code, printed), (Some(0), LINES), "{stderr}");
    assert!(stderr.contains("40,000 events archived in lines"), "{stderr}");
    let found = events(&service, "lines").await;
    let numbers: Vec<String> =
        found.iter().map(|event| String::from_utf8_lossy(&event.record.data).into_owned()).collect();
    let wrong = numbers.iter().enumerate().find(|(at, number)| **number != at.to_string());
    assert!(numbers.len() as u64 == LINES && wrong.is_none(), "{} events, {wrong:?}", numbers.len());
}

/// Size of a large line, and the number of such lines.
const LARGE: (usize, u64) = (1_000_000, 150);
/// The most memory of the command. It was half as much again as all lines together.
#[cfg(target_os = "linux")]
const RESIDENT_MIB_MAX: u64 = 90;

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn large_lines_are_written_in_a_window_of_bytes() {
    let service = service().await;
    let mut publishing = Publishing::start(hourlog(&service, &["pub", "large", "--lines", "-o", "raw"]));
    let mut stdin = publishing.stdin.take().expect("stdin is piped");
    let writer = std::thread::spawn(move || {
        let line = "x".repeat(LARGE.0) + "\n";
        for _ in 0..LARGE.1 {
            stdin.write_all(line.as_bytes()).expect("the command reads");
        }
        stdin
    });
    publishing.until_printed(LARGE.1).await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", publishing.child.id())).expect("it is running");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux reports it");
    let mib = peak.trim().trim_end_matches(" kB").parse::<u64>().expect("it is a number") / 1024;
    assert!(mib < RESIDENT_MIB_MAX, "{mib} MiB for {} lines of {} bytes", LARGE.1, LARGE.0);
    drop(writer.join().expect("the writer does not panic"));
    let (code, stderr, printed) = publishing.ended().await;
    assert_eq!((code, printed), (Some(0), LARGE.1), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_too_large_ends_the_command_with_exact_counts_or_is_passed_over() {
    let stage = Stage::open().await;
    let mut input: Vec<u8> = (1..=596).flat_map(|number| format!("{number}\n").into_bytes()).collect();
    input.extend(vec![b'x'; 2 << 20]);
    input.extend(b"\n598\n599\n");
    let Finished { code, stderr, .. } = stage.run_with("pub stops --lines -o raw", input.clone()).await;
    assert_eq!(code, Some(8), "{stderr}");
    let said = "596 lines archived, no other line was sent";
    assert!(stderr.contains("standard input line 597: ") && stderr.contains(said), "{stderr}");
    assert_eq!(stage.run("read stops -o raw").await.stdout.iter().filter(|byte| **byte == b'\n').count(), 596);

    let Finished { code, stdout, stderr } = stage.run_with("pub goes.on --lines --keep-going -o raw", input).await;
    assert_eq!((code, stdout.iter().filter(|byte| **byte == b'\n').count()), (Some(8), 598), "{stderr}");
    assert!(stderr.contains("standard input line 597: the event is larger than"), "{stderr}");
    assert!(stderr.contains("1 bad line passed over, 598 events archived in goes.on"), "{stderr}");
    stage.check("read goes.on -o raw --tail 3", "596\n598\n599\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_is_kept_without_bursts() {
    let stage = Stage::open().await;
    let input: String = (0..31).map(|number| format!("{number}\n")).collect();
    let ended = stage.run_with("pub paced --lines --rate 50 -o raw", input).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let events = super::json_lines(&stage.run("read paced").await.stdout);
    let offset = |event: &serde_json::Value| event["offset"].as_str().and_then(|text| text.parse::<i64>().ok());
    let millis: Vec<i64> = events.iter().filter_map(offset).map(|nanos| nanos / 1_000_000).collect();
    assert_eq!(millis.len(), 31);
    // Ten events take 200 ms, less the two that may be late and are then sent at once.
    let shortest = millis.windows(11).map(|ten| ten[10] - ten[0]).min().unwrap_or_default();
    assert!(shortest >= 120, "ten events within {shortest} ms: {millis:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_only_publish_writes_lines_one_by_one() {
    let config = r#"
        authorization { users: [
            { user: service, password: s }
            { user: publisher, password: p, permissions: {
                publish: { allow: ["log.>", "hourlog.append.>"] }, subscribe: ["_INBOX.>"] } }
        ] }"#;
    let nats = NatsServer::start_with(NatsOptions { config: config.to_owned(), ..NatsOptions::default() }).await;
    let credentials = hourlogd::Credentials {
        user: Some("service".to_owned()),
        password: Some("s".to_owned()),
        ..hourlogd::Credentials::default()
    };
    let settings = hourlogd::Settings { nats: nats.url(), credentials, ..hourlogd::Settings::default() };
    let stage = Stage::over(nats, settings).await;
    let ended = stage.run_with("pub one.by.one --lines -o raw --user publisher --password p", "a\nb\nc\nd\n").await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("each line is sent alone") && ended.stderr.contains("4 events"), "{}", ended.stderr);
    stage.check("read one.by.one -o raw --user service --password s", "a\nb\nc\nd\n").await;
}
