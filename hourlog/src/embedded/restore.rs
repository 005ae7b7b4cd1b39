//! Putting a copy of an archive in place.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    Error, ErrorKind, Result,
    maintenance::{Finding, Summary},
};

use super::{
    check,
    files::{cannot_read, database::Files},
    recovery, swap,
};

/// Checks the copy in `from`, and copies it to `to`. Returns what the check found, and the directory that an archive
/// in `to` was moved to: with `replace`, one may be there.
///
/// ```
/// use hourlog::{Embedded, maintenance::{backup_directory, restore_directory}};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let directory = tempfile::tempdir().expect("a temporary directory");
/// let [archive, copy] = ["archive", "copy"].map(|name| directory.path().join(name));
/// drop(Embedded::open(&archive)?);
/// backup_directory(&archive, &copy, |_| {})?;
/// assert!(restore_directory(&copy, &archive, false, |_| {}).is_err()); // there is an archive
/// let (_, aside) = restore_directory(&copy, &archive, true, |_| {})?;
/// assert!(aside.is_some());
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
///
/// # Errors
/// [`ErrorKind::Integrity`] if the copy is not whole, [`ErrorKind::Refused`] if `to` holds an archive and `replace`
/// is false, or if a service has one of them open, [`ErrorKind::Unavailable`] if a disk fails.
pub fn restore_directory(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    replace: bool,
    observe: impl FnMut(Finding),
) -> Result<(Summary, Option<PathBuf>)> {
    let (from, to) = (from.as_ref(), to.as_ref());
    let cannot = |error| cannot_read(to, error);
    let check_free = || {
        if replace || !Files::are_in_use(to).map_err(cannot)? {
            return Ok(());
        }
        let context =
            format!("{} holds an archive; restore to another directory, or move it aside with --replace", to.display());
        Err(Error::new(ErrorKind::Refused, context))
    };
    // Refused at once, rather than after a check that takes minutes.
    check_free()?;
    let summary = check::check_directory(from, observe)?;
    if !summary.is_whole() {
        let from = from.display();
        let context =
            format!("the copy in {from} is not whole ({summary}); `hourlogd repair {from}` keeps what can be read");
        return Err(Error::new(ErrorKind::Integrity, context));
    }
    let _of_copy = recovery::lock_for_reading(from)?;
    let _lock = recovery::lock(to)?;
    swap::finish(to).map_err(cannot)?;
    // An archive may have been created there meanwhile.
    check_free()?;
    let prepared = swap::prepare(to).map_err(cannot)?;
    let copied = copy(&from.join("tables"), &prepared.join("tables")).and_then(|()| {
        if from.join("watermark").is_file() {
            fs::copy(from.join("watermark"), prepared.join("watermark"))?;
        }
        Ok(())
    });
    let copied = copied.map_err(|error| {
        let context = format!("cannot copy {} to {}; check both disks", from.display(), to.display());
        Error::new(ErrorKind::Unavailable, context).because(error)
    });
    let replaced = copied.and_then(|()| swap::commit(to, swap::REPLACED_BY_COPY));
    if replaced.is_err() {
        swap::abandon(to);
    }
    let aside = replaced?;
    // Removed only if nothing was moved to it.
    match fs::remove_dir(&aside) {
        Ok(()) => Ok((summary, None)),
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok((summary, Some(aside))),
        Err(error) => Err(cannot(error)),
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, copy_to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &copy_to)?;
        } else {
            fs::copy(path, copy_to)?;
        }
    }
    Ok(())
}
