//! Events leave the console: to files, and to subjects again.

use std::{fs, path::Path, pin::pin, process::Command};

use clap::Parser;
use conformance::servers::{NatsServer, WAIT_MAX};
use console::{
    connect::Connect,
    output::human_count,
    tui::{
        backend::Backend,
        excerpt::Excerpt,
        filter::{Filter, Selection},
        lanes::Lanes,
        msg::{Effect, Msg},
        screen::picture,
        service::Service,
        state::State,
        update::update,
        view::{Looks, Theme},
        work::{Export, Obstacle, Replay, Replayed, Work, Worked},
        working::work,
    },
};
use futures_util::{StreamExt, future::pending};
use hourlog::{Embedded, LogId, Offset};
use hourlogd::{Running, Settings};
use jiff::tz::TimeZone;
use ratatui::layout::Rect;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

use super::QUAKES;
use super::harness::{Archive, DAY, Harness, Outbox, SIZES, START};

fn lines(path: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(path).expect("the file is there");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

/// Names the file of the open dialog.
async fn name_file(console: &mut Harness, path: &Path) {
    console.press("tab ctrl-u").await;
    console.type_text(path.to_str().expect("the path is text")).await;
}

/// Selects two hours.
async fn select_range(console: &mut Harness) {
    console.press("t").await;
    console.type_text("2018-02-04 06:00").await;
    console.press("enter v t").await;
    console.type_text("2018-02-04 08:00").await;
    console.press("enter v").await;
}

#[tokio::test]
async fn the_events_of_a_range_are_written_to_a_file() {
    let work = TempDir::new().expect("a directory can be created");
    let path = work.path().join("two hours.jsonl");
    let mut console = Harness::log("quakes", 120, 40).await;
    select_range(&mut console).await;
    console.press("X").await;
    console
        .shows(&[
            " export quakes ───",
            "events    121 of the range 2018-02-04 06:00:00.000 to 2018-02-04 08:00:00.000 UTC",
            "file      quakes-2018-02-04T0600.jsonl",
            "hourlog export quakes --since 2018-02-04T06:00:00Z --until 2018-02-04T08:00:00.000000001Z -O",
            "enter writes 121 events; hourlog import reads the file",
            "enter writes  tab name  y copy  esc back",
        ])
        .await;
    console.press("y").await;
    console.shows(&["esc back  the command was sent to the terminal"]).await;
    assert!(console.copied().ends_with("-O quakes-2018-02-04T0600.jsonl"), "{}", console.copied());
    name_file(&mut console, &path).await;
    console.press("enter").await;
    console.shows(&["wrote 121 events ("]).await;
    let lines = lines(&path);
    assert_eq!(lines.len(), 122, "the last line is the trailer");
    let data: Vec<_> = lines[..121].iter().map(|line| line["data"].as_str().unwrap_or_default()).collect();
    assert_eq!((data[0], data[120]), ("{\"minute\":360}", "{\"minute\":480}"));
    assert_eq!(lines[121]["trailer"]["events"], 121);
    assert_eq!(fs::read_dir(work.path()).expect("it is there").count(), 1, "nothing unfinished is left");
    console.press("enter").await;
    console.shows(&["y copy  ←→ scrub", "2h 00m"]).await;
}

#[tokio::test]
async fn a_file_is_replaced_only_by_a_second_enter() {
    let work = TempDir::new().expect("a directory can be created");
    let path = work.path().join("quakes.jsonl");
    fs::write(&path, "dear diary\n").expect("the directory is there");
    let mut console = Harness::log("quakes", 120, 40).await;
    console.press("X").await;
    console.shows(&["events    1,440 of the whole log", "file      quakes.jsonl"]).await;
    name_file(&mut console, &path).await;
    console.press("enter").await;
    console.shows(&["exists and is not empty", "enter once more", "enter replaces"]).await;
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "dear diary\n");
    // Another name is not blocked.
    console.press("tab x").await;
    assert!(!console.text().contains("enter replaces"), "{}", console.text());
    console.press("backspace enter").await;
    console.shows(&["enter replaces"]).await;
    console.press("enter").await;
    console.shows(&["wrote 1,440 events ("]).await;
    assert_eq!(lines(&path).len(), 1_441);
    // The dialog says why it cannot write.
    console.press("enter X").await;
    name_file(&mut console, &work.path().join("nowhere/a.jsonl")).await;
    console.press("enter").await;
    console.shows(&["cannot write", "No such file or directory"]).await;
    console.press("tab ctrl-u enter").await;
    console.shows(&["a file needs a name"]).await;
}

#[tokio::test]
async fn lanes_are_written_one_after_the_other_and_filters_hold() {
    let work = TempDir::new().expect("a directory can be created");
    let path = work.path().join("a.jsonl");
    let mut console = Harness::lanes(120, 40).await;
    console.press("space enter X").await;
    console.shows(&["export 3 logs: shop.{a b c}", "30 of all 3 logs", "shop-3-logs.jsonl", "log by log"]).await;
    name_file(&mut console, &path).await;
    console.press("enter").await;
    console.shows(&["wrote 30 events"]).await;
    let logs: Vec<_> = lines(&path)[..30].iter().map(|line| line["log"].as_str().map(str::to_owned)).collect();
    assert!(logs.is_sorted() && logs[0].as_deref() == Some("shop.a"), "{logs:?}");
    console.press("enter &").await;
    console.type_text("json.number == 7").await;
    console.press("enter X").await;
    console.shows(&["3 of all 3 logs", "filters   json.number == 7", "--where 'json.number == 7'"]).await;
    let path = work.path().join("b.jsonl");
    name_file(&mut console, &path).await;
    console.press("enter").await;
    console.shows(&["wrote 3 events"]).await;
    let lines = lines(&path);
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().all(|line| line["data"] == "{\"number\":7}"), "{lines:?}");
}

#[tokio::test]
async fn a_dry_run_publishes_nothing_and_a_second_enter_publishes_all() {
    let mut console = Harness::log("quakes", 120, 40).await;
    select_range(&mut console).await;
    console.press("P").await;
    console.shows(&[" replay quakes ──", "121 of the range", "speed     as fast as possible", "replay: "]).await;
    console.press("enter").await;
    console.shows(&["a replay needs a subject"]).await;
    console.type_text("test.>").await;
    console.shows(&["hourlog replay quakes --since", "--to 'test.>'", "--as-fast-as-possible"]).await;
    console.press("enter").await;
    console
        .shows(&[
            "plan      121 events (",
            "from 2018-02-04 06:00:00.000 to 2018-02-04 08:00:00.000",
            "subjects  test.quakes",
            "no stream stores these subjects",
            "enter publishes 121 events",
        ])
        .await;
    assert!(console.archive.outbox.sent().is_empty(), "the dry run has published");
    // Another speed is another plan.
    console.press("left left left left left").await;
    console.shows(&["speed     ×10", "enter makes a dry run"]).await;
    console.press("enter").await;
    console.shows(&["in 12m 0s"]).await;
    console.press("right right right right right enter enter").await;
    console.shows(&["published 121 events"]).await;
    let sent = console.archive.outbox.sent();
    assert_eq!(sent.len(), 121);
    assert_eq!(sent[0], ("test.quakes".to_owned(), "{\"minute\":360}".to_owned()));
    assert_eq!(sent[120].1, "{\"minute\":480}");
    // The subject is offered again.
    console.press("enter P").await;
    console.shows(&["to        test.>"]).await;
    // Logs are written only if the user says so.
    console.press("tab ctrl-u").await;
    console.type_text("log.copy").await;
    console.press("enter").await;
    console.shows(&["hourlog reads the stream HOURLOG", "add --into-log if they shall"]).await;
    console.press("i").await;
    console.shows(&["as fast as possible, into a log", "--into-log"]).await;
    console.press("enter").await;
    console.shows(&["enter publishes 121 events"]).await;
    assert_eq!(console.archive.outbox.sent().len(), 121);
    console.press("esc").await;
    console.shows(&["y copy  ←→ scrub"]).await;
}

#[tokio::test]
async fn both_dialogs_fit_every_screen() {
    for (columns, rows) in SIZES.into_iter().filter(|(columns, rows)| *columns >= 40 && *rows >= 10) {
        for (key, words) in
            [("X", ["export quakes", "file", "command", "writes"]), ("P", ["replay quakes", "to", "speed", "dry run"])]
        {
            let mut console = Harness::log("quakes", columns, rows).await;
            select_range(&mut console).await;
            console.press("&").await;
            console.type_text("json.minute == 400").await;
            console.press("enter").await;
            console.press(key).await;
            console.shows(&words).await;
            console.shows(&["json.minute == 400", "1 of the range", "enter "]).await;
            if key == "P" {
                console.type_text("test").await;
                console.press("enter").await;
                console.shows(&["enter publishes 1 event", "test"]).await;
            }
        }
    }
    let mut console = Harness::plain(80, 24).await;
    console.press("enter X").await;
    console.shows(&["export", "enter writes"]).await;
    assert!(console.text().is_ascii(), "{}", console.text());
    console.press("esc P").await;
    console.type_text("test").await;
    console.press("enter").await;
    console.shows(&["enter publishes"]).await;
    assert!(console.text().is_ascii() && !console.has_colour(), "{}", console.text());
}

#[tokio::test]
async fn a_hostile_id_stays_text_in_the_dialogs_and_in_the_name_of_a_file() {
    let mut console = Harness::log_named("evil\u{202e};rm/-rf", 120, 40).await;
    console.press("X").await;
    console.shows(&["evil<U+202E>;rm/-rf", "file      evil__rm_-rf.jsonl"]).await;
    assert!(!console.text().contains('\u{202e}'), "{}", console.text());
}

/// A console whose work runs in the backend, so that it can be stopped.
struct Live {
    state: State,
    backend: Backend<Archive>,
    answers: mpsc::Receiver<Msg>,
}

impl Live {
    /// Opens a log of 500 events, of which so many can leave it.
    async fn open(events: usize) -> (Self, Outbox) {
        let outbox = Outbox::of(events);
        let mut archive = Harness::large(500, 120, 40).await.archive;
        archive.outbox = outbox.clone();
        let mut state = State::new(TimeZone::UTC, Offset::from_nanos(START + DAY), "nats://here".to_owned());
        state.size = (120, 40);
        let (sender, answers) = mpsc::channel(64);
        let mut live = Self { state, backend: Backend::new(archive, sender), answers };
        let lanes = Lanes::from("large".parse::<LogId>().expect("a valid id"));
        live.handle(Msg::Open { lanes, at: None, filter: None, speed: None });
        live.until("500 of the whole log", "X").await;
        live.press("esc");
        (live, outbox)
    }

    fn handle(&mut self, msg: Msg) {
        for effect in update(&mut self.state, msg) {
            if !matches!(effect, Effect::Follow { .. }) {
                self.backend.start(effect);
            }
        }
    }

    fn press(&mut self, keys: &str) {
        for key in keys.split(' ') {
            self.handle(Msg::Key(key.parse().unwrap_or_else(|()| panic!("unknown key {key}"))));
        }
    }

    fn type_text(&mut self, text: &str) {
        text.chars().for_each(|letter| self.handle(Msg::Key(letter.into())));
    }

    fn text(&self) -> String {
        let (columns, rows) = self.state.size;
        let looks = Looks { theme: Theme::Ansi, ascii: false };
        let picture = picture(&self.state, looks, Rect::new(0, 0, columns, rows));
        picture.content.iter().map(ratatui::buffer::Cell::symbol).collect()
    }

    /// Presses keys, and waits until the screen shows a text.
    async fn until(&mut self, text: &str, keys: &str) {
        self.press(keys);
        let shown = async {
            while !self.text().contains(text) {
                let msg = self.answers.recv().await.expect("the backend runs");
                self.handle(msg);
            }
        };
        if tokio::time::timeout(WAIT_MAX, shown).await.is_err() {
            panic!("the screen does not show {text}\n{}", self.text());
        }
    }
}

#[tokio::test]
async fn an_export_that_is_stopped_leaves_no_file_under_its_name() {
    let work = TempDir::new().expect("a directory can be created");
    let path = work.path().join("large.jsonl");
    let part = work.path().join("large.jsonl.part");
    let (mut console, outbox) = Live::open(120).await;
    console.press("X tab ctrl-u");
    console.type_text(path.to_str().expect("the path is text"));
    console.until("120 of 500 events written", "enter").await;
    assert!(!path.exists());
    console.until("stopped: 120 events are in", "esc").await;
    assert!(!path.exists(), "the file is not complete");
    assert_eq!(lines(&part).len(), 120);
    // The unfinished file is replaced by a second Enter.
    outbox.permits.add_permits(500);
    console.until("large.jsonl.part has 120 events of this export, which was stopped", "enter").await;
    console.until("wrote 500 events", "enter").await;
    assert_eq!(lines(&path).len(), 501);
    assert!(!part.exists());
}

#[tokio::test]
async fn a_filtered_export_that_is_stopped_leaves_nothing() {
    let work = TempDir::new().expect("a directory can be created");
    let (mut console, _) = Live::open(10).await;
    let filter = Filter::new("\"text\"").expect("a valid filter");
    let lanes = Lanes::from("large".parse::<LogId>().expect("a valid id"));
    console.handle(Msg::Open { lanes, at: None, filter: Some(filter), speed: None });
    console.until("& \"text\"", "j").await;
    console.press("X tab ctrl-u");
    console.type_text(work.path().join("a.jsonl").to_str().expect("the path is text"));
    console.until("10 of 500 events written", "enter").await;
    console.until("stopped after 10 events: no file is left", "esc").await;
    assert_eq!(fs::read_dir(work.path()).expect("it is there").count(), 0);
}

#[tokio::test]
async fn a_replay_that_is_stopped_says_how_many_events_it_has_published() {
    let (mut console, outbox) = Live::open(0).await;
    console.press("P");
    console.type_text("test");
    console.until("enter publishes 500 events", "enter").await;
    assert!(outbox.sent().is_empty());
    // The second event is due after minutes.
    for _ in 0..6 {
        console.press("left");
    }
    console.until("in 23h 57m", "enter").await;
    console.until("1 of 500 events sent", "enter").await;
    console.until("stopped: published 1 event", "esc").await;
    assert_eq!(outbox.sent().len(), 1);
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    connect: Connect,
}

/// A server, a service with an archive, and a working directory.
struct Stage {
    url: String,
    work: TempDir,
    // Fields drop in this order: the service stops before its archive and its server go.
    _running: Running,
    _archive: TempDir,
    _nats: NatsServer,
}

impl Stage {
    async fn open() -> Self {
        let nats = NatsServer::start().await;
        let archive = TempDir::new().expect("a directory can be created");
        let store = Embedded::open(archive.path()).expect("no other process has the archive open");
        let settings = Settings { nats: nats.url(), ..Settings::default() };
        let running = hourlogd::start(settings, store).await.expect("the service starts");
        let work = TempDir::new().expect("a directory can be created");
        Self { url: nats.url(), work, _running: running, _archive: archive, _nats: nats }
    }

    fn path(&self, name: &str) -> String {
        self.work.path().join(name).to_str().expect("the path is text").to_owned()
    }

    /// Runs `hourlog`, and returns what it prints and what it says.
    async fn run(&self, args: &str) -> (String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hourlog"));
        command.args(shlex::split(args).expect("the quotes are closed")).current_dir(self.work.path()).env_clear();
        command.env("NATS_URL", &self.url).env("XDG_CONFIG_HOME", self.work.path()).env("TZ", "UTC");
        // The service runs on this runtime, so waiting must not block it.
        let output = tokio::task::spawn_blocking(move || command.output().expect("the binary can be started"));
        let output = output.await.expect("the closure does not panic");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it is text");
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        assert!(output.status.success(), "hourlog {args}\n{stderr}");
        (stdout, stderr)
    }

    /// Does work as the console does it, and returns its last report.
    async fn work(&self, wanted: Work) -> Worked {
        let source = Service::new(Line::parse_from(["hourlog", "--server", &self.url]).connect);
        let reports: Vec<Worked> = work(&source, &wanted, pending()).collect().await;
        reports.into_iter().rfind(|report| !matches!(report, Worked::Progress(_))).expect("it reports its end")
    }
}

fn excerpt(log: &str, condition: Option<&str>) -> Excerpt {
    let lanes = Lanes::from(log.parse::<LogId>().expect("a valid id"));
    let selection = Selection { condition: condition.map(str::to_owned), text: None };
    Excerpt { lanes, from: None, until: None, selection }
}

/// Returns the lines of a file without the trailer.
fn event_lines(path: &str) -> Vec<String> {
    let text = fs::read_to_string(path).expect("the file is there");
    text.lines().filter(|line| !line.starts_with("{\"trailer\"")).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_console_is_that_of_the_command_and_import_reads_it_back() {
    let stage = Stage::open().await;
    stage.run(&format!("import {QUAKES}")).await;
    for (name, condition, events, option) in
        [("all", None, 168, ""), ("strong", Some("json.mag >= 5.0"), 39, " --where 'json.mag >= 5.0'")]
    {
        let path = stage.path(&format!("{name}.jsonl"));
        let export = Export { excerpt: excerpt("quakes.us", condition), path: path.clone(), replaces: false };
        let Worked::Exported(Ok(written)) = stage.work(Work::Export(export)).await else { panic!("{name} failed") };
        let size = fs::metadata(&path).expect("the file is there").len();
        assert!(written.bytes <= size && written.events == events, "{written:?}");
        let lines = event_lines(&path);
        assert_eq!(lines.len() as u64, written.events);
        let other = stage.path(&format!("{name}-of-the-command.jsonl"));
        stage.run(&format!("export quakes.us -O {other}{option}")).await;
        assert_eq!(lines, event_lines(&other));
        // Read back, the events are the same ones in another log.
        let copy = format!("copy.{name}");
        stage.run(&format!("import {path} --log {copy}")).await;
        let events = |lines: &[String]| -> Vec<(String, String)> {
            let event = |line: &String| {
                let event: serde_json::Value = serde_json::from_str(line).expect("each line is JSON");
                (event["offset"].to_string(), event["data"].to_string())
            };
            lines.iter().map(event).collect()
        };
        let copied: Vec<String> =
            stage.run(&format!("read {copy} -o ndjson")).await.0.lines().map(str::to_owned).collect();
        assert_eq!(events(&copied), events(&lines));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_goes_on_with_an_export_that_was_stopped() {
    const EVENTS: usize = 20_000;
    let stage = Stage::open().await;
    let line = |number: usize| {
        let offset = 1_517_788_800_000_000_000 + number * 1_000_000;
        format!("{{\"log\":\"many\",\"offset\":{offset},\"data\":\"{number} {}\"}}\n", "x".repeat(200))
    };
    fs::write(stage.path("many"), (1..=EVENTS).map(line).collect::<String>()).expect("the directory is there");
    stage.run("import many").await;
    let path = stage.path("many.jsonl");
    let source = Service::new(Line::parse_from(["hourlog", "--server", &stage.url]).connect);
    let export = Work::Export(Export { excerpt: excerpt("many", None), path: path.clone(), replaces: false });
    let (stop, stopped) = oneshot::channel::<()>();
    let mut stop = Some(stop);
    let mut reports = pin!(work(&source, &export, async { drop(stopped.await) }));
    let mut left = None;
    while let Some(report) = reports.next().await {
        match report {
            Worked::Progress(_) => stop = None,
            Worked::Exported(Err(Obstacle::Stopped(sentence))) => left = Some(sentence),
            other => panic!("{other:?}"),
        }
    }
    assert!(stop.is_none());
    let written = event_lines(&format!("{path}.part")).len();
    let said = format!("stopped: {} events are in {path}.part", human_count(written as u64));
    assert!(left.is_some_and(|left| left.starts_with(&said)), "{said}");
    assert!(written < EVENTS && !Path::new(&path).exists(), "{written}");
    let (_, said) = stage.run(&format!("export many -O {path}")).await;
    assert!(said.contains("already exported; continuing after"), "{said}");
    assert_eq!(event_lines(&path).len(), EVENTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_of_the_console_is_that_of_the_command_with_its_refusals() {
    let stage = Stage::open().await;
    stage.run(&format!("import {QUAKES}")).await;
    let client = async_nats::connect(&stage.url).await.expect("the server is there");
    let mut received = client.subscribe("test.>").await.expect("the client is open");
    client.flush().await.expect("the client is open");
    let to = |subject: &str, is_into_log: bool| Replay {
        excerpt: excerpt("quakes.us", Some("json.mag >= 5.0")),
        to: subject.to_owned(),
        speed: None,
        is_into_log,
    };
    let Worked::Planned(Ok(plan)) = stage.work(Work::DryRun(to("test.>", false))).await else {
        panic!("it is refused")
    };
    assert_eq!(plan.subjects, ["test.quakes.us"]);
    assert_eq!(plan.remarks, ["no stream stores these subjects: only those who subscribe get the messages"]);
    let Worked::Replayed(replayed) = stage.work(Work::Replay(to("test.>", false))).await else { panic!("it ends") };
    assert_eq!(replayed, Replayed { published: plan.events, ..Replayed::default() });
    for _ in 0..plan.events {
        // The dry run has published nothing, so these are the events of the replay.
        let message = tokio::time::timeout(WAIT_MAX, received.next()).await.expect("a message").expect("it is open");
        let place = message.headers.and_then(|headers| headers.get("Hourlog-Replay").map(ToString::to_string));
        assert!(place.is_some_and(|place| place.starts_with("quakes.us@")));
    }
    for (subject, is_into_log, said) in [
        ("log.quakes.us", true, "would repeat its own events"),
        ("log.copy", false, "hourlog reads the stream HOURLOG"),
        ("test", true, "leave it out"),
        ("a b", false, "write a subject"),
    ] {
        let planned = stage.work(Work::DryRun(to(subject, is_into_log))).await;
        let Worked::Planned(Err(why)) = planned else { panic!("{subject} is not refused: {planned:?}") };
        assert!(why.contains(said), "{why}");
    }
    let Worked::Replayed(replayed) = stage.work(Work::Replay(to("log.copy", true))).await else { panic!("it ends") };
    assert_eq!((replayed.published, replayed.failure), (plan.events, None));
    assert_eq!(stage.run("read copy -c").await.0.trim(), plan.events.to_string());
}
