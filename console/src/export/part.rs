//! An unfinished export, beside the file that it becomes: `FILE.part` holds its lines, and `FILE.part.state`
//! names its logs and range.
//!
//! `FILE` itself is touched once, by the rename that makes it complete. The state is what proves that
//! `FILE.part` may be cut and continued.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use hourlog::{ArrivalCursor, LogId};
use serde::{Deserialize, Serialize};

use crate::{exit::Failure, output::to_json};

use super::{
    contents::{Contents, Unreadable},
    scope::Scope,
    target::{BUFFER_BYTES, FileTarget, metadata, refused},
};

/// The first line of a state.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    /// The scope of the export.
    export: Scope,
}

/// A later line of a state: of a log's range, the lines hold every event up to the cursor's seq that does not
/// lie after the last of them.
#[derive(Debug, Serialize, Deserialize)]
struct Begun {
    log: LogId,
    whole_to: ArrivalCursor,
}

/// An unfinished export.
#[derive(Debug)]
pub(crate) struct Part {
    target: FileTarget,
    part: PathBuf,
    state_path: PathBuf,
    lines: BufWriter<File>,
    /// Locked, so that no other process writes the same export.
    state: File,
    /// It has begun, but no line is written yet.
    is_empty: bool,
}

/// An unfinished export from before.
#[derive(Debug)]
pub(crate) struct Found {
    /// Its lines.
    pub(crate) contents: Contents,
    /// The arrival up to which the last log in it is whole, if that was noted.
    pub(crate) whole_to: Option<ArrivalCursor>,
    /// Its scope.
    pub(crate) scope: Scope,
}

impl Part {
    /// Opens the files of an export, and looks for an unfinished one to be continued. Changes nothing in them.
    /// `command` returns the command line of another scope.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`](hourlog::ErrorKind::Refused) if the files beside `target` are something else.
    pub(crate) fn open(
        target: FileTarget,
        scope: &Scope,
        command: impl Fn(&Scope) -> String,
    ) -> Result<(Self, Option<Found>), Failure> {
        let [part, state_path] = [".part", ".part.state"].map(|suffix| beside(&target.path, suffix));
        let shown = part.display().to_string();
        let part_there = regular(&part)?;
        let state_there = regular(&state_path)?;
        let has_lines = part_there.is_some_and(|bytes| bytes > 0);
        if has_lines && state_there.is_none_or(|bytes| bytes == 0) && !target.force {
            return Err(refused(format!(
                "{shown} exists and is not an unfinished export; move it away, or give --force to overwrite it"
            )));
        }
        let state = open(&state_path)?;
        match state.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(refused(format!("another export writes to {shown}; wait for it, or name another file")));
            }
            Err(TryLockError::Error(source)) => return Err(Failure::write(state_path.display(), source)),
        }
        let mut found = None;
        if has_lines && !target.force {
            let (stored, begun) = read_state(&state_path, &state)?;
            if !stored.matches(scope) {
                let why = match (&stored.archive, &scope.archive) {
                    (Some(one), Some(other)) if one != other => "of another archive",
                    _ => "of other logs or another range",
                };
                return Err(refused(format!(
                    "{shown} is an unfinished export {why}; continue it with {}, name another file, or give --force to \
                     begin again",
                    command(&stored)
                )));
            }
            let contents = read_lines(&part)?;
            // Without a whole line there is nothing to continue.
            if let Some(last) = contents.logs().last() {
                let begun = begun.into_iter().rev().find(|begun| begun.log == last.log);
                found = Some(Found { whole_to: begun.map(|begun| begun.whole_to), contents, scope: stored });
            }
        }
        let lines = BufWriter::with_capacity(BUFFER_BYTES, open(&part)?);
        Ok((Self { target, part, state_path, lines, state, is_empty: false }, found))
    }

    /// Begins the export of `scope`, or cuts the unfinished one behind its first `bytes` bytes.
    pub(crate) fn start(&mut self, scope: &Scope, bytes: u64) -> Result<(), Failure> {
        self.is_empty = bytes == 0;
        self.prepare(scope, bytes).map_err(|source| Failure::write(self.part.display(), source))
    }

    fn prepare(&mut self, scope: &Scope, bytes: u64) -> io::Result<()> {
        let lines = self.lines.get_mut();
        lines.set_len(bytes)?;
        lines.seek(SeekFrom::Start(bytes))?;
        if let Some(permissions) = &self.target.replaced {
            lines.set_permissions(permissions.clone())?;
        }
        if bytes == 0 {
            let header = to_json(&Header { export: scope.clone() }) + "\n";
            self.state.set_len(0)?;
            self.state.seek(SeekFrom::Start(0))?;
            self.state.write_all(header.as_bytes())
        } else {
            self.state.seek(SeekFrom::End(0)).map(drop)
        }
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, line: &str) -> Result<(), Failure> {
        self.is_empty = false;
        self.lines.write_all(line.as_bytes()).map_err(|source| Failure::write(self.part.display(), source))
    }

    /// Notes that the lines of `log` are whole up to `whole_to`, and those that follow will be.
    pub(crate) fn begin(&mut self, log: &LogId, whole_to: ArrivalCursor) -> Result<(), Failure> {
        // The line says something about the lines before it, so they must not be lost alone. A line that was cut
        // short is finished first, or this one would be lost with it.
        let line = format!("\n{}\n", to_json(&Begun { log: log.clone(), whole_to }));
        let synced = self.lines.flush().and_then(|()| self.lines.get_ref().sync_data());
        synced
            .and_then(|()| self.state.write_all(line.as_bytes()))
            .map_err(|source| Failure::write(self.part.display(), source))
    }

    /// Makes the lines durable, and gives them the name of the file.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        let part_failed = |source| Failure::write(self.part.display(), source);
        self.lines.flush().and_then(|()| self.lines.get_ref().sync_all()).map_err(part_failed)?;
        let path = &self.target.path;
        let failed = |source| Failure::write(path.display(), source);
        if !self.target.force {
            self.reserve()?;
        }
        fs::rename(&self.part, path).map_err(failed)?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
        fs::remove_file(&self.state_path).map_err(|source| Failure::write(self.state_path.display(), source))
    }

    /// Makes sure that the rename replaces an empty file only.
    fn reserve(&self) -> Result<(), Failure> {
        let path = &self.target.path;
        let is_ours = match OpenOptions::new().write(true).create_new(true).open(path) {
            Ok(_) => true,
            Err(_) => regular(path)? == Some(0),
        };
        if is_ours {
            return Ok(());
        }
        Err(refused(format!(
            "{} was written by another program meanwhile and is left as it is; the complete export is in {}",
            path.display(),
            self.part.display()
        )))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.is_empty {
            // There is nothing to continue, for example because a log does not exist. What cannot be removed is
            // overwritten by the next export.
            let _ = fs::remove_file(&self.part).and_then(|()| fs::remove_file(&self.state_path));
        }
    }
}

/// Returns the path with `suffix` after the whole name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Returns the size of a regular file; `None` if there is none.
fn regular(path: &Path) -> Result<Option<u64>, Failure> {
    match metadata(path)? {
        Some(there) if there.is_file() => Ok(Some(there.len())),
        Some(_) => Err(refused(format!("{} is not a plain file; move it away", path.display()))),
        None => Ok(None),
    }
}

fn open(path: &Path) -> Result<File, Failure> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    file.map_err(|source| Failure::write(path.display(), source))
}

/// Reads a state: the scope, and how far each log is whole.
fn read_state(path: &Path, state: &File) -> Result<(Scope, Vec<Begun>), Failure> {
    let mut lines = BufReader::new(state).lines();
    let first = lines.next().transpose().map_err(|source| Failure::read(path.display(), source))?;
    let Ok(Header { export }) = serde_json::from_str(&first.unwrap_or_default()) else {
        return Err(refused(format!(
            "{} does not tell what the unfinished export beside it is of; move both away, or give --force to begin again",
            path.display()
        )));
    };
    let begun = lines.map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok());
    Ok((export, begun.collect()))
}

fn read_lines(path: &Path) -> Result<Contents, Failure> {
    let file = File::open(path).map_err(|source| Failure::read(path.display(), source))?;
    Contents::read(BufReader::with_capacity(BUFFER_BYTES, file)).map_err(|unreadable| match unreadable {
        Unreadable::Io(source) => Failure::read(path.display(), source),
        Unreadable::NoEvent { line } => refused(format!(
            "line {line} of {} is not an exported event; move the file away, or give --force to begin again",
            path.display()
        )),
    })
}
