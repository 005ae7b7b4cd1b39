//! Finds a place in a log beyond what is loaded.

use hourlog::{
    Event, Offset, Position, Result,
    wire::{Step, TimelineRequest, When},
};

use crate::tui::{
    bursts::{BARS_BEFORE, bursts},
    columns,
    filter::Selection,
    finding::{Find, Found, Sought},
    lanes::Lanes,
    merging,
    scale::Window,
    scan::Direction,
    source::Source,
};

/// Number of events in a request. Few are errors, and the service passes over the others.
const PAGE: u32 = 50;
/// Bars in a request.
const BARS: i64 = 2_000;
/// Limit of the requests for bars. Shorter bars reach less far.
const BAR_REQUESTS_MAX: usize = 100;

/// Looks for the nearest place.
///
/// # Errors
/// The error of the source.
pub(super) async fn find(source: &impl Source, lanes: &Lanes, find: &Find) -> Result<Found> {
    match &find.sought {
        Sought::Event { from, selection, is_error } => {
            event(source, lanes, find.direction, *from, selection, *is_error).await
        }
        Sought::Burst { from, within, step, zone } => {
            let bars = Bars { source, lanes, step: *step, zone: zone.clone(), within: *within };
            bars.find(find.direction, *from).await
        }
    }
}

async fn event(
    source: &impl Source,
    lanes: &Lanes,
    direction: Direction,
    mut from: Position,
    selection: &Selection,
    is_error: bool,
) -> Result<Found> {
    loop {
        let page = merging::page(source, lanes, from, direction, PAGE, selection).await?;
        let is_meant = |event: &&Event| !is_error || columns::is_error(event);
        let (found, next, end) = match direction {
            Direction::Forward => (page.events.iter().find(is_meant), page.to, Position::MAX),
            Direction::Backward => (page.events.iter().rev().find(is_meant), page.from, Position::MIN),
        };
        match found {
            Some(event) => return Ok(Found::At(event.position)),
            None if next == end => return Ok(Found::Nowhere),
            None => from = next,
        }
    }
}

/// The bars of a log.
struct Bars<'a, S> {
    source: &'a S,
    lanes: &'a Lanes,
    step: Step,
    zone: Option<String>,
    within: Window,
}

impl<S: Source> Bars<'_, S> {
    async fn find(&self, direction: Direction, from: Offset) -> Result<Found> {
        let (first, end) = self.within;
        let before = self.step.about_nanos().saturating_mul(BARS_BEFORE as i64 + 2);
        let length = self.step.about_nanos().saturating_mul(BARS);
        let mut at = from;
        for _ in 0..BAR_REQUESTS_MAX {
            let (begin, stop) = match direction {
                Direction::Forward if at >= end => return Ok(Found::Nowhere),
                Direction::Backward if at <= first => return Ok(Found::Nowhere),
                Direction::Forward => (at, at.saturating_add_nanos(length).min(end)),
                Direction::Backward => (at.saturating_add_nanos(-length).max(first), at),
            };
            // The bars before the first one tell whether it is a burst.
            let bars = self.count(begin.saturating_add_nanos(-before).max(first), stop).await?;
            let mut starts = bursts(&bars).into_iter().filter(|start| (begin..stop).contains(start));
            let found = match direction {
                Direction::Forward => starts.find(|start| *start > from),
                Direction::Backward => starts.next_back(),
            };
            if let Some(found) = found {
                return Ok(Found::At(Position::at(found)));
            }
            at = match direction {
                Direction::Forward => bars.last().map_or(stop, |(last, _)| (*last).max(begin)),
                Direction::Backward => begin,
            };
            // The last bar is cut where the request ends.
            if direction == Direction::Forward && (stop >= end || at <= begin) {
                at = stop;
            }
        }
        Ok(Found::NotUntil(at))
    }

    /// Returns the start and the count of each bar that begins in a time.
    async fn count(&self, from: Offset, to: Offset) -> Result<Vec<(Offset, u64)>> {
        let request = TimelineRequest {
            from: Some(When::At(from)),
            to: Some(When::At(to)),
            step: Some(self.step),
            zone: self.zone.clone(),
            ..TimelineRequest::default()
        };
        let counts = merging::count(self.source, self.lanes, &request).await?;
        Ok(counts.bins.into_iter().map(|bin| (bin.from, bin.count)).collect())
    }
}
