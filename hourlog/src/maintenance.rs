//! Maintenance of an archive: reads everything in it and tells what is whole and what is not.
//!
//! [`check_store`] goes through any [`Store`], also a live one. The functions for a directory, with the feature
//! `embedded`, need no service and read around damage: `check_directory` changes nothing, `repair_directory` keeps
//! what can be read, `backup_directory` copies the archive of a running service, and `restore_directory` puts a
//! copy in place.
//!
//! All of them tell what they find as they go, one [`Finding`] at a time, so that an archive of any size is
//! checked in bounded memory.

mod tally;

use std::fmt;

use crate::{
    LogId, Offset, Position, Result, Seq,
    read::IndexWalk,
    store::{Bucket, BucketRow, LogRow, Scan, Store},
};

#[cfg(feature = "embedded")]
pub use crate::embedded::{
    backup::{BackedUp, backup_directory},
    check::check_directory,
    repair::{Repaired, repair_directory},
    restore::restore_directory,
};
pub(crate) use tally::{Tally, is_being_removed};

/// The logs of one request.
const LOGS_PER_PAGE: usize = 1_000;
/// The events of one request, and their bytes.
const EVENTS_PER_PAGE: usize = 4_000;
const BYTES_PER_PAGE: usize = 8 << 20;

/// One result of a check, told as soon as it is known.
///
/// ```
/// use hourlog::{Memory, maintenance::{Finding, check_store}};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let print = |finding| if let Finding::Bucket(damage) = finding { eprintln!("{damage}") };
/// assert!(check_store(&Memory::new(), print).await?.is_whole());
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// A file that cannot be read as a whole.
    File(FileDamage),
    /// A row, other than an event, that cannot be read.
    Row(RowDamage),
    /// A bucket that does not hold what its row counts.
    Bucket(BucketDamage),
    /// A log that has been read to its end.
    Log(LogSummary),
    /// The bytes that have been read.
    Progress {
        /// Read so far.
        read_bytes: u64,
        /// To be read.
        total_bytes: u64,
    },
}

/// A damaged file of an embedded archive.
///
/// ```
/// use hourlog::maintenance::FileDamage;
/// let damage = FileDamage {
///     file: "tables/3.jnl".to_owned(),
///     table: None,
///     detail: "bytes 100 to 200 cannot be read".to_owned(),
/// };
/// assert_eq!(damage.to_string(), "tables/3.jnl: bytes 100 to 200 cannot be read");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDamage {
    /// The file or folder, relative to the archive.
    pub file: String,
    /// The table that it belongs to; `None` for a journal, which holds writes to all of them.
    pub table: Option<String>,
    /// The unreadable part, and the messages that it may concern.
    pub detail: String,
}

impl fmt::Display for FileDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.table {
            Some(table) => write!(f, "{} (table {table}): {}", self.file, self.detail),
            None => write!(f, "{}: {}", self.file, self.detail),
        }
    }
}

/// A row that cannot be read.
///
/// ```
/// use hourlog::maintenance::RowDamage;
/// let damage = RowDamage { table: "logs", detail: "the settings of orders.eu are gone".to_owned() };
/// assert_eq!(damage.to_string(), "table logs: the settings of orders.eu are gone");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowDamage {
    /// The table.
    pub table: &'static str,
    /// The row, and what its loss means.
    pub detail: String,
}

impl fmt::Display for RowDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table {}: {}", self.table, self.detail)
    }
}

/// A bucket that does not hold what its row counts.
///
/// ```
/// use hourlog::{maintenance::BucketDamage, store::Widths};
/// let damage = BucketDamage {
///     log: "orders.eu".parse()?,
///     bucket: Widths::default().bucket("2018-02-04T10:20:00Z".parse()?),
///     events_counted: Some(100),
///     events_found: 60,
///     late_counted: Some(0),
///     late_found: 0,
///     unreadable: 0,
/// };
/// assert_eq!(damage.gone(), 40);
/// assert_eq!(damage.to_string(), "orders.eu 2018-02-04T10:00:00Z+1h: 40 of 100 events are gone");
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketDamage {
    /// The log.
    pub log: LogId,
    /// The bucket.
    pub bucket: Bucket,
    /// The number of events that the row of the bucket counts; `None` if the row is gone.
    pub events_counted: Option<u64>,
    /// The number of events that can be read.
    pub events_found: u64,
    /// The number of late events that arrived in the bucket's time, by its row; `None` if the row is gone.
    pub late_counted: Option<u64>,
    /// The number of entries in the list of these late events.
    pub late_found: u64,
    /// The number of events whose value cannot be decoded.
    pub unreadable: u64,
}

impl BucketDamage {
    /// Returns the number of events that are gone, as far as the row tells.
    pub fn gone(&self) -> u64 {
        self.events_counted.map_or(self.unreadable, |counted| counted.saturating_sub(self.events_found))
    }
}

impl fmt::Display for BucketDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: ", self.log, self.bucket)?;
        let found = self.events_found;
        match self.events_counted {
            None => write!(f, "its row is gone, with {found} events that can be read")?,
            Some(counted) if counted > found => write!(f, "{} of {counted} events are gone", counted - found)?,
            Some(counted) if counted < found => write!(f, "its row counts {counted} of {found} events")?,
            Some(_) if self.late_counted == Some(self.late_found) => {
                f.write_str("its row counts other bytes or times")?
            }
            Some(counted) => write!(f, "all {counted} events are there")?,
        }
        match self.late_counted {
            Some(counted) if counted > self.late_found => {
                write!(f, "; the list of late events lacks {} of {counted}", counted - self.late_found)
            }
            Some(counted) if counted < self.late_found => {
                write!(f, "; its row counts {counted} of {} late events", self.late_found)
            }
            _ => Ok(()),
        }
    }
}

/// The state of a log.
///
/// ```
/// use hourlog::maintenance::LogSummary;
/// let log = LogSummary { buckets: 2, events: 7, bytes: 70, ..LogSummary::new("orders.eu".parse()?) };
/// assert_eq!(log.to_string(), "orders.eu: whole, 7 events in 2 buckets");
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSummary {
    /// The log.
    pub log: LogId,
    /// The number of its buckets.
    pub buckets: u64,
    /// The number of damaged ones.
    pub damaged_buckets: u64,
    /// The number of events that can be read.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The number of events that are gone, as far as the index tells.
    pub gone: u64,
}

impl LogSummary {
    /// Creates the summary of an empty log.
    pub fn new(log: LogId) -> Self {
        Self { log, buckets: 0, damaged_buckets: 0, events: 0, bytes: 0, gone: 0 }
    }

    /// Adds a bucket in which `found` was found.
    pub(crate) fn add(&mut self, found: &BucketRow, damage: Option<&BucketDamage>) {
        self.buckets += 1;
        self.events += found.count;
        self.bytes += found.bytes;
        if let Some(damage) = damage {
            self.damaged_buckets += 1;
            self.gone += damage.gone();
        }
    }
}

impl fmt::Display for LogSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { log, buckets, damaged_buckets, events, gone, .. } = self;
        match damaged_buckets {
            0 => write!(f, "{log}: whole, {events} events in {buckets} buckets"),
            _ => write!(
                f,
                "{log}: {damaged_buckets} of {buckets} buckets are damaged; {events} events can be read, {gone} are gone"
            ),
        }
    }
}

/// The result of a check.
///
/// ```
/// use hourlog::maintenance::Summary;
/// assert!(Summary::default().is_whole());
/// assert!(!Summary { damaged_files: 1, ..Summary::default() }.is_whole());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// The number of logs.
    pub logs: u64,
    /// The number of logs with a damaged bucket.
    pub damaged_logs: u64,
    /// The number of buckets.
    pub buckets: u64,
    /// The number of damaged ones.
    pub damaged_buckets: u64,
    /// The number of events that can be read.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The number of events that are gone, as far as the index tells.
    pub gone: u64,
    /// The number of damages of files.
    pub damaged_files: u64,
    /// The number of rows, other than events, that cannot be read.
    pub damaged_rows: u64,
}

impl Summary {
    /// Returns true if nothing is damaged.
    pub fn is_whole(&self) -> bool {
        self.damaged_buckets == 0 && self.damaged_files == 0 && self.damaged_rows == 0
    }

    /// Adds a finding.
    pub(crate) fn add(&mut self, finding: &Finding) {
        match finding {
            Finding::File(_) => self.damaged_files += 1,
            Finding::Row(_) => self.damaged_rows += 1,
            Finding::Bucket(_) => self.damaged_buckets += 1,
            Finding::Log(log) => {
                self.logs += 1;
                self.damaged_logs += u64::from(log.damaged_buckets > 0);
                self.buckets += log.buckets;
                self.events += log.events;
                self.bytes += log.bytes;
                self.gone += log.gone;
            }
            Finding::Progress { .. } => {}
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { logs, buckets, events, .. } = self;
        let found = format!("{events} events in {buckets} buckets of {logs} logs");
        if self.is_whole() {
            return write!(f, "whole: {found}");
        }
        let Self { gone, damaged_buckets, damaged_files, damaged_rows, .. } = self;
        write!(
            f,
            "damaged: {found} can be read; {gone} events are gone; {damaged_buckets} buckets, {damaged_files} files \
             and {damaged_rows} other rows are damaged"
        )
    }
}

/// Reads every event of a store and compares it with the index.
///
/// Events that arrive meanwhile are left out: only those up to the seq that a row counts to are compared.
///
/// # Errors
/// The errors of the store, which include a row that cannot be read.
pub async fn check_store<S: Store>(store: &S, mut observe: impl FnMut(Finding)) -> Result<Summary> {
    let mut summary = Summary::default();
    let mut tell = |finding: Finding| {
        summary.add(&finding);
        observe(finding);
    };
    let mut after: Option<LogId> = None;
    loop {
        let logs = store.logs(after.as_ref(), LOGS_PER_PAGE).await?;
        let is_last = logs.len() < LOGS_PER_PAGE;
        after = logs.last().map(|(id, _)| id.clone());
        for (id, row) in logs {
            let mut log = LogSummary::new(id.clone());
            let mut index = IndexWalk::new(&id, Offset::MIN, Offset::MAX, false).of_all();
            while let Some(listed) = index.next(store).await? {
                let found = tally(store, &id, &row, &listed).await?;
                let damage = found.compare(&id, Some(&listed)).filter(|_| !is_being_removed(&row, &listed));
                log.add(found.row(), damage.as_ref());
                damage.map(Finding::Bucket).into_iter().for_each(&mut tell);
            }
            tell(Finding::Log(log));
        }
        if is_last {
            return Ok(summary);
        }
    }
}

/// Counts what a store holds of a bucket, up to the seq that its row counts to.
async fn tally<S: Store>(store: &S, id: &LogId, log: &LogRow, listed: &BucketRow) -> Result<Tally> {
    let mut found = Tally::new(listed.bucket);
    let is_counted = |seq: Seq| seq <= listed.counted_to && seq > listed.emptied_at.max(log.deleted_to);
    let mut from = Position::MIN;
    loop {
        let scan = Scan { from, to: Position::MAX, reverse: false, limit: EVENTS_PER_PAGE, bytes: BYTES_PER_PAGE };
        let events = store.events(id, listed.bucket, scan).await?;
        let Some(last) = events.last() else { break };
        let next = last.position().next();
        events.iter().filter(|event| is_counted(event.position().seq)).for_each(|event| found.add(event));
        from = next;
    }
    let mut after = Seq::MIN;
    loop {
        let late = store.late_events(id, listed.bucket, after, EVENTS_PER_PAGE, BYTES_PER_PAGE).await?;
        let Some(last) = late.last() else { return Ok(found) };
        after = last.position.seq;
        let seqs = late.iter().map(|late| late.position.seq);
        seqs.filter(|seq| *seq <= listed.counted_to).for_each(|seq| found.add_late(seq));
    }
}
