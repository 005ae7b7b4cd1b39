//! One error type: what a caller can act on, and the sentence that says what to do.

use std::{error, fmt};

/// The result of every operation on a log.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong: a kind to branch on, a sentence to read, and the cause.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    context: String,
    source: Option<Box<dyn error::Error + Send + Sync>>,
}

/// What a caller may want to tell apart. The same on the wire: see [`ErrorKind::code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A value that cannot be used as it is: an id, a time, a cursor, a request.
    Invalid,
    /// No such log, or no such position in it.
    NotFound,
    /// The asker may not do this.
    NotAllowed,
    /// The handle was closed.
    Closed,
    /// It does not fit where it has to go; the sentence names the limit.
    TooLarge,
    /// The event was not taken, for what it says itself (a time that is too far ahead, say).
    Rejected,
    /// A limit, a setting or a missing confirmation stands against it; the sentence names it.
    Refused,
    /// Nobody answers, or the archive cannot be reached. Trying again may help.
    Unavailable,
    /// Time ran out before there was an answer.
    Deadline,
    /// What is stored is not what was written.
    Integrity,
    /// Anything else; a defect, most likely.
    Unexpected,
}

/// Each kind with its code on the wire and its name.
const KINDS: [(ErrorKind, u16, &str); 11] = [
    (ErrorKind::Invalid, 400, "invalid"),
    (ErrorKind::NotAllowed, 403, "not allowed"),
    (ErrorKind::NotFound, 404, "not found"),
    (ErrorKind::Closed, 410, "closed"),
    (ErrorKind::TooLarge, 413, "too large"),
    (ErrorKind::Rejected, 422, "rejected"),
    (ErrorKind::Refused, 429, "refused"),
    (ErrorKind::Unexpected, 500, "unexpected"),
    (ErrorKind::Unavailable, 503, "unavailable"),
    (ErrorKind::Deadline, 504, "deadline"),
    (ErrorKind::Integrity, 520, "integrity"),
];

impl ErrorKind {
    /// The number that stands for this kind in `Nats-Service-Error-Code`.
    pub fn code(self) -> u16 {
        self.entry().1
    }

    /// The kind that `code` stands for; a number nobody gave out is [`ErrorKind::Unexpected`].
    pub fn from_code(code: u16) -> Self {
        KINDS.iter().find(|(_, number, _)| *number == code).map_or(Self::Unexpected, |(kind, _, _)| *kind)
    }

    fn entry(self) -> &'static (ErrorKind, u16, &'static str) {
        KINDS.iter().find(|(kind, _, _)| *kind == self).expect("every kind has its line in KINDS")
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.entry().2)
    }
}

impl Error {
    /// An error of `kind`; `context` says what was attempted and what to do, lowercase, no full stop.
    pub fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into(), source: None }
    }

    /// The same error, with what caused it.
    pub fn because(mut self, source: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same error for another one who waits for the same thing; its causes are text in it.
    pub fn again(&self) -> Self {
        let error = Self::new(self.kind, self.context.clone());
        match &self.source {
            Some(source) => error.because(source.to_string()),
            None => error,
        }
    }

    /// A value that cannot be used as it is.
    pub fn invalid(context: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, context)
    }

    /// What to branch on.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The sentence, without the causes.
    pub fn context(&self) -> &str {
        &self.context
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_the_wire() {
        for (kind, code, _) in KINDS {
            assert_eq!(ErrorKind::from_code(code), kind);
        }
        assert_eq!(ErrorKind::from_code(599), ErrorKind::Unexpected);
    }
}
