//! Copying an archive, also while a service writes to it.
//!
//! A second process cannot open the archive, and need not: the files of its tables never change, their manifests are
//! replaced by a rename, and the journals only grow. So hard links hold what makes up the archive at one moment, and
//! are copied in peace. The order matters: journals that exist before the tables are linked hold everything that is
//! not in the tables yet, and those that exist after it hold everything that is.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use bytes::Bytes;

use crate::{
    Error, ErrorKind, Result,
    maintenance::{Finding, Summary},
};

use super::{
    backup_links::{LINKS, LOCK, try_lock},
    check,
    directory_lock::DirectoryLock,
    files::{
        cannot_read,
        database::{Files, MARKER},
        exists, journal, manifest, no_archive,
    },
    swap,
    watermark::Watermark,
};

/// The attempts to link what changes meanwhile, and the pause between two.
const ATTEMPTS_MAX: usize = 1_000;
const PAUSE: Duration = Duration::from_millis(10);
/// The file of the database's lock.
const TABLES_LOCK: &str = "lock";

/// The result of a backup.
///
/// ```
/// use hourlog::{Embedded, maintenance::backup_directory};
/// let directory = tempfile::tempdir().expect("a temporary directory");
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let live = Embedded::open(directory.path().join("archive"))?;
/// let copy = directory.path().join("copy");
/// let backup = backup_directory(directory.path().join("archive"), &copy, |_| {})?;
/// assert!(backup.summary.is_whole());
/// assert!(Embedded::open(copy).is_ok());
/// # drop(live);
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackedUp {
    /// The number of files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The result of checking the copy.
    pub summary: Summary,
}

/// Copies the archive in `from` to the new directory `to`, and checks the copy.
///
/// The archive may be in use. The copy holds at least what was acknowledged before, and is what the archive was at
/// one moment. Nothing is written to the archive but a directory of links, which goes at the end.
///
/// # Errors
/// [`ErrorKind::NotFound`] if there is no archive, [`ErrorKind::Refused`] if `to` exists, or another backup is under
/// way, [`ErrorKind::Integrity`] if the copy is not whole, [`ErrorKind::Unavailable`] if a disk fails.
pub fn backup_directory(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    mut observe: impl FnMut(Finding),
) -> Result<BackedUp> {
    let (from, to) = (from.as_ref(), to.as_ref());
    swap::check_none(from)?;
    if !Files::are_in_use(from).map_err(|error| cannot_read(from, error))? {
        return Err(no_archive(from));
    }
    if exists(to) {
        let context = format!("{} exists; name a new directory for each backup", to.display());
        return Err(Error::new(ErrorKind::Refused, context));
    }
    let failed = |error: io::Error| {
        let context = format!("cannot copy the archive from {} to {}; check both disks", from.display(), to.display());
        Error::new(ErrorKind::Unavailable, context).because(error)
    };
    let links = from.join(LINKS);
    fs::create_dir_all(&links).map_err(failed)?;
    let _lock = lock(&links)?;
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".unfinished");
    let unfinished = to.with_file_name(name);
    let outcome = copy(from, &links, &unfinished, &mut observe).map_err(failed);
    let removed = fs::remove_dir_all(&links);
    let (files, bytes) = outcome?;
    removed.map_err(failed)?;
    let summary = check::check(&unfinished, &mut observe)?;
    if !summary.is_whole() {
        let (to, from) = (unfinished.display(), from.display());
        let context = format!(
            "the backup in {to} is not whole ({summary}), so it is not called done; see whether the archive is, with \
             `hourlogd check {from}`"
        );
        return Err(Error::new(ErrorKind::Integrity, context));
    }
    fs::rename(&unfinished, to).map_err(failed)?;
    if let Some(parent) = to.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        File::open(parent).and_then(|parent| parent.sync_all()).map_err(failed)?;
    }
    Ok(BackedUp { files, bytes, summary })
}

/// Makes sure that this is the only backup under way.
fn lock(links: &Path) -> Result<DirectoryLock> {
    try_lock(links).map_err(|error| cannot_read(links, error))?.ok_or_else(|| {
        Error::new(ErrorKind::Refused, "another backup of this archive is under way; wait until it has ended")
    })
}

/// Links the files of the archive, copies them to `to`, and syncs the copies. Returns their number and bytes.
fn copy(from: &Path, links: &Path, to: &Path, observe: &mut dyn FnMut(Finding)) -> io::Result<(u64, u64)> {
    for left in fs::read_dir(links)? {
        let left = left?.path();
        if left.is_dir() {
            fs::remove_dir_all(left)?
        } else if !left.ends_with(LOCK) {
            fs::remove_file(left)?
        }
    }
    if exists(to) {
        fs::remove_dir_all(to)?;
    }
    // The count is of before: what the copy must hold at least.
    let (_, watermark) = Watermark::open(from)?;
    let (tables, linked) = (from.join("tables"), links.join("tables"));
    fs::create_dir(&linked)?;
    link_journals(&tables, &linked)?;
    link(&tables.join(MARKER), &linked.join(MARKER))?;
    for entry in fs::read_dir(tables.join("keyspaces"))? {
        let entry = entry?;
        link_table(&entry.path(), &linked.join("keyspaces").join(entry.file_name()))?;
    }
    link_journals(&tables, &linked)?;
    let mut paths = Vec::new();
    list(&linked, &mut paths)?;
    let total_bytes = paths.iter().map(|path| Ok(path.metadata()?.len())).sum::<io::Result<u64>>()?;
    let (mut files, mut bytes) = (0, 0);
    let newest = paths.iter().rfind(|path| is_journal(path)).cloned();
    for path in paths {
        let is_newest = newest.as_ref() == Some(&path);
        let copy = to.join(path.strip_prefix(links).unwrap_or(&path));
        fs::create_dir_all(copy.parent().unwrap_or(to))?;
        bytes += if is_journal(&path) { copy_journal(&path, &copy, is_newest)? } else { fs::copy(&path, &copy)? };
        files += 1;
        observe(Finding::Progress { read_bytes: bytes, total_bytes });
    }
    File::create(to.join("tables").join(TABLES_LOCK))?;
    if let Some(batches) = watermark.and_then(|watermark| watermark.batches) {
        Watermark::open(to)?.0.write(batches, false)?;
    }
    swap::sync_all(to)?;
    Ok((files, bytes))
}

fn is_journal(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "jnl")
}

/// Links a file, unless it is linked already. Returns false if it does not exist any more.
fn link(from: &Path, to: &Path) -> io::Result<bool> {
    fs::create_dir_all(to.parent().unwrap_or(to))?;
    match fs::hard_link(from, to) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Links the journals. One that goes meanwhile is in the tables, which are linked later.
fn link_journals(tables: &Path, linked: &Path) -> io::Result<()> {
    for entry in fs::read_dir(tables)? {
        let path = entry?.path();
        if is_journal(&path) {
            link(&path, &linked.join(path.file_name().unwrap_or_default()))?;
        }
    }
    Ok(())
}

/// Links the files of a table as one manifest names them.
fn link_table(table: &Path, linked: &Path) -> io::Result<()> {
    for _ in 0..ATTEMPTS_MAX {
        if exists(linked) {
            fs::remove_dir_all(linked)?;
        }
        if link_manifest(table, linked)? {
            return Ok(());
        }
        // A compaction has replaced it.
        thread::sleep(PAUSE);
    }
    Err(io::Error::other(format!("the manifest of {} is damaged, or changes all the time", table.display())))
}

fn link_manifest(table: &Path, linked: &Path) -> io::Result<bool> {
    if !link(&table.join(manifest::CURRENT), &linked.join(manifest::CURRENT))? {
        return Ok(false);
    }
    let Some(version) = manifest::current_name(&fs::read(linked.join(manifest::CURRENT))?) else { return Ok(false) };
    if !link(&table.join(&version), &linked.join(&version))? {
        return Ok(false);
    }
    let Ok(manifest) = manifest::read(linked)? else { return Ok(false) };
    fs::create_dir_all(linked.join(manifest::FILES))?;
    for file in manifest.runs.iter().flatten() {
        let name = Path::new(manifest::FILES).join(file.id.to_string());
        if !link(&table.join(&name), &linked.join(&name))? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn list(directory: &Path, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    let entries = fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    for path in entries {
        if path.is_dir() { list(&path, paths)? } else { paths.push(path) }
    }
    // In the order of their numbers: what an older journal lacks must not be in a newer one.
    paths.sort_by_key(|path| {
        let number = path.file_stem().and_then(|name| name.to_str()?.parse::<u64>().ok());
        (is_journal(path), number, path.clone())
    });
    Ok(())
}

/// Copies the complete batches of a journal. The newest one may grow meanwhile.
fn copy_journal(from: &Path, to: &Path, is_newest: bool) -> io::Result<u64> {
    let mut bytes = Bytes::from(fs::read(from)?);
    let mut read = journal::read(&bytes, |_, _| {});
    // A part that was being written when it was read looks like a gap, until it is read again.
    for _ in 0..ATTEMPTS_MAX {
        if read.gaps.is_empty() {
            break;
        }
        thread::sleep(PAUSE);
        bytes = fs::read(from)?.into();
        let again = journal::read(&bytes, |_, _| {});
        if again.gaps == read.gaps {
            // It is damaged. The check of the copy tells so.
            return fs::copy(from, to);
        }
        read = again;
    }
    if !is_newest && !read.tail.is_empty() {
        // So is this one: a journal that is followed by another is complete.
        return fs::copy(from, to);
    }
    fs::write(to, &bytes[..read.end])?;
    Ok(read.end as u64)
}

#[cfg(test)]
mod tests {
    use super::super::backup_links::remove_left;
    use super::*;

    #[test]
    fn the_links_of_a_killed_backup_are_removed_and_those_of_a_running_one_stay() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let links = directory.path().join(LINKS);
        remove_left(directory.path()).expect("there is nothing to remove");
        fs::create_dir_all(links.join("tables")).expect("the directory can be created");
        let running = lock(&links).expect("no backup is under way");
        assert_eq!(lock(&links).err().map(|error| error.kind()), Some(ErrorKind::Refused));
        remove_left(directory.path()).expect("a backup that is under way is left alone");
        assert!(links.join("tables").exists());
        drop(running);
        remove_left(directory.path()).expect("the directory can be removed");
        assert!(!links.exists() && directory.path().exists());
    }
}
