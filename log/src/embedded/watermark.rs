//! The watermark: how many batches were acknowledged, kept beside the tables.
//!
//! A damaged journal may be read up to the damage and taken for whole. So the tables count their batches, and a file of its own
//! holds how far that count had come: tables that are behind it have lost something, and say so.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How often the file is written at most. What was acknowledged since is not looked for after a crash.
const EVERY: Duration = Duration::from_secs(1);
/// What stands in the file of an archive that was closed in order.
const CLOSED: &str = "closed";

/// The file, and what it says.
#[derive(Debug)]
pub(super) struct Watermark {
    path: PathBuf,
    written: Option<Said>,
    at: Instant,
}

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Said {
    /// How many batches are acknowledged; `None` where that cannot be read.
    pub(super) batches: Option<u64>,
    /// Whether the archive was closed in order: then these are all, and nothing was being written.
    pub(super) closed: bool,
}

impl Watermark {
    /// The watermark of the archive in `directory`, and what it says: `None` where there is none.
    pub(super) fn open(directory: &Path) -> io::Result<(Self, Option<Said>)> {
        let path = directory.join("watermark");
        let said = match fs::read(&path) {
            Ok(bytes) => Some(parse(&bytes).unwrap_or(Said { batches: None, closed: false })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok((Self { path, written: None, at: Instant::now() }, said))
    }

    /// So many batches are acknowledged. Written at most once a second.
    pub(super) fn reached(&mut self, batches: u64) -> io::Result<()> {
        if self.at.elapsed() < EVERY { Ok(()) } else { self.write(batches, false) }
    }

    /// Writes the file now, if it says something else.
    pub(super) fn write(&mut self, batches: u64, closed: bool) -> io::Result<()> {
        let said = Said { batches: Some(batches), closed };
        if self.written == Some(said) {
            return Ok(());
        }
        let new = self.path.with_extension("new");
        let mut file = File::create(&new)?;
        // Twice, so that damage shows.
        if closed { writeln!(file, "{batches} {batches} {CLOSED}") } else { writeln!(file, "{batches} {batches}") }?;
        file.sync_data()?;
        fs::rename(&new, &self.path)?;
        self.written = Some(said);
        self.at = Instant::now();
        Ok(())
    }
}

fn parse(bytes: &[u8]) -> Option<Said> {
    let line = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    let words: Vec<&str> = line.split(' ').collect();
    let (one, other, closed) = match words.as_slice() {
        [one, other] => (one, other, false),
        [one, other, word] if *word == CLOSED => (one, other, true),
        _ => return None,
    };
    let batches = Some(one.parse().ok()?);
    (one == other).then_some(Said { batches, closed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_shows() {
        assert_eq!(parse(b"12 12\n"), Some(Said { batches: Some(12), closed: false }));
        assert_eq!(parse(b"12 12 closed\n"), Some(Said { batches: Some(12), closed: true }));
        for bytes in [&b""[..], b"12 13\n", b"12 12", b"12 12 cloxed\n", b"\xff2 12\n"] {
            assert_eq!(parse(bytes), None);
        }
    }
}
