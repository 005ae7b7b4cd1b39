//! The janitor: deletes archived messages from the stream, so that it does not fill up. Keeps a
//! margin of them.
//!
//! It can have its own credentials. The service answers requests, so its own user should not be
//! able to delete.

use std::{sync::Arc, time::Duration};

use async_nats::{Client, jetstream};
use hourlog::{Error, ErrorKind, Offset, Result};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{connect, forks::CurrentStream, message::MessageKey, raw};
use crate::{margin::Margin, trace::sentence};

/// Interval between purges while the checkpoint does not move.
const IDLE_INTERVAL: Duration = Duration::from_secs(30);
/// Pause between purges while the checkpoint moves.
const PAUSE: Duration = Duration::from_secs(1);
/// Pause between purges while the stream is filling up. A fast publisher writes 30 MB a second.
const PAUSE_WHILE_FULL: Duration = Duration::from_millis(100);
/// The stream counts as filling up once it holds the margin and another eighth of `max_bytes`.
const FULL_DIVISOR: u64 = 8;

/// The janitor of one stream.
#[derive(Debug)]
pub(crate) struct Janitor {
    pub(crate) client: Client,
    pub(crate) stream: Arc<str>,
    pub(crate) margin: Margin,
    /// The message at the stored checkpoint; `None` while none is known.
    pub(crate) checkpoint: watch::Receiver<Option<MessageKey>>,
}

impl Janitor {
    /// Purges the stream whenever the checkpoint moves, until `shutdown`.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let jetstream = connect::jetstream(self.client.clone());
        self.checkpoint.mark_changed();
        let mut failing = false;
        loop {
            tokio::select! {
                changed = self.checkpoint.changed() => if changed.is_err() { return },
                // Even without new messages, the margin grows too old.
                () = tokio::time::sleep(IDLE_INTERVAL) => {}
                () = shutdown.cancelled() => return,
            }
            let mut pause = PAUSE;
            match self.purge(&jetstream).await {
                Ok(is_full) => {
                    failing = false;
                    pause = if is_full { PAUSE_WHILE_FULL } else { PAUSE };
                }
                Err(error) => {
                    // Retry after the pause, even if the checkpoint does not move.
                    self.checkpoint.mark_changed();
                    if !std::mem::replace(&mut failing, true) {
                        let cause = sentence(&error);
                        tracing::warn!(stream = %self.stream, cause, "the janitor cannot delete archived messages from the stream; retrying");
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Deletes the messages outside the margin. Returns true if the stream was filling up.
    async fn purge(&self, jetstream: &jetstream::Context) -> Result<bool> {
        let Some(checkpoint) = *self.checkpoint.borrow() else { return Ok(false) };
        let unavailable = |error: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Unavailable, format!("the stream {} does not answer: {error}", self.stream))
        };
        let handle = jetstream.get_stream(&*self.stream).await.map_err(|error| unavailable(&error))?;
        let info = handle.cached_info();
        let state = &info.state;
        let bytes_max = u64::try_from(info.config.max_bytes).unwrap_or(u64::MAX);
        let is_full = state.bytes.saturating_sub(self.margin.bytes) > bytes_max / FULL_DIVISOR;
        if state.messages == 0 || checkpoint.sequence < state.first_sequence {
            return Ok(is_full);
        }
        // A forked stream uses these sequences for other messages. Purge only if the message at the
        // checkpoint is the one that was archived.
        let at_checkpoint = raw::fetch(&self.client, &self.stream, checkpoint.sequence).await?;
        if at_checkpoint.is_none_or(|message| message.key != checkpoint) {
            return Ok(is_full);
        }
        let bytes_per_message = (state.bytes / state.messages).max(1);
        let keep_by_bytes = (checkpoint.sequence + 1).saturating_sub(self.margin.bytes / bytes_per_message);
        let age = i64::try_from(self.margin.age.as_nanos()).unwrap_or(i64::MAX);
        let kept_since: Offset = checkpoint.time.saturating_add_nanos(age.saturating_neg());
        // If the size alone requires a purge, that is enough work for now: the search by age costs
        // requests.
        let keep_by_age = if keep_by_bytes > state.first_sequence {
            keep_by_bytes
        } else {
            CurrentStream { client: &self.client, info }.first_later(kept_since).await?
        };
        let keep_from = keep_by_bytes.max(keep_by_age).min(checkpoint.sequence + 1);
        if keep_from <= state.first_sequence {
            return Ok(is_full);
        }
        let purged = handle.purge().sequence(keep_from).await.map_err(|error| unavailable(&error))?;
        tracing::debug!(stream = %self.stream, messages = purged.purged, from = keep_from, "deleted archived messages from the stream");
        Ok(is_full)
    }
}
