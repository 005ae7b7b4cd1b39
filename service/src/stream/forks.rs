//! Detects forks: a stream that was recreated, or lost its newest messages, uses sequences again.
//!
//! Sequences alone cannot show a fork, so messages are compared by sequence and time. If the stream
//! no longer has the head (the newest message handed out), it has forked. Everything from its first
//! unseen message on then belongs to a new epoch, so that none of those messages is mistaken for an
//! archived one.

use async_nats::jetstream::{Context, stream::Info};
use hourlog::{LogId, Offset, Result, store::Store};

use super::{
    decode::Decoder,
    message::MessageKey,
    raw::{self, RawMessage},
};

/// The stream in its current state on the server.
#[derive(Debug)]
pub(crate) struct CurrentStream<'a> {
    pub(crate) jetstream: &'a Context,
    pub(crate) info: &'a Info,
}

impl CurrentStream<'_> {
    /// Returns the first sequence of the stream's new epoch; `None` if the stream has not forked
    /// since `head`. The archive holds the messages before the fork up to sequence `archived`.
    ///
    /// # Errors
    /// The error of JetStream or of the store.
    pub(crate) async fn find_fork<S: Store>(
        &self,
        store: &S,
        decoder: &mut Decoder,
        head: MessageKey,
        archived: u64,
    ) -> Result<Option<u64>> {
        let state = &self.info.state;
        let at_head = self.first_from(head.sequence).await?;
        if at_head.as_ref().is_some_and(|message| message.key == head) {
            return Ok(None);
        }
        let recreated = self.info.created.unix_timestamp_nanos() > i128::from(head.time.nanos());
        let purged = state.last_sequence >= head.sequence
            && at_head.as_ref().is_none_or(|message| message.key.sequence > head.sequence);
        if purged && !recreated {
            return Ok(None);
        }
        let mut fork = self.first_later(head.time).await?;
        // If a clock was set back, the new messages are not later than the old ones. The archive
        // still lacks them.
        while let Some(before) =
            fork.checked_sub(1).filter(|before| *before >= state.first_sequence.max(1) && *before <= archived)
        {
            match self.first_from(before).await? {
                Some(message) if message.key.sequence == before && !is_archived(store, decoder, &message).await? => {
                    fork = before;
                }
                _ => break,
            }
        }
        Ok(Some(fork))
    }

    /// Returns the sequence of the first message later than `time`, by binary search. If there is
    /// none, returns the sequence after the last message.
    pub(crate) async fn first_later(&self, time: Offset) -> Result<u64> {
        let state = &self.info.state;
        let (mut low, mut high) = (state.first_sequence.max(1), state.last_sequence + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.first_from(middle).await?.map(|message| message.key) {
                Some(key) if key.sequence < high && key.time <= time => low = key.sequence + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    async fn first_from(&self, sequence: u64) -> Result<Option<RawMessage>> {
        raw::fetch(self.jetstream, &self.info.config.name, sequence).await
    }
}

/// Returns true if the archive holds the message under the position that it had before the fork.
async fn is_archived<S: Store>(store: &S, decoder: &mut Decoder, message: &RawMessage) -> Result<bool> {
    let event = decoder.decode_raw(message, message.key.time).row.event;
    let log: &LogId = &event.log;
    Ok(store.event(log, event.position).await?.is_some())
}
