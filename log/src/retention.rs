//! What a log keeps no longer: whole buckets, through the index.

use crate::{AHEAD_NANOS_MAX, LogId, Offset, Result, Seq, Store, Write, pages::Index};

/// What is taken away at once: whoever else writes waits meanwhile.
const WRITES_MAX: usize = 256;

/// What a sweep has taken away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Buckets that held events.
    pub buckets: u64,
    /// The events in them.
    pub events: u64,
    /// Rows of the index that told of nothing any more.
    pub unlisted: u64,
}

/// Takes away the buckets of a log that lie wholly before `horizon`. Their rows stay in the index, empty, until a later sweep finds that
/// the stored place of the source, `stored`, is behind them: until then, what was in them may come again and is to be known.
///
/// `newest` is the newest seq that is archived. An event that comes later and belongs to a bucket that was swept is kept until the next
/// sweep.
///
/// # Errors
/// What the store answers; what was taken away until then is gone.
pub async fn sweep<S: Store>(store: &S, id: &LogId, horizon: Offset, newest: Seq, stored: Seq) -> Result<Swept> {
    let mut swept = Swept::default();
    // What arrived in a bucket's time may be for a later bucket, which is kept perhaps: as far ahead as an event may be.
    let last = store.buckets(id, horizon..=horizon, false, 1).await?;
    let kept = last.first().map(|row| row.bucket).filter(|bucket| bucket.last() >= horizon);
    let kept_from = kept.map_or(horizon, |bucket| bucket.start.min(horizon));
    // All of it is read before anything is changed: where one is in the index is told by its rows.
    let mut index = Index::new(id, Offset::MIN, horizon, false);
    let mut writes = Vec::new();
    while let Some(row) = index.next(store).await? {
        let (log, bucket) = (id.clone(), row.bucket);
        if bucket.last() >= horizon {
            continue;
        }
        let arrivals = bucket.last().saturating_add_nanos(AHEAD_NANOS_MAX) < kept_from;
        if row.count > 0 || (arrivals && row.arrivals > 0) {
            swept.buckets += u64::from(row.count > 0);
            swept.events += row.count;
            writes.push(Write::Drop { log, bucket, seq: newest, arrivals });
        } else if row.is_empty() && row.through < stored {
            swept.unlisted += 1;
            writes.push(Write::Unlist { log, bucket, seq: stored });
        }
    }
    while !writes.is_empty() {
        let some = writes.len().min(WRITES_MAX);
        store.write(writes.drain(..some).collect()).await?;
    }
    Ok(swept)
}
