//! Input from a file or standard input, read on a thread of its own so that Ctrl-C still works.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
};

use crate::exit::Failure;

/// Limit of a line: the largest message that NATS can be configured for, as JSON.
const LINE_BYTES_MAX: u64 = 256 << 20;
/// Lines read ahead.
const LINES_AHEAD_MAX: usize = 256;
/// Kibibytes read ahead. A line of more counts as so many.
const AHEAD_KIB_MAX: u32 = 4 << 10;
/// Size of the read buffer.
const BUFFER_BYTES: usize = 256 * 1024;

/// An input that the user named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FileOrStdin {
    /// Standard input, written `-`.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl From<&Path> for FileOrStdin {
    fn from(path: &Path) -> Self {
        if path == Path::new("-") { Self::Stdin } else { Self::File(path.to_owned()) }
    }
}

impl FileOrStdin {
    /// Returns the name for errors.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// Returns the size in bytes, if it is known.
    pub(super) fn bytes(&self) -> Option<u64> {
        match self {
            Self::Stdin => None,
            Self::File(path) => {
                path.metadata().ok().filter(|metadata| metadata.is_file()).map(|metadata| metadata.len())
            }
        }
    }

    /// Opens the input to read its lines.
    pub(super) fn lines(&self) -> Result<Lines, Failure> {
        let name = self.name();
        let mut reader = BufReader::with_capacity(BUFFER_BYTES, self.open()?);
        let (tx, rx) = mpsc::channel(LINES_AHEAD_MAX);
        let (room, runtime) = (Arc::new(Semaphore::new(AHEAD_KIB_MAX as usize)), Handle::current());
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
                let failed = item.is_err();
                let kib = item.as_ref().map_or(0, |line| line.len() >> 10);
                let kib = u32::try_from(kib).unwrap_or(u32::MAX).min(AHEAD_KIB_MAX);
                let Ok(permit) = runtime.block_on(Arc::clone(&room).acquire_many_owned(kib)) else { return };
                let item = item.map(|line| (line, permit));
                // Sending fails when the receiver is gone, for example after a bad line.
                if tx.blocking_send(item).is_err() || failed {
                    return;
                }
            }
        });
        Ok(Lines { name, rx })
    }

    /// Reads all bytes, but at most `bytes_max` plus one: one more shows that there are too many.
    pub(super) async fn read_to_end(&self, bytes_max: usize) -> Result<Vec<u8>, Failure> {
        let mut reader = self.open()?.take(bytes_max as u64 + 1);
        let (tx, rx) = oneshot::channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            // Sending fails when the command was interrupted.
            let _ = tx.send(reader.read_to_end(&mut bytes).map(|_| bytes));
        });
        let bytes = rx.await.expect("the thread sends before it ends");
        bytes.map_err(|source| Failure::read(self.name(), source))
    }

    /// Opens the input to read its bytes.
    pub(super) fn open(&self) -> Result<Box<dyn Read + Send>, Failure> {
        match self {
            Self::Stdin => Ok(Box::new(io::stdin())),
            Self::File(path) => match File::open(path) {
                Ok(file) => Ok(Box::new(file)),
                Err(error) => Err(Failure::usage(format!("cannot read {} ({error}); check the path", path.display()))),
            },
        }
    }
}

/// The lines of an input.
#[derive(Debug)]
pub(super) struct Lines {
    name: String,
    rx: mpsc::Receiver<io::Result<(Vec<u8>, OwnedSemaphorePermit)>>,
}

impl Lines {
    /// Waits for the next line. Returns it with its line break, or `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let line = self.rx.recv().await;
        self.check(line)
    }

    /// Returns the next line if it has been read already.
    pub(super) fn try_next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let line = self.rx.try_recv().ok();
        self.check(line)
    }

    fn check(&self, line: Option<io::Result<(Vec<u8>, OwnedSemaphorePermit)>>) -> Result<Option<Vec<u8>>, Failure> {
        let line = line.transpose().map_err(|source| Failure::read(&self.name, source))?;
        Ok(line.map(|(line, _read_ahead)| line))
    }
}

/// Strips the line break from a line.
pub(super) fn without_line_break(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
