//! The error type: a kind to branch on, and a sentence that says what to do.

use std::{error, fmt};

use crate::Sent;

/// The result of every operation on a log.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error: a kind to branch on, a sentence to read, and the cause.
///
/// ```
/// use hourlog::{Error, ErrorKind, LogId};
/// let error = "orders.*".parse::<LogId>().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Invalid);
/// assert!(error.to_string().contains("orders.*"));
///
/// let error = Error::new(ErrorKind::Unavailable, "cannot reach the archive; check its address").because("timed out");
/// assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "timed out");
/// ```
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    context: String,
    source: Option<Box<dyn error::Error + Send + Sync>>,
    sent: Option<Sent>,
}

/// The kinds of errors that a caller may treat differently.
///
/// A kind has one code on the wire and one exit code.
///
/// ```
/// use hourlog::ErrorKind;
/// assert_eq!(ErrorKind::NotFound.code(), 404);
/// assert_eq!(ErrorKind::from_code(404), ErrorKind::NotFound);
/// assert_eq!(ErrorKind::NotFound.exit_code(), 3);
/// assert_eq!(ErrorKind::NotFound.to_string(), "not found");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A malformed value: an id, a time, a cursor, a request.
    Invalid,
    /// The log does not exist, or has no such position.
    NotFound,
    /// The caller lacks the permission.
    NotAllowed,
    /// The handle was closed.
    Closed,
    /// A value exceeds a size limit, which the sentence names.
    TooLarge,
    /// The event was rejected because of its content, such as a time that is too far ahead.
    Rejected,
    /// A limit, a setting or a missing confirmation forbids the operation; the sentence names it.
    Refused,
    /// The service does not answer, or the archive cannot be reached. A retry may help.
    Unavailable,
    /// The deadline passed before the answer.
    Deadline,
    /// The stored data is damaged, or another version wrote it.
    Integrity,
    /// Anything else; most likely a bug.
    Unexpected,
}

/// Each kind with its code on the wire, the exit code of a process, and its name.
const KINDS: [(ErrorKind, u16, u8, &str); 11] = [
    (ErrorKind::Invalid, 400, 2, "invalid"),
    (ErrorKind::NotAllowed, 403, 4, "not allowed"),
    (ErrorKind::NotFound, 404, 3, "not found"),
    (ErrorKind::Closed, 410, 1, "closed"),
    (ErrorKind::TooLarge, 413, 8, "too large"),
    (ErrorKind::Rejected, 422, 8, "rejected"),
    (ErrorKind::Refused, 429, 8, "refused"),
    (ErrorKind::Unexpected, 500, 1, "unexpected"),
    (ErrorKind::Unavailable, 503, 5, "unavailable"),
    (ErrorKind::Deadline, 504, 6, "deadline"),
    (ErrorKind::Integrity, 520, 7, "integrity"),
];

impl ErrorKind {
    /// Returns the number of this kind in the header `Nats-Service-Error-Code`.
    pub fn code(self) -> u16 {
        self.entry().1
    }

    /// Returns the kind with this code; [`ErrorKind::Unexpected`] for an unknown code.
    pub fn from_code(code: u16) -> Self {
        KINDS.iter().find(|(_, number, _, _)| *number == code).map_or(Self::Unexpected, |(kind, ..)| *kind)
    }

    /// Returns the code with which a process exits after an error of this kind.
    pub fn exit_code(self) -> u8 {
        self.entry().2
    }

    fn entry(self) -> &'static (ErrorKind, u16, u8, &'static str) {
        KINDS.iter().find(|(kind, ..)| *kind == self).expect("every kind has its line in KINDS")
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.entry().3)
    }
}

impl Error {
    /// Creates an error.
    ///
    /// `context` says what was attempted and what to do, in lowercase and without a full stop.
    pub fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into(), source: None, sent: None }
    }

    /// Adds the cause.
    pub fn because(mut self, source: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds the state of the record that was to be written.
    pub fn with_sent(mut self, sent: Sent) -> Self {
        self.sent = Some(sent);
        self
    }

    /// Returns a copy for another waiter; its causes are flattened to text.
    pub fn flat_copy(&self) -> Self {
        let error = Self { sent: self.sent.clone(), ..Self::new(self.kind, self.context.clone()) };
        match &self.source {
            Some(source) => error.because(source.to_string()),
            None => error,
        }
    }

    /// Creates an error of the kind [`ErrorKind::Invalid`].
    pub fn invalid(context: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, context)
    }

    /// Returns the kind, to branch on.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the state of the record that was to be written; `None` if nothing is known, or nothing was to be
    /// written.
    ///
    /// After a write of several records, it is the state of those that are not archived: [`Sent::No`] only if none
    /// of them was sent.
    pub fn sent(&self) -> Option<&Sent> {
        self.sent.as_ref()
    }

    /// Returns the sentence, without the causes.
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

/// Shortens untrusted text to a length that an error message can quote.
#[cfg_attr(not(feature = "wire"), expect(unreachable_pub, reason = "the module `wire` exports it"))]
pub fn shorten(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_round_trips_through_its_code() {
        for (kind, code, ..) in KINDS {
            assert_eq!(ErrorKind::from_code(code), kind);
        }
        assert_eq!(ErrorKind::from_code(599), ErrorKind::Unexpected);
    }
}
