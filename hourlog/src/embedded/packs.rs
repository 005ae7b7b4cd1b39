//! Packs as they are read.

use bytes::Bytes;
use fjall::Slice;

use crate::{Offset, Position, Result, pack, store::EncodedEvent};

use super::{
    keys::{LogNumber, PackKey},
    lanes::{Ends, Lane},
    tables::broken,
    values::unreadable,
    view::View,
};

/// Returns the bytes of a value, which share its memory.
pub(super) fn shared(value: Slice) -> Bytes {
    Bytes::from_owner(value)
}

/// Returns the events of a pack.
pub(super) fn unpack(value: Bytes) -> Result<Vec<EncodedEvent>> {
    pack::events(&value.into()).map_err(|_| unreadable())
}

impl View {
    /// Returns the key of the pack that holds the event at `position`.
    pub(super) fn pack_of(&self, log: LogNumber, bucket: Offset, position: Position) -> Result<Option<PackKey>> {
        for lane in self.lanes(log, bucket)?.iter() {
            let reach = if lane.is_in_order() { i64::MAX } else { lane.reach_nanos() };
            let earliest = Position::at(position.offset.saturating_add_nanos(-reach));
            let key = |first| PackKey { log, bucket, lane, first }.encode();
            // In a lane in order, only the last of these can reach to the position.
            let earlier = self.range(&self.tables().events, key(earliest)..=key(position)).rev();
            for guard in earlier.take(if lane.is_in_order() { 1 } else { usize::MAX }) {
                let (key, value) = guard.into_inner().map_err(broken)?;
                if unpack(shared(value))?.iter().any(|event| event.position() == position) {
                    return Ok(Some(PackKey::decode(&key)?));
                }
            }
        }
        Ok(None)
    }

    /// Returns the ends of the lanes in order of a bucket.
    pub(super) fn ends(&self, log: LogNumber, bucket: Offset) -> Result<Ends> {
        let end = |lane| {
            let key = |first| PackKey { log, bucket, lane, first }.encode();
            let last = self.range(&self.tables().events, key(Position::MIN)..=key(Position::MAX)).next_back();
            let Some(guard) = last else { return Ok(None) };
            let (_, value) = guard.into_inner().map_err(broken)?;
            pack::last(&shared(value).into()).map_err(|_| unreadable())
        };
        Ok(Ends { on_time: end(Lane::ON_TIME)?, late: end(Lane::LATE)? })
    }
}
