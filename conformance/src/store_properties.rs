//! Random rows, written in parts of any size, and random queries, compared with searching a list.

use std::{
    cell::{Cell, RefCell},
    future::Future,
};

use hourlog::{
    ArrivalCursor, Event, LogId, Offset, Position, Record, Seq,
    read::{Ahead, ArrivalQuery, Counting, End, Query, ahead, arrivals_page, describe, histogram, page},
    store::{EventRow, Store, Totals},
    time::{HOUR, MINUTE, SECOND},
};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};

use crate::{
    guard::StoreGuard,
    ids::prefixes,
    kit::{at, id},
    rows::{self, RowSource},
};

/// The most events of one log.
const EVENTS_MAX: usize = 80;

/// A random event: nanoseconds since the previous one (negative if the clock is set back), time,
/// and size.
type RandomArrival = (i64, Option<Offset>, usize);

/// A random query: from, to, reverse, limit in events and in bytes, and the newest visible event.
type RandomQuery = (PositionChoice, Option<PositionChoice>, bool, usize, usize, Option<usize>);

/// A position to query: at a time, or of an event.
#[derive(Debug, Clone, Copy)]
enum PositionChoice {
    Time(Offset),
    Event(usize),
}

fn offsets() -> impl Strategy<Value = Offset> {
    let edges = ["10:00:00", "11:00:00", "12:00:00", "16:00:00", "1969-12-31T23:00:00Z", "1677-09-21T01:00:00Z"];
    (
        prop::sample::select(edges.map(at).to_vec()),
        prop::sample::select(vec![
            -1,
            0,
            0,
            1,
            900_000,
            3_000_000,
            70_000_000,
            SECOND,
            4 * SECOND,
            MINUTE,
            40 * MINUTE,
        ]),
    )
        .prop_map(|(edge, ticks)| edge.saturating_add_nanos(ticks))
}

fn arrivals() -> impl Strategy<Value = Vec<RandomArrival>> {
    let steps = prop::sample::select(vec![0, 1, MINUTE, 20 * MINUTE, 50 * MINUTE, -1, -30 * MINUTE, -3 * HOUR]);
    vec((steps, prop::option::of(offsets()), 0..20_usize), 1..EVENTS_MAX)
}

fn queries() -> impl Strategy<Value = Vec<RandomQuery>> {
    let position =
        || prop_oneof![offsets().prop_map(PositionChoice::Time), (0..EVENTS_MAX).prop_map(PositionChoice::Event)];
    let bounds =
        (prop_oneof![1 => Just(PositionChoice::Time(Offset::MIN)), 2 => position()], prop::option::of(position()));
    let sizes = (prop_oneof![1..20_usize, Just(usize::MAX)], prop_oneof![0..100_usize, Just(usize::MAX)]);
    let visible = prop::option::weighted(0.3, 0..EVENTS_MAX);
    vec((bounds, any::<bool>(), sizes, visible), 1..12).prop_map(|queries| {
        let flat = |((from, to), reverse, (limit, bytes), visible)| (from, to, reverse, limit, bytes, visible);
        queries.into_iter().map(flat).collect()
    })
}

/// Writes `cases` random logs and checks random queries.
///
/// # Panics
/// If a result is wrong; the message has the smallest such log and queries that were found.
pub fn random_rows<G, F>(open: impl Fn() -> F, cases: u32)
where
    G: StoreGuard,
    F: Future<Output = G>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be created");
    let guard = RefCell::new(Some(runtime.block_on(open())));
    let number = Cell::new(0);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 500, ..Config::default() };
    let restart = prop::option::weighted(0.3, 0..EVENTS_MAX);
    let input = (prefixes(), arrivals(), vec((0..EVENTS_MAX, 0..EVENTS_MAX), 0..6), 1..30_usize, restart, queries());
    let outcome =
        TestRunner::new(config).run(&input, |(prefix, arrivals, again, events_per_write, restart, queries)| {
            number.set(number.get() + 1);
            let log = id(&format!("{prefix}.{}", number.get()));
            let plan = WritePlan { arrivals: &arrivals, again: &again, events_per_write, restart };
            runtime.block_on(check(&mut guard.borrow_mut(), log, plan, &queries))
        });
    drop(guard);
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// The writes that create a log.
struct WritePlan<'a> {
    arrivals: &'a [RandomArrival],
    /// The ranges of events that are redelivered.
    again: &'a [(usize, usize)],
    /// The number of events per write.
    events_per_write: usize,
    /// The event before which the archive is closed and opened again.
    restart: Option<usize>,
}

/// Writes a log while a reader follows it, and checks the queries. May replace `guard` by a
/// reopened one.
async fn check<G: StoreGuard>(
    guard: &mut Option<G>,
    log: LogId,
    plan: WritePlan<'_>,
    queries: &[RandomQuery],
) -> Result<(), TestCaseError> {
    let WritePlan { arrivals, again, events_per_write, restart } = plan;
    let mut follower = Follower { after: ArrivalCursor::FIRST, found: Vec::new() };
    let mut source = RowSource::new(log.clone());
    let mut now = at("13:30:00");
    let rows: Vec<EventRow> = arrivals
        .iter()
        .map(|(step, offset, size)| {
            now = now.saturating_add_nanos(*step);
            source.arrival(offset.unwrap_or(now), now, Record::new(vec![b'x'; *size]))
        })
        .collect();
    for (number, part) in rows.chunks(events_per_write).enumerate() {
        if restart.is_some_and(|at| at / events_per_write == number) && number > 0 {
            follower.follow(opened(guard).store(), &log, queries).await?;
            let again = guard.take().expect("a guard is always put back").restart().await;
            *guard = Some(again);
        }
        rows::write(opened(guard).store(), &log, part).await.map_err(failed)?;
        // Redeliver some events, with others that were written before: now and, once more, at the end.
        let written = number * events_per_write..number * events_per_write + part.len();
        for (from, to) in again.iter().filter(|(from, to)| from < to && written.contains(&(to - 1))) {
            rows::write(opened(guard).store(), &log, &rows[*from..*to]).await.map_err(failed)?;
        }
    }
    for (from, to) in again {
        let (from, to) = ((*from).min(rows.len()), (*to).min(rows.len()));
        if from < to {
            rows::write(opened(guard).store(), &log, &rows[from..to]).await.map_err(failed)?;
        }
    }
    let store = opened(guard).store();
    let by_seq: Vec<Event> = rows.into_iter().map(|row| row.event).collect();
    let mut by_time = by_seq.clone();
    by_time.sort_unstable_by_key(|event| event.position);
    let snapshot = store.snapshot().map_err(failed)?;
    for random_query in queries {
        check_page(store, &log, &by_time, &by_seq, *random_query).await?;
        if let Some(snapshot) = &snapshot {
            check_page(snapshot, &log, &by_time, &by_seq, *random_query).await?;
        }
    }
    drop(snapshot);
    follower.follow(store, &log, queries).await?;
    let found = follower.found;
    prop_assert!(found == by_seq, "in arrival order: {:?}, found {:?}", by_seq, found);
    check_counts(store, &log, &by_time).await
}

fn opened<G>(guard: &Option<G>) -> &G {
    guard.as_ref().expect("a guard is always put back")
}

/// A reader in arrival order.
struct Follower {
    after: ArrivalCursor,
    found: Vec<Event>,
}

impl Follower {
    /// Reads on to the end, in pages with the limits of the queries. Keeps its cursor as text.
    async fn follow(&mut self, store: &impl Store, log: &LogId, queries: &[RandomQuery]) -> Result<(), TestCaseError> {
        for (_, _, _, limit, bytes, _) in queries.iter().cycle() {
            let query = ArrivalQuery { after: self.after, limit: *limit, bytes: *bytes };
            let page = arrivals_page(store, log, &query, Seq::MAX).await.map_err(failed)?;
            prop_assert!(page.events.len() <= *limit);
            self.after = page.next.to_string().parse().map_err(failed)?;
            self.found.extend(page.events);
            if page.end == End::CaughtUp {
                break;
            }
        }
        Ok(())
    }
}

async fn check_page(
    store: &impl Store,
    log: &LogId,
    by_time: &[Event],
    by_seq: &[Event],
    (from, to, reverse, limit, bytes, visible): RandomQuery,
) -> Result<(), TestCaseError> {
    let position = |choice| match choice {
        PositionChoice::Time(offset) => Position::at(offset),
        PositionChoice::Event(index) => by_seq[index % by_seq.len()].position,
    };
    let visible = visible.map_or(Seq::MAX, |index| by_seq[index % by_seq.len()].position.seq);
    let query = Query { from: position(from), to: to.map(position), reverse, limit, bytes };
    let found = page(store, log, &query, visible).await.map_err(failed)?;

    let mut range: Vec<&Event> = by_time
        .iter()
        .filter(|event| query.from <= event.position && query.to.is_none_or(|to| event.position < to))
        .collect();
    if reverse {
        range.reverse();
    }
    // Reading forwards stops at an on-time event that is not visible yet.
    let is_hidden = |event: &&&Event| event.position.seq > visible && event.arrived.is_none() && !reverse;
    let stopped = range.iter().position(|event| is_hidden(&event));
    range.truncate(stopped.unwrap_or(range.len()));
    range.retain(|event| event.position.seq <= visible);
    let matching = range.len();
    let mut sum = 0;
    let expected: Vec<&Event> = range
        .into_iter()
        .take(limit)
        .take_while(|event| {
            let fits = sum < bytes.max(1);
            sum += event.record.bytes();
            fits
        })
        .collect();
    prop_assert!(found.events.iter().eq(expected.iter().copied()), "{query:?}: {expected:?}, found {found:?}");
    if expected.len() < matching {
        prop_assert_eq!(found.end, End::More);
    } else if found.end != End::More {
        let bound = if reverse { query.from > Position::MIN } else { query.to.is_some() && stopped.is_none() };
        let empty = query.to.is_some_and(|to| to <= query.from);
        prop_assert_eq!(found.end, if bound || empty { End::Bound } else { End::CaughtUp }, "{:?}", query);
    }
    Ok(())
}

async fn check_counts(store: &impl Store, log: &LogId, by_time: &[Event]) -> Result<(), TestCaseError> {
    let described = describe(store, log).await.map_err(failed)?;
    let bytes: usize = by_time.iter().map(|event| event.record.bytes()).sum();
    prop_assert_eq!((described.count, described.bytes), (by_time.len() as u64, bytes as u64));
    let ends = (by_time.first().map(|e| e.position.offset), by_time.last().map(|e| e.position.offset));
    prop_assert_eq!((described.first, described.last), ends);
    let totals = Totals { count: described.count, bytes: described.bytes, first: ends.0, last: ends.1 };
    prop_assert_eq!(store.totals(log).await.map_err(failed)?, totals);
    for (from, to, bins) in [
        ("10:00:00", "18:00:00", 8),
        ("10:00:00", "12:00:00", 120),
        ("11:59:00", "12:02:00", 3),
        ("10:17:03.4", "17:42:59.9", 11),
        ("11:59:59.999", "12:00:00.001", 7),
    ] {
        check_histogram(store, log, by_time, at(from), at(to), bins).await?;
    }
    // From one event to another: the edges lie anywhere.
    let offset = |part: usize| by_time.get(by_time.len() * part / 7).map(|event| event.position.offset);
    for (from, to, bins) in [(0, 5, 3), (1, 6, 1), (2, 4, 50)] {
        if let (Some(from), Some(to)) = (offset(from), offset(to))
            && to.duration_since(from).as_nanos() > bins as u128
        {
            check_histogram(store, log, by_time, from, to, bins as usize).await?;
        }
    }
    let limits = by_time.iter().step_by(7).map(|event| event.position.offset);
    let limits =
        limits.flat_map(|limit| [-MINUTE, -1, 0, 1, 7 * MINUTE].map(|nanos| limit.saturating_add_nanos(nanos)));
    for limit in limits.chain([Offset::MIN, Offset::MAX]) {
        let after: Vec<Offset> = by_time.iter().map(|e| e.position.offset).filter(|offset| *offset > limit).collect();
        let by_hand = after.first().zip(after.last()).map(|(first, last)| Ahead {
            count: after.len() as u64,
            first: *first,
            last: *last,
            is_exact: true,
        });
        prop_assert_eq!(ahead(store, log, limit).await.map_err(failed)?, by_hand, "after {}", limit);
    }
    Ok(())
}

async fn check_histogram(
    store: &impl Store,
    log: &LogId,
    by_time: &[Event],
    from: Offset,
    to: Offset,
    bins: usize,
) -> Result<(), TestCaseError> {
    let counting = Counting::new(Counting::equal_bins(from, to, bins).map_err(failed)?);
    let found = histogram(store, log, &counting).await.map_err(failed)?;
    for bin in &found.bins {
        let by_hand = by_time.iter().filter(|event| (bin.from..bin.to).contains(&event.position.offset)).count();
        prop_assert_eq!(bin.count, by_hand as u64, "from {} to {}", bin.from, bin.to);
    }
    let all = by_time.iter().filter(|event| (from..to).contains(&event.position.offset)).count();
    prop_assert_eq!(found.count, all as u64);
    prop_assert!(found.to_read >= found.read, "{} of {}", found.read, found.to_read);
    Ok(())
}

/// An error that a working store never returns.
fn failed(error: hourlog::Error) -> TestCaseError {
    TestCaseError::fail(format!("{error} ({})", error.kind()))
}
