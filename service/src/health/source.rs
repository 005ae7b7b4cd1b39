//! The state of one source: what is healthy, how far it is archived, and what it has lost.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{
        AtomicI64, AtomicU64,
        Ordering::{AcqRel, Acquire, Relaxed},
    },
};

use async_nats::jetstream::stream::Info;
use hourlog::{
    Offset, Record, Result,
    store::Store,
    time::Clock,
    wire::{ComponentStatus, SourceStatus},
};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use super::{component::Component, reached::SlotsReached};
use crate::{
    losses::{Fork, Losses, Removed, SetBack},
    ownership::{Assignment, SlotSet},
    stream::message::MessageKey,
};

/// The state of one source, shared by its ingest, its logs and the endpoints.
#[derive(Debug)]
pub(crate) struct SourceHealth {
    /// The name of the stream.
    pub(crate) stream: Arc<str>,
    /// True for the stream that the service creates, false for an existing one that it only reads.
    pub(crate) is_wal: bool,
    /// Degraded while the stream cannot be read.
    pub(crate) nats: Component,
    /// Degraded while the settings of the service's own stream can lose events.
    pub(crate) settings: Component,
    /// Degraded while the stream does not answer the questions of the watch. The lag is unknown then.
    pub(crate) answering: Component,
    /// Degraded while the stream stores no messages.
    pub(crate) storing: Component,
    /// Degraded while the stream is full.
    pub(crate) room: Component,
    /// Degraded while messages wait, none is archived, and no other fault explains it.
    pub(crate) progress: Component,
    /// The newest sequence that the stream is known to hold.
    pub(crate) published: AtomicU64,
    /// The sequence up to which everything is archived.
    pub(crate) archived: watch::Sender<u64>,
    /// The greatest arrival time so far, in nanoseconds since 1970; the least one there is if nothing was read yet.
    max_time: AtomicI64,
    /// The time of the message up to which everything is archived, in nanoseconds since 1970.
    archived_time: AtomicI64,
    /// The newest time at which the stream was known to hold nothing that is not archived, in nanoseconds since 1970.
    quiet_at: AtomicI64,
    /// The time of the oldest message that was read and is not archived yet, in nanoseconds since
    /// 1970; 0 if there is none.
    waiting_since: AtomicI64,
    /// The number of messages in the stream, their bytes, and the limit of these (0 for none), at the
    /// last check.
    messages: AtomicU64,
    bytes: AtomicU64,
    bytes_max: AtomicU64,
    /// The sequence up to which the stream is read again; 0 if there is nothing to catch up on.
    /// Events between `archived` and this may be incomplete in the archive, or lost from it. Until
    /// they are archived again, readers would see less than they have seen before.
    pub(crate) catch_up_to: watch::Sender<u64>,
    /// The number of the assignment of slots that the ingest works under.
    pub(crate) assigned: watch::Sender<u64>,
    /// How far each slot is archived, and which slots are read again.
    pub(crate) slots: SlotsReached,
    /// The message at the stored checkpoint; `None` until a checkpoint is stored, and again after a
    /// fork.
    pub(crate) checkpoint: watch::Sender<Option<MessageKey>>,
    /// The source's losses since its archive began.
    losses: Mutex<Losses>,
    /// Number of changes of the losses, and how many of them the archive has.
    losses_changed: AtomicU64,
    losses_saved: AtomicU64,
    /// Number of messages that were read and that the stream does not hold after its last one: it is
    /// gone, it is being restored, or it has lost them. The ingest waits for them; 0 while reading goes on.
    pub(crate) awaited: AtomicU64,
    /// Number of stream checks that the ingest has begun: is it still the same stream, with safe
    /// settings?
    pub(crate) stream_checks_begun: AtomicU64,
    /// The number of the newest stream check that succeeded.
    pub(crate) stream_checks_done: watch::Sender<u64>,
    /// Asks the ingest to check the stream now instead of at the next interval.
    pub(crate) check_stream: Notify,
    /// Number of messages that the client library cannot read, since the start.
    pub(crate) poison: AtomicU64,
}

impl SourceHealth {
    /// Returns the state at the start: everything is healthy, nothing is archived.
    pub(crate) fn new(stream: Arc<str>, is_wal: bool, clock: Clock) -> Self {
        Self {
            stream,
            is_wal,
            nats: Component::new(clock),
            settings: Component::new(clock),
            answering: Component::new(clock),
            storing: Component::new(clock),
            room: Component::new(clock),
            progress: Component::new(clock),
            published: AtomicU64::new(0),
            archived: watch::Sender::new(0),
            max_time: AtomicI64::new(Offset::MIN.nanos()),
            archived_time: AtomicI64::new(i64::MIN),
            quiet_at: AtomicI64::new(i64::MIN),
            waiting_since: AtomicI64::new(0),
            messages: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            bytes_max: AtomicU64::new(0),
            catch_up_to: watch::Sender::new(0),
            assigned: watch::Sender::new(0),
            slots: SlotsReached::default(),
            checkpoint: watch::Sender::new(None),
            losses: Mutex::default(),
            losses_changed: AtomicU64::new(0),
            losses_saved: AtomicU64::new(0),
            awaited: AtomicU64::new(0),
            stream_checks_begun: AtomicU64::new(0),
            stream_checks_done: watch::Sender::new(0),
            check_stream: Notify::new(),
            poison: AtomicU64::new(0),
        }
    }

    /// Takes the losses that the archive has kept.
    pub(crate) fn restore_losses(&self, losses: Losses) {
        *locked(&self.losses) = losses;
    }

    /// Returns the losses since the archive began.
    pub(crate) fn losses(&self) -> Losses {
        locked(&self.losses).clone()
    }

    /// Looks at the losses without copying them.
    pub(crate) fn with_losses<T>(&self, look: impl FnOnce(&Losses) -> T) -> T {
        look(&locked(&self.losses))
    }

    /// Records a fork of the stream.
    pub(crate) fn forked(&self, fork: Fork) {
        self.change_losses(|losses| losses.note_fork(fork));
    }

    /// Records that the archive was set back, or the stream purged.
    pub(crate) fn set_back(&self, set_back: SetBack) {
        self.change_losses(|losses| losses.note_set_back(set_back));
    }

    /// Records messages that left the stream before they were archived.
    pub(crate) fn removed(&self, removed: Removed) {
        self.change_losses(|losses| losses.note_removed(removed));
    }

    fn change_losses(&self, change: impl FnOnce(&mut Losses)) {
        change(&mut locked(&self.losses));
        self.losses_changed.fetch_add(1, AcqRel);
    }

    /// Notes that the archive may lack losses that it had, after a rollback.
    pub(crate) fn losses_may_be_lost(&self) {
        if self.with_losses(|losses| *losses != Losses::default()) {
            self.losses_changed.fetch_add(1, AcqRel);
        }
    }

    /// Stores the losses if the archive lacks some of them.
    ///
    /// # Errors
    /// The store's error. The archive then still lacks them.
    pub(crate) async fn save_losses<S: Store>(&self, store: &S) -> Result<()> {
        // Before the losses, so that a later change is not taken for saved.
        let changes = self.losses_changed.load(Acquire);
        if changes > self.losses_saved.load(Acquire) {
            self.losses().save(store, &self.stream).await?;
            self.losses_saved.fetch_max(changes, AcqRel);
        }
        Ok(())
    }

    /// Returns true if the stream can be read, its settings are safe, and the watch reports nothing.
    pub(crate) fn is_healthy(&self) -> bool {
        [&self.nats, &self.settings, &self.answering, &self.progress].into_iter().all(Component::is_healthy)
            && self.stores()
    }

    /// Returns true if the stream stores the messages of publishers.
    pub(crate) fn stores(&self) -> bool {
        self.storing.is_healthy() && self.room.is_healthy()
    }

    /// Returns the number of messages of the stream that are not archived yet; `None` while the
    /// stream does not answer.
    pub(crate) fn lag(&self) -> Option<u64> {
        self.answering.is_healthy().then(|| self.known_lag())
    }

    /// Returns the same, as far as is known.
    pub(crate) fn known_lag(&self) -> u64 {
        self.published.load(Relaxed).saturating_sub(*self.archived.borrow())
    }

    /// Records the message up to which everything is archived.
    pub(crate) fn archived_to(&self, message: MessageKey) {
        self.archived_time.store(message.time.nanos(), Relaxed);
        self.archived.send_replace(message.sequence);
    }

    /// Records that `last` was the last message of the stream at `time`, by JetStream's clock. If it is archived,
    /// so is everything that had arrived by then.
    pub(crate) fn had_last(&self, last: u64, time: Offset) {
        if *self.archived.borrow() == last {
            self.quiet_at.fetch_max(time.nanos(), Relaxed);
        }
    }

    /// Returns the arrival time before which every event is archived.
    pub(crate) fn archived_before(&self) -> Offset {
        Offset::from_nanos(self.archived_time.load(Relaxed).max(self.quiet_at.load(Relaxed)))
    }

    /// Returns the number of messages to read again before readers see everything that they have
    /// seen before.
    pub(crate) fn catch_up_lag(&self) -> u64 {
        self.catch_up_lag_in(SlotSet::ALL)
    }

    /// Returns the same for readers of logs in `slots`.
    pub(crate) fn catch_up_lag_in(&self, slots: SlotSet) -> u64 {
        if self.slots.catching_up().intersects(slots) {
            self.catch_up_to.borrow().saturating_sub(*self.archived.borrow())
        } else {
            0
        }
    }

    /// Returns true if the ingest writes those of `slots` that `assignment` gives to this instance, and no other ones of
    /// them. Before that, readers could miss what they have seen from another instance.
    pub(crate) fn has_taken_over(&self, assignment: &Assignment, slots: SlotSet) -> bool {
        let assigned = *self.assigned.borrow();
        let changed = || assignment.moved_since(assigned).union(assignment.newly_read_since(assigned));
        assigned >= assignment.number || !changed().intersects(slots)
    }

    /// Waits for that.
    pub(crate) async fn taken_over(&self, assignment: &Assignment, slots: SlotSet) {
        if !self.has_taken_over(assignment, slots) {
            // An error means that the service ends.
            let _ = self.assigned.subscribe().wait_for(|assigned| *assigned >= assignment.number).await;
        }
    }

    /// Begins a catch-up of `slots` to the message `until`, besides those that are under way.
    pub(crate) fn catch_up(&self, slots: SlotSet, until: u64) {
        let before = if self.catch_up_lag() > 0 { self.slots.catching_up() } else { SlotSet::NONE };
        self.slots.catch_up(before.union(slots));
        self.catch_up_to.send_modify(|catch_up_to| *catch_up_to = until.max(*catch_up_to));
    }

    /// Waits until there is nothing to catch up on in `slots`, or the service ends.
    pub(crate) async fn caught_up_in(&self, slots: SlotSet) {
        let (mut archived, mut catch_up_to) = (self.archived.subscribe(), self.catch_up_to.subscribe());
        while self.catch_up_lag_in(slots) > 0 {
            let changed = tokio::select! {
                changed = archived.changed() => changed,
                changed = catch_up_to.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    }

    /// Ends the catch-up at `sequence`, because the stream ends there. Newer messages were deleted
    /// from it, so they cannot be read again.
    pub(crate) fn limit_catch_up(&self, sequence: u64) {
        self.catch_up_to.send_if_modified(|until| std::mem::replace(until, sequence.min(*until)) > sequence);
    }

    /// Records the size of the stream.
    pub(crate) fn measure(&self, info: &Info) {
        self.messages.store(info.state.messages, Relaxed);
        self.bytes.store(info.state.bytes, Relaxed);
        self.bytes_max.store(u64::try_from(info.config.max_bytes).unwrap_or(0), Relaxed);
    }

    /// Records the time of the oldest message that was read and is not archived yet, if there is one.
    pub(crate) fn waits_since(&self, time: Option<Offset>) {
        self.waiting_since.store(time.map_or(0, Offset::nanos), Relaxed);
    }

    /// Records the greatest arrival time so far.
    pub(crate) fn read_up_to(&self, max_time: Offset) {
        self.max_time.store(max_time.nanos(), Relaxed);
    }

    /// Returns the greatest arrival time so far; `None` if nothing was read yet.
    pub(crate) fn max_time(&self) -> Option<Offset> {
        Some(Offset::from_nanos(self.max_time.load(Relaxed))).filter(|time| *time > Offset::MIN)
    }

    /// Returns a warning if JetStream's clock was ahead of `now` once: until then, every event is late.
    pub(crate) fn time_warning(&self, now: Offset) -> Option<String> {
        let max_time = self.max_time().filter(|time| *time > now.saturating_add_nanos(Record::AHEAD_NANOS_MAX))?;
        Some(format!(
            "the stream {} has had a message of {max_time}, so JetStream's clock was ahead; until that time every event counts \
             as late; none is lost",
            self.stream
        ))
    }

    /// Returns the seconds for which messages have been waiting for the archive at `now`, by JetStream's
    /// clock. While the stream cannot be read, at least those since then. Returns `None` if no message
    /// is known to wait, but the stream does not answer.
    pub(crate) fn lag_seconds(&self, now: Offset) -> Option<f64> {
        let waiting = Some(self.waiting_since.load(Relaxed)).filter(|since| *since != 0).map(Offset::from_nanos);
        let unread = || self.nats.degraded_for().filter(|_| self.known_lag() > 0);
        let age = waiting.map(|since| now.duration_since(since)).or_else(unread).map(|age| age.as_secs_f64());
        age.or_else(|| self.lag().map(|_| 0.0))
    }

    /// Returns the bytes of the stream's messages, and their limit, if there is one.
    pub(crate) fn fill(&self) -> (u64, Option<u64>) {
        (self.bytes.load(Relaxed), Some(self.bytes_max.load(Relaxed)).filter(|max| *max > 0))
    }

    /// Returns the state of storing messages. A failure of the stream's files hides that it is full.
    fn storing_status(&self) -> ComponentStatus {
        if self.storing.is_healthy() { self.room.status() } else { self.storing.status() }
    }

    /// Returns the state for those who watch the service.
    pub(crate) fn status(&self, now: Offset) -> SourceStatus {
        let archived = *self.archived.borrow();
        let (bytes, bytes_max) = self.fill();
        let losses = self.losses();
        SourceStatus {
            stream: self.stream.to_string(),
            kind: if self.is_wal { "wal" } else { "existing" }.to_owned(),
            reading: self.nats.status(),
            settings: self.settings.status(),
            answering: self.answering.status(),
            storing: self.storing_status(),
            progress: self.progress.status(),
            lag_messages: self.lag(),
            lag_seconds: self.lag_seconds(now),
            published: self.published.load(Relaxed).max(archived),
            archived,
            stored: self.checkpoint.borrow().map(|checkpoint| checkpoint.sequence),
            catching_up: self.catch_up_lag(),
            max_time: self.max_time(),
            messages: self.messages.load(Relaxed),
            bytes,
            bytes_max,
            fork: losses.fork.map(|fork| fork.status()),
            set_back: losses.set_backs.last().map(SetBack::status),
            awaited_messages: self.awaited.load(Relaxed),
            removed_messages: losses.removed_messages,
            removed: losses.removed.map(|removed| (removed.from, removed.to)),
            removed_at: losses.removed.map(|removed| removed.at),
            gaps: losses.gaps,
            poison_messages: self.poison.load(Relaxed),
        }
    }

    /// Returns the state for the endpoints' statistics.
    pub(crate) fn report(&self) -> Value {
        let losses = self.losses();
        json!({
            "stream": &*self.stream,
            "nats": self.nats.status(),
            "wal": self.settings.status(),
            "answering": self.answering.status(),
            "storing": self.storing_status(),
            "progress": self.progress.status(),
            "fork": losses.fork.map(|fork| json!({
                "at": fork.at, "from": fork.from, "lost": fork.lost_range(), "missing": fork.missing_range(),
            })),
            "set_back": losses.set_backs.last().map(|set_back| json!({
                "at": set_back.at, "missing": set_back.missing.to_string(), "messages": set_back.missing.messages,
                "reason": set_back.sentence(),
            })),
            "poison": self.poison.load(Relaxed),
            "awaited": self.awaited.load(Relaxed),
            "removed": losses.removed_messages,
            "gaps": losses.gaps,
            "last_removed": losses.removed.map(|removed| json!({
                "at": removed.at, "from": removed.from, "to": removed.to,
            })),
            "lag": self.lag(),
            "archived": *self.archived.borrow(),
            "stored": self.checkpoint.borrow().map(|checkpoint| checkpoint.sequence),
            "rereading": self.catch_up_lag(),
        })
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourlog::time::{SECOND, system_clock};

    #[test]
    fn a_clock_that_was_ahead_is_said_until_its_time_has_come() {
        let (source, now) = (SourceHealth::new(Arc::from("S"), true, system_clock), Offset::from_nanos(1_000 * SECOND));
        assert_eq!((source.max_time(), source.time_warning(now)), (None, None));
        for (ahead_seconds, is_said) in [(-5, false), (299, false), (301, true)] {
            let max_time = now.saturating_add_nanos(ahead_seconds * SECOND);
            source.read_up_to(max_time);
            let warning = source.time_warning(now);
            assert_eq!(warning.is_some(), is_said, "{ahead_seconds} s");
            assert!(warning.is_none_or(|warning| warning.contains(&max_time.to_string())));
        }
    }
}
