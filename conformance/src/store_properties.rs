//! Random rows, written in any pieces, and random questions, compared with looking through a list.

use std::{
    cell::{Cell, RefCell},
    future::Future,
};

use hourlog::{
    Arrival, ArrivalQuery, End, Event, HOUR, LogId, MINUTE, Offset, Position, Query, Record, Row, Seq, Store,
    arrival_page, describe, page, timeline,
};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};

use crate::{
    guard::StoreGuard,
    kit::{at, id},
    rows::{self, Rows},
};

/// The most events of one log.
const EVENTS_MAX: usize = 80;

/// How an event comes: how long after the one before (or before it: clocks are set back), and for which time.
type Coming = (i64, Option<Offset>, usize);

/// From where, to where, in reverse, events, bytes, and which seqs are visible.
type Question = (Place, Option<Place>, bool, usize, usize, Option<usize>);

/// A position to ask for: at a time, or of an event.
#[derive(Debug, Clone, Copy)]
enum Place {
    At(Offset),
    Of(usize),
}

fn offsets() -> impl Strategy<Value = Offset> {
    let edges = ["10:00:00", "11:00:00", "12:00:00", "16:00:00", "1969-12-31T23:00:00Z", "1677-09-21T01:00:00Z"];
    (prop::sample::select(edges.map(at).to_vec()), prop::sample::select(vec![-1, 0, 0, 1, MINUTE, 40 * MINUTE]))
        .prop_map(|(edge, ticks)| edge.saturating_add_nanos(ticks))
}

fn comings() -> impl Strategy<Value = Vec<Coming>> {
    let steps = prop::sample::select(vec![0, 1, MINUTE, 20 * MINUTE, 50 * MINUTE, -1, -30 * MINUTE, -3 * HOUR]);
    vec((steps, prop::option::of(offsets()), 0..20_usize), 1..EVENTS_MAX)
}

fn questions() -> impl Strategy<Value = Vec<Question>> {
    let place = || prop_oneof![offsets().prop_map(Place::At), (0..EVENTS_MAX).prop_map(Place::Of)];
    let bounds = (prop_oneof![1 => Just(Place::At(Offset::MIN)), 2 => place()], prop::option::of(place()));
    let sizes = (prop_oneof![1..20_usize, Just(usize::MAX)], prop_oneof![0..100_usize, Just(usize::MAX)]);
    let visible = prop::option::weighted(0.3, 0..EVENTS_MAX);
    vec((bounds, any::<bool>(), sizes, visible), 1..12).prop_map(|questions| {
        let flat = |((from, to), reverse, (limit, bytes), visible)| (from, to, reverse, limit, bytes, visible);
        questions.into_iter().map(flat).collect()
    })
}

/// Asks `cases` random archives random questions.
///
/// # Panics
/// With the smallest archive and questions that were found whose answers are wrong.
pub fn random_rows<G, F>(open: impl Fn() -> F, cases: u32)
where
    G: StoreGuard,
    F: Future<Output = G>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let guard = RefCell::new(Some(runtime.block_on(open())));
    let number = Cell::new(0);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 500, ..Config::default() };
    let restart = prop::option::weighted(0.3, 0..EVENTS_MAX);
    let input = (comings(), vec((0..EVENTS_MAX, 0..EVENTS_MAX), 0..6), 1..30_usize, restart, questions());
    let outcome = TestRunner::new(config).run(&input, |(comings, again, piece, restart, questions)| {
        number.set(number.get() + 1);
        let log = id(&format!("random.{}", number.get()));
        let written = Written { comings: &comings, again: &again, piece, restart };
        runtime.block_on(check(&mut guard.borrow_mut(), log, written, &questions))
    });
    drop(guard);
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// How a log comes to be.
struct Written<'a> {
    comings: &'a [Coming],
    /// What comes once more.
    again: &'a [(usize, usize)],
    /// How many are written at once.
    piece: usize,
    /// Before which event the archive is closed and opened again.
    restart: Option<usize>,
}

/// Writes a log and asks; a reader follows it meanwhile. `guard` is there before and after, but may be opened again.
async fn check<G: StoreGuard>(
    guard: &mut Option<G>,
    log: LogId,
    written: Written<'_>,
    questions: &[Question],
) -> Result<(), TestCaseError> {
    let Written { comings, again, piece, restart } = written;
    let mut follower = Follower { after: Arrival::FIRST, found: Vec::new() };
    let mut source = Rows::new(log.clone());
    let mut now = at("13:30:00");
    let rows: Vec<Row> = comings
        .iter()
        .map(|(step, offset, size)| {
            now = now.saturating_add_nanos(*step);
            source.arrived(offset.unwrap_or(now), now, Record::new(vec![b'x'; *size]))
        })
        .collect();
    for (number, part) in rows.chunks(piece).enumerate() {
        if restart.is_some_and(|at| at / piece == number) && number > 0 {
            follower.follow(opened(guard).store(), &log, questions).await?;
            let again = guard.take().expect("it is there").restart().await;
            *guard = Some(again);
        }
        rows::write(opened(guard).store(), &log, part).await.map_err(failed)?;
    }
    // Some of it comes again.
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
    for question in questions {
        check_page(store, &log, &by_time, &by_seq, *question).await?;
    }
    follower.follow(store, &log, questions).await?;
    let found = follower.found;
    prop_assert!(found == by_seq, "in arrival order: {:?}, found {:?}", by_seq, found);
    check_counts(store, &log, &by_time).await
}

fn opened<G>(guard: &Option<G>) -> &G {
    guard.as_ref().expect("it is put back at once")
}

/// A reader in arrival order.
struct Follower {
    after: Arrival,
    found: Vec<Event>,
}

impl Follower {
    /// Reads on to the end, in pages as the questions bound them, over and over. Keeps its cursor as text.
    async fn follow(&mut self, store: &impl Store, log: &LogId, questions: &[Question]) -> Result<(), TestCaseError> {
        for (_, _, _, limit, bytes, _) in questions.iter().cycle() {
            let query = ArrivalQuery { after: self.after, limit: *limit, bytes: *bytes, visible: Seq::MAX };
            let page = arrival_page(store, log, &query).await.map_err(failed)?;
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
    (from, to, reverse, limit, bytes, visible): Question,
) -> Result<(), TestCaseError> {
    let position = |place| match place {
        Place::At(offset) => Position::at(offset),
        Place::Of(index) => by_seq[index % by_seq.len()].position,
    };
    let visible = visible.map_or(Seq::MAX, |index| by_seq[index % by_seq.len()].position.seq);
    let query = Query { from: position(from), to: to.map(position), reverse, limit, bytes, visible };
    let found = page(store, log, &query).await.map_err(failed)?;

    let mut range: Vec<&Event> = by_time
        .iter()
        .filter(|event| query.from <= event.position && query.to.is_none_or(|to| event.position < to))
        .collect();
    if reverse {
        range.reverse();
    }
    // Forwards nothing may be read behind a newest event that is held back.
    let held_back = |event: &&&Event| event.position.seq > visible && event.arrived.is_none() && !reverse;
    let stopped = range.iter().position(|event| held_back(&event));
    range.truncate(stopped.unwrap_or(range.len()));
    range.retain(|event| event.position.seq <= visible);
    let whole = range.len();
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
    if expected.len() < whole {
        prop_assert_eq!(found.end, End::More);
    } else if found.end != End::More {
        let bound = if reverse { query.from > Position::MIN } else { query.to.is_some() && stopped.is_none() };
        let empty = query.to.is_some_and(|to| to <= query.from);
        prop_assert_eq!(found.end, if bound || empty { End::Bound } else { End::CaughtUp }, "{:?}", query);
    }
    Ok(())
}

async fn check_counts(store: &impl Store, log: &LogId, by_time: &[Event]) -> Result<(), TestCaseError> {
    let told = describe(store, log).await.map_err(failed)?;
    let bytes: usize = by_time.iter().map(|event| event.record.bytes()).sum();
    prop_assert_eq!((told.count, told.bytes), (by_time.len() as u64, bytes as u64));
    let ends = (by_time.first().map(|e| e.position.offset), by_time.last().map(|e| e.position.offset));
    prop_assert_eq!((told.first, told.last), ends);
    for (from, to, bins) in [("10:00:00", "18:00:00", 8), ("10:00:00", "12:00:00", 120), ("11:59:00", "12:02:00", 3)] {
        for bin in timeline(store, log, at(from), at(to), bins).await.map_err(failed)?.bins {
            let by_hand = by_time.iter().filter(|event| (bin.from..bin.to).contains(&event.position.offset)).count();
            prop_assert_eq!(bin.count, by_hand as u64, "from {} to {}", bin.from, bin.to);
        }
    }
    Ok(())
}

/// What is no answer of a store that works.
fn failed(error: hourlog::Error) -> TestCaseError {
    TestCaseError::fail(format!("{error} ({})", error.kind()))
}
