//! The janitor: deletes archived messages from the stream, so that it does not fill up. Keeps a
//! margin of them.
//!
//! It can have its own credentials. The service answers requests, so its own user should not be
//! able to delete.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_nats::jetstream;
use hourlog::{Error, ErrorKind, Offset, Result, failpoint::Failpoint, store::Store};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{ends::CurrentStream, message::MessageKey, raw};
use crate::{
    archive_id::{self, ArchiveId},
    ingest::stored_of_all,
    margin::Margin,
    ownership::Ownership,
    repeats::Repeats,
    sources::Source,
    trace::sentence,
};

/// Interval between purges while the checkpoint does not move.
const IDLE_INTERVAL: Duration = Duration::from_secs(30);
/// Pause between purges while the checkpoint moves.
const PAUSE: Duration = Duration::from_secs(1);
/// Pause between purges while the stream is nearly full.
const PAUSE_WHILE_FULL: Duration = Duration::from_millis(100);

/// The janitor of one stream.
#[derive(Debug)]
pub(crate) struct Janitor<S> {
    pub(crate) jetstream: jetstream::Context,
    pub(crate) stream: Arc<str>,
    /// The archive's id. The janitor deletes nothing from a stream of another archive.
    pub(crate) archive: ArchiveId,
    pub(crate) margin: Margin,
    /// The message at the stored checkpoint; `None` while none is known.
    pub(crate) checkpoint: watch::Receiver<Option<MessageKey>>,
    pub(crate) store: S,
    pub(crate) source: Arc<Source>,
    /// The owner of slot 0 purges, if there are several instances.
    pub(crate) ownership: Ownership,
}

/// The outcome of a purge.
#[derive(Debug, Default, Clone, Copy)]
struct Purged {
    /// Number of deleted messages.
    deleted: u64,
    /// True if the stream was nearly full before.
    is_nearly_full: bool,
}

impl<S: Store> Janitor<S> {
    /// Purges the stream whenever the checkpoint moves, until `shutdown`.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        self.checkpoint.mark_changed();
        let mut failures = Repeats::default();
        loop {
            tokio::select! {
                changed = self.checkpoint.changed() => if changed.is_err() { return },
                // Even without new messages, the margin grows too old.
                () = tokio::time::sleep(IDLE_INTERVAL) => {}
                () = shutdown.cancelled() => return,
            }
            let mut pause = PAUSE;
            match self.purge().await {
                Ok(Purged { deleted, is_nearly_full }) => {
                    if is_nearly_full {
                        pause = PAUSE_WHILE_FULL;
                        if deleted > 0 {
                            // One purge may leave more than the margin, and with a full stream the
                            // checkpoint does not move.
                            self.checkpoint.mark_changed();
                        }
                    }
                }
                Err(error) => {
                    // Retry after the pause, even if the checkpoint does not move.
                    self.checkpoint.mark_changed();
                    if let Some(left_out) = failures.count(Instant::now()) {
                        let cause = sentence(&error);
                        tracing::warn!(stream = %self.stream, cause, left_out, "the janitor cannot delete archived messages from the stream; retrying");
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Returns the message up to which all instances have stored checkpoints; `None` if none is known, or another one
    /// purges.
    async fn checkpoint(&self) -> Result<Option<MessageKey>> {
        let own = *self.checkpoint.borrow();
        if !self.ownership.is_shared() {
            return Ok(own);
        }
        if !self.ownership.owns(0) || own.is_none() {
            return Ok(None);
        }
        if Failpoint::OwnCheckpointPurged.is_active() {
            return Ok(own);
        }
        let rows = self.store.sources(&self.stream).await?;
        Ok(Some(stored_of_all(&rows, &self.source.epochs())))
    }

    /// Deletes the messages outside the margin.
    async fn purge(&self) -> Result<Purged> {
        let Some(checkpoint) = self.checkpoint().await? else { return Ok(Purged::default()) };
        let unavailable = |error: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Unavailable, format!("the stream {} does not answer: {error}", self.stream))
        };
        let handle = self.jetstream.get_stream(&*self.stream).await.map_err(|error| unavailable(&error))?;
        let info = handle.cached_info();
        if let Some(other) = archive_id::of_another(&info.config, &self.archive) {
            return Err(archive_id::belongs_to_another(&self.stream, other, &self.archive));
        }
        let state = &info.state;
        let bytes_max = u64::try_from(info.config.max_bytes).unwrap_or(u64::MAX);
        // The limit of an existing stream is its own, not the one of the settings.
        let margin = self.margin.limited_to(bytes_max);
        let nothing = Purged { deleted: 0, is_nearly_full: margin.is_nearly_full(state.bytes, bytes_max) };
        if state.messages == 0 || checkpoint.sequence < state.first_sequence {
            return Ok(nothing);
        }
        // A forked stream uses these sequences for other messages. Purge only if the message at the
        // checkpoint is the one that was archived.
        let at_checkpoint = raw::fetch(&self.jetstream, &self.stream, checkpoint.sequence).await?;
        if at_checkpoint.is_none_or(|message| message.key != checkpoint) {
            return Ok(nothing);
        }
        let keep_by_bytes = margin.keep_from(checkpoint.sequence, state.bytes, state.messages);
        let age = i64::try_from(margin.age.as_nanos()).unwrap_or(i64::MAX);
        let kept_since: Offset = checkpoint.time.saturating_add_nanos(age.saturating_neg());
        // If the size alone requires a purge, that is enough work for now: the search by age costs
        // requests.
        let keep_by_age = if keep_by_bytes > state.first_sequence {
            keep_by_bytes
        } else {
            CurrentStream { jetstream: &self.jetstream, info }.first_later(kept_since).await?
        };
        let keep_from = keep_by_bytes.max(keep_by_age).min(checkpoint.sequence + 1);
        if keep_from <= state.first_sequence {
            return Ok(nothing);
        }
        let purged = handle.purge().sequence(keep_from).await.map_err(|error| unavailable(&error))?;
        tracing::debug!(stream = %self.stream, messages = purged.purged, from = keep_from, "deleted archived messages from the stream");
        Ok(Purged { deleted: purged.purged, ..nothing })
    }
}
