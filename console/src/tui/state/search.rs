//! The search through an open log.

use std::collections::BTreeSet;

use hourlog::{Event, Position};

use crate::tui::{
    pattern::Pattern,
    scan::{Direction, ScanPage, ScanProgress},
};

/// Number of hits after which a search pauses.
pub const HITS_MAX: usize = 100_000;

/// A search through a log, in both directions from where it began.
#[derive(Debug)]
pub struct Search {
    /// The direction in which to jump to the nearest hit as soon as it is known.
    pub wanted: Option<Direction>,
    pattern: Pattern,
    hits: BTreeSet<Position>,
    progress: ScanProgress,
    /// Where it began, and the newest event that was reported since.
    begun: Position,
    newest: Position,
    runs: bool,
    /// Events may have arrived unreported since the scan began, so its claim to have reached the
    /// end is void.
    missed: bool,
}

/// The hit nearest to a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NearestHit {
    /// At this position.
    At(Position),
    /// There is none in this direction.
    None,
    /// Not enough of the log has been searched to tell.
    Unknown,
}

impl Search {
    /// Returns a search that has not begun.
    pub(crate) fn new(pattern: Pattern, position: Position) -> Self {
        Self {
            wanted: None,
            pattern,
            hits: BTreeSet::new(),
            progress: ScanProgress::starting_at(position),
            begun: position,
            newest: position,
            runs: false,
            missed: false,
        }
    }

    /// Returns the pattern.
    pub(crate) fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// Returns the hits so far.
    pub(crate) fn hits(&self) -> &BTreeSet<Position> {
        &self.hits
    }

    /// Returns the searched part of the log.
    pub(crate) fn progress(&self) -> &ScanProgress {
        &self.progress
    }

    /// Returns true while a scan is under way.
    pub(crate) fn runs(&self) -> bool {
        self.runs
    }

    /// Starts over at `position`, without hits.
    pub(crate) fn restart_at(&mut self, position: Position) {
        *self = Self { wanted: self.wanted, ..Self::new(self.pattern.clone(), position) };
    }

    /// Notes that a scan begins, or continues.
    pub(crate) fn scan_begins(&mut self) {
        (self.runs, self.missed) = (true, false);
    }

    /// Notes that the scan has ended.
    pub(crate) fn scan_ends(&mut self) {
        (self.runs, self.wanted) = (false, None);
    }

    /// Adds a page of the scan.
    pub(crate) fn add_page(&mut self, page: ScanPage) {
        self.hits.extend(page.hits);
        // Events that were missed are not searched.
        let to = match page.progress.to {
            Position::MAX if self.missed => self.end(),
            to => to,
        };
        self.progress = ScanProgress { to, ..page.progress };
        self.runs = page.goes_on;
    }

    /// Checks an event that arrived while the log was followed.
    pub(crate) fn add_arrived(&mut self, event: &Event) {
        let is_hit = self.pattern.matches(event);
        if is_hit && self.hits.len() >= HITS_MAX {
            return self.miss_events();
        }
        if is_hit {
            self.hits.insert(event.position);
        }
        self.newest = self.newest.max(event.position);
    }

    /// Notes that events may arrive unreported from now on.
    pub(crate) fn miss_events(&mut self) {
        self.missed = true;
        if self.progress.to == Position::MAX {
            self.progress.to = self.end();
        }
    }

    /// Returns the end of what was certainly searched.
    fn end(&self) -> Position {
        self.hits.last().copied().unwrap_or(self.begun).max(self.newest).max(self.begun).next()
    }

    /// Returns the nearest hit before or after `from`.
    pub(crate) fn nearest(&self, from: Position, direction: Direction) -> NearestHit {
        let (hit, end_reached) = match direction {
            Direction::Backward => (self.hits.range(..from).next_back(), self.progress.from == Position::MIN),
            Direction::Forward => (self.hits.range(from.next()..).next(), self.progress.to == Position::MAX),
        };
        match hit {
            // There may be a nearer hit between here and the searched part.
            _ if !self.progress.reaches(from) => NearestHit::Unknown,
            Some(hit) if self.progress.reaches(*hit) => NearestHit::At(*hit),
            None if end_reached => NearestHit::None,
            _ => NearestHit::Unknown,
        }
    }
}
