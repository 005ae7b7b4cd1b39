//! A place in a log to find beyond what is loaded: the next error, or the next burst.

use hourlog::{Offset, Position, wire::Step};

use crate::tui::{filter::Selection, scale::Window, scan::Direction};

/// A place to find.
#[derive(Debug, Clone, PartialEq)]
pub struct Find {
    /// The direction in which to look.
    pub direction: Direction,
    /// The kind of place.
    pub sought: Sought,
}

/// A kind of place.
#[derive(Debug, Clone, PartialEq)]
pub enum Sought {
    /// A selected event.
    Event {
        /// The events before it are known, or those after it.
        from: Position,
        /// The events to look through.
        selection: Selection,
        /// Only an error is meant. The selection has all errors, and perhaps other events.
        is_error: bool,
    },
    /// The start of a burst.
    Burst {
        /// The start of the bar before which the bars are known, or after which.
        from: Offset,
        /// The time to look through.
        within: Window,
        /// The length of a bar.
        step: Step,
        /// The name of the zone of the calendar.
        zone: Option<String>,
    },
}

/// The place that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It is here.
    At(Position),
    /// There is none in this direction.
    Nowhere,
    /// There is none up to here, where looking ends.
    NotUntil(Offset),
}
