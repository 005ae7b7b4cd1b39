//! How many events stand over each column of the scrubber.
//!
//! The counts come from the index of the archive, so all of the time is there before an event is loaded. The index tells
//! minutes apart; within a minute, what is loaded is exact, and the rest of the minute's count is spread evenly.

use hourlog::{Event, MINUTE, Offset};

use crate::tui::state::Log;

/// What the scrubber shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bars {
    /// The events of each column.
    pub(crate) counts: Vec<u64>,
    /// Some of them are where the index cannot tell.
    pub(crate) spread: bool,
}

/// Which column stands for a time, in a window of so many columns.
pub(crate) fn column((from, to): (Offset, Offset), columns: usize, offset: Offset) -> Option<usize> {
    let since = |offset: Offset| i128::from(offset.nanos()) - i128::from(from.nanos());
    let (into, span) = (since(offset), since(to).max(1));
    (0..span).contains(&into).then(|| (into * columns as i128 / span) as usize)
}

/// The events over each of so many columns. Counts of another window are put where they belong in this one.
pub(crate) fn bars(log: &Log, columns: usize) -> Bars {
    let mut bars = Bars { counts: vec![0; columns], spread: false };
    let (Some(window), Some(reply)) = (log.window, &log.bars) else { return bars };
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

/// When a column begins.
pub(crate) fn time((from, to): (Offset, Offset), columns: usize, at: usize) -> Offset {
    let span = i128::from(to.nanos()) - i128::from(from.nanos());
    from.saturating_add_nanos((span * at as i128 / columns.max(1) as i128) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::msg::{Fetch, Found};
    use hourlog::{
        Position, Record, SECOND,
        wire::{BinReply, TimelineReply},
    };

    fn at(seconds: i64) -> Offset {
        Offset::from_nanos(seconds * SECOND)
    }

    /// A minute of sixty events in ten columns, all of which the index puts where the minute begins; `loaded` of them are loaded.
    fn counts(loaded: std::ops::Range<i64>) -> Bars {
        let mut log = Log::new("a".parse().expect("a good id"), 1);
        let bin = |number: i64| BinReply {
            from: at(number * 6),
            to: at(number * 6 + 6),
            count: if number == 0 { 60 } else { 0 },
        };
        let bins = (0..10).map(bin).collect();
        log.window = Some((at(0), at(60)));
        log.bars = Some(TimelineReply { from: at(0), to: at(60), count: 60, bins });
        let event = |second: i64| Event {
            log: log.id.clone(),
            position: Position { offset: at(second), seq: second },
            arrived: None,
            record: Record::new("x"),
        };
        let found = Found {
            events: loaded.clone().map(event).collect(),
            first_reached: loaded.start == 0,
            last_reached: loaded.end == 60,
        };
        log.loaded.take(Fetch::Newest, found, Position::MIN);
        bars(&log, 10)
    }

    #[test]
    fn within_a_minute_what_is_loaded_is_exact_and_the_rest_is_spread() {
        assert_eq!(counts(0..60), Bars { counts: vec![6; 10], spread: false });
        assert_eq!(counts(0..0), Bars { counts: vec![6; 10], spread: true });
        let half = counts(0..30);
        assert_eq!((half.counts.iter().sum::<u64>(), half.spread), (60, true));
        assert_eq!(half.counts[..5], [6; 5]);
    }
}
