//! How a command ends: what went wrong, and the number that the shell gets.

use std::io;

use hourlog::ErrorKind;

/// Why a command stopped before it was done.
#[derive(Debug)]
pub enum Failure {
    /// What the log, the service or the connection said.
    Log(hourlog::Error),
    /// A file or a stream of this machine.
    Io {
        /// What was attempted, and what to do.
        context: String,
        /// Why it failed.
        source: io::Error,
    },
    /// Something of what was looked at is not as it should be; all of it has been shown.
    Found(ErrorKind),
    /// Whoever read the output has read enough.
    OutputClosed,
    /// Ctrl-C.
    Interrupted,
}

impl Failure {
    /// A value that cannot be used as it is.
    pub fn usage(context: impl Into<String>) -> Self {
        Self::Log(hourlog::Error::invalid(context))
    }

    /// A failure to write the output.
    pub fn output(source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Io { context: "the output cannot be written".to_owned(), source },
        }
    }

    /// What the shell gets.
    pub fn code(&self) -> u8 {
        match self {
            Self::Log(error) => code(error.kind()),
            Self::Found(kind) => code(*kind),
            Self::Io { .. } => UNEXPECTED,
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

/// All went well.
pub const OK: u8 = 0;
/// Nobody foresaw it.
pub const UNEXPECTED: u8 = 1;
/// The command was written wrongly.
pub const USAGE: u8 = 2;
/// Stopped with Ctrl-C, as shells have it.
pub const INTERRUPTED: u8 = 130;

/// What the shell gets for each kind of error.
pub fn code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Invalid => USAGE,
        ErrorKind::NotFound => 3,
        ErrorKind::NotAllowed => 4,
        ErrorKind::Unavailable => 5,
        ErrorKind::Deadline => 6,
        ErrorKind::Integrity => 7,
        ErrorKind::Refused | ErrorKind::Rejected | ErrorKind::TooLarge => 8,
        _ => UNEXPECTED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_the_code_that_scripts_rely_on() {
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
            assert_eq!(code(kind), expected, "{kind}");
        }
        assert_eq!(Failure::output(io::ErrorKind::BrokenPipe.into()).code(), 0);
        assert_eq!(Failure::Interrupted.code(), 130);
    }
}
