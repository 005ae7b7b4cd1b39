//! Forks: a stream that lost its tail, or was made anew, uses sequences again. Messages are compared, not numbers.
//!
//! A message is known by its sequence and its time. Where the newest message that was handed out is not the stream's any more,
//! everything from the first message that was not seen before belongs to a new life of the stream: it gets a new epoch, and
//! nothing of it is passed over.

use async_nats::{Client, jetstream::stream::Info};
use hourlog::{LogId, Offset, Result, Store};

use crate::{
    ingest::Decoder,
    raw::{self, Raw},
};

/// The newest message that was handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Newest {
    pub(crate) sequence: u64,
    pub(crate) time: Offset,
}

/// The stream as the server has it.
#[derive(Debug)]
pub(crate) struct Stream<'a> {
    pub(crate) client: &'a Client,
    pub(crate) info: &'a Info,
}

impl Stream<'_> {
    /// The first sequence of the stream's new life; `None` where it is the life that `newest` is of. `archived` is the sequence up
    /// to which the archive holds the old one.
    ///
    /// # Errors
    /// What JetStream, or the store, answers.
    pub(crate) async fn fork<S: Store>(
        &self,
        store: &S,
        decoder: &mut Decoder,
        newest: Newest,
        archived: u64,
    ) -> Result<Option<u64>> {
        let state = &self.info.state;
        let at_newest = self.first_from(newest.sequence).await?;
        if at_newest.as_ref().is_some_and(|raw| raw.sequence == newest.sequence && raw.time == newest.time) {
            return Ok(None);
        }
        let made_since = self.info.created.unix_timestamp_nanos() > i128::from(newest.time.nanos());
        let purged = state.last_sequence >= newest.sequence
            && at_newest.as_ref().is_none_or(|raw| raw.sequence > newest.sequence);
        if purged && !made_since {
            return Ok(None);
        }
        let mut fork = self.first_later(newest.time).await?;
        // Where a clock was set back, new messages are not later than old ones: but the archive does not hold them.
        while let Some(before) =
            fork.checked_sub(1).filter(|before| *before >= state.first_sequence.max(1) && *before <= archived)
        {
            match self.first_from(before).await? {
                Some(raw) if raw.sequence == before && !held(store, decoder, &raw).await? => fork = before,
                _ => break,
            }
        }
        Ok(Some(fork))
    }

    /// The first message that is later than `time`, by halves; behind the last where there is none.
    pub(crate) async fn first_later(&self, time: Offset) -> Result<u64> {
        let state = &self.info.state;
        let (mut low, mut high) = (state.first_sequence.max(1), state.last_sequence + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.first_from(middle).await? {
                Some(raw) if raw.sequence < high && raw.time <= time => low = raw.sequence + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    async fn first_from(&self, sequence: u64) -> Result<Option<Raw>> {
        raw::fetch(self.client, &self.info.config.name, sequence).await
    }
}

/// Whether the archive holds the message under the key that it had in the stream's life so far.
async fn held<S: Store>(store: &S, decoder: &mut Decoder, raw: &Raw) -> Result<bool> {
    let event = decoder.decode_raw(raw, raw.time).row.event;
    let log: &LogId = &event.log;
    Ok(store.event(log, event.position).await?.is_some())
}
