//! Random operations on an implementation and on a model: after each step, both must return the
//! same.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::Future,
};

use hourlog::{
    ArrivalCursor, ErrorKind, Event, Events, Log, LogId, Offset, Position, Reason, Record, Result, time::HOUR,
};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};

use crate::{
    guard::{Guard, drain, take, take_arrived},
    ids::prefixes,
    kit::{at, id},
};

/// The longest sequence.
const OPERATIONS_MAX: usize = 40;

#[derive(Debug, Clone)]
enum RandomOperation {
    Write(Draft),
    WriteMany(Vec<Draft>),
    /// A write that is refused.
    WriteAhead,
    /// A write by another handle; then this handle, which may have read ahead, seeks.
    WriteElsewhere(Draft, Offset),
    Seek(Offset),
    Read,
    ReadMany(usize),
    Follow(usize),
    /// Replaces the handle.
    Reopen,
    /// Restarts the implementation.
    Restart,
}

/// A record to write.
#[derive(Debug, Clone)]
struct Draft {
    /// `None` for the arrival time.
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

/// Times around the boundaries of buckets. They are few, so that there are ties.
fn offsets() -> impl Strategy<Value = Offset> {
    let edges = [
        at("10:00:00"),
        at("11:00:00"),
        at("12:00:00"),
        at("2017-02-04T11:00:00Z"),
        Offset::from_nanos(0),
        Offset::MIN.saturating_add_nanos(HOUR),
        // The end of the earliest bucket.
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

fn operations() -> impl Strategy<Value = RandomOperation> {
    prop_oneof![
        6 => drafts().prop_map(RandomOperation::Write),
        3 => vec(drafts(), 1..8).prop_map(RandomOperation::WriteMany),
        1 => Just(RandomOperation::WriteAhead),
        2 => (drafts(), offsets()).prop_map(|(draft, offset)| RandomOperation::WriteElsewhere(draft, offset)),
        4 => offsets().prop_map(RandomOperation::Seek),
        6 => Just(RandomOperation::Read),
        4 => (1..9_usize).prop_map(RandomOperation::ReadMany),
        4 => (1..9_usize).prop_map(RandomOperation::Follow),
        1 => Just(RandomOperation::Reopen),
    ]
}

/// Runs `cases` random sequences on the implementation that `open` opens, and on `model`.
///
/// # Panics
/// If the results differ; the message has the shortest such sequence that was found.
pub fn random_operations<G, F, M>(open: impl Fn() -> F, model: &M, cases: u32)
where
    G: Guard,
    F: Future<Output = G>,
    M: Events,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be created");
    let guard = RefCell::new(Some(runtime.block_on(open())));
    let number = Cell::new(0);
    // A failure is printed in full, so no file with its seed is needed.
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let sequences = (prefixes(), vec(operations(), 1..OPERATIONS_MAX), any::<bool>());
    let outcome = TestRunner::new(config).run(&sequences, |(prefix, mut operations, restart)| {
        // Each sequence has its own log; all of them share one archive.
        number.set(number.get() + 1);
        let log = id(&format!("{prefix}.{}", number.get()));
        if restart {
            operations.insert(operations.len() / 2, RandomOperation::Restart);
        }
        let opened = guard.take().expect("the guard is put back below");
        let (opened, outcome) = runtime.block_on(compare(opened, model, log, &operations));
        guard.replace(Some(opened));
        outcome
    });
    // The guard may own tasks, which must be dropped within the runtime.
    let _entered = runtime.enter();
    drop(guard);
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// Carries out `operations` on both sides. Compares the result of each, and all events at the end.
async fn compare<G: Guard, M: Events>(
    guard: G,
    model: &M,
    log: LogId,
    operations: &[RandomOperation],
) -> (G, Result<(), TestCaseError>) {
    let mut guard = Some(guard);
    let outcome = async {
        let mut expected = ComparedLog::open(model, &log).await?;
        let mut found =
            ComparedLog::open(guard.as_ref().expect("the guard is there until a restart").events(), &log).await?;
        for (number, operation) in operations.iter().enumerate() {
            if matches!(operation, RandomOperation::Restart) {
                let history = found.history;
                drop(found.log);
                let restarted = guard.take().expect("the guard is put back below").restart().await;
                found = ComparedLog { history, ..ComparedLog::open(guard.insert(restarted).events(), &log).await? };
                expected = ComparedLog { history: expected.history, ..ComparedLog::open(model, &log).await? };
                continue;
            }
            let events = guard.as_ref().expect("the guard is put back after a restart").events();
            let (expected, found) = (expected.step(model, operation).await?, found.step(events, operation).await?);
            if expected != found {
                let why = format!("step {number}, {operation:?}: expected {expected:?}, found {found:?}");
                return Err(TestCaseError::fail(why));
            }
        }
        let (expected, found) = (expected.everything(model).await?, {
            let events = guard.as_ref().expect("the guard is put back after a restart").events();
            found.everything(events).await?
        });
        if expected != found {
            return Err(TestCaseError::fail(format!("at the end: expected {expected:?}, found {found:?}")));
        }
        Ok(())
    };
    let outcome = outcome.await;
    (guard.expect("the guard was put back after a restart"), outcome)
}

/// The result of an operation, in terms that both sides share.
#[derive(Debug, PartialEq)]
enum OperationResult {
    Written(Vec<Option<Offset>>),
    Events(Vec<ObservedEvent>),
    /// The number of the resolved event, and the reason.
    Seeked(Option<usize>, Reason),
    Refused(ErrorKind),
    Reopened,
}

/// An event, identified by the number of its write.
#[derive(Debug, PartialEq)]
struct ObservedEvent {
    number: usize,
    /// Its time, if the record had one.
    offset: Option<Offset>,
    record: Record,
}

/// One of the two logs that are compared: a handle and the history of its writes.
struct ComparedLog<L> {
    log: L,
    history: WriteHistory,
}

#[derive(Debug, Default)]
struct WriteHistory {
    /// The number of each event's write, and whether the record had a time.
    numbers: BTreeMap<Position, (usize, bool)>,
    last: Option<Position>,
    followed: Option<ArrivalCursor>,
}

impl<L: Log> ComparedLog<L> {
    async fn open(events: &impl Events<Log = L>, log: &LogId) -> Result<Self, TestCaseError> {
        let log = events.log(log).await.map_err(failed)?;
        Ok(Self { log, history: WriteHistory::default() })
    }

    async fn step(
        &mut self,
        events: &impl Events<Log = L>,
        operation: &RandomOperation,
    ) -> Result<OperationResult, TestCaseError> {
        let answer = match operation {
            RandomOperation::Write(draft) => match self.log.write(draft.record()).await {
                Ok(position) => Ok(OperationResult::Written(vec![self.history.write(position, draft)?])),
                Err(error) => Err(error),
            },
            RandomOperation::WriteMany(drafts) => {
                match self.log.write_many(drafts.iter().map(Draft::record).collect()).await {
                    Ok(positions) if positions.len() == drafts.len() => {
                        let written = positions.into_iter().zip(drafts);
                        let offsets = written.map(|(position, draft)| self.history.write(position, draft));
                        Ok(OperationResult::Written(offsets.collect::<Result<_, _>>()?))
                    }
                    Ok(positions) => return Err(TestCaseError::fail(format!("{} positions", positions.len()))),
                    Err(error) => Err(error),
                }
            }
            RandomOperation::WriteAhead => {
                let record = Record::new("too early").at("2200-01-01T00:00:00Z".parse().map_err(failed)?);
                self.log.write(record).await.map(|position| OperationResult::Written(vec![Some(position.offset)]))
            }
            RandomOperation::WriteElsewhere(draft, offset) => {
                let mut elsewhere = events.log(self.log.id()).await.map_err(failed)?;
                let position = elsewhere.write(draft.record()).await.map_err(failed)?;
                self.history.write(position, draft)?;
                self.seek(*offset).await?
            }
            RandomOperation::Seek(offset) => self.seek(*offset).await?,
            RandomOperation::Read => match self.log.read().await {
                Ok(event) => Ok(OperationResult::Events(self.history.see(event.as_slice())?)),
                Err(error) => Err(error),
            },
            RandomOperation::ReadMany(limit) => match take(&mut self.log, *limit).await {
                Ok(events) => Ok(OperationResult::Events(self.history.see(&events)?)),
                Err(error) => Err(error),
            },
            RandomOperation::Follow(limit) => {
                let after = self.history.followed.unwrap_or(ArrivalCursor::FIRST);
                match take_arrived(&mut self.log, after, *limit).await {
                    Ok((events, next)) => {
                        if !events.is_empty() {
                            // As text, as a reader stores it.
                            self.history.followed = Some(next.to_string().parse().map_err(failed)?);
                        }
                        Ok(OperationResult::Events(self.history.see(&events)?))
                    }
                    Err(error) => Err(error),
                }
            }
            RandomOperation::Reopen => {
                let id = self.log.id().clone();
                self.log = events.log(&id).await.map_err(failed)?;
                Ok(OperationResult::Reopened)
            }
            RandomOperation::Restart => unreachable!("compare() carries it out, which has the guard"),
        };
        Ok(answer.unwrap_or_else(|error| OperationResult::Refused(error.kind())))
    }

    async fn seek(&mut self, offset: Offset) -> Result<Result<OperationResult>, TestCaseError> {
        Ok(match self.log.seek(offset).await {
            Ok(seeked) => {
                let number = seeked.resolved.map(|position| self.history.number(position)).transpose()?;
                Ok(OperationResult::Seeked(number.map(|(number, _)| number), seeked.reason))
            }
            Err(error) => Err(error),
        })
    }

    /// Reads the whole log in timeline order, and in arrival order.
    async fn everything(
        self,
        events: &impl Events<Log = L>,
    ) -> Result<(OperationResult, OperationResult), TestCaseError> {
        let mut log = events.log(self.log.id()).await.map_err(failed)?;
        let answer = |events: Result<Vec<Event>>| match events {
            Ok(events) => Ok::<_, TestCaseError>(OperationResult::Events(self.history.see(&events)?)),
            Err(error) => Ok(OperationResult::Refused(error.kind())),
        };
        let read = answer(drain(&mut log).await)?;
        let followed = take_arrived(&mut log, ArrivalCursor::FIRST, usize::MAX).await.map(|(events, _)| events);
        Ok((read, answer(followed)?))
    }
}

impl WriteHistory {
    /// Notes a write. Returns the offset if it does not depend on the time of the write.
    fn write(&mut self, position: Position, draft: &Draft) -> Result<Option<Offset>, TestCaseError> {
        if self.last.is_some_and(|last| last.seq >= position.seq) {
            return Err(TestCaseError::fail(format!("{position} was written after {:?}", self.last)));
        }
        self.last = Some(position);
        self.numbers.insert(position, (self.numbers.len(), draft.offset.is_some()));
        Ok(draft.offset.map(|_| position.offset))
    }

    fn number(&self, position: Position) -> Result<(usize, bool), TestCaseError> {
        let unknown = || TestCaseError::fail(format!("no write returned {position}"));
        self.numbers.get(&position).copied().ok_or_else(unknown)
    }

    fn see(&self, events: &[Event]) -> Result<Vec<ObservedEvent>, TestCaseError> {
        let history = events.iter().map(|event| {
            let (number, given) = self.number(event.position)?;
            if given != event.arrived.is_some() {
                return Err(TestCaseError::fail(format!("{} arrived {:?}", event.position, event.arrived)));
            }
            Ok(ObservedEvent { number, offset: given.then_some(event.position.offset), record: event.record.clone() })
        });
        history.collect()
    }
}

/// An error that a working log never returns.
fn failed(error: hourlog::Error) -> TestCaseError {
    TestCaseError::fail(format!("{error} ({})", error.kind()))
}
