//! Logs with any id that NATS allows: every command takes them, prints them safely, and prints
//! commands that a shell reads back.

use std::process::Stdio;

use conformance::ids::ODD_IDS;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use super::{Finished, Stage, json_lines};

/// An id that a shell would take apart, with characters that a terminal would hide or reorder.
const HOSTILE: &str = "it's;$(touch${IFS}owned)&\u{202e}\u{200b}.é";

impl Stage {
    /// Runs `hourlog` with arguments that are not split.
    async fn run_args(&self, args: &[&str], input: &str) -> Finished {
        let mut command = tokio::process::Command::from(self.command(""));
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary can be started");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        tokio::io::AsyncWriteExt::write_all(&mut stdin, input.as_bytes()).await.expect("the command reads its input");
        drop(stdin);
        let output = child.wait_with_output().await.expect("the output can be read");
        let stderr = String::from_utf8(output.stderr).expect("stderr is UTF-8");
        Finished { code: output.status.code(), stdout: output.stdout, stderr }
    }
}

fn text(finished: &Finished) -> &str {
    std::str::from_utf8(&finished.stdout).expect("stdout is UTF-8")
}

/// Returns the fields of the first column of a CSV text, without its header.
fn first_csv_column(text: &str) -> Vec<String> {
    let field = |line: &str| match line.strip_prefix('"') {
        None => line.split(',').next().unwrap_or_default().to_owned(),
        Some(quoted) => {
            let end = quoted.replace("\"\"", "  ").find('"').expect("a quoted field ends");
            quoted[..end].replace("\"\"", "\"")
        }
    };
    text.split_terminator("\r\n").skip(1).map(field).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_with_any_id_are_imported_listed_exported_and_imported_again() {
    let stage = Stage::open().await;
    let ids: Vec<&str> = ODD_IDS.into_iter().chain([HOSTILE]).collect();
    let lines: String = ids
        .iter()
        .map(|id| serde_json::json!({ "log": id, "time": "2018-02-04T21:56:42Z", "data": id }).to_string() + "\n")
        .collect();
    for _ in 0..2 {
        let imported = stage.run_args(&["import", "-"], &lines).await;
        assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    }
    let mut expected = ids.clone();
    expected.sort_unstable();

    let listed = stage.run("ls -o json").await;
    let listed: Vec<serde_json::Value> = serde_json::from_slice(&listed.stdout).expect("the output is JSON");
    assert_eq!(listed.iter().map(|log| &log["log"]).collect::<Vec<_>>(), expected);
    assert!(listed.iter().all(|log| log["events"] == 1), "the second import adds nothing");
    assert_eq!(first_csv_column(text(&stage.run("ls -o csv").await)), expected);
    assert_eq!(text(&stage.run("ls -o raw").await).lines().collect::<Vec<_>>(), expected);

    let exported = stage.run("export '>'").await;
    assert_eq!(exported.code, Some(0), "{}", exported.stderr);
    let lines = json_lines(&exported.stdout);
    let logs: Vec<_> = lines[..expected.len()].iter().map(|line| &line["log"]).collect();
    assert_eq!(logs, expected);
    let again = stage.run_with("import -", exported.stdout).await;
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert_eq!(json_lines(&stage.run("ls").await.stdout).len(), expected.len());

    for id in ids {
        let read = stage.run_args(&["read", "-o", "raw", "--", id], "").await;
        assert_eq!((read.code, text(&read)), (Some(0), &*format!("{id}\n")), "{}", read.stderr);
        let written = stage.run_args(&["pub", "-q", "--", id, "more"], "").await;
        assert_eq!(written.code, Some(0), "{}", written.stderr);
        let described = stage.run_args(&["describe", "-o", "json", "--", id], "").await;
        let described: serde_json::Value = serde_json::from_slice(&described.stdout).expect("the output is JSON");
        assert_eq!((&described[0]["log"], &described[0]["events"]), (&id.into(), &2.into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_cannot_control_or_mislead_the_terminal() {
    let stage = Stage::open().await;
    stage.run_args(&["pub", HOSTILE, "x"], "").await;
    let outputs = [
        stage.run("ls -o table").await,
        stage.run_args(&["describe", HOSTILE, "-o", "table"], "").await,
        stage.run_args(&["read", HOSTILE, "--after", "1-1"], "").await,
        stage.run_args(&["read", &format!("{HOSTILE}.unknown")], "").await,
        stage.run_args(&["export", &format!("{HOSTILE}.*")], "").await,
        stage.run_args(&["hist", HOSTILE, "-o", "table"], "").await,
        stage.run_args(&["pub", HOSTILE, "-", "--lines", "-o", "csv"], "").await,
    ];
    for ended in &outputs[..2] {
        assert!(text(ended).contains("it's;$(touch${IFS}owned)&<U+202E><U+200B>.é"), "{}", text(ended));
    }
    for ended in outputs {
        let printed = format!("{}{}", ended.stderr, if ended.stdout.starts_with(b"{") { "" } else { text(&ended) });
        assert!(!printed.contains(['\u{202e}', '\u{200b}']), "{printed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_that_resumes_a_read_can_be_pasted_for_any_id() {
    let stage = Stage::open().await;
    for id in [HOSTILE, "-rf"] {
        stage.run_args(&["pub", "--", id, "1"], "").await;
        let mut command = tokio::process::Command::from(stage.command(""));
        command.args(["read", "-f", "-o", "raw", "--", id]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().expect("the binary can be started");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        assert_eq!(lines.next_line().await.expect("the output is UTF-8").as_deref(), Some("1"));
        let process = child.id().expect("the command is running").to_string();
        let interrupted = std::process::Command::new("kill").args(["-INT", &process]).status();
        assert!(interrupted.expect("kill can be started").success());
        assert_eq!(child.wait().await.expect("the command ends").code(), Some(130));
        let mut stderr = String::new();
        child.stderr.take().expect("stderr is piped").read_to_string(&mut stderr).await.expect("the output is UTF-8");
        let resume = stderr.trim_end().strip_prefix("interrupted; resume with: hourlog ").expect(&stderr);
        assert!(resume.is_ascii(), "{resume}");

        stage.run_args(&["pub", "--", id, "2"], "").await;
        let program = env!("CARGO_BIN_EXE_hourlog");
        let script = format!("HOURLOG_TZ=UTC '{program}' -s {} --timeout 20s {resume}", stage.url);
        let script = script.replacen(" read ", " read --limit 1 ", 1);
        let mut bash = tokio::process::Command::new("bash");
        let pasted = bash.args(["-c", &script]).env("LC_ALL", "C.UTF-8").current_dir(stage.work.path()).output().await;
        let pasted = pasted.expect("bash can be started");
        let said = String::from_utf8_lossy(&pasted.stderr);
        assert_eq!(
            (String::from_utf8_lossy(&pasted.stdout).as_ref(), pasted.status.code()),
            ("2\n", Some(0)),
            "{said}"
        );
    }
    assert!(!stage.path("owned").exists(), "the shell ran a part of the id");
}
