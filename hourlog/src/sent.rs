//! [`Sent`]: the state of a record whose write has failed.

/// The state of a record whose write has failed. It decides about a retry.
///
/// ```
/// use hourlog::{Error, ErrorKind, Sent};
/// let sent = Sent::InStream { stream: "HOURLOG".into(), sequence: 42 };
/// let error = Error::new(ErrorKind::Deadline, "message 42 is not archived yet").with_sent(sent);
/// match error.sent() {
///     Some(Sent::InStream { stream, sequence }) => println!("{stream} has it as message {sequence}"),
///     Some(Sent::No) => println!("send it again"),
///     Some(Sent::Unknown) => println!("send it again with the same message id"),
///     None => println!("nothing was to be sent"),
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// The record was not sent. Another attempt stores it once.
    No,
    /// The stream may hold the record. Only an attempt with the same message id, within two minutes, stores it
    /// once.
    Unknown,
    /// The stream holds the record, and the archive gets it from there. Another attempt could store it twice.
    InStream {
        /// The name of the stream.
        stream: Box<str>,
        /// The sequence of the record's message.
        sequence: u64,
    },
}
