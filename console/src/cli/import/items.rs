//! The lines or JSON values of an input, read on a thread of its own so that Ctrl-C still works.

use std::{
    io::{self, BufRead, Cursor, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use hourlog::{Error, ErrorKind};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};

use crate::{cli::input::FileOrStdin, exit::Failure};

use super::{
    compression,
    values::{self, Splitter},
};

/// Limit of a line or value. A line of OpenTelemetry logs or a whole object can be larger than an event.
const ITEM_BYTES_MAX: usize = 256 << 20;
/// Limit of the items that are read ahead, in bytes. A larger item waits until there is no other.
const AHEAD_BYTES_MAX: usize = 1 << 20;
/// Bytes that an item takes besides its text. They bound the number of short items.
const ITEM_BYTES: usize = 64;
/// Bytes of the beginning in which it shows if there is a value on each line.
const HEAD_BYTES_MAX: u64 = 64 * 1024;
/// The mark that some editors put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A part of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// A line with its line break, or a JSON value.
    pub(super) bytes: Vec<u8>,
    /// Number of the line in which it begins, from 1.
    pub(super) line: u64,
    /// It is a line, and not a value of an array or an indented one.
    pub(super) is_line: bool,
}

/// An item, and the bytes that it takes of those that may be read ahead.
type Handed = (Item, OwnedSemaphorePermit);

/// The items of an input, in order.
#[derive(Debug)]
pub(super) struct Items {
    items: mpsc::Receiver<Result<Handed, Failure>>,
    bytes_read: Arc<AtomicU64>,
}

impl Items {
    /// Opens `input`. `are_lines` says that every line is an item; otherwise, arrays and indented objects are split
    /// into values.
    pub(super) fn open(input: &FileOrStdin, are_lines: bool) -> Result<Self, Failure> {
        let bytes_read = Arc::new(AtomicU64::new(0));
        let counted = Counted { input: input.open()?, bytes: bytes_read.clone() };
        let (tx, items) = mpsc::channel(AHEAD_BYTES_MAX / ITEM_BYTES);
        let mut sink = Sink {
            name: input.name(),
            compressed: false,
            ahead: Arc::new(Semaphore::new(AHEAD_BYTES_MAX)),
            runtime: Handle::current(),
            tx,
        };
        std::thread::spawn(move || {
            if let Err(Stop::Failed(failure)) = sink.read(counted, are_lines) {
                // Sending fails when the receiver is gone.
                let _ = sink.tx.blocking_send(Err(failure));
            }
        });
        Ok(Self { items, bytes_read })
    }

    /// Waits for the next item. Returns `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Item>, Failure> {
        Ok(self.items.recv().await.transpose()?.map(|(item, _ahead)| item))
    }

    /// Returns the bytes of the file that have been read, compressed if it is.
    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }
}

/// The reason why reading stops early.
enum Stop {
    Failed(Failure),
    /// The receiver is gone, for example after a bad line.
    Unwanted,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error.into())
    }
}

/// The thread's end of the items.
struct Sink {
    name: String,
    compressed: bool,
    ahead: Arc<Semaphore>,
    runtime: Handle,
    tx: mpsc::Sender<Result<Handed, Failure>>,
}

impl Sink {
    fn read(&mut self, input: Counted, are_lines: bool) -> Result<(), Stop> {
        let plain = compression::plain(input).map_err(|source| self.read_error(source))?;
        let plain = plain.map_err(|error| self.named(&error))?;
        self.compressed = plain.compressed;
        let mut reader = plain.reader;
        let head = head(&mut reader).map_err(|source| self.read_error(source))?;
        let head = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&head).to_vec();
        let are_lines = are_lines || !values::are_not_lines(&head);
        let whole = Cursor::new(head).chain(reader);
        if are_lines { self.read_lines(whole) } else { self.read_values(whole) }
    }

    fn read_lines(&self, mut reader: impl BufRead) -> Result<(), Stop> {
        for line in 1.. {
            let mut bytes = Vec::new();
            let read = reader.by_ref().take(ITEM_BYTES_MAX as u64 + 1).read_until(b'\n', &mut bytes);
            if read.map_err(|source| self.read_error(source))? == 0 {
                break;
            }
            self.check_size(bytes.len(), line)?;
            self.hand_over(Item { bytes, line, is_line: true })?;
        }
        Ok(())
    }

    fn read_values(&self, mut reader: impl BufRead) -> Result<(), Stop> {
        let (mut splitter, mut bytes) = (Splitter::new(), Vec::new());
        loop {
            let buffer = reader.fill_buf().map_err(|source| self.read_error(source))?;
            if buffer.is_empty() {
                break;
            }
            let taken = splitter.take(buffer, &mut bytes).map_err(|error| self.named(&error))?;
            reader.consume(taken.bytes);
            if let Some(line) = taken.ended {
                self.hand_over(Item { bytes: std::mem::take(&mut bytes), line, is_line: false })?;
            }
            self.check_size(bytes.len(), splitter.value_line())?;
        }
        match splitter.end().map_err(|error| self.named(&error))? {
            Some(line) => self.hand_over(Item { bytes, line, is_line: false }),
            None => Ok(()),
        }
    }

    /// Hands an item to the receiver. Waits if too many bytes are ahead of it.
    fn hand_over(&self, item: Item) -> Result<(), Stop> {
        let bytes = (item.bytes.len() + ITEM_BYTES).min(AHEAD_BYTES_MAX);
        let bytes = u32::try_from(bytes).expect("the limit fits");
        let ahead = match self.ahead.clone().try_acquire_many_owned(bytes) {
            Ok(ahead) => ahead,
            Err(_) => {
                let ahead = self.runtime.block_on(self.ahead.clone().acquire_many_owned(bytes));
                ahead.expect("the semaphore is never closed")
            }
        };
        self.tx.blocking_send(Ok((item, ahead))).map_err(|_| Stop::Unwanted)
    }

    fn check_size(&self, bytes: usize, line: u64) -> Result<(), Error> {
        if bytes <= ITEM_BYTES_MAX {
            return Ok(());
        }
        Err(Error::invalid(format!("{} line {line} is longer than 256 MiB; split it", self.name)))
    }

    fn named(&self, error: &Error) -> Error {
        Error::new(error.kind(), format!("{}: {error}", self.name))
    }

    fn read_error(&self, source: io::Error) -> Stop {
        if !self.compressed {
            return Stop::Failed(Failure::read(&self.name, source));
        }
        let context = format!(
            "{} is damaged or cut off: {source}; the lines that could be read are imported, get the file again and import \
             it again, nothing is added twice",
            self.name
        );
        Stop::Failed(Error::new(ErrorKind::Integrity, context).into())
    }
}

/// Reads the beginning of an input: at least its first line that is not blank, if it is short.
fn head(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut reader = reader.take(HEAD_BYTES_MAX);
    while head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&head).iter().all(u8::is_ascii_whitespace) {
        if reader.read_until(b'\n', &mut head)? == 0 {
            break;
        }
    }
    Ok(head)
}

/// An input that counts what is read of it.
struct Counted {
    input: Box<dyn Read + Send>,
    bytes: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
