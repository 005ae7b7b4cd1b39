//! The way in: reads the stream in order, hands the events out to their logs, and stores how far
//! the archive has got.
//!
//! The checkpoint is stored in the archive, never in a consumer of the server. After any error a new
//! consumer begins after the last message taken; if a log failed, after the last archived one; after
//! a rollback, after the stored checkpoint. That is safe: a message that is read twice is written
//! under the same key.

mod admission;
mod caution;
mod checkpoint;
mod chunk;
mod consumer;
mod gaps;
mod losses;
mod neighbours;
mod raw_reader;
mod reader;
mod stream_check;

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use async_nats::jetstream;
use hourlog::{
    Error, ErrorKind, LogId, Result,
    failpoint::Failpoint,
    nats::Backoff,
    store::{Store, Write},
};
use tokio::{
    sync::{Notify, oneshot, watch},
    time::{self, Interval, MissedTickBehavior, interval, interval_at, sleep},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    config::Settings,
    health::{Health, SourceHealth},
    logs::LogsRef,
    losses::Losses,
    new_logs::{NewLogRate, NewLogs},
    origin::Origin,
    ownership::{Assignment, Handover, Ownership, SlotSet},
    receipts::Tally,
    repeats::Repeats,
    rollbacks::Rollbacks,
    sources::{Source, Sources},
    stream::{
        decode::{Decoded, Decoder, Rejection},
        forks::ForkRule,
        message::{Message, MessageKey},
        raw::RawMessage,
        source_stream::SourceStream,
    },
    trace::sentence,
    waiters::{Outcome, Waiters},
};
use caution::Caution;
pub(crate) use checkpoint::stored_of_all;
use checkpoint::{CATCH_UP_CHECK_INTERVAL, Checkpoint, Due, Progress};
use chunk::{Chunk, InFlight};
use consumer::{Delivered, Messages, Received};
use gaps::Gaps;
use losses::MarksCompared;
use neighbours::Part;
use reader::Reader;
use stream_check::{AWAITED_STREAM_INTERVAL, CheckedStream};

/// Interval at which a checkpoint that moved is stored. After a crash, events archived since then
/// are read again.
const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(250);
/// Interval between checks for a fork or changed settings of the stream.
const STREAM_CHECK_INTERVAL: Duration = Duration::from_secs(30);
/// The shortest and the longest pause between attempts to read the stream.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));

/// The arguments of the ingest.
#[derive(Debug)]
pub(crate) struct IngestArgs<S> {
    pub(crate) client: async_nats::Client,
    /// Number of times the client's connection was lost.
    pub(crate) losses: watch::Receiver<u64>,
    pub(crate) jetstream: jetstream::Context,
    pub(crate) store: S,
    pub(crate) logs: LogsRef,
    /// The source to read.
    pub(crate) source: Arc<Source>,
    pub(crate) sources: Arc<Sources>,
    pub(crate) rollbacks: Arc<Rollbacks>,
    pub(crate) ownership: Ownership,
    pub(crate) handover: Arc<Handover>,
    pub(crate) health: Arc<Health>,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) new_logs: Arc<NewLogs>,
    pub(crate) settings: Settings,
    /// The stream and its rules.
    pub(crate) stream: SourceStream,
    pub(crate) shutdown: CancellationToken,
}

/// The request to the archive that is under way. A task of its own drives it, so that a lock that
/// it holds is released even while the ingest waits for something else.
type ArchiveRequest = AbortOnDropHandle<ArchiveReply>;

/// The archive's reply to a request about the checkpoint.
enum ArchiveReply {
    /// True if the archive may have lost events.
    NeedsCatchUp(bool),
    /// The outcome of flushing everything up to a progress.
    Flushed(Progress, Result<()>),
    /// The outcome of storing a progress.
    Stored(Progress, Result<()>),
}

/// The reason why reading ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReadEnd {
    /// The service is stopping.
    Shutdown,
    /// The archive may have lost its newest events.
    NeedsCatchUp,
    /// Slots have moved between instances.
    Reassigned,
}

/// The running ingest.
pub(crate) struct Ingest<S> {
    args: IngestArgs<S>,
    decoder: Decoder,
    checkpoint: Checkpoint,
    in_flight: InFlight,
    archive_request: Option<ArchiveRequest>,
    /// The generation for which the refusals of messages that are read again were loaded.
    refusals_of: Option<u64>,
    /// The logs of other instances that were let in with the messages at hand.
    let_in: BTreeSet<LogId>,
    /// The limit on new logs a second. Of this source alone: the times of two streams say nothing about each other.
    new_log_rate: NewLogRate,
    /// When to read messages raw.
    caution: Caution,
    /// The gaps of the stream.
    gaps: Gaps,
    /// Number of messages that the consumer counts as pending, and will not send.
    counted: u64,
    /// The sequence after which the consumer begins.
    opened_after: u64,
    /// Events that were rejected.
    rejections: Repeats,
    /// Failures to store the checkpoint.
    store_failures: Repeats,
    /// Messages that the client cannot read.
    poison: Repeats,
    /// Messages that left the stream before they were archived.
    removals: Repeats,
    /// The ends of archive and stream were compared since the start.
    marks_compared: bool,
    /// No other instance can have begun epochs since they were read.
    knows_epochs: bool,
    /// The archive may have lost epochs. Until they are restored, no checkpoint may be stored.
    epochs_may_be_lost: bool,
    /// Number of rollbacks that this ingest has caught up after.
    rollbacks_seen: u64,
    /// The assignment of the slots that are read.
    assignment: Arc<Assignment>,
    /// Slots, and the sequence up to which another instance has counted their messages in receipts.
    receipts_leave_out: (SlotSet, u64),
    /// Compares the stream with what was read from it.
    fork_rule: ForkRule,
    /// The time since which the stream is gone.
    gone_since: Option<Instant>,
    /// True while the stream is gone, or shorter than what was read from it, or another instance must act first.
    awaits_stream: bool,
}

/// Reads the stream until shutdown. Then waits until everything that was taken is archived, and
/// stores the checkpoint.
///
/// # Errors
/// The store's error while stopping. While running, errors lead to retries.
pub(crate) async fn run<S: Store>(mut ingest: Ingest<S>) -> Result<()> {
    let shutdown = ingest.args.shutdown.clone();
    let mut backoff = Backoff::new(RETRY.0, RETRY.1);
    while !shutdown.is_cancelled() {
        let before = ingest.checkpoint.taken();
        let error = match ingest.read().await {
            Ok(ReadEnd::Shutdown) => break,
            Ok(ReadEnd::NeedsCatchUp) => {
                ingest.catch_up().await;
                continue;
            }
            Ok(ReadEnd::Reassigned) => match ingest.reassign().await {
                Ok(()) => continue,
                Err(error) => error,
            },
            Err(error) => error,
        };
        if ingest.checkpoint.taken() != before {
            backoff.reset();
        }
        if !ingest.awaits_stream {
            ingest.caution.suspect();
        }
        let pause = if ingest.awaits_stream { AWAITED_STREAM_INTERVAL } else { backoff.next_pause() };
        if let Some(left_out) = ingest.source().nats.degraded(None, &error) {
            let cause = sentence(&error);
            tracing::warn!(stream = %ingest.name(), cause, left_out, "reading the stream was interrupted; resuming after the last message taken");
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = shutdown.cancelled() => {}
        }
    }
    ingest.finish().await
}

impl<S: Store> Ingest<S> {
    /// Loads the checkpoint from the archive.
    ///
    /// # Errors
    /// The store's error.
    pub(crate) async fn new(args: IngestArgs<S>) -> Result<Self> {
        let stream = args.source.stream();
        let sources = args.store.sources(stream).await?;
        let assignment = args.ownership.assignment();
        let epochs = args.source.epochs();
        let checkpoint = Checkpoint::load(&sources, &epochs, assignment.own, S::DURABLE_AFTER, Instant::now());
        let archived = checkpoint.archived().message.sequence;
        let health = &args.source.health;
        let losses = Losses::load(&args.store, stream).await?;
        let gaps = Gaps::new(losses.reported.clone());
        let new_log_rate = NewLogRate::new(&args.settings);
        health.restore_losses(losses);
        if assignment.others.is_empty() {
            args.source.receipts.load(&args.store, stream).await?;
        }
        health.archived_to(checkpoint.archived().message);
        health.read_up_to(checkpoint.taken().max_time);
        let receipts_leave_out = match assignment.others.is_empty() {
            true => (SlotSet::NONE, 0),
            false => (assignment.own, checkpoint.head().map_or(0, |head| head.sequence)),
        };
        health.slots.assign(checkpoint.floors());
        health.assigned.send_replace(assignment.number);
        if !S::WRITES_ARE_ATOMIC {
            health.catch_up(SlotSet::ALL, checkpoint.head().map_or(0, |head| head.sequence));
        }
        if let lost @ 1.. = checkpoint.lost().to {
            tracing::warn!(
                %stream,
                lost,
                "the archive has lost an epoch in which messages were handed out; looking for where it began"
            );
        }
        tracing::info!(%stream, archived, "reading the stream from its checkpoint");
        Ok(Self {
            decoder: Decoder::new(&args.source, &args.sources),
            rollbacks_seen: *args.rollbacks.subscribe().borrow(),
            assignment,
            receipts_leave_out,
            args,
            checkpoint,
            in_flight: InFlight::new(S::IN_FLIGHT_BYTES, S::CONCURRENT_WRITES.is_none()),
            archive_request: None,
            refusals_of: None,
            let_in: BTreeSet::new(),
            new_log_rate,
            caution: Caution::default(),
            gaps,
            counted: 0,
            opened_after: 0,
            rejections: Repeats::default(),
            store_failures: Repeats::default(),
            poison: Repeats::default(),
            removals: Repeats::default(),
            marks_compared: false,
            knows_epochs: false,
            epochs_may_be_lost: false,
            fork_rule: ForkRule::default(),
            gone_since: None,
            awaits_stream: false,
        })
    }

    fn source(&self) -> &SourceHealth {
        &self.args.source.health
    }

    /// Returns the name of the stream.
    fn name(&self) -> &str {
        self.args.source.stream()
    }

    /// Reads until an error, until shutdown, or until the archive may have lost events.
    async fn read(&mut self) -> Result<ReadEnd> {
        self.connect_again().await?;
        let mut rollbacks = self.args.rollbacks.subscribe();
        if *rollbacks.borrow_and_update() != self.rollbacks_seen
            || (!S::DURABLE_AFTER.is_zero() && self.args.store.needs_catch_up().await)
        {
            return Ok(ReadEnd::NeedsCatchUp);
        }
        let mut assignments = self.args.ownership.subscribe();
        if assignments.borrow_and_update().number != self.assignment.number {
            return Ok(ReadEnd::Reassigned);
        }
        if self.epochs_may_be_lost {
            // As when an epoch begins: the record of a fork comes first.
            self.source().losses_may_be_lost();
            if self.leads() {
                self.source().save_losses(&self.args.store).await?;
            }
            self.decoder.epochs().restore(&self.args.store, self.name()).await?;
            self.epochs_may_be_lost = false;
        }
        let handle = self.check_stream(None).await?;
        let taken = self.checkpoint.taken().message.sequence;
        self.source().published.store(handle.cached_info().state.last_sequence.max(taken), Relaxed);
        let mut reader = self.open(&handle).await?;
        if let Some(since) = self.source().nats.recovered(None) {
            tracing::info!(stream = self.name(), %since, "reading the stream again");
        }
        let mut losses = self.args.losses.clone();
        losses.mark_unchanged();
        let mut checkpoint_tick = interval(CHECKPOINT_INTERVAL);
        checkpoint_tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stream_check = interval_at(time::Instant::now() + STREAM_CHECK_INTERVAL, STREAM_CHECK_INTERVAL);
        let (shutdown, health) = (self.args.shutdown.clone(), Arc::clone(&self.args.source.health));
        let mut pauses = self.args.ownership.pauses();
        if Failpoint::IngestStands.is_active() {
            std::future::pending::<()>().await;
        }
        loop {
            let next = self.checkpoint.taken().message.sequence + 1;
            let held_until = self.in_flight.held_until().filter(|until| Instant::now() < *until);
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(ReadEnd::Shutdown),
                _ = losses.changed() => return Err(self.lost_connection(&mut reader).await),
                _ = rollbacks.changed() => return Ok(ReadEnd::NeedsCatchUp),
                // Another instance has stopped reading, perhaps because the stream has forked.
                Ok(()) = pauses.changed() => health.check_stream.notify_one(),
                Ok(()) = assignments.changed() => return Ok(ReadEnd::Reassigned),
                Some(archived) = self.in_flight.next() => self.end_oldest_chunk(archived)?,
                reply = reply_of(&mut self.archive_request) => match reply {
                    ArchiveReply::NeedsCatchUp(true) => return Ok(ReadEnd::NeedsCatchUp),
                    reply => self.handle_reply(reply),
                },
                _ = checkpoint_tick.tick() => {
                    if let Some(left_out) = self.rejections.overdue(Instant::now()) {
                        let log = &self.args.source.rejected_log;
                        tracing::warn!(left_out, "more events rejected; they are in the log {log}");
                    }
                    self.explain_gaps().await;
                    if !self.gaps.hold_checkpoint() {
                        self.request_due();
                    }
                }
                () = tick_or_asked(&mut stream_check, &health.check_stream) => {
                    let before = self.checkpoint.generation();
                    self.check_stream(Some(&mut reader)).await?;
                    if self.checkpoint.generation() != before {
                        return Err(self.interrupted());
                    }
                }
                () = sleep_until(held_until), if held_until.is_some() => {}
                batch = reader.next_batch(next), if held_until.is_none() && !self.in_flight.is_full() => {
                    let batch = batch.ok_or_else(|| self.interrupted())??;
                    self.take(batch, &mut reader).await?;
                }
            }
        }
    }

    /// Checks that the stream is the same as before: its settings, and the newest message taken
    /// from it. Begins a new epoch if it has forked. `reader` reads it, if there is one.
    async fn check_stream(&mut self, reader: Option<&mut Reader>) -> Result<jetstream::stream::Stream> {
        let generation = self.checkpoint.generation();
        let number = self.source().stream_checks_begun.fetch_add(1, Relaxed) + 1;
        self.awaits_stream = false;
        self.learn().await?;
        let learned = self.checkpoint.generation();
        let handle = match self.check_settings_and_head().await? {
            CheckedStream::Readable(handle) => *handle,
            CheckedStream::Awaited { reason, is_archived } => {
                if is_archived {
                    self.source().stream_checks_done.send_replace(number);
                }
                return Err(self.pause(reason));
            }
        };
        let now = self.checkpoint.generation();
        // A stream that has just forked has nothing before its epoch.
        if now == learned
            && !self.marks_compared
            && let MarksCompared::Await(reason) = self.compare_marks(&handle).await?
        {
            return Err(self.pause(reason));
        }
        self.marks_compared = true;
        if now == generation {
            self.skip_removed(&handle, reader).await?;
            self.explain_gaps().await;
        }
        self.args.ownership.pause(self.args.source.stream(), false);
        self.source().stream_checks_done.send_replace(number);
        Ok(handle)
    }

    /// Tells the other instances that this one does not read the stream, for this reason.
    fn pause(&mut self, reason: Error) -> Error {
        self.awaits_stream = true;
        self.args.ownership.pause(self.args.source.stream(), true);
        reason
    }

    /// Waits until everything in flight is archived, because it belongs to the old epoch.
    async fn drain_in_flight(&mut self) -> Result<()> {
        loop {
            tokio::select! {
                biased;
                archived = self.in_flight.next() => match archived {
                    Some(archived) => self.end_oldest_chunk(archived)?,
                    None => return Ok(()),
                },
                () = sleep(CATCH_UP_CHECK_INTERVAL), if !S::DURABLE_AFTER.is_zero() => {
                    // After a rollback the archive takes none of it before reading starts again.
                    if self.args.store.needs_catch_up().await {
                        return Err(Error::new(ErrorKind::Unavailable, "the archive must catch up first"));
                    }
                }
            }
        }
    }

    /// Begins a new epoch, because the stream, which was read up to `read_to`, uses its sequences
    /// again from `from` on.
    async fn begin_epoch(&mut self, from: u64, read_to: u64) -> Result<()> {
        let now = (self.args.settings.clock)();
        // Its copy of the losses is older than the record of the fork.
        end(&mut self.archive_request).await;
        if S::IS_SHARED {
            self.knows_epochs = false;
            self.decoder.epochs().check_all_known(&self.args.store, self.name()).await?;
        }
        self.end_gaps(from);
        self.record_fork(from, read_to, now).await?;
        let IngestArgs { source, sources, store, .. } = &self.args;
        let (stream, health) = (source.stream(), &source.health);
        // Not below an epoch that was lost: seqs must rise.
        let step = self.checkpoint.lost().count.max(1);
        let epochs = Arc::new(source.epochs().begin(store, stream, from, now, step).await?);
        // Before the logs learn the epochs: a log must not take the old epoch's progress for
        // progress in the new one.
        health.archived.send_modify(|archived| *archived = (*archived).min(from - 1));
        health.slots.limit(from - 1);
        source.epochs.send_replace(epochs);
        self.decoder = Decoder::new(source, sources);
        self.checkpoint.fork(from);
        health.limit_catch_up(from - 1);
        health.checkpoint.send_replace(None);
        Ok(())
    }

    /// Takes a chunk of messages and hands it out. After an error, hands out the messages before
    /// it.
    async fn take_parsed(&mut self, received: Vec<Received>, messages: &mut Messages) -> Result<()> {
        self.claim_logs(received.iter().flatten().map(|delivered| delivered.message.subject.as_str())).await?;
        let keys = received.iter().flatten().map(|delivered| (delivered.message.subject.as_str(), delivered.key));
        self.admit_logs(keys).await?;
        let parts = received.iter().flatten().map(|delivered| {
            let message = &delivered.message;
            (message.subject.as_str(), message.headers.as_ref(), &message.payload, delivered.key)
        });
        self.create_let_in(parts).await?;
        let mut chunk = Chunk::default();
        let outcome = received.into_iter().try_for_each(|message| self.take_one(message, messages, &mut chunk));
        self.explain_gaps().await;
        self.hand_out(chunk);
        outcome
    }

    /// Claims the logs of these subjects that belong to no source yet.
    async fn claim_logs(&self, subjects: impl Iterator<Item = &str>) -> Result<()> {
        let IngestArgs { store, sources, source, .. } = &self.args;
        if !sources.must_claim() {
            return Ok(());
        }
        let subjects: HashSet<&str> = subjects.collect();
        let unclaimed: HashSet<LogId> =
            subjects.into_iter().filter_map(|subject| self.decoder.unclaimed(subject)).collect();
        if unclaimed.is_empty() {
            return Ok(());
        }
        sources.claim(store, unclaimed.into_iter().collect(), source).await
    }

    fn take_one(&mut self, message: Received, messages: &mut Messages, chunk: &mut Chunk) -> Result<()> {
        let delivered = message?;
        messages.check_next(&delivered)?;
        let Delivered { message, key: MessageKey { sequence, time }, pending, .. } = delivered;
        if sequence <= self.checkpoint.taken().message.sequence {
            return Ok(());
        }
        let time = if Failpoint::LocalClock.is_active() { (self.args.settings.clock)() } else { time };
        let source = self.source();
        let pending = pending.saturating_sub(self.counted);
        source.published.store(sequence + pending, Relaxed);
        if pending == 0 {
            source.limit_catch_up(sequence);
        }
        let is_wal = source.is_wal;
        let expected = self.checkpoint.taken().message.sequence + 1;
        if sequence > expected {
            self.note_gap(expected, sequence - 1);
        }
        let key = MessageKey { sequence, time };
        let part = self.part(&message.subject, sequence);
        let is_decoded = part.writes
            || (part.rejects && self.may_reject(&message.subject, message.headers.as_ref(), &message.payload));
        if !is_decoded {
            self.checkpoint.take(key);
            return Ok(());
        }
        let waiter = if is_wal && part.writes { self.args.waiters.take(message.headers.as_ref()) } else { None };
        let message =
            Message { subject: &message.subject, headers: message.headers.as_ref(), payload: message.payload, key };
        let decoded = self.decoder.decode(message, self.checkpoint.max_time_with(time));
        self.add(chunk, key, part, decoded, waiter);
        Ok(())
    }

    /// Adds a decoded message to a chunk. The message counts as taken from here on.
    fn add(
        &mut self,
        chunk: &mut Chunk,
        message: MessageKey,
        part: Part,
        mut decoded: Decoded,
        waiter: Option<oneshot::Sender<Outcome>>,
    ) {
        self.checkpoint.take(message);
        if !part.counts {
            decoded.receipt = None;
        }
        if let Some(Rejection { reason, error }) = decoded.rejected.as_ref().filter(|_| part.rejects) {
            self.args.health.counters.reject(*reason);
            if let Some(left_out) = self.rejections.count(Instant::now()) {
                let log = &self.args.source.rejected_log;
                tracing::warn!(stream = self.name(), sequence = message.sequence, %error, left_out, "event rejected; it is in the log {log}");
            }
        }
        let is_stored = if decoded.rejected.is_some() { part.rejects } else { part.writes };
        chunk.add(decoded, waiter, is_stored);
    }

    /// Takes messages that were read raw and hands them out.
    async fn take_raw(&mut self, batch: Vec<RawMessage>) -> Result<()> {
        self.claim_logs(batch.iter().map(RawMessage::subject)).await?;
        self.admit_logs(batch.iter().map(|raw| (raw.subject(), raw.key))).await?;
        if !self.let_in.is_empty() {
            let headers: Vec<_> = batch.iter().map(|raw| raw.headers().ok()).collect();
            let parts = batch
                .iter()
                .zip(&headers)
                .filter_map(|(raw, headers)| Some((raw.subject(), Some(headers.as_ref()?), raw.payload(), raw.key)));
            self.create_let_in(parts).await?;
        }
        let (mut chunk, mut poison) = (Chunk::default(), 0);
        for raw in &batch {
            poison += u64::from(self.take_one_raw(raw, &mut chunk));
        }
        self.explain_gaps().await;
        self.hand_out(chunk);
        if batch.is_empty() {
            self.source().limit_catch_up(self.checkpoint.taken().message.sequence);
        }
        self.source().poison.fetch_add(poison, Relaxed);
        let now = Instant::now();
        if self.caution.has_read(poison > 0, now)
            && let Some(left_out) = self.poison.count(now)
        {
            tracing::warn!(
                stream = self.name(),
                left_out,
                "a message interrupted the client, which cannot read it; reading the stream message by message for a while"
            );
        }
        Ok(())
    }

    /// Takes a message that was read raw. Returns true if the client could not have read it.
    fn take_one_raw(&mut self, raw: &RawMessage, chunk: &mut Chunk) -> bool {
        let (sequence, taken) = (raw.key.sequence, self.checkpoint.taken().message.sequence);
        if sequence <= taken {
            return false;
        }
        let source = self.source();
        source.published.fetch_max(sequence, Relaxed);
        let is_wal = source.is_wal;
        if sequence > taken + 1 {
            self.note_gap(taken + 1, sequence - 1);
        }
        let headers = raw.headers();
        let is_poison = headers.is_err() || raw.has_unreadable_subject();
        let part = self.part(raw.subject(), sequence);
        if !part.writes && !part.rejects {
            self.checkpoint.take(raw.key);
            return is_poison;
        }
        let waiter = if is_wal && part.writes { self.args.waiters.take(headers.as_ref().ok()) } else { None };
        let decoded = self.decoder.decode_parsed(raw, headers, self.checkpoint.max_time_with(raw.key.time));
        self.add(chunk, raw.key, part, decoded, waiter);
        is_poison
    }

    fn hand_out(&mut self, chunk: Chunk) {
        if !chunk.is_empty() {
            self.checkpoint.hand_out();
            self.args.health.counters.ingested.add(chunk.len(), chunk.record_bytes());
            let origin = Origin {
                source: Arc::clone(&self.args.source),
                generation: self.checkpoint.generation(),
                rollbacks: self.rollbacks_seen,
                assignment: self.assignment.number,
            };
            self.in_flight.dispatch(chunk, origin, &self.args.logs);
            self.source().waits_since(self.in_flight.oldest());
            self.source().read_up_to(self.checkpoint.taken().max_time);
        } else if self.checkpoint.has_untold() {
            // Messages that were passed over need no log.
            self.checkpoint.hand_out();
            self.in_flight.push_archived();
        }
    }

    /// Moves the checkpoint over the oldest chunk if it is archived. If a log failed, everything
    /// after the last archived message is read again.
    fn end_oldest_chunk(&mut self, archived: Option<Tally>) -> Result<()> {
        if let Some(tally) = archived {
            self.checkpoint.mark_oldest_chunk_archived();
            let archived = self.checkpoint.archived().message;
            // An instance that others may have taken for dead, or that is not live yet, leaves it out: another one counts
            // it, too.
            let counts = self.assignment.is_live() || self.assignment.others.is_empty();
            if counts && self.args.ownership.is_valid() {
                self.args.source.receipts.count(tally, archived.time);
            }
            self.source().archived_to(archived);
            self.source().waits_since(self.in_flight.oldest());
            return Ok(());
        }
        self.checkpoint.restart_from_archived();
        self.in_flight.clear();
        Err(Error::new(ErrorKind::Unavailable, "a log failed before it had archived its events"))
    }

    /// Starts again from the stored checkpoint, because a node of the archive restarted and may
    /// have lost its newest events. Ends everything that is in flight. The same events are then
    /// written under the same keys.
    async fn catch_up(&mut self) {
        // First, so that no reader goes on as if nothing were missing.
        let until = self.checkpoint.taken().message.sequence;
        let source = Arc::clone(&self.args.source);
        source.health.catch_up(SlotSet::ALL, until);
        end(&mut self.archive_request).await;
        self.rollbacks_seen = self.args.rollbacks.handle(self.rollbacks_seen, &self.args.store).await;
        self.checkpoint.catch_up();
        source.health.slots.assign(self.checkpoint.floors());
        self.in_flight.clear();
        source.receipts.may_be_lost();
        source.health.archived_to(self.checkpoint.archived().message);
        self.epochs_may_be_lost = true;
        tracing::warn!(
            stream = self.name(),
            from = self.checkpoint.stored().message.sequence + 1,
            until,
            "a node of the archive restarted and may have lost its newest events; reading them from the stream again"
        );
    }

    /// Takes the slots of the present assignment in place of those before. Ends everything that is in flight.
    async fn reassign(&mut self) -> Result<()> {
        let assignment = self.args.ownership.assignment();
        let source = Arc::clone(&self.args.source);
        end(&mut self.archive_request).await;
        self.args.handover.handle(&assignment, &self.args.store).await;
        // After the logs have stopped: what this instance has handed out is stored.
        let sources = self.args.store.sources(source.stream()).await?;
        let gained = assignment.gained_since(self.assignment.number);
        self.checkpoint.reassign(assignment.own, gained, &sources, self.decoder.epochs());
        self.in_flight.clear();
        if assignment.newly_read_since(self.assignment.number).contains(0) {
            // The former owner has kept the list.
            source.health.restore_losses(Losses::load(&self.args.store, source.stream()).await?);
        }
        let until = self.checkpoint.head().map_or(0, |head| head.sequence);
        let from = self.checkpoint.taken().message.sequence + 1;
        // Before the slots are shown as own ones: readers must not miss what they have seen from another instance.
        source.health.catch_up(assignment.newly_read_since(self.assignment.number), until);
        self.leave_out_of_receipts(assignment.counted_by_others_since(&self.assignment), until);
        source.health.slots.assign(self.checkpoint.floors());
        source.health.archived_to(self.checkpoint.archived().message);
        self.tell_stored();
        self.knows_epochs = false;
        self.assignment = assignment;
        source.health.assigned.send_replace(self.assignment.number);
        tracing::info!(
            stream = self.name(),
            slots = self.assignment.own.len(),
            gained = gained.len(),
            from,
            until,
            "reading the stream for other slots"
        );
        Ok(())
    }

    /// Sends the archive the next request that is due, unless one is under way.
    fn request_due(&mut self) {
        if self.archive_request.is_some() {
            return;
        }
        let store = self.args.store.clone();
        self.archive_request = match self.checkpoint.due(Instant::now()) {
            None => None,
            Some(Due::Store(progress)) => {
                let progress =
                    if Failpoint::CheckpointBeforeRows.is_active() { self.checkpoint.taken() } else { progress };
                let writes = self.checkpoint.writes(progress, self.args.source.stream(), self.decoder.epochs());
                let (source, leads, keeps_receipts) =
                    (Arc::clone(&self.args.source), self.leads(), self.keeps_receipts());
                Some(spawn(async move {
                    let stored = store_progress(&store, &source, writes, leads, keeps_receipts).await;
                    ArchiveReply::Stored(progress, stored)
                }))
            }
            Some(Due::CheckForCatchUp) => {
                Some(spawn(async move { ArchiveReply::NeedsCatchUp(store.needs_catch_up().await) }))
            }
            Some(Due::Flush(progress)) => {
                Some(spawn(async move { ArchiveReply::Flushed(progress, store.flush().await) }))
            }
        };
    }

    fn handle_reply(&mut self, reply: ArchiveReply) {
        match reply {
            ArchiveReply::NeedsCatchUp(_) => {}
            ArchiveReply::Flushed(progress, Ok(())) => {
                self.args.health.archive.recovered(None);
                self.checkpoint.flushed(progress, Instant::now());
            }
            // The next flush retries.
            ArchiveReply::Flushed(_, Err(error)) => {
                if let Some(left_out) = self.args.health.archive.degraded(None, &error) {
                    let cause = sentence(&error);
                    tracing::error!(cause, left_out, "the archive does not answer; retrying");
                }
            }
            ArchiveReply::Stored(progress, Ok(())) => {
                self.checkpoint.mark_stored(progress);
                self.gaps.forget_to(progress.message.sequence);
                self.source().checkpoint.send_replace(Some(progress.message));
                self.tell_stored();
            }
            // A later tick retries. Until then, a crash makes the ingest read more events twice;
            // nothing worse.
            ArchiveReply::Stored(_, Err(error)) => {
                if let Some(left_out) = self.store_failures.count(Instant::now()) {
                    tracing::warn!(%error, left_out, "cannot store the checkpoint; retrying");
                }
            }
        }
    }

    /// Waits for everything in flight and stores the checkpoint.
    async fn finish(mut self) -> Result<()> {
        while let Some(archived) = self.in_flight.next().await {
            if self.end_oldest_chunk(archived).is_err() {
                break;
            }
        }
        if self.archive_request.is_some() {
            let reply = reply_of(&mut self.archive_request).await;
            self.handle_reply(reply);
        }
        // What is not durable yet is read again at the next start.
        self.args.store.flush().await?;
        self.explain_gaps().await;
        let may_store = !self.epochs_may_be_lost && !self.gaps.hold_checkpoint();
        if let Some(progress) = self.checkpoint.storable(Instant::now()).filter(|_| may_store) {
            let (store, source) = (&self.args.store, &self.args.source);
            let writes = self.checkpoint.writes(progress, source.stream(), self.decoder.epochs());
            store_progress(store, source, writes, self.leads(), self.keeps_receipts()).await?;
        }
        let archived = self.checkpoint.archived().message.sequence;
        tracing::info!(stream = self.name(), archived, "stopped reading the stream");
        Ok(())
    }

    /// Returns the error for a consumer that can no longer be used.
    fn interrupted(&self) -> Error {
        Error::new(ErrorKind::Unavailable, format!("the consumer of the stream {} is gone", self.name()))
    }
}

fn spawn(request: impl Future<Output = ArchiveReply> + Send + 'static) -> ArchiveRequest {
    AbortOnDropHandle::new(tokio::spawn(request))
}

/// Stores a checkpoint, and before it the losses and the receipts behind it, as far as this instance keeps them.
async fn store_progress<S: Store>(
    store: &S,
    source: &Source,
    checkpoint: Vec<Write>,
    leads: bool,
    keeps_receipts: bool,
) -> Result<()> {
    if leads {
        source.health.save_losses(store).await?;
    }
    if keeps_receipts {
        source.receipts.save(store, source.stream()).await?;
    }
    store.write(checkpoint).await
}

/// Waits for the reply to the request and removes the request. Waits forever if there is none.
async fn reply_of(request: &mut Option<ArchiveRequest>) -> ArchiveReply {
    match request {
        Some(pending) => {
            let reply = pending.await;
            *request = None;
            reply.expect("a request to the archive does not panic, and is aborted only when it is dropped")
        }
        None => std::future::pending().await,
    }
}

/// Ends the request, if there is one, and waits until its task is gone.
async fn end(request: &mut Option<ArchiveRequest>) {
    if let Some(request) = request.take() {
        request.abort();
        // An error says that it was aborted.
        let _ = request.await;
    }
}

/// Waits until `time`; forever if there is none.
async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

/// Returns at the next tick, or as soon as somebody asks.
async fn tick_or_asked(interval: &mut Interval, asked: &Notify) {
    tokio::select! {
        _ = interval.tick() => {}
        () = asked.notified() => {}
    }
}
