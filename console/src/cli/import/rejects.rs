//! The file of the lines that an import with `--keep-going` could not read, with the reason of each.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use hourlog::{Error, ErrorKind};
use serde::Serialize;

use crate::{cli::input::FileOrStdin, exit::Failure, output::counted};

use super::items::Item;

/// A line of the file.
#[derive(Debug, Serialize)]
struct Reject<'a> {
    line: u64,
    reason: String,
    /// The line as it is, without its line break.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    /// A line that is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    text_base64: Option<String>,
}

/// The rejected lines of an import. The file is created for the first one.
#[derive(Debug)]
pub(super) struct Rejects {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    count: u64,
}

impl Rejects {
    /// Prepares a file at `path`, or beside `input`.
    ///
    /// # Errors
    /// A file that exists. It may hold the lines of an earlier import.
    pub(super) fn new(path: Option<PathBuf>, input: &FileOrStdin) -> Result<Self, Failure> {
        let path = path.unwrap_or_else(|| default_path(input));
        if path.exists() {
            return Err(exists(&path));
        }
        Ok(Self { path, file: None, count: 0 })
    }

    /// Writes a line with the reason for which it is not imported.
    pub(super) fn add(&mut self, item: &Item, reason: &Error) -> Result<(), Failure> {
        let failed = |source| Failure::write(self.path.display(), source);
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let file = File::create_new(&self.path).map_err(|source| match source.kind() {
                    std::io::ErrorKind::AlreadyExists => exists(&self.path),
                    _ => failed(source),
                })?;
                self.file.insert(BufWriter::new(file))
            }
        };
        let bytes = item.bytes.trim_ascii_end();
        let text = std::str::from_utf8(bytes).ok();
        let text_base64 = text.is_none().then(|| BASE64_STANDARD.encode(bytes));
        let reject = Reject { line: item.line, reason: reason.to_string(), text, text_base64 };
        let written = serde_json::to_writer(&mut *file, &reject).map_err(std::io::Error::from);
        written.and_then(|()| file.write_all(b"\n")).map_err(failed)?;
        self.count += 1;
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`] if there are rejected lines, with their number and the file.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.flush().map_err(|source| Failure::write(self.path.display(), source))?;
        let context = format!(
            "{} could not be imported; {} has each with its reason",
            counted(self.count, "line"),
            self.path.display()
        );
        Err(Error::new(ErrorKind::Rejected, context).into())
    }
}

fn exists(path: &Path) -> Failure {
    Failure::usage(format!(
        "{} exists and may hold rejected lines of an earlier import; move it, or name another with --rejects FILE",
        path.display()
    ))
}

/// Returns `events.jsonl.rejects.jsonl` for `events.jsonl`, or a file in the current directory for a pipe.
fn default_path(input: &FileOrStdin) -> PathBuf {
    match input {
        FileOrStdin::File(path) if path.is_file() => {
            let mut name = path.clone().into_os_string();
            name.push(".rejects.jsonl");
            name.into()
        }
        FileOrStdin::File(_) | FileOrStdin::Stdin => "stdin.rejects.jsonl".into(),
    }
}
