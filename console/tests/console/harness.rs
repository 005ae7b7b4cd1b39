//! A console without a terminal or a service: tests press keys and read the screen.

mod outbox;

pub(crate) use self::outbox::Outbox;

use std::{
    io::{self, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering::Relaxed},
    },
};

use console::tui::{
    backend::{answer, scan},
    bars::bars,
    filter::Selection,
    key::Key,
    msg::{Effect, Msg, StripsRequest},
    pages::Fetched,
    report::{InstanceStats, ServiceReport, StreamReport},
    scale::Grid,
    scan::Direction,
    screen::Screen,
    source::{Arrivals, Source},
    state::State,
    surveyor::survey,
    update::update,
    view::{Looks, Theme},
    working::work,
};
use futures_util::{StreamExt, future::pending};
use hourlog::{
    Cursor, Error, ErrorKind, Event, LogId, Memory, Offset, Position, Record, Result, Seq,
    read::{Counting, End, Query, ahead, describe, histogram, page},
    store::{Arrival, EventRow, Store, Width, Write as Put},
    text::Text,
    wire::{
        AheadReply, BinReply, LogReply, LogsReply, RecentReply, Span, StatusReply, StripReply, TimelineReply,
        TimelineRequest, When,
    },
};
use jiff::tz::TimeZone;

pub(crate) const DAY: i64 = 86_400_000_000_000;
const MINUTE: i64 = 60_000_000_000;
const SECOND: i64 = 1_000_000_000;
/// Start of the day of the events: 2018-02-04.
pub(crate) const START: i64 = 17_566 * DAY;
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
    /// The events that leave it.
    pub(crate) outbox: Outbox,
    /// The time of its clock.
    now: AtomicI64,
    /// The instances of the service.
    instances: Mutex<Vec<(StatusReply, InstanceStats)>>,
    /// Questions to `$SRV.STATS` and to JetStream are denied.
    are_stats_denied: AtomicBool,
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
        for (id, _) in self.store.logs(None, 100_000).await? {
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

    async fn strips(&self, request: &StripsRequest) -> Result<Vec<(LogId, StripReply)>> {
        self.count_request()?;
        let (from, to) = request.axis;
        let mut strips = Vec::new();
        for log in &request.logs {
            let counting = Counting::new(Counting::equal_bins(from, to, request.bins as usize)?);
            let found = histogram(&self.store, log, &counting).await?;
            let counts = found.bins.iter().map(|bin| bin.count).collect();
            strips.push((log.clone(), StripReply { counts, exact: true }));
        }
        Ok(strips)
    }

    async fn service(&self) -> ServiceReport {
        if let (Err(statuses), Err(stats)) = (self.count_request(), self.count_request()) {
            return ServiceReport { statuses: Err(statuses), stats: Err(stats), streams: Vec::new() };
        }
        let instances = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        let received = |stats: &InstanceStats| {
            let mut stats = stats.clone();
            stats.received_nanos = self.now().nanos();
            stats
        };
        let stats = || instances.iter().map(|(_, stats)| received(stats)).collect();
        let denied = |subject: &str| {
            let denial = format!("the server does not allow Publish to \"{subject}\"; ask its operator");
            Error::new(ErrorKind::NotAllowed, denial)
        };
        let is_denied = self.are_stats_denied.load(Relaxed);
        let stream = StreamReport { bytes: 42_000_000, bytes_max: Some(10_000_000_000), messages: 99, oldest: None };
        let stream = if is_denied { Err(denied("$JS.API.STREAM.INFO.HOURLOG")) } else { Ok(stream) };
        ServiceReport {
            statuses: Ok(instances.iter().map(|(status, _)| status.clone()).collect()),
            stats: if is_denied { Err(denied("$SRV.STATS.hourlog")) } else { Ok(stats()) },
            streams: vec![("HOURLOG".to_owned(), stream)],
        }
    }

    async fn newest(&self, log: &LogId, limit: u32, selection: &Selection) -> Result<Fetched> {
        let ahead = ahead(&self.store, log, self.ahead_limit()).await?;
        let end = self.ahead_from().unwrap_or(Position::MAX);
        let newest = Source::page(self, log, end, Direction::Backward, limit, selection).await?;
        Ok(Fetched { to: ahead.map_or(Position::MAX, |ahead| Position::at(ahead.first)), ..newest })
    }

    async fn page(
        &self,
        log: &LogId,
        at: Position,
        direction: Direction,
        limit: u32,
        selection: &Selection,
    ) -> Result<Fetched> {
        self.count_request()?;
        let reverse = direction == Direction::Backward;
        // A filtered page looks at more than it returns.
        let looked_at = if selection.is_all() { limit } else { LOOKED_AT_MAX };
        let query = Query { limit: looked_at as usize, reverse, bytes: PAGE_BYTES_MAX, ..Query::ALL };
        let query = if reverse { Query { to: Some(at), ..query } } else { Query { from: at, ..query } };
        let page = page(&self.store, log, &query, Seq::MAX).await?;
        let (is_last, scanned) = (page.end != End::More, page.events.len() as u64);
        let last = page.events.last().map(|event| event.position);
        let selected = Selected::new(selection)?;
        let mut events: Vec<Event> = page.events.into_iter().filter(|event| selected.has(event)).collect();
        let mut is_cut = false;
        if events.len() > limit as usize {
            events.truncate(limit as usize);
            is_cut = true;
        }
        let last = if is_cut { events.last().map(|event| event.position) } else { last };
        let (from, to) = if is_last && !is_cut { direction.rest(at) } else { direction.stretch(at, last) };
        if reverse {
            events.reverse();
        }
        Ok(Fetched { from, to, events, scanned })
    }

    async fn check(&self, _: &LogId, selection: &Selection) -> Result<()> {
        self.count_request()?;
        Selected::new(selection).map(drop)
    }

    async fn count(&self, log: &LogId, request: &TimelineRequest) -> Result<TimelineReply> {
        self.count_request()?;
        let (from, to) = match (request.from, request.to) {
            (Some(When::At(from)), Some(When::At(to))) => (from, to),
            _ => {
                let first = describe(&self.store, log).await?.first.unwrap_or(Offset::MIN);
                let query = Query { to: self.ahead_from(), limit: 1, reverse: true, ..Query::ALL };
                let newest = page(&self.store, log, &query, Seq::MAX).await?;
                let last = newest.events.first().map_or(first, |event| event.position.offset);
                (first, last.saturating_add_nanos(1))
            }
        };
        let edges = match request.step {
            Some(step) => step.edges(from, to, &TimeZone::UTC)?,
            None => Counting::equal_bins(from, to, request.bins.unwrap_or(60) as usize)?,
        };
        let ahead = ahead(&self.store, log, self.ahead_limit()).await?.map(AheadReply::from);
        let reply = TimelineReply { ahead, ..TimelineReply::empty(from, to, self.now()) };
        let bin = |edge: &[Offset], count: u64| BinReply { from: edge[0], to: edge[1], count };
        if request.reads_events() {
            return self.count_selected(log, request, &edges, reply).await;
        }
        let reads_max = if request.exact { u64::MAX } else { 0 };
        let counting = Counting { edges: edges.clone(), after: None, reads_max, exact: request.exact };
        let found = histogram(&self.store, log, &counting).await?;
        let bins = edges.windows(2).zip(&found.bins).map(|(edge, found)| bin(edge, found.count)).collect();
        let (exact, grain) = (found.is_exact, Span(found.grain_nanos));
        Ok(TimelineReply { count: found.count, bins, exact, grain, scanned: found.read, of: found.to_read, ..reply })
    }

    async fn newest_arrival(&self, _: &LogId) -> Result<Option<Cursor>> {
        self.count_request()?;
        Ok(None)
    }

    async fn arrivals(&self, _: &LogId, after: Option<Cursor>, _: &Selection) -> Result<Arrivals> {
        self.count_request()?;
        Ok(Arrivals { events: Vec::new(), next: after, moved: None })
    }
}

impl Archive {
    /// Counts the selected events, up to a limit in one reply.
    async fn count_selected(
        &self,
        log: &LogId,
        request: &TimelineRequest,
        edges: &[Offset],
        reply: TimelineReply,
    ) -> Result<TimelineReply> {
        let (from, to) = (Position::at(edges[0]), Position::at(edges[edges.len() - 1]));
        let all = page(&self.store, log, &Query { from, to: Some(to), ..Query::ALL }, Seq::MAX).await?.events;
        let from = request.after.unwrap_or(from);
        let selection = Selection { condition: request.condition.clone(), text: request.text.clone() };
        let selected = Selected::new(&selection)?;
        let rest = all.iter().filter(|event| event.position >= from);
        let read: Vec<&Event> = rest.clone().take(LOOKED_AT_MAX as usize).collect();
        let next = rest.clone().nth(read.len()).map(|event| event.position);
        let count = |edge: &[Offset]| {
            let inside = read.iter().filter(|event| (edge[0]..edge[1]).contains(&event.position.offset));
            inside.filter(|event| selected.has(event)).count() as u64
        };
        let bins: Vec<BinReply> =
            edges.windows(2).map(|edge| BinReply { from: edge[0], to: edge[1], count: count(edge) }).collect();
        let count = bins.iter().map(|bin| bin.count).sum();
        Ok(TimelineReply { bins, count, next, scanned: read.len() as u64, of: all.len() as u64, ..reply })
    }
}

/// The most bytes of a page, as a message of NATS has them.
const PAGE_BYTES_MAX: usize = 1 << 20;
/// The most events that a request for selected ones looks at.
const LOOKED_AT_MAX: u32 = 5_000;

/// A selection, read. Of expressions it knows those of the form `json.NAME == NUMBER`.
struct Selected {
    text: Option<Text>,
    equal: Option<String>,
}

impl Selected {
    fn new(selection: &Selection) -> Result<Self> {
        let equal = |condition: &String| {
            let (name, value) = condition
                .strip_prefix("json.")
                .and_then(|rest| rest.split_once(" == "))
                .filter(|(_, value)| value.parse::<f64>().is_ok())
                .ok_or_else(|| Error::invalid("where: in column 6: it is not an expression"))?;
            Ok(format!("\"{name}\":{value}"))
        };
        let equal = selection.condition.as_ref().map(equal).transpose()?;
        Ok(Self { text: selection.text.as_deref().map(Text::new).transpose()?, equal })
    }

    fn has(&self, event: &Event) -> bool {
        let data = String::from_utf8_lossy(&event.record.data);
        let is_equal = |field: &String| data.contains(&format!("{field},")) || data.contains(&format!("{field}}}"));
        self.text.as_ref().is_none_or(|text| text.is_in(&event.record.data)) && self.equal.as_ref().is_none_or(is_equal)
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

/// A console, with methods for everything that a user or the service does to it.
pub(crate) struct Harness {
    pub(crate) archive: Archive,
    state: State,
    looks: Looks,
    wire: Wire,
    screen: Screen<Wire>,
    seen: vt100::Parser,
    followed: Option<(u64, LogId)>,
    /// The events that are reported of it.
    selection: Selection,
    /// The follower that has just begun.
    begun: Option<u64>,
    quit: bool,
    copied: Option<String>,
    received: u64,
    /// Requests without a reply, while replies are held.
    held: Option<Vec<Effect>>,
    /// Bytes that the terminal has received.
    pub(crate) bytes_drawn: usize,
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
        Self::over(archive, columns, rows, Looks { theme: Theme::Ansi, ascii: false }).await
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
        let mut console = Self::over(archive, columns, rows, Looks { theme: Theme::Ansi, ascii: false }).await;
        console.press("enter").await;
        console
    }

    /// Opens a console in a log with an event at each of these nanoseconds of 2018-02-04.
    pub(crate) async fn with_events(times: &[i64], bytes: usize) -> Self {
        let archive = Archive::default();
        for (number, nanos) in times.iter().enumerate() {
            let record = Record::new(format!("{{\"number\":{number},\"text\":\"{}\"}}", "x".repeat(bytes)));
            archive.put("events", number as u64, START + nanos, record).await;
        }
        let mut console = Self::over(archive, 120, 40, Looks { theme: Theme::Ansi, ascii: false }).await;
        console.press("enter").await;
        console
    }

    /// Opens a console on this many logs in groups of a thousand, with an event each.
    pub(crate) async fn many(logs: u64, columns: u16, rows: u16) -> Self {
        let archive = Archive::default();
        for number in 0..logs {
            let log = format!("group{:02}.host.{number:05}", number / 1_000);
            archive.put(&log, number, START + number.cast_signed() * 1_000_000, Record::new("x")).await;
        }
        Self::over(archive, columns, rows, Looks { theme: Theme::Ansi, ascii: false }).await
    }

    /// Opens a console in a log with these events, each at some nanoseconds of 2018-02-04.
    pub(crate) async fn with_records(records: &[(i64, &str)], columns: u16, rows: u16) -> Self {
        let archive = Archive::default();
        for (number, (nanos, data)) in records.iter().enumerate() {
            archive.put("events", number as u64, START + nanos, Record::new((*data).to_owned())).await;
        }
        let mut console = Self::over(archive, columns, rows, Looks { theme: Theme::Ansi, ascii: false }).await;
        console.press("enter").await;
        console
    }

    /// Opens a console on six logs in two groups. Those of `shop` have ten events each, an hour apart, in turns.
    pub(crate) async fn lanes(columns: u16, rows: u16) -> Self {
        let archive = Archive::default();
        for (number, log) in ["other.x", "other.y", "other.z"].into_iter().enumerate() {
            archive.put(log, 100 + number as u64, START, Record::new("x")).await;
        }
        for (minute, log) in ["shop.a", "shop.b", "shop.c"].into_iter().enumerate() {
            for number in 0..10_i64 {
                let offset = START + number * 60 * MINUTE + minute as i64 * MINUTE;
                let record = Record::new(format!("{{\"number\":{number}}}"));
                archive.put(log, 200 + number as u64 * 3 + minute as u64, offset, record).await;
            }
        }
        Self::over(archive, columns, rows, Looks { theme: Theme::Ansi, ascii: false }).await
    }

    /// Opens a console like [`Harness::open`], without colours and in ASCII only.
    pub(crate) async fn plain(columns: u16, rows: u16) -> Self {
        let mut console = Self::open(columns, rows).await;
        console.draw_plainly().await;
        console
    }

    /// Opens a console on one log with this id and an event, and opens the log.
    pub(crate) async fn log_named(id: &str, columns: u16, rows: u16) -> Self {
        let archive = Archive::default();
        archive.put(id, 0, START, Record::new("x")).await;
        let mut console = Self::over(archive, columns, rows, Looks { theme: Theme::Ansi, ascii: false }).await;
        console.press("enter").await;
        console
    }

    /// Opens a console on one log with one event, which lies this long after the others.
    pub(crate) async fn log_at(id: &str, after: i64, columns: u16, rows: u16) -> Self {
        let archive = Archive::default();
        archive.put(id, 0, START + after, Record::new("ahead of its time")).await;
        let mut console = Self::over(archive, columns, rows, Looks { theme: Theme::Ansi, ascii: false }).await;
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
        let screen = Screen::new(wire.clone(), (columns, rows));
        let seen = vt100::Parser::new(rows, columns, 0);
        let mut console = Self {
            archive,
            state,
            looks,
            wire,
            screen,
            seen,
            followed: None,
            selection: Selection::default(),
            begun: None,
            quit: false,
            copied: None,
            received: 0,
            held: None,
            bytes_drawn: 0,
        };
        console.handle(Msg::Tick(now)).await;
        console
    }

    /// Handles a message, and every reply to the requests that follow from it.
    pub(crate) async fn handle(&mut self, msg: Msg) {
        let mut asks = self.apply(msg);
        loop {
            if let Some(held) = &mut self.held {
                held.append(&mut asks);
            }
            while let Some(ask) = (!asks.is_empty()).then(|| asks.remove(0)) {
                for reply in self.replies_to(ask).await {
                    asks.extend(self.apply(reply));
                }
            }
            let Some(number) = self.begun.take() else { break };
            asks = self.apply(Msg::FollowStarted { number });
        }
        self.draw();
    }

    /// Updates the state, and returns the requests that follow.
    fn apply(&mut self, msg: Msg) -> Vec<Effect> {
        let mut asks = Vec::new();
        for effect in update(&mut self.state, msg) {
            match effect {
                Effect::Ask(_) | Effect::Scan { .. } | Effect::Survey { .. } | Effect::Work { .. } => asks.push(effect),
                Effect::Follow { number, lanes, selection } => {
                    self.begun = Some(number);
                    self.followed = Some((number, lanes.first().clone()));
                    self.selection = selection;
                }
                Effect::StopFollowing => self.followed = None,
                Effect::Quit => self.quit = true,
                Effect::Copy(text) => self.copied = Some(text),
                Effect::StopScanning
                | Effect::StopWork
                | Effect::StopAsking
                | Effect::StopSurvey { .. }
                | Effect::StopFinding
                | Effect::Suspend
                | Effect::Redraw
                | Effect::Mouse(_) => {}
            }
        }
        asks
    }

    /// Returns the messages that the backend would send for a request.
    async fn replies_to(&self, ask: Effect) -> Vec<Msg> {
        match ask {
            Effect::Ask(ask) => vec![answer(&self.archive, ask).await],
            Effect::Scan { number, scan: scanned } => {
                scan(&self.archive, &scanned).map(|page| Msg::Scanned { number, page }).collect().await
            }
            Effect::Survey { number, survey: wanted } => {
                survey(&self.archive, &wanted).map(|page| Msg::Surveyed { number, page }).collect().await
            }
            Effect::Work { number, work: wanted } => {
                work(&self.archive, &wanted, pending()).map(|worked| Msg::Worked { number, worked }).collect().await
            }
            other => panic!("{other:?} is not a request"),
        }
    }

    fn draw(&mut self) {
        self.screen.draw(&self.state, self.looks).expect("writing to memory succeeds");
        let bytes = self.wire.take();
        self.bytes_drawn += bytes.len();
        self.seen.process(&bytes);
    }

    /// Presses keys, named as in the keymap and separated by blanks.
    pub(crate) async fn press(&mut self, keys: &str) {
        for key in keys.split(' ') {
            self.handle(Msg::Key(key.parse().unwrap_or_else(|()| panic!("unknown key {key}")))).await;
        }
    }

    /// Uses the mouse, as tapes have it.
    pub(crate) async fn mouse(&mut self, input: &str) {
        self.handle(Msg::Mouse(input.parse().unwrap_or_else(|()| panic!("unknown input {input}")))).await;
    }

    /// Types a text, letter by letter.
    pub(crate) async fn type_text(&mut self, text: &str) {
        for letter in text.chars() {
            self.handle(Msg::Key(Key::from(letter))).await;
        }
    }

    /// Pastes a text.
    pub(crate) async fn paste(&mut self, text: &str) {
        self.handle(Msg::Paste(text.to_owned())).await;
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
        if self.followed.as_ref().is_some_and(|(_, followed)| followed.as_str() == log) {
            self.report(events).await;
        }
    }

    /// Reports events that have arrived in the followed log.
    async fn report(&mut self, events: Vec<Event>) {
        let (number, _) = self.followed.clone().expect("a log is followed");
        let selected = Selected::new(&self.selection).expect("the filter was taken before");
        let events = events.into_iter().filter(|event| selected.has(event)).collect();
        self.handle(Msg::Arrived { number, events: Ok(events) }).await;
    }

    /// Sets the service's clock by this much; the console's own stays.
    pub(crate) fn set_service_clock(&self, nanos: i64) {
        self.archive.now.fetch_add(nanos, Relaxed);
    }

    /// Writes an event to the open log, which the console follows.
    pub(crate) async fn receive_at(&mut self, number: u64, offset: i64) {
        let (_, log) = self.followed.clone().expect("a log is followed");
        let event = self.archive.put(log.as_str(), 30_000 + number, offset, Record::new("ahead")).await;
        self.report(vec![event]).await;
    }

    /// Writes events with one time to a log, which the console follows.
    pub(crate) async fn receive_at_one_time(&mut self, log: &str, count: u64) {
        let mut events = Vec::new();
        for number in 0..count {
            let record = Record::new(format!("{{\"together\":{number}}}"));
            events.push(self.archive.put(log, 15_000 + number, START + DAY + SECOND, record).await);
        }
        self.report(events).await;
    }

    /// Writes a record to the open log, which the console follows.
    pub(crate) async fn receive_record(&mut self, number: u64, record: Record) {
        let (_, log) = self.followed.clone().expect("a log is followed");
        let offset = START + DAY + 120 * SECOND + number.cast_signed() * SECOND;
        let event = self.archive.put(log.as_str(), 20_000 + number, offset, record).await;
        self.report(vec![event]).await;
    }

    /// Resizes the terminal.
    pub(crate) async fn resize(&mut self, columns: u16, rows: u16) {
        self.screen = Screen::new(self.wire.clone(), (columns, rows));
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

    /// Replaces the instances of the service.
    pub(crate) fn set_instances(&self, instances: Vec<(StatusReply, InstanceStats)>) {
        *self.archive.instances.lock().unwrap_or_else(PoisonError::into_inner) = instances;
    }

    /// Denies questions to `$SRV.STATS` and to JetStream, or allows them again.
    pub(crate) fn set_stats_denied(&self, is_denied: bool) {
        self.archive.are_stats_denied.store(is_denied, Relaxed);
    }

    /// Draws in ASCII without colours from now on.
    pub(crate) async fn draw_plainly(&mut self) {
        let (columns, rows) = self.state.size;
        self.looks = Looks { theme: Theme::Mono, ascii: true };
        self.resize(columns, rows).await;
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

    /// Replies to the first `count` held requests, and goes on holding.
    pub(crate) async fn release_replies_one_by_one(&mut self, count: usize) {
        let mut held = self.held.replace(Vec::new()).unwrap_or_default();
        let rest = held.split_off(count.min(held.len()));
        self.answer(held).await;
        self.held.get_or_insert_default().splice(0..0, rest);
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

    /// Number of columns in which the scrubber's bars are those of a range.
    pub(crate) fn bars_in_range(&self) -> usize {
        const BARS_FROM_BOTTOM: u16 = 5;
        let screen = self.seen.screen();
        let (rows, columns) = screen.size();
        let is_mine = |cell: &vt100::Cell| cell.fgcolor() == vt100::Color::Idx(5);
        (0..columns).filter(|column| screen.cell(rows - BARS_FROM_BOTTOM, *column).is_some_and(is_mine)).count()
    }

    /// Number of requests so far.
    pub(crate) fn request_count(&self) -> usize {
        self.archive.requests.load(Relaxed)
    }

    /// Number of events in memory.
    pub(crate) fn loaded_count(&self) -> usize {
        self.state.log.as_ref().expect("a log is open").pages.len()
    }

    /// Time of the playhead.
    pub(crate) fn playhead(&self) -> Offset {
        self.state.log.as_ref().expect("a log is open").playhead.offset
    }

    /// Position of the playhead.
    pub(crate) fn position(&self) -> Position {
        self.state.log.as_ref().expect("a log is open").playhead
    }

    /// The rows of the list without the cursor, at most 40 columns of each.
    pub(crate) fn list(&self) -> Vec<String> {
        const ROWS_ABOVE: u16 = 2;
        const ROWS_BELOW: u16 = 8;
        let (rows, _) = self.seen.screen().size();
        let row = |row: u16| self.seen.screen().contents_between(row, 1, row, 40).trim_end().to_owned();
        (ROWS_ABOVE..rows - ROWS_BELOW).map(row).collect()
    }

    /// The counts of the scrubber's bars; `None` if they are not known exactly.
    pub(crate) fn bars(&self) -> Option<Vec<u64>> {
        let bars = bars(self.state.log.as_ref().expect("a log is open"));
        bars.iter().map(|bar| bar.count.filter(|_| !bar.is_mean)).collect()
    }

    /// The bars of the scrubber, without their counts.
    pub(crate) fn grid(&self) -> &Grid {
        self.state.log.as_ref().and_then(|log| log.scrubber.grid.as_ref()).expect("a log is open and counted")
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
