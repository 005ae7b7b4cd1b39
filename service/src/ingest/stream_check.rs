//! The check of the stream before it is read, and now and then afterwards: is it there, are its
//! settings safe, and does it go on where it was read to?
//!
//! A stream that is gone, or shorter than what was read from it, may be about to be restored. So it
//! is neither created nor read by a consumer, but looked at again soon.

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use async_nats::jetstream;
use hourlog::{Error, ErrorKind, Result, failpoint::Failpoint, store::Store};

use super::{Ingest, IngestArgs};
use crate::stream::{
    decode::Decoder,
    ends::CurrentStream,
    forks::{ReadSoFar, Verdict},
    message_ages::ComparedMessages,
    raw,
    source_stream::FoundStream,
};

/// Interval between two looks at a stream that is gone, or shorter than what was read from it.
pub(super) const AWAITED_STREAM_INTERVAL: Duration = Duration::from_millis(250);

/// The outcome of a check.
pub(super) enum CheckedStream {
    /// It goes on where it was read to, perhaps in a new epoch.
    Readable(Box<jetstream::stream::Stream>),
    /// It is not to be read yet, for this reason.
    Awaited {
        reason: Error,
        /// True if everything that it holds is archived.
        is_archived: bool,
    },
}

impl<S: Store> Ingest<S> {
    pub(super) async fn check_settings_and_head(&mut self) -> Result<CheckedStream> {
        let read_to = self.read_to();
        let Some(FoundStream { stream: handle, settings, is_new }) = self.find_stream(read_to).await? else {
            self.fork_rule.reset();
            self.source().awaited.store(read_to, Relaxed);
            return Ok(CheckedStream::Awaited { reason: self.gone(), is_archived: false });
        };
        self.gone_since = None;
        let health = self.source();
        health.measure(handle.cached_info());
        match settings {
            Ok(()) => {
                health.settings.recovered(None);
            }
            // Go on reading: to stop would lose more events than the changed settings.
            Err(error) => {
                if let Some(left_out) = health.settings.degraded(None, &error) {
                    tracing::error!(%error, left_out, "the stream's settings were changed");
                }
            }
        }
        let verdict = if is_new && read_to > 0 {
            self.drain_in_flight().await?;
            Verdict::Forked { from: 1 }
        } else {
            self.compare_stream(&handle, read_to).await?
        };
        match verdict {
            Verdict::Same => {}
            Verdict::Forked { from } => match self.epoch_waits_for("has forked") {
                None => self.begin_epoch(from, read_to).await?,
                Some(reason) => return Ok(CheckedStream::Awaited { reason, is_archived: false }),
            },
            Verdict::Shorter { old_to, is_undecided, stands_still } => {
                let last = handle.cached_info().state.last_sequence;
                self.source().awaited.store(read_to - last, Relaxed);
                self.take_old(old_to).await?;
                if stands_still {
                    self.source().limit_catch_up(old_to);
                }
                let reason = self.shorter(last, read_to, stands_still);
                return Ok(CheckedStream::Awaited { reason, is_archived: !is_undecided });
            }
        }
        self.source().awaited.store(0, Relaxed);
        Ok(CheckedStream::Readable(Box::new(handle)))
    }

    /// Returns the sequence up to which the stream was read. In an epoch without a head, messages of
    /// the one before were.
    fn read_to(&self) -> u64 {
        let head = self.checkpoint.head().map_or(0, |head| head.sequence);
        self.checkpoint.taken().message.sequence.max(head).max(self.checkpoint.lost().to)
    }

    /// Returns the stream, or `None` while it is gone and may be restored. Creates it once it has
    /// been gone for long enough, or if nothing was read from it.
    async fn find_stream(&mut self, read_to: u64) -> Result<Option<FoundStream>> {
        let IngestArgs { client, jetstream, stream, settings, .. } = &self.args;
        let max_payload = client.server_info().max_payload;
        if read_to > 0 {
            // The time counts while the server says that the stream is gone, not while it is silent.
            let found = stream.find(jetstream, max_payload, false).await.inspect_err(|_| self.gone_since = None)?;
            let since = *self.gone_since.get_or_insert_with(Instant::now);
            if found.is_some() || since.elapsed() < settings.wal_recreate_after {
                return Ok(found);
            }
        }
        stream.find(jetstream, max_payload, true).await
    }

    /// Compares the stream with what was read from it.
    async fn compare_stream(&mut self, handle: &jetstream::stream::Stream, read_to: u64) -> Result<Verdict> {
        if read_to == 0 || Failpoint::ForkUnseen.is_active() {
            return Ok(Verdict::Same);
        }
        let (jetstream, head) = (self.args.jetstream.clone(), self.checkpoint.head());
        let stream = CurrentStream { jetstream: &jetstream, info: handle.cached_info() };
        let ends = stream.ends();
        let lost_to = self.checkpoint.lost().to;
        if let Some(head) = head.filter(|head| head.sequence == read_to && read_to <= ends.last && lost_to == 0)
            && stream.first_from(read_to).await?.is_some_and(|message| message.key == head)
        {
            self.fork_rule.reset();
            return Ok(Verdict::Same);
        }
        // What was handed out looks new until it is archived.
        self.drain_in_flight().await?;
        let (taken, archived) = (self.checkpoint.taken(), self.checkpoint.archived().message.sequence);
        let max_time = taken.max_time.max(head.map_or(taken.max_time, |head| head.time));
        let mut messages = ComparedMessages {
            stream,
            store: &self.args.store,
            source: &self.args.source,
            sources: &self.args.sources,
            decoder: Decoder::new(&self.args.source, &self.args.sources),
            read: ReadSoFar { head, archived, max_time },
        };
        // The archive has the events of a lost epoch under other keys than those of the present epochs.
        let archived = archived.max(lost_to);
        let verdict = self.fork_rule.compare(ends, read_to, archived, &mut messages, Instant::now()).await?;
        match verdict {
            Verdict::Shorter { .. } if Failpoint::RestoreUnseen.is_active() => {
                Ok(Verdict::Forked { from: ends.last + 1 })
            }
            verdict => Ok(verdict),
        }
    }

    /// Takes the messages up to `last`, which a crash has kept from the archive, one by one: a
    /// consumer would send newer ones, too.
    async fn take_old(&mut self, last: u64) -> Result<()> {
        loop {
            let next = self.checkpoint.taken().message.sequence + 1;
            if next > last {
                break;
            }
            let raw = raw::fetch(&self.args.jetstream, self.name(), next).await?;
            let Some(raw) = raw.filter(|raw| raw.key.sequence <= last) else { break };
            self.take_raw(vec![raw]).await?;
            if self.in_flight.is_full() {
                self.drain_in_flight().await?;
            }
        }
        self.drain_in_flight().await
    }

    fn gone(&self) -> Error {
        let waited = self.gone_since.map_or(Duration::ZERO, |since| since.elapsed());
        let left = self.args.settings.wal_recreate_after.saturating_sub(waited);
        let context =
            format!("the stream {} is gone: restore it, or it is created again in {} s", self.name(), left.as_secs());
        Error::new(ErrorKind::Unavailable, context)
    }

    fn shorter(&self, last: u64, read_to: u64, stands_still: bool) -> Error {
        let cause = if stands_still {
            "it has lost its newest messages; restore it, or go on: new messages begin an epoch"
        } else {
            "it is being restored, or has lost its newest messages"
        };
        let name = self.name();
        let context = format!("the stream {name} is shorter than what was read from it, {last} of {read_to}: {cause}");
        Error::new(ErrorKind::Unavailable, context)
    }
}
