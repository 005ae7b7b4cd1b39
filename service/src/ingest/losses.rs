//! Losses: what is gone for good is found, recorded in the archive, and only then passed over.

use std::{ops::RangeInclusive, sync::Arc};

use async_nats::jetstream;
use hourlog::{
    Error, Offset, Result,
    failpoint::Failpoint,
    store::{SLOTS, Store, reset_checkpoints},
};

use super::{Ingest, IngestArgs, checkpoint::Progress};
use crate::{
    losses::{self, Fork, Missing, SetBack},
    stream::{
        decode::Decoder,
        ends::created,
        marks::{Gap, Marks},
        message::MessageKey,
    },
};

/// The outcome of comparing the ends of archive and stream.
pub(super) enum MarksCompared {
    /// They fit, or what is gone was recorded.
    Settled,
    /// They do not fit, and another instance must act first.
    Await(Error),
}

impl<S: Store> Ingest<S> {
    /// Compares the end of the archive with the beginning of the stream, once after the start. If
    /// messages between them are gone, records them and begins a new epoch, so that no reader of
    /// what the archive has lost is ahead of what comes.
    ///
    /// With several instances, each that sees such a gap at its start waits until one of them has done so. If some slots
    /// are stored beyond the gap, the archive was not set back: somebody has purged what an instance had not archived when
    /// it ended. That is reported as removed, in the same epoch.
    ///
    /// An existing stream has limits of its own, so such a gap is normal after a time without the
    /// service. Its messages keep their seqs, and no epoch is needed.
    ///
    /// An archive that was repaired is read again from the stream's first message. The stream lacks what was archived
    /// before the repair, and the archive has it.
    pub(super) async fn compare_marks(&mut self, handle: &jetstream::stream::Stream) -> Result<MarksCompared> {
        let (source, stream) = (Arc::clone(&self.args.source), &self.args.stream);
        let archived = self.checkpoint.taken().message.sequence;
        if !source.health.is_wal || Failpoint::SetBackUnseen.is_active() {
            return Ok(MarksCompared::Settled);
        }
        let known = if archived == 0 { self.archived_before_reset().await? } else { archived };
        if known == 0 && stream.may_begin_later() {
            return Ok(MarksCompared::Settled);
        }
        let info = handle.cached_info();
        let created = created(info);
        let passed = |archived| source.health.with_losses(|losses| losses.passed(&source.epochs(), archived));
        let passed_before = passed(known);
        let state = &info.state;
        let first = if state.messages == 0 { state.last_sequence + 1 } else { state.first_sequence };
        // What the stream still has is read again after a reset.
        let unreadable = passed_before.min(first.saturating_sub(1));
        if unreadable > archived {
            self.pass_over(unreadable, created);
        }
        let head = self.checkpoint.head().map_or(0, |head| head.sequence);
        let marks = Marks { archived: passed_before, head, first };
        let Some(gap) = marks.gap() else { return Ok(MarksCompared::Settled) };
        // Of one instance, all slots are stored alike.
        let own = self.checkpoint.archived();
        let (least, furthest) = if S::IS_SHARED { self.stored_ends().await? } else { (own, own) };
        let is_set_back = furthest.message.sequence < gap.to;
        if is_set_back && let Some(reason) = self.epoch_waits_for("begins after what is archived") {
            return Ok(MarksCompared::Await(reason));
        }
        // A record is for the slots of all instances.
        let checkpoint = if is_set_back { least } else { own };
        let archived = marks.archived.min(passed(checkpoint.message.sequence));
        let gap = Marks { archived, ..marks }.gap().unwrap_or(gap);
        let uncertain = self.missing(gap.from..=gap.uncertain_to, checkpoint.max_time).await?;
        let certain = Missing::all(gap.uncertain_to + 1, gap.to);
        match uncertain.map(|uncertain| uncertain.and(certain)).or(certain) {
            Some(missing) if is_set_back => self.begin_epoch_after(gap, checkpoint, missing, created).await?,
            // The check for removed messages reports them.
            Some(_) => {}
            // Somebody has purged what was archived, and the service was killed before it had stored
            // a checkpoint.
            None => self.pass_over(gap.to, created),
        }
        Ok(MarksCompared::Settled)
    }

    /// Returns the sequence up to which everything was archived before the checkpoint was reset; 0 if it was not.
    async fn archived_before_reset(&self) -> Result<u64> {
        let IngestArgs { store, source, .. } = &self.args;
        let (reset, epochs) = (reset_checkpoints(store, source.stream()).await?, source.epochs());
        Ok(reset.into_iter().map(|(slot, seq)| epochs.sequence(slot, seq)).min().unwrap_or(0))
    }

    /// Records that `missing` is in neither the archive nor the stream, and begins a new epoch.
    async fn begin_epoch_after(
        &mut self,
        gap: Gap,
        checkpoint: Progress,
        missing: Missing,
        created: Offset,
    ) -> Result<()> {
        self.knows_epochs = false;
        let IngestArgs { source, sources, store, settings, .. } = &self.args;
        let (stream, now) = (source.stream(), (settings.clock)());
        let epochs = source.epochs().leap(store, stream, gap.epoch_from, now).await?;
        let set_back = SetBack {
            at: now,
            missing,
            checkpoint: checkpoint.message.sequence,
            held_to: gap.held_to,
            epoch_after: gap.epoch_from - 1,
            passed: gap.to,
            max_time: checkpoint.max_time,
            epochs: (0..SLOTS).map(|slot| epochs.newest(slot)).collect(),
        };
        tracing::error!(
            %stream, first = missing.first, last = missing.last, messages = missing.messages,
            "{}; from message {} on, events are new to every reader", set_back.sentence(), gap.epoch_from
        );
        source.health.set_back(set_back);
        source.health.save_losses(store).await?;
        source.epochs.send_replace(Arc::new(epochs));
        self.decoder = Decoder::new(source, sources);
        self.checkpoint.fork(gap.epoch_from);
        self.pass_over(gap.to, created);
        Ok(())
    }

    /// Passes over everything up to `sequence`, which nobody can read any more, before the first
    /// message is taken. The stream was created at `created`.
    fn pass_over(&mut self, sequence: u64, created: Offset) {
        let taken = self.checkpoint.taken().message;
        // Not reported as removed, should reading begin before it again.
        self.gaps.settle((taken.sequence + 1, sequence));
        // An earlier time would look as if the stream had been recreated since.
        let time = taken.time.max(created);
        self.checkpoint.take(MessageKey { sequence, time });
        self.checkpoint.hand_out();
        self.checkpoint.mark_oldest_chunk_archived();
        self.source().archived_to(MessageKey { sequence, time });
    }

    /// Records a fork of the stream, which was read up to `read_to` and uses its sequences again from
    /// `from` on. To be called once nothing is in flight, and before the new epoch
    /// begins.
    pub(super) async fn record_fork(&self, from: u64, read_to: u64, now: Offset) -> Result<()> {
        let archived = self.checkpoint.archived().message.sequence;
        // Right after a kill, the archive may hold more than its checkpoint says.
        let since = self.checkpoint.archived().max_time;
        let missing = self.missing(from.max(archived + 1)..=read_to, since).await?;
        let lost = (read_to >= from).then_some((from, read_to));
        let fork = Fork { at: now, from, lost, missing };
        tracing::error!(
            stream = self.name(),
            from,
            lost = fork.lost_range(),
            missing = fork.missing_range(),
            "the stream has forked: it was recreated, or has lost its newest messages; from here on its messages are new, and are archived as new events"
        );
        let health = self.source();
        health.forked(fork);
        health.save_losses(&self.args.store).await
    }

    /// Returns those of the messages in `sequences` that the archive does not hold. All of them arrived after `since`, the
    /// greatest arrival time before them.
    async fn missing(&self, sequences: RangeInclusive<u64>, since: Offset) -> Result<Option<Missing>> {
        losses::missing(&self.args.store, &self.args.source.epochs(), sequences, since).await
    }
}
