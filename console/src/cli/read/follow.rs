//! `read -f`: what has arrived since the start, and then everything that arrives.

use std::{collections::HashSet, pin::pin};

use futures_util::{StreamExt, TryStreamExt, stream};
use hourlog::{ArrivalCursor, ErrorKind, LogId, Offset, Remote, Seq};

use crate::{
    arrival::{arrival, arrival_at, newest_arrival},
    exit::Failure,
    when::{self, Moment},
};

use super::{
    Read,
    arrivals::{Arrivals, FOLLOWED_MAX},
    merge::Range,
    names::Names,
    newest::newest_events,
    notes,
    place::After,
    printer::EventPrinter,
    progress::Progress,
};

/// Logs whose newest arrival is looked up at once.
const LOOKED_UP_AT_ONCE: usize = 16;

/// Returns the earliest arrival time of a follower that begins at `since`.
pub(super) fn arrived_since(since: Option<Moment>) -> Offset {
    match since {
        Some(Moment::At(time)) => time,
        _ => Offset::MIN,
    }
}

/// The arrivals with which a follower begins.
#[derive(Default)]
struct Beginning {
    /// The cursor of each log; `None` for its first event.
    logs: Vec<(LogId, Option<ArrivalCursor>)>,
    /// Events that were printed, and may arrive again.
    printed: HashSet<(LogId, Seq)>,
}

impl Read {
    /// Prints every event that arrives after the start, once each, however late it is.
    pub(super) async fn follow(
        &self,
        remote: &Remote,
        names: &Names,
        since: Option<Moment>,
        after: &After,
        progress: &Progress,
        printer: &mut EventPrinter<'_>,
    ) -> Result<(), Failure> {
        let session = printer.session;
        let found = names.find(remote, FOLLOWED_MAX).await?;
        found.tell_left_out(session);
        found.require_at_most(FOLLOWED_MAX)?;
        for pattern in &found.unmatched {
            session.out.note(&format!("no log matches {pattern} yet; waiting for one"));
        }
        let tail = self.tail.or(match since {
            Some(Moment::Last) => Some(1),
            Some(Moment::End) => Some(0),
            _ => None,
        });
        let start = match (tail, since) {
            (None, Some(Moment::At(time))) => Some(ArrivalCursor { time, ..ArrivalCursor::FIRST }),
            _ => None,
        };
        let Beginning { logs, mut printed } = match (after, tail) {
            (After::Timeline(at), _) => {
                let cursor = arrival_at(remote, &at.log, at.position).await?;
                Beginning { logs: vec![(at.log.clone(), Some(cursor))], ..Beginning::default() }
            }
            (_, Some(tail)) => self.print_tail(remote, found.logs, since, tail, progress, printer).await?,
            _ => {
                let cursor = |log: LogId| (log.clone(), after.arrival(&log).or(start));
                Beginning { logs: found.logs.into_iter().map(cursor).collect(), ..Beginning::default() }
            }
        };
        let arrived_since = arrived_since(since.filter(|_| tail.is_none()));
        let tells_expired = since.is_some() || after != &After::Nothing;
        let arrivals = Arrivals::new(session, remote, names, &self.conditions, start, tells_expired, logs);
        let mut events = pin!(arrivals.events());
        let limit = self.limit.map_or(u64::MAX, u64::from);
        while printer.count() < limit {
            let Some(event) = printer.next(&mut events).await? else { break };
            let arrival = arrival(&event);
            let is_printed = arrival.time >= arrived_since
                && (printed.is_empty() || !printed.remove(&(event.log.clone(), arrival.seq)));
            if is_printed {
                printer.print(&event)?;
            }
            progress.arrived(&event.log, arrival, is_printed);
        }
        Ok(())
    }

    /// Prints the newest events, and returns where the arrivals after them begin.
    async fn print_tail(
        &self,
        remote: &Remote,
        logs: Vec<LogId>,
        since: Option<Moment>,
        tail: u32,
        progress: &Progress,
        printer: &mut EventPrinter<'_>,
    ) -> Result<Beginning, Failure> {
        // Find the newest arrivals first. An event that arrives before the tail is read is then in both, and its
        // seq tells. In the other order it would be missed.
        let newest = stream::iter(logs).map(async |log: LogId| match newest_arrival(remote, &log).await {
            // Whatever it gets is new.
            Err(Failure::Log(error)) if error.kind() == ErrorKind::NotFound => Ok((log, None, false)),
            cursor => Ok::<_, Failure>((log, cursor?, true)),
        });
        let newest: Vec<_> = newest.buffered(LOOKED_UP_AT_ONCE).try_collect().await?;
        let existing: Vec<LogId> = newest.iter().filter(|(.., exists)| *exists).map(|(log, ..)| log.clone()).collect();
        let range = Range {
            from: when::lower_bound(since.filter(|since| matches!(since, Moment::At(_)))),
            conditions: self.conditions.clone(),
            ..Range::default()
        };
        let (events, opened) = newest_events(remote, &existing, &range, tail).await?;
        notes::tell_ahead(printer.session, &opened);
        let limit = self.limit.map_or(usize::MAX, |limit| limit as usize);
        let mut beginning = Beginning::default();
        for event in events.iter().take(limit) {
            printer.print(event)?;
            beginning.printed.insert((event.log.clone(), event.position.seq));
        }
        beginning.logs = newest.into_iter().map(|(log, cursor, _)| (log, cursor)).collect();
        let cursors = beginning.logs.iter().filter_map(|(log, cursor)| Some((log.clone(), (*cursor)?)));
        progress.follows(beginning.printed.len(), cursors);
        Ok(beginning)
    }
}
