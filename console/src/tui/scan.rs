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

/// The part of a log that was searched: one stretch without holes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanProgress {
    /// Start of the searched stretch, inclusive.
    pub from: Position,
    /// End of the searched stretch, exclusive.
    pub to: Position,
    /// The stretch begins with the oldest event.
    pub first_reached: bool,
    /// The stretch ends with the newest event.
    pub last_reached: bool,
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
        Self { from: position, to: position, first_reached: false, last_reached: false, events: 0, log_events: None }
    }

    /// Returns whether an event at `position` was searched.
    pub fn has(&self, position: Position) -> bool {
        (self.from <= position || self.first_reached) && (position < self.to || self.last_reached)
    }

    /// Returns whether no event between `position` and the searched stretch was left out.
    pub fn reaches(&self, position: Position) -> bool {
        self.has(position) || position == self.to
    }

    /// Returns whether the whole log was searched.
    pub fn is_complete(&self) -> bool {
        self.first_reached && self.last_reached
    }

    /// Returns the searched part of the log in percent, if its size is known.
    pub fn percent(&self) -> Option<u64> {
        let of = self.log_events?.max(self.events);
        (of > 0).then(|| self.events * 100 / of)
    }
}
