//! Cursors of a time that the archive has lost: they are ahead of what comes, so a reader would miss
//! new events. Such a cursor is moved to where the reader misses none, and the reply says so.

use std::sync::atomic::Ordering::Relaxed;

use hourlog::{ArrivalCursor, Error, ErrorKind, LogId, Offset, Position, Result, Seq, store::Store, wire::Moved};

use super::{Api, fresh};
use crate::{
    losses::{Losses, SetBack},
    sources::Source,
    stream::epochs::Epochs,
};

/// The place of a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// Where this archive may have led a reader.
    Known,
    /// Beyond what the archive held when it was set back.
    Lost(SetBack),
    /// Beyond the newest message.
    Beyond,
}

/// Returns the place of `seq`, the seq of a cursor of a log in `slot`. The stream has had messages up
/// to `published`.
fn place(seq: Seq, slot: u8, epochs: &Epochs, published: u64, losses: &Losses) -> Place {
    let newest = Seq::new(epochs.newest(slot), published);
    if seq > newest {
        return Place::Beyond;
    }
    let next = epochs.after(slot, seq.epoch());
    let began = |set_back: &&SetBack| next.is_some_and(|next| set_back.before_epoch(slot).epoch() == next);
    match losses.set_backs.iter().find(began) {
        Some(set_back) if seq.sequence() > set_back.held_to => Place::Lost(set_back.clone()),
        _ => Place::Known,
    }
}

/// Returns where a reader of `log` with this cursor goes on, if that is not at the cursor.
///
/// # Errors
/// [`ErrorKind::Unavailable`] if the service must first read again what the reader may have read, and
/// the errors of the store.
pub(super) async fn moved<S: Store>(api: &Api<S>, log: &LogId, cursor: ArrivalCursor) -> Result<Option<Moved>> {
    let (seq, slot) = (cursor.seq, log.slot());
    if seq <= ArrivalCursor::FIRST.seq {
        return Ok(None);
    }
    let source = api.sources.of_log(&api.store, log).await?;
    let health = &source.health;
    // Before the first check, the stream may have forked without anybody knowing.
    if *health.stream_checks_done.borrow() == 0 {
        return Ok(None);
    }
    let place = |published| health.with_losses(|losses| place(seq, slot, &source.epochs(), published, losses));
    let mut found = place(health.published.load(Relaxed));
    if found == Place::Beyond {
        found = match newest(api, &source, log).await? {
            Some(newest) if seq > newest => Place::Beyond,
            Some(newest) => place(newest.sequence()),
            // The stream does not answer, so nobody knows.
            None => Place::Known,
        };
    }
    let (fallback, reason) = match &found {
        Place::Known => return Ok(None),
        Place::Lost(set_back) => {
            let after = ArrivalCursor { time: set_back.max_time.min(cursor.time), seq: set_back.before_epoch(slot) };
            (after, set_back.sentence())
        }
        // Times go on where sequences do not.
        Place::Beyond => (
            ArrivalCursor { time: cursor.time, seq: Seq::ZERO },
            format!(
                "it is ahead of everything that the stream {} has had, so the archive was set back; events at this time \
                 may be read again",
                source.stream()
            ),
        ),
    };
    let resolved = same_event(api, log, &source, cursor).await?.unwrap_or(fallback);
    tracing::info!(%log, requested = %cursor, %resolved, reason, "a reader's cursor was moved");
    Ok(Some(Moved { requested: cursor, resolved, reason }))
}

/// Returns the newest seq of `log` that a reader can have been shown, as archive and stream tell now;
/// `None` if the stream does not answer. Another instance may know newer ones than this one.
async fn newest<S: Store>(api: &Api<S>, source: &Source, log: &LogId) -> Result<Option<Seq>> {
    let Ok(stream) = api.jetstream().get_stream(&**source.stream()).await else { return Ok(None) };
    // While the stream is shorter than what was read, the read messages count.
    let health = &source.health;
    let last = stream.cached_info().state.last_sequence + health.awaited.load(Relaxed);
    let published = health.published.fetch_max(last, Relaxed).max(last);
    let rows = api.store.epochs(log.slot()).await?;
    let epoch = rows.iter().filter(|row| *row.stream == **source.stream()).map(|row| row.epoch).max();
    Ok(Some(Seq::new(epoch.unwrap_or(0), published)))
}

/// Returns the cursor after the event that the reader has read last, if the archive still holds it:
/// the same log, time and sequence, in whatever epoch.
async fn same_event<S: Store>(
    api: &Api<S>,
    log: &LogId,
    source: &Source,
    cursor: ArrivalCursor,
) -> Result<Option<ArrivalCursor>> {
    let sequence = cursor.seq.sequence();
    if sequence > source.health.published.load(Relaxed) {
        return Ok(None);
    }
    fresh::wait_until_archived(&source.health, sequence, fresh::CATCH_UP_MAX).await.map_err(|error| {
        let context = format!(
            "the archive was set back, and the service has not read message {sequence} again yet; retry in a moment, \
             hourlog doctor shows the progress"
        );
        Error::new(ErrorKind::Unavailable, context).because(error)
    })?;
    let seq = source.epochs().seq(log.slot(), sequence);
    let position = Position { offset: cursor.time, seq };
    let is_there = cursor.time > Offset::MIN && api.store.event(log, position).await?.is_some();
    Ok(is_there.then_some(ArrivalCursor { time: cursor.time, seq }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::Missing;
    use hourlog::store::SLOTS;

    /// The archive held messages up to 100, and the stream begins with 700.
    fn set_back(epoch: u32) -> SetBack {
        SetBack {
            at: Offset::from_nanos(9),
            missing: Missing::all(101, 699).expect("the range is not empty"),
            checkpoint: 100,
            held_to: 100,
            epoch_after: 699,
            passed: 699,
            max_time: Offset::from_nanos(5),
            epochs: vec![epoch; usize::from(SLOTS)],
        }
    }

    #[track_caller]
    fn check(epochs: &[(u64, u32)], (epoch, sequence): (u32, u64), expected: Place) {
        let losses = Losses { set_backs: vec![set_back(3)], ..Losses::default() };
        assert_eq!(place(Seq::new(epoch, sequence), 7, &Epochs::of(epochs), 800, &losses), expected);
    }

    #[test]
    fn a_cursor_beyond_what_was_left_is_of_a_lost_time() {
        let epochs = [(1, 1), (50, 2), (700, 3)];
        for sequence in [101, 650, 720, 900] {
            check(&epochs, (2, sequence), Place::Lost(set_back(3)));
        }
        check(&epochs, (2, 100), Place::Known);
        // The lost tail of a fork before it: the archive holds what the reader has read.
        check(&epochs, (1, 150), Place::Known);
        check(&epochs, (3, 800), Place::Known);
    }

    #[test]
    fn a_cursor_ahead_of_everything_is_beyond() {
        let epochs = [(1, 1), (50, 2), (700, 3)];
        check(&epochs, (3, 801), Place::Beyond);
        check(&epochs, (4, 1), Place::Beyond);
    }
}
