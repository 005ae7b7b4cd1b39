//! Lines of a file or of standard input, read in a thread of their own, so that Ctrl-C is heard meanwhile.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use tokio::sync::mpsc;

use crate::exit::Failure;

/// The longest line: what the largest message that NATS can be set up for takes as JSON.
const LINE_BYTES_MAX: u64 = 256 << 20;
/// The lines that are read ahead.
const LINES_AHEAD: usize = 256;
/// The bytes that are read at once.
const READ_BYTES: usize = 256 * 1024;

/// Where lines come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    /// Standard input, written `-`.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl From<&Path> for Input {
    fn from(path: &Path) -> Self {
        if path == Path::new("-") { Self::Stdin } else { Self::File(path.to_owned()) }
    }
}

impl Input {
    /// How errors name it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// How many bytes it has, where that can be known.
    pub(super) fn bytes(&self) -> Option<u64> {
        match self {
            Self::Stdin => None,
            Self::File(path) => path.metadata().ok().filter(|found| found.is_file()).map(|found| found.len()),
        }
    }

    /// Its lines, one after the other, each with the line end that it has.
    pub(super) fn lines(&self) -> Result<Lines, Failure> {
        let name = self.name();
        let mut reader = BufReader::with_capacity(READ_BYTES, self.open()?);
        let (tx, rx) = mpsc::channel(LINES_AHEAD);
        std::thread::spawn(move || {
            loop {
                let mut line = Vec::new();
                let read = reader.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut line);
                let item = match read {
                    Ok(0) => return,
                    Ok(bytes) if bytes as u64 > LINE_BYTES_MAX => {
                        Err(io::Error::other("a line is longer than 256 MiB"))
                    }
                    Ok(_) => Ok(line),
                    Err(error) => Err(error),
                };
                let last = item.is_err();
                // Whoever asked for the lines may have left.
                if tx.blocking_send(item).is_err() || last {
                    return;
                }
            }
        });
        Ok(Lines { name, rx })
    }

    /// All of its bytes, up to `bytes_max` and one more.
    pub(super) async fn all(&self, bytes_max: usize) -> Result<Vec<u8>, Failure> {
        let name = self.name();
        let mut reader = self.open()?.take(bytes_max as u64 + 1);
        let (tx, rx) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            // Whoever asked for them may have left.
            let _ = tx.send(reader.read_to_end(&mut bytes).map(|_| bytes));
        });
        let read = rx.await.expect("the thread sends before it ends");
        read.map_err(|source| Failure::Io { context: format!("{name} cannot be read"), source })
    }

    fn open(&self) -> Result<Box<dyn Read + Send>, Failure> {
        match self {
            Self::Stdin => Ok(Box::new(io::stdin())),
            Self::File(path) => match File::open(path) {
                Ok(file) => Ok(Box::new(file)),
                Err(error) => {
                    Err(Failure::usage(format!("{} cannot be read ({error}); check the path", path.display())))
                }
            },
        }
    }
}

/// Lines on their way.
#[derive(Debug)]
pub(super) struct Lines {
    name: String,
    rx: mpsc::Receiver<io::Result<Vec<u8>>>,
}

impl Lines {
    /// The next line with its line end; `None` behind the last one.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let line = self.rx.recv().await;
        self.read(line)
    }

    /// The next line if it is there already.
    pub(super) fn waiting(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let line = self.rx.try_recv().ok();
        self.read(line)
    }

    fn read(&self, line: Option<io::Result<Vec<u8>>>) -> Result<Option<Vec<u8>>, Failure> {
        line.transpose().map_err(|source| Failure::Io { context: format!("{} cannot be read", self.name), source })
    }
}

/// A line without its line end.
pub(super) fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
