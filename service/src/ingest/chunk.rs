//! Chunks: decoded messages, grouped by log and handed out together.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream::FuturesOrdered};
use hourlog::{LogId, Offset, Position};
use tokio::sync::oneshot;

use crate::{
    completion::CompletionGuard,
    logs::{Delivery, LogsMsg, LogsRef},
    origin::Origin,
    pending::PendingEvent,
    receipts::Tally,
    stream::decode::Decoded,
    waiters::Outcome,
};

/// Rough memory of an event beside its bytes.
const EVENT_OVERHEAD_BYTES: usize = 256;
/// Number of logs that chunks in flight are handed out to, counted for each chunk, from which the next chunk is held
/// back. To hand out to a log costs more than an event does, so larger chunks pay if there are many logs.
const DELIVERIES_AT_ONCE: usize = 512;
/// The longest time for which a chunk is held back. A log that cannot write must not hold up the others.
const HOLD_MAX: Duration = Duration::from_millis(20);

/// Messages that are handed out together.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    events: HashMap<LogId, Vec<PendingEvent>, foldhash::fast::RandomState>,
    answers: Vec<(oneshot::Sender<Outcome>, Outcome)>,
    /// The messages that receipts count.
    tally: Tally,
    /// The time of the first message.
    begun: Option<Offset>,
    count: usize,
    /// Bytes of the events' data and metadata.
    record_bytes: usize,
}

impl Chunk {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn record_bytes(&self) -> usize {
        self.record_bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a decoded message. `waiter` gets the outcome once the chunk is archived. Another instance stores the event
    /// if this one does not, as `is_stored` tells: a rejected event of a log that is written here.
    pub(super) fn add(&mut self, decoded: Decoded, waiter: Option<oneshot::Sender<Outcome>>, is_stored: bool) {
        let position: Position = decoded.row.event.position;
        if let Some(waiter) = waiter {
            self.answers.push((
                waiter,
                decoded.rejected.as_ref().map_or(Ok(position), |rejection| Err(rejection.error.flat_copy())),
            ));
        }
        self.begun.get_or_insert(decoded.row.event.arrival_time());
        self.count += 1;
        self.record_bytes += decoded.row.event.record.bytes();
        let receipt = decoded.receipt.and_then(|number| match &decoded.rejected {
            None => Some(self.tally.add(number)),
            Some(rejection) => {
                self.tally.reject(number, rejection.reason.name(), position, rejection.error.to_string());
                None
            }
        });
        if !is_stored {
            return;
        }
        let event = PendingEvent { row: decoded.row, once: decoded.once, receipt };
        match self.events.get_mut(&event.row.event.log) {
            Some(events) => events.push(event),
            None => {
                self.events.insert(event.row.event.log.clone(), vec![event]);
            }
        }
    }
}

/// The chunks that are handed out but not archived, in order. Bounded in bytes.
#[derive(Debug)]
pub(super) struct InFlight {
    /// Each receives the chunk's bytes once it is archived, and an error if it failed.
    chunks: FuturesOrdered<oneshot::Receiver<usize>>,
    /// The same chunks.
    handed_out: VecDeque<HandedOut>,
    /// Number of their deliveries to logs.
    deliveries: usize,
    bytes: usize,
    bytes_max: usize,
    is_full: bool,
    /// True if messages that arrive while many logs are written are collected for the next chunk.
    holds: bool,
    /// The time at which the newest chunk was handed out.
    newest: Option<Instant>,
}

/// A chunk that is handed out.
#[derive(Debug, Default)]
struct HandedOut {
    /// The time of the first message; `None` for a chunk without events.
    begun: Option<Offset>,
    /// The messages that receipts count.
    tally: Tally,
    /// Number of logs that have events in it.
    deliveries: usize,
}

impl InFlight {
    /// Returns an empty list that is full at `bytes_max`. With `holds`, messages that arrive while many logs are
    /// written are collected for the next chunk.
    pub(super) fn new(bytes_max: usize, holds: bool) -> Self {
        Self {
            chunks: FuturesOrdered::new(),
            handed_out: VecDeque::new(),
            deliveries: 0,
            bytes: 0,
            bytes_max,
            is_full: false,
            holds,
            newest: None,
        }
    }

    /// Returns the time until which the next chunk is held back, unless a chunk ends before.
    pub(super) fn held_until(&self) -> Option<Instant> {
        let is_busy = self.holds && self.deliveries >= DELIVERIES_AT_ONCE;
        self.newest.filter(|_| is_busy).map(|newest| newest + HOLD_MAX)
    }

    /// Returns true while no further chunk should be taken.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// Forgets all chunks, because their messages are to be read again.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.bytes_max, self.holds);
    }

    /// Returns the time of the oldest message.
    pub(super) fn oldest(&self) -> Option<Offset> {
        self.handed_out.iter().find_map(|chunk| chunk.begun)
    }

    /// Hands the events of a chunk out to their logs.
    pub(super) fn dispatch(&mut self, chunk: Chunk, origin: Origin, logs: &LogsRef) {
        let Chunk { events, answers, tally, begun, count, record_bytes } = chunk;
        let (bytes, deliveries) = (record_bytes + count * EVENT_OVERHEAD_BYTES, events.len());
        let (archived, outcome) = oneshot::channel();
        let guard = CompletionGuard::new(move |complete| {
            if !complete {
                // Dropping the sender reports the failure.
                return;
            }
            for (waiter, outcome) in answers {
                // The requester may have left; that is not a failure.
                let _ = waiter.send(outcome);
            }
            // The ingest may have restarted and forgotten the chunk; that is not a failure.
            let _ = archived.send(bytes);
        });
        let delivered = events.into_iter().map(|(log, events)| Delivery { log, events, guard: guard.clone() });
        // If the supervisor has ended, the message is dropped, and the guards report a failed
        // chunk.
        let _ = logs.send_message(LogsMsg::Deliver { origin, deliveries: delivered.collect() });
        guard.archived();
        self.chunks.push_back(outcome);
        self.push(HandedOut { begun, tally, deliveries }, Instant::now());
        self.add(bytes);
    }

    /// Adds a chunk without events, which needs no log: it ends once those before it have.
    pub(super) fn push_archived(&mut self) {
        let (archived, outcome) = oneshot::channel();
        // The receiver is right here.
        let _ = archived.send(0);
        self.chunks.push_back(outcome);
        self.handed_out.push_back(HandedOut::default());
    }

    /// Waits for the oldest chunk; `None` if there is no chunk. Returns `Some(None)` if it failed, and otherwise
    /// the messages that receipts count: the chunk is archived.
    pub(super) async fn next(&mut self) -> Option<Option<Tally>> {
        let oldest = self.chunks.next().await?;
        let tally = self.release_oldest()?;
        Some(oldest.ok().map(|bytes| {
            self.remove(bytes);
            tally
        }))
    }

    fn push(&mut self, chunk: HandedOut, now: Instant) {
        self.deliveries += chunk.deliveries;
        self.handed_out.push_back(chunk);
        self.newest = Some(now);
    }

    fn release_oldest(&mut self) -> Option<Tally> {
        let oldest = self.handed_out.pop_front()?;
        self.deliveries -= oldest.deliveries;
        Some(oldest.tally)
    }

    fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.is_full |= self.bytes >= self.bytes_max;
    }

    fn remove(&mut self, bytes: usize) {
        self.bytes -= bytes;
        // Resume once a quarter is free: larger chunks cost less per event.
        self.is_full &= self.bytes > self.bytes_max / 4 * 3;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_stops_at_the_bound_and_resumes_once_a_quarter_is_free() {
        let mut in_flight = InFlight::new(100, true);
        in_flight.add(99);
        assert!(!in_flight.is_full());
        in_flight.add(1);
        assert!(in_flight.is_full());
        in_flight.remove(24);
        assert!(in_flight.is_full());
        in_flight.remove(1);
        assert!(!in_flight.is_full());
    }

    #[test]
    fn the_next_chunk_is_held_back_for_a_while_once_many_logs_are_written() {
        let now = Instant::now();
        let held_until = |holds: bool, deliveries: &[usize]| {
            let mut in_flight = InFlight::new(100, holds);
            for deliveries in deliveries {
                in_flight.push(HandedOut { deliveries: *deliveries, ..HandedOut::default() }, now);
            }
            let before = in_flight.held_until();
            in_flight.release_oldest();
            (before, in_flight.held_until())
        };
        let until = Some(now + HOLD_MAX);
        assert_eq!(held_until(true, &[DELIVERIES_AT_ONCE - 1]), (None, None));
        assert_eq!(held_until(true, &[1, DELIVERIES_AT_ONCE - 1]), (until, None));
        assert_eq!(held_until(true, &[1, DELIVERIES_AT_ONCE]), (until, until));
        assert_eq!(held_until(false, &[DELIVERIES_AT_ONCE]), (None, None));
    }
}
