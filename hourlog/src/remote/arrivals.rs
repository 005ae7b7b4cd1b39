//! The events of messages that were published to the stream, by their sequences.

use std::{collections::HashMap, time::Duration};

use crate::{
    ArrivalCursor, Cursor, Error, ErrorKind, Event, LogId, Position, Result,
    wire::{Order, PAGE_EVENTS_MAX, ReplayRequest},
};

use super::{
    Remote,
    cursors::{arrival, stored},
};

/// The events for which the archive gets one more second, in addition to the usual timeout.
const EVENTS_A_SECOND: u32 = 1_000;

/// A reader that finds the events of published messages, once they are archived.
///
/// A publish to JetStream answers with a sequence of the stream. This reads the log in arrival order, from a
/// known event on, and returns the event of each sequence.
///
/// ```no_run
/// use hourlog::{Record, Remote, remote::Arrivals};
///
/// # async fn example(remote: Remote, sequences: &[u64]) -> hourlog::Result<()> {
/// let log = "orders.eu".parse()?;
/// let first = remote.append(&log, Record::new("begin")).await?.position;
/// let mut arrivals = Arrivals::after(&remote, &log, first).await?;
/// for event in arrivals.events(sequences).await? {
///     println!("{}", event.position);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Arrivals {
    remote: Remote,
    log: LogId,
    after: ArrivalCursor,
}

impl Arrivals {
    /// Returns a reader of what arrived after the event at `first`.
    ///
    /// # Errors
    /// [`ErrorKind::Integrity`] if there is no such event, and those of [`Remote::replay`].
    pub async fn after(remote: &Remote, log: &LogId, first: Position) -> Result<Self> {
        let request =
            ReplayRequest { after: first.previous().map(Cursor::Timeline), limit: Some(1), ..ReplayRequest::default() };
        let page = remote.replay(log, &request).await?;
        let found = page.events.into_iter().next().filter(|event| event.position == first).ok_or_else(|| {
            Error::new(ErrorKind::Integrity, format!("event {first} of {log} was written and is missing"))
        })?;
        let after = ArrivalCursor { time: found.arrival_time(), seq: first.seq };
        Ok(Self { remote: remote.clone(), log: log.clone(), after })
    }

    /// Returns the events of the messages with these sequences, each of which is given once. All of them arrived
    /// after those of the last call. Waits until they are archived. After an error, the call can be repeated.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`] if the log did not get one of them, and those of [`Remote::replay`].
    pub async fn events(&mut self, sequences: &[u64]) -> Result<Vec<Event>> {
        let Some(last) = sequences.iter().max() else { return Ok(Vec::new()) };
        let more_time = sequences.len() as u32 / EVENTS_A_SECOND;
        let timeout = self.remote.timeout + Duration::from_secs(more_time.into());
        let remote = self.remote.clone().with_timeout(timeout);
        let mut after = self.after;
        // Others write to the log, too.
        let mut found: HashMap<u64, Option<Event>> = sequences.iter().map(|sequence| (*sequence, None)).collect();
        loop {
            let request = ReplayRequest {
                after: Some(Cursor::Arrival(stored(after))),
                order: Order::Arrival,
                limit: Some(PAGE_EVENTS_MAX),
                fresh: true,
                ..ReplayRequest::default()
            };
            let page = remote.replay(&self.log, &request).await?;
            for event in page.events {
                if let Some(found) = found.get_mut(&event.position.seq.sequence()) {
                    *found = Some(event);
                }
            }
            if let Some(next) = page.next {
                after = arrival(next)?;
            }
            if page.end.is_last() || found[last].is_some() {
                break;
            }
        }
        let of_sequence = |sequence: &u64| {
            found.remove(sequence).flatten().ok_or_else(|| {
                Error::new(
                    ErrorKind::Rejected,
                    format!("message {sequence} was not accepted into {}; the log _rejected says why", self.log),
                )
            })
        };
        let events = sequences.iter().map(of_sequence).collect::<Result<Vec<Event>>>()?;
        // The next messages are behind the last of these. A page may reach further than it.
        let last = events.iter().max_by_key(|event| event.position.seq).expect("there is one for each sequence");
        self.after = ArrivalCursor { time: last.arrival_time(), seq: last.position.seq };
        Ok(events)
    }
}
