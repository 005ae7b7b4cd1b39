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

/// The file, and what it says.
#[derive(Debug)]
pub(super) struct Watermark {
    path: PathBuf,
    said: u64,
    at: Instant,
}

impl Watermark {
    /// The watermark of the archive in `directory`, and what it says: `None` where there is none, `u64::MAX` where it cannot be
    /// read, so that the tables are behind it whatever they hold.
    pub(super) fn open(directory: &Path) -> io::Result<(Self, Option<u64>)> {
        let path = directory.join("watermark");
        let said = match fs::read(&path) {
            Ok(bytes) => Some(parse(&bytes).unwrap_or(u64::MAX)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok((Self { path, said: 0, at: Instant::now() }, said))
    }

    /// So many batches are acknowledged. Written at most once a second.
    pub(super) fn reached(&mut self, batches: u64) -> io::Result<()> {
        if self.at.elapsed() < EVERY { Ok(()) } else { self.write(batches) }
    }

    /// Writes the file now, if it says something else.
    pub(super) fn write(&mut self, batches: u64) -> io::Result<()> {
        if batches == self.said {
            return Ok(());
        }
        let new = self.path.with_extension("new");
        let mut file = File::create(&new)?;
        // Twice, so that damage shows.
        writeln!(file, "{batches} {batches}")?;
        file.sync_data()?;
        fs::rename(&new, &self.path)?;
        self.said = batches;
        self.at = Instant::now();
        Ok(())
    }
}

fn parse(bytes: &[u8]) -> Option<u64> {
    let (one, other) = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?.split_once(' ')?;
    let batches = one.parse().ok()?;
    (one == other).then_some(batches)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_shows() {
        assert_eq!(parse(b"12 12\n"), Some(12));
        for bytes in [&b""[..], b"12 13\n", b"12 12", b"12\n", b"\xff2 12\n"] {
            assert_eq!(parse(bytes), None);
        }
    }
}
