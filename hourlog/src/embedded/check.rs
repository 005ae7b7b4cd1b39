//! Reading a whole archive around its damage, row by row, and comparing its events with its index.

mod parts;

use std::{collections::BTreeMap, io, path::Path, sync::PoisonError};

use bytes::Bytes;

use crate::{
    LogId, Offset, Result, Seq,
    maintenance::{Finding, LogSummary, RowDamage, Summary, Tally, is_being_removed},
    store::{Bucket, BucketRow, LogRow},
};

use super::{
    files::{
        cannot_read,
        database::{Files, Journaled},
        disk_failed, no_archive,
    },
    keys, recovery, swap,
    tables::{BATCHES, FORMAT, other_format},
    values,
    watermark::Watermark,
};

use parts::{Guess, Parts, Table};

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
        let mut logs = self.table("logs")?;
        let mut deletions = self.table("deletions")?;
        let mut eras = self.table("eras")?;
        let mut parts =
            Parts { buckets: self.table("buckets")?, events: self.table("events")?, late: self.table("arrivals")? };
        loop {
            let ids = [logs.log(), parts.buckets.log(), parts.events.log(), parts.late.log()];
            let Some(id) = ids.into_iter().flatten().min().map(<[u8]>::to_vec) else { break };
            while deletions.log().is_some_and(|head| head <= &id[..]) {
                self.deletion(&mut deletions, sink)?;
            }
            let stored = match logs.log() {
                Some(head) if head == id => logs.advance().map_err(disk_failed)?.map(|(_, value)| value),
                _ => None,
            };
            let Ok(log) = keys::log(&id) else {
                let text = String::from_utf8_lossy(&id).into_owned();
                self.tell_row("logs", format!("{text:?} is not the id of a log; its rows are left out"));
                while parts.any_of(&id) {
                    parts.skip(&id)?;
                }
                continue;
            };
            self.log(&log, stored, &mut parts, sink)?;
        }
        while deletions.head.is_some() {
            self.deletion(&mut deletions, sink)?;
        }
        // The eras follow from the buckets. Reading them only finds damage in their files.
        while eras.advance().map_err(disk_failed)?.is_some() {
            self.progress();
        }
        Ok(())
    }

    fn deletion(&mut self, deletions: &mut Table, sink: &mut dyn Sink) -> Result<()> {
        let Some((key, value)) = deletions.advance().map_err(disk_failed)? else { return Ok(()) };
        if keys::log(&key).is_ok() && keys::last_seq(&value).is_ok() {
            return sink.put("deletions", &key, value);
        }
        self.tell_row("deletions", format!("the row {:?} cannot be read", String::from_utf8_lossy(&key)));
        Ok(())
    }

    fn log(&mut self, id: &LogId, stored: Option<Bytes>, parts: &mut Parts, sink: &mut dyn Sink) -> Result<()> {
        let row = stored.as_ref().and_then(|value| values::read_log(value).ok());
        if row.is_none() {
            let detail = format!("the settings of {id} are gone: set its retention and its width again");
            self.tell_row("logs", detail);
        }
        let mut guess = Guess::default();
        let mut summary = LogSummary::new(id.clone());
        let (mut last_era, key) = (None, id.as_str().as_bytes());
        while let Some(start) = parts.next_bucket(key) {
            self.bucket(id, start, row.as_ref(), &mut guess, parts, &mut summary, &mut last_era, sink)?;
        }
        // Rows with a key that cannot be read are at the end of a log's, or hide among the others.
        while parts.any_of(key) {
            let table = parts.skip(key)?;
            self.tell_row(table, format!("a row of {id} cannot be read"));
        }
        let stored = stored.filter(|_| row.is_some()).unwrap_or_else(|| values::log(&guess.log()).into());
        sink.put("logs", key, stored)?;
        if summary.damaged_buckets > 0 {
            self.damaged_logs.push(id.clone());
        }
        self.tell(Finding::Log(summary));
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "one step of the walk through a log, split off to be read alone")]
    fn bucket(
        &mut self,
        id: &LogId,
        start: Offset,
        log: Option<&LogRow>,
        guess: &mut Guess,
        parts: &mut Parts,
        summary: &mut LogSummary,
        last_era: &mut Option<Offset>,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        let key = id.as_str().as_bytes();
        let (mut listed, mut listed_era) = (None, None);
        if parts.buckets.number(key, 1) == Some(start) {
            listed_era = parts.buckets.number(key, 0);
            let stored = parts.buckets.advance().map_err(disk_failed)?;
            listed = stored.and_then(|(_, value)| values::read_bucket(start, &value).ok());
        }
        let guessed = guess.widths();
        let widths = log.map_or(&guessed, |log| &log.widths);
        let bucket = listed.as_ref().map_or_else(|| widths.bucket(start), |row: &BucketRow| row.bucket);
        let bucket = Bucket { start, ..bucket };
        guess.see(bucket);
        let emptied_at = listed.as_ref().map_or(Seq::MIN, |row| row.emptied_at);
        let deleted_to = log.map_or(emptied_at, |log| emptied_at.max(log.deleted_to));
        let mut found = Tally::new(bucket);
        while parts.events.number(key, 0) == Some(start) {
            let Some((key, value)) = parts.events.advance().map_err(disk_failed)? else { break };
            let Ok(position) = keys::last_position(&key) else {
                found.add_unreadable();
                continue;
            };
            if position.seq <= deleted_to {
                continue;
            }
            match values::read_event(id, position, value.clone()) {
                Ok(event) if bucket.contains(position.offset) => {
                    found.add(&event);
                    guess.see_time(event.arrival_time());
                    sink.put("events", &key, value)?;
                }
                _ => found.add_unreadable(),
            }
            self.progress();
        }
        while parts.late.number(key, 0) == Some(start) {
            let Some((key, value)) = parts.late.advance().map_err(disk_failed)? else { break };
            if let (Ok(seq), Ok(_)) = (keys::last_seq(&key), keys::last_offset(&value)) {
                found.add_late(seq);
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
        // Keys come in order. A guessed era may be wrong: no reader looks at it, but for the order of the buckets.
        let era = listed_era.unwrap_or_else(|| widths.era(start)).max(last_era.unwrap_or(Offset::MIN));
        if *last_era != Some(era) {
            sink.put("eras", &keys::era(id, era), Bytes::new())?;
            *last_era = Some(era);
        }
        sink.put("buckets", &keys::bucket(id, era, start), values::bucket(&row).into())?;
        if let Some(damage) = damage {
            self.holes_to = self.holes_to.max(row.counted_to);
            self.tell(Finding::Bucket(damage));
        }
        Ok(())
    }
}
