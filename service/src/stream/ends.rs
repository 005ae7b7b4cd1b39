//! A stream in its present state on the server: its ends, and the messages between them.

use async_nats::jetstream::{Context, stream::Info};
use hourlog::{Offset, Result};

use super::{
    forks::StreamEnds,
    raw::{self, RawMessage},
};

/// The stream in its current state on the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CurrentStream<'a> {
    pub(crate) jetstream: &'a Context,
    pub(crate) info: &'a Info,
}

/// Returns the time at which a stream was created.
pub(crate) fn created(info: &Info) -> Offset {
    i64::try_from(info.created.unix_timestamp_nanos()).map_or(Offset::MIN, Offset::from_nanos)
}

impl CurrentStream<'_> {
    pub(crate) fn ends(&self) -> StreamEnds {
        let state = &self.info.state;
        StreamEnds {
            created: self.info.created.unix_timestamp_nanos(),
            first: state.first_sequence.max(1),
            last: state.last_sequence,
        }
    }

    /// Returns the first message at or after `sequence`, if there is one.
    ///
    /// # Errors
    /// The error of JetStream.
    pub(crate) async fn first_from(&self, sequence: u64) -> Result<Option<RawMessage>> {
        raw::fetch(self.jetstream, &self.info.config.name, sequence).await
    }

    /// Returns the sequence of the first message later than `time`, by binary search. If there is
    /// none, returns the sequence after the last message.
    ///
    /// # Errors
    /// The error of JetStream.
    pub(crate) async fn first_later(&self, time: Offset) -> Result<u64> {
        let StreamEnds { first, last, .. } = self.ends();
        let (mut low, mut high) = (first, last + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.first_from(middle).await?.map(|message| message.key) {
                Some(key) if key.sequence < high && key.time <= time => low = key.sequence + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }
}
