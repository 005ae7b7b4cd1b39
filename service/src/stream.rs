//! The streams that events come from.
//!
//! - `connect`: connections to NATS; `source_stream`: finds a stream; `wal`: creates or checks the
//!   service's own.
//! - `mapping`: which log the event on a subject belongs to.
//! - `message`: a message and its identity; `raw`: fetches messages that break the client; `decode`: a
//!   message becomes an event; `headers`: finds headers in any case; `pub_ack`: recognises
//!   acknowledgements of JetStream.
//! - `refusals`: the messages whose events a limit refuses.
//! - `sequences`: sets of sequences; `damage`: the sequences that a stream does not have, and why.
//! - `questions`: asks a stream if it lives.
//! - `epochs`: the epoch of each message; `forks`: the rule that tells a stream that uses sequences
//!   again from one that is being restored; `message_ages`: asks the stream and the archive for it.
//! - `marks`: compares the ends of archive and stream.
//! - `ends`: looks messages of a stream up by sequence and by time.
//! - `janitor`: deletes archived messages from the stream, except a margin.

pub(crate) mod connect;
pub(crate) mod damage;
pub(crate) mod decode;
pub(crate) mod ends;
pub(crate) mod epochs;
pub(crate) mod forks;
pub(crate) mod headers;
pub(crate) mod janitor;
pub(crate) mod mapping;
pub(crate) mod marks;
pub(crate) mod message;
pub(crate) mod message_ages;
pub(crate) mod pub_ack;
pub(crate) mod questions;
pub(crate) mod raw;
pub(crate) mod refusals;
pub(crate) mod sequences;
pub(crate) mod source_stream;
pub(crate) mod wal;
