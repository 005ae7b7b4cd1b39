//! The stream: the source of all events, which holds them until the archive does.
//!
//! - `connect`: connections to NATS; `wal`: creates or checks the stream.
//! - `message`: a message and its identity; `raw`: fetches a message by itself; `decode`: a message
//!   becomes an event.
//! - `epochs`: the epoch of each message; `forks`: detects a stream that uses sequences again.
//! - `janitor`: deletes archived messages from the stream, except a margin.

pub(crate) mod connect;
pub(crate) mod decode;
pub(crate) mod epochs;
pub(crate) mod forks;
pub(crate) mod janitor;
pub(crate) mod message;
pub(crate) mod raw;
pub(crate) mod wal;
