//! The ages of a stream's messages: each is fetched, decoded, and looked up in the archive.

use std::sync::Arc;

use hourlog::{LogId, Position, Result, failpoint::Failpoint, store::Store};

use super::{
    decode::{Decoded, Decoder},
    ends::CurrentStream,
    forks::{Age, AgedMessages, ArchiveOfMessage, ReadSoFar},
    message::MessageKey,
};
use crate::sources::{Source, Sources};

/// The messages of a stream, compared with the archive.
pub(crate) struct ComparedMessages<'a, S> {
    pub(crate) stream: CurrentStream<'a>,
    pub(crate) store: &'a S,
    pub(crate) source: &'a Arc<Source>,
    pub(crate) sources: &'a Sources,
    /// Not the one that decodes what is read: that one remembers what it has decoded.
    pub(crate) decoder: Decoder,
    pub(crate) read: ReadSoFar,
}

impl<S: Store> AgedMessages for ComparedMessages<'_, S> {
    async fn first_from(&mut self, sequence: u64) -> Result<Option<(u64, Age)>> {
        let Some(raw) = self.stream.first_from(sequence).await? else { return Ok(None) };
        if Failpoint::AgeByTime.is_active() {
            let age = if raw.key.time <= self.read.max_time { Age::Old } else { Age::New };
            return Ok(Some((raw.key.sequence, age)));
        }
        // The rejection of an event depends on the source of its log.
        if let Some(log) = self.decoder.unclaimed(raw.subject()) {
            self.sources.claim(self.store, vec![log], self.source).await?;
        }
        let decoded = self.decoder.decode_raw(&raw, self.read.max_time.max(raw.key.time));
        let rejected_log = &self.source.rejected_log;
        let seq = self.decoder.epochs().seq(rejected_log.slot(), raw.key.sequence);
        let as_rejected = Position { offset: raw.key.time, seq };
        let mut event = StoredEvent { store: self.store, key: raw.key, decoded: &decoded, rejected_log, as_rejected };
        let age = self.read.age(raw.key, &mut event).await?;
        Ok(Some((raw.key.sequence, age)))
    }
}

/// The event of one message in the archive.
struct StoredEvent<'a, S> {
    store: &'a S,
    key: MessageKey,
    decoded: &'a Decoded,
    rejected_log: &'a LogId,
    /// Its position if it was rejected.
    as_rejected: Position,
}

impl<S: Store> StoredEvent<'_, S> {
    /// Returns true if `log` holds an event at `position` that arrived at the message's time.
    async fn is_at(&self, log: &LogId, position: Position) -> Result<bool> {
        let found = self.store.event(log, position).await?;
        // An event with a time of its own has the same key in two lives of a stream.
        Ok(found.is_some_and(|event| event.arrival_time() == self.key.time))
    }

    /// Returns true if an event of `log` at `position` would have been removed.
    async fn may_be_removed_from(&self, log: &LogId, Position { offset, seq }: Position) -> Result<bool> {
        if seq <= self.store.deleted_to(log).await? {
            return Ok(true);
        }
        let removed = self.store.log(log).await?.and_then(|row| row.removed);
        Ok(removed.is_some_and(|removed| offset < removed.to && seq <= removed.seq))
    }
}

impl<S: Store> ArchiveOfMessage for StoredEvent<'_, S> {
    async fn holds(&mut self) -> Result<bool> {
        let event = &self.decoded.row.event;
        // Mappings and sources may have changed since it was read.
        Ok(self.is_at(&event.log, event.position).await? || self.is_at(self.rejected_log, self.as_rejected).await?)
    }

    async fn may_have_removed(&mut self) -> Result<bool> {
        let event = &self.decoded.row.event;
        Ok(self.may_be_removed_from(&event.log, event.position).await?
            || self.may_be_removed_from(self.rejected_log, self.as_rejected).await?)
    }

    fn may_have_skipped(&self) -> bool {
        self.decoded.once.is_some()
    }
}
