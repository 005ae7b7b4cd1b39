//! Exports: nothing is destroyed, only an unfinished one of the same scope is continued, and each event is in it once.

use std::{collections::HashSet, fs, os::unix::fs::PermissionsExt, path::Path, process::Stdio, time::Duration};

use conformance::servers::archived;
use hourlog::{Log, Offset, Record, time::SECOND};

use crate::{Finished, QUAKES, Stage, json_lines, words};

impl Stage {
    /// Runs a line of bash that may call `hourlog`.
    async fn bash(&self, script: &str) -> Finished {
        let binary = Path::new(env!("CARGO_BIN_EXE_hourlog")).parent().expect("a binary is in a directory");
        let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap_or_default());
        let mut bash = tokio::process::Command::new("bash");
        bash.args(["-c", script]).current_dir(self.work.path()).env_clear().env("PATH", path);
        bash.env("NATS_URL", &self.url).env("XDG_CONFIG_HOME", self.work.path()).env("TZ", "UTC").stdin(Stdio::null());
        let output = bash.output().await.expect("bash can be started");
        let stderr = String::from_utf8(output.stderr).expect("stderr is UTF-8");
        Finished { code: output.status.code(), stdout: output.stdout, stderr }
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).expect("the file can be written");
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn names(&self) -> Vec<String> {
        let files = fs::read_dir(self.work.path()).expect("the directory can be read");
        let name = |file: std::io::Result<fs::DirEntry>| file.expect("the directory can be read").file_name();
        let mut names: Vec<_> = files.map(|file| name(file).to_string_lossy().into_owned()).collect();
        names.sort_unstable();
        names
    }

    /// Leaves an unfinished export as a killed one does: the state, and the first `lines` lines with a part of the
    /// next one.
    async fn leave_unfinished(&self, args: &str, name: &str, lines: usize) {
        fs::create_dir(self.path("full")).expect("a directory can be created");
        let whole = self.run(&format!("export {args} -O full/{name}")).await;
        assert_eq!(whole.code, Some(0), "{}", whole.stderr);
        let whole = self.read(&format!("full/{name}"));
        fs::remove_dir_all(self.path("full")).expect("the directory can be removed");
        let text = String::from_utf8(whole).expect("an export is UTF-8");
        let cut: String = text.split_inclusive('\n').take(lines).collect();
        let torn = &text[cut.len()..text.len().min(cut.len() + 20)];
        let archive = self.remote().await.status().await.expect("the service answers").archive.id;
        let logs: Vec<String> = words(args).into_iter().take_while(|word| !word.starts_with("--")).collect();
        let header = serde_json::json!({"export": {"format": "jsonl/1", "archive": archive, "logs": logs}});
        self.write(&format!("{name}.part"), format!("{cut}{torn}"));
        self.write(&format!("{name}.part.state"), format!("{header}\n"));
    }
}

/// Returns the position of each event, in the order of the lines.
fn positions(export: &[u8]) -> Vec<String> {
    let lines = json_lines(export);
    lines.iter().filter_map(|line| line["position"].as_str().map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_content_is_never_destroyed() {
    let stage = Stage::open().await;
    assert_eq!(stage.run(&format!("import '{QUAKES}' -q")).await.code, Some(0));
    let export = "export quakes.us -O f";
    let event = "{\"log\":\"quakes.us\",\"position\":\"5-1\"}\n";
    for content in ["SECRET=1", "dear diary\n", event, &event[..20]] {
        stage.write("f", content);
        stage.check_fails(export, 8, &["f exists and is not empty", "--force"]).await;
        assert_eq!(stage.read("f"), content.as_bytes());
        assert_eq!(stage.names(), ["f"], "nothing is left beside it");
        // The unfinished export of something else.
        fs::rename(stage.path("f"), stage.path("f.part")).expect("the file can be renamed");
        stage.check_fails(export, 8, &["f.part exists and is not an unfinished export"]).await;
        assert_eq!(stage.read("f.part"), content.as_bytes());
        stage.write("f.part.state", "SECRET=1");
        stage.check_fails(export, 8, &["does not tell what"]).await;
        assert_eq!((stage.read("f.part"), stage.read("f.part.state")), (content.into(), b"SECRET=1".into()));
        fs::remove_file(stage.path("f.part.state")).expect("the file can be removed");
        fs::remove_file(stage.path("f.part")).expect("the file can be removed");
    }
    stage.check_fails("export nope -O f", 3, &["no log nope"]).await;
    assert_eq!(stage.names(), [""; 0], "there is nothing to continue");
    fs::create_dir(stage.path("d")).expect("a directory can be created");
    stage.check_fails("export quakes.us -O d", 2, &["d is a directory"]).await;
    std::os::unix::fs::symlink("nowhere", stage.path("link")).expect("a link can be created");
    stage.check_fails("export quakes.us -O link", 8, &["link to a file that does not exist"]).await;
    stage.write("victim", "SECRET=1");
    std::os::unix::fs::symlink("victim", stage.path("g.part")).expect("a link can be created");
    stage.check_fails("export quakes.us -O g --force", 8, &["g.part is not a plain file"]).await;
    assert_eq!(stage.read("victim"), b"SECRET=1");

    // An empty file is nobody's loss, and its permissions stay.
    stage.write("mktemp", "");
    fs::set_permissions(stage.path("mktemp"), fs::Permissions::from_mode(0o600)).expect("they can be set");
    let made = stage.run("export quakes.us -O mktemp").await;
    assert_eq!((made.code, made.stderr.as_str()), (Some(0), "exported 168 events from 1 log\n"));
    let mode = fs::metadata(stage.path("mktemp")).expect("the file exists").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // A complete one is replaced only with --force.
    let whole = stage.read("mktemp");
    stage.check_fails("export quakes.us -O mktemp", 8, &["mktemp exists and is not empty"]).await;
    stage.check_fails("export quakes.se nope -O mktemp --force", 3, &["no log nope"]).await;
    assert!(stage.read("mktemp") == whole, "a failed export has touched the file");
    assert_eq!(stage.run("export quakes.se -O mktemp --force").await.code, Some(0));
    assert_eq!(json_lines(&stage.read("mktemp")).len(), 2);
    assert!(!stage.names().iter().any(|name| name.starts_with("mktemp.")), "{:?}", stage.names());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_export_is_continued_to_the_same_file() {
    let stage = Stage::open().await;
    assert_eq!(stage.run(&format!("import '{QUAKES}' -q")).await.code, Some(0));
    assert_eq!(stage.run("export 'quakes.>' -O whole.jsonl").await.code, Some(0));
    let whole = stage.read("whole.jsonl");
    assert_eq!(json_lines(&whole).len(), 1708);

    for lines in [1, 500, 1706, 1707, 1708] {
        stage.leave_unfinished("'quakes.>'", "x.jsonl", lines).await;
        let ended = stage.run("export 'quakes.>' -O x.jsonl").await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains("no event has come in before that place"), "{}", ended.stderr);
        assert!(stage.read("x.jsonl") == whole, "{lines} lines: another export\n{}", ended.stderr);
        assert_eq!(stage.names(), ["whole.jsonl", "x.jsonl"]);
        fs::remove_file(stage.path("x.jsonl")).expect("the file can be removed");
    }

    // An export of other logs, of another range, or of another archive.
    stage.leave_unfinished("'quakes.>'", "x.jsonl", 500).await;
    let (part, state) = (stage.read("x.jsonl.part"), stage.read("x.jsonl.part.state"));
    for args in ["quakes.us", "'quakes.>' --since 2018-02-01", "'quakes.>' --until last"] {
        let other =
            ["x.jsonl.part is an unfinished export of other logs or another range", "continue it with hourlog export"];
        stage.check_fails(&format!("export {args} -O x.jsonl"), 8, &other).await;
    }
    let elsewhere = Stage::open().await;
    elsewhere.write("x.jsonl.part", &part);
    elsewhere.write("x.jsonl.part.state", &state);
    assert_eq!(elsewhere.run(&format!("import '{QUAKES}' -q")).await.code, Some(0));
    elsewhere.check_fails("export 'quakes.>' -O x.jsonl", 8, &["of another archive"]).await;
    // Somebody who may not ask for the archive's id is shown by the last event.
    elsewhere.write(
        "x.jsonl.part.state",
        "{\"export\":{\"format\":\"jsonl/1\",\"archive\":null,\"logs\":[\"quakes.>\"]}}\n",
    );
    elsewhere.check_fails("export 'quakes.>' -O x.jsonl", 8, &["this archive does not have as it is there"]).await;
    assert!(elsewhere.read("x.jsonl.part") == part && stage.read("x.jsonl.part") == part, "a refused export was cut");
    let again = stage.run("export quakes.us -O x.jsonl --force").await;
    assert_eq!((again.code, again.stderr.as_str()), (Some(0), "exported 168 events from 1 log\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_come_in_behind_a_continued_export_are_in_it_and_counted() {
    let stage = Stage::open().await;
    let mut log = stage.log("live").await;
    let at = |second: usize| Record::new(second.to_string()).at(Offset::from_nanos(second as i64 * SECOND));
    // More than one page.
    log.write_many((1_000..5_000).map(at).collect()).await.expect("the events are written");
    let mut other = stage.log("other").await;
    other.write(Record::new("x")).await.expect("the event is written");
    stage.leave_unfinished("live other", "x", 2_000).await;
    log.write_many((0..7).chain(2_990..3_010).map(at).collect()).await.expect("the events are written");
    let ended = stage.run("export live other -O x").await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // The last of the 2,000 lines is that of second 2,999: those of before it have come in behind.
    assert!(ended.stderr.contains("2,000 events already exported"), "{}", ended.stderr);
    assert!(ended.stderr.contains("16 events have come in before that place and follow it"), "{}", ended.stderr);
    let export = stage.read("x");
    let lines = json_lines(&export);
    let (trailer, events) = lines.split_last().expect("there is a trailer");
    assert_eq!((trailer["trailer"]["events"].as_u64(), events.len()), (Some(4_028), 4_028));
    let once: HashSet<String> = positions(&export).into_iter().collect();
    assert_eq!(once.len(), 4_028);
    let newest = events.iter().filter(|event| event["log"] == "live").filter_map(|event| event["seq"].as_str()).max();
    let seqs = trailer["trailer"]["logs"].as_array().expect("the logs are a list");
    assert_eq!(seqs.iter().map(|log| log["log"].as_str()).collect::<Vec<_>>(), [Some("live"), Some("other")]);
    assert_eq!((seqs[0]["seq"].as_str(), seqs[0]["events"].as_u64()), (newest, Some(4_027)));
    let copied = stage.run_with("import - --log copy", export).await;
    assert_eq!(copied.code, Some(0), "{}", copied.stderr);

    // A log that exists by now is exported too, also if its id is before those that are done.
    stage.leave_unfinished("'>'", "y", 4_100).await;
    stage.log("a").await.write(Record::new("x")).await.expect("the event is written");
    assert_eq!(stage.run("export '>' -O y").await.code, Some(0));
    assert!(json_lines(&stage.read("y")).iter().any(|line| line["log"] == "a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_log_is_exported_up_to_its_start_whatever_comes_in_meanwhile() {
    let stage = Stage::open().await;
    let mut log = stage.log("live").await;
    let old = |second: i64| Record::new("x").at(Offset::from_nanos(second * SECOND));
    log.write_many((0..10_000).map(old).collect()).await.expect("the events are written");
    let remote = stage.remote().await;
    let client = remote.client().clone();
    // On time, behind every place of the export, and in front of it: of a clock that is four minutes ahead.
    let publisher = tokio::spawn(async move {
        let times = [None, Some("@5"), Some("@-1"), None, Some("ahead")];
        for number in 0_usize.. {
            let mut headers = async_nats::HeaderMap::new();
            match times[number % times.len()] {
                Some("ahead") => {
                    let ahead = hourlog::time::system_clock().saturating_add_nanos(240 * SECOND);
                    headers.insert("Hourlog-Time", ahead.to_string());
                }
                Some(time) => headers.insert("Hourlog-Time", time),
                None => {}
            }
            client.publish_with_headers("log.live", headers, "x".into()).await.expect("the message can be sent");
            client.flush().await.expect("the server is running");
            // Some hundred a second: a log that grows as fast as it can leaves the tests no processor.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let id = log.id().clone();
    while remote.describe(&id).await.expect("the log exists").events < 11_000 {}
    let mut exports = Vec::new();
    for _ in 0..3 {
        let ended = stage.run("export live").await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        exports.push(ended.stdout);
    }
    publisher.abort();
    archived(&remote).await;
    let seq = |event: &serde_json::Value| event["seq"].as_str().and_then(|seq| seq.parse::<i64>().ok()).expect("a seq");
    let all: Vec<i64> = json_lines(&stage.run("read live").await.stdout).iter().map(seq).collect();
    for export in exports {
        let lines = json_lines(&export);
        let (trailer, events) = lines.split_last().expect("there is a trailer");
        let whole_to = seq(&trailer["trailer"]["logs"][0]);
        let expected: Vec<i64> = all.iter().copied().filter(|seq| *seq <= whole_to).collect();
        assert!(11_000 <= expected.len() && expected.len() < all.len(), "{} of {}", expected.len(), all.len());
        let exported: Vec<i64> = events.iter().map(seq).collect();
        assert!(exported == expected, "{} events, but {} up to {whole_to}", exported.len(), expected.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_export_prints_the_command_that_continues_it() {
    let stage = Stage::open().await;
    let mut log = stage.log("long").await;
    let data = "x".repeat(1_000);
    let records = |count: usize| (0..count).map(|_| Record::new(data.as_str())).collect();
    log.write_many(records(30_000)).await.expect("the events are written");
    let url = stage.url.clone();
    let export = format!("export -s {url} long --since 2h -O 'long one.jsonl'");
    let mut command = tokio::process::Command::from(stage.command(&export));
    let mut child = command.stderr(Stdio::piped()).kill_on_drop(true).spawn().expect("the binary can be started");
    let part = stage.path("long one.jsonl.part");
    // The first lines are on disk.
    while fs::metadata(&part).map_or(0, |part| part.len()) < 1_000_000 {
        assert!(child.try_wait().expect("it can be waited for").is_none(), "the export has ended");
        tokio::task::yield_now().await;
    }
    // Another one keeps away from it meanwhile.
    let id = child.id().expect("the command is running").to_string();
    let signal =
        |name: &str| std::process::Command::new("kill").args([name, &id]).status().expect("kill can be started");
    assert!(signal("-STOP").success());
    stage.check_fails(&export, 8, &["another export writes to"]).await;
    assert!(signal("-INT").success() && signal("-CONT").success());
    let output = child.wait_with_output().await.expect("the command ends");
    let stderr = String::from_utf8(output.stderr).expect("stderr is UTF-8");
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    let resume = stderr.lines().find_map(|line| line.strip_prefix("interrupted; resume with: ")).expect(&stderr);
    assert!(resume.contains(" --since 20") && resume.contains(&format!("--server {url}")), "{resume}");
    assert!(!stage.path("long one.jsonl").exists() && part.exists());

    log.write_many(records(10)).await.expect("the events are written");
    let resumed = stage.bash(resume).await;
    assert_eq!(resumed.code, Some(0), "{}", resumed.stderr);
    assert!(resumed.stderr.contains("no event has come in before that place"), "{}", resumed.stderr);
    let export = stage.read("long one.jsonl");
    let positions = positions(&export);
    assert!(positions.len() == 30_010 && positions.is_sorted(), "{} events", positions.len());
    assert_eq!(stage.names(), ["long one.jsonl"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_written_to_pipes_and_devices_as_they_are() {
    let stage = Stage::open().await;
    assert_eq!(stage.run(&format!("import '{QUAKES}' -q")).await.code, Some(0));
    let expected = stage.run("export quakes.us").await.stdout;
    assert_eq!(json_lines(&expected).len(), 169);
    for script in [
        "hourlog export quakes.us -O - > out",
        "hourlog export quakes.us -O /dev/stdout > out",
        "hourlog export quakes.us -O /dev/stdout | cat > out",
        "hourlog export quakes.us -O >(cat > out.cat; mv out.cat out); until [ -e out ]; do :; done",
        "mkfifo pipe; cat pipe > out & hourlog export quakes.us -O pipe && wait && rm pipe",
        "exec 3> out; hourlog export quakes.us -O /dev/fd/3",
    ] {
        let ended = stage.bash(script).await;
        assert_eq!(ended.code, Some(0), "{script}\n{}", ended.stderr);
        assert!(stage.read("out") == expected, "{script}\n{}", ended.stderr);
        assert_eq!(stage.names(), ["out"], "{script}");
        fs::remove_file(stage.path("out")).expect("the file can be removed");
    }
    // A file that a shell has opened to append keeps its content.
    let appended = stage.bash("echo first > out; hourlog export quakes.se -O /dev/stdout >> out; head -1 out").await;
    assert_eq!(appended.stdout, b"first\n");
    for script in ["hourlog export quakes.us -O /dev/null", "hourlog export quakes.us -O >(head -1 > /dev/null)"] {
        let ended = stage.bash(script).await;
        assert_eq!((ended.code, ended.stderr.contains("error")), (Some(0), false), "{script}\n{}", ended.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_ends_with_last_includes_the_newest_event() {
    let stage = Stage::open().await;
    assert_eq!(stage.run(&format!("import '{QUAKES}' -q")).await.code, Some(0));
    for (args, expected) in [
        ("read quakes.us --until last", 168),
        ("read quakes.us --since last --until last", 1),
        ("export quakes.us --until last", 169),
        ("export quakes.us --since last --until last", 2),
        ("export quakes.us --until end", 169),
        ("export quakes.us --until first", 1),
    ] {
        let ended = stage.run(args).await;
        assert_eq!((ended.code, json_lines(&ended.stdout).len()), (Some(0), expected), "{args}\n{}", ended.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_of_the_system_are_left_out_of_patterns_and_that_is_said() {
    let stage = Stage::open().await;
    stage.check("pub orders.eu x -o raw", "<n>-<n>\n").await;
    let ended = stage.run("export '>'").await;
    assert_eq!(ended.stderr, "exported 1 event from 1 log\n", "there is nothing to leave out");
    let client = stage.remote().await.client().clone();
    for _ in 0..2 {
        let jetstream = async_nats::jetstream::new(client.clone());
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Hourlog-Time", "soon");
        let sent = jetstream.publish_with_headers("log.orders.eu", headers, "x".into()).await;
        sent.expect("the message can be sent").await.expect("the stream has it");
    }
    archived(&stage.remote().await).await;
    let ended = stage.run("export '>'").await;
    let said = "left out: 2 events of _rejected; hourlog export _rejected exports them\n";
    assert_eq!(ended.stderr, format!("exported 1 event from 1 log\n{said}"));
    for (args, expected) in [
        ("export orders.eu", "exported 1 event from 1 log\n"),
        ("export 'orders.>'", "exported 1 event from 1 log\n"),
        ("export '>' _rejected", "exported 3 events from 2 logs\n"),
    ] {
        assert_eq!(stage.run(args).await.stderr, expected, "{args}");
    }
}
