//! Failures of a command, and the exit code of each.

use std::{fmt::Display, io};

use hourlog::ErrorKind;

/// The reason why a command stopped early.
#[derive(Debug)]
pub enum Failure {
    /// An error from the log, the service or the connection.
    Log(hourlog::Error),
    /// An error from a local file or stream.
    Io {
        /// The failed operation, and what to do.
        context: String,
        /// The cause.
        source: io::Error,
    },
    /// Checks that failed. The findings have been printed already.
    ChecksFailed(ErrorKind),
    /// A search that has found nothing.
    NothingFound,
    /// The reader of the output closed it, as `head` does. Not an error.
    OutputClosed,
    /// Ctrl-C or SIGTERM.
    Interrupted,
}

impl Failure {
    /// A wrong argument.
    pub fn usage(context: impl Into<String>) -> Self {
        Self::Log(hourlog::Error::invalid(context))
    }

    /// A failure to write to stdout.
    pub fn output(source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Io { context: "cannot write the output".to_owned(), source },
        }
    }

    /// A failure to read the file or stream `name`.
    pub(crate) fn read(name: impl Display, source: io::Error) -> Self {
        Self::Io { context: format!("cannot read {name}"), source }
    }

    /// A failure to write the file or directory `name`.
    pub(crate) fn write(name: impl Display, source: io::Error) -> Self {
        Self::Io { context: format!("cannot write {name}"), source }
    }

    /// Returns the failure as a sentence.
    pub(crate) fn sentence(&self) -> String {
        match self {
            Self::Log(error) => error.to_string(),
            Self::Io { context, source } => format!("{context}: {source}"),
            Self::ChecksFailed(kind) => kind.to_string(),
            Self::NothingFound => "nothing was found".to_owned(),
            Self::OutputClosed => "the reader of the output has left".to_owned(),
            Self::Interrupted => "interrupted".to_owned(),
        }
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Log(error) => error.kind().exit_code(),
            Self::ChecksFailed(kind) => kind.exit_code(),
            Self::Io { .. } => UNEXPECTED,
            Self::NothingFound => NOTHING_FOUND,
            Self::OutputClosed => OK,
            Self::Interrupted => INTERRUPTED,
        }
    }
}

impl From<hourlog::Error> for Failure {
    fn from(error: hourlog::Error) -> Self {
        Self::Log(error)
    }
}

/// Success.
pub const OK: u8 = 0;
/// An unexpected failure.
pub const UNEXPECTED: u8 = 1;
/// Nothing found, as grep says it.
pub const NOTHING_FOUND: u8 = 1;
/// A wrong command line.
pub const USAGE: u8 = 2;
/// Ctrl-C: 128 + SIGINT, as shells report it.
pub const INTERRUPTED: u8 = 130;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_kind_has_the_exit_code_that_scripts_rely_on() {
        for (kind, expected) in [
            (ErrorKind::Unexpected, 1),
            (ErrorKind::Closed, 1),
            (ErrorKind::Invalid, 2),
            (ErrorKind::NotFound, 3),
            (ErrorKind::NotAllowed, 4),
            (ErrorKind::Unavailable, 5),
            (ErrorKind::Deadline, 6),
            (ErrorKind::Integrity, 7),
            (ErrorKind::Refused, 8),
            (ErrorKind::Rejected, 8),
            (ErrorKind::TooLarge, 8),
        ] {
            assert_eq!(Failure::ChecksFailed(kind).code(), expected, "{kind}");
        }
        assert_eq!(Failure::output(io::ErrorKind::BrokenPipe.into()).code(), 0);
        assert_eq!(Failure::Interrupted.code(), 130);
    }
}
