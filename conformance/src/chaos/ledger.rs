//! The ledger: notes each operation before it is sent and when it is answered.
//!
//! The record of an operation is a function of the run's seed and the operation's id. The verdict
//! can therefore tell if an event is what was sent.

use std::{
    collections::HashMap,
    fmt,
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
};

use hourlog::{LogId, Offset, Position, Record, header, time::HOUR};
use rand::{Rng, SeedableRng, rngs::StdRng};

/// The number of logs that are written to.
pub const LOGS: u32 = 50;
/// One in this many events is late: its record carries a time.
const LATE_EACH: u32 = 5;
/// The earliest time of a late event.
const LATE_FROM: Offset = Offset::from_nanos(1_517_738_400 * hourlog::time::SECOND);
/// The hours after [`LATE_FROM`] in which late events lie.
const LATE_HOURS: i64 = 5;
/// The most padding bytes of an event's data.
const FILL_MAX: usize = 600;

/// The identity of an operation: its publisher and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperationId {
    /// The publisher.
    pub publisher: u32,
    /// The operation's number at its publisher, from 0.
    pub number: u64,
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.publisher, self.number)
    }
}

/// The method that a publisher sends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishMethod {
    /// To JetStream with a message id; retried until it is acknowledged.
    JetStream,
    /// To the service with a message id; retried until it is answered.
    Append,
    /// To the service, once. Without an answer, it may or may not be archived.
    AppendOnce,
    /// To NATS, without an acknowledgement.
    Plain,
}

impl PublishMethod {
    /// Returns the method of a publisher.
    pub fn of(publisher: u32) -> Self {
        [Self::JetStream, Self::Append, Self::AppendOnce, Self::Plain][publisher as usize % 4]
    }
}

/// The answer to an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledgement {
    /// The stream stored it with this sequence.
    Sequence(u64),
    /// The archive stored it at this position.
    Position(Position),
}

/// One operation and its answer.
#[derive(Debug, Clone, Copy)]
pub struct LedgerEntry {
    /// The log, below [`LOGS`].
    pub log: u32,
    /// The tick of the ledger at which it was sent.
    pub sent: u64,
    /// The tick and the content of the answer. Without one, the event may or may not be archived.
    pub answered: Option<(u64, Acknowledgement)>,
}

/// Operations that the stream and the archive lost at the same time.
#[derive(Debug, Clone)]
pub struct Loss {
    /// The ticks at which they were sent. Not all of them need be lost.
    pub operations: Range<u64>,
    /// The number of messages that the service reported as lost.
    pub reported: u64,
    /// False if the stream has used sequences again meanwhile, so that the service cannot count them all.
    pub is_exact: bool,
}

/// All operations of a run.
#[derive(Debug)]
pub struct Ledger {
    seed: u64,
    state: Mutex<LedgerState>,
}

#[derive(Debug, Default)]
struct LedgerState {
    ticks: u64,
    operations: HashMap<OperationId, LedgerEntry>,
    losses: Vec<Loss>,
}

impl Ledger {
    /// An empty ledger.
    pub fn new(seed: u64) -> Self {
        Self { seed, state: Mutex::default() }
    }

    /// Notes that `id` is about to be sent to `log`, and returns its record.
    pub fn send(&self, id: OperationId, log: u32) -> Record {
        let mut state = self.state();
        state.ticks += 1;
        let operation = LedgerEntry { log, sent: state.ticks, answered: None };
        let before = state.operations.insert(id, operation);
        assert!(before.is_none(), "{id} was sent before");
        self.record(id)
    }

    /// Notes the answer to `id`.
    ///
    /// # Panics
    /// If `id` was never sent.
    pub fn answer(&self, id: OperationId, answer: Acknowledgement) {
        let mut state = self.state();
        state.ticks += 1;
        let tick = state.ticks;
        let operation = state.operations.get_mut(&id).expect("an answered operation was sent");
        operation.answered = Some((tick, answer));
    }

    /// Returns the present tick.
    pub fn tick(&self) -> u64 {
        self.state().ticks
    }

    /// Notes a loss.
    pub fn lose(&self, loss: Loss) {
        self.state().losses.push(loss);
    }

    /// Returns the losses.
    pub fn losses(&self) -> Vec<Loss> {
        self.state().losses.clone()
    }

    /// Returns the operations of a loss.
    pub fn lost(&self, loss: &Loss) -> Vec<(OperationId, LedgerEntry)> {
        let state = self.state();
        let lost = state.operations.iter().filter(|(_, operation)| loss.operations.contains(&operation.sent));
        lost.map(|(id, operation)| (*id, *operation)).collect()
    }

    /// Returns the operation `id`; `None` if it was never sent.
    pub fn operation(&self, id: OperationId) -> Option<LedgerEntry> {
        self.state().operations.get(&id).copied()
    }

    /// Returns the ids of the operations that were answered.
    pub fn answered(&self) -> Vec<OperationId> {
        let state = self.state();
        let mut ids: Vec<OperationId> =
            state.operations.iter().filter(|(_, operation)| operation.answered.is_some()).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    /// The number of operations that were sent.
    pub fn len(&self) -> usize {
        self.state().operations.len()
    }

    /// Returns true if nothing was sent.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the record of `id` as it is sent.
    pub fn record(&self, id: OperationId) -> Record {
        let mut random = self.random(id);
        let fill: String = (0..random.random_range(0..FILL_MAX)).map(|_| random.random_range('a'..='z')).collect();
        let checksum = random.random::<u64>();
        let record = Record::new(format!("{id} {checksum:016x} {fill}")).with("Publisher", id.publisher.to_string());
        let record = match PublishMethod::of(id.publisher) {
            PublishMethod::JetStream | PublishMethod::Append => record.with(header::MSG_ID, message_id(id)),
            PublishMethod::AppendOnce | PublishMethod::Plain => record,
        };
        match self.late(id) {
            Some(offset) => record.at(offset),
            None => record,
        }
    }

    /// Returns the time that the record of `id` carries, if it is late.
    pub fn late(&self, id: OperationId) -> Option<Offset> {
        let mut random = self.random(OperationId { publisher: !id.publisher, ..id });
        let late = random.random_ratio(1, LATE_EACH);
        late.then(|| LATE_FROM.saturating_add_nanos(random.random_range(0..LATE_HOURS * HOUR)))
    }

    fn random(&self, id: OperationId) -> StdRng {
        StdRng::seed_from_u64(self.seed ^ (u64::from(id.publisher) << 40) ^ id.number)
    }

    fn state(&self) -> MutexGuard<'_, LedgerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Parses the id of the operation that wrote `data`.
pub fn id_in(data: &[u8]) -> Option<OperationId> {
    let mut words = std::str::from_utf8(data).ok()?.split(' ');
    Some(OperationId { publisher: words.next()?.parse().ok()?, number: words.next()?.parse().ok()? })
}

/// Returns the id of the log with this number.
pub fn log(number: u32) -> LogId {
    format!("chaos.{number}").parse().expect("the test's own id is valid")
}

/// Returns the message id by which the stream recognises a retry.
pub fn message_id(id: OperationId) -> String {
    format!("{}-{}", id.publisher, id.number)
}
