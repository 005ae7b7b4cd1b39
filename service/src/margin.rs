//! The margin of archived messages that the janitor leaves in the stream.

use std::time::Duration;

/// The part of the archived messages that stays in the stream, so that an archive that lost its
/// newest events can read them again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Margin {
    /// Age up to which messages stay.
    pub age: Duration,
    /// Total size of the messages that stay, at most.
    pub bytes: u64,
}

impl Default for Margin {
    fn default() -> Self {
        Self { age: Duration::from_secs(3600), bytes: 256 << 20 }
    }
}
