//! Places of the playhead, to go to and to come from.

use hourlog::Position;

use crate::tui::scale::Grid;

/// Number of jumps that can be undone.
const UNDO_MAX: usize = 100;

/// A place that is known once it is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// The oldest event.
    Oldest,
    /// The newest event that does not lie ahead of now.
    Newest,
}

/// The places before each jump, to undo and redo jumps.
#[derive(Debug, Default)]
pub struct Jumps {
    undo: Vec<Place>,
    redo: Vec<Place>,
}

/// A playhead, and the window around it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    pub(crate) playhead: Position,
    pub(crate) goal: Option<Goal>,
    pub(crate) grid: Option<Grid>,
}

impl Jumps {
    /// Notes a jump away from `from`. Jumps that were undone cannot be redone any more.
    pub(crate) fn push(&mut self, from: Place) {
        self.undo.push(from);
        if self.undo.len() > UNDO_MAX {
            self.undo.remove(0);
        }
        self.redo.clear();
    }

    /// Returns the place before the last jump, and keeps `here` for a redo.
    pub(crate) fn undo(&mut self, here: Place) -> Option<Place> {
        let to = self.undo.pop()?;
        self.redo.push(here);
        Some(to)
    }

    /// Returns the place before the last undo, and keeps `here` for an undo.
    pub(crate) fn redo(&mut self, here: Place) -> Option<Place> {
        let to = self.redo.pop()?;
        self.undo.push(here);
        Some(to)
    }
}
