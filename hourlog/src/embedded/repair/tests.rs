use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::FileExt,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tempfile::TempDir;

use super::*;
use crate::{
    ArrivalCursor, Embedded, Offset, Position, Record, Seq,
    embedded::files::database::Files,
    maintenance::{BucketDamage, backup_directory, check_directory, check_store, restore_directory},
    random::Random,
    read::{ArrivalQuery, arrivals_page},
    store::{Arrival, EventRow, LogRow, Scan, Store, Width, Widths, Write},
    time::{HOUR, MINUTE},
};

const LOGS: [&str; 3] = ["a", "a-b", "orders.eu"];

fn id(name: &str) -> LogId {
    name.parse().expect("a valid id")
}

/// Returns the rows of one write: every seventh is an hour late.
fn rows(log: &str, batch: u64, random: &mut Random) -> Arc<[EventRow]> {
    let row = |number: u64| {
        let seq = Seq::new(
            1,
            1 + (batch * 20 + number) * LOGS.len() as u64
                + LOGS.iter().position(|name| *name == log).expect("a known log") as u64,
        );
        let time = Offset::from_nanos((1_000 + (batch * 20 + number) as i64) * MINUTE);
        let offset = if number.is_multiple_of(7) { time.saturating_add_nanos(-HOUR) } else { time };
        let data: Vec<u8> = (0..25).flat_map(|_| random.next().to_le_bytes()).collect();
        EventRow::new(&id(log), Arrival { offset, time, max_time: time, seq }, Record::new(data).with("kind", "paid"))
    };
    (0..20).map(row).collect()
}

type Writes = Vec<(LogId, Arc<[EventRow]>)>;

async fn write(store: &Embedded, writes: &Writes) -> Result<()> {
    for (log, rows) in writes {
        store.write(vec![Write::Events { log: log.clone(), rows: Arc::clone(rows), width: Width::default() }]).await?;
    }
    Ok(())
}

/// Creates an archive with files and journals, and returns what was written to it.
async fn archive() -> Result<(TempDir, Writes)> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = Embedded::open(directory.path())?;
    let mut random = Random(42);
    let mut all = Writes::new();
    for batch in 0..60 {
        let writes: Writes = LOGS.iter().map(|log| (id(log), rows(log, batch, &mut random))).collect();
        write(&store, &writes).await?;
        let time = Offset::from_nanos(batch as i64);
        let seq = Seq::new(1, batch + 1);
        store.write(vec![Write::Archived { stream: "S".into(), slot: 0, seq, time, max_time: time }]).await?;
        all.extend(writes);
        if batch % 20 == 10 {
            store
                .blocking(|tables| {
                    tables.all().into_iter().try_for_each(|table| table.rotate_memtable_and_wait().map_err(broken))
                })
                .await?;
        }
    }
    drop(store);
    Ok((directory, all))
}

fn copy(directory: &Path) -> TempDir {
    let copy = tempfile::tempdir().expect("a temporary directory");
    let copied = Command::new("cp").arg("-a").arg(directory.join(".")).arg(copy.path()).status();
    assert!(copied.expect("cp is installed").success());
    copy
}

type Events = BTreeMap<(LogId, Position), Record>;

fn events(writes: &Writes) -> Events {
    let rows = writes.iter().flat_map(|(log, rows)| rows.iter().map(move |row| (log, &row.event)));
    rows.map(|(log, event)| ((log.clone(), event.position), event.record.clone())).collect()
}

/// Reads every event in both orders. Fails if anything is damaged.
async fn read_all(store: &Embedded) -> Result<Events> {
    let summary = check_store(store, |_| {}).await?;
    assert!(summary.is_whole(), "{summary}");
    let mut found = Events::new();
    for (log, _) in store.logs(None, usize::MAX).await? {
        for row in store.buckets(&log, Offset::MIN..=Offset::MAX, false, usize::MAX).await? {
            let scan =
                Scan { from: Position::MIN, to: Position::MAX, reverse: false, limit: usize::MAX, bytes: usize::MAX };
            let events = store.events(&log, row.bucket, scan).await?;
            found.extend(events.into_iter().map(|event| ((log.clone(), event.position()), event.decode(&log).record)));
        }
        let query = ArrivalQuery { after: ArrivalCursor::FIRST, limit: 1_000_000, bytes: usize::MAX };
        arrivals_page(store, &log, &query, Seq::MAX).await?;
    }
    Ok(found)
}

/// Returns the files of an archive with the used bytes of each.
fn files(directory: &Path, found: &mut Vec<(PathBuf, u64)>) {
    for entry in fs::read_dir(directory).expect("the directory can be read") {
        let path = entry.expect("the directory can be read").path();
        if path.is_dir() {
            files(&path, found);
        } else {
            let bytes = fs::read(&path).expect("the file can be read");
            found.push((path, bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)));
        }
    }
    found.sort();
}

fn flip(path: &Path, at: u64, bit: u64) {
    let file = fs::File::options().read(true).write(true).open(path).expect("the file exists");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("the byte exists");
    file.write_all_at(&[byte[0] ^ (1 << bit)], at).expect("the byte can be written");
}

/// Repairs an archive, and compares what it says is gone with what is gone.
async fn repair_and_compare(directory: &Path, expected: &Events, case: &str) -> Result<Embedded> {
    let (mut buckets, mut journals) = (Vec::<BucketDamage>::new(), 0);
    let repaired = repair_directory(directory, false, |finding| match finding {
        Finding::Bucket(damage) => buckets.push(damage),
        Finding::File(damage) if damage.table.is_none() => journals += 1,
        _ => {}
    })?;
    assert!(check_directory(directory, |_| {})?.is_whole(), "{case}");
    let store = Embedded::open(directory)?;
    assert_eq!(store.missing(), None, "{case}");
    if repaired.aside.is_some() {
        assert!(store.sources("S").await?.iter().all(|(_, source)| source.checkpoint == Seq::ZERO), "{case}");
    }
    let found = read_all(&store).await?;
    assert!(found.iter().all(|(key, record)| expected.get(key) == Some(record)), "{case}: something is made up");
    let gone: Vec<_> = expected.keys().filter(|key| !found.contains_key(*key)).collect();
    let in_buckets = |(log, position): &(LogId, Position)| {
        buckets.iter().any(|damage| damage.log == *log && damage.bucket.contains(position.offset))
    };
    for damage in &buckets {
        let is_inside =
            |(log, position): &&(LogId, Position)| *log == damage.log && damage.bucket.contains(position.offset);
        let count = |keys: &mut dyn Iterator<Item = &(LogId, Position)>| keys.filter(is_inside).count() as u64;
        assert_eq!(damage.events_found, count(&mut found.keys()), "{case}: {damage}");
        if damage.events_counted == Some(count(&mut expected.keys())) {
            assert_eq!(damage.gone(), count(&mut gone.iter().copied()), "{case}: {damage}");
        } else {
            // An older row is in effect: the index is damaged, or a journal.
            assert!(journals > 0 || count(&mut gone.iter().copied()) == 0, "{case}: {damage}");
        }
    }
    // Where a journal lost both the events and their counts, the range of sequences is told.
    let told = gone.iter().filter(|key| in_buckets(key)).count();
    assert!(told == gone.len() || journals > 0, "{case}: {told} of {} are told", gone.len());
    Ok(store)
}

#[tokio::test]
async fn an_archive_with_a_flipped_bit_reads_whole_or_is_refused_and_repaired() -> Result<()> {
    const FLIPS: u64 = 30;
    let (directory, writes) = archive().await?;
    let expected = events(&writes);
    let mut all = Vec::new();
    files(directory.path(), &mut all);
    all.retain(|(_, used)| *used > 0);
    let mut random = Random(8);
    let (mut whole, mut refused, mut lost) = (0, 0, 0);
    for number in 0..FLIPS {
        // Every other time a large file is likely, then every file is.
        let (path, used) = match number % 2 {
            0 => all.iter().max_by_key(|(_, used)| random.below(*used)).expect("there are files"),
            _ => &all[random.below(all.len() as u64) as usize],
        };
        let (at, bit) = (random.below(*used), random.below(8));
        let damaged = copy(directory.path());
        let path = path.strip_prefix(directory.path()).expect("the file is in the archive");
        let case = format!("{}, byte {at}, bit {bit}", path.display());
        flip(&damaged.path().join(path), at, bit);

        let opened = match Embedded::open(damaged.path()) {
            Ok(store) => read_all(&store).await,
            Err(error) => Err(error),
        };
        match opened {
            Ok(found) => {
                assert!(found == expected, "{case}: {} of {} events", found.len(), expected.len());
                whole += 1;
                continue;
            }
            Err(error) => {
                let text = error.to_string();
                assert_eq!(error.kind(), ErrorKind::Integrity, "{case}: {error}");
                assert!(text.contains("hourlogd check") && text.contains("hourlogd repair"), "{case}: {text}");
                refused += 1;
            }
        }
        let store = repair_and_compare(damaged.path(), &expected, &case).await?;
        lost += u64::from(read_all(&store).await?.len() < expected.len());
        // The service reads the stream again.
        write(&store, &writes).await?;
        assert!(read_all(&store).await? == expected, "{case}: not all is there again");
    }
    assert!(whole > 0 && refused > 0 && lost > 0, "{whole} whole, {refused} refused, {lost} with a loss");
    Ok(())
}

#[tokio::test]
async fn a_whole_archive_is_checked_without_changing_it_and_needs_no_repair() -> Result<()> {
    let (directory, writes) = archive().await?;
    let state = || {
        let mut found = Vec::new();
        files(directory.path(), &mut found);
        found.into_iter().map(|(path, _)| (fs::read(&path).expect("the file can be read"), path)).collect::<Vec<_>>()
    };
    let before = state();
    let mut logs = Vec::new();
    let summary = check_directory(directory.path(), |finding| {
        if let Finding::Log(log) = finding {
            logs.push((log.log.to_string(), log.events));
        }
    })?;
    assert!(summary.is_whole(), "{summary}");
    assert_eq!(summary.events, events(&writes).len() as u64);
    assert_eq!(logs, LOGS.map(|log| (log.to_owned(), 1_200)));
    assert_eq!(repair_directory(directory.path(), true, |_| {})?.before, summary);
    assert!(before == state());

    let store = Embedded::open(directory.path())?;
    assert_eq!(check_directory(directory.path(), |_| {}).expect_err("it is open").kind(), ErrorKind::Refused);
    assert_eq!(repair_directory(directory.path(), false, |_| {}).expect_err("it is open").kind(), ErrorKind::Refused);
    drop(store);
    let nothing = tempfile::tempdir().expect("a temporary directory");
    assert_eq!(check_directory(nothing.path(), |_| {}).expect_err("it is empty").kind(), ErrorKind::NotFound);
    Ok(())
}

#[tokio::test]
async fn an_archive_that_lacks_the_folder_of_a_table_is_refused_and_repaired() -> Result<()> {
    let (directory, writes) = archive().await?;
    let expected = events(&writes);
    for number in 0..=11 {
        let damaged = copy(directory.path());
        fs::remove_dir_all(damaged.path().join(format!("tables/keyspaces/{number}"))).expect("the folder exists");
        let case = format!("folder {number}");
        let error = Embedded::open(damaged.path()).expect_err("a folder is missing");
        assert_eq!(error.kind(), ErrorKind::Integrity, "{case}");
        assert!(error.to_string().contains("hourlogd repair"), "{case}: {error}");
        let store = repair_and_compare(damaged.path(), &expected, &case).await?;
        write(&store, &writes).await?;
        assert!(read_all(&store).await? == expected, "{case}: not all is there again");
    }
    Ok(())
}

#[tokio::test]
async fn an_archive_of_another_format_is_refused_with_its_number() -> Result<()> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = Embedded::open(directory.path())?;
    store
        .blocking(|tables| {
            let mut batch = tables.batch();
            batch.insert(&tables.meta, "format", vec![2]);
            batch.commit().map_err(broken)
        })
        .await?;
    drop(store);
    let check = check_directory(directory.path(), |_| {}).expect_err("the format is another");
    for error in [Embedded::open(directory.path()).expect_err("the format is another"), check] {
        assert_eq!(error.kind(), ErrorKind::Integrity);
        assert!(error.to_string().contains("has format 2, but this version reads format 5"), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_repair_keeps_the_settings_of_logs_and_the_cursors_of_readers() -> Result<()> {
    let (directory, _) = archive().await?;
    let store = Embedded::open(directory.path())?;
    let cursor: ArrivalCursor = "a:5-42".parse()?;
    let row = store.log(&id("a")).await?.expect("the log exists");
    let kept = LogRow { retention: Some(std::time::Duration::from_secs(7)), widths: Widths::default(), ..row };
    let kept = kept.with_next_settings(Seq::new(1, 9_999_999));
    let change = crate::store::CursorChange::Advance(cursor);
    store.write(vec![Write::Settings(id("a"), kept.clone())]).await?;
    store.write(vec![Write::Cursor { log: id("a"), name: "mailer".to_owned(), change }]).await?;
    store.set_property("name", "value", None).await?;
    drop(store);
    let journal = fs::read_dir(directory.path().join("tables")).expect("the directory can be read");
    let journal = journal.map(|entry| entry.expect("the directory can be read").path());
    let journal = journal.filter(|path| path.extension().is_some_and(|extension| extension == "jnl")).min();
    flip(&journal.expect("there is a journal"), 30, 3);
    repair_directory(directory.path(), false, |_| {})?;
    let store = Embedded::open(directory.path())?;
    assert_eq!(store.log(&id("a")).await?, Some(kept));
    assert_eq!(store.cursor(&id("a"), "mailer").await?, Some(cursor));
    assert_eq!(store.property("name").await?.as_deref(), Some("value"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_holds_everything_acknowledged_before_and_is_a_prefix() -> Result<()> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let live = directory.path().join("live");
    let store = Embedded::open(&live)?;
    let acknowledged = Arc::new(AtomicU64::new(0));
    let (written, of_writer) = (Arc::clone(&acknowledged), store.clone());
    let writer = tokio::spawn(async move {
        let mut random = Random(5);
        for batch in 0_u64.. {
            let writes = vec![(id("a"), rows("a", batch, &mut random))];
            write(&of_writer, &writes).await?;
            written.store(batch + 1, Ordering::SeqCst);
            if batch % 50 == 49 {
                let rotate = |tables: &Arc<Tables>| {
                    tables.all().into_iter().try_for_each(|table| table.rotate_memtable_and_wait().map_err(broken))
                };
                of_writer.blocking(rotate).await?;
            }
        }
        Ok::<_, Error>(())
    });
    for number in 0..5 {
        while acknowledged.load(Ordering::SeqCst) < (number + 1) * 100 {
            tokio::task::yield_now().await;
        }
        let before = acknowledged.load(Ordering::SeqCst);
        let to = directory.path().join(format!("copy-{number}"));
        let (from, of_backup) = (live.clone(), to.clone());
        let backup = tokio::task::spawn_blocking(move || backup_directory(from, of_backup, |_| {}));
        let backup = backup.await.expect("the backup does not panic")?;
        assert!(backup.summary.events >= before * 20, "{} of {}", backup.summary.events, before * 20);
        let copy = Embedded::open(&to)?;
        assert_eq!(copy.missing(), None);
        // Every batch up to the last one is there as a whole.
        let found = read_all(&copy).await?;
        let mut seqs: Vec<u64> = found.keys().map(|(_, position)| position.seq.sequence()).collect();
        seqs.sort_unstable();
        let all: Vec<u64> = (0..seqs.len() as u64).map(|number| 1 + number * LOGS.len() as u64).collect();
        assert!(seqs == all && seqs.len().is_multiple_of(20), "{} events", seqs.len());
        assert!(!live.join("backup.links").exists());
    }
    writer.abort();
    let _ = writer.await;
    Ok(())
}

#[test]
fn nothing_is_created_where_no_archive_is() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let empty = place.path().join("empty");
    fs::create_dir(&empty).expect("the directory can be created");
    for directory in [place.path().join("typo"), empty.clone()] {
        let to = place.path().join("to");
        let errors = [
            repair_directory(&directory, false, |_| {}).err(),
            repair_directory(&directory, true, |_| {}).err(),
            backup_directory(&directory, &to, |_| {}).err(),
            restore_directory(&directory, &to, false, |_| {}).err(),
        ];
        assert!(errors.iter().flatten().filter(|error| error.kind() == ErrorKind::NotFound).count() == 4, "{errors:?}");
    }
    let found: Vec<_> = fs::read_dir(place.path())
        .expect("it can be read")
        .map(|entry| entry.expect("it can be read").path())
        .collect();
    assert_eq!(found, std::slice::from_ref(&empty));
    assert!(fs::read_dir(empty).expect("it can be read").next().is_none());
}

#[tokio::test]
async fn a_copy_is_checked_before_it_replaces_an_archive_which_is_kept() -> Result<()> {
    let (directory, writes) = archive().await?;
    let copy = directory.path().join("copy");
    backup_directory(directory.path(), &copy, |_| {})?;
    assert_eq!(backup_directory(directory.path(), &copy, |_| {}).expect_err("it exists").kind(), ErrorKind::Refused);
    let to = tempfile::tempdir().expect("a temporary directory");
    // One that is created while the copy is checked is found after it.
    let create = || drop(Embedded::open(to.path()).expect("an archive can be created"));
    let mut is_created = false;
    let create_once = |_| {
        if !std::mem::replace(&mut is_created, true) {
            create();
        }
    };
    let refused = restore_directory(&copy, to.path(), false, create_once).expect_err("an archive was created");
    assert!(refused.kind() == ErrorKind::Refused && Files::are_in_use(to.path()).expect("it can be read"), "{refused}");
    let refused = restore_directory(&copy, to.path(), false, |_| {}).expect_err("an archive is there");
    assert!(refused.kind() == ErrorKind::Refused && refused.to_string().contains("--replace"), "{refused}");
    let (_, aside) = restore_directory(&copy, to.path(), true, |_| {})?;
    assert!(aside.is_some_and(|aside| Embedded::open(aside).is_ok()));
    let store = Embedded::open(to.path())?;
    assert_eq!(store.missing(), None);
    assert!(read_all(&store).await? == events(&writes));

    let mut all = Vec::new();
    files(&copy, &mut all);
    let (largest, used) = all.into_iter().max_by_key(|(_, used)| *used).expect("there are files");
    flip(&largest, used / 3, 1);
    let other = to.path().join("other");
    let refused = restore_directory(&copy, &other, false, |_| {}).expect_err("the copy is damaged");
    assert!(refused.kind() == ErrorKind::Integrity && !other.join("tables").exists(), "{refused}");
    Ok(())
}
