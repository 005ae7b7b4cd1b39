//! The unstored part of other instances: before a request for several logs is answered, each of them tells how far its
//! slots are archived, and which rows of the index are not written yet. So a reader sees the same from every instance.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use futures_util::future::{try_join, try_join_all};
use hourlog::{Error, ErrorKind, LogId, Result, Seq, store::Store, wire::RecentReply};
use tokio::time::{Instant, timeout};

use crate::{
    ownership::{Assignment, SlotSet},
    peers::{
        ANSWER_MAX, ArchivedRequest, FRESH_ANSWER_MAX, Held, HeldRequest, LentRow, PeerQuestion, Peers,
        ReceiptQuestion, RecentRequest,
    },
};

use super::{Api, Request, fresh, receipt, reply::Reply};

/// Longest wait of a request until all slots have an owner that answers.
const GATHER_MAX: Duration = Duration::from_secs(8);
/// Pause before the instances are asked again.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// Rows in one answer, about.
const ROWS_MAX: usize = 2_000;

impl<S: Store> Api<S> {
    /// Learns what all instances hold. With `fresh`, of everything that was published before. Notes under which
    /// assignment it did: the answer is complete if that is still the present one when it is ready.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if one of them does not answer, and no other has taken its slots over meanwhile.
    pub(super) async fn gather(&self, request: &Request, fresh: bool) -> Result<()> {
        let ownership = &self.health.ownership;
        if !ownership.is_shared() {
            return self.become_current(fresh).await;
        }
        let begun = Instant::now();
        loop {
            let mut changes = ownership.subscribe();
            let assignment = changes.borrow_and_update().clone();
            let error = match self.gather_from(&assignment, fresh).await {
                Ok(answered) if answered == SlotSet::ALL && ownership.is_valid() => {
                    request.gathered.store(assignment.number, Relaxed);
                    return Ok(());
                }
                Ok(_) => {
                    Error::new(ErrorKind::Unavailable, "some slots have no owner at the moment; retry in a moment")
                }
                Err(error) => error,
            };
            if begun.elapsed() > GATHER_MAX {
                return Err(error);
            }
            // An instance that has ended is taken for alive for a while.
            let _ = timeout(ASK_AGAIN_AFTER, changes.changed()).await;
        }
    }

    /// Returns true if no slots have moved since all instances were last asked for the answer to a request.
    pub(super) fn is_gathered(&self, request: &Request) -> bool {
        request.gathered.load(Relaxed) == self.health.ownership.assignment().number
    }

    /// Asks all instances of an assignment once. Returns the slots that have answered.
    async fn gather_from(&self, assignment: &Assignment, fresh: bool) -> Result<SlotSet> {
        // First: what others hold of slots that have just gone to them counts only after that.
        fresh::wait_for_takeover(&self.health.ownership, &self.health.sources, SlotSet::ALL).await?;
        let held = try_join_all(assignment.others.iter().map(|instance| self.held_by(instance, fresh)));
        let (held, ()) = try_join(held, self.become_current(fresh)).await?;
        Ok(held.into_iter().fold(assignment.own, SlotSet::union))
    }

    /// Waits until this instance has archived of its slots what readers have seen before. With `fresh`, everything that
    /// was published before.
    async fn become_current(&self, fresh: bool) -> Result<()> {
        if fresh {
            for source in self.sources.iter() {
                fresh::wait_until_fresh(self, &source.health).await?;
            }
        }
        fresh::wait_for_catch_up(&self.health.ownership, &self.health.sources, SlotSet::ALL).await
    }

    async fn held_by(&self, instance: &str, fresh: bool) -> Result<SlotSet> {
        let peers = Peers::new(&self.client, &self.settings.prefix);
        let (mut request, mut rows) = (HeldRequest { fresh, ..HeldRequest::default() }, Vec::new());
        let slots = loop {
            let limit = if request.fresh { FRESH_ANSWER_MAX } else { ANSWER_MAX };
            let held = peers.ask(instance, &request, limit).await?;
            for (stream, archived) in &held.archived {
                let Some(source) = self.sources.iter().find(|source| **source.stream() == **stream) else { continue };
                let numbers = archived.iter().map(|(slot, number)| (*slot, Seq::from_number(*number)));
                numbers.for_each(|(slot, seq)| source.health.slots.note_other(slot, seq));
            }
            rows.extend(held.rows);
            match held.next {
                Some(next) => request = HeldRequest { after: Some(next), fresh: false },
                None => break held.slots.into_iter().collect(),
            }
        };
        let rows = rows.into_iter().map(|(log, rows)| {
            let rows: Result<Vec<_>> = rows.into_iter().map(LentRow::into_row).collect();
            Ok((log, rows?))
        });
        self.store.show_unwritten_of(instance, rows.collect::<Result<_>>()?);
        Ok(slots)
    }

    /// Answers the question of another instance.
    pub(super) async fn answer_peer(&self, question: &str, payload: &[u8]) -> Result<Reply> {
        fn parse<Q: PeerQuestion>(payload: &[u8]) -> Result<Q> {
            serde_json::from_slice(payload).map_err(|error| Error::invalid(format!("not a question: {error}")))
        }
        match question {
            ArchivedRequest::NAME => {
                let ArchivedRequest { stream, sequence } = parse(payload)?;
                let source = self.sources.iter().find(|source| **source.stream() == *stream);
                let source = source.ok_or_else(|| Error::invalid(format!("the stream {stream} is not read here")))?;
                fresh::wait_until_archived(&source.health, sequence, ANSWER_MAX).await?;
                Reply::json(&())
            }
            HeldRequest::NAME => Reply::json(&self.held(parse(payload)?).await?),
            RecentRequest::NAME => Reply::json(&self.own_recent(parse::<RecentRequest>(payload)?.logs).await),
            ReceiptQuestion::NAME => Reply::json(&receipt::own(self, &parse(payload)?).await?),
            _ => Err(Error::invalid("this version does not know the question")),
        }
    }

    /// Returns what this instance holds.
    async fn held(&self, HeldRequest { after, fresh }: HeldRequest) -> Result<Held> {
        let assignment = self.health.ownership.assignment();
        self.become_current(fresh).await?;
        let own = assignment.own;
        let archived = self.sources.iter().map(|source| {
            let slots = own.iter().filter_map(|slot| Some((slot, source.archived_here(slot)?.get())));
            (source.stream().to_string(), slots.collect())
        });
        let archived = archived.collect();
        // After the progress: rows count at least as much.
        let rows = self.store.unwritten(after.as_ref(), ROWS_MAX);
        let count: usize = rows.iter().map(|(_, rows)| rows.len()).sum();
        let next = rows.last().filter(|_| count >= ROWS_MAX).map(|(log, _)| log.clone());
        let rows = rows.into_iter().map(|(log, rows)| (log, rows.iter().map(LentRow::of).collect()));
        if self.health.ownership.assignment().number != assignment.number {
            return Err(Error::new(ErrorKind::Unavailable, "slots are moving between instances; retry in a moment"));
        }
        Ok(Held { slots: own.iter().collect(), archived, rows: rows.collect(), next })
    }

    /// Returns the events of each of `logs` that arrived during the last minute, as their owners know them.
    pub(super) async fn recent(&self, logs: Vec<LogId>) -> Vec<RecentReply> {
        let assignment = self.health.ownership.assignment();
        let mut recent = self.own_recent(logs.clone()).await;
        let asked = assignment.others.iter().map(|instance| async {
            let of_it = |log: &LogId| assignment.owner(log.slot()) == Some(instance);
            let indices: Vec<usize> = (0..logs.len()).filter(|index| of_it(&logs[*index])).collect();
            if indices.is_empty() {
                return Vec::new();
            }
            let request = RecentRequest { logs: indices.iter().map(|index| logs[*index].clone()).collect() };
            let answer = Peers::new(&self.client, &self.settings.prefix).ask(instance, &request, ANSWER_MAX).await;
            // Without an answer, nothing is known.
            let unknown = RecentReply { to: self.health.time.now(), counts: Vec::new() };
            let answer = answer.unwrap_or_else(|_| vec![unknown; indices.len()]);
            indices.into_iter().zip(answer).collect()
        });
        for (index, of_log) in futures_util::future::join_all(asked).await.into_iter().flatten() {
            recent[index] = of_log;
        }
        recent
    }
}
