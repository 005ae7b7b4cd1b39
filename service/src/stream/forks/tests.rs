//! Random histories of a stream: whatever it loses, reuses, restores and deletes, and however its
//! clock jumps, no new message is passed over and no old one is stored twice.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt;
use hourlog::Offset;
use proptest::{collection::vec, prelude::*, test_runner::TestCaseError};

use super::*;
use crate::stream::message::MessageKey;

/// The most events in a history.
const EVENTS_MAX: usize = 30;
/// Number of logs, so that some messages of a stream are removed from the archive and others not.
const LOGS: u8 = 3;

#[derive(Debug, Clone)]
enum StreamEvent {
    /// Messages of a log. Those with a line are stored only once for each line.
    Publish { count: u64, log: u8, line: Option<u8> },
    /// The server's clock jumps.
    JumpClock(i64),
    /// The stream loses its newest messages.
    LoseTail(u64),
    /// The stream is deleted, and created without messages.
    Recreate,
    /// The present stream is the one that later restores bring back.
    Backup,
    /// The stream is deleted, and restored from the backup in steps, each a share of 100.
    Restore(Vec<u64>),
    /// One message leaves the stream.
    DeleteMessage(u64),
    /// The oldest messages leave the stream.
    Purge(u64),
    /// The archive removes the events of a log.
    RemoveLog(u8),
    /// The service is killed. The archive lacks some of the newest messages that were handed out.
    Crash { unstored: u64, lacks: u64 },
    /// The service looks at the stream.
    Poll,
    /// Time passes.
    Wait(u64),
}

fn stream_event() -> impl Strategy<Value = StreamEvent> {
    prop_oneof![
        4 => (1..20_u64, 0..LOGS, proptest::option::weighted(0.2, 0..3_u8))
            .prop_map(|(count, log, line)| StreamEvent::Publish { count, log, line }),
        2 => (-1_000..1_000_i64).prop_map(StreamEvent::JumpClock),
        2 => (1..30_u64).prop_map(StreamEvent::LoseTail),
        1 => Just(StreamEvent::Recreate),
        2 => Just(StreamEvent::Backup),
        2 => vec(0..=100_u64, 0..5).prop_map(StreamEvent::Restore),
        1 => (0..100_u64).prop_map(StreamEvent::DeleteMessage),
        1 => (1..20_u64).prop_map(StreamEvent::Purge),
        1 => (0..LOGS).prop_map(StreamEvent::RemoveLog),
        1 => (0..10_u64, any::<u64>()).prop_map(|(unstored, lacks)| StreamEvent::Crash { unstored, lacks }),
        6 => Just(StreamEvent::Poll),
        1 => (0..15_u64).prop_map(StreamEvent::Wait),
    ]
}

/// A message: its number is what tells it from every other one.
#[derive(Debug, Clone, Copy)]
struct StreamMessage {
    number: u64,
    key: MessageKey,
    log: u8,
    line: Option<u8>,
}

#[derive(Debug, Clone)]
struct ModelStream {
    messages: Vec<StreamMessage>,
    ends: StreamEnds,
}

impl ModelStream {
    fn empty(created: i128) -> Self {
        Self { messages: Vec::new(), ends: StreamEnds { created, first: 1, last: 0 } }
    }

    /// Cuts the stream off after the sequence `last`.
    fn cut(&mut self, last: u64) {
        self.ends.last = last;
        self.messages.retain(|message| message.key.sequence <= last);
    }
}

/// The key of an event: its log, its time, its epoch and its sequence.
type EventKey = (u8, Offset, u32, u64);

/// The archive.
#[derive(Debug, Default)]
struct ModelArchive {
    /// Beginnings of the epochs.
    epochs: Vec<u64>,
    events: BTreeMap<EventKey, StreamMessage>,
    /// The seq up to which the events of a log were removed.
    removed_to: BTreeMap<u8, (u32, u64)>,
}

impl ModelArchive {
    fn key(&self, message: &StreamMessage) -> EventKey {
        let MessageKey { sequence, time } = message.key;
        let epoch = self.epochs.iter().rposition(|from| *from <= sequence).unwrap_or(0);
        (message.log, time, epoch as u32, sequence)
    }

    fn has_removed(&self, (log, _, epoch, sequence): &EventKey) -> bool {
        self.removed_to.get(log).is_some_and(|removed_to| (*epoch, *sequence) <= *removed_to)
    }

    fn has_line(&self, message: &StreamMessage) -> bool {
        let equals = |event: &&StreamMessage| (event.log, event.line) == (message.log, message.line);
        message.line.is_some() && self.events.values().any(|event| equals(&event))
    }
}

/// One message in the view of the archive.
struct ModelView<'a>(&'a ModelArchive, StreamMessage);

impl ArchiveOfMessage for ModelView<'_> {
    async fn holds(&mut self) -> Result<bool> {
        Ok(self.0.events.contains_key(&self.0.key(&self.1)))
    }

    async fn may_have_removed(&mut self) -> Result<bool> {
        Ok(self.0.has_removed(&self.0.key(&self.1)))
    }

    fn may_have_skipped(&self) -> bool {
        self.1.line.is_some()
    }
}

/// The messages of the stream with their ages.
struct ModelMessages<'a> {
    stream: &'a ModelStream,
    archive: &'a ModelArchive,
    read: ReadSoFar,
}

impl AgedMessages for ModelMessages<'_> {
    async fn first_from(&mut self, sequence: u64) -> Result<Option<(u64, Age)>> {
        let Some(found) = self.stream.messages.iter().find(|message| message.key.sequence >= sequence) else {
            return Ok(None);
        };
        let age = self.read.age(found.key, &mut ModelView(self.archive, *found)).await?;
        Ok(Some((found.key.sequence, age)))
    }
}

/// A stream, the service that reads it, and its archive.
struct World {
    clock: i64,
    created: i128,
    published: u64,
    stream: ModelStream,
    backup: Option<ModelStream>,
    archive: ModelArchive,
    /// The messages that were read, by number.
    read: BTreeSet<u64>,
    /// Those of them that the archive holds.
    stored: BTreeSet<u64>,
    taken: MessageKey,
    max_time: Offset,
    head: Option<MessageKey>,
    rule: ForkRule,
    now: Instant,
}

type Checked = std::result::Result<(), TestCaseError>;

impl World {
    fn new() -> Self {
        let start = MessageKey { sequence: 0, time: Offset::MIN };
        Self {
            clock: 1_000_000,
            created: 0,
            published: 0,
            stream: ModelStream::empty(0),
            backup: None,
            archive: ModelArchive { epochs: vec![1], ..ModelArchive::default() },
            read: BTreeSet::new(),
            stored: BTreeSet::new(),
            taken: start,
            max_time: Offset::MIN,
            head: None,
            rule: ForkRule::default(),
            now: Instant::now(),
        }
    }

    fn apply(&mut self, event: &StreamEvent) -> Checked {
        match event {
            StreamEvent::Publish { count, log, line } => (0..*count).for_each(|_| self.publish(*log, *line)),
            StreamEvent::JumpClock(by) => self.clock += by,
            StreamEvent::LoseTail(count) => {
                let last = self.stream.ends.last.saturating_sub(*count).max(self.stream.ends.first - 1);
                self.stream.cut(last);
            }
            StreamEvent::Recreate => {
                self.created += 1;
                self.stream = ModelStream::empty(self.created);
            }
            StreamEvent::Backup => self.backup = Some(self.stream.clone()),
            StreamEvent::Restore(steps) => self.restore(steps)?,
            StreamEvent::DeleteMessage(share) => {
                let index = self.stream.messages.len() * *share as usize / 100;
                if index < self.stream.messages.len() {
                    let removed = self.stream.messages.remove(index);
                    self.give_up(&[removed]);
                }
            }
            StreamEvent::Purge(count) => {
                let ends = &mut self.stream.ends;
                ends.first = (ends.first + count).min(ends.last + 1);
                let first = ends.first;
                let (purged, kept): (Vec<StreamMessage>, Vec<StreamMessage>) =
                    self.stream.messages.iter().partition(|message| message.key.sequence < first);
                self.stream.messages = kept;
                self.give_up(&purged);
            }
            StreamEvent::RemoveLog(log) => self.remove_log(*log),
            StreamEvent::Crash { unstored, lacks } => self.crash(*unstored, *lacks),
            StreamEvent::Poll => self.poll()?,
            StreamEvent::Wait(seconds) => self.now += Duration::from_secs(*seconds),
        }
        Ok(())
    }

    fn publish(&mut self, log: u8, line: Option<u8>) {
        self.clock += 1;
        self.published += 1;
        self.stream.ends.last += 1;
        // No two messages have the same nanosecond.
        let time = Offset::from_nanos(self.clock * 1_000_000 + self.published as i64);
        let key = MessageKey { sequence: self.stream.ends.last, time };
        self.stream.messages.push(StreamMessage { number: self.published, key, log, line });
    }

    /// Notes that messages have left the stream. Those that were not read are reported as removed. A
    /// backup that brings them back would be a fork.
    fn give_up(&mut self, removed: &[StreamMessage]) {
        for message in removed {
            if self.read.insert(message.number) {
                self.backup = None;
            }
        }
    }

    fn restore(&mut self, steps: &[u64]) -> Checked {
        let Some(mut backup) = self.backup.clone() else { return Ok(()) };
        self.created += 1;
        backup.ends.created = self.created;
        let (first, last) = (backup.ends.first, backup.ends.last);
        let mut steps = steps.to_vec();
        steps.sort_unstable();
        for share in steps {
            self.stream = backup.clone();
            self.stream.cut(first - 1 + (last + 1 - first) * share / 100);
            self.now += Duration::from_millis(250);
            self.poll()?;
        }
        self.stream = backup;
        Ok(())
    }

    fn remove_log(&mut self, log: u8) {
        // The service removes only what lies before everything in flight.
        if self.head.is_some_and(|head| head.sequence > self.taken.sequence) {
            return;
        }
        let is_removed = |key: &EventKey| key.0 == log;
        let newest = self.archive.events.keys().filter(|key| is_removed(key)).map(|key| (key.2, key.3)).max();
        if let Some(newest) = newest {
            self.archive.removed_to.insert(log, newest);
        }
        let (gone, rest) = std::mem::take(&mut self.archive.events).into_iter().partition(|(key, _)| is_removed(key));
        self.archive.events = rest;
        let gone: BTreeMap<EventKey, StreamMessage> = gone;
        gone.values().for_each(|message| {
            self.stored.remove(&message.number);
        });
    }

    fn crash(&mut self, unstored: u64, lacks: u64) {
        let Some(head) = self.head else { return };
        let current = self.archive.epochs.len() as u32 - 1;
        // A removal takes longer than the time between two checkpoints.
        let removed = self.archive.removed_to.values().filter(|(epoch, _)| *epoch == current);
        let removed_to = removed.map(|(_, sequence)| *sequence).max().unwrap_or(0);
        let stored = head.sequence.saturating_sub(unstored).max(removed_to);
        let begun = self.archive.epochs[current as usize];
        let newest: Vec<(EventKey, StreamMessage)> = self.archive.events.iter().map(|(key, m)| (*key, *m)).collect();
        let in_window = |key: &EventKey| key.2 == current && key.3 > stored && key.3 < head.sequence;
        // A clock that goes back within the time between two checkpoints is not told apart.
        if stored + 1 < begun || newest.iter().any(|(key, _)| in_window(key) && key.1 > head.time) {
            return;
        }
        for (key, message) in newest.iter().filter(|(key, _)| in_window(key) && lacks >> (key.3 % 64) & 1 == 1) {
            self.archive.events.remove(key);
            self.read.remove(&message.number);
            self.stored.remove(&message.number);
            if !self.stream.messages.iter().any(|left| left.number == message.number) {
                self.give_up(&[*message]);
            }
        }
        self.taken = MessageKey { sequence: stored.min(self.taken.sequence), ..self.taken };
        self.rule = ForkRule::default();
    }

    /// Does what the service does each time it looks at the stream.
    fn poll(&mut self) -> Checked {
        let read_to = self.taken.sequence.max(self.head.map_or(0, |head| head.sequence));
        let read = ReadSoFar { head: self.head, archived: self.taken.sequence, max_time: self.max_time };
        let mut messages = ModelMessages { stream: &self.stream, archive: &self.archive, read };
        let verdict = self.rule.compare(self.stream.ends, read_to, read.archived, &mut messages, self.now);
        let verdict = verdict.now_or_never().expect("a model answers at once").expect("a model does not fail");
        match verdict {
            Verdict::Same => self.take_from(self.taken.sequence + 1),
            Verdict::Shorter { old_to, .. } => self.take_between(self.taken.sequence + 1, old_to),
            Verdict::Forked { from } => {
                prop_assert!(from <= read_to, "the fork at {from} is after {read_to}");
                // A backup of an earlier epoch would be another fork.
                self.backup = None;
                self.archive.epochs.push(from);
                self.head = None;
                self.take_from(from.min(self.taken.sequence + 1))
            }
        }
    }

    fn take_from(&mut self, first: u64) -> Checked {
        self.taken.sequence = first - 1;
        self.take_between(first, u64::MAX)?;
        // The service passes over the messages that left the stream at its end.
        if self.taken.sequence < self.stream.ends.last {
            self.take(MessageKey { sequence: self.stream.ends.last, ..self.taken });
        }
        let passed_over = self.stream.messages.iter().find(|message| !self.read.contains(&message.number));
        prop_assert!(passed_over.is_none(), "passed over: {passed_over:?}");
        Ok(())
    }

    fn take_between(&mut self, first: u64, last: u64) -> Checked {
        let messages: Vec<StreamMessage> = self.stream.messages.clone();
        for message in messages.iter().filter(|message| (first..=last).contains(&message.key.sequence)) {
            let key = self.archive.key(message);
            let is_redelivery = self.archive.events.contains_key(&key) || self.archive.has_removed(&key);
            prop_assert!(!is_redelivery || self.read.contains(&message.number), "taken for an old one: {message:?}");
            if !is_redelivery && !self.archive.has_line(message) {
                prop_assert!(self.stored.insert(message.number), "stored twice: {message:?}");
                self.archive.events.insert(key, *message);
            }
            self.read.insert(message.number);
            self.take(message.key);
        }
        Ok(())
    }

    fn take(&mut self, message: MessageKey) {
        self.taken = message;
        self.max_time = self.max_time.max(message.time);
        if self.head.is_none_or(|head| head.sequence < message.sequence) {
            self.head = Some(message);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_new_message_is_passed_over_and_no_old_one_is_stored_twice(events in vec(stream_event(), 1..EVENTS_MAX)) {
        let mut world = World::new();
        for event in &events {
            world.apply(event)?;
        }
        // However it ended, new messages are archived, at the latest once no restore can be under way.
        world.poll()?;
        world.publish(0, None);
        world.poll()?;
        world.now += STANDS_STILL_AFTER;
        world.poll()?;
        let unread = world.stream.messages.iter().find(|message| !world.read.contains(&message.number));
        prop_assert!(unread.is_none(), "never read: {unread:?}");
    }
}
