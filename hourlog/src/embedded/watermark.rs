//! The watermark: the number of acknowledged batches, in a file beside the tables.
//!
//! fjall may read a damaged journal up to the damage and treat it as complete. So the tables count their
//! batches, and this file holds that count, too: tables with a smaller one have lost writes.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// The least time between two writes of the file. A loss of batches acknowledged since goes undetected after
/// a crash.
const INTERVAL: Duration = Duration::from_secs(1);
/// The word in the file of an archive that was closed cleanly.
const CLOSED: &str = "closed";

/// The file, and its contents when this process last wrote it.
#[derive(Debug)]
pub(super) struct Watermark {
    path: PathBuf,
    written: Option<Contents>,
    written_at: Instant,
}

/// The contents of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Contents {
    /// The number of acknowledged batches; `None` if the file is damaged.
    pub(super) batches: Option<u64>,
    /// True if the archive was closed cleanly: no other batch was written or being written.
    pub(super) closed: bool,
}

impl Watermark {
    /// Opens the watermark of the archive in `directory`, and returns its contents; `None` if there is no
    /// file.
    pub(super) fn open(directory: &Path) -> io::Result<(Self, Option<Contents>)> {
        let path = directory.join("watermark");
        let contents = match fs::read(&path) {
            Ok(bytes) => Some(parse(&bytes).unwrap_or(Contents { batches: None, closed: false })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok((Self { path, written: None, written_at: Instant::now() }, contents))
    }

    /// Records the number of acknowledged batches, at most once a second.
    pub(super) fn reached(&mut self, batches: u64) -> io::Result<()> {
        if self.written_at.elapsed() < INTERVAL { Ok(()) } else { self.write(batches, false) }
    }

    /// Writes the file now, unless these are its contents already.
    pub(super) fn write(&mut self, batches: u64, closed: bool) -> io::Result<()> {
        let contents = Contents { batches: Some(batches), closed };
        if self.written == Some(contents) {
            return Ok(());
        }
        let new = self.path.with_extension("new");
        let mut file = File::create(&new)?;
        // Written twice to detect damage.
        if closed { writeln!(file, "{batches} {batches} {CLOSED}") } else { writeln!(file, "{batches} {batches}") }?;
        file.sync_data()?;
        fs::rename(&new, &self.path)?;
        self.written = Some(contents);
        self.written_at = Instant::now();
        Ok(())
    }
}

fn parse(bytes: &[u8]) -> Option<Contents> {
    let line = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    let words: Vec<&str> = line.split(' ').collect();
    let (one, other, closed) = match words.as_slice() {
        [one, other] => (one, other, false),
        [one, other, word] if *word == CLOSED => (one, other, true),
        _ => return None,
    };
    let batches = Some(one.parse().ok()?);
    (one == other).then_some(Contents { batches, closed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_detected() {
        assert_eq!(parse(b"12 12\n"), Some(Contents { batches: Some(12), closed: false }));
        assert_eq!(parse(b"12 12 closed\n"), Some(Contents { batches: Some(12), closed: true }));
        for bytes in [&b""[..], b"12 13\n", b"12 12", b"12 12 cloxed\n", b"\xff2 12\n"] {
            assert_eq!(parse(bytes), None);
        }
    }
}
