//! Files as people have them: `docs/import.md`, line by line, and what can be wrong with a file.

use std::{
    collections::HashMap,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

use flate2::{Compression, write::GzEncoder};

use super::{Stage, json_lines};

const PAGE: &str = include_str!("../../../docs/import.md");

/// The parts of the page that the test uses.
enum Part<'a> {
    /// Content of a file, or output of a command, under the name that a line before it gives in backticks.
    Sample { name: &'a str, text: &'a str },
    /// A line for a shell, and what it prints.
    Line { line: &'a str, expected: String },
}

fn parts() -> Vec<Part<'static>> {
    let mut parts = Vec::new();
    // Text and fences take turns.
    let pieces: Vec<&str> = PAGE.split("```").collect();
    for pair in pieces.chunks_exact(2) {
        let (language, fence) = pair[1].split_once('\n').expect("a fence has a first line");
        if language != "sh" {
            let caption = pair[0].lines().rev().find(|line| line.starts_with('`')).expect("a sample has a name");
            parts
                .push(Part::Sample { name: caption.split('`').nth(1).expect("the name is in backticks"), text: fence });
            continue;
        }
        for block in format!("\n{fence}").split("\n$ ").skip(1) {
            let (line, expected) = block.split_once('\n').unwrap_or((block, ""));
            let line = &PAGE[PAGE.find(line).expect("the line is of the page")..][..line.len()];
            let expected = expected.trim_end_matches('\n');
            let expected = if expected.is_empty() { String::new() } else { format!("{expected}\n") };
            parts.push(Part::Line { line, expected });
        }
    }
    parts
}

/// Runs a line in a shell in the stage's directory, with `hourlog` on its path.
async fn paste(stage: &Stage, line: &str) -> Output {
    let binaries = Path::new(env!("CARGO_BIN_EXE_hourlog")).parent().expect("the binary is in a directory");
    let path = std::env::var("PATH").expect("there is a path");
    let path = format!("{}:{}:{path}", stage.work.path().display(), binaries.display());
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(stage.work.path()).env_clear();
    command.env("PATH", path).env("NATS_URL", &stage.url).env("TZ", "UTC").env("XDG_CONFIG_HOME", stage.work.path());
    let output = tokio::task::spawn_blocking(move || command.output().expect("a shell can be started"));
    output.await.expect("the closure does not panic")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_the_import_page_does_what_the_page_says() {
    let stage = Stage::open().await;
    let mut lines = 0;
    for part in parts() {
        match part {
            Part::Sample { name, text } => {
                // The sample of a command is printed by a script of its name.
                let words: Vec<&str> = name.split(' ').collect();
                let is_file = words.len() == 1 && (name.contains('.') || name == "changelog");
                let path = stage.path(words[0]);
                let text = if is_file { text.to_owned() } else { format!("#!/bin/sh\ncat <<'END'\n{text}END\n") };
                std::fs::write(&path, text).expect("the file can be written");
                let mode = if is_file { 0o644 } else { 0o755 };
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("the file is ours");
            }
            Part::Line { line, expected } => {
                let output = paste(&stage, line).await;
                let stderr = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{line}\n{stderr}");
                if line.starts_with("hourlog read") {
                    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{line}\n{stderr}");
                } else {
                    assert_eq!(expected, "", "{line} is an import");
                }
                lines += 1;
            }
        }
    }
    assert!(lines >= 20, "{lines} lines are found on the page");

    let logs = json_lines(&stage.run("ls").await.stdout);
    let counts: HashMap<&str, u64> = logs
        .iter()
        .map(|log| (log["log"].as_str().expect("a log has an id"), log["events"].as_u64().unwrap_or(0)))
        .collect();
    let expected = [
        ("app", 2),
        ("app.messages", 2),
        ("web", 1),
        ("github", 2),
        ("order.paid", 1),
        ("shop", 2),
        ("journal", 2),
        ("orders", 1),
        ("orders.dump", 2),
        ("dpkg", 2),
        ("debian", 1),
        ("weather.bergen", 2),
    ];
    assert_eq!(counts, expected.into_iter().collect());
    for (log, metadata) in [
        ("app.messages", r#"{"level":["info"],"user.name":["ada"]}"#),
        ("web", r#"{"stream":["stdout"]}"#),
        (
            "order.paid",
            r#"{"ce-id":["7"],"ce-source":["/shop"],"ce-specversion":["1.0"],"ce-time":["2024-05-01T10:00:00Z"],"ce-type":["order.paid"]}"#,
        ),
        ("shop", r#"{"order":["7"],"service.name":["shop"],"severityText":["INFO"]}"#),
        ("journal", r#"{"PRIORITY":["6"],"_SYSTEMD_UNIT":["init.scope"]}"#),
        ("orders", r#"{"key":["7"],"kind":["paid"],"offset":["12"],"partition":["0"],"topic":["orders"]}"#),
        ("orders.dump", r#"{"key":["7"]}"#),
    ] {
        let event = &json_lines(&stage.run(&format!("read {log} --limit 1")).await.stdout)[0];
        let mut metadata: serde_json::Value = serde_json::from_str(metadata).expect("it is JSON");
        // An import may note its source.
        if let Some(source) = event["metadata"].get("Hourlog-Source") {
            metadata["Hourlog-Source"] = source.clone();
        }
        assert_eq!(event["metadata"], metadata, "{log}");
    }
    stage.running.stop().await.expect("the service stops");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_files_and_the_marks_of_editors_are_read() {
    let stage = Stage::open().await;
    let line = |number: u32| format!("{{\"log\":\"a\",\"time\":\"@{number}\",\"data\":\"{number}\"}}\n");
    let lines = |numbers: std::ops::Range<u32>| numbers.map(line).collect::<String>();
    let zstd = |text: String| zstd::encode_all(text.as_bytes(), 1).expect("memory can be written");
    let windows = format!("\u{feff}\r\n{}\r\n  \r\n", lines(50..52).replace('\n', "\r\n"));
    // Two members after each other are one file.
    for (number, input) in [
        [gzip(lines(0..10).as_bytes()), gzip(lines(10..20).as_bytes())].concat(),
        [zstd(lines(20..30)), zstd(lines(30..40))].concat(),
        windows.into_bytes(),
        format!("[{}]", lines(60..63).trim_end().replace('\n', ",")).into_bytes(),
        gzip(lines(70..72).replace(',', ",\n  ").as_bytes()),
    ]
    .into_iter()
    .enumerate()
    {
        let ended = stage.run_with("import -", input.clone()).await;
        assert_eq!(ended.code, Some(0), "input {number}: {}", ended.stderr);
        std::fs::write(stage.path("input"), input).expect("the file can be written");
        let ended = stage.run("import input").await;
        assert_eq!(ended.code, Some(0), "input {number}: {}", ended.stderr);
    }
    let read = String::from_utf8(stage.run("read a -o raw").await.stdout).expect("the data are digits");
    let mut numbers: Vec<u32> = read.lines().map(|line| line.parse().expect("each line is a number")).collect();
    numbers.dedup();
    let expected: Vec<u32> = [0..40, 50..52, 60..63, 70..72].into_iter().flatten().collect();
    assert_eq!(numbers, expected);

    // An export that went through an editor of Windows, or through a tool that indents it, is still complete.
    let exported = String::from_utf8(stage.run("export a").await.stdout).expect("the export is UTF-8");
    let indented = format!("[{}]", exported.trim_end().replace('\n', ",\n  "));
    for input in [format!("\u{feff}{}", exported.replace('\n', "\r\n")), indented] {
        let ended = stage.run_with("import - --log copy", input).await;
        assert_eq!((ended.code, ended.stderr.contains("trailer")), (Some(0), false), "{}", ended.stderr);
    }
    stage.check("read copy -o raw --limit 1", "0").await;

    let cut = gzip(lines(80..1_000).as_bytes());
    stage.check_fails_with("import -", &cut[..cut.len() / 2], 7, &["damaged or cut off", "get the file again"]).await;
    stage.check_fails_with("import -", "[{\"log\":\"a\",\"time\":\"@90\"},\n{}", 2, &["line 2", "no time"]).await;
    stage
        .check_fails_with("import -", "[{\"log\":\"a\",\"time\":\"@90\"}\n", 7, &["the array that begins in line 1"])
        .await;
    stage.check_fails_with("import -", b"\xff\xfe{\x00".to_vec(), 2, &["iconv -f UTF-16 -t UTF-8"]).await;
    stage.running.stop().await.expect("the service stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_lines_stop_an_import_or_go_to_a_file_with_their_reasons() {
    let stage = Stage::open().await;
    let lines = "{\"ts\":1714557600,\"msg\":\"a\"}\n\n\
                 {\"ts\":\"2024-05-01 10:00:00\",\"msg\":\"b\"}\n\
                 {\"ts\":1714557602,\"msg\":\"c\"}\n\
                 {\"ts\":4711,\"msg\":\"d\"}\n";
    let lines = [lines.as_bytes(), b"{\"ts\":\xff}\n{\"ts\":1714557603,\"msg\":\"e\"}\n"].concat();
    std::fs::write(stage.path("app.jsonl"), lines).expect("the file can be written");
    let import = "import app.jsonl --log app --data msg";
    stage
        .check_fails(import, 2, &["app.jsonl line 3", "--tz Europe/Oslo", "sent 1 event before it", "--keep-going"])
        .await;
    stage.check("read app -o raw", "a\n").await;

    let keep_going = format!("{import} --keep-going");
    stage.check_fails(&keep_going, 8, &["3 lines could not be imported", "app.jsonl.rejects.jsonl"]).await;
    stage.check("read app -o raw", "a\nc\ne\n").await;
    let rejects = std::fs::read(stage.path("app.jsonl.rejects.jsonl")).expect("the file is there");
    let rejects = json_lines(&rejects);
    let numbers: Vec<u64> = rejects.iter().filter_map(|reject| reject["line"].as_u64()).collect();
    assert_eq!(numbers, [3, 5, 6]);
    assert_eq!(rejects[0]["text"], "{\"ts\":\"2024-05-01 10:00:00\",\"msg\":\"b\"}");
    assert!(rejects[1]["reason"].as_str().is_some_and(|reason| reason.contains("--time-unit")), "{}", rejects[1]);
    assert_eq!(rejects[2]["text_base64"], "eyJ0cyI6/30=");

    // The file of before is kept, and nothing is imported over it.
    stage.check_fails(&keep_going, 2, &["app.jsonl.rejects.jsonl exists", "--rejects FILE"]).await;
    stage.check_fails(&format!("{keep_going} --rejects b.jsonl --tz UTC"), 8, &["2 lines", "b.jsonl"]).await;
    stage.check("read app -o raw", "a\nb\nc\ne\n").await;
    // An import without bad lines creates no file of rejects.
    std::fs::write(stage.path("good.jsonl"), "{\"ts\":1714557604,\"msg\":\"f\"}\n").expect("the file can be written");
    assert_eq!(stage.run("import good.jsonl --log app --data msg --keep-going").await.code, Some(0));
    assert!(!stage.path("good.jsonl.rejects.jsonl").exists());
    stage.running.stop().await.expect("the service stops");
}
