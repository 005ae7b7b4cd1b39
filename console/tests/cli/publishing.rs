//! `hourlog pub`: where its data is from, and what it says when a write fails.

use std::{fs::File, time::Duration};

use conformance::servers::{Service, ServiceOptions, WAIT_MAX, archived};
use futures_util::StreamExt;
use hourlog::LogId;
use tokio::process::Child;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn data_that_is_piped_in_is_the_data_of_the_event() {
    let stage = Stage::open().await;
    std::fs::write(stage.path("file"), "from a file\n").expect("the file can be written");
    for (number, (data, input, read)) in [
        ("", "hello\n", "hello"),
        ("", "hello", "hello"),
        ("", "hello\r\n", "hello"),
        ("", "two\nlines\n", "two\nlines\n"),
        ("-", "hello\n", "hello\n"),
        ("-", "", ""),
        ("@file", "ignored", "from a file\n"),
        ("text", "ignored", "text"),
        ("''", "ignored", ""),
    ]
    .into_iter()
    .enumerate()
    {
        stage.check_with(&format!("pub data.{number} {data} -o raw"), input, "<n>-<n>\n").await;
        stage.check(&format!("read data.{number} -o raw"), &format!("{read}\n")).await;
    }
    stage.check_fails("pub empty -H kind:beat", 2, &["standard input is empty", "give '' as the data"]).await;
    stage.check_fails("read empty", 3, &["no log empty"]).await;
    let limit = (stage.remote().await.client().max_payload() - 16 * 1024).to_string();
    stage.check_fails_with("pub large", vec![b'x'; 2 << 20], 8, &[&limit]).await;

    // A service, cron or ssh -n may give no input at all.
    let run = |input: Stdio| {
        let mut command = stage.command("pub beats -H kind:beat -o raw");
        tokio::task::spawn_blocking(move || command.stdin(input).output().expect("the binary can be started"))
    };
    let null = File::open("/dev/null").expect("every system has it");
    let ended = run(null.into()).await.expect("the closure does not panic");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    stage.check("read beats -o raw", "\n").await;
    let file = File::open(stage.path("file")).expect("the file was written");
    let ended = run(file.into()).await.expect("the closure does not panic");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    stage.check("read beats -o raw", "\nfrom a file\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_with_the_same_id_is_stored_once() {
    let stage = Stage::open().await;
    let first = stage.run("pub ids x --id 'order 7' -o raw").await;
    let again = stage.run("pub ids x --id 'order 7' -o raw").await;
    assert_eq!((first.code, &first.stdout), (Some(0), &again.stdout), "{}", first.stderr);
    assert!(again.stderr.contains("exists already") && first.stderr.is_empty(), "{}", again.stderr);
    let events = json_lines(&stage.run("read ids").await.stdout);
    assert_eq!((events.len(), &events[0]["metadata"]["Nats-Msg-Id"][0]), (1, &"order 7".into()));

    // Each line has its own id, so the same input again adds nothing, and another one adds what is new.
    let once = stage.run_with("pub ids.lines --lines --id batch -o raw", "a\na\nb\n").await;
    assert_eq!(once.code, Some(0), "{}", once.stderr);
    stage.check_with("pub ids.lines --lines --id batch -o raw", "a\na\nb\nc\n", "<n>-<n>\n".repeat(4).as_str()).await;
    stage.check("read ids.lines -o raw", "a\na\nb\nc\n").await;
    // An id of the command's own leaves no trace.
    stage.check("pub ids.none x -o raw", "<n>-<n>\n").await;
    stage.check_with("pub ids.none --lines -o raw", "a\nb\n", "<n>-<n>\n<n>-<n>\n").await;
    let events = json_lines(&stage.run("read ids.none").await.stdout);
    assert!(events.len() == 3 && events.iter().all(|event| event["metadata"] == serde_json::json!({})), "{events:?}");

    for (args, said) in [
        ("pub ids x --id 7 -H nats-msg-id:7", "give one of them"),
        ("pub ids --lines -H Nats-Msg-Id:7", "give --id"),
        ("pub ids x --id ''", "one line of text"),
        ("pub ids x --lines", "no input to read"),
        ("pub ids x --rate 5", "--lines"),
        ("pub ids x --keep-going", "--lines"),
        ("pub ids - --lines --rate 0", "rate"),
    ] {
        stage.check_fails(args, 2, &[said]).await;
    }
}

/// Starts `hourlog`, connected to `service`.
fn start(service: &Service, args: &[&str]) -> Child {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_hourlog"));
    command.args(args).env("NATS_URL", service.nats.url()).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.spawn().expect("the binary can be started")
}

async fn ended(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().await.expect("the command ends");
    (output.status.code(), String::from_utf8(output.stderr).expect("stderr is UTF-8"))
}

async fn data(remote: &Remote, id: &LogId) -> Vec<String> {
    archived(remote).await;
    let mut log = remote.log(id).await.expect("a handle needs no request");
    let events = log.read_many(100).await.expect("the log exists");
    events.iter().map(|event| String::from_utf8_lossy(&event.record.data).into_owned()).collect()
}

/// Returns a log whose writes fail while the file of faults exists.
fn failing_log() -> LogId {
    let ids = (0..).map(|number| format!("slow.{number}").parse::<LogId>().expect("a valid id"));
    ids.into_iter().find(|id| id.slot().is_multiple_of(2)).expect("every second slot fails")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_write_says_if_the_event_is_in_the_stream_or_not_sent_or_unknown() {
    let directory = TempDir::new().expect("a directory can be created");
    let fault = directory.path().join("fault");
    let environment = vec![("HOURLOG_FAULT_FILE".to_owned(), fault.display().to_string())];
    let options = ServiceOptions { environment, ..ServiceOptions::beside(env!("CARGO_BIN_EXE_hourlog"), &[]) };
    let mut service = Service::start(NatsServer::start().await, options).await;
    let (remote, log) = (service.remote().await, failing_log());
    let id = log.as_str();

    std::fs::write(&fault, "").expect("the file can be written");
    let (code, said) = ended(start(&service, &["pub", id, "slow", "--timeout", "2s"])).await;
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains("the stream HOURLOG has the event as message 1, and it will be archived"), "{said}");
    assert!(!said.contains("try again") && !said.contains("--id"), "{said}");
    std::fs::remove_file(&fault).expect("the file exists");
    assert_eq!(data(&remote, &log).await, ["slow"]);

    // A service that does not answer: the same id stores the event once, however often it is sent.
    let mut requests = remote.client().subscribe("hourlog.append.>").await.expect("the subject can be subscribed to");
    remote.client().flush().await.expect("the server is running");
    service.process.pause();
    let (code, said) = ended(start(&service, &["pub", id, "unknown", "--timeout", "300ms"])).await;
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains("it is not known if the event was stored") && !said.contains("try again"), "{said}");
    let sent_id = said.split_once("with --id ").and_then(|(_, rest)| rest.split_once(',')).expect(&said).0;
    assert!(requests.next().await.is_some(), "the event was sent");
    service.process.resume();
    let begun = std::time::Instant::now();
    while data(&remote, &log).await.len() < 2 {
        assert!(begun.elapsed() < WAIT_MAX, "the service does not handle what it was sent");
    }
    let (code, said) = ended(start(&service, &["pub", id, "unknown", "--id", sent_id])).await;
    assert!(code == Some(0) && said.contains("exists already"), "{said}");
    assert_eq!(data(&remote, &log).await, ["slow", "unknown"]);

    // A service that is killed while it has the event, and starts again.
    while tokio::time::timeout(Duration::ZERO, requests.next()).await.is_ok() {}
    service.process.pause();
    let child = start(&service, &["pub", id, "killed", "--timeout", "3s"]);
    tokio::time::timeout(WAIT_MAX, requests.next()).await.expect("the event is sent");
    service.process.kill();
    service.start_again().await;
    let (code, said) = ended(child).await;
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert_eq!(data(&remote, &log).await, ["slow", "unknown", "killed"]);

    // Otherwise the subscriber of this test is one that could answer.
    requests.unsubscribe().await.expect("the server is running");
    remote.client().flush().await.expect("the server is running");
    service.process.kill();
    let (code, said) = ended(start(&service, &["pub", id, "nobody"])).await;
    assert!(code == Some(5) && said.contains("the event was not sent: no hourlogd answers"), "{said}");
    service.start_again().await;
    assert_eq!(data(&remote, &log).await, ["slow", "unknown", "killed"]);
}
