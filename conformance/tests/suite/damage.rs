//! A damaged archive is noticed: it never looks complete with fewer events than were acknowledged.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use conformance::{
    samples::{self, Size, archived},
    servers::{copy_directory, replace_directory},
};
use hourlog::{
    Embedded, Seq,
    maintenance::{Finding, repair_directory},
    store::Store,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tempfile::TempDir;

#[tokio::test]
async fn an_archive_that_was_rolled_back_reports_what_is_missing_and_forgets_its_checkpoints() {
    let directory = TempDir::new().expect("a temporary directory can be created");
    let old = TempDir::new().expect("a temporary directory can be created");
    let store = Embedded::open(directory.path()).expect("the archive opens");
    store.write(vec![archived(1)]).await.expect("the archive accepts the write");
    drop(store);
    copy_directory(&directory.path().join("tables"), old.path());
    let store = Embedded::open(directory.path()).expect("the archive opens");
    assert_eq!(store.missing(), None);
    store.write(vec![archived(2)]).await.expect("the archive accepts the write");
    drop(store);
    replace_directory(old.path(), &directory.path().join("tables"));

    let store = Embedded::open(directory.path()).expect("the archive opens");
    let missing = store.missing().expect("a batch is missing");
    assert_eq!((missing.acknowledged, missing.found), (Some(2), 1));
    assert_eq!(store.sources("S").await.expect("the sources can be read")[0].1.checkpoint, Seq::ZERO);
    drop(store);
    // Reported once: the lost batch cannot be recovered.
    assert_eq!(Embedded::open(directory.path()).expect("the archive opens").missing(), None);
}

/// The number of bits to flip, one at a time, by the size of the archive.
const FLIPS: [(Size, u64); 2] = [(Size::Small, 160), (Size::Large, 40)];

/// Creates an archive of `size`, and closes it.
async fn archive(size: Size) -> TempDir {
    let directory = TempDir::new().expect("a temporary directory can be created");
    drop(samples::create(directory.path(), size).await.expect("the archive accepts the writes"));
    directory
}

/// Creates a large archive in another process, and kills that: closing an archive writes its journals into tables.
fn killed_archive() -> TempDir {
    let directory = TempDir::new().expect("a temporary directory can be created");
    let mut writer = Command::new(env!("CARGO_BIN_EXE_archive"));
    let writer = writer.arg("write").arg(directory.path()).stdout(Stdio::piped()).spawn();
    let mut writer = writer.expect("cargo builds the binary before the test");
    let said = writer.stdout.take().map(|said| BufReader::new(said).lines().next());
    writer.kill().and_then(|()| writer.wait()).expect("the process can be killed");
    assert!(matches!(&said, Some(Some(Ok(line))) if line == "written"), "{said:?}");
    directory
}

/// Reads the archive in another process. Returns what it prints, or its error.
fn read(directory: &Path) -> Result<String, String> {
    let read = Command::new(env!("CARGO_BIN_EXE_archive"))
        .arg("read")
        .arg(directory)
        .output()
        .expect("cargo builds the binary before the test");
    if read.status.success() {
        return Ok(String::from_utf8_lossy(&read.stdout).trim().to_owned());
    }
    let said = String::from_utf8_lossy(&read.stderr).into_owned();
    assert!(!said.is_empty(), "archive read ended with {} and without a message", read.status);
    Err(said)
}

/// Returns the files below `directory` and the used bytes of each; the rest of a journal is zeros.
fn files(directory: &Path) -> Vec<(PathBuf, u64)> {
    let mut files = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("the directory can be read") {
            let path = entry.expect("the directory can be read").path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let bytes = fs::read(&path).expect("the file can be read");
            let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1);
            files.push((path, used));
        }
    }
    files.sort();
    files
}

/// Flips a bit of the byte at `offset`, and returns the changed byte.
fn flip(path: &Path, offset: u64, bit: u8) -> u8 {
    let file = fs::File::options().read(true).write(true).open(path).expect("the file exists");
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).expect("the byte can be read");
    byte[0] ^= 1 << bit;
    file.write_all_at(&byte, offset).expect("the byte can be written");
    byte[0]
}

#[test]
fn damage_between_two_writes_of_a_journal_is_refused_and_repaired() {
    /// The bytes that end a batch of fjall. The next batch begins after them.
    const END_OF_A_BATCH: &[u8] = b"FJL\x03";
    let directory = killed_archive();
    let (first, used) = files(directory.path())
        .into_iter()
        .find(|(path, _)| path.extension().is_some_and(|extension| extension == "jnl"))
        .expect("the archive has a journal");
    let bytes = fs::read(&first).expect("the file can be read");
    assert!(used > 10_000_000, "the first journal holds {used} bytes, which are few batches");
    let middle = used as usize / 2;
    let end = bytes[middle..].windows(END_OF_A_BATCH.len()).position(|window| window == END_OF_A_BATCH);
    let next = middle + end.expect("a batch ends in the second half") + END_OF_A_BATCH.len();
    flip(&first, next as u64, 6);
    let found = read(directory.path());
    assert!(found.as_ref().is_err_and(|said| said.contains("hourlogd repair")), "{found:?}");
    // The damage costs one batch: 1,000 events with the index rows that count them, or a checkpoint.
    let mut told = Vec::new();
    let repaired = repair_directory(directory.path(), false, |finding| {
        if let Finding::File(damage) = finding {
            told.push(damage.to_string());
        }
    });
    let repaired = repaired.expect("the rest can be read");
    assert!([149_000, 150_000].contains(&repaired.before.events), "{:?}", repaired.before);
    assert!(told.iter().any(|text| text.contains("messages between sequences")), "{told:?}");
    let found = read(directory.path()).expect("the archive is repaired");
    assert!(found.starts_with(&format!("complete {} ", repaired.before.events)), "{found}");
}

#[tokio::test]
async fn a_flipped_byte_never_makes_an_incomplete_archive_look_complete() {
    let mut random = StdRng::seed_from_u64(42);
    let (mut harmless, mut reported, mut failed) = (0, 0, 0);
    for (size, flips) in FLIPS {
        let intact = archive(size).await;
        let files = files(intact.path());
        let expected = {
            let copy = TempDir::new().expect("a temporary directory can be created");
            copy_directory(intact.path(), copy.path());
            read(copy.path()).expect("the copy is not damaged")
        };
        assert!(expected.starts_with("complete "), "{expected}");
        let all: u64 = files.iter().map(|(_, used)| used).sum();
        for number in 0..flips {
            // Every other time any byte is equally likely. Otherwise any file is, so that small
            // ones are hit too.
            let (path, offset) = if number % 2 == 0 {
                let mut offset = random.random_range(0..all);
                let file = files.iter().find(|(_, used)| {
                    let is_inside = offset < *used;
                    offset -= if is_inside { 0 } else { *used };
                    is_inside
                });
                (&file.expect("the offset is in one of the files").0, offset)
            } else {
                let some: Vec<_> = files.iter().filter(|(_, used)| *used > 0).collect();
                let (path, used) = some[random.random_range(0..some.len())];
                (path, random.random_range(0..*used))
            };
            let copy = TempDir::new().expect("a temporary directory can be created");
            copy_directory(intact.path(), copy.path());
            let path = copy.path().join(path.strip_prefix(intact.path()).expect("every file is below the directory"));
            let flipped = flip(&path, offset, random.random_range(0..8));
            match read(copy.path()) {
                Ok(found) if found == expected => harmless += 1,
                Ok(found) => {
                    let change = format!("{}, byte {offset}, changed to {flipped}", path.display());
                    assert!(found.starts_with("missing "), "{size:?}, {change}: found {found}, expected {expected}");
                    reported += 1;
                }
                Err(said) => {
                    let change = format!("{}, byte {offset}, changed to {flipped}", path.display());
                    assert!(said.contains("hourlogd repair"), "{size:?}, {change}: {said}");
                    failed += 1;
                }
            }
        }
    }
    println!(
        "{harmless} changed nothing, {reported} were reported as incomplete, {failed} did not open or could not be read"
    );
    assert!(failed > 0);
}
