//! The janitor: takes out of the stream what the archive has, but for a margin, so that it does not fill up.
//!
//! It may have credentials of its own: the service answers requests, and is not to be able to delete anything.

use std::{sync::Arc, time::Duration};

use async_nats::{Client, jetstream};
use hourlog::{Error, ErrorKind, Offset, Result};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{
    forks::{self, Newest},
    raw,
    telemetry::Status,
};

/// How often it looks. A fast publisher fills some hundred megabytes meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(2);

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
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            tokio::select! {
                _ = look.tick() => {}
                () = shutdown.cancelled() => return,
            }
            match self.purge(&jetstream).await {
                Ok(()) => failing = false,
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        let cause = crate::telemetry::sentence(&error);
                        tracing::warn!(stream = %self.stream, cause, "the janitor cannot take archived messages out of the stream");
                    }
                }
            }
        }
    }

    async fn purge(&self, jetstream: &jetstream::Context) -> Result<()> {
        let Some(stored) = *self.status.stored.borrow() else { return Ok(()) };
        let unavailable = |error: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Unavailable, format!("the stream {} does not answer: {error}", self.stream))
        };
        let handle = jetstream.get_stream(&*self.stream).await.map_err(|error| unavailable(&error))?;
        let info = handle.cached_info();
        let state = &info.state;
        if state.messages == 0 || stored.sequence < state.first_sequence {
            return Ok(());
        }
        // A stream that has forked uses these numbers for something else: only one whose message at the stored place is
        // the one that was archived is touched.
        let at = raw::fetch(&self.client, &self.stream, stored.sequence).await?;
        if !at.is_some_and(|raw| raw.sequence == stored.sequence && raw.time == stored.time) {
            return Ok(());
        }
        let per_message = (state.bytes / state.messages).max(1);
        let by_bytes = (stored.sequence + 1).saturating_sub(self.margin.bytes / per_message);
        let age = i64::try_from(self.margin.age.as_nanos()).unwrap_or(i64::MAX);
        let kept_since: Offset = stored.time.saturating_add_nanos(age.saturating_neg());
        let by_age = if by_bytes > stored.sequence {
            by_bytes
        } else {
            forks::Stream { client: &self.client, info }.first_later(kept_since).await?
        };
        let keep_from = by_bytes.max(by_age).min(stored.sequence + 1);
        if keep_from <= state.first_sequence {
            return Ok(());
        }
        let purged = handle.purge().sequence(keep_from).await.map_err(|error| unavailable(&error))?;
        tracing::debug!(stream = %self.stream, messages = purged.purged, from = keep_from, "archived messages taken out of the stream");
        Ok(())
    }
}

/// The place that is stored, as the janitor sees it.
pub(crate) type Stored = Option<Newest>;
