//! Events: records in their log, with the position that their arrival gives them.

use crate::{LogId, Offset, Position, Record, Seq};

/// A record in its log.
///
/// ```
/// use hourlog::{Event, Position, Record, Seq};
/// let position = Position { offset: "2018-02-04T10:00:00Z".parse()?, seq: Seq::new(1, 42) };
/// let event = Event { log: "orders.eu".parse()?, position, arrived: None, record: Record::new("x") };
/// assert_eq!(event.arrival_time(), position.offset);
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The log that holds it.
    pub log: LogId,
    /// Its time and its place in arrival order.
    pub position: Position,
    /// The arrival time of a late event; `None` for an on-time one, whose offset it is.
    pub arrived: Option<Offset>,
    /// The metadata and data.
    pub record: Record,
}

impl Event {
    /// The arrival time, whether the event is late or on time.
    pub fn arrival_time(&self) -> Offset {
        self.arrived.unwrap_or(self.position.offset)
    }
}

/// The facts about a record's arrival from which its key is made.
///
/// ```
/// use hourlog::{Record, Seq, store::{Arrival, EventRow}};
/// let now = "2018-02-04T10:00:00Z".parse()?;
/// let arrival = Arrival { offset: now, time: now, max_time: now, seq: Seq::new(1, 42) };
/// let row = EventRow::new(&"orders.eu".parse()?, arrival, Record::new("paid"));
/// assert_eq!(row.late, None); // its offset is its arrival time
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// The record's own time, or the arrival time.
    pub offset: Offset,
    /// The time at which its source took it.
    pub time: Offset,
    /// The greatest arrival time of the source so far, this one included.
    pub max_time: Offset,
    /// Its place in arrival order.
    pub seq: Seq,
}

/// An event as an archive stores it.
///
/// ```
/// use std::sync::Arc;
/// use hourlog::{LogId, Memory, Record, Seq, read::describe};
/// use hourlog::store::{Arrival, EventRow, Store, Width, Write};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let (log, now): (LogId, _) = ("orders.eu".parse()?, "2018-02-04T10:00:00Z".parse()?);
/// let arrival = Arrival { offset: now, time: now, max_time: now, seq: Seq::new(1, 42) };
/// let rows: Arc<[_]> = [EventRow::new(&log, arrival, Record::new("paid"))].into();
/// let write = Write::Events { log: log.clone(), rows, width: Width::default() };
///
/// let store = Memory::new();
/// store.write(vec![write.clone(), write]).await?; // delivered twice, counted once
/// assert_eq!(describe(&store, &log).await?.count, 1);
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// The event.
    pub event: Event,
    /// Set for a late event: its place in the timeline does not follow from its arrival.
    pub late: Option<Late>,
}

/// The extra fact that an archive stores about a late event.
///
/// An event is late if its offset is not its arrival time, or if it arrived while its source's clock
/// was behind an earlier arrival.
///
/// ```
/// use hourlog::{Record, Seq, store::{Arrival, EventRow, Late}};
/// let (nine, ten) = ("2018-02-04T09:00:00Z".parse()?, "2018-02-04T10:00:00Z".parse()?);
/// let arrival = Arrival { offset: nine, time: ten, max_time: ten, seq: Seq::new(1, 43) };
/// let row = EventRow::new(&"orders.eu".parse()?, arrival, Record::new("paid"));
/// assert_eq!(row.late, Some(Late { max_time: ten }));
/// assert_eq!(row.event.arrived, Some(ten));
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Late {
    /// The greatest arrival time of the source so far: the same for every reader of the source.
    pub max_time: Offset,
}

impl EventRow {
    /// The row of a record that arrived so.
    ///
    /// This is what defines an event's key. It depends on the arrival alone, so a redelivery, another
    /// owner or a restart makes the same row again.
    pub fn new(log: &LogId, arrival: Arrival, mut record: Record) -> Self {
        // The position has the time from here on.
        record.time = None;
        let Arrival { offset, time, max_time, seq } = arrival;
        let late = (offset != time || time < max_time).then_some(Late { max_time });
        let position = Position { offset, seq };
        Self { event: Event { log: log.clone(), position, arrived: late.map(|_| time), record }, late }
    }
}
