//! The last line of an export: how many events stand before it, and the sum of their lines.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The last line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trailer {
    /// What it says.
    pub(super) trailer: Sum,
}

/// What stands before the last line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sum {
    /// How many events, one a line.
    pub(super) events: u64,
    /// The SHA-256 of their lines with their line ends, in hexadecimal.
    pub(super) sha256: String,
}

/// A sum in the making.
#[derive(Debug, Clone, Default)]
pub(super) struct Summing {
    events: u64,
    hash: Sha256,
}

impl Summing {
    /// One more line, with its line end.
    pub(super) fn add(&mut self, line: &[u8]) {
        self.events += 1;
        self.hash.update(line);
    }

    /// How many lines there were.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// The sum of the lines so far.
    pub(super) fn sum(&self) -> Sum {
        let sha256 = self.hash.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Sum { events: self.events, sha256 }
    }
}
