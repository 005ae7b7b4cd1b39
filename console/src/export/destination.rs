//! An open destination of an export: standard output, a stream such as a pipe, or a file that is not
//! complete yet.

use std::{
    fs::{File, OpenOptions},
    io::{BufWriter, IsTerminal, Write},
    path::PathBuf,
};

use hourlog::LogId;

use crate::{exit::Failure, sanitize::sanitize_lines, session::Session};

use super::{file::Output, part::Part, target::BUFFER_BYTES};

/// An open destination.
#[derive(Debug)]
pub(crate) enum Destination<'a> {
    Stdout(&'a Session),
    Stream(Stream),
    Part(Part),
    /// A file that is never continued, and has no trailer.
    File(Box<dyn Output>),
}

impl Destination<'_> {
    /// Notes that the events of `log` that follow are those up to the cursor's seq.
    pub(crate) fn begin(&mut self, log: &LogId, whole_to: hourlog::ArrivalCursor) -> Result<(), Failure> {
        match self {
            Self::Part(part) => part.begin(log, whole_to),
            Self::Stdout(_) | Self::Stream(_) | Self::File(_) => Ok(()),
        }
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, line: &str) -> Result<(), Failure> {
        match self {
            Self::Stdout(session) => session.out.text(line),
            Self::Stream(stream) => stream.line(line),
            Self::Part(part) => part.line(line),
            Self::File(file) => file.write_all(line.as_bytes()).map_err(Failure::output),
        }
    }

    /// Writes what is in memory, and makes a file complete.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Stdout(session) => session.out.flush(),
            Self::Stream(mut stream) => stream.writer.flush().map_err(Failure::output),
            Self::Part(part) => part.finish(),
            Self::File(file) => file.complete(),
        }
    }
}

/// A pipe, a device, or a file that a shell has opened.
#[derive(Debug)]
pub(crate) struct Stream {
    writer: BufWriter<File>,
    is_terminal: bool,
}

impl Stream {
    /// Opens a stream. A named pipe waits for its reader.
    pub(crate) async fn open(path: PathBuf) -> Result<Self, Failure> {
        let shown = path.display().to_string();
        // Append: a file that a shell has opened keeps its content.
        let open = move || OpenOptions::new().append(true).open(path);
        // On a thread of its own, so that Ctrl-C still works.
        let file = tokio::task::spawn_blocking(open).await.expect("opening a file does not panic");
        let file = file.map_err(|source| Failure::write(shown, source))?;
        let is_terminal = file.is_terminal();
        Ok(Self { writer: BufWriter::with_capacity(BUFFER_BYTES, file), is_terminal })
    }

    fn line(&mut self, line: &str) -> Result<(), Failure> {
        let written = if self.is_terminal {
            self.writer.write_all(sanitize_lines(line).as_bytes())
        } else {
            self.writer.write_all(line.as_bytes())
        };
        // A reader may leave once it has enough.
        written.map_err(Failure::output)
    }
}
