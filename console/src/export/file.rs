//! An export that is never continued: a file that is there once it is complete, standard output, or a stream.

use std::{
    fmt,
    fs::{self, OpenOptions, Permissions},
    io::{self, BufWriter, IsTerminal, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::{exit::Failure, sanitize::sanitize_byte_lines};

use super::target::{BUFFER_BYTES, Target};

/// The permissions of a new file, of which the system takes away those that the user never gives.
const PERMISSIONS: u32 = 0o666;

/// An open destination.
pub(crate) trait Output: Write + Send + fmt::Debug {
    /// Writes what is in memory, and makes a file complete.
    fn complete(self: Box<Self>) -> Result<(), Failure>;
}

/// A file that takes its name once it is complete. Before that, it goes when it is dropped.
#[derive(Debug)]
pub(crate) struct NewFile {
    path: PathBuf,
    replaced: Option<Permissions>,
    replaces: bool,
    file: BufWriter<NamedTempFile>,
}

/// Standard output, a pipe or a device.
#[derive(Debug)]
struct Stream<W: Write> {
    writer: BufWriter<W>,
    is_terminal: bool,
}

impl NewFile {
    /// Opens the target.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid) for bytes that a terminal would show, if `is_binary`.
    pub(crate) async fn open(target: Target, is_binary: bool) -> Result<Box<dyn Output>, Failure> {
        let (output, is_terminal): (Box<dyn Output>, bool) = match target {
            Target::Stdout => {
                let is_terminal = io::stdout().is_terminal();
                (
                    Box::new(Stream { writer: BufWriter::with_capacity(BUFFER_BYTES, io::stdout()), is_terminal }),
                    is_terminal,
                )
            }
            Target::Stream(path) => {
                let shown = path.display().to_string();
                // A named pipe waits for its reader: on a thread of its own, so that Ctrl-C still works.
                let open = move || OpenOptions::new().append(true).open(path);
                let file = tokio::task::spawn_blocking(open).await.expect("opening a file does not panic");
                let file = file.map_err(|source| Failure::write(shown, source))?;
                let is_terminal = file.is_terminal();
                (Box::new(Stream { writer: BufWriter::with_capacity(BUFFER_BYTES, file), is_terminal }), is_terminal)
            }
            Target::File(target) => {
                let directory = target.path.parent().filter(|parent| !parent.as_os_str().is_empty());
                let name = target.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let file = tempfile::Builder::new()
                    .prefix(&format!("{name}.part-"))
                    .permissions(Permissions::from_mode(PERMISSIONS))
                    .tempfile_in(directory.unwrap_or(Path::new(".")))
                    .map_err(|source| Failure::write(target.path.display(), source))?;
                let file = BufWriter::with_capacity(BUFFER_BYTES, file);
                let replaces = target.force || target.replaced.is_some();
                (Box::new(Self { path: target.path, replaced: target.replaced, replaces, file }), false)
            }
        };
        match is_terminal && is_binary {
            true => Err(Failure::usage("a terminal cannot show Parquet; name a file with -O")),
            false => Ok(output),
        }
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Output for NewFile {
    fn complete(self: Box<Self>) -> Result<(), Failure> {
        let shown = self.path.display().to_string();
        let failed = |source: io::Error| Failure::write(&shown, source);
        let file = self.file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.as_file().sync_all().map_err(failed)?;
        if let Some(permissions) = self.replaced {
            fs::set_permissions(file.path(), permissions).map_err(failed)?;
        }
        let kept = if self.replaces { file.persist(&self.path) } else { file.persist_noclobber(&self.path) };
        kept.map(drop).map_err(|error| failed(error.error))
    }
}

impl<W: Write> Write for Stream<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.is_terminal {
            true => self.writer.write_all(sanitize_byte_lines(bytes).as_bytes()).map(|()| bytes.len()),
            false => self.writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl<W: Write + Send + fmt::Debug> Output for Stream<W> {
    fn complete(mut self: Box<Self>) -> Result<(), Failure> {
        self.flush().map_err(Failure::output)
    }
}
