//! The built console on a terminal of its own, over a real service.

use std::{
    fs::File,
    io::{Read, Write},
    process::{Child, Command, ExitStatus},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use conformance::servers::{LONG, NatsOptions, NatsServer, Service, ServiceOptions};
use nix::{
    pty::{Winsize, openpty},
    sys::termios::{Termios, tcgetattr},
};

use super::QUAKES;

const COLUMNS: u16 = 120;
const ROWS: u16 = 40;
/// How often the screen is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Events a second of who publishes while the console follows.
const RATE: u64 = 2_000;
/// For so many seconds.
const SECONDS: u64 = 3;

/// A console on a terminal.
struct Console {
    child: Child,
    keys: File,
    /// The terminal's other side, whose settings the console changes and gives back.
    terminal: File,
    before: Termios,
    seen: Arc<Mutex<vt100::Parser>>,
}

impl Console {
    fn open(url: &str) -> Self {
        Self::open_as(url, &[])
    }

    fn open_as(url: &str, flags: &[&str]) -> Self {
        let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).expect("the system has a terminal left");
        let (keys, terminal) = (File::from(pty.master), File::from(pty.slave));
        let before = tcgetattr(&terminal).expect("it is a terminal");
        let end = || terminal.try_clone().expect("it can be shared");
        let child = Command::new(env!("CARGO_BIN_EXE_hourlog"))
            .args(["--server", url, "--tz", "UTC", "--timeout", "2s"])
            .args(flags)
            .env("TERM", "xterm-256color")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("the binary is there");
        let seen = Arc::new(Mutex::new(vt100::Parser::new(ROWS, COLUMNS, 0)));
        let (mut screen, parser) = (keys.try_clone().expect("it can be shared"), Arc::clone(&seen));
        thread::spawn(move || {
            let mut bytes = [0; 1 << 16];
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                parser.lock().unwrap_or_else(PoisonError::into_inner).process(&bytes[..count]);
            }
        });
        Self { child, keys, terminal, before, seen }
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("somebody reads");
    }

    fn text(&self) -> String {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).screen().contents()
    }

    /// Waits until all of these are on the screen, and answers how long that took.
    async fn sees(&self, texts: &[&str]) -> Duration {
        let begun = Instant::now();
        loop {
            let text = self.text();
            let Some(missing) = texts.iter().find(|wanted| !text.contains(**wanted)) else { return begun.elapsed() };
            assert!(begun.elapsed() < LONG, "{missing:?} is not to be seen\n{text}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until it has ended, and whether the terminal is what it was.
    async fn ends(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                let after = tcgetattr(&self.terminal).expect("it is a terminal");
                assert_eq!(after, self.before, "the terminal's settings are not what they were");
                let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                assert!(
                    !seen.screen().alternate_screen() && !seen.screen().hide_cursor(),
                    "the screen is not given back"
                );
                return status;
            }
            assert!(begun.elapsed() < LONG, "it does not end\n{}", self.text());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // It may have ended.
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
    let status = tokio::task::spawn_blocking(move || command.status().expect("the binary is there")).await;
    assert!(status.expect("it does not panic").success(), "the earthquakes could not be imported");
}

/// Publishes numbered events, so many a second.
async fn publish(service: &Service, log: &str, numbers: std::ops::Range<u64>) {
    let client = service.remote().await.client().clone();
    let (begun, first) = (Instant::now(), numbers.start);
    for number in numbers {
        let due = Duration::from_micros((number - first) * 1_000_000 / RATE);
        // Asking the clock costs less than a timer for each event.
        if begun.elapsed() < due {
            tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
        }
        client.publish(format!("log.{log}"), format!("number {number}.").into()).await.expect("it is sent");
    }
    client.flush().await.expect("it is sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_through_the_earthquakes_on_a_real_terminal() {
    let service = service().await;
    import(&service).await;
    let mut console = Console::open(&service.nats.url());
    console.sees(&["quakes.ak", "quakes.uw", "297"]).await;
    console.types("/us\r\r");
    console.sees(&["quakes.us", "LIVE", "168 events in window"]).await;
    console.types("t2018-02-06 15:50");
    console.sees(&["2018-02-06 15:50:00.000, "]).await;
    console.types("\r");
    console.sees(&["PAUSED 2018-02-06 15:50:00.000", "\"mag\": 6.4"]).await;
    console.types("--");
    console.sees(&["PAUSED 2018-02-06 15:50:00.000"]).await;
    console.types(">>>>>> ");
    console.sees(&["PLAY ×64"]).await;
    console.types(" G");
    console.sees(&["LIVE 2018-02-06 23:43:51.840"]).await;
    console.types("q");
    assert!(console.ends().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_followed_while_two_thousand_a_second_come_in_and_the_service_is_killed() {
    let mut service = service().await;
    publish(&service, "orders", 0..10).await;
    let mut console = Console::open(&service.nats.url());
    console.sees(&["orders"]).await;
    console.types("\r");
    console.sees(&["LIVE", "number 9."]).await;
    publish(&service, "orders", 10..RATE * SECONDS).await;
    console.sees(&["LIVE", &format!("number {}.", RATE * SECONDS - 1)]).await;

    // What is not loaded is, where one goes there.
    console.types("g");
    console.sees(&["PAUSED", "number 0."]).await;
    console.types("G");
    console.sees(&["LIVE", &format!("number {}.", RATE * SECONDS - 1)]).await;

    // A step back: the view stands still, whatever comes.
    console.types("k");
    console.sees(&["PAUSED"]).await;
    publish(&service, "orders", RATE * SECONDS..RATE * SECONDS + 50).await;
    console.sees(&["↓ 50 new: G"]).await;
    assert!(!console.text().contains(&format!("number {}.", RATE * SECONDS + 49)), "{}", console.text());

    service.process.kill();
    console.sees(&["OFFLINE", "PAUSED"]).await;
    publish(&service, "orders", 9_000..9_010).await;
    service.start_again().await;
    console.sees(&["online", "↓ 60 new: G"]).await;
    console.types("G");
    console.sees(&["LIVE", "number 9009."]).await;
    console.types("\x03");
    assert!(console.ends().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_there_is_said_and_waited_for() {
    let mut console = Console::open("nats://127.0.0.1:1");
    console.sees(&["OFFLINE", "the service does not answer", "127.0.0.1:1", "hourlog doctor"]).await;
    console.types("q");
    assert!(console.ends().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_turned_away_is_told_by_what_and_keeps_what_is_allowed() {
    let users = r#"
        authorization { users: [
            { user: service, password: s }
            { user: lister, password: l, permissions: { publish: ["hourlog.logs"], subscribe: ["_INBOX.>"] } }
            { user: reader, password: r, permissions: {
                publish: ["hourlog.logs", "hourlog.replay.>"], subscribe: ["_INBOX.>"] } }
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
    assert!(published.expect("the binary is there").status.success(), "the event could not be published");

    let mut console = Console::open_as(&url, &["--user", "lister", "--password", "wrong"]);
    console.sees(&["NOT ALLOWED", "does not let us in"]).await;
    console.types("q");
    assert!(console.ends().await.success());

    // What is allowed is there, and what is not is said by its name.
    let mut console = Console::open_as(&url, &["--user", "lister", "--password", "l"]);
    console.sees(&["online", "orders"]).await;
    console.types("\r");
    console.sees(&["NOT ALLOWED", "hourlog.replay.orders"]).await;
    console.types("\x1b");
    console.sees(&["online", "events/s"]).await;
    console.types("q");
    assert!(console.ends().await.success());

    let mut console = Console::open_as(&url, &["--user", "reader", "--password", "r"]);
    console.sees(&["online", "orders"]).await;
    console.types("\r");
    console.sees(&["NOT ALLOWED", "one", "Pretty", "hourlog.timeline.orders"]).await;
    console.types("/one\r");
    console.sees(&["search: one", "1 hit "]).await;
    console.types("q");
    assert!(console.ends().await.success());

    // Asked again and again, who cannot hear the answers is not told that nobody is there.
    let mut console = Console::open_as(&url, &["--user", "deaf", "--password", "d"]);
    console.sees(&["NOT ALLOWED", "Subscription to", "_INBOX"]).await;
    console.sees(&["since 5."]).await;
    assert!(!console.text().contains("OFFLINE"), "{}", console.text());
    console.types("q");
    assert!(console.ends().await.success());
}
