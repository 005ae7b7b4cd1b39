//! Somebody at a terminal: keys go in, the screen is read.

use std::{
    io::{self, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use console::tui::{
    backend::{Source, answer, scan},
    keymap::Key,
    msg::{Effect, Msg},
    state::State,
    update::update,
    view::{Looks, view},
};
use futures_util::StreamExt;
use hourlog::{
    Arrived, End, Error, ErrorKind, Event, LogId, Memory, Offset, Position, Query, Record, Result, Row, Store,
    Write as Put, describe, page, row, seq, timeline,
    wire::{BinReply, LogReply, TimelineReply},
};
use jiff::tz::TimeZone;
use ratatui::{Terminal, TerminalOptions, Viewport, backend::CrosstermBackend, layout::Rect};

pub(crate) const DAY: i64 = 86_400_000_000_000;
const MINUTE: i64 = 60_000_000_000;
const SECOND: i64 = 1_000_000_000;
/// The day of the events: 2018-02-04.
const BEGIN: i64 = 17_566 * DAY;
/// How often the time is told.
const TICK_MILLIS: i64 = 50;

/// The sizes of terminals that are looked at.
pub(crate) const SIZES: [(u16, u16); 7] = [(200, 60), (120, 40), (80, 24), (60, 20), (40, 10), (39, 9), (1, 1)];

/// An archive in memory, which may be away.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    store: Memory,
    away: AtomicBool,
    denied: AtomicBool,
    asked: AtomicUsize,
}

impl Archive {
    fn there(&self) -> Result<()> {
        self.asked.fetch_add(1, Relaxed);
        if self.denied.load(Relaxed) {
            return Err(Error::new(ErrorKind::NotAllowed, "the server does not let you publish to hourlog.logs"));
        }
        if self.away.load(Relaxed) {
            return Err(Error::new(ErrorKind::Unavailable, "nobody answers"));
        }
        Ok(())
    }

    async fn put(&self, log: &str, number: u64, offset: i64, record: Record) -> Event {
        let log: LogId = log.parse().expect("a good id");
        let at = Offset::from_nanos(offset);
        let row = row(&log, Arrived { offset: at, at, high: at, seq: seq(1, number + 1) }, record);
        let event = row.event.clone();
        let rows: Arc<[Row]> = Arc::from([row]);
        self.store.write(vec![Put::Events { log, rows }]).await.expect("memory takes everything");
        event
    }
}

impl Source for Archive {
    async fn logs(&self) -> Result<Vec<LogReply>> {
        self.there()?;
        let mut logs = Vec::new();
        for (id, _) in self.store.logs(None, 1_000).await? {
            let found = describe(&self.store, &id).await?;
            let (first, last) = (found.first, found.last);
            let log = id.as_str().to_owned();
            logs.push(LogReply { log, events: found.count, bytes: found.bytes, first, last, rate: 0.5 });
        }
        Ok(logs)
    }

    async fn page(&self, log: &LogId, from: Position, backwards: bool, limit: u32) -> Result<(Vec<Event>, bool)> {
        self.there()?;
        let query = Query { limit: limit as usize, reverse: backwards, ..Query::ALL };
        let query = if backwards { Query { to: Some(from), ..query } } else { Query { from, ..query } };
        let page = page(&self.store, log, &query).await?;
        Ok((page.events, page.end != End::More))
    }

    async fn count(&self, log: &LogId, span: Option<(Offset, Offset)>, bins: u32) -> Result<TimelineReply> {
        self.there()?;
        let (from, to) = match span {
            Some(span) => span,
            None => {
                let found = describe(&self.store, log).await?;
                let (first, last) = found.first.zip(found.last).unwrap_or((Offset::MIN, Offset::MIN));
                (first, last.saturating_add_nanos(1))
            }
        };
        let found = timeline(&self.store, log, from, to, bins as usize).await?;
        let bins = found.bins.iter().map(|bin| BinReply { from: bin.from, to: bin.to, count: bin.count }).collect();
        Ok(TimelineReply { from, to, count: found.count, bins })
    }

    async fn newest_arrival(&self, _: &LogId) -> Result<Option<String>> {
        self.there()?;
        Ok(None)
    }

    async fn arrivals(&self, _: &LogId, after: Option<String>) -> Result<(Vec<Event>, Option<String>)> {
        self.there()?;
        Ok((Vec::new(), after))
    }
}

/// What is drawn, as a terminal gets it.
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

/// A cleared terminal of some size.
fn terminal(wire: &Wire, columns: u16, rows: u16) -> Terminal<CrosstermBackend<Wire>> {
    let viewport = Viewport::Fixed(Rect::new(0, 0, columns, rows));
    Terminal::with_options(CrosstermBackend::new(wire.clone()), TerminalOptions { viewport })
        .expect("memory takes everything")
}

/// A console and who sits before it.
pub(crate) struct Desk {
    pub(crate) archive: Archive,
    state: State,
    looks: Looks,
    wire: Wire,
    terminal: Terminal<CrosstermBackend<Wire>>,
    seen: vt100::Parser,
    followed: Option<(u64, LogId)>,
    /// What is followed since a moment ago.
    begun: Option<u64>,
    quit: bool,
    copied: Option<String>,
    came: u64,
    /// What is asked and not answered.
    open: Option<Vec<Effect>>,
}

impl Desk {
    /// A console on two logs: one with an event a minute of 2018-02-04, and one with two, a year apart.
    pub(crate) async fn open(columns: u16, rows: u16) -> Self {
        let archive = Archive::default();
        for minute in 0..1_440 {
            let record = Record::new(format!("{{\"minute\":{minute}}}")).with("kind", "every-minute");
            archive.put("quakes", minute, BEGIN + minute.cast_signed() * MINUTE, record).await;
        }
        for (number, year) in [(5_000, 0), (5_001, 365)] {
            archive.put("sparse", number, BEGIN - year * DAY, Record::new("a year")).await;
        }
        Self::over(archive, columns, rows, Looks { mono: false, ascii: false }).await
    }

    /// A console in a log of so many events, spread over 2018-02-04.
    pub(crate) async fn large(events: u64, columns: u16, rows: u16) -> Self {
        const AT_ONCE: usize = 5_000;
        let archive = Archive::default();
        let log: LogId = "large".parse().expect("a good id");
        let numbers: Vec<u64> = (0..events).collect();
        for some in numbers.chunks(AT_ONCE) {
            let row = |number: &u64| {
                let at = Offset::from_nanos(BEGIN + (DAY / events.cast_signed()) * number.cast_signed());
                let record = Record::new(format!("{{\"number\":{number},\"text\":\"{:0>200}\"}}", number));
                row(&log, Arrived { offset: at, at, high: at, seq: seq(1, number + 1) }, record)
            };
            let rows: Arc<[Row]> = some.iter().map(row).collect();
            archive.store.write(vec![Put::Events { log: log.clone(), rows }]).await.expect("memory takes everything");
        }
        let mut desk = Self::over(archive, columns, rows, Looks { mono: false, ascii: false }).await;
        desk.types("enter").await;
        desk
    }

    /// As [`Desk::open`] without colours, and with nothing but ASCII.
    pub(crate) async fn plain(columns: u16, rows: u16) -> Self {
        let mut desk = Self::open(columns, rows).await;
        desk.looks = Looks { mono: true, ascii: true };
        desk.resizes(columns, rows).await;
        desk
    }

    /// A console in which a log is open.
    pub(crate) async fn log(id: &str, columns: u16, rows: u16) -> Self {
        let mut desk = Self::open(columns, rows).await;
        desk.types("/").await;
        desk.puts(id).await;
        desk.types("enter enter").await;
        desk
    }

    pub(crate) async fn over(archive: Archive, columns: u16, rows: u16, looks: Looks) -> Self {
        crossterm::style::force_color_output(true);
        let now = Offset::from_nanos(BEGIN + DAY);
        let mut state = State::new(TimeZone::UTC, now, "nats://here".to_owned());
        state.size = (columns, rows);
        let wire = Wire::default();
        let terminal = terminal(&wire, columns, rows);
        let seen = vt100::Parser::new(rows, columns, 0);
        let mut desk = Self {
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
            came: 0,
            open: None,
        };
        desk.happens(Msg::Tick(now)).await;
        desk
    }

    /// Something happens, and everything that is asked for then is answered.
    pub(crate) async fn happens(&mut self, msg: Msg) {
        let mut asks = self.takes(msg);
        if let Some(open) = &mut self.open {
            open.append(&mut asks);
        }
        loop {
            while let Some(ask) = (!asks.is_empty()).then(|| asks.remove(0)) {
                for answered in self.answers_of(ask).await {
                    asks.extend(self.takes(answered));
                }
            }
            let Some(opened) = self.begun.take() else { break };
            asks = self.takes(Msg::Follows { opened });
        }
        self.draw();
    }

    /// Takes in what has happened. Answers what is asked then.
    fn takes(&mut self, msg: Msg) -> Vec<Effect> {
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
                Effect::StopScanning => {}
            }
        }
        asks
    }

    /// What the backend would send for something that is asked.
    async fn answers_of(&self, ask: Effect) -> Vec<Msg> {
        match ask {
            Effect::Ask(ask) => vec![answer(&self.archive, ask).await],
            Effect::Scan { opened, number, log, pattern, scanned } => {
                let scans = scan(&self.archive, &log, &pattern, scanned);
                scans.map(|scan| Msg::Scanned { opened, number, scan }).collect().await
            }
            other => panic!("{other:?} is not asked"),
        }
    }

    fn draw(&mut self) {
        let (state, looks) = (&self.state, self.looks);
        self.terminal.draw(|frame| view(state, looks, frame)).expect("memory takes everything");
        self.seen.process(&self.wire.take());
    }

    /// Presses keys, by their names with blanks between them.
    pub(crate) async fn types(&mut self, keys: &str) {
        for key in keys.split(' ') {
            self.happens(Msg::Key(key.parse().unwrap_or_else(|()| panic!("{key} is no key")))).await;
        }
    }

    /// Types a text.
    pub(crate) async fn puts(&mut self, text: &str) {
        for letter in text.chars() {
            self.happens(Msg::Key(Key::from(letter))).await;
        }
    }

    /// Holds a key down: it comes again and again before anything is answered.
    pub(crate) async fn holds(&mut self, key: &str, times: usize) {
        let key: Key = key.parse().expect("a key");
        let mut asks = Vec::new();
        for _ in 0..times {
            asks.extend(self.takes(Msg::Key(key)));
        }
        self.answer(asks).await;
    }

    /// Time goes by.
    pub(crate) async fn passes(&mut self, millis: i64) {
        for _ in 0..millis / TICK_MILLIS {
            self.happens(Msg::Tick(self.state.now.saturating_add_nanos(TICK_MILLIS * SECOND / 1_000))).await;
        }
    }

    /// Events come to a log.
    pub(crate) async fn comes(&mut self, log: &str, count: u64) {
        let mut events = Vec::new();
        for _ in 0..count {
            self.came += 1;
            let offset = BEGIN + DAY + self.came.cast_signed() * SECOND;
            events.push(self.archive.put(log, 10_000 + self.came, offset, Record::new("late")).await);
        }
        if let Some((opened, _)) = self.followed.clone().filter(|(_, followed)| followed.as_str() == log) {
            self.happens(Msg::Arrived { opened, events: Ok(events) }).await;
        }
    }

    /// Events come to a log that are all of one time.
    pub(crate) async fn together(&mut self, log: &str, count: u64) {
        let mut events = Vec::new();
        for number in 0..count {
            let record = Record::new(format!("{{\"together\":{number}}}"));
            events.push(self.archive.put(log, 15_000 + number, BEGIN + DAY + SECOND, record).await);
        }
        let (opened, _) = self.followed.clone().expect("a log is followed");
        self.happens(Msg::Arrived { opened, events: Ok(events) }).await;
    }

    /// An event like this one comes to the open log.
    pub(crate) async fn hostile(&mut self, number: u64, record: Record) {
        let (opened, log) = self.followed.clone().expect("a log is followed");
        let offset = BEGIN + DAY + 3_600 * SECOND + number.cast_signed() * SECOND;
        let event = self.archive.put(log.as_str(), 20_000 + number, offset, record).await;
        self.happens(Msg::Arrived { opened, events: Ok(vec![event]) }).await;
    }

    /// The terminal gets another size.
    pub(crate) async fn resizes(&mut self, columns: u16, rows: u16) {
        self.terminal = terminal(&self.wire, columns, rows);
        self.seen = vt100::Parser::new(rows, columns, 0);
        self.happens(Msg::Resize(columns, rows)).await;
    }

    pub(crate) fn goes_away(&self, away: bool) {
        self.archive.away.store(away, Relaxed);
    }

    pub(crate) fn denies(&self, denied: bool) {
        self.archive.denied.store(denied, Relaxed);
    }

    /// From now on nothing is answered; or again, also what was asked meanwhile.
    pub(crate) async fn answers(&mut self, answers: bool) {
        if !answers {
            self.open = Some(Vec::new());
            return;
        }
        let open = self.open.take().unwrap_or_default();
        self.answer(open).await;
    }

    async fn answer(&mut self, asks: Vec<Effect>) {
        for ask in asks {
            for answered in self.answers_of(ask).await {
                self.happens(answered).await;
            }
        }
    }

    /// The first answers to what was asked come, so many, and no more.
    pub(crate) async fn answers_some(&mut self, count: usize) {
        let open = self.open.replace(Vec::new()).unwrap_or_default();
        for ask in open {
            for answered in self.answers_of(ask).await.into_iter().take(count) {
                self.happens(answered).await;
            }
        }
    }

    pub(crate) async fn quits(&mut self, key: &str) -> bool {
        self.types(key).await;
        self.quit
    }

    /// What was put into the clipboard last.
    pub(crate) fn copied(&self) -> &str {
        self.copied.as_deref().expect("something was copied")
    }

    /// The columns of the bars that are reversed.
    pub(crate) fn reversed_bars(&self) -> usize {
        const BARS_FROM_BELOW: u16 = 5;
        let screen = self.seen.screen();
        let (rows, columns) = screen.size();
        (0..columns)
            .filter(|column| screen.cell(rows - BARS_FROM_BELOW, *column).is_some_and(vt100::Cell::inverse))
            .count()
    }

    pub(crate) fn asked(&self) -> usize {
        self.archive.asked.load(Relaxed)
    }

    pub(crate) fn loaded(&self) -> usize {
        self.state.log.as_ref().expect("a log is open").loaded.events().len()
    }

    pub(crate) fn playhead(&self) -> Offset {
        self.state.log.as_ref().expect("a log is open").playhead.offset
    }

    pub(crate) fn place(&self) -> Position {
        self.state.log.as_ref().expect("a log is open").playhead
    }

    /// What can be read in the list's rows, at most 40 letters of each.
    pub(crate) fn list(&self) -> Vec<String> {
        const BELOW: u16 = 6;
        let (rows, _) = self.seen.screen().size();
        (1..rows - BELOW).map(|row| self.seen.screen().contents_between(row, 0, row, 40)).collect()
    }

    pub(crate) fn bin_nanos(&self) -> i64 {
        self.state.log.as_ref().expect("a log is open").bin_nanos()
    }

    /// The screen, without the blanks at the end of its lines.
    pub(crate) fn text(&self) -> String {
        self.seen.screen().contents()
    }

    /// The screen has to have all of these.
    pub(crate) async fn sees(&self, texts: &[&str]) {
        for text in texts {
            assert!(self.text().contains(text), "{text:?} is not to be seen\n{}", self.text());
        }
    }

    /// The row that is drawn reversed, among those above the last.
    pub(crate) fn cursor_row(&self) -> String {
        let screen = self.seen.screen();
        let (rows, columns) = screen.size();
        let reversed = |row: u16| screen.cell(row, 3).is_some_and(vt100::Cell::inverse);
        let row = (1..rows.saturating_sub(1))
            .find(|row| reversed(*row))
            .unwrap_or_else(|| panic!("no cursor\n{}", self.text()));
        screen.contents_between(row, 0, row, columns)
    }

    pub(crate) fn has_colour(&self) -> bool {
        let screen = self.seen.screen();
        let (rows, columns) = screen.size();
        let coloured =
            |cell: &vt100::Cell| cell.fgcolor() != vt100::Color::Default || cell.bgcolor() != vt100::Color::Default;
        (0..rows).any(|row| (0..columns).any(|column| screen.cell(row, column).is_some_and(coloured)))
    }
}
