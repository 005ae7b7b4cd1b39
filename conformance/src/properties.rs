//! Random operations, on what is tested and on a model, step by step: whatever one answers, the other must.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::Future,
};

use hourlog::{Arrival, ErrorKind, Event, Events, HOUR, Log, LogId, Offset, Position, Reason, Record, Result};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};

use crate::{
    guard::{Guard, drain, take, take_arrived},
    kit::{at, id},
};

/// The most operations of one sequence.
const OPERATIONS_MAX: usize = 40;

#[derive(Debug, Clone)]
enum Operation {
    Write(Draft),
    WriteMany(Vec<Draft>),
    /// A write that is refused.
    WriteAhead,
    /// By another handle; then the reader, who may have read ahead, seeks.
    WriteElsewhere(Draft, Offset),
    Seek(Offset),
    Read,
    ReadMany(usize),
    Follow(usize),
    /// Another handle in place of this one.
    Reopen,
    /// Everything that can be is stopped and started again.
    Restart,
}

/// A record to write.
#[derive(Debug, Clone)]
struct Draft {
    /// Without one, the time at which it arrives.
    offset: Option<Offset>,
    data: Vec<u8>,
    metadata: Vec<(&'static str, &'static str)>,
}

impl Draft {
    fn record(&self) -> Record {
        let record = self.metadata.iter().fold(Record::new(self.data.clone()), |record, (n, v)| record.with(*n, *v));
        match self.offset {
            Some(offset) => record.at(offset),
            None => record,
        }
    }
}

/// Times around the edges of buckets: few, so that there are ties.
fn offsets() -> impl Strategy<Value = Offset> {
    let edges = [
        at("10:00:00"),
        at("11:00:00"),
        at("12:00:00"),
        at("2017-02-04T11:00:00Z"),
        Offset::from_nanos(0),
        Offset::MIN.saturating_add_nanos(HOUR),
        // The end of the first bucket of time.
        at("1677-09-21T01:00:00Z"),
    ];
    (prop::sample::select(edges.to_vec()), prop::sample::select(vec![-1, 0, 0, 1, HOUR / 60]))
        .prop_map(|(edge, ticks)| edge.saturating_add_nanos(ticks))
}

fn drafts() -> impl Strategy<Value = Draft> {
    let pairs = prop::sample::select(vec![("kind", "paid"), ("kind", " twice "), ("Kind", ""), ("note", "a: b, c")]);
    (prop::option::weighted(0.8, offsets()), vec(any::<u8>(), 0..9), vec(pairs, 0..4))
        .prop_map(|(offset, data, metadata)| Draft { offset, data, metadata })
}

fn operations() -> impl Strategy<Value = Operation> {
    prop_oneof![
        6 => drafts().prop_map(Operation::Write),
        3 => vec(drafts(), 1..8).prop_map(Operation::WriteMany),
        1 => Just(Operation::WriteAhead),
        2 => (drafts(), offsets()).prop_map(|(draft, offset)| Operation::WriteElsewhere(draft, offset)),
        4 => offsets().prop_map(Operation::Seek),
        6 => Just(Operation::Read),
        4 => (1..9_usize).prop_map(Operation::ReadMany),
        4 => (1..9_usize).prop_map(Operation::Follow),
        1 => Just(Operation::Reopen),
    ]
}

/// Runs `cases` random sequences on what `open` opens and on `model`.
///
/// # Panics
/// With the shortest sequence that was found whose answers differ.
pub fn random_operations<G, F, M>(open: impl Fn() -> F, model: &M, cases: u32)
where
    G: Guard,
    F: Future<Output = G>,
    M: Events,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let guard = RefCell::new(Some(runtime.block_on(open())));
    let number = Cell::new(0);
    // What failed is printed whole and shrunk; there is no file of seeds beside the source.
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let sequences = (vec(operations(), 1..OPERATIONS_MAX), any::<bool>());
    let outcome = TestRunner::new(config).run(&sequences, |(mut operations, restart)| {
        // A log of its own for each sequence, in one archive for all.
        number.set(number.get() + 1);
        let log = id(&format!("random.{}", number.get()));
        if restart {
            operations.insert(operations.len() / 2, Operation::Restart);
        }
        let opened = guard.take().expect("it is put back below");
        let (opened, outcome) = runtime.block_on(compare(opened, model, log, &operations));
        guard.replace(Some(opened));
        outcome
    });
    // Within the runtime, for the tasks that it may have.
    let _entered = runtime.enter();
    drop(guard);
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// Carries out `operations` on both sides, and compares each answer and, in the end, everything.
async fn compare<G: Guard, M: Events>(
    guard: G,
    model: &M,
    log: LogId,
    operations: &[Operation],
) -> (G, Result<(), TestCaseError>) {
    let mut guard = Some(guard);
    let outcome = async {
        let mut expected = Side::open(model, &log).await?;
        let mut found = Side::open(guard.as_ref().expect("it is here until a restart").events(), &log).await?;
        for (number, operation) in operations.iter().enumerate() {
            if matches!(operation, Operation::Restart) {
                let seen = found.seen;
                drop(found.log);
                let restarted = guard.take().expect("it is put back below").restart().await;
                found = Side { seen, ..Side::open(guard.insert(restarted).events(), &log).await? };
                expected = Side { seen: expected.seen, ..Side::open(model, &log).await? };
                continue;
            }
            let events = guard.as_ref().expect("it is put back after a restart").events();
            let (expected, found) = (expected.step(model, operation).await?, found.step(events, operation).await?);
            if expected != found {
                let why = format!("step {number}, {operation:?}: expected {expected:?}, found {found:?}");
                return Err(TestCaseError::fail(why));
            }
        }
        let (expected, found) = (expected.everything(model).await?, {
            let events = guard.as_ref().expect("it is put back after a restart").events();
            found.everything(events).await?
        });
        if expected != found {
            return Err(TestCaseError::fail(format!("in the end: expected {expected:?}, found {found:?}")));
        }
        Ok(())
    };
    let outcome = outcome.await;
    (guard.expect("it was put back after a restart"), outcome)
}

/// What an operation has answered, in terms that both sides share.
#[derive(Debug, PartialEq)]
enum Answer {
    Written(Vec<Option<Offset>>),
    Events(Vec<Seen>),
    /// The number of the event, and how it relates to the time.
    Place(Option<usize>, Reason),
    Refused(ErrorKind),
    Reopened,
}

/// An event, named by the number of its write.
#[derive(Debug, PartialEq)]
struct Seen {
    number: usize,
    /// Its time, where it was given one.
    offset: Option<Offset>,
    record: Record,
}

/// One of the two: a handle, and what was written by it.
struct Side<L> {
    log: L,
    seen: Written,
}

#[derive(Debug, Default)]
struct Written {
    /// Which write an event came of, and whether it was given a time.
    numbers: BTreeMap<Position, (usize, bool)>,
    last: Option<Position>,
    followed: Option<Arrival>,
}

impl<L: Log> Side<L> {
    async fn open(events: &impl Events<Log = L>, log: &LogId) -> Result<Self, TestCaseError> {
        let log = events.log(log).await.map_err(failed)?;
        Ok(Self { log, seen: Written::default() })
    }

    async fn step(&mut self, events: &impl Events<Log = L>, operation: &Operation) -> Result<Answer, TestCaseError> {
        let answer = match operation {
            Operation::Write(draft) => match self.log.write(draft.record()).await {
                Ok(position) => Ok(Answer::Written(vec![self.seen.write(position, draft)?])),
                Err(error) => Err(error),
            },
            Operation::WriteMany(drafts) => match self.log.write_many(drafts.iter().map(Draft::record).collect()).await
            {
                Ok(positions) if positions.len() == drafts.len() => {
                    let written = positions.into_iter().zip(drafts);
                    let offsets = written.map(|(position, draft)| self.seen.write(position, draft));
                    Ok(Answer::Written(offsets.collect::<Result<_, _>>()?))
                }
                Ok(positions) => return Err(TestCaseError::fail(format!("{} positions", positions.len()))),
                Err(error) => Err(error),
            },
            Operation::WriteAhead => {
                let record = Record::new("too early").at("2200-01-01T00:00:00Z".parse().map_err(failed)?);
                self.log.write(record).await.map(|position| Answer::Written(vec![Some(position.offset)]))
            }
            Operation::WriteElsewhere(draft, offset) => {
                let mut elsewhere = events.log(self.log.id()).await.map_err(failed)?;
                let position = elsewhere.write(draft.record()).await.map_err(failed)?;
                self.seen.write(position, draft)?;
                self.seek(*offset).await?
            }
            Operation::Seek(offset) => self.seek(*offset).await?,
            Operation::Read => match self.log.read().await {
                Ok(event) => Ok(Answer::Events(self.seen.see(event.as_slice())?)),
                Err(error) => Err(error),
            },
            Operation::ReadMany(limit) => match take(&mut self.log, *limit).await {
                Ok(events) => Ok(Answer::Events(self.seen.see(&events)?)),
                Err(error) => Err(error),
            },
            Operation::Follow(limit) => {
                let after = self.seen.followed.unwrap_or(Arrival::FIRST);
                match take_arrived(&mut self.log, after, *limit).await {
                    Ok((events, next)) => {
                        if !events.is_empty() {
                            // As a reader keeps it.
                            self.seen.followed = Some(next.to_string().parse().map_err(failed)?);
                        }
                        Ok(Answer::Events(self.seen.see(&events)?))
                    }
                    Err(error) => Err(error),
                }
            }
            Operation::Reopen => {
                let id = self.log.id().clone();
                self.log = events.log(&id).await.map_err(failed)?;
                Ok(Answer::Reopened)
            }
            Operation::Restart => unreachable!("it is carried out by who holds the guard"),
        };
        Ok(answer.unwrap_or_else(|error| Answer::Refused(error.kind())))
    }

    async fn seek(&mut self, offset: Offset) -> Result<Result<Answer>, TestCaseError> {
        Ok(match self.log.seek(offset).await {
            Ok(seeked) => {
                let number = seeked.resolved.map(|position| self.seen.number(position)).transpose()?;
                Ok(Answer::Place(number.map(|(number, _)| number), seeked.reason))
            }
            Err(error) => Err(error),
        })
    }

    /// The whole log in timeline order, and in arrival order.
    async fn everything(self, events: &impl Events<Log = L>) -> Result<(Answer, Answer), TestCaseError> {
        let mut log = events.log(self.log.id()).await.map_err(failed)?;
        let answer = |events: Result<Vec<Event>>| match events {
            Ok(events) => Ok::<_, TestCaseError>(Answer::Events(self.seen.see(&events)?)),
            Err(error) => Ok(Answer::Refused(error.kind())),
        };
        let read = answer(drain(&mut log).await)?;
        let followed = take_arrived(&mut log, Arrival::FIRST, usize::MAX).await.map(|(events, _)| events);
        Ok((read, answer(followed)?))
    }
}

impl Written {
    /// Takes note of a write; answers the offset where it does not depend on when it was.
    fn write(&mut self, position: Position, draft: &Draft) -> Result<Option<Offset>, TestCaseError> {
        if self.last.is_some_and(|last| last.seq >= position.seq) {
            return Err(TestCaseError::fail(format!("{position} was written after {:?}", self.last)));
        }
        self.last = Some(position);
        self.numbers.insert(position, (self.numbers.len(), draft.offset.is_some()));
        Ok(draft.offset.map(|_| position.offset))
    }

    fn number(&self, position: Position) -> Result<(usize, bool), TestCaseError> {
        let unknown = || TestCaseError::fail(format!("nobody wrote {position}"));
        self.numbers.get(&position).copied().ok_or_else(unknown)
    }

    fn see(&self, events: &[Event]) -> Result<Vec<Seen>, TestCaseError> {
        let seen = events.iter().map(|event| {
            let (number, given) = self.number(event.position)?;
            if given != event.arrived.is_some() {
                return Err(TestCaseError::fail(format!("{} arrived {:?}", event.position, event.arrived)));
            }
            Ok(Seen { number, offset: given.then_some(event.position.offset), record: event.record.clone() })
        });
        seen.collect()
    }
}

/// What is no answer of a log that works.
fn failed(error: hourlog::Error) -> TestCaseError {
    TestCaseError::fail(format!("{error} ({})", error.kind()))
}
