//! The streams that events come from.
//!
//! - `connect`: connections to NATS; `source_stream`: finds a stream; `wal`: creates or checks the
//!   service's own.
//! - `mapping`: which log the event on a subject belongs to.
//! - `message`: a message and its identity; `raw`: fetches a message by itself; `decode`: a message
//!   becomes an event; `headers`: finds headers in any case.
//! - `epochs`: the epoch of each message; `forks`: detects a stream that uses sequences again.
//! - `janitor`: deletes archived messages from the stream, except a margin.

pub(crate) mod connect;
pub(crate) mod decode;
pub(crate) mod epochs;
pub(crate) mod forks;
pub(crate) mod headers;
pub(crate) mod janitor;
pub(crate) mod mapping;
pub(crate) mod message;
pub(crate) mod raw;
pub(crate) mod source_stream;
pub(crate) mod wal;
