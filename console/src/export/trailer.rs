//! The last line of an export: a checksum of the lines before it, and the events that they are.

use hourlog::LogId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The last line of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trailer {
    /// The summary of the lines before it.
    pub(crate) trailer: Summary,
}

/// The summary of an export. An import reads only the checksum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// The checksum of the lines.
    #[serde(flatten)]
    pub(crate) checksum: Checksum,
    /// The id of the archive, if it was told.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) archive: Option<String>,
    /// Start time, inclusive; absent for the first event.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) since: Option<String>,
    /// End time, exclusive; absent for the end of the log.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) until: Option<String>,
    /// The logs that have events here.
    pub(crate) logs: Vec<ExportedLog>,
}

/// The events of one log in an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExportedLog {
    /// Its id.
    pub(crate) log: LogId,
    /// Number of events.
    pub(crate) events: u64,
    /// The greatest seq, as text. Every event of the range up to it is in the export.
    pub(crate) seq: String,
}

/// The checksum of an export's event lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checksum {
    /// Number of events, one per line.
    pub(crate) events: u64,
    /// SHA-256 of the lines with their line breaks, in hexadecimal.
    pub(crate) sha256: String,
}

/// A checksum that grows line by line.
#[derive(Debug, Clone, Default)]
pub(crate) struct ChecksumBuilder {
    events: u64,
    hash: Sha256,
}

impl ChecksumBuilder {
    /// Adds a line with its line break.
    pub(crate) fn add(&mut self, line: &[u8]) {
        self.events += 1;
        self.hash.update(line);
    }

    /// Adds a line that is given without its line break. A line that ends like on Windows counts as it was exported.
    pub(crate) fn add_line(&mut self, line: &[u8]) {
        self.events += 1;
        self.hash.update(line);
        self.hash.update(b"\n");
    }

    /// Returns the number of lines so far.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// Returns the checksum of the lines so far.
    pub(crate) fn checksum(&self) -> Checksum {
        let sha256 = self.hash.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Checksum { events: self.events, sha256 }
    }
}
