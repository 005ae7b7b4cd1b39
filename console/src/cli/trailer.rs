//! The last line of an export: the number of events before it, and a checksum of their lines.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The last line of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trailer {
    /// The checksum of the lines before it.
    pub(super) trailer: Checksum,
}

/// The checksum of an export's event lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checksum {
    /// Number of events, one per line.
    pub(super) events: u64,
    /// SHA-256 of the lines with their line breaks, in hexadecimal.
    pub(super) sha256: String,
}

/// A checksum that grows line by line.
#[derive(Debug, Clone, Default)]
pub(super) struct ChecksumBuilder {
    events: u64,
    hash: Sha256,
}

impl ChecksumBuilder {
    /// Adds a line with its line break.
    pub(super) fn add(&mut self, line: &[u8]) {
        self.events += 1;
        self.hash.update(line);
    }

    /// Returns the number of lines so far.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// Returns the checksum of the lines so far.
    pub(super) fn checksum(&self) -> Checksum {
        let sha256 = self.hash.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Checksum { events: self.events, sha256 }
    }
}
