//! A console without a terminal or a service: tests press keys and read the screen.

use std::{
    io::{self, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering::Relaxed},
    },
};

use console::tui::{
    backend::{Arrivals, Source, answer, scan},
    key::Key,
    loaded::FetchedEvents,
    msg::{Effect, Msg},
    scan::Direction,
    state::State,
    update::update,
    view::{Looks, view},
};
use futures_util::StreamExt;
use hourlog::{
    Cursor, Error, ErrorKind, Event, LogId, Memory, Offset, Position, Record, Result, Seq,
    read::{Counting, End, Query, ahead, describe, histogram, page},
    store::{Arrival, EventRow, Store, Width, Write as Put},
    wire::{AheadReply, BinReply, LogReply, LogsReply, RecentReply, TimelineReply},
};
use jiff::tz::TimeZone;
use ratatui::{Terminal, TerminalOptions, Viewport, backend::CrosstermBackend, layout::Rect};

pub(crate) const DAY: i64 = 86_400_000_000_000;
const MINUTE: i64 = 60_000_000_000;
const SECOND: i64 = 1_000_000_000;
/// Start of the day of the events: 2018-02-04.
const START: i64 = 17_566 * DAY;
/// Interval between ticks.
const TICK_MILLIS: i64 = 50;

/// Terminal sizes to test.
pub(crate) const SIZES: [(u16, u16); 7] = [(200, 60), (120, 40), (80, 24), (60, 20), (40, 10), (39, 9), (1, 1)];

/// An archive in memory that can be down or deny access.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    store: Memory,
    down: AtomicBool,
    denied: AtomicBool,
    requests: AtomicUsize,
    /// The time of its clock.
    now: AtomicI64,
}

impl Archive {
    fn count_request(&self) -> Result<()> {
        self.requests.fetch_add(1, Relaxed);
        if self.denied.load(Relaxed) {
            return Err(Error::new(ErrorKind::NotAllowed, "the server does not let you publish to hourlog.logs"));
        }
        if self.down.load(Relaxed) {
            return Err(Error::new(ErrorKind::Unavailable, "nobody answers"));
        }
        Ok(())
    }

    /// The time of its clock.
    fn now(&self) -> Offset {
        Offset::from_nanos(self.now.load(Relaxed))
    }

    /// The latest time that does not lie ahead of now.
    fn ahead_limit(&self) -> Offset {
        self.now().saturating_add_nanos(Record::AHEAD_NANOS_MAX)
    }

    /// The position after everything that does not lie ahead of now.
    fn ahead_from(&self) -> Option<Position> {
        Some(Position::at(self.ahead_limit().saturating_add_nanos(1)))
    }

    async fn put(&self, log: &str, number: u64, offset: i64, record: Record) -> Event {
        let log: LogId = log.parse().expect("the id is valid");
        let at = Offset::from_nanos(offset);
        let row =
            EventRow::new(&log, Arrival { offset: at, time: at, max_time: at, seq: Seq::new(1, number + 1) }, record);
        let event = row.event.clone();
        let rows: Arc<[EventRow]> = Arc::from([row]);
        self.store
            .write(vec![Put::Events { log, rows, width: Width::default() }])
            .await
            .expect("writing to memory succeeds");
        event
    }
}

impl Source for Archive {
    async fn logs(&self) -> Result<LogsReply> {
        self.count_request()?;
        let mut logs = Vec::new();
        for (id, _) in self.store.logs(None, 1_000).await? {
            let found = describe(&self.store, &id).await?;
            let (first, last) = (found.first, found.last);
            logs.push(LogReply {
                log: id,
                events: found.count,
                bytes: found.bytes,
                first,
                last,
                ahead: None,
                recent: RecentReply { to: self.now(), counts: vec![0, 0, 0, 0, 0, 30, 0, 0] },
                rate: Some(0.75),
                retention_seconds: None,
                retention_rule: None,
                strip: None,
            });
        }
        let (next, of, mark) = (None, None, None);
        Ok(LogsReply { logs, now: self.now(), next, of, gone: Vec::new(), mark, is_mark_unknown: false })
    }

    async fn newest(&self, log: &LogId, limit: u32) -> Result<FetchedEvents> {
        self.count_request()?;
        let query = Query { to: self.ahead_from(), limit: limit as usize, reverse: true, ..Query::ALL };
        let page = page(&self.store, log, &query, Seq::MAX).await?;
        let ahead = ahead(&self.store, log, self.ahead_limit()).await?;
        let events = page.events.into_iter().rev().collect();
        Ok(FetchedEvents { events, first_reached: page.end != End::More, last_reached: ahead.is_none() })
    }

    async fn page(&self, log: &LogId, from: Position, direction: Direction, limit: u32) -> Result<(Vec<Event>, bool)> {
        self.count_request()?;
        let backwards = direction == Direction::Backward;
        let query = Query { limit: limit as usize, reverse: backwards, ..Query::ALL };
        let query = if backwards { Query { to: Some(from), ..query } } else { Query { from, ..query } };
        let page = page(&self.store, log, &query, Seq::MAX).await?;
        Ok((page.events, page.end != End::More))
    }

    async fn count(&self, log: &LogId, span: Option<(Offset, Offset)>, bins: u32) -> Result<TimelineReply> {
        self.count_request()?;
        let (from, to) = match span {
            Some(span) => span,
            None => {
                let first = describe(&self.store, log).await?.first.unwrap_or(Offset::MIN);
                let query = Query { to: self.ahead_from(), limit: 1, reverse: true, ..Query::ALL };
                let newest = page(&self.store, log, &query, Seq::MAX).await?;
                let last = newest.events.first().map_or(first, |event| event.position.offset);
                (first, last.saturating_add_nanos(1))
            }
        };
        let counting = Counting::new(Counting::equal_bins(from, to, bins as usize)?);
        let found = histogram(&self.store, log, &counting).await?;
        let bins = found.bins.iter().map(|bin| BinReply { from: bin.from, to: bin.to, count: bin.count }).collect();
        let ahead = ahead(&self.store, log, self.ahead_limit()).await?.map(AheadReply::from);
        Ok(TimelineReply { count: found.count, bins, ahead, ..TimelineReply::empty(from, to, self.now()) })
    }

    async fn newest_arrival(&self, _: &LogId) -> Result<Option<Cursor>> {
        self.count_request()?;
        Ok(None)
    }

    async fn arrivals(&self, _: &LogId, after: Option<Cursor>) -> Result<Arrivals> {
        self.count_request()?;
        Ok(Arrivals { events: Vec::new(), next: after, moved: None })
    }
}

/// The bytes that a terminal would receive.
#[derive(Debug, Clone, Default)]
struct Wire(Arc<Mutex<Vec<u8>>>);

impl Wire {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns a cleared terminal.
fn terminal(wire: &Wire, columns: u16, rows: u16) -> Terminal<CrosstermBackend<Wire>> {
    let viewport = Viewport::Fixed(Rect::new(0, 0, columns, rows));
    Terminal::with_options(CrosstermBackend::new(wire.clone()), TerminalOptions { viewport })
        .expect("writing to memory succeeds")
}

/// A console, with methods for everything that a user or the service does to it.
pub(crate) struct Harness {
    pub(crate) archive: Archive,
    state: State,
    looks: Looks,
    wire: Wire,
    terminal: Terminal<CrosstermBackend<Wire>>,
    seen: vt100::Parser,
    followed: Option<(u64, LogId)>,
    /// The log whose following has just begun.
    begun: Option<u64>,
    quit: bool,
    copied: Option<String>,
    received: u64,
    /// Requests without a reply, while replies are held.
    held: Option<Vec<Effect>>,
}

impl Harness {
    /// Opens a console on two logs: `quakes` has an event for each minute of 2018-02-04, and
    /// `sparse` has two events, a year apart.
    pub(crate) async fn open(columns: u16, rows: u16) -> Self {
        let archive = Archive::default();
        for minute in 0..1_440 {
            let record = Record::new(format!("{{\"minute\":{minute}}}")).with("kind", "every-minute");
            archive.put("quakes", minute, START + minute.cast_signed() * MINUTE, record).await;
        }
        for (number, year) in [(5_000, 0), (5_001, 365)] {
            archive.put("sparse", number, START - year * DAY, Record::new("a year")).await;
        }
        Self::over(archive, columns, rows, Looks { mono: false, ascii: false }).await
    }

    /// Opens a console in a log with `events` events, spread over 2018-02-04.
    pub(crate) async fn large(events: u64, columns: u16, rows: u16) -> Self {
        const BATCH: usize = 5_000;
        let archive = Archive::default();
        let log: LogId = "large".parse().expect("the id is valid");
        let numbers: Vec<u64> = (0..events).collect();
        for batch in numbers.chunks(BATCH) {
            let row = |number: &u64| {
                let at = Offset::from_nanos(START + (DAY / events.cast_signed()) * number.cast_signed());
                let record = Record::new(format!("{{\"number\":{number},\"text\":\"{:0>200}\"}}", number));
                EventRow::new(
                    &log,
                    Arrival { offset: at, time: at, max_time: at, seq: Seq::new(1, number + 1) },
                    record,
                )
            };
            let rows: Arc<[EventRow]> = batch.iter().map(row).collect();
            archive
                .store
                .write(vec![Put::Events { log: log.clone(), rows, width: Width::default() }])
                .await
                .expect("writing to memory succeeds");
        }
        let mut console = Self::over(archive, columns, rows, Looks { mono: false, ascii: false }).await;
        console.press("enter").await;
        console
    }

    /// Opens a console like [`Harness::open`], without colours and in ASCII only.
    pub(crate) async fn plain(columns: u16, rows: u16) -> Self {
        let mut console = Self::open(columns, rows).await;
        console.looks = Looks { mono: true, ascii: true };
        console.resize(columns, rows).await;
        console
    }

    /// Opens a console on one log with this id and an event, and opens the log.
    pub(crate) async fn log_named(id: &str, columns: u16, rows: u16) -> Self {
        let archive = Archive::default();
        archive.put(id, 0, START, Record::new("x")).await;
        let mut console = Self::over(archive, columns, rows, Looks { mono: false, ascii: false }).await;
        console.press("enter").await;
        console
    }

    /// Opens a console on one log with one event, which lies this long after the others.
    pub(crate) async fn log_at(id: &str, after: i64, columns: u16, rows: u16) -> Self {
        let archive = Archive::default();
        archive.put(id, 0, START + after, Record::new("ahead of its time")).await;
        let mut console = Self::over(archive, columns, rows, Looks { mono: false, ascii: false }).await;
        console.press("enter").await;
        console
    }

    /// Opens another console on the same archive, and a log in it.
    pub(crate) async fn reopened(self, id: &str) -> Self {
        let (columns, rows) = self.state.size;
        let mut console = Self::over(self.archive, columns, rows, self.looks).await;
        console.press("/").await;
        console.type_text(id).await;
        console.press("enter enter").await;
        console
    }

    /// Opens a console and a log in it.
    pub(crate) async fn log(id: &str, columns: u16, rows: u16) -> Self {
        let mut console = Self::open(columns, rows).await;
        console.press("/").await;
        console.type_text(id).await;
        console.press("enter enter").await;
        console
    }

    /// Opens a console on `archive`.
    pub(crate) async fn over(archive: Archive, columns: u16, rows: u16, looks: Looks) -> Self {
        crossterm::style::force_color_output(true);
        let now = Offset::from_nanos(START + DAY);
        archive.now.store(now.nanos(), Relaxed);
        let mut state = State::new(TimeZone::UTC, now, "nats://here".to_owned());
        state.size = (columns, rows);
        let wire = Wire::default();
        let terminal = terminal(&wire, columns, rows);
        let seen = vt100::Parser::new(rows, columns, 0);
        let mut console = Self {
            archive,
            state,
            looks,
            wire,
            terminal,
            seen,
            followed: None,
            begun: None,
            quit: false,
            copied: None,
            received: 0,
            held: None,
        };
        console.handle(Msg::Tick(now)).await;
        console
    }

    /// Handles a message, and every reply to the requests that follow from it.
    pub(crate) async fn handle(&mut self, msg: Msg) {
        let mut asks = self.apply(msg);
        if let Some(held) = &mut self.held {
            held.append(&mut asks);
        }
        loop {
            while let Some(ask) = (!asks.is_empty()).then(|| asks.remove(0)) {
                for reply in self.replies_to(ask).await {
                    asks.extend(self.apply(reply));
                }
            }
            let Some(opened) = self.begun.take() else { break };
            asks = self.apply(Msg::FollowStarted { opened });
        }
        self.draw();
    }

    /// Updates the state, and returns the requests that follow.
    fn apply(&mut self, msg: Msg) -> Vec<Effect> {
        let mut asks = Vec::new();
        for effect in update(&mut self.state, msg) {
            match effect {
                Effect::Ask(_) | Effect::Scan { .. } => asks.push(effect),
                Effect::Follow { opened, log } => {
                    self.begun = Some(opened);
                    self.followed = Some((opened, log));
                }
                Effect::StopFollowing => self.followed = None,
                Effect::Quit => self.quit = true,
                Effect::Copy(text) => self.copied = Some(text),
                Effect::StopScanning | Effect::Suspend | Effect::Redraw => {}
            }
        }
        asks
    }

    /// Returns the messages that the backend would send for a request.
    async fn replies_to(&self, ask: Effect) -> Vec<Msg> {
        match ask {
            Effect::Ask(ask) => vec![answer(&self.archive, ask).await],
            Effect::Scan { opened, number, log, pattern, progress } => {
                let pages = scan(&self.archive, &log, &pattern, progress);
                pages.map(|page| Msg::Scanned { opened, number, page }).collect().await
            }
            other => panic!("{other:?} is not a request"),
        }
    }

    fn draw(&mut self) {
        let (state, looks) = (&self.state, self.looks);
        self.terminal.draw(|frame| view(state, looks, frame)).expect("writing to memory succeeds");
        self.seen.process(&self.wire.take());
    }

    /// Presses keys, named as in the keymap and separated by blanks.
    pub(crate) async fn press(&mut self, keys: &str) {
        for key in keys.split(' ') {
            self.handle(Msg::Key(key.parse().unwrap_or_else(|()| panic!("unknown key {key}")))).await;
        }
    }

    /// Types a text, letter by letter.
    pub(crate) async fn type_text(&mut self, text: &str) {
        for letter in text.chars() {
            self.handle(Msg::Key(Key::from(letter))).await;
        }
    }

    /// Holds a key down: it repeats before any reply is handled.
    pub(crate) async fn hold(&mut self, key: &str, times: usize) {
        let key: Key = key.parse().expect("the key is known");
        let mut asks = Vec::new();
        for _ in 0..times {
            asks.extend(self.apply(Msg::Key(key)));
        }
        self.answer(asks).await;
    }

    /// Advances the time, tick by tick.
    pub(crate) async fn advance(&mut self, millis: i64) {
        for _ in 0..millis / TICK_MILLIS {
            let passed = TICK_MILLIS * SECOND / 1_000;
            self.archive.now.fetch_add(passed, Relaxed);
            self.handle(Msg::Tick(self.state.now.saturating_add_nanos(passed))).await;
        }
    }

    /// Writes events to a log. The console receives them if it follows the log.
    pub(crate) async fn receive(&mut self, log: &str, count: u64) {
        let mut events = Vec::new();
        for _ in 0..count {
            self.received += 1;
            let offset = START + DAY + self.received.cast_signed() * SECOND;
            events.push(self.archive.put(log, 10_000 + self.received, offset, Record::new("late")).await);
        }
        if let Some((opened, _)) = self.followed.clone().filter(|(_, followed)| followed.as_str() == log) {
            self.handle(Msg::Arrived { opened, events: Ok(events) }).await;
        }
    }

    /// Sets the service's clock by this much; the console's own stays.
    pub(crate) fn set_service_clock(&self, nanos: i64) {
        self.archive.now.fetch_add(nanos, Relaxed);
    }

    /// Writes an event to the open log, which the console follows.
    pub(crate) async fn receive_at(&mut self, number: u64, offset: i64) {
        let (opened, log) = self.followed.clone().expect("a log is followed");
        let event = self.archive.put(log.as_str(), 30_000 + number, offset, Record::new("ahead")).await;
        self.handle(Msg::Arrived { opened, events: Ok(vec![event]) }).await;
    }

    /// Writes events with one time to a log, which the console follows.
    pub(crate) async fn receive_at_one_time(&mut self, log: &str, count: u64) {
        let mut events = Vec::new();
        for number in 0..count {
            let record = Record::new(format!("{{\"together\":{number}}}"));
            events.push(self.archive.put(log, 15_000 + number, START + DAY + SECOND, record).await);
        }
        let (opened, _) = self.followed.clone().expect("a log is followed");
        self.handle(Msg::Arrived { opened, events: Ok(events) }).await;
    }

    /// Writes a record to the open log, which the console follows.
    pub(crate) async fn receive_record(&mut self, number: u64, record: Record) {
        let (opened, log) = self.followed.clone().expect("a log is followed");
        let offset = START + DAY + 120 * SECOND + number.cast_signed() * SECOND;
        let event = self.archive.put(log.as_str(), 20_000 + number, offset, record).await;
        self.handle(Msg::Arrived { opened, events: Ok(vec![event]) }).await;
    }

    /// Resizes the terminal.
    pub(crate) async fn resize(&mut self, columns: u16, rows: u16) {
        self.terminal = terminal(&self.wire, columns, rows);
        self.seen = vt100::Parser::new(rows, columns, 0);
        self.handle(Msg::Resize(columns, rows)).await;
    }

    /// Makes the archive fail every request with `Unavailable`, or work again.
    pub(crate) fn set_down(&self, down: bool) {
        self.archive.down.store(down, Relaxed);
    }

    /// Makes the archive fail every request with `NotAllowed`, or work again.
    pub(crate) fn set_denied(&self, denied: bool) {
        self.archive.denied.store(denied, Relaxed);
    }

    /// Holds all replies from now on.
    pub(crate) fn hold_replies(&mut self) {
        self.held = Some(Vec::new());
    }

    /// Replies to every held request, and to later requests at once.
    pub(crate) async fn release_replies(&mut self) {
        let held = self.held.take().unwrap_or_default();
        self.answer(held).await;
    }

    async fn answer(&mut self, asks: Vec<Effect>) {
        for ask in asks {
            for reply in self.replies_to(ask).await {
                self.handle(reply).await;
            }
        }
    }

    /// Handles the first `count` replies to each held request, drops the others, and goes on
    /// holding.
    pub(crate) async fn release_first_replies(&mut self, count: usize) {
        let held = self.held.replace(Vec::new()).unwrap_or_default();
        for ask in held {
            for reply in self.replies_to(ask).await.into_iter().take(count) {
                self.handle(reply).await;
            }
        }
    }

    /// Presses a key, and returns whether the console quits.
    pub(crate) async fn quits(&mut self, key: &str) -> bool {
        self.press(key).await;
        self.quit
    }

    /// The text in the clipboard.
    pub(crate) fn copied(&self) -> &str {
        self.copied.as_deref().expect("the console has copied a text")
    }

    /// Number of columns in which the scrubber's bars are reversed.
    pub(crate) fn reversed_bars(&self) -> usize {
        const BARS_FROM_BOTTOM: u16 = 5;
        let screen = self.seen.screen();
        let (rows, columns) = screen.size();
        (0..columns)
            .filter(|column| screen.cell(rows - BARS_FROM_BOTTOM, *column).is_some_and(vt100::Cell::inverse))
            .count()
    }

    /// Number of requests so far.
    pub(crate) fn request_count(&self) -> usize {
        self.archive.requests.load(Relaxed)
    }

    /// Number of events in memory.
    pub(crate) fn loaded_count(&self) -> usize {
        self.state.log.as_ref().expect("a log is open").loaded.events().len()
    }

    /// Time of the playhead.
    pub(crate) fn playhead(&self) -> Offset {
        self.state.log.as_ref().expect("a log is open").playhead.offset
    }

    /// Position of the playhead.
    pub(crate) fn position(&self) -> Position {
        self.state.log.as_ref().expect("a log is open").playhead
    }

    /// The rows of the list, at most 40 columns of each.
    pub(crate) fn list(&self) -> Vec<String> {
        const ROWS_BELOW: u16 = 6;
        let (rows, _) = self.seen.screen().size();
        (1..rows - ROWS_BELOW).map(|row| self.seen.screen().contents_between(row, 0, row, 40)).collect()
    }

    /// Time between two columns of the scrubber.
    pub(crate) fn bin_nanos(&self) -> i64 {
        self.state.log.as_ref().expect("a log is open").bin_nanos()
    }

    /// The text on the screen, without trailing blanks.
    pub(crate) fn text(&self) -> String {
        self.seen.screen().contents()
    }

    /// Asserts that the screen shows all of these texts.
    pub(crate) async fn shows(&self, texts: &[&str]) {
        for text in texts {
            assert!(self.text().contains(text), "the screen does not show {text:?}\n{}", self.text());
        }
    }

    /// The row of the cursor, which is drawn reversed.
    pub(crate) fn cursor_row(&self) -> String {
        let screen = self.seen.screen();
        let (rows, columns) = screen.size();
        let reversed = |row: u16| screen.cell(row, 3).is_some_and(vt100::Cell::inverse);
        let row = (1..rows.saturating_sub(1))
            .find(|row| reversed(*row))
            .unwrap_or_else(|| panic!("the screen shows no cursor\n{}", self.text()));
        screen.contents_between(row, 0, row, columns)
    }

    /// Whether any cell has a colour.
    pub(crate) fn has_colour(&self) -> bool {
        let screen = self.seen.screen();
        let (rows, columns) = screen.size();
        let coloured =
            |cell: &vt100::Cell| cell.fgcolor() != vt100::Color::Default || cell.bgcolor() != vt100::Color::Default;
        (0..rows).any(|row| (0..columns).any(|column| screen.cell(row, column).is_some_and(coloured)))
    }
}
