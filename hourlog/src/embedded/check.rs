//! Reading a whole archive around its damage, row by row, and comparing its events with its index.

mod parts;

use std::{collections::BTreeMap, io, path::Path, sync::PoisonError};

use bytes::Bytes;

use crate::{
    LogId, Offset, Result, Seq,
    maintenance::{Finding, LogSummary, RowDamage, Summary, Tally, is_being_removed},
    store::{Bucket, BucketRow, EncodedEvent, LogRow, Totals},
};

use super::{
    files::{
        cannot_read,
        database::{Files, Journaled},
        disk_failed, no_archive,
    },
    keys::{self, LogNumber, PackKey},
    lanes::{Lane, Lanes},
    listing::Listing,
    packs::unpack,
    recovery, swap,
    tables::{BATCHES, FORMAT, other_format},
    values,
    watermark::Watermark,
};

use parts::{Eras, Guess, OpenEra, Parts, Table};

/// The first token of the ids of logs whose own ids are gone.
const RECOVERED: &str = "_recovered";
/// The rows between two reports of progress.
const ROWS_PER_PROGRESS: u64 = 4_096;

/// Reads everything in the archive in `directory`, and tells what is whole and what is not. Changes nothing.
///
/// # Errors
/// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is no archive,
/// [`ErrorKind::Refused`](crate::ErrorKind::Refused) if a service has it open,
/// [`ErrorKind::Integrity`](crate::ErrorKind::Integrity) if another version wrote it,
/// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the disk fails. Damage is
/// not an error: it is in the summary.
pub fn check_directory(directory: impl AsRef<Path>, mut observe: impl FnMut(Finding)) -> Result<Summary> {
    let directory = directory.as_ref();
    let _lock = recovery::lock_for_reading(directory)?;
    swap::check_none(directory)?;
    check(directory, &mut observe)
}

/// As [`check_directory`], for a caller that has the lock, or a copy that nobody else uses.
pub(super) fn check(directory: &Path, observe: &mut dyn FnMut(Finding)) -> Result<Summary> {
    let mut walk = Walk::new(directory, observe)?;
    walk.everything(&mut Nowhere)?;
    Ok(walk.summary)
}

/// Where the rows that can be read go.
pub(super) trait Sink {
    /// Takes a row of a table. The rows of each table come in the order of their keys.
    fn put(&mut self, table: &'static str, key: &[u8], value: Bytes) -> Result<()>;
}

struct Nowhere;

impl Sink for Nowhere {
    fn put(&mut self, _: &'static str, _: &[u8], _: Bytes) -> Result<()> {
        Ok(())
    }
}

/// A walk through all rows of an archive.
pub(super) struct Walk<'a> {
    files: Files,
    journaled: Journaled,
    meta: BTreeMap<Vec<u8>, Bytes>,
    observe: &'a mut dyn FnMut(Finding),
    pub(super) summary: Summary,
    rows: u64,
    /// The logs with a damaged bucket.
    pub(super) damaged_logs: Vec<LogId>,
    /// The greatest seq that the row of a damaged bucket counts to.
    pub(super) holes_to: Seq,
    /// The greatest number of a log.
    pub(super) numbered: u32,
}

impl<'a> Walk<'a> {
    /// Finds the files of the archive in `directory`, and reads its journals.
    pub(super) fn new(directory: &Path, observe: &'a mut dyn FnMut(Finding)) -> Result<Self> {
        let cannot = |error: io::Error| cannot_read(directory, error);
        if !Files::are_in_use(directory).map_err(cannot)? {
            return Err(no_archive(directory));
        }
        let (_, stored) = Watermark::open(directory).map_err(cannot)?;
        let files = Files::find(directory).map_err(cannot)?;
        let closed = stored.is_some_and(|stored| stored.closed);
        let journaled = files.journaled(closed).map_err(cannot)?;
        let holes_to = Seq::MIN;
        let mut walk = Self {
            files,
            journaled,
            meta: BTreeMap::new(),
            observe,
            summary: Summary::default(),
            rows: 0,
            damaged_logs: Vec::new(),
            holes_to,
            numbered: 0,
        };
        walk.read_meta()?;
        walk.check_format(directory)?;
        if let Some(acknowledged) = stored.and_then(|stored| stored.batches) {
            walk.check_batches(acknowledged);
        }
        Ok(walk)
    }

    /// Returns the bytes of all files.
    pub(super) fn bytes(&self) -> u64 {
        self.files.bytes
    }

    fn tell(&mut self, finding: Finding) {
        self.summary.add(&finding);
        (self.observe)(finding);
    }

    fn tell_row(&mut self, table: &'static str, detail: String) {
        self.tell(Finding::Row(RowDamage { table, detail }));
    }

    fn read_meta(&mut self) -> Result<()> {
        let mut table = self.table("meta")?;
        while let Some((key, value)) = table.advance().map_err(disk_failed)? {
            self.meta.insert(key, value);
        }
        Ok(())
    }

    /// Returns a row of `meta`.
    pub(super) fn meta(&self, key: &str) -> Option<&Bytes> {
        self.meta.get(key.as_bytes())
    }

    fn check_format(&self, directory: &Path) -> Result<()> {
        match self.meta("format") {
            Some(found) if **found != [FORMAT] => Err(other_format(directory, found)),
            _ => Ok(()),
        }
    }

    /// Tells if acknowledged batches are missing, which no damaged file may explain.
    fn check_batches(&mut self, acknowledged: u64) {
        let found = self.meta(BATCHES).and_then(|value| keys::last_offset(value).ok());
        let found = found.map_or(0, |found| found.nanos().unsigned_abs());
        if found < acknowledged {
            let lost = acknowledged - found;
            self.tell_row("meta", format!("the last {lost} of {acknowledged} acknowledged batches of writes are gone"));
        }
    }

    fn table(&mut self, name: &'static str) -> Result<Table> {
        let rows = self.files.rows(name, &mut self.journaled).map_err(disk_failed)?;
        Table::new(name, rows).map_err(disk_failed)
    }

    /// Reads every row, compares the events with the index, and puts what can be read into `sink`.
    pub(super) fn everything(&mut self, sink: &mut dyn Sink) -> Result<()> {
        self.logs(sink)?;
        self.copy("sources", sink, |_, value| values::read_source(value).is_ok())?;
        self.copy("epochs", sink, |key, value| {
            keys::last_u32(key).and_then(|epoch| values::read_epoch(epoch, value)).is_ok()
        })?;
        self.copy("cursors", sink, |key, value| key.contains(&0) && values::read_cursor(value).is_ok())?;
        self.copy("properties", sink, |_, value| values::read_property(value).is_ok())?;
        for (key, value) in std::mem::take(&mut self.meta) {
            if key == b"format" || keys::last_offset(&value).is_ok() {
                sink.put("meta", &key, value)?;
            } else {
                self.tell_row("meta", format!("the row {:?} cannot be read", String::from_utf8_lossy(&key)));
            }
        }
        self.report_files();
        Ok(())
    }

    fn copy(&mut self, name: &'static str, sink: &mut dyn Sink, is_valid: fn(&[u8], &[u8]) -> bool) -> Result<()> {
        let mut table = self.table(name)?;
        while let Some((key, value)) = table.advance().map_err(disk_failed)? {
            if is_valid(&key, &value) {
                sink.put(name, &key, value)?;
            } else {
                self.tell_row(name, format!("the row {:?} cannot be read", String::from_utf8_lossy(&key)));
            }
            self.progress();
        }
        Ok(())
    }

    /// Tells the damage of files that was found since the last call.
    fn report_files(&mut self) {
        let damage = {
            let mut observed = self.files.observed.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut observed.damage)
        };
        damage.into_iter().map(Finding::File).for_each(|finding| self.tell(finding));
    }

    fn progress(&mut self) {
        self.rows += 1;
        if self.rows.is_multiple_of(ROWS_PER_PROGRESS) {
            let read_bytes = self.files.observed.lock().unwrap_or_else(PoisonError::into_inner).read_bytes;
            let total_bytes = self.files.bytes;
            (self.observe)(Finding::Progress { read_bytes, total_bytes });
            self.report_files();
        }
    }

    fn logs(&mut self, sink: &mut dyn Sink) -> Result<()> {
        let mut names = self.names()?;
        let mut eras = Eras { stored: self.stored_eras()?, open: None };
        let mut parts =
            Parts { buckets: self.table("buckets")?, events: self.table("events")?, late: self.table("arrivals")? };
        let mut rows = BTreeMap::new();
        loop {
            let named = names.keys().next().copied();
            let Some(number) = [named, parts.next_log()].into_iter().flatten().min() else { break };
            let (id, stored) = match names.remove(&number) {
                Some(found) => found,
                None => (self.nameless(number)?, None),
            };
            sink.put("numbers", &keys::log_number(number), values::log_id(&id).into())?;
            let row = self.log(number, &id, stored, &mut parts, &mut eras, sink)?;
            rows.insert(id.as_str().to_owned(), row);
            self.numbered = self.numbered.max(number.0);
        }
        while let Some(table) = parts.skip(None)? {
            self.tell_row(table, "a row whose key cannot be read".to_owned());
        }
        rows.into_iter().try_for_each(|(id, row)| sink.put("logs", id.as_bytes(), row.into()))?;
        let mut deletions = self.table("deletions")?;
        while deletions.head.is_some() {
            self.deletion(&mut deletions, sink)?;
        }
        Ok(())
    }

    /// Returns the stored sums of all eras.
    fn stored_eras(&mut self) -> Result<BTreeMap<Vec<u8>, Bytes>> {
        let mut eras = self.table("eras")?;
        let mut stored = BTreeMap::new();
        while let Some((key, value)) = eras.advance().map_err(disk_failed)? {
            stored.insert(key, value);
            self.progress();
        }
        Ok(stored)
    }

    /// Puts the sums of the era that is complete, and tells if others were stored.
    fn finish_era(&mut self, number: LogNumber, id: &LogId, eras: &mut Eras, sink: &mut dyn Sink) -> Result<()> {
        let Some(OpenEra { start, totals, is_whole }) = eras.open.take() else { return Ok(()) };
        let key = keys::era(number, start);
        let stored = eras.stored.get(&key[..]).and_then(|value| values::read_totals(value).ok());
        // A damaged bucket is told of by itself.
        if is_whole && stored != Some(totals) {
            self.tell_row("eras", format!("the sums of the index of {id} are wrong"));
        }
        sink.put("eras", &key, values::totals(&totals).into())
    }

    /// Returns the logs by their numbers, with their settings as far as those can be read.
    ///
    /// An id and its number are in two tables, so that one damaged file leaves the other.
    fn names(&mut self) -> Result<BTreeMap<LogNumber, (LogId, Option<LogRow>)>> {
        let mut names = BTreeMap::new();
        let mut numbers = self.table("numbers")?;
        while let Some((key, value)) = numbers.advance().map_err(disk_failed)? {
            match (keys::read_log_number(&key), values::read_log_id(&value)) {
                (Ok(number), Ok(id)) => drop(names.insert(number, (id, None))),
                _ => self.tell_row("numbers", "a row cannot be read".to_owned()),
            }
            self.progress();
        }
        let mut logs = self.table("logs")?;
        while let Some((key, value)) = logs.advance().map_err(disk_failed)? {
            match (keys::log(&key), values::read_log(&value)) {
                (Ok(id), Ok((number, row))) => drop(names.insert(number, (id, Some(row)))),
                // The settings of a log whose number is known are reported with the log.
                (Ok(id), Err(_)) if names.values().any(|(named, _)| *named == id) => {}
                _ => self.tell_row("logs", format!("the row {:?} cannot be read", String::from_utf8_lossy(&key))),
            }
            self.progress();
        }
        Ok(names)
    }

    /// Returns an id for a log of which only the number is left.
    fn nameless(&mut self, number: LogNumber) -> Result<LogId> {
        let id: LogId = format!("{RECOVERED}.{}", number.0).parse()?;
        self.tell_row("numbers", format!("the id of a log is gone; its events are kept as {id}"));
        Ok(id)
    }

    fn deletion(&mut self, deletions: &mut Table, sink: &mut dyn Sink) -> Result<()> {
        let Some((key, value)) = deletions.advance().map_err(disk_failed)? else { return Ok(()) };
        if keys::log(&key).is_ok() && keys::last_seq(&value).is_ok() {
            return sink.put("deletions", &key, value);
        }
        self.tell_row("deletions", format!("the row {:?} cannot be read", String::from_utf8_lossy(&key)));
        Ok(())
    }

    fn log(
        &mut self,
        number: LogNumber,
        id: &LogId,
        row: Option<LogRow>,
        parts: &mut Parts,
        eras: &mut Eras,
        sink: &mut dyn Sink,
    ) -> Result<Vec<u8>> {
        if row.is_none() {
            let detail = format!("the settings of {id} are gone: set its retention and its width again");
            self.tell_row("logs", detail);
        }
        let mut guess = Guess::default();
        let mut summary = LogSummary::new(id.clone());
        loop {
            while let Some(start) = parts.next_bucket(number) {
                self.bucket(number, id, start, row.as_ref(), &mut guess, parts, &mut summary, eras, sink)?;
            }
            // Rows with a key that is too short.
            let Some(table) = parts.skip(Some(number))? else { break };
            self.tell_row(table, format!("a row of {id} cannot be read"));
        }
        self.finish_era(number, id, eras, sink)?;
        if summary.damaged_buckets > 0 {
            self.damaged_logs.push(id.clone());
        }
        self.tell(Finding::Log(summary));
        Ok(values::log(number, &row.unwrap_or_else(|| guess.log())))
    }

    #[expect(clippy::too_many_arguments, reason = "one step of the walk through a log, split off to be read alone")]
    fn bucket(
        &mut self,
        number: LogNumber,
        id: &LogId,
        start: Offset,
        log: Option<&LogRow>,
        guess: &mut Guess,
        parts: &mut Parts,
        summary: &mut LogSummary,
        eras: &mut Eras,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        let (mut listed, mut listed_lanes) = (None, Lanes::default());
        if parts.buckets.bucket(number) == Some(start) {
            let stored = parts.buckets.advance().map_err(disk_failed)?;
            listed = stored.as_ref().and_then(|(_, value)| values::read_bucket(start, value).ok());
            listed_lanes = stored.and_then(|(_, value)| values::read_lanes(&value).ok()).unwrap_or_default();
        }
        let guessed = guess.widths();
        let widths = log.map_or(&guessed, |log| &log.widths);
        let bucket = listed.as_ref().map_or_else(|| widths.bucket(start), |row: &BucketRow| row.bucket);
        let bucket = Bucket { start, ..bucket };
        guess.see(bucket);
        let emptied_at = listed.as_ref().map_or(Seq::MIN, |row| row.emptied_at);
        let deleted_to = log.map_or(emptied_at, |log| emptied_at.max(log.deleted_to));
        let (mut found, mut lanes) = (Tally::new(bucket), Lanes::default());
        while parts.events.bucket(number) == Some(start) {
            let Some((key, value)) = parts.events.advance().map_err(disk_failed)? else { break };
            match read_pack(bucket, &key, value.clone()) {
                Some((lane, events)) => {
                    lanes.insert(lane);
                    let mut kept = events.iter().filter(|event| event.position().seq > deleted_to).peekable();
                    if kept.peek().is_some() {
                        sink.put("events", &key, value)?;
                    }
                    kept.for_each(|event| {
                        found.add(event);
                        guess.see_time(event.arrived().unwrap_or(event.position().offset));
                    });
                }
                None => found.add_unreadable(),
            }
            self.progress();
        }
        while parts.late.bucket(number) == Some(start) {
            let Some((key, value)) = parts.late.advance().map_err(disk_failed)? else { break };
            if let (Ok(_), Ok(listing)) = (keys::last_seq(&key), Listing::decode(number, &value)) {
                listing.seqs().for_each(|seq| found.add_late(seq));
                sink.put("arrivals", &key, value)?;
            }
            self.progress();
        }
        let damage = found.compare(id, listed.as_ref());
        let damage =
            damage.filter(|_| log.zip(listed.as_ref()).is_none_or(|(log, listed)| !is_being_removed(log, listed)));
        summary.add(found.row(), damage.as_ref());
        let row = match &damage {
            Some(_) => found.into_row(listed.as_ref()),
            None => listed.unwrap_or_else(|| found.into_row(None)),
        };
        if damage.is_none() && lanes.iter().any(|lane| !listed_lanes.contains(lane)) {
            self.tell_row("buckets", format!("the row of the bucket {start} of {id} does not name all of its packs"));
        }
        // Guessed widths may be wrong, but the eras stay in order.
        let open = eras.open.as_ref().map_or(Offset::MIN, |open| open.start);
        let era = widths.era(start).max(open);
        if eras.open.as_ref().is_none_or(|open| open.start != era) {
            self.finish_era(number, id, eras, sink)?;
        }
        let open = eras.open.get_or_insert_with(|| OpenEra { start: era, totals: Totals::default(), is_whole: true });
        open.totals = open.totals.with(Totals::from(&row));
        open.is_whole &= damage.is_none();
        sink.put("buckets", &keys::bucket(number, start), values::bucket(&row, lanes).into())?;
        if let Some(damage) = damage {
            self.holes_to = self.holes_to.max(row.counted_to);
            self.tell(Finding::Bucket(damage));
        }
        Ok(())
    }
}

/// Returns the lane and the events of a pack of `bucket`; `None` if it cannot be read, or is of another bucket.
fn read_pack(bucket: Bucket, key: &[u8], value: Bytes) -> Option<(Lane, Vec<EncodedEvent>)> {
    let key = PackKey::decode(key).ok()?;
    let events = unpack(value).ok()?;
    let is_first = events.first().is_some_and(|event| event.position() == key.first);
    let is_whole = is_first && events.iter().all(|event| bucket.contains(event.position().offset));
    is_whole.then_some((key.lane, events))
}
