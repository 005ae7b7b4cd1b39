//! The ledger: each operation is in it before it is sent, and again when it is answered.
//!
//! What an operation writes is a function of the run's seed and the operation's id, so that whoever finds it later can tell
//! whether it is what was sent.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use hourlog::{HOUR, LogId, Offset, Position, Record, header};
use rand::{Rng, SeedableRng, rngs::StdRng};

/// The logs that are written to.
pub const LOGS: u32 = 50;
/// One event in so many comes late, or out of order: it says its time itself.
const LATE_EACH: u32 = 5;
/// Late events lie in the hours behind this time.
const LATE_FROM: Offset = Offset::from_nanos(1_517_738_400 * hourlog::SECOND);
/// See [`LATE_FROM`].
const LATE_HOURS: i64 = 5;
/// The most bytes that an event's data is filled up with.
const FILL_MAX: usize = 600;

/// Who sent what: the `number`th operation of a publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    /// The publisher.
    pub publisher: u32,
    /// Its operations count from 0.
    pub number: u64,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.publisher, self.number)
    }
}

/// How a publisher sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To JetStream, with a message id, again until it is acknowledged.
    JetStream,
    /// To the service, with a message id, again until it is answered.
    Append,
    /// To the service, once: without an answer it may be there or not.
    AppendOnce,
    /// To NATS, without asking for an answer.
    Plain,
}

impl Way {
    /// How the publisher of this number sends.
    pub fn of(publisher: u32) -> Self {
        [Self::JetStream, Self::Append, Self::AppendOnce, Self::Plain][publisher as usize % 4]
    }
}

/// What was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The stream has it as this message.
    Sequence(u64),
    /// The archive has it here.
    Position(Position),
}

/// One operation.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// The log, below [`LOGS`].
    pub log: u32,
    /// When it was sent, in ticks of the ledger.
    pub sent: u64,
    /// When it was answered, and what. Without an answer it may be there or not.
    pub answered: Option<(u64, Answer)>,
}

/// All operations of a run.
#[derive(Debug)]
pub struct Ledger {
    seed: u64,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    ticks: u64,
    operations: HashMap<Id, Operation>,
}

impl Ledger {
    /// An empty one.
    pub fn new(seed: u64) -> Self {
        Self { seed, book: Mutex::default() }
    }

    /// `id` is about to be sent to `log`. Answers what it is.
    pub fn send(&self, id: Id, log: u32) -> Record {
        let mut book = self.book();
        book.ticks += 1;
        let operation = Operation { log, sent: book.ticks, answered: None };
        let before = book.operations.insert(id, operation);
        assert!(before.is_none(), "{id} was sent before");
        self.record(id)
    }

    /// `id` was answered.
    ///
    /// # Panics
    /// Where it was never sent.
    pub fn answer(&self, id: Id, answer: Answer) {
        let mut book = self.book();
        book.ticks += 1;
        let tick = book.ticks;
        let operation = book.operations.get_mut(&id).expect("it was sent");
        operation.answered = Some((tick, answer));
    }

    /// The operation of this id.
    pub fn operation(&self, id: Id) -> Option<Operation> {
        self.book().operations.get(&id).copied()
    }

    /// The ids that were answered.
    pub fn answered(&self) -> Vec<Id> {
        let book = self.book();
        let mut ids: Vec<Id> =
            book.operations.iter().filter(|(_, operation)| operation.answered.is_some()).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    /// How many were sent.
    pub fn len(&self) -> usize {
        self.book().operations.len()
    }

    /// Whether nothing was sent.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What `id` writes, as it is sent.
    pub fn record(&self, id: Id) -> Record {
        let mut random = self.random(id);
        let fill: String = (0..random.random_range(0..FILL_MAX)).map(|_| random.random_range('a'..='z')).collect();
        let checksum = random.random::<u64>();
        let record = Record::new(format!("{id} {checksum:016x} {fill}")).with("Publisher", id.publisher.to_string());
        let record = match Way::of(id.publisher) {
            Way::JetStream | Way::Append => record.with(header::MSG_ID, message_id(id)),
            Way::AppendOnce | Way::Plain => record,
        };
        match self.late(id) {
            Some(offset) => record.at(offset),
            None => record,
        }
    }

    /// The time that `id` says itself, if it does.
    pub fn late(&self, id: Id) -> Option<Offset> {
        let mut random = self.random(Id { publisher: !id.publisher, ..id });
        let late = random.random_ratio(1, LATE_EACH);
        late.then(|| LATE_FROM.saturating_add_nanos(random.random_range(0..LATE_HOURS * HOUR)))
    }

    fn random(&self, id: Id) -> StdRng {
        StdRng::seed_from_u64(self.seed ^ (u64::from(id.publisher) << 40) ^ id.number)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The id that data says it is of.
pub fn id_of(data: &[u8]) -> Option<Id> {
    let mut words = std::str::from_utf8(data).ok()?.split(' ');
    Some(Id { publisher: words.next()?.parse().ok()?, number: words.next()?.parse().ok()? })
}

/// The log of this number.
pub fn log(number: u32) -> LogId {
    format!("chaos.{number}").parse().expect("a good id")
}

/// By what the stream knows a message that is sent again.
pub fn message_id(id: Id) -> String {
    format!("{}-{}", id.publisher, id.number)
}
