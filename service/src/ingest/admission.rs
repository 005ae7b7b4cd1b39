//! Admission: decides which logs the messages at hand may create, before they are decoded.
//!
//! The decision about a message must be the same when it is read again, or its event would be stored
//! twice: in its log and in `_rejected`. So a message that was refused stays refused, and a log that
//! exists takes its events. A limit decides only about a message that is in neither.

use std::{collections::HashMap, sync::Arc};

use hourlog::{
    ArrivalCursor, ErrorKind, LogId, Result, Seq, header,
    read::{ArrivalQuery, End, arrivals_page},
    store::Store,
};

use super::{Ingest, IngestArgs};
use crate::{new_logs::REFUSED, stream::message::MessageKey};

/// Number of rejected events per read.
const PAGE_EVENTS: usize = 1_000;
/// Bytes of rejected events per read.
const PAGE_BYTES: usize = 8 << 20;

impl<S: Store> Ingest<S> {
    /// Decides about the logs of `messages`, given as subjects and keys.
    pub(super) async fn admit_logs<'a>(&mut self, messages: impl Iterator<Item = (&'a str, MessageKey)>) -> Result<()> {
        let admits = self.admits();
        if admits {
            self.load_refusals().await?;
        }
        let (unknown, last) = self.unknown_logs(messages);
        let archived = self.checkpoint.archived().message.sequence;
        let (mut refused, mut undecided) = (HashMap::new(), Vec::new());
        if !unknown.is_empty() {
            for (log, key, exists) in self.look_up(unknown).await? {
                let is_own = self.assignment.own.contains(log.slot());
                if exists {
                    self.args.new_logs.know(&log);
                } else if !admits {
                    undecided.push((log, key.sequence));
                } else if let Err(limit) = self.args.new_logs.admit(&log, &mut self.new_log_rate, key.time) {
                    refused.insert(log, Arc::from(limit.reason()));
                } else if !is_own {
                    self.let_in.insert(log);
                }
            }
        }
        if let Some(first) = undecided.iter().map(|(_, sequence)| *sequence).min() {
            self.wait_for_decision(last).await?;
            self.read_refusals(first.saturating_sub(1), last).await?;
            for (log, sequence) in &undecided {
                if !self.decoder.refusals().contains(*sequence) {
                    self.args.new_logs.know(log);
                }
            }
        }
        self.decoder.refusals().begin_chunk(refused, archived);
        Ok(())
    }

    /// Returns the logs of `messages` that are not known to exist, each with its first message that was
    /// not refused before: one that was says nothing about its log. Leaves those of other instances out unless this one
    /// decides about them. Returns also the last sequence of `messages`.
    fn unknown_logs<'a>(
        &mut self,
        messages: impl Iterator<Item = (&'a str, MessageKey)>,
    ) -> (HashMap<LogId, MessageKey>, u64) {
        let (mut unknown, mut last, admits) = (HashMap::new(), 0, self.admits());
        for (subject, key) in messages {
            last = last.max(key.sequence);
            let is_own = self.part(subject, key.sequence).writes;
            let unseen = match (is_own, admits) {
                (true, _) => self.decoder.unseen(subject),
                (false, true) => self.decoder.unseen_elsewhere(subject),
                (false, false) => None,
            };
            let Some(log) = unseen else { continue };
            let IngestArgs { sources, source, new_logs, .. } = &self.args;
            let is_other = sources.owner(&log).is_some_and(|owner| !Arc::ptr_eq(owner, source));
            if is_other || log.is_system() || unknown.contains_key(&log) {
                continue;
            }
            if new_logs.knows(&log) {
                if !is_own {
                    self.decoder.exists_elsewhere(subject);
                }
            } else if !self.decoder.refusals().contains(key.sequence) {
                unknown.insert(log, key);
            }
        }
        (unknown, last)
    }

    /// Looks up which of these logs exist, in the order of their first messages.
    async fn look_up(&self, unknown: HashMap<LogId, MessageKey>) -> Result<Vec<(LogId, MessageKey, bool)>> {
        let store = &self.args.store;
        let (logs, keys): (Vec<LogId>, Vec<MessageKey>) = unknown.into_iter().unzip();
        let rows = store.look_up(&logs).await?;
        let found = logs.into_iter().zip(keys).zip(rows).map(|((log, key), (row, deleted_to))| {
            // A log that was deleted was let in before, and is again: so all instances decide the same, whatever they
            // remember.
            let exists = row.is_some() || deleted_to > Seq::MIN;
            (log, key, exists)
        });
        let mut found: Vec<_> = found.collect();
        found.sort_unstable_by_key(|(_, key, _)| key.sequence);
        Ok(found)
    }

    /// Reads which of the messages that are read again were refused before, once after each restart of
    /// the ingest.
    async fn load_refusals(&mut self) -> Result<()> {
        let generation = self.checkpoint.generation();
        if self.refusals_of == Some(generation) {
            return Ok(());
        }
        // Up to the end: right after a fork, no head tells how far the messages were handed out.
        self.read_refusals(self.checkpoint.taken().message.sequence, u64::MAX).await?;
        self.refusals_of = Some(generation);
        Ok(())
    }

    /// Reads which of the messages after `after` up to `last` were refused. All of them come after those that were
    /// taken.
    async fn read_refusals(&mut self, after: u64, last: u64) -> Result<()> {
        let log = self.args.source.rejected_log.clone();
        // A rejected event comes after `max_time`, or is listed in its bucket.
        let epochs = self.decoder.epochs();
        let after = ArrivalCursor { time: self.checkpoint.taken().max_time, seq: epochs.seq(log.slot(), after) };
        let to = if last == u64::MAX { Seq::MAX } else { epochs.seq(log.slot(), last) };
        let mut query = ArrivalQuery { after, limit: PAGE_EVENTS, bytes: PAGE_BYTES };
        loop {
            let page = match arrivals_page(&self.args.store, &log, &query, to).await {
                Err(error) if error.kind() == ErrorKind::NotFound => break,
                page => page?,
            };
            for event in &page.events {
                let seq = event.position.seq;
                // A fork may have given the sequence to another message.
                let is_current = self.decoder.epochs().seq(log.slot(), seq.sequence()) == seq;
                let reason = event.record.metadata.get(header::REJECTED).first();
                if let Some(reason) = reason.filter(|reason| is_current && reason.starts_with(REFUSED)) {
                    self.decoder.refusals().add(seq.sequence(), Arc::from(reason.as_str()));
                }
            }
            query.after = page.next;
            if page.end != End::More {
                break;
            }
        }
        Ok(())
    }
}
