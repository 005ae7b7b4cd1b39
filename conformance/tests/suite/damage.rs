//! A damaged archive says so: it is never taken for whole with less in it than was acknowledged.

use std::{
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
};

use conformance::{
    guard::log_id,
    kit::at,
    rows::{self, Rows},
    servers::{copy_directory, replace_directory},
};
use hourlog::{Embedded, HOUR, MINUTE, Offset, Record, Row, Seq, Store, Write};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tempfile::TempDir;

#[tokio::test]
async fn an_archive_that_was_put_back_says_what_is_missing_and_forgets_its_places() {
    let directory = TempDir::new().expect("a directory can be made");
    let old = TempDir::new().expect("a directory can be made");
    let store = Embedded::open(directory.path()).expect("it opens");
    store.write(vec![archived(1)]).await.expect("it is written");
    drop(store);
    copy_directory(&directory.path().join("tables"), old.path());
    let store = Embedded::open(directory.path()).expect("it opens");
    assert_eq!(store.missing(), None);
    store.write(vec![archived(2)]).await.expect("it is written");
    drop(store);
    replace_directory(old.path(), &directory.path().join("tables"));

    let store = Embedded::open(directory.path()).expect("it opens");
    let missing = store.missing().expect("a batch is missing");
    assert_eq!((missing.acknowledged, missing.found), (Some(2), 1));
    assert_eq!(store.sources("S").await.expect("the sources")[0].1.cursor, 0);
    drop(store);
    // Said once: what is not there any more will not come back.
    assert_eq!(Embedded::open(directory.path()).expect("it opens").missing(), None);
}

/// Places at which a byte is flipped: of an archive that fits into its journal, and of one that has tables and several journals.
const FLIPS: [(Size, u64); 2] = [(Size::Small, 160), (Size::Large, 40)];

#[derive(Debug, Clone, Copy)]
enum Size {
    Small,
    Large,
}

/// An archive of `size`, closed, with the places of a source in it.
async fn archive(size: Size) -> TempDir {
    let directory = TempDir::new().expect("a directory can be made");
    let store = Embedded::open(directory.path()).expect("it opens");
    let (batches, events, bytes) = match size {
        Size::Small => (200, 10, 100),
        Size::Large => (150, 1_000, 1_000),
    };
    let mut random = StdRng::seed_from_u64(7);
    let mut source = Rows::new(log_id());
    for batch in 1..=batches {
        let rows: Vec<Row> = (0..events)
            .map(|event| {
                let now = at("10:00:00").saturating_add_nanos((batch * events + event) * MINUTE / 20);
                let late = if event % 7 == 0 { now.saturating_add_nanos(-HOUR) } else { now };
                let data: Vec<u8> = (0..bytes).map(|_| random.random()).collect();
                source.arrived(late, now, Record::new(data))
            })
            .collect();
        rows::write(&store, &log_id(), &rows).await.expect("it is written");
        store.write(vec![archived(batch)]).await.expect("it is written");
    }
    directory
}

fn archived(seq: Seq) -> Write {
    let time = Offset::from_nanos(seq);
    Write::Archived { stream: "S".into(), slot: 0, seq, time, high: time }
}

/// What a process that reads the archive finds, or how it says that it cannot.
fn read(directory: &Path) -> Result<String, String> {
    let read = Command::new(env!("CARGO_BIN_EXE_read-archive")).arg(directory).output().expect("the binary is there");
    if read.status.success() {
        return Ok(String::from_utf8_lossy(&read.stdout).trim().to_owned());
    }
    let said = String::from_utf8_lossy(&read.stderr).into_owned();
    assert!(!said.is_empty(), "it ended with {} and said nothing", read.status);
    Err(said)
}

/// The files below `directory`, with how many of their bytes are used: behind those, journals have room.
fn files(directory: &Path) -> Vec<(PathBuf, u64)> {
    let mut files = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("it can be read") {
            let path = entry.expect("it can be read").path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let bytes = fs::read(&path).expect("it can be read");
            let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1);
            files.push((path, used));
        }
    }
    files.sort();
    files
}

/// Flips a bit of the byte at `place`. Answers what the byte is now.
fn flip(path: &Path, place: u64, bit: u8) -> u8 {
    let file = fs::File::options().read(true).write(true).open(path).expect("it is there");
    let mut byte = [0];
    file.read_exact_at(&mut byte, place).expect("it can be read");
    byte[0] ^= 1 << bit;
    file.write_all_at(&byte, place).expect("it can be written");
    byte[0]
}

#[tokio::test]
async fn damage_between_two_writes_of_a_finished_journal_is_said() {
    /// What fjall ends a batch with; the next one begins behind it.
    const END_OF_A_BATCH: &[u8] = b"FJL\x03";
    let directory = archive(Size::Large).await;
    let (first, used) = files(directory.path())
        .into_iter()
        .find(|(path, _)| path.extension().is_some_and(|extension| extension == "jnl"))
        .expect("there is a journal");
    let bytes = fs::read(&first).expect("it can be read");
    assert!(used > 60_000_000, "the first journal is finished");
    let middle = used as usize / 2;
    let end = bytes[middle..].windows(END_OF_A_BATCH.len()).position(|window| window == END_OF_A_BATCH);
    let next = middle + end.expect("a batch ends in the other half") + END_OF_A_BATCH.len();
    flip(&first, next as u64, 6);
    let found = read(directory.path());
    assert!(found.as_ref().is_ok_and(|found| found.starts_with("missing ")), "{found:?}");
}

#[tokio::test]
async fn a_flipped_byte_is_never_taken_for_a_whole_archive_with_less_in_it() {
    let mut random = StdRng::seed_from_u64(42);
    let (mut harmless, mut said, mut refused) = (0, 0, 0);
    for (size, flips) in FLIPS {
        let good = archive(size).await;
        let files = files(good.path());
        let whole = {
            let copy = TempDir::new().expect("a directory can be made");
            copy_directory(good.path(), copy.path());
            read(copy.path()).expect("nothing is damaged yet")
        };
        assert!(whole.starts_with("whole "), "{whole}");
        let all: u64 = files.iter().map(|(_, used)| used).sum();
        for number in 0..flips {
            // Of every other flip the place is drawn among all bytes, else the file first: small ones matter as much.
            let (path, place) = if number % 2 == 0 {
                let mut place = random.random_range(0..all);
                let file = files.iter().find(|(_, used)| {
                    let here = place < *used;
                    place -= if here { 0 } else { *used };
                    here
                });
                (&file.expect("the place is in one of them").0, place)
            } else {
                let some: Vec<_> = files.iter().filter(|(_, used)| *used > 0).collect();
                let (path, used) = some[random.random_range(0..some.len())];
                (path, random.random_range(0..*used))
            };
            let copy = TempDir::new().expect("a directory can be made");
            copy_directory(good.path(), copy.path());
            let path = copy.path().join(path.strip_prefix(good.path()).expect("it is below"));
            let flipped = flip(&path, place, random.random_range(0..8));
            match read(copy.path()) {
                Ok(found) if found == whole => harmless += 1,
                Ok(found) => {
                    let place = format!("{}, byte {place}, to {flipped}", path.display());
                    assert!(found.starts_with("missing "), "{size:?}, {place}: {found}, not {whole}");
                    said += 1;
                }
                Err(_) => refused += 1,
            }
        }
    }
    println!(
        "{harmless} did no harm, {said} were said to have lost something, {refused} did not open or could not be read"
    );
    assert!(said > 0 && refused > 0);
}
