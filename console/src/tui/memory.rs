//! The state of logs as users left them.

pub(crate) mod file;

use hourlog::{LogId, Offset, Position};
use serde::{Deserialize, Serialize};

/// Everything that is kept.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Memory {
    /// The logs.
    pub(crate) logs: Vec<LogMemory>,
    /// The texts that were entered, by the kind of the prompt.
    pub(crate) history: Vec<(String, Vec<String>)>,
}

/// The state of a log, or of several that were open as one.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LogMemory {
    /// The logs.
    pub(crate) lanes: Vec<LogId>,
    /// The playhead; absent at the newest event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) playhead: Option<Position>,
    /// The time that the scrubber showed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) window: Option<(Offset, Offset)>,
    /// The marks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) marks: Vec<Position>,
    /// The filters as they were typed, and true for those that were on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) filters: Vec<(String, bool)>,
    /// The paths of the columns, if the user has chosen them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) columns: Option<Vec<String>>,
}
