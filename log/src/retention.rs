//! What a log keeps no longer: whole buckets, through the index.

use crate::{AHEAD_NANOS_MAX, LogId, Offset, Result, Seq, Store, Write};

/// The rows of the index that one read fetches.
const INDEX_ROWS: usize = 256;

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
    let mut from = Offset::MIN;
    loop {
        let rows = store.buckets(id, from..=horizon, false, INDEX_ROWS).await?;
        let whole = rows.len() < INDEX_ROWS;
        let mut writes = Vec::new();
        for row in rows.iter().filter(|row| row.bucket.start >= from && row.bucket.last() < horizon) {
            let (log, bucket) = (id.clone(), row.bucket);
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
        store.write(writes).await?;
        match rows.last() {
            Some(last) if !whole => from = last.bucket.last().saturating_add_nanos(1),
            _ => return Ok(swept),
        }
    }
}
