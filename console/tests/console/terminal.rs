//! The built console on a pseudo-terminal, connected to a real service.

use std::{
    fs::File,
    io::{Read, Write},
    process::{Child, Command, ExitStatus},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use conformance::servers::{NatsOptions, NatsServer, Service, ServiceOptions, WAIT_MAX};
use nix::{
    pty::{Winsize, openpty},
    sys::{
        signal::{Signal, kill},
        termios::{Termios, tcgetattr},
    },
    unistd::Pid,
};

use tempfile::TempDir;

use super::QUAKES;

const COLUMNS: u16 = 120;
const ROWS: u16 = 40;
/// Interval between looks at the screen.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Events published per second while the console follows.
const RATE: u64 = 2_000;
/// Seconds of publishing.
const SECONDS: u64 = 3;

/// A console on a terminal.
struct Console {
    child: Child,
    keys: File,
    /// The console's side of the terminal. The console changes its settings and restores them.
    terminal: File,
    before: Termios,
    seen: Arc<Mutex<vt100::Parser>>,
    /// The bytes that were written to the terminal.
    bytes: Arc<AtomicUsize>,
    /// The directory in which the console keeps its state.
    memory: Option<TempDir>,
}

impl Console {
    fn open(url: &str) -> Self {
        Self::open_as(url, &[])
    }

    fn open_as(url: &str, flags: &[&str]) -> Self {
        let memory = tempfile::tempdir().expect("the system has a place for temporary files");
        Self::open_with(url, flags, memory, "C.UTF-8")
    }

    /// Opens a console in a locale that keeps its state in a directory.
    fn open_with(url: &str, flags: &[&str], memory: TempDir, locale: &str) -> Self {
        let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).expect("the system has a free pseudo-terminal");
        let (keys, terminal) = (File::from(pty.master), File::from(pty.slave));
        let before = tcgetattr(&terminal).expect("a pseudo-terminal is a terminal");
        let end = || terminal.try_clone().expect("the file can be cloned");
        let child = Command::new(env!("CARGO_BIN_EXE_hourlog"))
            .args(["--server", url, "--tz", "UTC", "--timeout", "2s"])
            .args(flags)
            .env("TERM", "xterm-256color")
            .env("XDG_STATE_HOME", memory.path())
            .env("LC_ALL", locale)
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("cargo has built the program");
        let seen = Arc::new(Mutex::new(vt100::Parser::new(ROWS, COLUMNS, 0)));
        let bytes = Arc::new(AtomicUsize::new(0));
        let (mut screen, parser) = (keys.try_clone().expect("the file can be cloned"), Arc::clone(&seen));
        let written = Arc::clone(&bytes);
        thread::spawn(move || {
            let mut bytes = [0; 1 << 16];
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                written.fetch_add(count, Relaxed);
                parser.lock().unwrap_or_else(PoisonError::into_inner).process(&bytes[..count]);
            }
        });
        Self { child, keys, terminal, before, seen, bytes, memory: Some(memory) }
    }

    /// Sends a signal to the console.
    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("the console runs");
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("the console reads its terminal");
    }

    fn text(&self) -> String {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).screen().contents()
    }

    /// Waits until the screen shows all of these texts, and returns how long that took.
    async fn shows(&self, texts: &[&str]) -> Duration {
        let begun = Instant::now();
        loop {
            let text = self.text();
            let Some(missing) = texts.iter().find(|wanted| !text.contains(**wanted)) else { return begun.elapsed() };
            assert!(begun.elapsed() < WAIT_MAX, "the screen does not show {missing:?}\n{text}");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until the screen does not show this text any more.
    async fn hides(&self, text: &str) {
        let begun = Instant::now();
        while self.text().contains(text) {
            assert!(begun.elapsed() < WAIT_MAX, "the screen still shows {text:?}\n{}", self.text());
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until the screen shows that an outage lasts for this many seconds or longer.
    async fn shows_an_outage_of(&self, seconds: f64) {
        let begun = Instant::now();
        let shown = |text: &str| text.split("since ").nth(1)?.split('s').next()?.parse::<f64>().ok();
        while shown(&self.text()).is_none_or(|shown| shown < seconds) {
            assert!(begun.elapsed() < WAIT_MAX, "the screen shows no outage of {seconds} s\n{}", self.text());
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until the console has exited, and asserts that it has restored the terminal.
    async fn exits(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("the console is our child") {
                let after = tcgetattr(&self.terminal).expect("a pseudo-terminal is a terminal");
                assert_eq!(after, self.before, "the console did not restore the terminal's settings");
                let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                assert!(
                    !seen.screen().alternate_screen() && !seen.screen().hide_cursor(),
                    "the console did not leave the alternate screen"
                );
                return status;
            }
            assert!(begun.elapsed() < WAIT_MAX, "the console does not exit\n{}", self.text());
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // Fails if the console has already exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn service() -> Service {
    let options = ServiceOptions::beside(env!("CARGO_BIN_EXE_hourlog"), &[]);
    Service::start(NatsServer::start().await, options).await
}

async fn import(service: &Service) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hourlog"));
    command.args(["import", QUAKES, "--server", &service.nats.url(), "--quiet"]);
    let status = tokio::task::spawn_blocking(move || command.status().expect("cargo has built the program")).await;
    assert!(status.expect("starting a program does not panic").success(), "importing the earthquakes failed");
}

/// Publishes numbered events at [`RATE`].
async fn publish(service: &Service, log: &str, numbers: std::ops::Range<u64>) {
    let client = service.remote().await.client().clone();
    let (begun, first) = (Instant::now(), numbers.start);
    for number in numbers {
        let due = Duration::from_micros((number - first) * 1_000_000 / RATE);
        // Reading the clock costs less than a timer for each event.
        if begun.elapsed() < due {
            tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
        }
        client.publish(format!("log.{log}"), format!("number {number}.").into()).await.expect("nats-server is running");
    }
    client.flush().await.expect("nats-server is running");
}

#[tokio::test(flavor = "multi_thread")]
async fn browsing_the_earthquakes_works_on_a_real_terminal() {
    let service = service().await;
    import(&service).await;
    let mut console = Console::open(&service.nats.url());
    console.shows(&["quakes  (12)", "  ak ", "  uw ", "297"]).await;
    console.press("/us\r\r");
    console.shows(&["quakes.us", "END", "bars of 3h · peak 9 at 02-04 12:00"]).await;
    console.press("t2018-02-06 15:50");
    console.shows(&["2018-02-06 15:50:00.000, "]).await;
    console.press("\r");
    console.shows(&["PAUSED  2018-02-06 Tue 15:50:00.000", "\"mag\": 6.4"]).await;
    console.press("--");
    console.shows(&["PAUSED  2018-02-06 Tue 15:50:00.000"]).await;
    console.press(">>>>>> ");
    console.shows(&["PLAY ×300 (5 min/s)"]).await;
    console.press(" G");
    console.shows(&["END  2018-02-06 Tue 23:43:51.840"]).await;
    console.press("qq");
    assert!(console.exits().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_follows_two_thousand_events_per_second_and_survives_a_killed_service() {
    let mut service = service().await;
    publish(&service, "orders", 0..10).await;
    let mut console = Console::open(&service.nats.url());
    console.shows(&["orders"]).await;
    console.press("\r");
    console.shows(&["LIVE", "number 9."]).await;
    publish(&service, "orders", 10..RATE * SECONDS).await;
    console.shows(&["LIVE", &format!("number {}.", RATE * SECONDS - 1)]).await;

    // Jumping loads events that were not in memory.
    console.press("g");
    console.shows(&["PAUSED", "number 0."]).await;
    console.press("G");
    console.shows(&["LIVE", &format!("number {}.", RATE * SECONDS - 1)]).await;

    // After a step back the view stays, whatever arrives.
    console.press("k");
    console.shows(&["PAUSED"]).await;
    publish(&service, "orders", RATE * SECONDS..RATE * SECONDS + 50).await;
    console.shows(&["↓ 50 new: G"]).await;
    assert!(!console.text().contains(&format!("number {}.", RATE * SECONDS + 49)), "{}", console.text());

    service.process.kill();
    console.shows(&["OFFLINE since ", "number 5998."]).await;
    publish(&service, "orders", 9_000..9_010).await;
    service.start_again().await;
    console.shows(&["online", "↓ 60 new: G"]).await;
    console.press("G");
    console.shows(&["LIVE", "number 9009."]).await;
    console.press("\x03");
    assert!(console.exits().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_down_is_reported_and_waited_for() {
    let mut console = Console::open("nats://127.0.0.1:1");
    console.shows(&["OFFLINE", "the service does not answer", "127.0.0.1:1", "hourlog doctor"]).await;
    console.press("qq");
    assert!(console.exits().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_request_names_its_subject_and_leaves_the_rest_usable() {
    let users = r#"
        authorization { users: [
            { user: service, password: s }
            { user: lister, password: l, permissions: { publish: ["hourlog.logs"], subscribe: ["_INBOX.>"] } }
            { user: reader, password: r, permissions: {
                publish: ["hourlog.logs", "hourlog.replay.>"], subscribe: ["_INBOX.>"] } }
            { user: watcher, password: w, permissions: {
                publish: ["hourlog.logs", "hourlog.status"], subscribe: ["_INBOX.>"] } }
            { user: deaf, password: d, permissions: { publish: ["hourlog.>"], subscribe: ["_INBOX_deaf.>"] } }
        ] }"#;
    let nats = NatsServer::start_with(NatsOptions { config: users.to_owned(), ..NatsOptions::default() }).await;
    let flags = ["--user", "service", "--password", "s"];
    let service = Service::start(nats, ServiceOptions::beside(env!("CARGO_BIN_EXE_hourlog"), &flags)).await;
    let url = service.nats.url();
    let published = Command::new(env!("CARGO_BIN_EXE_hourlog"))
        .args(["pub", "orders", "one", "--server", &url])
        .args(flags)
        .output();
    assert!(published.expect("cargo has built the program").status.success(), "publishing the event failed");

    let mut console = Console::open_as(&url, &["--user", "lister", "--password", "wrong"]);
    console.shows(&["NOT ALLOWED", "refuses the login"]).await;
    console.press("qq");
    assert!(console.exits().await.success());

    // Allowed requests work, and a denied one is reported with its subject.
    let mut console = Console::open_as(&url, &["--user", "lister", "--password", "l"]);
    console.shows(&["online", "orders"]).await;
    console.press("\r");
    console.shows(&["NOT ALLOWED", "hourlog.replay.orders"]).await;
    console.press("q");
    console.shows(&["online", "events/s"]).await;
    console.press("qq");
    assert!(console.exits().await.success());

    let mut console = Console::open_as(&url, &["--user", "reader", "--password", "r"]);
    console.shows(&["online", "orders"]).await;
    console.press("\r");
    console.shows(&["NOT ALLOWED", "one", "Pretty", "hourlog.timeline.orders"]).await;
    console.press("/one\r");
    console.shows(&["/ one", "hit 1 of 1"]).await;
    console.press("qq");
    assert!(console.exits().await.success());

    // Where the counts of the endpoints and the stream are denied, their subjects are named.
    let mut console = Console::open_as(&url, &["--user", "watcher", "--password", "w"]);
    console.shows(&["online", "orders"]).await;
    console.press("3");
    console
        .shows(&["1 of 1 answers", "\"$SRV.STATS.hourlog\"", "STREAM.INFO.HOURLOG\"", "they could not be read"])
        .await;
    console.shows(&["stream HOURLOG"]).await;
    console.press("qq");
    assert!(console.exits().await.success());

    // A user who may not receive replies sees that, not that the service is down, also after
    // retries.
    let mut console = Console::open_as(&url, &["--user", "deaf", "--password", "d"]);
    console.shows(&["NOT ALLOWED", "Subscription to", "_INBOX"]).await;
    console.shows_an_outage_of(5.0).await;
    assert!(!console.text().contains("OFFLINE"), "{}", console.text());
    console.press("qq");
    assert!(console.exits().await.success());
}

/// Opens the log of the earthquakes in the United States, with the playhead on its newest event.
async fn opened(service: &Service) -> Console {
    import(service).await;
    let mut console = Console::open(&service.nats.url());
    console.shows(&["quakes  (12)", "online"]).await;
    console.press("/us\r\r");
    console.shows(&["quakes.us", "Pretty", "scrub"]).await;
    console
}

#[tokio::test(flavor = "multi_thread")]
async fn an_arrow_whose_bytes_come_apart_is_an_arrow() {
    let service = service().await;
    let mut console = opened(&service).await;
    let mut arrows = 0;
    for round in 0..20 {
        console.press("\x1b");
        let begun = Instant::now();
        tokio::time::sleep(Duration::from_millis(30)).await;
        console.press("[A");
        // A busy machine may have made the pause longer than that of any terminal.
        let is_one_key = begun.elapsed() < Duration::from_millis(45);
        tokio::time::sleep(Duration::from_millis(30)).await;
        let text = console.text();
        assert!(!is_one_key || !text.contains("q goes back"), "Esc was pressed in round {round}\n{text}");
        arrows += u32::from(is_one_key);
    }
    assert!(arrows > 0, "no pause was short enough");
    console.shows(&["PAUSED"]).await;
    // A lone escape never leaves the log.
    console.press("\x1b");
    console.shows(&["q goes back", "Pretty"]).await;
    console.press("q");
    console.shows(&["last event"]).await;
    console.press("qq");
    assert!(console.exits().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paste_runs_nothing() {
    let service = service().await;
    let mut console = opened(&service).await;
    let paste = |text: &str| format!("\x1b[200~{text}\x1b[201~");
    // As keys, it would quit.
    console.press(&paste("quit now\rq"));
    console.shows(&["search", "quit now"]).await;
    console.press("\x1b");
    console.hides("quit now").await;
    console.press(&paste("2018-02-06 15:50:42"));
    console.shows(&["2018-02-06 15:50:42"]).await;
    console.press(&paste(".400\n"));
    console.press("\r");
    console.shows(&["Hualian", "PAUSED"]).await;
    console.press("qq");
    assert!(console.exits().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_log_writes_nothing_to_the_terminal() {
    let service = service().await;
    let mut console = opened(&service).await;
    console.press("gjj");
    console.shows(&["PAUSED", "online"]).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = console.bytes.load(Relaxed);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(console.bytes.load(Relaxed) - before, 0, "bytes were written in ten seconds\n{}", console.text());
    // Ctrl-L removes the text of another program.
    console.seen.lock().unwrap_or_else(PoisonError::into_inner).process(b"\x1b[5;5Hrubbish");
    assert!(console.text().contains("rubbish"));
    console.press("\x0c");
    console.hides("rubbish").await;
    console.shows(&["PAUSED", "Pretty"]).await;
    console.press("qq");
    assert!(console.exits().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_leave_the_terminal_whole() {
    let service = service().await;
    for signal in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGHUP] {
        let mut console = Console::open(&service.nats.url());
        console.shows(&["online"]).await;
        console.signal(signal);
        assert!(console.exits().await.success(), "{signal}");
    }
    let mut console = Console::open(&service.nats.url());
    console.shows(&["online"]).await;
    console.signal(Signal::SIGTSTP);
    let begun = Instant::now();
    while console.seen.lock().unwrap_or_else(PoisonError::into_inner).screen().alternate_screen() {
        assert!(begun.elapsed() < WAIT_MAX, "the console does not stop");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    let stopped = tcgetattr(&console.terminal).expect("a pseudo-terminal is a terminal");
    assert_eq!(stopped, console.before, "the shell gets the terminal as it was");
    console.signal(Signal::SIGCONT);
    console.shows(&["online", "log"]).await;
    console.press("qq");
    assert!(console.exits().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_shows_what_has_changed() {
    let service = service().await;
    import(&service).await;
    let mut console = Console::open(&service.nats.url());
    console.shows(&["quakes  (12)", "  ak ", "  uw ", "297"]).await;
    publish(&service, "orders", 0..7).await;
    console.shows(&["orders"]).await;
    publish(&service, "quakes.ak", 0..3).await;
    console.shows(&["300"]).await;
    let remote = service.remote().await;
    let uw = "quakes.uw".parse().expect("a valid id");
    remote.delete(&uw, &hourlog::wire::DeleteRequest::default()).await.expect("the log is deleted");
    console.hides("  uw ").await;
    console.shows(&["quakes  (11)", "orders"]).await;
    console.press("qq");
    assert!(console.exits().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_screen_of_the_service_shows_a_real_one_and_its_restart() {
    let mut service = service().await;
    publish(&service, "orders", 0..5).await;
    let mut console = Console::open(&service.nats.url());
    console.shows(&["orders"]).await;
    console.press("3");
    console.shows(&["1 of 1 answers", "endpoints of", " logs ", " status ", "without a request"]).await;
    console.shows(&["stream HOURLOG", "nothing waits", "since ", "one scale for all strips"]).await;
    service.process.kill();
    console.shows(&["OFFLINE since", "0 of 1 answer", "has not answered since"]).await;
    service.start_again().await;
    // Another run is another instance.
    console.shows(&["online", "1 of 2 answer"]).await;
    console.press("4");
    console.shows(&["the service answers again, after ", "no hourlogd answers on"]).await;
    console.press("q1");
    console.shows(&["orders", "events/s"]).await;
    console.press("q");
    assert!(console.exits().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_as_it_was_left_when_the_console_is_opened_again() {
    let service = service().await;
    let mut console = opened(&service).await;
    console.press("t2018-02-06 15:50:42.4\r");
    console.shows(&["PAUSED  2018-02-06 Tue 15:50:42.400"]).await;
    console.press("m&json.mag >= 5\r");
    console.shows(&["PAUSED  2018-02-06 Tue 15:50:42.400", "& json.mag >= 5  ", "◆15:50:42.400"]).await;
    console.press("qq");
    assert!(console.exits().await.success());
    let memory = console.memory.take().expect("it has a directory");
    let mut console = Console::open_with(&service.nats.url(), &["quakes.us"], memory, "C.UTF-8");
    console.shows(&["PAUSED  2018-02-06 Tue 15:50:42.400", "& json.mag >= 5  ", "◆15:50:42.400"]).await;
    console.press("qq");
    assert!(console.exits().await.success());
    let memory = console.memory.take().expect("it has a directory");
    let mut console = Console::open_with(&service.nats.url(), &["quakes.us", "--fresh"], memory, "C.UTF-8");
    console.shows(&["END  2018-02-06 Tue 23:43:51.840"]).await;
    console.press("qq");
    assert!(console.exits().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locale_without_utf8_gets_ascii_only() {
    let service = service().await;
    import(&service).await;
    let memory = tempfile::tempdir().expect("the system has a place for temporary files");
    let mut console = Console::open_with(&service.nats.url(), &["quakes.us"], memory, "de_DE.ISO-8859-1");
    console.shows(&["quakes.us", "Pretty", "[", "all of it"]).await;
    assert!(console.text().is_ascii(), "{}", console.text());
    console.press("qq");
    assert!(console.exits().await.success());
}
