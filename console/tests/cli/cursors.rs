//! Durable cursors on the command line: a reader goes on where the last one of its name stopped.

use std::process::Command;

use hourlog::{
    Seq,
    store::{Store, Write},
};
use tokio::{
    io::{AsyncRead, Lines},
    process::{Child, ChildStderr, ChildStdout},
};

use super::*;

/// The bytes of an event: so many that a page does not fit into a pipe, and a reader is stopped in the middle of
/// one.
const EVENT_BYTES: usize = 150;

fn name(number: usize) -> String {
    // Not zeros: long numbers are redacted in what is compared.
    format!("{number:x>EVENT_BYTES$}")
}

fn records(numbers: std::ops::RangeInclusive<usize>) -> Vec<Record> {
    numbers.map(|number| Record::new(name(number))).collect()
}

/// The output of `read -o raw` with these events.
fn printed(numbers: std::ops::RangeInclusive<usize>) -> String {
    numbers.map(|number| name(number) + "\n").collect()
}

/// A reader that runs.
pub(super) struct Reader {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    stderr: BufReader<ChildStderr>,
}

impl Reader {
    pub(super) fn start(stage: &Stage, args: &str) -> Self {
        let mut command = tokio::process::Command::from(stage.command(args));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the binary can be started");
        let lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
        Self { child, lines, stderr }
    }

    /// Waits for the next line on stderr.
    pub(super) async fn note(&mut self) -> String {
        let mut note = String::new();
        self.stderr.read_line(&mut note).await.expect("the output is UTF-8");
        note
    }

    pub(super) async fn line(&mut self) -> Option<String> {
        self.lines.next_line().await.expect("the output is UTF-8")
    }

    pub(super) async fn take(&mut self, count: usize) -> Vec<String> {
        let mut lines = Vec::new();
        while lines.len() < count {
            lines.push(self.line().await.expect("the reader still runs"));
        }
        lines
    }

    pub(super) fn signal(&self, signal: &str) {
        let id = self.child.id().expect("the reader runs").to_string();
        assert!(Command::new("kill").args([signal, &id]).status().expect("kill can be started").success());
    }

    /// Reads what is still printed, and returns it with the exit code and stderr.
    pub(super) async fn rest(mut self) -> (Vec<String>, Option<i32>, String) {
        let mut lines = Vec::new();
        while let Some(line) = self.line().await {
            lines.push(line);
        }
        let stderr = text(self.stderr).await;
        (lines, self.child.wait().await.expect("the reader ends").code(), stderr)
    }
}

async fn text(mut from: impl AsyncRead + Unpin) -> String {
    let mut text = String::new();
    from.read_to_string(&mut text).await.expect("the output is UTF-8");
    text
}

/// Stops the service and starts another on the same archive and server.
async fn restart_service(stage: Stage) -> Stage {
    let Stage { url, work, running, _archive, _nats } = stage;
    running.stop().await.expect("the service stops");
    let store = Embedded::open(_archive.path()).expect("no other process has the archive open");
    let settings = Settings { nats: url.clone(), ..Settings::default() };
    let running = hourlogd::start(settings, store).await.expect("the service starts");
    Stage { url, work, running, _archive, _nats }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_goes_on_at_its_cursor() {
    let mut stage = Stage::open().await;
    let mut log = stage.log("mails").await;
    log.write_many(records(1..=100)).await.expect("the events are written");
    stage.check("read mails --cursor mailer --limit 10 -o raw", &printed(1..=10)).await;
    stage.check("read mails --cursor mailer --limit 10 -o raw", &printed(11..=20)).await;
    stage = restart_service(stage).await;
    stage.check("read mails --cursor mailer -o raw", &printed(21..=100)).await;
    stage.check("read mails --cursor mailer -o raw", "").await;
    // A late event arrives after all others, wherever its time is.
    log.write(Record::new("late").at("2018-02-04T10:00:00Z".parse().expect("a valid time"))).await.expect("it is late");
    stage.check("read mails --cursor mailer -o raw", "late\n").await;

    // Where a new cursor begins. An existing one wins over --since, and says so.
    stage.check("read mails --cursor newest --since last --limit 1 -o raw", &printed(100..=100)).await;
    let ended = stage.run("read mails --cursor newest --since first -o raw").await;
    assert_eq!((String::from_utf8_lossy(&ended.stdout).as_ref(), ended.code), ("late\n", Some(0)), "{}", ended.stderr);
    assert!(ended.stderr.contains("--since does not apply"), "{}", ended.stderr);
    stage.check("read mails --cursor other --since now -o raw", "").await;
    log.write(Record::new("new")).await.expect("the event is written");
    stage.check("read mails --cursor other -o raw", "new\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_are_shown_moved_and_deleted() {
    let stage = Stage::open().await;
    let mut log = stage.log("mails").await;
    log.write_many(records(1..=3)).await.expect("the events are written");
    let position = json_lines(&stage.run("read mails --limit 2").await.stdout)[1]["position"].clone();
    let position = position.as_str().expect("a position is text").to_owned();

    stage.check("cursor list mails", "").await;
    stage.check_fails("cursor get mails mailer", 3, &["no cursor mailer", "hourlog cursor list mails"]).await;
    stage.check_fails("cursor delete mails mailer", 3, &["no cursor mailer"]).await;
    stage.check_fails("cursor list nope", 3, &["no log nope"]).await;
    stage.check_fails("cursor set nope mailer first", 3, &["no log nope"]).await;
    stage.check_fails("cursor set mails 'a b' now", 2, &["not a name of a cursor"]).await;
    stage.check_fails("cursor set mails mailer soon", 2, &["CURSOR", "first"]).await;
    stage.check_fails("cursor set mails mailer 5-7", 3, &["no event at 5-7"]).await;
    for flags in ["--tail 1", "--reverse", "--until now", "--after a:5-7"] {
        stage
            .check_fails(&format!("read mails --cursor mailer {flags}"), 2, &["--cursor", "cannot be used with"])
            .await;
    }

    let row = "{\"log\":\"mails\",\"name\":\"mailer\",\"cursor\":\"a:<n>-<n>\"}\n";
    stage.check(&format!("cursor set mails mailer {position}"), row).await;
    stage.check("cursor get mails mailer", row).await;
    stage.check("read mails --cursor mailer -o raw", &printed(3..=3)).await;
    stage
        .check_fails(&format!("cursor set mails mailer {position}"), 8, &["cursor mailer of mails is at a:", "--force"])
        .await;
    stage.check("read mails --cursor mailer -o raw", "").await;
    stage.check(&format!("cursor set mails mailer {position} --force"), row).await;
    stage.check("read mails --cursor mailer -o raw", &printed(3..=3)).await;
    stage.check("cursor set mails mailer first --force -o raw", "a:-<n>-0\n").await;
    stage.check("cursor set mails mailer now -o raw", "a:<n>-<n>\n").await;
    stage.check("read mails --cursor mailer -o raw", "").await;

    stage.check("cursor set mails another first -q -o raw", "a:-<n>-0\n").await;
    stage.check("cursor list mails -o csv", "name,cursor\r\nanother,a:-<n>-0\r\nmailer,a:<n>-<n>\r\n").await;
    let deleted = stage.run("cursor delete mails mailer").await;
    assert_eq!((deleted.code, deleted.stderr.as_str()), (Some(0), "deleted cursor mailer of mails\n"));
    stage.check("cursor list mails -o raw", "another\n").await;
    // Created again, it begins at the first event, which is before the deleted one's place.
    stage.check("read mails --cursor mailer -o raw --limit 1", &printed(1..=1)).await;
    stage.check("read mails --cursor mailer -o raw", &printed(2..=3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_follower_prints_each_event_once_over_its_runs() {
    let stage = Stage::open().await;
    let mut log = stage.log("mails").await;
    log.write_many(records(1..=6_000)).await.expect("the events are written");
    let mut lines = Vec::new();
    for signal in ["-INT", "-TERM"] {
        let mut reader = Reader::start(&stage, "read mails -f --cursor mailer -o raw");
        lines.extend(reader.take(1_500).await);
        reader.signal(signal);
        let (rest, code, stderr) = reader.rest().await;
        lines.extend(rest);
        assert_eq!(code, Some(130), "{signal}: {stderr}");
        assert!(stderr.contains("go on with: hourlog read mails -f --cursor mailer"), "{stderr}");
        assert!(lines.len() < 6_000, "{signal} stopped it only after {} events", lines.len());
    }
    let last = stage.run("read mails --cursor mailer -o raw").await;
    lines.extend(String::from_utf8(last.stdout).expect("the output is UTF-8").lines().map(str::to_owned));
    assert_eq!(lines, (1..=6_000).map(name).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_reader_prints_at_most_a_page_again() {
    let stage = Stage::open().await;
    let mut log = stage.log("mails").await;
    log.write_many(records(1..=6_000)).await.expect("the events are written");
    let mut reader = Reader::start(&stage, "read mails -f --cursor mailer -o raw");
    let mut lines = reader.take(1_500).await;
    reader.signal("-KILL");
    lines.extend(reader.rest().await.0);
    // The last line may be cut.
    lines.retain(|line| line.len() == EVENT_BYTES);
    assert_eq!(lines, (1..=lines.len()).map(name).collect::<Vec<_>>());
    let again = stage.run("read mails --cursor mailer -o raw").await;
    let again: Vec<String> =
        String::from_utf8(again.stdout).expect("the output is UTF-8").lines().map(str::to_owned).collect();
    let first: usize = again[0].trim_start_matches('x').parse().expect("a line ends in a number");
    assert!(first <= lines.len() + 1, "events up to {} were printed, and the next is {first}", lines.len());
    assert!(lines.len() - (first - 1) <= 1_000, "{} events were printed, and {first} is the next", lines.len());
    assert_eq!(again, (first..=6_000).map(name).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_with_a_cursor_survives_a_restart_of_the_service() {
    let mut stage = Stage::open().await;
    let mut log = stage.log("mails").await;
    log.write_many(records(1..=3)).await.expect("the events are written");
    let mut reader = Reader::start(&stage, "read mails -f --cursor mailer -o raw");
    assert_eq!(reader.take(3).await, [name(1), name(2), name(3)]);
    stage = restart_service(stage).await;
    log.write_many(records(4..=5)).await.expect("the events are written");
    assert_eq!(reader.take(2).await, [name(4), name(5)]);
    reader.signal("-TERM");
    assert_eq!(reader.rest().await.0, [""; 0]);
    stage.check("read mails --cursor mailer -o raw", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_stops_when_another_one_of_its_name_is_ahead() {
    let stage = Stage::open().await;
    let mut log = stage.log("mails").await;
    log.write_many(records(1..=3)).await.expect("the events are written");
    let mut reader = Reader::start(&stage, "read mails -f --cursor mailer -o raw");
    reader.take(3).await;
    let remote = stage.remote().await;
    let (id, mailer) = ("mails".parse().expect("a valid id"), "mailer".parse().expect("a valid name"));
    let cursor = loop {
        // Its line is printed before the cursor is stored.
        if let Some(cursor) = remote.cursor(&id, &mailer).await.expect("the service answers") {
            break cursor;
        }
    };
    reader.signal("-STOP");
    log.write(Record::new(name(4))).await.expect("the event is written");
    // A cursor is stored only if the stream has got that far.
    stage.log("other").await.write_many(records(1..=100)).await.expect("the events are written");
    let ahead = hourlog::ArrivalCursor { seq: Seq::from_number(cursor.seq.get() + 50), ..cursor };
    let request = hourlog::wire::SetCursorRequest { name: mailer, cursor: ahead, force: false };
    assert!(remote.set_cursor(&id, &request).await.expect("the service answers").stored);
    reader.signal("-CONT");
    let (lines, code, stderr) = reader.rest().await;
    assert_eq!((lines, code), (vec![name(4)], Some(8)), "{stderr}");
    assert!(stderr.contains("another reader with this name"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_log_takes_its_cursors_with_it() {
    let nats = NatsServer::start().await;
    let archive = TempDir::new().expect("a directory can be created");
    let store = Embedded::open(archive.path()).expect("no other process has the archive open");
    let settings = Settings { nats: nats.url(), ..Settings::default() };
    let running = hourlogd::start(settings, store.clone()).await.expect("the service starts");
    let work = TempDir::new().expect("a directory can be created");
    let stage = Stage { url: nats.url(), work, running, _archive: archive, _nats: nats };
    let mut log = stage.log("mails").await;
    let newest = log.write(Record::new("1")).await.expect("the event is written");
    stage.check("read mails --cursor mailer -o raw", "1\n").await;
    let delete = Write::DeleteLog { log: "mails".parse().expect("a valid id"), seq: newest.seq };
    store.write(vec![delete]).await.expect("the archive accepts the write");
    stage.check_fails("cursor list mails", 3, &["no log mails"]).await;
    log.write(Record::new("2")).await.expect("the event is written");
    stage.check("cursor list mails", "").await;
    stage.check("read mails --cursor mailer -o raw", "2\n").await;
}
