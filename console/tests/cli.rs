//! The command line, end to end: the built binary against a real nats-server and a real service.

#[path = "cli/admin.rs"]
mod admin;
#[path = "cli/clocks.rs"]
mod clocks;
#[path = "cli/completion.rs"]
mod completion;
#[path = "cli/console.rs"]
mod console;
#[path = "cli/cursors.rs"]
mod cursors;
#[path = "cli/export.rs"]
mod export;
#[path = "cli/formats.rs"]
mod formats;
#[path = "cli/forms.rs"]
mod forms;
#[path = "cli/ids.rs"]
mod ids;
#[path = "cli/lines.rs"]
mod lines;
#[path = "cli/login.rs"]
mod login;
#[path = "cli/looking.rs"]
mod looking;
#[path = "cli/narrow.rs"]
mod narrow;
#[path = "cli/publishing.rs"]
mod publishing;
#[path = "cli/reading.rs"]
mod reading;
#[path = "cli/receipts.rs"]
mod receipts;
#[path = "cli/reimport.rs"]
mod reimport;
#[path = "cli/replaying.rs"]
mod replaying;
#[path = "cli/searching.rs"]
mod searching;
#[path = "cli/set_back.rs"]
mod set_back;
#[path = "cli/times.rs"]
mod times;
#[path = "cli/watching.rs"]
mod watching;

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use conformance::servers::{NatsOptions, NatsServer};
use hourlog::{Embedded, Events, Log, LogId, Record, Remote};
use hourlogd::{Running, Settings};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

const QUAKES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/quakes.jsonl");

/// A server, a service with an empty archive, and a working directory.
struct Stage {
    url: String,
    work: TempDir,
    // Fields drop in this order: the service stops before its archive and its server go.
    running: Running,
    _archive: TempDir,
    _nats: NatsServer,
}

/// The result of a command.
struct Finished {
    code: Option<i32>,
    stdout: Vec<u8>,
    stderr: String,
}

impl Stage {
    async fn open() -> Self {
        let nats = NatsServer::start().await;
        let settings = Settings { nats: nats.url(), ..Settings::default() };
        Self::over(nats, settings).await
    }

    async fn over(nats: NatsServer, settings: Settings) -> Self {
        let archive = TempDir::new().expect("a directory can be created");
        let store = Embedded::open(archive.path()).expect("no other process has the archive open");
        let running = hourlogd::start(settings, store).await.expect("the service starts");
        let work = TempDir::new().expect("a directory can be created");
        Self { url: nats.url(), work, running, _archive: archive, _nats: nats }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }

    fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hourlog"));
        command.args(words(args)).current_dir(self.work.path()).env_clear().env("NATS_URL", &self.url);
        command.env("XDG_CONFIG_HOME", self.work.path()).env("TZ", "UTC").stdin(Stdio::null());
        command
    }

    /// Runs `hourlog` with `args` and `input` on standard input.
    async fn run_with(&self, args: &str, input: impl Into<Vec<u8>>) -> Finished {
        let (mut command, input) = (self.command(args), input.into());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // The service runs on this runtime, so waiting must not block it.
        let output = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().expect("the binary can be started");
            let mut stdin = child.stdin.take().expect("stdin is piped");
            let writer = std::thread::spawn(move || {
                // Writing fails if the command refuses its arguments and does not read.
                let _ = stdin.write_all(&input);
            });
            let output = child.wait_with_output().expect("the output can be read");
            writer.join().expect("the writer does not panic");
            output
        });
        let output = output.await.expect("the closure does not panic");
        let stderr = String::from_utf8(output.stderr).expect("stderr is UTF-8");
        Finished { code: output.status.code(), stdout: output.stdout, stderr }
    }

    async fn run(&self, args: &str) -> Finished {
        self.run_with(args, "").await
    }

    /// Runs `hourlog` with `args`, and checks that it succeeds and prints exactly `expected`.
    async fn check(&self, args: &str, expected: &str) {
        self.check_with(args, "", expected).await;
    }

    async fn check_with(&self, args: &str, input: &str, expected: &str) {
        let ended = self.run_with(args, input).await;
        assert_eq!(ended.code, Some(0), "hourlog {args}\n{}", ended.stderr);
        assert_eq!(redacted(&ended.stdout), expected, "hourlog {args}\n{}", ended.stderr);
    }

    /// Runs `hourlog` with `args`, and checks that it exits with `code` and that its stderr
    /// contains `expected`.
    async fn check_fails(&self, args: &str, code: i32, expected: &[&str]) {
        self.check_fails_with(args, "", code, expected).await;
    }

    async fn check_fails_with(&self, args: &str, input: impl Into<Vec<u8>>, code: i32, expected: &[&str]) {
        let ended = self.run_with(args, input).await;
        assert_eq!(ended.code, Some(code), "hourlog {args}\n{}", ended.stderr);
        for text in expected {
            assert!(ended.stderr.contains(text), "hourlog {args} does not print {text:?} but\n{}", ended.stderr);
        }
        assert!(!ended.stderr.contains("panicked"), "hourlog {args}\n{}", ended.stderr);
    }

    async fn remote(&self) -> Remote {
        Remote::connect(&self.url).await.expect("the server is running")
    }

    async fn log(&self, id: &str) -> impl Log + use<> {
        let id: LogId = id.parse().expect("a valid log id");
        self.remote().await.log(&id).await.expect("a handle needs no request")
    }
}

/// Returns the checks of a doctor and their states, without that of this machine's disk.
fn states(ended: &Finished) -> String {
    let text = |check: &serde_json::Value, field: &str| check[field].as_str().unwrap_or("?").to_owned();
    let checks = json_lines(&ended.stdout);
    let states = checks.iter().map(|check| format!("{}:{}", text(check, "check"), text(check, "state")));
    states.filter(|state| !state.starts_with("disk:")).collect::<Vec<_>>().join(" ")
}

/// Splits a line like a shell.
fn words(line: &str) -> Vec<String> {
    shlex::split(line).expect("the quotes are closed")
}

/// Replaces values that differ between runs: recent times by `<now>`, seqs and nanoseconds by
/// `<n>`.
fn redacted(output: &[u8]) -> String {
    let text = std::str::from_utf8(output).expect("stdout is UTF-8");
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (shown, taken) = match (digits, time_length(rest)) {
            (_, Some(length)) if rest[..4] > *"2020" => ("<now>".to_owned(), length),
            (_, Some(length)) => (rest[..length].to_owned(), length),
            (13.., None) => ("<n>".to_owned(), digits),
            (1.., None) => (rest[..digits].to_owned(), digits),
            (0, None) => (c.to_string(), c.len_utf8()),
        };
        out.push_str(&shown);
        rest = &rest[taken..];
    }
    out
}

/// Returns the length of the RFC 3339 time at the start of `text`.
fn time_length(text: &str) -> Option<usize> {
    let shape = b"0000-00-00T00:00:00";
    let bytes = text.as_bytes();
    let fits = bytes.len() > shape.len()
        && shape.iter().zip(bytes).all(|(s, b)| if *s == b'0' { b.is_ascii_digit() } else { s == b });
    let decimals = bytes.iter().skip(shape.len()).take_while(|b| b.is_ascii_digit() || **b == b'.').count();
    let length = shape.len() + decimals;
    (fits && bytes.get(length) == Some(&b'Z')).then_some(length + 1)
}

fn json_lines(output: &[u8]) -> Vec<serde_json::Value> {
    let text = std::str::from_utf8(output).expect("stdout is UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_read_back_as_they_were_written() {
    let stage = Stage::open().await;
    stage
        .check(
            r#"pub orders.eu '{"id":7}' -H kind:paid -H kind:twice -H Nats-Msg-Id:a --at 2018-02-04T21:56:42Z"#,
            "{\"log\":\"orders.eu\",\"position\":\"<n>-<n>\",\"time\":\"2018-02-04T21:56:42Z\"}\n",
        )
        .await;
    stage
        .check(
            "read orders.eu",
            "{\"log\":\"orders.eu\",\"position\":\"<n>-<n>\",\"offset\":\"<n>\",\"seq\":\"<n>\",\
             \"time\":\"2018-02-04T21:56:42Z\",\"arrived\":\"<now>\",\
             \"metadata\":{\"Nats-Msg-Id\":[\"a\"],\"kind\":[\"paid\",\"twice\"]},\
             \"data\":\"{\\\"id\\\":7}\"}\n",
        )
        .await;
    for (args, input, expected) in [
        (
            "pub orders.eu hello --at 2018-02-04T21:56:43Z -o csv",
            "",
            "position,log,time\r\n<n>-<n>,orders.eu,2018-02-04T21:56:43Z\r\n",
        ),
        ("pub lines - --lines --at 2018-01-01 -o raw", "a\nb\r\n\nd", "<n>-<n>\n<n>-<n>\n<n>-<n>\n<n>-<n>\n"),
        ("read lines -o raw", "", "a\nb\n\nd\n"),
        ("read orders.eu -o raw", "", "{\"id\":7}\nhello\n"),
        ("read orders.eu -o raw --reverse", "", "hello\n{\"id\":7}\n"),
        ("read orders.eu -o raw --tail 1", "", "hello"),
        ("read orders.eu -o raw --limit 1 --delimiter newline", "", "{\"id\":7}\n"),
        ("read orders.eu -o raw --since '2018-02-04 21:56:43'", "", "hello\n"),
        ("read orders.eu -o raw --until 2018-02-04T21:56:43Z", "", "{\"id\":7}\n"),
        ("read orders.eu -o raw --since last", "", "hello\n"),
        ("read orders.eu -o raw --since now", "", ""),
        (
            "read lines --limit 1 -o table --tz Europe/Oslo",
            "",
            "TIME (Europe/Oslo)       DATA\n2018-01-01 01:00:00.000  a\n",
        ),
    ] {
        stage.check_with(args, input, expected).await;
    }
    stage.running.stop().await.expect("the service stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_data_is_read_back_unchanged_and_sanitized_in_a_table() {
    let stage = Stage::open().await;
    let bytes = b"\xff\x00\xfe\x1b[2J\xe2\x80\xae";
    let ended = stage.run_with("pub bytes - -q", bytes.to_vec()).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let raw = stage.run("read bytes -o raw").await.stdout;
    assert_eq!(raw, [&bytes[..], b"\n"].concat());
    let event = &json_lines(&stage.run("read bytes").await.stdout)[0];
    assert_eq!((&event["data"], &event["data_base64"]), (&serde_json::Value::Null, &"/wD+G1sySuKArg==".into()));
    let table = String::from_utf8(stage.run("read bytes -o table").await.stdout).expect("the output is UTF-8");
    assert!(table.contains("<FF>␀<FE>␛[2J<U+202E>"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_has_its_exit_code_and_says_what_to_do() {
    let stage = Stage::open().await;
    stage.check("pub orders.eu x -o raw", "<n>-<n>\n").await;
    // A subscriber that never replies.
    let remote = stage.remote().await;
    let _silent = remote.client().subscribe("silent.>").await.expect("the subject can be subscribed to");
    remote.client().flush().await.expect("the server is running");
    std::fs::write(stage.path("bad.jsonl"), "{\"log\":\"bad\",\"time\":\"@1\",\"data\":\"a\"}\n{\"log\":\"bad\"}\n")
        .expect("the file can be written");
    std::fs::write(
        stage.path("sum.jsonl"),
        "{\"log\":\"bad\",\"time\":\"@1\"}\n{\"trailer\":{\"events\":2,\"sha256\":\"\"}}\n",
    )
    .expect("the file can be written");

    let no_hourlogd = format!("no hourlogd answers on {}", stage.url);
    for (args, code, expected) in [
        ("", 2, &["Usage: hourlog", "import"][..]),
        ("frobnicate", 2, &["frobnicate"]),
        ("read", 2, &["LOG"]),
        ("read 'orders eu'", 2, &["log id", "orders.eu"]),
        ("read orders.eu --since soon", 2, &["--since", "2018-02-04T21:56:42Z", "'2h ago'", "'yesterday 9:00'"]),
        ("read orders.eu --since now --until 1h", 2, &["swap them"]),
        ("read orders.eu --after 5", 2, &["--after", "not a position"]),
        ("pub orders.eu x --at soon", 2, &["'2h ago'"]),
        ("pub orders.eu x -H novalue", 2, &["NAME:VALUE"]),
        ("pub orders.eu x -H 'two words:x'", 2, &["two words"]),
        ("ls 'a..b'", 2, &["pattern"]),
        ("--context nowhere ls", 2, &["nowhere", "nats context ls"]),
        ("--tz Mars/Olympus ls", 2, &["Europe/Oslo"]),
        ("import missing.jsonl", 2, &["missing.jsonl", "check the path"]),
        ("import bad.jsonl", 2, &["bad.jsonl line 2", "no time", "sent 1 event before it"]),
        ("read nope", 3, &["no log nope"]),
        ("read nope -f --after 5-7", 3, &["no log nope"]),
        ("read 'nope.>'", 3, &["no log matches nope.>", "hourlog ls"]),
        ("read 'a..>'", 2, &["not a pattern"]),
        ("read a b --after 5-7", 2, &["5-7@LOG"]),
        ("read a b --after a:5-7@a", 2, &["-f"]),
        ("read a b -f --after 5-7@a", 2, &["a:…@LOG"]),
        ("read a --after 5-7 --since 1h", 2, &["leave out --since"]),
        ("read a b --cursor mailer", 2, &["--cursor", "one log"]),
        ("read a -o '%d %s'", 2, &["%s is not a token", "%k{NAME}"]),
        ("read a -o wat", 2, &["possible values", "ndjson"]),
        ("ls -o '%d'", 2, &["hourlog read"]),
        ("read a -o csv --delimiter nul", 2, &["-o raw"]),
        ("read a -o csv --json-data", 2, &["-o ndjson"]),
        ("read a -o raw -D '\\q'", 2, &["not an escape"]),
        ("describe nope", 3, &["no log nope"]),
        ("hist nope", 3, &["no log nope"]),
        ("export nope", 3, &["no log nope"]),
        ("export 'nope.>'", 3, &["hourlog ls"]),
        ("read orders.eu -f --after 5-7", 3, &["5-7"]),
        ("-s nats://127.0.0.1:1 ls", 5, &["nats://127.0.0.1:1"]),
        ("-s nats://me:secret@127.0.0.1:1 ls", 5, &["at nats://127.0.0.1:1;"]),
        ("--prefix nobody ls", 5, &[no_hourlogd.as_str()]),
        ("--prefix nobody read orders.eu -f", 5, &[no_hourlogd.as_str()]),
        ("--prefix silent --timeout 200ms ls", 6, &[stage.url.as_str(), "200ms"]),
        ("import sum.jsonl", 7, &["sum.jsonl line 2", "the export counted 2 events, but the file has 1"]),
        ("pub orders.eu x --at 2200-01-01", 8, &["5 minutes ahead"]),
    ] {
        stage.check_fails(args, code, expected).await;
    }
    let limit = (remote.client().max_payload() - 16 * 1024).to_string();
    stage.check_fails_with("pub orders.eu -", vec![b'x'; 2 << 20], 8, &[&limit]).await;
    let secret = stage.run("-s nats://me:secret@127.0.0.1:1 ls -v").await;
    assert!(!secret.stderr.contains("secret"), "{}", secret.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_permission_is_reported_at_once() {
    let users = r#"
        authorization { users: [
            { user: service, password: s }
            { user: reader, password: r, permissions: {
                publish: { allow: ["hourlog.replay.>", "hourlog.logs", "_INBOX.>"] }, subscribe: ["_INBOX.>"] } }
        ] }"#;
    let nats = NatsServer::start_with(NatsOptions { config: users.to_owned(), ..NatsOptions::default() }).await;
    let credentials = hourlogd::Credentials {
        user: Some("service".to_owned()),
        password: Some("s".to_owned()),
        ..hourlogd::Credentials::default()
    };
    let settings = Settings { nats: nats.url(), credentials, ..Settings::default() };
    let stage = Stage::over(nats, settings).await;
    stage.check("pub orders.eu x --user service --password s -o raw", "<n>-<n>\n").await;
    stage.check("read orders.eu --user reader --password r -o raw", "x\n").await;
    for (args, expected) in [
        ("pub orders.eu x --user reader --password r --timeout 60s", "hourlog.append.orders.eu"),
        ("import - --log orders.eu --user reader --password r --timeout 60s", "log.orders.eu"),
        ("ls --user reader --password wrong", "refuses the login"),
        ("ls", "refuses the login"),
    ] {
        stage.check_fails_with(args, "{\"time\":\"@1\"}\n", 4, &[expected]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_printed_when_the_login_fails() {
    let config = "authorization { user: service, password: right }".to_owned();
    let nats = NatsServer::start_with(NatsOptions { config, ..NatsOptions::default() }).await;
    let port = nats.port();
    let settings =
        Settings { nats: format!("nats://service:right@127.0.0.1:{port},127.0.0.1:1"), ..Settings::default() };
    let mut stage = Stage::over(nats, settings).await;
    stage.check(&format!("pub orders.eu x -o raw -s service:righ%74@127.0.0.1:{port}"), "<n>-<n>\n").await;
    stage.check(&format!("pub orders.eu y -o raw -s 127.0.0.1:1,service:right@127.0.0.1:{port}"), "<n>-<n>\n").await;

    let contexts = stage.path("nats/context");
    std::fs::create_dir_all(&contexts).expect("a directory can be created");
    let write = |name: &str, url: &str| {
        let text = format!(r#"{{"url":"{url}","password":"s3cret"}}"#);
        std::fs::write(contexts.join(name), text).expect("the file can be written");
    };
    write("right.json", &format!("nats://service:right@127.0.0.1:{port}"));
    write("wrong.json", &format!("nats://service:s3cret@127.0.0.1:{port}"));
    // The environment of the stage has NATS_URL, but the context was typed.
    stage.check("read orders.eu -o raw --context right", "x\ny\n").await;
    for (args, code, expected) in [
        ("ls --context wrong", 4, "refuses the login"),
        ("ls --token s3cret", 4, "refuses the login"),
        ("ls --user s3cret", 4, "refuses the login"),
        ("ls --user service --password s3cret", 4, "refuses the login"),
        ("ls -s nats://service:s3cret@127.0.0.1:1", 5, "connection was refused"),
        ("ls -s nats://s3cret@nowhere.invalid", 5, "cannot be resolved"),
        ("ls -s nats://service:s3cret/x@host", 2, "percent-encoded"),
        ("ls -s nats://service:s3cret,x@host", 2, "percent-encoded"),
        ("ls -s ws://service:s3cret@host", 2, "WebSocket"),
        ("ls -s a:s3cret@host,b:s3cret@host", 2, "different logins"),
        ("doctor -s nats://service:s3cret@127.0.0.1:1", 5, ""),
    ] {
        let ended = stage.run(&format!("{args} -v")).await;
        let printed = String::from_utf8_lossy(&ended.stdout).into_owned() + &ended.stderr;
        assert!(printed.contains(expected), "hourlog {args}\n{printed}");
        assert_eq!(ended.code, Some(code), "hourlog {args}\n{printed}");
        assert!(!printed.contains("s3cret"), "hourlog {args} prints a secret:\n{printed}");
    }
    stage.url = format!("nats://service:s3cret@127.0.0.1:{port}");
    let help = stage.command("--help").env("NATS_TOKEN", "s3cret").env("NATS_PASSWORD", "s3cret").output();
    let help = String::from_utf8(help.expect("the binary can be started").stdout).expect("the help is UTF-8");
    assert!(help.contains("NATS_TOKEN") && !help.contains("s3cret"), "{help}");
    let refused = stage.command("ls").env("NATS_CREDS", "").env("NATS_CONTEXT", "").output();
    let refused = String::from_utf8(refused.expect("the binary can be started").stderr).expect("stderr is UTF-8");
    assert!(refused.contains("refuses the login") && !refused.contains("s3cret"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_week_of_earthquakes_is_imported_listed_and_counted() {
    let stage = Stage::open().await;
    let import = stage.run(&format!("import '{QUAKES}'")).await;
    assert_eq!(
        (import.code, import.stderr.as_str()),
        (Some(0), "1,707 lines into 12 logs: 1,707 new, 0 were there already\n")
    );

    // A second import adds nothing.
    assert_eq!(stage.run(&format!("import '{QUAKES}'")).await.code, Some(0));
    let logs = json_lines(&stage.run("ls").await.stdout);
    let events: u64 = logs.iter().filter_map(|log| log["events"].as_u64()).sum();
    assert_eq!((logs.len(), events), (12, 1707));
    let one = &json_lines(&stage.run("ls quakes.se").await.stdout)[0];
    assert_eq!((&one["events"], &one["first"]), (&1.into(), &"2018-02-06T02:14:45.29Z".into()));

    let known = &json_lines(&stage.run("describe quakes.us").await.stdout)[0];
    assert_eq!((&known["events"], &known["width"]), (&168.into(), &"1h".into()));
    let described = redacted(&stage.run("describe quakes.us -o table").await.stdout);
    assert!(described.contains("  events  168\n") && described.contains("2018-01-31 02:00:31.800"), "{described}");

    stage
        .check(
            "hist quakes.us --step 1d --since 2018-02-04 --until 2018-02-07 -o csv",
            "from,to,count\r\n2018-02-04T00:00:00Z,2018-02-05T00:00:00Z,30\r\n\
             2018-02-05T00:00:00Z,2018-02-06T00:00:00Z,25\r\n2018-02-06T00:00:00Z,2018-02-07T00:00:00Z,25\r\n",
        )
        .await;
    // As the README shows it.
    stage
        .check(
            "hist 'quakes.>' --since 2018-02-05 --until 2018-02-07 --where 'json.mag >= 3' --by log -o csv",
            "value,count\r\nquakes.us,47\r\nquakes.ak,11\r\nquakes.pr,5\r\nquakes.nc,1\r\n",
        )
        .await;
    for args in ["hist quakes.us", "hist quakes.us --bins 7", "hist quakes.us --step 1h"] {
        let parts = json_lines(&stage.run(args).await.stdout);
        assert_eq!(parts.iter().filter_map(|part| part["count"].as_u64()).sum::<u64>(), 168, "{args}");
    }
    let range = "quakes.us --since '2018-02-06 12:10' --until '2018-02-06 18:05'";
    let read = json_lines(&stage.run(&format!("read {range}")).await.stdout).len() as u64;
    for step in ["", "--step 1h", "--step 1d", "--step 1mo", "--step 7s", "--bins 9"] {
        let parts = json_lines(&stage.run(&format!("hist {range} {step}")).await.stdout);
        assert_eq!(parts.iter().filter_map(|part| part["count"].as_u64()).sum::<u64>(), read, "{step}");
    }
    let last = json_lines(&stage.run("hist quakes.us --until last --step 1y").await.stdout);
    assert_eq!(last.iter().filter_map(|part| part["count"].as_u64()).sum::<u64>(), 168);
    let bars = redacted(&stage.run("hist quakes.us --bins 7 -o table").await.stdout);
    assert!(bars.starts_with("FROM") && bars.contains('█'), "{bars}");

    let strongest = stage.run("read quakes.us").await;
    let magnitude = |event: &serde_json::Value| {
        let data: serde_json::Value = serde_json::from_str(event["data"].as_str().unwrap_or("{}")).unwrap_or_default();
        data["mag"].as_f64()
    };
    let events = json_lines(&strongest.stdout);
    assert_eq!(events.len(), 168);
    assert!(events.iter().all(|event| magnitude(event).is_some()), "each event is an earthquake");
    assert!(events.is_sorted_by_key(|event| event["offset"].as_str().and_then(|offset| offset.parse::<i64>().ok())));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_can_be_imported_under_another_name() {
    let stage = Stage::open().await;
    let import = stage.run(&format!("import '{QUAKES}' -q")).await;
    assert_eq!((import.code, import.stderr.as_str()), (Some(0), ""));
    stage.run_with("pub quakes.us - -H kind:a -H kind:b --at 2018-02-10", b"\xff\x00".to_vec()).await;

    let exported = stage.run("export quakes.us quakes.se").await;
    assert_eq!((exported.code, exported.stderr.as_str()), (Some(0), "exported 170 events from 2 logs\n"));
    let lines = json_lines(&exported.stdout);
    assert_eq!((lines.len(), &lines[170]["trailer"]["events"]), (171, &170.into()));

    let copied = stage.run_with("import - --log copy", exported.stdout.clone()).await;
    assert_eq!(
        (copied.code, copied.stderr.as_str()),
        (Some(0), "170 lines into 1 log: 170 new, 0 were there already\n")
    );
    let record = |event: &serde_json::Value| {
        ["offset", "metadata", "data", "data_base64"].map(|field| event[field].to_string()).join(" ")
    };
    let mut before: Vec<String> = lines[..170].iter().map(record).collect();
    let mut after: Vec<String> = json_lines(&stage.run("read copy").await.stdout).iter().map(record).collect();
    before.sort();
    after.sort();
    assert_eq!(before, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn following_prints_each_new_event_once() {
    let stage = Stage::open().await;
    let mut log = stage.log("live").await;
    log.write(Record::new("1")).await.expect("the event is written");
    log.write(Record::new("2")).await.expect("the event is written");

    let mut command = tokio::process::Command::from(stage.command("read live -f --tail 1 --limit 4 -o raw"));
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("the binary can be started");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
    assert_eq!(lines.next_line().await.expect("the output is UTF-8").as_deref(), Some("2"));
    // Late, but still the next to arrive.
    log.write(Record::new("3").at("2018-02-04T21:56:42Z".parse().expect("a valid time")))
        .await
        .expect("the event is written");
    assert_eq!(lines.next_line().await.expect("the output is UTF-8").as_deref(), Some("3"));
    log.write_many(vec![Record::new("4"), Record::new("5"), Record::new("6")]).await.expect("the events are written");
    assert_eq!(lines.next_line().await.expect("the output is UTF-8").as_deref(), Some("4"));
    assert_eq!(lines.next_line().await.expect("the output is UTF-8").as_deref(), Some("5"));
    assert_eq!(lines.next_line().await.expect("the output is UTF-8"), None);
    assert!(child.wait().await.expect("the command ends").success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_read_prints_the_command_that_resumes_it() {
    let stage = Stage::open().await;
    let mut log = stage.log("live").await;
    log.write(Record::new("1")).await.expect("the event is written");

    let mut command = tokio::process::Command::from(stage.command("read live -f -o raw"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("the binary can be started");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
    assert_eq!(lines.next_line().await.expect("the output is UTF-8").as_deref(), Some("1"));
    let id = child.id().expect("the command is running").to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill can be started").success());
    assert_eq!(child.wait().await.expect("the command ends").code(), Some(130));
    let mut stderr = String::new();
    child.stderr.take().expect("stderr is piped").read_to_string(&mut stderr).await.expect("the output is UTF-8");
    let resume = stderr.trim_end().strip_prefix("interrupted; resume with: hourlog ").expect(&stderr);

    log.write(Record::new("2")).await.expect("the event is written");
    assert!(resume.starts_with("read live -f -o raw --after a:"), "{resume}");
    stage.check(&format!("{resume} --limit 1"), "2\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_output_is_not_a_failure() {
    let stage = Stage::open().await;
    let mut log = stage.log("long").await;
    let data = "x".repeat(1_000);
    log.write_many((0..2_000).map(|_| Record::new(data.as_str())).collect()).await.expect("the events are written");
    let mut command = tokio::process::Command::from(stage.command("read long"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary can be started");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
    assert!(lines.next_line().await.expect("the output is UTF-8").is_some());
    drop(lines);
    let ended = child.wait_with_output().await.expect("the command ends");
    assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(0), &b""[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_reports_what_is_healthy_and_what_is_missing() {
    let stage = Stage::open().await;
    let healthy = stage.run("doctor").await;
    assert_eq!(
        states(&healthy),
        "server:ok jetstream:ok hourlogd:ok archive:ok ingest:ok wal:ok answers:ok stores:ok progress:ok lag:ok \
         reread:ok fork:ok set back:ok removed:ok poison:ok arrivals:ok replies:ok rejected:ok stream:ok stream fill:ok clocks:ok \
         ahead:ok"
    );
    assert_eq!(healthy.code, Some(0));
    stage.running.stop().await.expect("the service stops");

    let Stage { url, work, _nats, .. } = stage;
    let run = |url: String| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hourlog"));
        command.args(["doctor", "-s", &url]).env_clear().env("XDG_CONFIG_HOME", work.path());
        let output = command.output().expect("the binary can be started");
        let stderr = String::from_utf8(output.stderr).expect("the output is UTF-8");
        Finished { code: output.status.code(), stdout: output.stdout, stderr }
    };
    let stopped = run(url);
    assert_eq!(states(&stopped), "server:ok jetstream:ok hourlogd:fail stream:ok stream fill:ok clocks:ok");
    assert_eq!(stopped.code, Some(5));
    let no_server = run("nats://127.0.0.1:1".to_owned());
    assert_eq!((states(&no_server).as_str(), no_server.code), ("server:fail", Some(5)));
}

#[tokio::test(flavor = "multi_thread")]
async fn contexts_of_the_nats_tool_are_used() {
    let stage = Stage::open().await;
    stage.check("pub orders.eu x -o raw", "<n>-<n>\n").await;
    let contexts = stage.path("nats").join("context");
    std::fs::create_dir_all(&contexts).expect("the directory can be created");
    let context = format!("{{\"url\":\"{}\",\"color_scheme\":\"cyan\"}}", stage.url);
    std::fs::write(contexts.join("here.json"), context).expect("the file can be written");
    std::fs::write(stage.path("nats").join("context.txt"), "here").expect("the file can be written");
    for args in [&["ls", "-o", "raw"][..], &["ls", "-o", "raw", "--context", "here"]] {
        let mut command = stage.command("");
        command.args(args).env_remove("NATS_URL");
        let output = tokio::process::Command::from(command).output().await.expect("the binary can be started");
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"orders.eu\n"[..]), "{args:?}");
    }
}
