//! A search's way through a log: how far it is, and what each page adds.

use hourlog::Position;

/// One of the two ways through time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Towards earlier events.
    Backward,
    /// Towards later events.
    Forward,
}

impl Direction {
    /// Returns the stretch from a position to the end of the log in this direction.
    pub fn rest(self, at: Position) -> (Position, Position) {
        match self {
            Self::Backward => (Position::MIN, at),
            Self::Forward => (at, Position::MAX),
        }
    }

    /// Returns the stretch from a position to the last event that was read in this direction. It is empty if none was.
    pub fn stretch(self, at: Position, last: Option<Position>) -> (Position, Position) {
        match self {
            Self::Backward => (last.unwrap_or(at), at),
            Self::Forward => (at, last.map_or(at, Position::next)),
        }
    }
}

/// The part of a log that was searched: one stretch without holes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanProgress {
    /// Start of the searched stretch, inclusive; [`Position::MIN`] is the beginning of the log.
    pub from: Position,
    /// End of the searched stretch, exclusive; [`Position::MAX`] is the end of the log.
    pub to: Position,
    /// Number of events searched.
    pub events: u64,
    /// Number of events in the log, once it is known.
    pub log_events: Option<u64>,
}

/// A page of a log that was searched.
#[derive(Debug, Clone)]
pub struct ScanPage {
    /// Positions of the matching events on this page.
    pub hits: Vec<Position>,
    /// The progress so far, with this page.
    pub progress: ScanProgress,
    /// More pages follow.
    pub goes_on: bool,
}

impl ScanProgress {
    /// Returns an empty stretch at `position`, where a search begins.
    pub fn starting_at(position: Position) -> Self {
        Self { from: position, to: position, events: 0, log_events: None }
    }

    /// Returns true if no event between `position` and the searched stretch was left out.
    pub fn reaches(&self, position: Position) -> bool {
        (self.from..=self.to).contains(&position)
    }

    /// Returns true if the whole log was searched.
    pub fn is_complete(&self) -> bool {
        self.from == Position::MIN && self.to == Position::MAX
    }

    /// Returns the searched part of the log in percent, if its size is known.
    pub fn percent(&self) -> Option<u64> {
        let of = self.log_events?.max(self.events);
        (of > 0).then(|| self.events * 100 / of)
    }
}
