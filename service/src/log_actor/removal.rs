//! The removal of old buckets, in parts.

use std::{ops::Range, sync::atomic::Ordering::Relaxed};

use hourlog::{
    Offset, Result, Seq,
    store::{LogRow, Removed, Store, Swept, count_sweep, plan_sweep},
    wire::RemovedReply,
};

use super::{LogArgs, row::Reply};

/// A removal of old buckets, in parts: the log writes its events between two of them.
#[derive(Debug)]
pub(crate) struct Removal {
    /// The time from which the next part goes on.
    from: Offset,
    /// The time at or before which the buckets end.
    horizon: Offset,
    /// The result of the parts so far.
    swept: Swept,
    requester: Requester,
}

/// The requester that waits for a removal.
#[derive(Debug)]
pub(super) enum Requester {
    Purge(Reply<RemovedReply>),
    Sweep(Reply<Swept>),
}

impl Removal {
    pub(super) fn new(horizon: Offset, requester: Requester) -> Self {
        Self { from: Offset::MIN, horizon, swept: Swept::default(), requester }
    }

    /// Returns true if the requester has given up. A sweep that has begun goes on without it.
    pub(super) fn is_abandoned(&self) -> bool {
        match &self.requester {
            Requester::Purge(reply) => reply.is_closed(),
            Requester::Sweep(_) => false,
        }
    }

    /// Carries out the next part. Replies after the last one; returns the rest before that.
    pub(super) async fn go_on<S: Store>(mut self, args: &LogArgs<S>, written: Seq) -> Option<Self> {
        let part = remove(args, self.from..self.horizon, written).await;
        if let Ok(Part { swept, next, .. }) = &part {
            self.swept = self.swept.with(*swept);
            if let Some(next) = *next {
                return Some(Self { from: next, ..self });
            }
        }
        let (swept, log) = (self.swept, &args.id);
        let Swept { buckets, events, bytes, .. } = swept;
        if buckets > 0 {
            tracing::info!(%log, buckets, events, before = %self.horizon, "removed old events");
        }
        match self.requester {
            Requester::Purge(reply) => {
                let removed = part.map(|Part { kept_from, .. }| RemovedReply {
                    log: log.clone(),
                    dry_run: false,
                    events,
                    bytes,
                    buckets,
                    kept_from: Some(kept_from),
                });
                drop(reply.send(removed));
            }
            Requester::Sweep(reply) => {
                args.health.sweeps.fetch_add(u64::from(part.is_ok()), Relaxed);
                drop(reply.send(part.map(|_| swept)));
            }
        }
        None
    }
}

/// The result of a part of a removal.
struct Part {
    swept: Swept,
    /// The time from which events are kept.
    kept_from: Offset,
    /// The time from which the next part goes on; `None` after the last one.
    next: Option<Offset>,
}

/// Removes the first of the buckets that lie in `range`.
async fn remove<S: Store>(args: &LogArgs<S>, range: Range<Offset>, written: Seq) -> Result<Part> {
    let LogArgs { id, store, .. } = args;
    let row = args.known_row().await?;
    let plan = plan_sweep(store, id, range.clone(), args.stored_checkpoint().await?, written).await?;
    let (kept_from, next) = (plan.kept_from, plan.next);
    let mut removed = plan.removed;
    if range.start == Offset::MIN && next.is_some() {
        // The first of several parts records the range of all of them: a record costs a walk over the index.
        removed = count_sweep(store, id, range.end).await?.removed;
    }
    if let Some(removed) = removed {
        let removed = row.removed.map_or(removed, |earlier: Removed| earlier.with(removed));
        if row.removed != Some(removed) {
            // First, so that a reader who finds nothing is always told why.
            args.change_settings(LogRow { removed: Some(removed), ..row }).await?;
            args.removed.forget();
        }
    }
    let swept = plan.execute(store).await?;
    args.health.count_removed(swept.buckets, swept.events);
    args.health.changes.note(&args.id);
    Ok(Part { swept, kept_from, next })
}
