//! The bars of the scrubber: the number of events in each column.
//!
//! Counts come from the archive's index, so the whole time is known before an event is loaded. The
//! index counts per minute. Within a minute, loaded events are placed exactly, and the rest of the
//! count is spread evenly.

use hourlog::{Event, Offset, time::MINUTE};

use crate::tui::state::Log;

/// The bars of the scrubber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bars {
    /// Number of events in each column.
    pub(crate) counts: Vec<u64>,
    /// Some counts are spread over their minute, because the index does not know better.
    pub(crate) spread: bool,
}

/// Returns the column of a time, in a window that is `columns` wide.
pub(crate) fn column((from, to): (Offset, Offset), columns: usize, offset: Offset) -> Option<usize> {
    let since = |offset: Offset| i128::from(offset.nanos()) - i128::from(from.nanos());
    let (into, span) = (since(offset), since(to).max(1));
    (0..span).contains(&into).then(|| (into * columns as i128 / span) as usize)
}

/// Returns the bars of a log. Counts of another window are moved to their columns in this one.
pub(crate) fn bars(log: &Log, columns: usize) -> Bars {
    let mut bars = Bars { counts: vec![0; columns], spread: false };
    let (Some(window), Some(reply)) = (log.scrubber.window, &log.scrubber.counts) else { return bars };
    let column = |offset: Offset| column(window, columns, offset);
    if reply.bins.first().is_none_or(|bin| bin.to.nanos().saturating_sub(bin.from.nanos()) >= MINUTE) {
        for bin in &reply.bins {
            if let Some(at) = column(bin.from) {
                bars.counts[at] += bin.count;
            }
        }
        return bars;
    }
    let events = log.loaded.events();
    let loaded = |from: Offset, to: Offset| {
        let at = |offset: Offset| events.partition_point(|event: &Event| event.position.offset < offset);
        at(from)..at(to)
    };
    for event in events.range(loaded(window.0, window.1)) {
        if let Some(at) = column(event.position.offset) {
            bars.counts[at] += 1;
        }
    }
    let mut bins = reply.bins.iter().filter(|bin| bin.count > 0).peekable();
    while let Some(bin) = bins.next() {
        let end = bin.from.saturating_add_nanos(MINUTE).min(window.1);
        let end = bins.peek().map_or(end, |next| next.from.min(end));
        let rest = bin.count.saturating_sub(loaded(bin.from, end).len() as u64);
        let (Some(first), Some(last)) = (column(bin.from.max(window.0)), column(end.saturating_add_nanos(-1))) else {
            continue;
        };
        let free: Vec<usize> = (first..=last).filter(|at| !log.loaded.holds(time(window, columns, *at))).collect();
        for (number, at) in free.iter().enumerate() {
            let share = |number: usize| rest * number as u64 / free.len() as u64;
            bars.counts[*at] += share(number + 1) - share(number);
            bars.spread |= rest > 0;
        }
    }
    bars
}

/// Returns the time at which a column begins.
pub(crate) fn time((from, to): (Offset, Offset), columns: usize, at: usize) -> Offset {
    let span = i128::from(to.nanos()) - i128::from(from.nanos());
    from.saturating_add_nanos((span * at as i128 / columns.max(1) as i128) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::loaded::{Fetch, FetchedEvents};
    use hourlog::{
        Position, Record,
        time::SECOND,
        wire::{BinReply, TimelineReply},
    };

    fn at(seconds: i64) -> Offset {
        Offset::from_nanos(seconds * SECOND)
    }

    /// Returns the bars of a minute with sixty events in ten columns. The index counts all of them
    /// at the minute's start; `loaded` of them are loaded.
    fn counts(loaded: std::ops::Range<i64>) -> Bars {
        let mut log = Log::new("a".parse().expect("a valid id"), 1);
        let bin = |number: i64| BinReply {
            from: at(number * 6),
            to: at(number * 6 + 6),
            count: if number == 0 { 60 } else { 0 },
        };
        let bins = (0..10).map(bin).collect();
        log.scrubber.window = Some((at(0), at(60)));
        log.scrubber.counts = Some(TimelineReply { count: 60, bins, ..TimelineReply::empty(at(0), at(60), at(60)) });
        let event = |second: i64| Event {
            log: log.id.clone(),
            position: Position { offset: at(second), seq: hourlog::Seq::from_number(second) },
            arrived: None,
            record: Record::new("x"),
        };
        let fetched = FetchedEvents {
            events: loaded.clone().map(event).collect(),
            first_reached: loaded.start == 0,
            last_reached: loaded.end == 60,
        };
        log.loaded.add_fetched(Fetch::Newest, fetched, Position::MIN);
        bars(&log, 10)
    }

    #[test]
    fn loaded_events_are_placed_exactly_and_the_rest_of_the_minute_is_spread() {
        assert_eq!(counts(0..60), Bars { counts: vec![6; 10], spread: false });
        assert_eq!(counts(0..0), Bars { counts: vec![6; 10], spread: true });
        let half = counts(0..30);
        assert_eq!((half.counts.iter().sum::<u64>(), half.spread), (60, true));
        assert_eq!(half.counts[..5], [6; 5]);
    }
}
