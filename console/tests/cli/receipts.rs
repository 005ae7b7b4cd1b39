//! The report of an import: how many lines were new, how many were there already, and what it could not ask.

use conformance::servers::{NatsOptions, NatsServer, WAIT_MAX};
use hourlog::wire::LogsRequest;
use hourlogd::{Credentials, Settings};
use tempfile::TempDir;

use super::{
    Finished, QUAKES, Stage, json_lines,
    reimport::{LINES, count_events, hourlog, service, sum, write_file},
};

/// Returns `events`, `new`, `known`, `rejected` and `unknown` of what an import has printed.
fn counts(stdout: &[u8]) -> [u64; 5] {
    let report = &json_lines(stdout)[0];
    ["events", "new", "known", "rejected", "unknown"].map(|field| report[field].as_u64().expect("it is a number"))
}

async fn import(stage: &Stage, args: &str) -> [u64; 5] {
    let ended = stage.run(&format!("import {args} -o ndjson")).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    counts(&ended.stdout)
}

async fn data(stage: &Stage, log: &str) -> Vec<String> {
    let events = json_lines(&stage.run(&format!("read {log}")).await.stdout);
    events.iter().map(|event| format!("{} {}", event["metadata"]["Hourlog-Source"][0], event["data"])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_says_how_many_lines_were_new() {
    let stage = Stage::open().await;
    let Finished { code, stdout, stderr } = stage.run(&format!("import '{QUAKES}'")).await;
    assert_eq!((code, stderr.as_str()), (Some(0), "1,707 lines into 12 logs: 1,707 new, 0 were there already\n"));
    assert_eq!(counts(&stdout), [1_707, 1_707, 0, 0, 0]);
    let again = stage.run(&format!("import '{QUAKES}' --quiet -o json")).await;
    assert_eq!((again.code, again.stderr.as_str()), (Some(0), ""));
    let report: serde_json::Value = serde_json::from_slice(&again.stdout).expect("the output is JSON");
    assert_eq!((&report[0]["new"], &report[0]["known"]), (&0.into(), &1_707.into()));

    let lines = std::fs::read_to_string(QUAKES).expect("the example can be read");
    let longer = lines + r#"{"log":"quakes.us","time":"2018-02-08T00:00:00Z","data":"one more"}"#;
    std::fs::write(stage.path("quakes.jsonl"), longer).expect("the file can be written");
    let longer = stage.run("import quakes.jsonl -o table").await;
    assert_eq!(longer.stderr, "1,708 lines into 12 logs: 1 new, 1,707 were there already\n");
    assert!(longer.stdout.is_empty(), "on a terminal, the sentence says it all");
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_lines_of_two_files_are_two_events() {
    let stage = Stage::open().await;
    let line = r#"{"log":"web","time":"2018-02-04T10:00:00Z","data":"started"}"#;
    for file in ["a.jsonl", "b.jsonl"] {
        std::fs::write(stage.path(file), format!("{line}\n{line}\n")).expect("the file can be written");
    }
    for (args, [new, known]) in [
        ("a.jsonl", [2, 0]),
        ("b.jsonl", [2, 0]),
        ("a.jsonl", [0, 2]),
        ("b.jsonl", [0, 2]),
        ("a.jsonl --source b.jsonl", [0, 2]),
        ("a.jsonl --source c", [2, 0]),
        // Into another log, as an earlier version did: without a source.
        ("/dev/stdin --log old", [2, 0]),
        ("a.jsonl --log old", [0, 2]),
        ("b.jsonl --log old --source b", [0, 2]),
    ] {
        let is_stdin = args.starts_with("/dev/stdin");
        let input = if is_stdin { std::fs::read(stage.path("a.jsonl")).expect("it can be read") } else { Vec::new() };
        let ended = stage.run_with(&format!("import {args} -o ndjson"), input).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(counts(&ended.stdout), [2, new, known, 0, 0], "{args}");
    }
    let expected = ["a.jsonl", "a.jsonl", "b.jsonl", "b.jsonl", "c", "c"].map(|name| format!(r#""{name}" "started""#));
    assert_eq!(data(&stage, "web").await, expected);

    // An export keeps the sources: it adds nothing to its own log, and everything to another one.
    let export = stage.run("export web old").await.stdout;
    std::fs::write(stage.path("export.jsonl"), export).expect("the file can be written");
    assert_eq!(import(&stage, "export.jsonl").await, [8, 0, 8, 0, 0]);
    assert_eq!(import(&stage, "export.jsonl --source again").await, [8, 0, 8, 0, 0]);
    assert_eq!(import(&stage, "export.jsonl --log copy").await, [8, 8, 0, 0, 0]);
    assert_eq!(import(&stage, "export.jsonl --log copy").await, [8, 0, 8, 0, 0]);
    let refused = stage.run("import a.jsonl --source 'two\nlines'").await;
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_tells_the_truth_after_kills_of_the_service_and_of_nats() {
    let mut service = service().await;
    let directory = TempDir::new().expect("a directory can be created");
    let file = write_file(&directory);
    let text = std::fs::read_to_string(&file).expect("the file can be read");
    let part_lines = LINES / 4;
    let part: String = text.split_inclusive('\n').take(part_lines as usize).collect();
    std::fs::write(&file, part).expect("the file can be written");
    let ended = hourlog(&service, &["import", &file]).output().expect("the binary can be started");
    assert_eq!(counts(&ended.stdout), [part_lines, part_lines, 0, 0, 0]);

    std::fs::write(&file, text).expect("the file can be written");
    let mut import = hourlog(&service, &["import", &file]).spawn().expect("the binary can be started");
    for kill in 1..=3 {
        let remote = service.remote().await;
        let started = std::time::Instant::now();
        // Read the counts as they are, without waiting for events in flight.
        let expected = part_lines + kill * LINES / 8;
        // A service that has lost nats-server does not answer for a moment.
        while remote.logs(&LogsRequest::default()).await.map_or(true, |logs| sum(&logs) < expected) {
            assert!(started.elapsed() < WAIT_MAX, "the import makes no progress");
        }
        assert!(import.try_wait().expect("the child can be waited for").is_none(), "the import has ended too early");
        if kill == 2 {
            service.nats.kill();
            service.nats.restart().await;
        } else {
            service.process.kill();
            service.start_again().await;
        }
    }
    let ended = tokio::task::spawn_blocking(move || import.wait_with_output()).await.expect("it does not panic");
    let ended = ended.expect("the import can be waited for");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    assert_eq!(counts(&ended.stdout), [LINES, LINES - part_lines, part_lines, 0, 0], "{said}");
    assert_eq!(count_events(&service.remote().await).await, LINES);
}

/// Users of whom one may only publish.
const USERS: &str = r#"
    authorization { users: [
        { user: service, password: s }
        { user: publisher, password: p, permissions: { publish: "log.>", subscribe: "_INBOX.>" } }
        { user: importer, password: i, permissions: {
            publish: { allow: ["log.>", "hourlog.status"] }, subscribe: ["_INBOX.>"] } }
    ] }"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_only_publish_imports_and_is_told_what_was_not_asked() {
    let nats = NatsServer::start_with(NatsOptions { config: USERS.to_owned(), ..NatsOptions::default() }).await;
    let credentials =
        Credentials { user: Some("service".to_owned()), password: Some("s".to_owned()), ..Credentials::default() };
    let settings = Settings { nats: nats.url(), credentials, ..Settings::default() };
    let stage = Stage::over(nats, settings).await;
    let lines: String =
        (0..2_000).map(|number| format!("{{\"log\":\"i.{}\",\"time\":\"@{number}\"}}\n", number % 35)).collect();
    for (login, says, denied) in [
        (
            "--user publisher --password p",
            "sent 2,000 lines into 35 logs; could not ask the service whether they are archived: ",
            "\"hourlog.status\"",
        ),
        (
            "--user importer --password i",
            "archived 2,000 lines into 35 logs; could not ask the service how many of them were new: ",
            "\"hourlog.receipt.",
        ),
    ] {
        let ended = stage.run_with(&format!("import - {login}"), lines.clone()).await;
        assert_eq!((ended.code, counts(&ended.stdout)), (Some(0), [2_000, 0, 0, 0, 2_000]), "{}", ended.stderr);
        assert!(ended.stderr.starts_with(says) && ended.stderr.contains(denied), "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
    let ended = stage.run_with("import - --user service --password s", lines).await;
    assert_eq!((ended.code, counts(&ended.stdout)), (Some(0), [2_000, 0, 2_000, 0, 0]), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_lines_are_named_with_their_reasons() {
    let nats = NatsServer::start().await;
    // Those of 30 seconds may come at once.
    let settings = Settings { nats: nats.url(), new_logs_per_second: 1, ..Settings::default() };
    let stage = Stage::over(nats, settings).await;
    // Every third line is blank.
    let lines: String = (0..80)
        .map(|number| {
            format!(
                "{{\"log\":\"i.{}\",\"time\":\"@{number}\"}}\n{}",
                number / 2,
                if number % 2 == 1 { "\n" } else { "" }
            )
        })
        .collect();
    let ended = stage.run_with("import - -q", lines).await;
    assert_eq!((ended.code, counts(&ended.stdout)), (Some(8), [80, 60, 0, 20, 0]), "{}", ended.stderr);
    let says = "error: 20 of 80 lines rejected, and in the log _rejected: standard input line 91: new log refused: ";
    assert!(ended.stderr.starts_with(says), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("--new-logs-a-second") && ended.stderr.contains("(and 19 lines like it)"),
        "{}",
        ended.stderr
    );
}
