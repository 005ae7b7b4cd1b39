//! Putting another set of tables in place, so that a crash leaves either the old or the new one.
//!
//! The new ones are prepared beside the old ones. A rename then decides. The moves after it are repeated by the next
//! opening of the archive, until they are done.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{Error, ErrorKind, Offset, Result, time::system_clock};

use super::files::exists;

/// The directory in which the new tables are prepared.
const PREPARED: &str = "next.unfinished";
/// The same once they are complete.
const COMPLETE: &str = "next";
/// The file in it that names the directory for the old tables.
const ASIDE: &str = "aside";
/// The replaced entries of the directory, the tables before what describes them. The links of an interrupted opening
/// belong to the old ones only.
const REPLACED: [&str; 3] = ["journals", "tables", "watermark"];

/// Beginning of the name of the directory for tables that a repair has replaced.
pub(super) const DAMAGED: &str = "damaged";
/// Beginning of the name of the directory for tables that a restore has replaced.
pub(super) const REPLACED_BY_COPY: &str = "replaced";

/// Returns the empty directory in which to prepare the new tables.
pub(super) fn prepare(directory: &Path) -> io::Result<PathBuf> {
    let prepared = directory.join(PREPARED);
    remove(&prepared)?;
    fs::create_dir(&prepared)?;
    Ok(prepared)
}

/// Gives up what was prepared.
pub(super) fn abandon(directory: &Path) {
    // The next repair removes what is left.
    let _ = remove(&directory.join(PREPARED));
}

/// Puts the prepared tables in place, and moves the old ones to a directory whose name begins with `aside`.
/// Returns its path.
pub(super) fn commit(directory: &Path, aside: &str) -> Result<PathBuf> {
    let aside = format!("{aside}-{}", compact(system_clock()));
    decide(directory, &aside).map_err(|error| {
        let context = format!(
            "cannot put new tables in place in {}, where nothing has changed; check its disk",
            directory.display()
        );
        Error::new(ErrorKind::Unavailable, context).because(error)
    })?;
    let finished = File::open(directory).and_then(|opened| opened.sync_all()).and_then(|()| finish(directory));
    finished.map_err(|error| {
        let directory = directory.display();
        let context = format!(
            "new tables are complete in {directory}, and moving them into place failed; check its disk: the next start \
             of the service, or `hourlogd repair {directory}`, completes it"
        );
        Error::new(ErrorKind::Unavailable, context).because(error)
    })?;
    Ok(directory.join(aside))
}

/// Completes the prepared tables. From its rename on, they replace the old ones.
fn decide(directory: &Path, aside: &str) -> io::Result<()> {
    let prepared = directory.join(PREPARED);
    let mut file = File::create(prepared.join(ASIDE))?;
    file.write_all(aside.as_bytes())?;
    file.sync_all()?;
    sync_all(&prepared)?;
    fs::rename(&prepared, directory.join(COMPLETE))
}

/// Finishes a replacement that was decided, and removes one that was not.
pub(super) fn finish(directory: &Path) -> io::Result<()> {
    remove(&directory.join(PREPARED))?;
    let complete = directory.join(COMPLETE);
    if !exists(&complete) {
        return Ok(());
    }
    let aside = match fs::read_to_string(complete.join(ASIDE)) {
        Ok(aside) => directory.join(aside),
        // Everything was moved, and the removal of the directory was interrupted.
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_emptied(&complete) => {
            return fs::remove_dir_all(complete);
        }
        Err(error) => return Err(error),
    };
    fs::create_dir_all(&aside)?;
    // The new tables are moved first, once nothing old is in place. Until then, all that is there is old, also an
    // entry that the new tables lack.
    if exists(&complete.join("tables")) {
        for name in REPLACED {
            move_if_there(&directory.join(name), &aside.join(name))?;
        }
    }
    for name in REPLACED {
        move_if_there(&complete.join(name), &directory.join(name))?;
    }
    for changed in [&aside, directory] {
        File::open(changed)?.sync_all()?;
    }
    fs::remove_dir_all(complete)
}

/// Returns true if every entry was moved out of the complete directory.
fn is_emptied(complete: &Path) -> bool {
    !REPLACED.iter().any(|name| exists(&complete.join(name)))
}

/// Returns true if a replacement was decided and is not finished: the tables may be on their way.
pub(super) fn is_decided(directory: &Path) -> bool {
    exists(&directory.join(COMPLETE))
}

/// Refuses an archive whose replacement was interrupted: opening it finishes that.
pub(super) fn check_none(directory: &Path) -> Result<()> {
    if !is_decided(directory) {
        return Ok(());
    }
    let context = format!(
        "{} the archive in {} was interrupted at its end; `hourlogd repair`, or a start of the service, finishes it",
        decided(directory),
        directory.display()
    );
    Err(Error::new(ErrorKind::Refused, context))
}

/// Returns what the replacement was decided for, as the beginning of a sentence.
fn decided(directory: &Path) -> &'static str {
    let aside = fs::read_to_string(directory.join(COMPLETE).join(ASIDE)).unwrap_or_default();
    if aside.starts_with(DAMAGED) {
        "a repair of"
    } else if aside.starts_with(REPLACED_BY_COPY) {
        "a restore to"
    } else {
        // The directory is being removed: everything is in place.
        "a repair of, or a restore to,"
    }
}

fn move_if_there(from: &Path, to: &Path) -> io::Result<()> {
    if exists(from) { fs::rename(from, to) } else { Ok(()) }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Syncs every file and directory below `path`.
pub(super) fn sync_all(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            sync_all(&entry?.path())?;
        }
    }
    File::open(path)?.sync_all()
}

/// Returns a time as it can stand in a name: `20180204T100000Z`, with its fraction so that no two are the same.
fn compact(time: Offset) -> String {
    time.to_string().chars().filter(|character| !matches!(character, '-' | ':')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The longest name that a file can have on usual file systems.
    const NAME_BYTES_MAX: usize = 255;

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().expect("a file has a directory")).expect("the directory can be created");
        fs::write(path, text).expect("the file can be written");
    }

    fn archive() -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a temporary directory");
        write(&directory.path().join("tables/file"), "old");
        write(&directory.path().join("watermark"), "old");
        write(&directory.path().join("journals/link"), "old");
        directory
    }

    fn read(directory: &Path) -> [String; 2] {
        ["tables/file", "watermark"].map(|name| fs::read_to_string(directory.join(name)).expect("the file exists"))
    }

    #[test]
    fn a_replacement_that_was_not_decided_leaves_the_old_tables() {
        let directory = archive();
        write(&prepare(directory.path()).expect("the disk has room").join("tables/file"), "new");
        finish(directory.path()).expect("nothing is left to do");
        assert_eq!(read(directory.path()), ["old", "old"]);
        assert!(!directory.path().join(PREPARED).exists());
    }

    #[test]
    fn a_replacement_that_is_interrupted_after_any_step_is_finished_by_the_next_opening() {
        for steps in 0..7 {
            let directory = archive();
            let complete = directory.path().join(COMPLETE);
            let aside = directory.path().join("damaged-1");
            write(&complete.join("tables/file"), "new");
            write(&complete.join("watermark"), "new");
            write(&complete.join(ASIDE), "damaged-1");
            fs::create_dir(&aside).expect("the directory can be created");
            let moves = [
                ("journals", aside.join("journals")),
                ("tables", aside.join("tables")),
                ("watermark", aside.join("watermark")),
                ("next/tables", directory.path().join("tables")),
                ("next/watermark", directory.path().join("watermark")),
            ];
            for (from, to) in moves.iter().take(steps) {
                fs::rename(directory.path().join(from), to).expect("both exist");
            }
            if steps > moves.len() {
                fs::remove_file(complete.join(ASIDE)).expect("the file exists");
            }
            finish(directory.path()).expect("the rest can be done");
            assert_eq!(read(directory.path()), ["new", "new"], "after {steps} steps");
            assert_eq!(read(&aside), ["old", "old"], "after {steps} steps");
            assert!(!complete.exists() && aside.join("journals/link").exists(), "after {steps} steps");
        }
    }

    #[test]
    fn a_failure_after_the_decision_says_what_completes_the_replacement() {
        let directory = archive();
        let prepared = prepare(directory.path()).expect("the disk has room");
        write(&prepared.join("tables/file"), "new");
        // Nothing can be moved below a name that is too long.
        let error = commit(directory.path(), &"a".repeat(NAME_BYTES_MAX)).expect_err("the name is too long");
        assert!(error.context().contains("hourlogd repair") && is_decided(directory.path()), "{error}");
        assert_eq!(read(directory.path()), ["old", "old"]);
        write(&directory.path().join(COMPLETE).join(ASIDE), "damaged-1");
        finish(directory.path()).expect("the rest can be done");
        assert_eq!(fs::read_to_string(directory.path().join("tables/file")).expect("the file exists"), "new");
    }

    #[test]
    fn a_refusal_says_what_was_interrupted() {
        let directory = archive();
        assert!(check_none(directory.path()).is_ok());
        for (aside, expected) in [
            ("damaged-1", "a repair of the archive"),
            ("replaced-1", "a restore to the archive"),
            ("", "a repair of, or a restore to, the archive"),
        ] {
            write(&directory.path().join(COMPLETE).join(ASIDE), aside);
            let refused = check_none(directory.path()).expect_err("the replacement is not finished");
            assert!(refused.to_string().starts_with(expected), "{refused}");
        }
    }

    #[test]
    fn new_tables_without_a_watermark_do_not_get_the_old_one() {
        let directory = archive();
        write(&prepare(directory.path()).expect("the disk has room").join("tables/file"), "new");
        let aside = commit(directory.path(), "replaced").expect("the disk has room");
        assert_eq!(fs::read_to_string(directory.path().join("tables/file")).expect("the file exists"), "new");
        assert!(!directory.path().join("watermark").exists());
        assert_eq!(read(&aside), ["old", "old"]);
    }
}
