//! Work on an excerpt of the open logs: what is to be done, how far it is, and what has come of it.

use hourlog::{Offset, pace::Speed};

use crate::tui::excerpt::Excerpt;

/// Work that takes a while.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// Writes events to a file.
    Export(Export),
    /// Finds out what a replay would send, and sends nothing.
    DryRun(Replay),
    /// Sends events to subjects again.
    Replay(Replay),
}

/// An export to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// The events.
    pub excerpt: Excerpt,
    /// The path of the file.
    pub path: String,
    /// Replaces what is in the way.
    pub replaces: bool,
}

/// A replay to subjects.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// The events.
    pub excerpt: Excerpt,
    /// The subject; one that ends in `.>` has the id of each log there.
    pub to: String,
    /// How much faster than time was; `None` for as fast as possible.
    pub speed: Option<Speed>,
    /// Sends to a subject that hourlog stores.
    pub is_into_log: bool,
}

/// A report on work.
#[derive(Debug)]
pub enum Worked {
    /// It is under way.
    Progress(Progress),
    /// An export has ended.
    Exported(Result<Written, Obstacle>),
    /// A dry run has ended; the error says why the replay is refused.
    Planned(Result<Plan, String>),
    /// A replay has ended.
    Replayed(Replayed),
}

/// The events that were written or sent so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Their number.
    pub events: u64,
    /// Their size.
    pub bytes: u64,
}

/// A complete export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Number of events.
    pub events: u64,
    /// Size of their lines.
    pub bytes: u64,
}

/// The reason why there is no complete export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Something is in the way, and may be replaced.
    InTheWay(String),
    /// It failed.
    Failed(String),
    /// The user has stopped it. The sentence says what is left of it.
    Stopped(String),
}

/// The messages that a replay would send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Number of events.
    pub events: u64,
    /// Size of their data and metadata.
    pub bytes: u64,
    /// Times of the first and the last event.
    pub times: Option<(Offset, Offset)>,
    /// The first subjects.
    pub subjects: Vec<String>,
    /// Number of further subjects.
    pub other_subjects: usize,
    /// Sentences on what becomes of the messages.
    pub remarks: Vec<String>,
}

/// The outcome of a replay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Number of events that have certainly been sent.
    pub published: u64,
    /// Number of events that cannot be sent.
    pub refused: u64,
    /// Why the first of them cannot be sent.
    pub first_refusal: Option<String>,
    /// Why it ended early.
    pub failure: Option<String>,
    /// The user has stopped it.
    pub is_stopped: bool,
}
