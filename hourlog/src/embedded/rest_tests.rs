//! An archive that rests or is closed: little is in memory, and nothing is left to read at the next start.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tempfile::TempDir;

use super::{
    Embedded,
    journals::{self, LONG_JOURNALS_BYTES},
};
use crate::{
    LogId, Offset, Position, Record, Result, Seq,
    maintenance::{check_directory, check_store},
    random::Random,
    read::{Query, page},
    store::{Arrival, EventRow, Store, Width, Write},
};

/// The time in which an archive must rest. A disk needs some of it.
const WAIT_MAX: Duration = Duration::from_secs(60);
const EVENT_BYTES: usize = 64 << 10;
/// Events that are more than an archive leaves in its journals.
const EVENTS: u64 = 2 * LONG_JOURNALS_BYTES / EVENT_BYTES as u64;

fn log() -> LogId {
    "orders.eu".parse().expect("a valid id")
}

/// Writes event `number`, which does not compress.
async fn write(store: &Embedded, number: u64) -> Result<()> {
    let mut random = Random(number + 1);
    let data: Vec<u8> = (0..EVENT_BYTES / 8).flat_map(|_| random.next().to_le_bytes()).collect();
    let at = Offset::from_nanos(number as i64);
    let arrival = Arrival { offset: at, time: at, max_time: at, seq: Seq::new(1, number + 1) };
    let rows = Arc::new([EventRow::new(&log(), arrival, Record::new(data))]);
    store.write(vec![Write::Events { log: log(), rows, width: Width::default() }]).await
}

/// Returns the number of events that the archive in `directory` holds when it is opened. It must have lost none.
async fn count(directory: &Path) -> Result<u64> {
    let summary = check_directory(directory, |_| {})?;
    assert!(summary.is_whole(), "{summary}");
    let store = Embedded::open(directory)?;
    assert_eq!(store.missing(), None);
    let summary = check_store(&store, |_| {}).await?;
    assert!(summary.is_whole(), "{summary}");
    Ok(store.totals(&log()).await?.count)
}

fn used_bytes(directory: &Path) -> u64 {
    journals::used_bytes(directory).expect("the journals can be read")
}

/// Returns the files below `directory` with their lengths and the times of their last changes.
fn files(directory: &Path) -> io::Result<BTreeMap<PathBuf, (u64, SystemTime)>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let (entry, path) = entry.map(|entry| (entry.metadata(), entry.path()))?;
        match entry? {
            metadata if metadata.is_dir() => files.extend(self::files(&path)?),
            metadata => drop(files.insert(path, (metadata.len(), metadata.modified()?))),
        }
    }
    Ok(files)
}

/// Returns a copy of an open archive as a kill would leave it: of one moment.
///
/// The archive merges its files and deletes old ones meanwhile. A copy during which that happened
/// is of no moment, and another is made.
async fn copy(directory: &Path) -> TempDir {
    let begun = Instant::now();
    while begun.elapsed() < WAIT_MAX {
        let copy = tempfile::tempdir().expect("a temporary directory");
        let before = files(directory);
        let copied = Command::new("cp").arg("-a").arg(directory.join(".")).arg(copy.path()).output();
        let is_copied = copied.expect("cp is installed").status.success();
        if is_copied && before.is_ok_and(|before| files(directory).is_ok_and(|after| after == before)) {
            return copy;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("an archive that rests goes on to change its files");
}

#[tokio::test]
async fn an_archive_that_rests_has_nothing_in_memory_and_needs_no_journal_after_a_kill() -> Result<()> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = Embedded::open(directory.path())?;
    for number in 0..EVENTS {
        write(&store, number).await?;
    }
    let begun = Instant::now();
    while store.blocking(|tables| Ok(tables.unwritten_bytes())).await? > 0 {
        assert!(begun.elapsed() < WAIT_MAX, "an archive that rests keeps its writes in memory");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let killed = copy(directory.path()).await;
    let before = used_bytes(killed.path());
    assert_eq!(count(killed.path()).await?, EVENTS);
    let after = used_bytes(killed.path());
    assert!(before > LONG_JOURNALS_BYTES && after < LONG_JOURNALS_BYTES / 8, "{before} bytes, then {after}");

    // Later writes are only in the journals, beside what was there at the rest.
    write(&store, EVENTS).await?;
    let killed = copy(directory.path()).await;
    assert_eq!(count(killed.path()).await?, EVENTS + 1);
    // An archive whose journals were emptied takes writes as any other.
    let store = Embedded::open(killed.path())?;
    write(&store, EVENTS + 1).await?;
    drop(store);
    assert_eq!(count(killed.path()).await?, EVENTS + 2);
    Ok(())
}

#[tokio::test]
async fn an_archive_with_long_journals_is_closed_with_empty_ones_and_a_link_to_them_keeps_its_content() -> Result<()> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = Embedded::open(directory.path())?;
    write(&store, 0).await?;
    drop(store);
    let short = used_bytes(directory.path());
    assert!(short > EVENT_BYTES as u64, "a few writes are not worth a file of their own");

    let store = Embedded::open(directory.path())?;
    let journal = fs::read_dir(directory.path().join("tables")).expect("the directory can be read");
    let mut paths = journal.map(|entry| entry.expect("the directory can be read").path());
    let journal = paths.find(|path| path.extension().is_some_and(|extension| extension == "jnl"));
    let link = directory.path().join("linked");
    fs::hard_link(journal.expect("an archive has a journal"), &link).expect("the disk has links");
    for number in 1..EVENTS {
        write(&store, number).await?;
    }
    drop(store);
    assert_eq!(used_bytes(directory.path()), 0);
    assert!(fs::metadata(&link).expect("the link exists").len() > LONG_JOURNALS_BYTES);
    for _ in 0..2 {
        assert_eq!(count(directory.path()).await?, EVENTS);
    }
    let store = Embedded::open(directory.path())?;
    write(&store, EVENTS).await?;
    let newest = Query { from: Position::at(Offset::from_nanos(EVENTS as i64)), ..Query::ALL };
    assert_eq!(page(&store, &log(), &newest, Seq::MAX).await?.events.len(), 1);
    drop(store);
    assert_eq!(count(directory.path()).await?, EVENTS + 1);
    Ok(())
}
