//! Adding events to a batch: as packs, with the rows of the index that count them and the lists of late ones.

use std::{collections::hash_map::Entry, ops::Range};

use crate::{
    Error, ErrorKind, LogId, Offset, Position, Result, Seq,
    index::{self, Counted, Counts},
    store::{EventRow, LogRow, Width, Widths},
};

use super::{
    super::{
        keys::{self, LogNumber, PackKey},
        lanes::{Ends, Lane, Lanes, divide, row_bytes},
        listing::{ListedPack, Listing},
        view::View,
    },
    Cache, CachedBucket,
    refill::Found,
};

/// The most late events of one listing.
const LISTED_EVENTS_MAX: usize = 1_024;
/// The bytes of late events at which a listing is full. A reader reads them together.
const LISTED_BYTES_MAX: usize = 256 << 10;

impl Cache {
    /// Adds events of one log, in the order of their seqs; creates the log if there is none.
    pub(super) fn add_events(
        &mut self,
        view: &View,
        batch: &mut fjall::OwnedWriteBatch,
        id: &LogId,
        rows: &[EventRow],
        width: Width,
    ) -> Result<()> {
        let log = match self.log_of(view, batch, id, rows, width)? {
            Some(log) => log,
            None => return Ok(()),
        };
        let found = if self.refill.concerns(rows) { self.refill(view, log, id, rows)? } else { Found::default() };
        let LogRow { widths, deleted_to, .. } = &self.logs[id].1;
        let (widths, deleted_to) = (widths.clone(), *deleted_to);
        let Counts { rows: counted, deleted, known } = index::count(id, &widths, deleted_to, rows, |_, bucket| {
            Ok(self.bucket(view, log, bucket.start)?.map(|cached| cached.row.clone()))
        })?;
        for Counted { row, added, new } in counted {
            let (era, start) = (widths.era(row.bucket.start), row.bucket.start);
            if new || added.count > 0 {
                self.add_to_era(view, log, era, added)?;
            }
            self.changed.push((log, start));
            match self.buckets.entry((log, start)) {
                Entry::Occupied(mut entry) => entry.get_mut().row = row,
                Entry::Vacant(entry) => {
                    // A bucket without a row holds nothing.
                    entry.insert(CachedBucket { row, lanes: Lanes::default(), ends: Some(Ends::default()) });
                }
            }
        }
        let is_new = |row: &&EventRow| {
            let seq = row.event.position.seq;
            !deleted.contains(&seq) && (!known.contains(&seq) || found.events.contains(&seq))
        };
        let rows: Vec<&EventRow> = rows.iter().filter(is_new).collect();
        let (late, on_time): (Vec<&EventRow>, Vec<&EventRow>) = rows.into_iter().partition(|row| row.late.is_some());
        let mut writer = PackWriter { cache: self, view, batch, log, widths: &widths };
        writer.add_packs(&on_time, Lane::ON_TIME, &mut |_, _| ())?;
        for (bucket, run) in listed_together(&late, &widths) {
            writer.add_listed(&late[run], bucket)?;
        }
        for (row, key) in found.unlisted {
            writer.list_again(row, key)?;
        }
        Ok(())
    }

    /// Returns the number of the log. A missing one is created for the first of `rows` that was not deleted; `None` if
    /// all of them were.
    fn log_of(
        &mut self,
        view: &View,
        batch: &mut fjall::OwnedWriteBatch,
        id: &LogId,
        rows: &[EventRow],
        width: Width,
    ) -> Result<Option<LogNumber>> {
        if let Some((number, _)) = self.logs.get(id) {
            return Ok(Some(*number));
        }
        if let Some((number, row)) = view.log(id)? {
            self.logs.insert(id.clone(), (number, row));
            return Ok(Some(number));
        }
        let deleted_to = view.deleted_to(id)?;
        let Some(first) = rows.iter().find(|row| row.event.position.seq > deleted_to) else { return Ok(None) };
        let row = LogRow::of_first_event(&first.event, width, deleted_to);
        self.create_log(view, batch, id, row).map(Some)
    }

    /// Returns the listing for a seq, with its key: the last one that begins at or before it, or an empty one.
    pub(super) fn listing_for(
        &self,
        view: &View,
        log: LogNumber,
        bucket: Offset,
        seq: Seq,
    ) -> Result<([u8; keys::ARRIVAL_BYTES], Listing)> {
        let stored = view.listing_at(log, bucket, seq)?;
        let (first, last) = (keys::arrival(log, bucket, Seq::MIN), keys::arrival(log, bucket, seq));
        let in_batch = self.listings.keys().filter(|key| first <= **key && **key <= last).max();
        match (stored, in_batch) {
            (Some((key, listing)), in_batch) if in_batch.is_none_or(|newer| *newer < key) => Ok((key, listing)),
            (_, Some(key)) => Ok((*key, self.listings[key].clone())),
            _ => Ok((last, Listing::default())),
        }
    }
}

/// Divides late rows into those that one listing takes: of one bucket of their arrival, bounded in number and bytes.
fn listed_together(late: &[&EventRow], widths: &Widths) -> Vec<(Offset, Range<usize>)> {
    let mut runs: Vec<(Offset, Range<usize>)> = Vec::new();
    let mut bytes = 0;
    for (at, row) in late.iter().enumerate() {
        let Some(arrival) = row.late else { continue };
        let bucket = widths.bucket(arrival.max_time).start;
        match runs.last_mut() {
            Some((start, run)) if *start == bucket && run.len() < LISTED_EVENTS_MAX && bytes < LISTED_BYTES_MAX => {
                run.end = at + 1;
            }
            _ => {
                runs.push((bucket, at..at + 1));
                bytes = 0;
            }
        }
        bytes += row_bytes(row);
    }
    runs
}

/// Adds packs of one log to a batch.
struct PackWriter<'a> {
    cache: &'a mut Cache,
    view: &'a View,
    batch: &'a mut fjall::OwnedWriteBatch,
    log: LogNumber,
    widths: &'a Widths,
}

impl PackWriter<'_> {
    /// Adds `rows` as packs. They must be in timeline order. Tells `list` of each pack.
    fn add_packs(&mut self, rows: &[&EventRow], lane: Lane, list: &mut dyn FnMut(PackKey, &[&EventRow])) -> Result<()> {
        let sorted: Vec<&EventRow>;
        let rows = if rows.is_sorted_by_key(|row| row.event.position) {
            rows
        } else {
            let mut unsorted = rows.to_vec();
            unsorted.sort_unstable_by_key(|row| row.event.position);
            sorted = unsorted;
            &sorted
        };
        let mut rest = rows;
        while let Some(first) = rest.first() {
            let bucket = self.widths.bucket(first.event.position.offset);
            let (of_bucket, others) =
                rest.split_at(rest.partition_point(|row| row.event.position.offset <= bucket.last()));
            rest = others;
            let (lanes, ends) = self.lanes_and_ends(bucket.start)?;
            let end = if lane == Lane::ON_TIME { &mut ends.on_time } else { &mut ends.late };
            let packs = divide(of_bucket, lane, end);
            packs.iter().for_each(|pack| lanes.insert(pack.lane));
            for pack in packs {
                let key = PackKey { log: self.log, bucket: bucket.start, lane: pack.lane, first: pack.first() };
                self.batch.insert(&self.view.tables().events, key.encode(), pack.encode());
                list(key, pack.rows);
            }
        }
        Ok(())
    }

    /// Returns the lanes of a bucket that events were just counted in, and the ends of those in order.
    fn lanes_and_ends(&mut self, start: Offset) -> Result<(&mut Lanes, &mut Ends)> {
        let (log, view) = (self.log, self.view);
        self.cache.changed.push((log, start));
        let cached = self
            .cache
            .bucket(view, log, start)?
            .ok_or_else(|| Error::new(ErrorKind::Unexpected, "a bucket takes events before it has a row"))?;
        if cached.ends.is_none() {
            cached.ends = Some(view.ends(log, start)?);
        }
        Ok((&mut cached.lanes, cached.ends.get_or_insert_default()))
    }

    /// Adds late `rows` that one listing takes, in the order of their seqs: as packs, and to the list of `bucket`.
    fn add_listed(&mut self, rows: &[&EventRow], bucket: Offset) -> Result<()> {
        let Some(first) = rows.first() else { return Ok(()) };
        let mut listing = Listing::default();
        self.add_packs(rows, Lane::LATE, &mut |key, rows| {
            let events = rows.iter().map(|row| row.event.position).collect();
            listing.packs.push(ListedPack { key, events });
        })?;
        if !self.cache.refill.concerns(rows.iter().copied()) {
            let key = keys::arrival(self.log, bucket, first.event.position.seq);
            self.batch.insert(&self.view.tables().arrivals, key, listing.encode());
            return Ok(());
        }
        // Other listings may hold events from between these.
        for ListedPack { key, events } in listing.packs {
            events.into_iter().try_for_each(|event| self.list(bucket, key, event))?;
        }
        Ok(())
    }

    /// Lists a late event that is stored in the pack `key`.
    fn list_again(&mut self, row: &EventRow, key: PackKey) -> Result<()> {
        let Some(late) = row.late else { return Ok(()) };
        self.list(self.widths.bucket(late.max_time).start, key, row.event.position)
    }

    /// Adds an event to the listing whose seqs it lies among, or to one of its own.
    fn list(&mut self, bucket: Offset, key: PackKey, event: Position) -> Result<()> {
        let (at, mut listing) = self.cache.listing_for(self.view, self.log, bucket, event.seq)?;
        listing.add(key, event);
        self.cache.listings.insert(at, listing);
        Ok(())
    }
}
