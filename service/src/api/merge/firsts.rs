//! The first events of several logs in their merged order, up to a number and to bytes.
//!
//! The logs are added one after the other. What they add is cut at once, so the memory is that of one page, whatever the
//! number of logs, and a log that comes later is read only up to the cut.

use std::cmp::Ordering;

use hourlog::{Position, store::EncodedEvent};

/// The place of an event: its position, and the index of its log among those that are merged, by id.
pub(super) type Place = (Position, usize);

/// See the module.
#[derive(Debug)]
pub(super) struct Firsts {
    reverse: bool,
    limit: usize,
    bytes: usize,
    events: Vec<(usize, EncodedEvent)>,
    /// The place up to which the logs that were added are complete; `None` if they have nothing after the events.
    bound: Option<Place>,
}

fn place((log, event): &(usize, EncodedEvent)) -> Place {
    (event.position(), *log)
}

impl Firsts {
    /// Collects up to `limit` events, and no more once they have `bytes`.
    pub(super) fn new(reverse: bool, limit: usize, bytes: usize) -> Self {
        Self { reverse, limit, bytes, events: Vec::new(), bound: None }
    }

    /// The place after which there may be more events; no event after it is of use.
    pub(super) fn bound(&self) -> Option<Place> {
        self.bound
    }

    /// The events, in order, each with the index of its log.
    pub(super) fn into_events(self) -> Vec<(usize, EncodedEvent)> {
        self.events
    }

    /// Adds the first events of a log, in order. It was read up to `read_to`, or to its end.
    pub(super) fn add(&mut self, log: usize, events: Vec<EncodedEvent>, read_to: Option<Position>) {
        if let Some(position) = read_to {
            self.cut((position, log));
        }
        if events.is_empty() {
            return;
        }
        self.events.extend(events.into_iter().map(|event| (log, event)));
        let reverse = self.reverse;
        // Both parts are in order, which this sort makes use of.
        self.events.sort_by(|a, b| order(reverse, place(a), place(b)));
        if let Some(bound) = self.bound {
            self.cut(bound);
        }
        let (mut count, mut bytes) = (0, 0);
        let is_full = |(_, event): &(usize, EncodedEvent)| {
            count += 1;
            bytes += event.record_bytes();
            count >= self.limit || bytes >= self.bytes
        };
        if let Some(last) = self.events.iter().position(is_full) {
            self.cut(place(&self.events[last]));
        }
    }

    /// Leaves out what comes after `bound`.
    fn cut(&mut self, bound: Place) {
        let reverse = self.reverse;
        let is_earlier = |other: Place| order(reverse, bound, other) == Ordering::Less;
        if self.bound.is_none_or(is_earlier) {
            self.bound = Some(bound);
        }
        let kept = self.events.partition_point(|event| order(reverse, place(event), bound) != Ordering::Greater);
        self.events.truncate(kept);
    }
}

fn order(reverse: bool, a: Place, b: Place) -> Ordering {
    if reverse { b.cmp(&a) } else { a.cmp(&b) }
}

#[cfg(test)]
mod tests {
    use hourlog::{Event, LogId, Offset, Record, Seq};
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn event(offset: i64, seq: u64) -> EncodedEvent {
        let log: LogId = "a".parse().expect("a valid id");
        let position = Position { offset: Offset::from_nanos(offset), seq: Seq::new(1, seq) };
        EncodedEvent::from(&Event { log, position, arrived: None, record: Record::new("0123456789") })
    }

    proptest! {
        #[test]
        fn they_are_the_first_of_all_whatever_the_order_in_which_the_logs_are_added(
            logs in vec(vec((0..6_i64, 0..6_u64), 0..8), 1..6),
            (limit, bytes, page, reverse) in (1..12_usize, 1..90_usize, 1..9_usize, any::<bool>()),
        ) {
            let mut all: Vec<Place> = Vec::new();
            let mut firsts = Firsts::new(reverse, limit, bytes);
            for (index, events) in logs.iter().enumerate().rev() {
                let mut events: Vec<EncodedEvent> = events.iter().map(|(offset, seq)| event(*offset, *seq)).collect();
                events.sort_by(|a, b| order(reverse, (a.position(), 0), (b.position(), 0)));
                events.dedup_by_key(|event| event.position());
                all.extend(events.iter().map(|event| (event.position(), index)));
                let is_complete = events.len() <= page;
                events.truncate(page);
                let read_to = events.last().filter(|_| !is_complete).map(EncodedEvent::position);
                firsts.add(index, events, read_to);
            }
            all.sort_by(|a, b| order(reverse, *a, *b));
            let bound = firsts.bound();
            let found: Vec<Place> = firsts.into_events().iter().map(place).collect();
            prop_assert_eq!(&found[..], &all[..found.len()]);
            match bound {
                // Nothing up to the bound is left out.
                Some(bound) => {
                    let next = all.get(found.len());
                    prop_assert!(next.is_none_or(|next| order(reverse, bound, *next) == Ordering::Less));
                    prop_assert!(found.last().is_none_or(|last| order(reverse, *last, bound) != Ordering::Greater));
                    prop_assert!(!found.is_empty());
                }
                None => prop_assert_eq!(found.len(), all.len()),
            }
            prop_assert!(found.len() <= limit && (found.len() - found.len().min(1)) * 10 < bytes);
        }
    }
}
