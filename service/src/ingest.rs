//! The way in: the stream's messages, in order, to their logs' actors; and how far the archive has got.
//!
//! The place is kept in the archive, never in a consumer of the server's. A consumer is thrown away and made anew behind
//! the last message taken whenever anything is odd: whatever comes twice is written under the same keys.

mod message;

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, DeliverPolicy, ReplayPolicy, pull},
};
use futures_util::{FutureExt, StreamExt, stream::FuturesOrdered};
use hourlog::{Error, ErrorKind, LogId, Offset, Position, Result, SLOTS, SourceRow, Store, Write, parts, planted::Bug};
use tokio::{
    sync::{Notify, oneshot, watch},
    task::coop::unconstrained,
    time::{Instant, Interval, MissedTickBehavior, interval, interval_at, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Settings,
    backoff::Backoff,
    epochs::Epochs,
    forks::{self, Newest},
    log_actor::Arriving,
    logs::{Delivery, LogsMsg, LogsRef},
    raw,
    share::Share,
    telemetry::{Fork, Part, Status},
    waiters::{Outcome, Waiters},
    wal,
};

pub(crate) use message::{Decoded, Decoder, Message};

/// The messages that are taken at once, if so many are there.
const CHUNK_MESSAGES_MAX: usize = 16_384;
/// What an event weighs in memory beside its bytes, roughly.
const EVENT_OVERHEAD_BYTES: usize = 256;
/// The messages, and bytes, that the server may have sent ahead. Less than a subscription of the client's holds.
const PULL_MESSAGES_MAX: usize = 16_384;
/// See [`PULL_MESSAGES_MAX`].
const PULL_BYTES_MAX: usize = 8 << 20;
/// How often the server says that it is there when nothing comes.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// How long one pull stands.
const PULL_EXPIRES: Duration = Duration::from_secs(30);
/// After how long the server may forget a consumer that nobody reads.
const CONSUMER_FORGOTTEN_AFTER: Duration = Duration::from_secs(30);
/// How often the place is stored while it moves. What was archived since is read again after a crash.
const STORE_PLACE_EVERY: Duration = Duration::from_millis(250);
/// How often an archive that is not sure at once is told to write what it has kept back: the counts of a log may be so far behind.
const SETTLE_EVERY: Duration = Duration::from_secs(4);
/// How often it is asked whether a part of it has come back.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether the stream is what it was.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// The pauses between attempts to read the stream.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));

/// How often reading may break off at one message, before that message is taken alone: the client may not be able to read it.
const BARREN_MAX: u32 = 2;

/// What the ingest needs.
#[derive(Debug)]
pub(crate) struct IngestArgs<S> {
    pub(crate) client: async_nats::Client,
    /// How often the client's connection was lost.
    pub(crate) lost: watch::Receiver<u64>,
    pub(crate) jetstream: jetstream::Context,
    pub(crate) store: S,
    pub(crate) logs: LogsRef,
    pub(crate) stream: Arc<str>,
    pub(crate) status: Arc<Status>,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) settings: Settings,
    /// Told to those who need them when the stream forks.
    pub(crate) epochs: watch::Sender<Arc<Epochs>>,
    pub(crate) shutdown: CancellationToken,
}

/// How far a source has been taken, or archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    sequence: u64,
    time: Offset,
    /// The greatest time of a message so far.
    high: Offset,
}

/// The archive at work on a place.
type Storing = Pin<Box<dyn Future<Output = Stored> + Send>>;

/// What it has come to.
enum Stored {
    /// Whether a part of it has come back.
    Asked(bool),
    /// Everything up to the place was written, if it went well.
    Settled(Place, Result<()>),
    /// The place is stored, if it went well.
    Place(Place, Result<()>),
}

/// Why reading has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// It was told to stop.
    Told,
    /// The newest events are to be read again.
    SetBack,
}

/// The running ingest.
pub(crate) struct Ingest<S> {
    args: IngestArgs<S>,
    decoder: Decoder,
    /// Counts how often it began anew from what is archived.
    run: u64,
    taken: Place,
    /// The newest message that was handed out in this life of the stream, if there is one.
    newest: Option<Newest>,
    archived: Place,
    /// What the archive knows of `archived`.
    stored: Place,
    /// Places that were written whole, and since when: each may be stored once it is sure.
    settled: VecDeque<(Instant, Place)>,
    settle_at: Instant,
    ask_at: Instant,
    storing: Option<Storing>,
    in_flight: FuturesOrdered<oneshot::Receiver<Done>>,
    in_flight_bytes: usize,
    /// Nothing more is taken until some of that is archived.
    is_full: bool,
    /// How often reading broke off in a row without a message taken.
    barren: u32,
    /// The archive may have lost which epochs there are.
    epochs_unsure: bool,
}

/// A chunk that was handed out and has been answered.
#[derive(Debug)]
struct Done {
    last: Place,
    bytes: usize,
    whole: bool,
}

/// Messages that are handed out together.
#[derive(Debug, Default)]
struct Chunk {
    events: HashMap<LogId, Vec<Arriving>>,
    answers: Vec<(oneshot::Sender<Outcome>, Outcome)>,
    bytes: usize,
}

/// Reads the stream until it is told to stop; then what was taken is archived, and the place stored.
///
/// # Errors
/// What the store answers when it is asked how far it has got.
pub(crate) async fn run<S: Store>(mut ingest: Ingest<S>) -> Result<()> {
    let shutdown = ingest.args.shutdown.clone();
    let mut backoff = Backoff::new(RETRY.0, RETRY.1);
    while !shutdown.is_cancelled() {
        let before = ingest.taken;
        let error = match ingest.read().await {
            Ok(Ended::Told) => break,
            Ok(Ended::SetBack) => {
                ingest.begin_again().await;
                continue;
            }
            Err(error) => error,
        };
        if ingest.taken != before {
            backoff.reset();
            ingest.barren = 0;
        }
        if ingest.barren >= BARREN_MAX {
            ingest.barren = 0;
            match ingest.take_raw().await {
                Ok(()) => backoff.reset(),
                Err(error) => tracing::warn!(%error, "the next message could not be taken alone either"),
            }
        }
        let pause = backoff.next();
        if ingest.args.status.away(Part::Nats, None, &error) {
            let cause = crate::telemetry::sentence(&error);
            tracing::warn!(stream = %ingest.args.stream, cause, "reading the stream broke off; reading on from the last message taken");
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = shutdown.cancelled() => {}
        }
    }
    ingest.finish().await
}

impl<S: Store> Ingest<S> {
    /// Looks how far the archive has got.
    ///
    /// # Errors
    /// What the store answers.
    pub(crate) async fn new(args: IngestArgs<S>) -> Result<Self> {
        let sources = args.store.sources(&args.stream).await?;
        let epochs = Arc::clone(&args.epochs.borrow());
        let covered = |(slot, row): &(u8, SourceRow)| (epochs.sequence(*slot, row.cursor), *row);
        // A slot without a row has nothing; the one that has got least far decides.
        let (sequence, row) = match sources.iter().map(covered).min_by_key(|(sequence, _)| *sequence) {
            Some(least) if sources.len() == usize::from(SLOTS) => least,
            _ => (0, SourceRow::NOTHING),
        };
        let heads = sources.iter().filter(|(slot, row)| row.head > 0 && epochs.is_newest(*slot, row.head));
        let heads = heads.map(|(_, row)| Newest { sequence: parts(row.head).1, time: row.head_time });
        let newest = heads.max_by_key(|head| head.sequence);
        let place = Place { sequence, time: row.cursor_time, high: row.high };
        args.status.archived.send_replace(place.sequence);
        if !S::WRITES_ARE_WHOLE {
            args.status.rereads.send_replace(newest.map_or(0, |newest| newest.sequence));
        }
        tracing::info!(stream = %args.stream, archived = place.sequence, "reading the stream behind what is archived");
        Ok(Self {
            decoder: Decoder::new(epochs),
            newest,
            args,
            run: 0,
            taken: place,
            archived: place,
            stored: place,
            settled: VecDeque::new(),
            settle_at: Instant::now() + SETTLE_EVERY,
            ask_at: Instant::now(),
            storing: None,
            in_flight: FuturesOrdered::new(),
            in_flight_bytes: 0,
            is_full: false,
            barren: 0,
            epochs_unsure: false,
        })
    }

    /// Reads until something is odd, it is told to stop, or the archive may have lost something.
    async fn read(&mut self) -> Result<Ended> {
        let stream = Arc::clone(&self.args.stream);
        if !S::SURE_AFTER.is_zero() && self.args.store.has_come_back().await {
            return Ok(Ended::SetBack);
        }
        if self.epochs_unsure {
            let now = (self.args.settings.clock)();
            self.decoder.epochs().begin_again(&self.args.store, &stream, now).await?;
            self.epochs_unsure = false;
        }
        let handle = self.look().await?;
        let consumer = consumer(&self.args, &handle, self.taken.sequence + 1).await?;
        if consumer.cached_info().num_pending == 0 {
            self.read_again_up_to(self.taken.sequence);
        }
        let messages = consumer
            .stream()
            .max_messages_per_batch(PULL_MESSAGES_MAX)
            .max_bytes_per_batch(PULL_BYTES_MAX)
            .heartbeat(HEARTBEAT)
            .expires(PULL_EXPIRES)
            .messages()
            .await
            .map_err(|error| {
                Error::new(ErrorKind::Unavailable, format!("the stream {stream} cannot be read")).because(error)
            })?;
        if let Some(since) = self.args.status.back(Part::Nats, None) {
            tracing::info!(stream = %self.args.stream, %since, "reading the stream again");
        }
        // Until a message is taken, it looks as if none could be.
        self.barren += 1;
        let mut lost = self.args.lost.clone();
        lost.mark_unchanged();
        let mut messages = std::pin::pin!(messages);
        let mut consumer_sequence = 0;
        let mut tick = interval(STORE_PLACE_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
        let (shutdown, status) = (self.args.shutdown.clone(), Arc::clone(&self.args.status));
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(Ended::Told),
                _ = lost.changed() => return Err(broken_off(&self.args.stream)),
                Some(done) = self.in_flight.next() => self.settle(done)?,
                stored = pending_or(&mut self.storing) => match stored {
                    Stored::Asked(true) => return Ok(Ended::SetBack),
                    stored => self.stored(stored),
                },
                _ = tick.tick() => self.store_place(),
                () = looks(&mut look, &status.look) => {
                    let before = self.run;
                    self.look().await?;
                    if self.run != before {
                        return Err(broken_off(&stream));
                    }
                }
                chunk = ready(&mut messages), if !self.is_full => {
                    let chunk = chunk.ok_or_else(|| broken_off(&self.args.stream))?;
                    self.take(chunk, &mut consumer_sequence)?;
                }
            }
        }
    }

    /// Looks whether the stream is what it was: its settings, and the newest message that was taken from it. Where it has
    /// forked, a new epoch begins.
    async fn look(&mut self) -> Result<jetstream::stream::Stream> {
        let number = self.args.status.looks_begun.fetch_add(1, Relaxed) + 1;
        let looked = self.compare().await;
        if looked.is_ok() {
            self.args.status.looked.send_replace(number);
        }
        looked
    }

    async fn compare(&mut self) -> Result<jetstream::stream::Stream> {
        let IngestArgs { client, jetstream, settings, .. } = &self.args;
        let max_payload = client.server_info().max_payload;
        let (handle, checked) = wal::find(jetstream, settings, max_payload).await?;
        match checked {
            Ok(()) => {
                self.args.status.back(Part::Wal, None);
            }
            // Not to read it any more would lose more than it does.
            Err(error) if self.args.status.away(Part::Wal, None, &error) => {
                tracing::error!(%error, "the stream's settings were changed");
            }
            Err(_) => {}
        }
        let info = handle.cached_info();
        let Some(newest) = self.newest.filter(|_| !Bug::ForkUnseen.is_planted()) else { return Ok(handle) };
        let stream = forks::Stream { client: &self.args.client, info };
        let archived = self.archived.sequence;
        let Some(from) = stream.fork(&self.args.store, &mut self.decoder, newest, archived).await? else {
            return Ok(handle);
        };
        // What is under way is of the old life, and is archived as such.
        loop {
            let done = tokio::select! {
                biased;
                done = self.in_flight.next() => done,
                () = sleep(ASK_EVERY), if !S::SURE_AFTER.is_zero() => {
                    // Then none of it is taken before everything begins again.
                    if self.args.store.has_come_back().await {
                        return Err(broken_off(&self.args.stream));
                    }
                    continue;
                }
            };
            let Some(done) = done else { break };
            self.settle(done)?;
        }
        self.begin_life(from, newest).await?;
        Ok(handle)
    }

    /// The stream's sequences are used again from `from` on.
    async fn begin_life(&mut self, from: u64, newest: Newest) -> Result<()> {
        let stream = &self.args.stream;
        let archived = self.archived.sequence;
        let now = (self.args.settings.clock)();
        let lost = (newest.sequence >= from).then_some((from, newest.sequence));
        let fork = Fork { at: now, from, lost, archived };
        tracing::error!(
            %stream, from, lost = fork.lost_range(), archived,
            "the stream has forked: it was made anew, or has lost its tail; what it holds from here on is new and is archived as such"
        );
        let epochs = Arc::new(Epochs::fork(&self.args.store, stream, from, now).await?);
        // A log that looks how far it is archived must not take the old life's place for one of the new.
        self.args.status.archived.send_modify(|archived| *archived = (*archived).min(from - 1));
        self.args.epochs.send_replace(Arc::clone(&epochs));
        self.decoder = Decoder::new(epochs);
        self.run += 1;
        self.newest = None;
        // Places of the old life mean nothing in the new one.
        self.storing = None;
        self.settled.clear();
        for place in [&mut self.taken, &mut self.archived, &mut self.stored] {
            place.sequence = place.sequence.min(from - 1);
        }
        self.read_again_up_to(from - 1);
        self.args.status.stored.send_replace(None);
        self.args.status.forked(fork);
        Ok(())
    }

    /// Hands out a chunk of messages.
    fn take(
        &mut self,
        messages: Vec<Result<jetstream::Message, pull::MessagesError>>,
        consumer_sequence: &mut u64,
    ) -> Result<()> {
        let mut chunk = Chunk::default();
        let mut outcome = Ok(());
        for message in messages {
            if let Err(error) = self.take_one(message, consumer_sequence, &mut chunk) {
                // What came before it is good.
                outcome = Err(error);
                break;
            }
        }
        self.hand_out(chunk);
        outcome
    }

    fn take_one(
        &mut self,
        message: Result<jetstream::Message, pull::MessagesError>,
        consumer_sequence: &mut u64,
        chunk: &mut Chunk,
    ) -> Result<()> {
        let odd = |what: String| Error::new(ErrorKind::Unavailable, what);
        let message = message.map_err(|error| odd(error.to_string()))?;
        let info = message.info().map_err(|error| odd(error.to_string()))?;
        if info.consumer_sequence != *consumer_sequence + 1 {
            return Err(odd(format!(
                "message {} of the consumer came after {consumer_sequence}",
                info.consumer_sequence
            )));
        }
        *consumer_sequence = info.consumer_sequence;
        let sequence = info.stream_sequence;
        if sequence <= self.taken.sequence {
            return Ok(());
        }
        let time = i64::try_from(info.published.unix_timestamp_nanos()).map_err(|error| odd(error.to_string()))?;
        let time = if Bug::LocalClock.is_planted() { (self.args.settings.clock)() } else { Offset::from_nanos(time) };
        self.args.status.published.store(sequence + info.pending, Relaxed);
        if info.pending == 0 {
            self.read_again_up_to(sequence);
        }
        let waiter = self.args.waiters.take(message.headers.as_ref());
        let message = Message {
            subject: &message.subject,
            headers: message.headers.as_ref(),
            payload: message.payload.clone(),
            sequence,
            time,
        };
        let decoded = self.decoder.decode(message, self.taken.high.max(time));
        self.add(chunk, sequence, time, decoded, waiter);
        Ok(())
    }

    /// Adds what has become of a message to a chunk: it counts as taken now.
    fn add(
        &mut self,
        chunk: &mut Chunk,
        sequence: u64,
        time: Offset,
        decoded: Decoded,
        waiter: Option<oneshot::Sender<Outcome>>,
    ) {
        self.taken = Place { sequence, time, high: self.taken.high.max(time) };
        if self.newest.is_none_or(|newest| newest.sequence < sequence) {
            self.newest = Some(Newest { sequence, time });
        }
        let position: Position = decoded.row.event.position;
        if let Some(waiter) = waiter {
            chunk.answers.push((waiter, decoded.rejected.as_ref().map_or(Ok(position), |error| Err(error.again()))));
        }
        if let Some(error) = decoded.rejected {
            self.args.status.rejected.fetch_add(1, Relaxed);
            tracing::warn!(sequence, %error, "event rejected; it is in the log _rejected");
        }
        chunk.bytes += decoded.row.event.record.bytes() + EVENT_OVERHEAD_BYTES;
        let arriving = Arriving { row: decoded.row, once: decoded.once };
        match chunk.events.get_mut(&arriving.row.event.log) {
            Some(events) => events.push(arriving),
            None => {
                chunk.events.insert(arriving.row.event.log.clone(), vec![arriving]);
            }
        }
    }

    /// Takes the next message alone and raw, because the client cannot read on over it.
    async fn take_raw(&mut self) -> Result<()> {
        let Some(raw) = raw::fetch(&self.args.client, &self.args.stream, self.taken.sequence + 1).await? else {
            return Ok(());
        };
        let high = self.taken.high.max(raw.time);
        let decoded = self.decoder.decode_raw(&raw, high);
        let mut chunk = Chunk::default();
        self.add(&mut chunk, raw.sequence, raw.time, decoded, None);
        self.hand_out(chunk);
        Ok(())
    }

    fn hand_out(&mut self, chunk: Chunk) {
        if chunk.events.is_empty() {
            return;
        }
        let Chunk { events, answers, bytes } = chunk;
        let last = self.taken;
        let (settle, settled) = oneshot::channel();
        let handing_out = Share::of(move |whole| {
            if whole {
                for (waiter, outcome) in answers {
                    // Who asked may have left; that is no failure.
                    let _ = waiter.send(outcome);
                }
            }
            // The ingest may have begun anew; that is no failure.
            let _ = settle.send(Done { last, bytes, whole });
        });
        let deliveries = events.into_iter().map(|(log, events)| Delivery { log, events, done: handing_out.clone() });
        let msg = LogsMsg::Deliver { run: self.run, deliveries: deliveries.collect() };
        // A supervisor that has ended drops it; then this is heard of as a chunk that has failed.
        let _ = self.args.logs.send_message(msg);
        handing_out.archived();
        self.in_flight.push_back(settled);
        self.in_flight_bytes += bytes;
        self.is_full |= self.in_flight_bytes >= S::UNDER_WAY_BYTES;
    }

    /// A chunk has been answered: the archive has got so far. Where a log has failed, everything that was taken since is
    /// read again.
    fn settle(&mut self, done: Result<Done, oneshot::error::RecvError>) -> Result<()> {
        let again = || Error::new(ErrorKind::Unavailable, "a log failed before it had archived what it was given");
        let done = done.map_err(|_| again())?;
        self.in_flight_bytes -= done.bytes;
        // Until a quarter of it is free: what is handed out in larger chunks costs less an event.
        self.is_full &= self.in_flight_bytes > S::UNDER_WAY_BYTES / 4 * 3;
        if done.whole {
            self.archived = done.last;
            self.args.status.archived.send_replace(done.last.sequence);
            return Ok(());
        }
        self.start_over(self.archived);
        Err(again())
    }

    /// A part of the archive has come back, and may have lost what it took last. Everything that is under way is ended, and the stream is
    /// read again behind the stored place: the same events under the same keys.
    async fn begin_again(&mut self) {
        // Before anything else: nobody is to read on as if nothing were missing.
        let until = self.taken.sequence;
        self.args.status.rereads.send_modify(|rereads| *rereads = until.max(*rereads));
        self.start_over(self.stored);
        self.settled.clear();
        self.args.status.archived.send_replace(self.archived.sequence);
        let (reply, ended) = oneshot::channel();
        let _ = self.args.logs.send_message(LogsMsg::Restart { reply });
        // A supervisor that has ended has no logs.
        let _ = ended.await;
        self.args.store.forget().await;
        self.storing = None;
        self.epochs_unsure = true;
        self.args.status.set_backs.fetch_add(1, Relaxed);
        tracing::warn!(
            stream = %self.args.stream, from = self.stored.sequence + 1, until,
            "a node of the archive has come back, perhaps without what it took last; reading it from the stream again"
        );
    }

    /// The stream has nothing behind `sequence`: what was there once has been taken out, and cannot be read again.
    fn read_again_up_to(&self, sequence: u64) {
        self.args.status.rereads.send_if_modified(|until| std::mem::replace(until, sequence.min(*until)) > sequence);
    }

    /// Nothing that was handed out counts any more: all that comes behind `place` is to be read again.
    fn start_over(&mut self, place: Place) {
        self.run += 1;
        self.taken = place;
        self.archived = place;
        self.in_flight = FuturesOrdered::new();
        self.in_flight_bytes = 0;
        self.is_full = false;
    }

    /// Begins to store the place, if there is one to be stored and none is being stored.
    fn store_place(&mut self) {
        if self.storing.is_some() {
            return;
        }
        let (store, now) = (self.args.store.clone(), Instant::now());
        let sure_at_once = S::SURE_AFTER.is_zero();
        if let Some(place) = self.sure_place() {
            let place = if Bug::CursorBeforeRows.is_planted() { self.taken } else { place };
            let writes = self.place_writes(place);
            self.storing = Some(Box::pin(async move { Stored::Place(place, store.write(writes).await) }));
        } else if !sure_at_once && now >= self.ask_at {
            self.ask_at = now + ASK_EVERY;
            self.storing = Some(Box::pin(async move { Stored::Asked(store.has_come_back().await) }));
        } else if !sure_at_once && now >= self.settle_at {
            let place = self.archived;
            self.settle_at = now + SETTLE_EVERY;
            self.storing = Some(Box::pin(async move { Stored::Settled(place, store.settle().await) }));
        }
    }

    /// The place that is to be stored: what an archive has taken may be lost until it is sure of it.
    fn sure_place(&mut self) -> Option<Place> {
        if S::SURE_AFTER.is_zero() {
            return Some(self.archived).filter(|place| *place != self.stored);
        }
        let sure = self.settled.iter().take_while(|(since, _)| since.elapsed() >= S::SURE_AFTER).count();
        let newest = self.settled.drain(..sure).next_back();
        newest.map(|(_, place)| place).filter(|place| *place != self.stored)
    }

    /// The archive has done its work on a place.
    fn stored(&mut self, stored: Stored) {
        match stored {
            Stored::Place(place, outcome) => self.place_stored(place, &outcome),
            Stored::Settled(place, Ok(())) => {
                self.args.status.back(Part::Archive, None);
                // What was begun in a life of the stream that has ended meanwhile tells nothing.
                let newest = self.settled.back().map_or(self.stored, |(_, newest)| *newest);
                if place != newest && place.sequence <= self.archived.sequence {
                    self.settled.push_back((Instant::now(), place));
                }
            }
            // The next time it is tried again.
            Stored::Settled(_, Err(error)) => {
                if self.args.status.away(Part::Archive, None, &error) {
                    let cause = crate::telemetry::sentence(&error);
                    tracing::error!(cause, "the archive does not answer");
                }
            }
            Stored::Asked(_) => {}
        }
    }

    fn place_writes(&self, place: Place) -> Vec<Write> {
        let of_slot = |slot| Write::Archived {
            stream: Arc::clone(&self.args.stream),
            slot,
            seq: self.decoder.epochs().seq(slot, place.sequence),
            time: place.time,
            high: place.high,
        };
        (0..SLOTS).map(of_slot).collect()
    }

    fn place_stored(&mut self, place: Place, outcome: &Result<()>) {
        match outcome {
            Ok(()) => {
                self.stored = place;
                let Place { sequence, time, .. } = place;
                self.args.status.stored.send_replace(Some(Newest { sequence, time }));
            }
            // The next tick tries again; until then more is read twice after a crash, no more than that.
            Err(error) => tracing::warn!(%error, "the place could not be stored"),
        }
    }

    /// Waits for what is under way and stores the place.
    async fn finish(mut self) -> Result<()> {
        while let Some(done) = self.in_flight.next().await {
            if self.settle(done).is_err() {
                break;
            }
        }
        if let Some(storing) = self.storing.take() {
            let stored = storing.await;
            self.stored(stored);
        }
        // What is not sure yet is read again at the next start.
        self.args.store.settle().await?;
        if let Some(place) = self.sure_place().filter(|_| !self.epochs_unsure) {
            self.args.store.write(self.place_writes(place)).await?;
        }
        tracing::info!(stream = %self.args.stream, archived = self.archived.sequence, "stopped reading the stream");
        Ok(())
    }
}

/// The messages that are there: at least one, which is waited for. `None` where the stream has ended. The runtime would give a task
/// 128 of them at a time, which for a thousand logs is a request to a log for each event.
async fn ready<M>(messages: &mut (impl futures_util::Stream<Item = M> + Unpin)) -> Option<Vec<M>> {
    let mut chunk = vec![messages.next().await?];
    while chunk.len() < CHUNK_MESSAGES_MAX
        && let Some(Some(message)) = unconstrained(messages.next()).now_or_never()
    {
        chunk.push(message);
    }
    Some(chunk)
}

/// A consumer of our own, from the message `next`: no acks, no filter, in the server's memory.
async fn consumer<S>(
    args: &IngestArgs<S>,
    handle: &jetstream::stream::Stream,
    next: u64,
) -> Result<jetstream::consumer::Consumer<pull::Config>> {
    let stream = &args.stream;
    let state = &handle.cached_info().state;
    args.status.published.store(state.last_sequence, Relaxed);
    if state.first_sequence > next && state.messages > 0 {
        tracing::error!(%stream, from = next, to = state.first_sequence - 1, "messages are gone from the stream that were not archived");
    }
    let config = pull::Config {
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: next },
        ack_policy: AckPolicy::None,
        replay_policy: ReplayPolicy::Instant,
        memory_storage: true,
        num_replicas: 1,
        inactive_threshold: CONSUMER_FORGOTTEN_AFTER,
        ..pull::Config::default()
    };
    handle.create_consumer(config).await.map_err(|error| {
        Error::new(ErrorKind::Unavailable, format!("the stream {stream} takes no consumer")).because(error)
    })
}

/// The future's output, for ever pending where there is none. Leaves nothing behind when it is ready.
async fn pending_or(future: &mut Option<Storing>) -> Stored {
    match future {
        Some(inner) => {
            let output = inner.await;
            *future = None;
            output
        }
        None => std::future::pending().await,
    }
}

/// Returns when it is time to look at the stream, or somebody asks for it.
async fn looks(time: &mut Interval, asked: &Notify) {
    tokio::select! {
        _ = time.tick() => {}
        () = asked.notified() => {}
    }
}

fn broken_off(stream: &str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the consumer of the stream {stream} is gone"))
}
