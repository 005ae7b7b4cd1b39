//! The journals while they are read: detects whether fjall has read all of them.
//!
//! fjall reads a journal up to the first entry that it cannot decode, truncates the rest and continues with
//! the next journal. After a kill that is right: the rest was never acknowledged. After damage it is a silent
//! loss. So the journals get hard links while they are read. A truncation shows in the length of the linked
//! file, even if fjall has deleted the journal meanwhile.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// The content of journals, in bytes, that is too much to read at a start.
pub(super) const LONG_JOURNALS_BYTES: u64 = 8 << 20;
/// The directory of the tables, which also holds the journals.
const TABLES: &str = "tables";
/// The name of an empty journal until it takes the place of another.
const EMPTY: &str = "empty";
/// The directory of the links. It exists while an archive is opened, and after an interrupted opening.
const LINKS: &str = "journals";
/// The bytes of one read when a journal is searched backwards from its end.
const SEARCH_BYTES: u64 = 1 << 20;
/// The unit in which a system counts what a file takes.
const BLOCK_BYTES: u64 = 512;
/// The content of a part that was only allocated. Most of a journal may be.
static ZEROS: [u8; SEARCH_BYTES as usize] = [0; SEARCH_BYTES as usize];

/// Journals that are about to be read.
#[derive(Debug)]
pub(super) struct Journals {
    directory: PathBuf,
    /// By number: the link, and the end of the content. Zeros follow it, which were allocated for later
    /// writes.
    links: Vec<(u64, PathBuf, u64)>,
}

/// The content that was truncated from journals when they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Truncated {
    /// True if an older journal lost content. It had been read before, or was complete.
    pub(super) older: bool,
    /// The bytes from the newest journal. It ends in an unfinished write, unless the archive was closed
    /// cleanly.
    pub(super) newest_bytes: u64,
}

impl Journals {
    /// Links the journals of the archive in `directory`, which no other process may have open.
    ///
    /// Keeps the links of an interrupted opening.
    pub(super) fn link(directory: &Path) -> io::Result<Self> {
        let links_directory = directory.join(LINKS);
        fs::create_dir_all(&links_directory)?;
        let mut links = Vec::new();
        for path in files(&links_directory)? {
            // The link's name holds the end of the content, because the file may have been truncated since.
            let parsed = || {
                let (number, end) = path.file_stem()?.to_str()?.split_once('-')?;
                Some((number.parse().ok()?, end.parse().ok()?))
            };
            match parsed() {
                Some((number, end)) => links.push((number, path, end)),
                None => fs::remove_file(path)?,
            }
        }
        for (number, path) in journals(directory)? {
            if links.iter().any(|(linked, _, _)| *linked == number) {
                continue;
            }
            let end = content_end(&mut File::open(&path)?)?;
            let link = links_directory.join(format!("{number}-{end}.jnl"));
            // Without hard links, only the count of batches detects damage.
            if fs::hard_link(&path, &link).is_ok() {
                links.push((number, link, end));
            }
        }
        File::open(&links_directory)?.sync_all()?;
        links.sort_unstable();
        Ok(Self { directory: links_directory, links })
    }

    /// Returns the content that was truncated since the links were made.
    pub(super) fn truncated(&self) -> io::Result<Truncated> {
        let mut truncated = Truncated { older: false, newest_bytes: 0 };
        for (at, (_, path, end)) in self.links.iter().enumerate() {
            let lost = end.saturating_sub(fs::metadata(path)?.len());
            if at + 1 == self.links.len() {
                truncated.newest_bytes = lost;
            } else {
                truncated.older |= lost > 0;
            }
        }
        Ok(truncated)
    }

    /// Removes the links, once a truncation has been handled.
    pub(super) fn unlink(self) -> io::Result<()> {
        fs::remove_dir_all(&self.directory)
    }
}

/// Returns the bytes that the content of all journals of an archive takes on the disk. What was allocated for later
/// writes takes nothing.
pub(super) fn used_bytes(directory: &Path) -> io::Result<u64> {
    journals(directory)?.iter().map(|(_, path)| Ok(fs::metadata(path)?.blocks() * BLOCK_BYTES)).sum()
}

/// Empties the journals of the archive in `directory`, which no process may have open. Their content is in the tables.
///
/// A journal is never changed, because a backup may have a link to it. An empty one takes the place of the newest:
/// without any, fjall would number its writes from 0 again.
pub(super) fn empty(directory: &Path) -> io::Result<()> {
    // Links of an interrupted opening hold the ends that the journals must have.
    if directory.join(LINKS).try_exists()? {
        return Ok(());
    }
    let mut journals = journals(directory)?;
    let Some((_, newest)) = journals.pop() else { return Ok(()) };
    for (_, older) in journals {
        fs::remove_file(older)?;
    }
    let tables = directory.join(TABLES);
    let empty = tables.join(EMPTY);
    File::create(&empty)?.sync_all()?;
    fs::rename(empty, newest)?;
    File::open(tables)?.sync_all()
}

/// Lists the journals of an archive by their numbers.
fn journals(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let number = |path: &Path| path.file_name()?.to_str()?.strip_suffix(".jnl")?.parse::<u64>().ok();
    let files = files(&directory.join(TABLES))?;
    let mut journals: Vec<_> = files.into_iter().filter_map(|path| Some((number(&path)?, path))).collect();
    journals.sort_unstable();
    Ok(journals)
}

/// Lists the files in a directory; none if it does not exist.
fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>()?;
    Ok(paths.into_iter().filter(|path| path.is_file()).collect())
}

/// Returns the end of the last byte that is not 0.
pub(super) fn content_end(file: &mut File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut part = Vec::new();
    while end > 0 {
        let from = end.saturating_sub(SEARCH_BYTES);
        file.seek(SeekFrom::Start(from))?;
        part.clear();
        file.take(end - from).read_to_end(&mut part)?;
        // Comparing is much faster than searching.
        if part == ZEROS[..part.len()] {
            end = from;
            continue;
        }
        if let Some(at) = part.iter().rposition(|byte| *byte != 0) {
            return Ok(from + at as u64 + 1);
        }
        end = from;
    }
    Ok(0)
}
