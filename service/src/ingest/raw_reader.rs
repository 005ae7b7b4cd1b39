//! Reads messages raw, one by one, while the client cannot be trusted with them. Slower than a
//! consumer, but nothing breaks it.

use std::time::Duration;

use async_nats::jetstream::{self, stream::Stream};
use hourlog::Result;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use crate::stream::raw::{self, RawMessage};

/// Pause at the end of the stream. An append waits for up to this.
const POLL_INTERVAL: Duration = Duration::from_millis(25);
/// Number of messages requested at the same time, at most.
const MESSAGES_MAX: usize = 64;
/// Bytes requested at the same time, if messages are as large as the largest of those before.
const BYTES_MAX: usize = 4 << 20;

/// A reader of one stream.
#[derive(Debug)]
pub(super) struct RawReader {
    jetstream: jetstream::Context,
    handle: Stream,
    /// The messages that are being fetched. A task of its own fetches them, so that nothing is asked
    /// twice when the ingest turns to something else.
    fetching: Option<AbortOnDropHandle<Result<Vec<RawMessage>>>>,
    /// Number of messages to request next.
    count: usize,
    pause: Duration,
}

impl RawReader {
    pub(super) fn new(jetstream: jetstream::Context, handle: Stream) -> Self {
        Self { jetstream, handle, fetching: None, count: 1, pause: Duration::ZERO }
    }

    pub(super) fn handle(&self) -> &Stream {
        &self.handle
    }

    /// Returns the messages from `next` on that are there, at least one sequence's worth; none at the
    /// end of the stream. Some of them may be older than `next`, if it has moved since.
    ///
    /// # Errors
    /// As [`raw::fetch`].
    pub(super) async fn next_batch(&mut self, next: u64) -> Result<Vec<RawMessage>> {
        let (jetstream, stream) = (&self.jetstream, &self.handle.cached_info().config.name);
        let (count, pause) = (self.count, self.pause);
        let fetching = self.fetching.get_or_insert_with(|| {
            let (jetstream, stream) = (jetstream.clone(), stream.clone());
            AbortOnDropHandle::new(tokio::spawn(async move {
                sleep(pause).await;
                raw::fetch_many(&jetstream, &stream, next, count).await
            }))
        });
        let fetched = fetching.await;
        self.fetching = None;
        let batch = fetched.expect("fetching does not panic, and is aborted only when it is dropped")?;
        self.pause = if batch.is_empty() { POLL_INTERVAL } else { Duration::ZERO };
        self.count = next_count(self.count, &batch);
        Ok(batch)
    }
}

/// Returns the number of messages to request after `batch`, for which `count` were requested.
fn next_count(count: usize, batch: &[RawMessage]) -> usize {
    match batch.iter().map(RawMessage::bytes).max() {
        None => 1,
        Some(largest) => (count * 2).min(MESSAGES_MAX).min(BYTES_MAX / largest.max(1)).max(1),
    }
}
