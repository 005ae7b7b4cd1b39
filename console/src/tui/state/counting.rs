//! Counts of the events in the bars of a window: what is known, and what to ask for next.

use hourlog::{
    Offset,
    wire::{Step, TimelineReply, TimelineRequest, When},
};

use crate::tui::{filter::Selection, scale::Window};

/// Age at which counts of a followed log are outdated.
const EVERY_NANOS: i64 = 2_000_000_000;
/// Counts for which events are read are outdated after this many times the time that reading took.
const READING_PARTS: i64 = 20;
/// The most events to read for exact counts of bars that the index does not tell apart, or of a severity.
pub(super) const READS_MAX: u64 = 1_000_000;

/// The counts that are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CountsQuery {
    pub(crate) window: Window,
    pub(crate) step: Step,
    /// The name of the zone of the calendar.
    pub(crate) zone: Option<String>,
    /// The events to count.
    pub(crate) selection: Selection,
}

impl CountsQuery {
    /// Returns true if it asks for the same bars as `other`, but for a window that has moved on.
    fn is_later_window_of(&self, other: &Self) -> bool {
        let is_like = (self.step, &self.zone, &self.selection) == (other.step, &other.zone, &other.selection);
        is_like && self.window.0 > other.window.0 && self.window.0 < other.window.1
    }
}

/// Counts that are asked for in several requests, if events have to be read.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    query: Option<CountsQuery>,
    known: Option<TimelineReply>,
    /// Exact counts up to a position, until they are complete.
    partial: Option<TimelineReply>,
    /// The time at which the counts were complete.
    done: Option<Offset>,
    /// The time at which counting began.
    begun: Option<Offset>,
    /// The last request goes on where the partial counts end.
    goes_on: bool,
    /// The user has stopped it.
    is_stopped: bool,
}

impl Counting {
    /// Returns the newest counts, which may be those of another window.
    pub(crate) fn known(&self) -> Option<&TimelineReply> {
        self.known.as_ref()
    }

    /// Returns the counts for exactly this query.
    pub(crate) fn answer(&self, query: &CountsQuery) -> Option<&TimelineReply> {
        self.known.as_ref().filter(|_| self.query.as_ref() == Some(query))
    }

    /// Returns the numbers of events that were read, and that have to be, while events are read.
    pub(crate) fn progress(&self) -> Option<(u64, u64)> {
        let partial = self.partial.as_ref().filter(|_| self.done.is_none() && !self.is_stopped)?;
        Some((partial.scanned, partial.of.max(partial.scanned)))
    }

    /// Stops reading. What was counted so far stays.
    pub(crate) fn stop(&mut self) {
        self.is_stopped = true;
    }

    /// Forgets what was counted.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Notes that events may have been counted wrongly.
    pub(crate) fn recount(&mut self) {
        self.done = None;
        self.partial = None;
    }

    /// Returns the next request, if one is needed. Only counts of a followed log become outdated.
    pub(crate) fn request(&mut self, query: &CountsQuery, follows: bool, now: Offset) -> Option<TimelineRequest> {
        let reads = !query.selection.is_all();
        // A followed window moves bar by bar. The bars that stay are known, and the others come with the next count.
        let is_moved = follows && reads && self.query.as_ref().is_some_and(|known| query.is_later_window_of(known));
        if is_moved && self.done.is_some() {
            self.query = Some(query.clone());
        }
        let is_same = self.query.as_ref() == Some(query);
        if !is_same {
            if reads {
                self.known = None;
            }
            (self.partial, self.done, self.is_stopped) = (None, None, false);
            self.query = Some(query.clone());
        }
        let read_nanos =
            self.begun.zip(self.done).map_or(0, |(begun, done)| done.nanos().saturating_sub(begun.nanos()));
        // Exact counts of short bars are read, too.
        let has_read = reads || self.partial.is_some();
        let every = if has_read { EVERY_NANOS.max(read_nanos.saturating_mul(READING_PARTS)) } else { EVERY_NANOS };
        let is_outdated = |done: Offset| follows && now.nanos().saturating_sub(done.nanos()) >= every;
        if self.is_stopped || self.done.is_some_and(|done| !is_outdated(done)) {
            return None;
        }
        // Counts that needed reading once need it again.
        let exact = reads || self.partial.is_some();
        let after = self.partial.as_ref().filter(|_| self.done.is_none()).and_then(|partial| partial.next);
        self.goes_on = after.is_some();
        if !self.goes_on {
            self.begun = Some(now);
        }
        let CountsQuery { window: (from, to), step, zone, selection } = query;
        Some(TimelineRequest {
            from: Some(When::At(*from)),
            to: Some(When::At(*to)),
            step: Some(*step),
            zone: zone.clone(),
            exact: exact && !reads,
            after,
            condition: selection.condition.clone(),
            text: selection.text.clone(),
            ..TimelineRequest::default()
        })
    }

    /// Adds an answer to the last request.
    pub(crate) fn add(&mut self, reply: TimelineReply, now: Offset) {
        let reads = self.query.as_ref().is_some_and(|query| !query.selection.is_all());
        if !reads && !reply.exact && reply.next.is_none() && self.partial.is_none() {
            // The index is too coarse for these bars. What it knows is shown until they are read.
            let is_too_much = reply.of > READS_MAX;
            self.done = is_too_much.then_some(now);
            self.partial = Some(TimelineReply { next: None, ..TimelineReply::empty(reply.from, reply.to, reply.now) });
            self.known = Some(reply);
            return;
        }
        let whole = match self.partial.take().filter(|_| self.goes_on) {
            None => reply,
            Some(sum) => added(sum, reply),
        };
        if whole.next.is_none() {
            self.done = Some(now);
        } else {
            self.done = None;
        }
        // Counts of filtered events are shown while they are found.
        if reads || whole.next.is_none() {
            self.known = Some(whole.clone());
        }
        let is_read_again = whole.scanned > 0 || whole.next.is_some();
        self.partial = is_read_again.then_some(whole);
    }
}

/// Counts of the whole log.
#[derive(Debug, Default)]
pub(crate) struct Overview {
    known: Option<TimelineReply>,
    /// The number of bins that was asked for, and when.
    asked: usize,
    done: Option<Offset>,
}

impl Overview {
    /// Returns the newest counts.
    pub(crate) fn known(&self) -> Option<&TimelineReply> {
        self.known.as_ref()
    }

    /// Notes that events may have been counted wrongly.
    pub(crate) fn recount(&mut self) {
        self.done = None;
    }

    /// Returns the next request, if one is needed.
    pub(crate) fn request(&mut self, bins: usize, follows: bool, now: Offset) -> Option<TimelineRequest> {
        let is_current = |done: Offset| !follows || now.nanos().saturating_sub(done.nanos()) < EVERY_NANOS;
        if self.asked == bins && self.done.is_some_and(is_current) {
            return None;
        }
        self.asked = bins;
        Some(TimelineRequest { bins: u32::try_from(bins).ok(), ..TimelineRequest::default() })
    }

    /// Takes the answer to the last request.
    pub(crate) fn set(&mut self, reply: TimelineReply, now: Offset) {
        (self.known, self.done) = (Some(reply), Some(now));
    }
}

/// Returns the counts of both: `more` goes on where `sum` ends.
fn added(sum: TimelineReply, more: TimelineReply) -> TimelineReply {
    let mut bins = sum.bins;
    for (bin, other) in bins.iter_mut().zip(&more.bins) {
        bin.count += other.count;
    }
    let (count, scanned, of) = (sum.count + more.count, sum.scanned + more.scanned, sum.of.max(more.of));
    TimelineReply { bins, count, scanned, of, ..more }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourlog::{Position, wire::BinReply};

    fn at(seconds: i64) -> Offset {
        Offset::from_nanos(seconds * 1_000_000_000)
    }

    fn query(text: Option<&str>) -> CountsQuery {
        let selection = Selection { condition: None, text: text.map(str::to_owned) };
        CountsQuery { window: (at(0), at(60)), step: Step::Nanos(1_000_000_000), zone: None, selection }
    }

    fn reply(count: u64, exact: bool, next: Option<i64>) -> TimelineReply {
        let bins = vec![BinReply { from: at(0), to: at(60), count }];
        let next = next.map(|next| Position::at(at(next)));
        TimelineReply { bins, count, exact, next, scanned: 1, of: 10, ..TimelineReply::empty(at(0), at(60), at(60)) }
    }

    #[test]
    fn bars_that_the_index_does_not_tell_apart_are_read_and_shown_when_they_are_complete() {
        let (mut counting, query) = (Counting::default(), query(None));
        let first = counting.request(&query, false, at(0)).expect("nothing is known");
        assert!(!first.exact);
        counting.add(reply(10, false, None), at(0));
        assert_eq!(counting.known().map(|known| (known.count, known.exact)), Some((10, false)));
        let second = counting.request(&query, false, at(0)).expect("it is not exact");
        assert!(second.exact && second.after.is_none());
        counting.add(reply(4, true, Some(30)), at(0));
        assert_eq!(counting.known().map(|known| known.exact), Some(false), "half of it is not shown");
        let third = counting.request(&query, false, at(0)).expect("it goes on");
        assert_eq!(third.after, Some(Position::at(at(30))));
        counting.add(reply(6, true, None), at(0));
        assert_eq!(counting.known().map(|known| (known.count, known.exact)), Some((10, true)));
        assert_eq!(counting.request(&query, true, at(1)), None);
        assert!(counting.request(&query, true, at(2)).is_some_and(|request| request.exact && request.after.is_none()));
        assert_eq!(counting.request(&query, false, at(9)), None, "only a followed log is counted again");
    }

    #[test]
    fn counts_of_a_followed_log_that_take_long_to_read_are_rarely_read_again() {
        let (mut counting, query) = (Counting::default(), query(None));
        counting.request(&query, true, at(0)).expect("nothing is known");
        counting.add(reply(10, false, None), at(0));
        counting.request(&query, true, at(0)).expect("it is not exact");
        counting.add(reply(10, true, None), at(1));
        assert_eq!(counting.request(&query, true, at(20)), None, "reading took a second");
        assert!(counting.request(&query, true, at(21)).is_some());
    }

    #[test]
    fn matches_are_shown_as_they_are_found_and_reading_can_be_stopped() {
        let (mut counting, query) = (Counting::default(), query(Some("x")));
        let first = counting.request(&query, false, at(0)).expect("nothing is known");
        assert_eq!((first.text.as_deref(), first.exact), (Some("x"), false));
        counting.add(reply(3, true, Some(20)), at(0));
        assert_eq!((counting.known().map(|known| known.count), counting.progress()), (Some(3), Some((1, 10))));
        let second = counting.request(&query, false, at(0)).expect("it goes on");
        assert_eq!(second.after, Some(Position::at(at(20))));
        counting.add(reply(2, true, Some(40)), at(0));
        assert_eq!((counting.known().map(|known| known.count), counting.progress()), (Some(5), Some((2, 10))));
        counting.stop();
        assert_eq!((counting.request(&query, false, at(0)), counting.progress()), (None, None));
    }
}
