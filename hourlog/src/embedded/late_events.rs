//! Reading late events in the order of their arrival, by their listings.

use crate::{
    Offset, Result, Seq,
    store::{Bucket, EncodedEvent, LateEvent},
};

use super::{
    keys::{self, LogNumber},
    listing::Listing,
    packs::{shared, unpack},
    tables::broken,
    view::View,
};

impl View {
    /// Returns the listing that `seq` belongs to, with its key: the last one that begins at or before it.
    pub(super) fn listing_at(
        &self,
        log: LogNumber,
        bucket: Offset,
        seq: Seq,
    ) -> Result<Option<([u8; keys::ARRIVAL_BYTES], Listing)>> {
        let (first, last) = (keys::arrival(log, bucket, Seq::MIN), keys::arrival(log, bucket, seq));
        let Some(guard) = self.range(&self.tables().arrivals, first..=last).next_back() else { return Ok(None) };
        let (key, value) = guard.into_inner().map_err(broken)?;
        Ok(Some((keys::arrival(log, bucket, keys::last_seq(&key)?), Listing::decode(log, &value)?)))
    }

    /// Reads the late events of a bucket, as [`Store::late_events`](crate::store::Store::late_events) does.
    pub(super) fn late_events(
        &self,
        log: LogNumber,
        bucket: Bucket,
        after: Seq,
        limit: usize,
        bytes: usize,
    ) -> Result<Vec<LateEvent>> {
        let mut late = Vec::new();
        let mut late_bytes = 0;
        let first = match self.listing_at(log, bucket.start, after)? {
            Some((key, _)) => key,
            None => keys::arrival(log, bucket.start, after),
        };
        for guard in self.range(&self.tables().arrivals, first..=keys::arrival(log, bucket.start, Seq::MAX)) {
            let (_, value) = guard.into_inner().map_err(broken)?;
            let listing = Listing::decode(log, &value)?;
            let mut packs: Vec<Option<Vec<EncodedEvent>>> = vec![None; listing.packs.len()];
            for (position, place) in listing.by_seq() {
                if position.seq <= after {
                    continue;
                }
                if late.len() >= limit || (late_bytes >= bytes && !late.is_empty()) {
                    return Ok(late);
                }
                if packs[place].is_none() {
                    let value = self.get(&self.tables().events, listing.packs[place].key.encode())?;
                    packs[place] = Some(value.map_or(Ok(Vec::new()), |value| unpack(shared(value)))?);
                }
                let pack = packs[place].as_deref().unwrap_or_default();
                // A pack is in timeline order.
                let found = pack.binary_search_by_key(&position, EncodedEvent::position).ok();
                let event = found.map(|at| pack[at].clone());
                late_bytes += event.as_ref().map_or(0, EncodedEvent::record_bytes);
                late.push(LateEvent { position, event });
            }
        }
        Ok(late)
    }
}
