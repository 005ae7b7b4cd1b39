//! An ingest among those of other instances, which read the same stream and write other slots.
//!
//! Each passes over what it does not write. Two decisions belong to one instance each, and the others wait for it: the
//! owner of the log of rejected events decides which new logs are let in, and the owner of slot 0 begins epochs.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_nats::HeaderMap;
use bytes::Bytes;
use hourlog::{
    Error, ErrorKind, LogId, Result,
    store::{LogRow, Store, Widths, Write},
};

use super::{
    Ingest, IngestArgs,
    checkpoint::{Progress, stored_ends},
};
use crate::{
    losses::Losses,
    ownership::{Owner, SlotSet},
    peers::{ArchivedRequest, Peers},
    stream::{
        decode::Decoder,
        epochs::Epochs,
        message::{Message, MessageKey},
    },
};

/// Longest wait for the owner of the log of rejected events. After that, reading begins again.
const DECISION_MAX: Duration = Duration::from_secs(2);

/// The part of this instance in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// It writes the log.
    pub(super) writes: bool,
    /// It writes the event if it is rejected.
    pub(super) rejects: bool,
    /// It counts the message in a receipt.
    pub(super) counts: bool,
}

impl<S: Store> Ingest<S> {
    /// Returns true if this instance decides which new logs of this source are let in.
    pub(super) fn admits(&self) -> bool {
        self.assignment.own.contains(self.args.source.rejected_log.slot())
    }

    /// Returns true if this instance begins epochs, and keeps the list of losses.
    pub(super) fn leads(&self) -> bool {
        self.assignment.own.contains(0)
    }

    /// Returns true if this instance stores receipts: alone, it has counted all messages.
    pub(super) fn keeps_receipts(&self) -> bool {
        self.assignment.others.is_empty()
    }

    /// Returns the part of this instance in the message `sequence`.
    pub(super) fn part(&mut self, subject: &str, sequence: u64) -> Part {
        if !self.args.ownership.is_shared() {
            return Part { writes: true, rejects: true, counts: true };
        }
        let slot = self.decoder.slot(subject);
        let writes = slot.is_some_and(|slot| self.checkpoint.wants(slot, sequence));
        let rejects = self.checkpoint.wants(self.args.source.rejected_log.slot(), sequence);
        let (slots, counted_to) = self.receipts_leave_out;
        let is_left_out = sequence <= counted_to && slot.is_none_or(|slot| slots.contains(slot));
        // A subject that names no log is counted where it is rejected.
        Part { writes, rejects, counts: (writes || (slot.is_none() && rejects)) && !is_left_out }
    }

    /// Leaves the messages of `counted` slots up to `counted_to` out of receipts: another instance has counted them.
    pub(super) fn leave_out_of_receipts(&mut self, counted: SlotSet, counted_to: u64) {
        if !counted.is_empty() {
            let (slots, before) = self.receipts_leave_out;
            self.receipts_leave_out = (slots.union(counted), before.max(counted_to));
        }
    }

    /// Returns true if the message may be rejected, so that it must be decoded although another instance writes its
    /// log.
    pub(super) fn may_reject(&mut self, subject: &str, headers: Option<&HeaderMap>, payload: &Bytes) -> bool {
        self.decoder.slot(subject).is_none()
            || headers.is_some_and(|headers| !headers.is_empty())
            || payload.first() == Some(&b'{')
            || self.decoder.may_refuse()
    }

    /// Tells the other instances how far this one is stored, so that they can read up to there.
    pub(super) fn tell_stored(&self) {
        let stored = self.checkpoint.stored().message.sequence;
        self.args.ownership.stored(self.name(), self.decoder.epochs().seq(0, stored));
    }

    /// Takes the epochs that another instance has begun, and the newest messages that others have handed out.
    pub(super) async fn learn(&mut self) -> Result<()> {
        let are_alone = self.assignment.others.is_empty();
        if !self.args.ownership.is_shared() || (self.knows_epochs && are_alone && self.marks_compared) {
            return Ok(());
        }
        let IngestArgs { store, source, sources, .. } = &self.args;
        let stored = Epochs::read(store, source.stream()).await?;
        let begun = stored.begun_since(self.decoder.epochs());
        // The owner of slot 0 keeps the list. One that has just started may not know what the one before has recorded.
        if !self.leads() || !self.marks_compared || begun.is_some() {
            source.health.restore_losses(Losses::load(store, source.stream()).await?);
        }
        let rows = store.sources(source.stream()).await?;
        if let Some(from) = begun {
            tracing::info!(stream = %source.stream(), from, "another instance has begun an epoch");
            let (source, sources) = (Arc::clone(source), Arc::clone(sources));
            self.drain_in_flight().await?;
            source.health.archived.send_modify(|archived| *archived = (*archived).min(from - 1));
            source.health.slots.limit(from - 1);
            source.epochs.send_replace(Arc::new(stored));
            self.decoder = Decoder::new(&source, &sources);
            self.checkpoint.fork(from);
            source.health.limit_catch_up(from - 1);
        }
        self.checkpoint.learn_heads(&rows, self.decoder.epochs());
        self.knows_epochs = are_alone;
        Ok(())
    }

    /// Returns the least and the greatest progress that is stored for a slot, of all instances.
    pub(super) async fn stored_ends(&self) -> Result<(Progress, Progress)> {
        let IngestArgs { store, source, .. } = &self.args;
        let rows = store.sources(source.stream()).await?;
        Ok(stored_ends(&rows, &source.epochs()))
    }

    /// Returns the reason why an epoch cannot begin here yet, given what has happened to the stream; `None` if it can.
    pub(super) fn epoch_waits_for(&self, happened: &str) -> Option<Error> {
        let (ownership, name) = (&self.args.ownership, self.name());
        let is_up_to_this_one =
            self.assignment.others.is_empty() || (self.leads() && ownership.others_have_paused(name));
        if self.assignment.is_live() && is_up_to_this_one {
            return None;
        }
        let context = if !self.assignment.is_live() {
            format!("the stream {name} {happened}; an epoch begins once the service has started")
        } else if self.leads() {
            format!("the stream {name} {happened}; an epoch begins once all instances have stopped reading")
        } else {
            format!("the stream {name} {happened}; another instance begins an epoch")
        };
        Some(Error::new(ErrorKind::Unavailable, context))
    }

    /// Waits until the owner of the log of rejected events has decided about all messages up to `sequence`.
    pub(super) async fn wait_for_decision(&self, sequence: u64) -> Result<()> {
        let IngestArgs { source, client, ownership, settings, .. } = &self.args;
        let unknown = || Error::new(ErrorKind::Unavailable, "no instance decides about new logs at the moment");
        let Owner::Other(owner) = ownership.owner(source.rejected_log.slot()) else { return Err(unknown()) };
        let request = ArchivedRequest { stream: source.stream().to_string(), sequence };
        Peers::new(client, &settings.prefix).ask(&owner, &request, DECISION_MAX).await
    }

    /// Creates the logs of other instances that were let in with the messages at hand, so that the decision stays when
    /// this instance dies. `messages` are those at hand, without those that cannot be parsed.
    pub(super) async fn create_let_in<'m>(
        &mut self,
        messages: impl Iterator<Item = (&'m str, Option<&'m HeaderMap>, &'m Bytes, MessageKey)>,
    ) -> Result<()> {
        let mut let_in = std::mem::take(&mut self.let_in);
        if let_in.is_empty() {
            return Ok(());
        }
        let mut created = HashMap::new();
        for (subject, headers, payload, key) in messages {
            let Some(log) = self.args.source.mapping.log(subject).ok().filter(|log| let_in.contains(log)) else {
                continue;
            };
            let message = Message { subject, headers, payload: payload.clone(), key };
            if self.decoder.decode(message, self.checkpoint.max_time_with(key.time)).rejected.is_none() {
                let_in.remove(&log);
                created.insert(log, key.time);
            }
        }
        let row = |(log, time): (LogId, _)| {
            let width = self.args.settings.rules.width_of_new(&log);
            Write::Log(log, LogRow::new(time, Widths::new(width)))
        };
        self.args.store.write(created.into_iter().map(row).collect()).await
    }
}
