//! The janitor: takes out of the stream what the archive has, but for a margin, so that it does not fill up.
//!
//! It may have credentials of its own: the service answers requests, and is not to be able to delete anything.

use std::{sync::Arc, time::Duration};

use async_nats::{Client, jetstream};
use hourlog::{Error, ErrorKind, Offset, Result};
use tokio_util::sync::CancellationToken;

use crate::{
    forks::{self, Newest},
    raw,
    telemetry::Status,
};

/// How often it looks while nothing is archived.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// The pause after a look, while the place in the archive moves.
const PAUSE: Duration = Duration::from_secs(1);
/// The pause while more than a part of the stream is filled beyond what is to stay in it: a fast publisher fills 30 MB a second.
const PAUSE_WHILE_FULL: Duration = Duration::from_millis(100);
/// That part: one in so many.
const FULL_PART: u64 = 8;

/// How much of what is archived stays in the stream nevertheless, to be read again by an archive that lost its newest part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Margin {
    /// What is not older than this stays,
    pub age: Duration,
    /// but no more than so many bytes of it.
    pub bytes: u64,
}

impl Default for Margin {
    fn default() -> Self {
        Self { age: Duration::from_secs(3600), bytes: 256 << 20 }
    }
}

/// What the janitor needs.
#[derive(Debug)]
pub(crate) struct Janitor {
    pub(crate) client: Client,
    pub(crate) stream: Arc<str>,
    pub(crate) margin: Margin,
    pub(crate) status: Arc<Status>,
}

impl Janitor {
    /// Looks after the stream until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut jetstream = jetstream::new(self.client.clone());
        jetstream.set_timeout(crate::JETSTREAM_REQUEST_MAX);
        let mut stored = self.status.stored.subscribe();
        stored.mark_changed();
        let mut failing = false;
        loop {
            tokio::select! {
                changed = stored.changed() => if changed.is_err() { return },
                // What stays grows old.
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = shutdown.cancelled() => return,
            }
            let mut pause = PAUSE;
            match self.purge(&jetstream).await {
                Ok(full) => {
                    failing = false;
                    pause = if full { PAUSE_WHILE_FULL } else { PAUSE };
                }
                Err(error) => {
                    // It is not to be forgotten.
                    stored.mark_changed();
                    if !std::mem::replace(&mut failing, true) {
                        let cause = crate::telemetry::sentence(&error);
                        tracing::warn!(stream = %self.stream, cause, "the janitor cannot take archived messages out of the stream");
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Answers whether much of the stream was filled.
    async fn purge(&self, jetstream: &jetstream::Context) -> Result<bool> {
        let Some(stored) = *self.status.stored.borrow() else { return Ok(false) };
        let unavailable = |error: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Unavailable, format!("the stream {} does not answer: {error}", self.stream))
        };
        let handle = jetstream.get_stream(&*self.stream).await.map_err(|error| unavailable(&error))?;
        let info = handle.cached_info();
        let state = &info.state;
        let bytes_max = u64::try_from(info.config.max_bytes).unwrap_or(u64::MAX);
        let full = state.bytes.saturating_sub(self.margin.bytes) > bytes_max / FULL_PART;
        if state.messages == 0 || stored.sequence < state.first_sequence {
            return Ok(full);
        }
        // A stream that has forked uses these numbers for something else: only one whose message at the stored place is
        // the one that was archived is touched.
        let at = raw::fetch(&self.client, &self.stream, stored.sequence).await?;
        if !at.is_some_and(|raw| raw.sequence == stored.sequence && raw.time == stored.time) {
            return Ok(full);
        }
        let per_message = (state.bytes / state.messages).max(1);
        let by_bytes = (stored.sequence + 1).saturating_sub(self.margin.bytes / per_message);
        let age = i64::try_from(self.margin.age.as_nanos()).unwrap_or(i64::MAX);
        let kept_since: Offset = stored.time.saturating_add_nanos(age.saturating_neg());
        // What has to go by its bytes alone is enough to do for now.
        let by_age = if by_bytes > state.first_sequence {
            by_bytes
        } else {
            forks::Stream { client: &self.client, info }.first_later(kept_since).await?
        };
        let keep_from = by_bytes.max(by_age).min(stored.sequence + 1);
        if keep_from <= state.first_sequence {
            return Ok(full);
        }
        let purged = handle.purge().sequence(keep_from).await.map_err(|error| unavailable(&error))?;
        tracing::debug!(stream = %self.stream, messages = purged.purged, from = keep_from, "archived messages taken out of the stream");
        Ok(full)
    }
}

/// The place that is stored, as the janitor sees it.
pub(crate) type Stored = Option<Newest>;
