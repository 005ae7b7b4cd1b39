//! What the journals hold before they are read, and whether all of it was read.
//!
//! fjall reads a journal up to the first thing that it cannot make out, cuts off the rest and goes on with the next one. Behind
//! a kill that is right: the rest is a write that nobody was told of. Behind damage it is a silent loss. So the journals are held
//! by second names while they are read; what was cut off shows in their length, even where they are not needed any more.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

/// The directory of the second names. It is there while an archive is opened, and after that was broken off.
const HELD: &str = "journals";
/// The bytes that are looked at at once, from the end of a journal backwards.
const LOOK_BYTES: u64 = 1 << 20;

/// Journals that are about to be read.
#[derive(Debug)]
pub(super) struct Journals {
    held: PathBuf,
    /// By number: the second name, and where the last byte is that is not 0. Behind it lies what was made ready to be written to.
    used: Vec<(u64, PathBuf, u64)>,
}

/// What was cut off from journals when they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CutOff {
    /// From one that was finished: it had been read before, or written whole.
    pub(super) finished: bool,
    /// The bytes from the newest one. An unfinished write ends in it, unless the archive was closed in order.
    pub(super) newest: u64,
}

impl Journals {
    /// Those of the archive in `directory`, which this process alone has open. Where that was broken off the last time, also those
    /// that were held then.
    pub(super) fn hold(directory: &Path) -> io::Result<Self> {
        let held = directory.join(HELD);
        fs::create_dir_all(&held)?;
        let mut used = Vec::new();
        for path in files(&held)? {
            // What was used of it is part of its second name: it may have been cut off since.
            let known = || {
                let (number, end) = path.file_stem()?.to_str()?.split_once('-')?;
                Some((number.parse().ok()?, end.parse().ok()?))
            };
            match known() {
                Some((number, end)) => used.push((number, path, end)),
                None => fs::remove_file(path)?,
            }
        }
        for path in files(&directory.join("tables"))? {
            let number = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".jnl")?.parse::<u64>().ok());
            let Some(number) = number.filter(|number| used.iter().all(|(held, _, _)| held != number)) else { continue };
            let end = last_used(&mut File::open(&path)?)?;
            let second = held.join(format!("{number}-{end}.jnl"));
            // On a disk without second names, damage shows by the count of batches alone.
            if fs::hard_link(&path, &second).is_ok() {
                used.push((number, second, end));
            }
        }
        File::open(&held)?.sync_all()?;
        used.sort_unstable();
        Ok(Self { held, used })
    }

    /// What was cut off from them since then.
    pub(super) fn cut_off(&self) -> io::Result<CutOff> {
        let mut cut = CutOff { finished: false, newest: 0 };
        for (at, (_, path, used)) in self.used.iter().enumerate() {
            let lost = used.saturating_sub(fs::metadata(path)?.len());
            if at + 1 == self.used.len() {
                cut.newest = lost;
            } else {
                cut.finished |= lost > 0;
            }
        }
        Ok(cut)
    }

    /// Gives up the second names: what was cut off has been seen to.
    pub(super) fn release(self) -> io::Result<()> {
        fs::remove_dir_all(&self.held)
    }
}

/// The files in a directory; none where there is no directory.
fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>()?;
    Ok(paths.into_iter().filter(|path| path.is_file()).collect())
}

/// Where the last byte ends that is not 0.
fn last_used(file: &mut File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut part = Vec::new();
    while end > 0 {
        let from = end.saturating_sub(LOOK_BYTES);
        file.seek(SeekFrom::Start(from))?;
        part.clear();
        file.take(end - from).read_to_end(&mut part)?;
        if let Some(at) = part.iter().rposition(|byte| *byte != 0) {
            return Ok(from + at as u64 + 1);
        }
        end = from;
    }
    Ok(0)
}
