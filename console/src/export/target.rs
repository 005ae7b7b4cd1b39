//! The place that the user named: standard output, a stream such as a pipe, or a file to make.

use std::{
    fs::{self, Permissions},
    io::ErrorKind as IoErrorKind,
    path::{Path, PathBuf},
};

use hourlog::{Error, ErrorKind};

use crate::exit::Failure;

/// Size of the buffer of a file.
pub(crate) const BUFFER_BYTES: usize = 256 * 1024;
/// Names of the standard output. Opening one of them again would lose the place in a file that it is
/// redirected to.
const STDOUT_NAMES: [&str; 4] = ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];
/// Places whose files this process has open.
const DEVICE_DIRECTORIES: [&str; 3] = ["/dev/fd", "/dev/stderr", "/proc"];

/// The place that the user named.
#[derive(Debug)]
pub(crate) enum Target {
    /// Standard output.
    Stdout,
    /// A pipe, a device, or a file that was opened by a shell: written as it is.
    Stream(PathBuf),
    /// A file that is there only once it is complete.
    File(FileTarget),
}

/// A file to make.
#[derive(Debug)]
pub(crate) struct FileTarget {
    /// Its path, without links.
    pub(crate) path: PathBuf,
    /// The permissions of the file that it replaces, which is empty or was given up with `--force`.
    pub(crate) replaced: Option<Permissions>,
    /// Replaces whatever is there.
    pub(crate) force: bool,
}

impl Target {
    /// Returns the place that `path` names.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] for a file that has content, unless `force`.
    pub(crate) fn find(path: Option<&Path>, force: bool) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self::Stdout) };
        if STDOUT_NAMES.iter().any(|name| path == Path::new(name)) {
            return Ok(Self::Stdout);
        }
        let shown = path.display();
        let file = |path, replaced| Ok(Self::File(FileTarget { path, replaced, force }));
        let there = match fs::metadata(path) {
            Ok(there) => there,
            Err(error) if error.kind() != IoErrorKind::NotFound => return Err(Failure::write(shown, error)),
            Err(_) if path.is_symlink() => {
                return Err(refused(format!("{shown} is a link to a file that does not exist; name that file")));
            }
            Err(_) => return file(path.to_owned(), None),
        };
        if there.is_dir() {
            return Err(Failure::usage(format!("{shown} is a directory; name a file in it")));
        }
        if !there.is_file() || DEVICE_DIRECTORIES.iter().any(|directory| path.starts_with(directory)) {
            return Ok(Self::Stream(path.to_owned()));
        }
        if there.len() > 0 && !force {
            return Err(refused(format!(
                "{shown} exists and is not empty; name another file, or give --force to replace it once the export is \
                 complete"
            )));
        }
        let path = path.canonicalize().map_err(|source| Failure::write(shown, source))?;
        file(path, Some(there.permissions()))
    }
}

/// An error that leaves everything as it was.
pub(crate) fn refused(context: String) -> Failure {
    Error::new(ErrorKind::Refused, context).into()
}

/// Returns the metadata of a file itself, not of one that it links to; `None` if there is none.
pub(crate) fn metadata(path: &Path) -> Result<Option<fs::Metadata>, Failure> {
    match path.symlink_metadata() {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == IoErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::read(path.display(), error)),
    }
}
