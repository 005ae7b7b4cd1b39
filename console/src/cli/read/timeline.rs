//! `read` in time order, or in the arrival order of one log up to its end.

use std::pin::pin;

use hourlog::{
    Cursor, LogId, Remote,
    wire::{Order, ReplayRequest, When},
};

use crate::{
    arrival::arrival,
    exit::Failure,
    when::{self, Moment},
};

use super::{
    Read, Times,
    merge::{LOGS_MAX, Merged, Range},
    names::Names,
    newest::{newest_events, newest_time},
    notes,
    place::After,
    printer::EventPrinter,
    progress::Progress,
    waiting,
};

impl Read {
    /// Prints the events of all logs, in time order.
    pub(super) async fn read_timeline(
        &self,
        remote: &Remote,
        names: &Names,
        times: Times,
        after: &After,
        progress: &Progress,
        printer: &mut EventPrinter<'_>,
    ) -> Result<(), Failure> {
        let session = printer.session;
        if self.wait {
            waiting::until_exist(session, remote, names).await?;
        }
        if let (After::Arrivals(_), Some(log)) = (after, names.only_log()) {
            return self.read_arrivals(remote, log, after, progress, printer).await;
        }
        let found = names.find(remote, LOGS_MAX).await?;
        found.tell_left_out(session);
        found.require_at_most(LOGS_MAX)?;
        found.require_matches()?;
        let logs = found.logs;
        let mut range = Range {
            from: when::lower_bound(times.since),
            to: times.until.map(When::from),
            after: match after {
                After::Timeline(at) => Some(at.clone()),
                _ => None,
            },
            reverse: self.reverse,
            limit: self.limit,
            conditions: self.conditions.clone(),
        };
        if times.until == Some(Moment::Last) {
            // The newest event is part of a range that ends with it.
            match newest_time(remote, &logs).await? {
                Some(newest) => {
                    let end = newest.saturating_add_nanos(1);
                    range.to = Some(When::At(end));
                    progress.ends_at(end);
                }
                None => range.limit = Some(0),
            }
        }
        if times.since == Some(Moment::Last) && logs.len() > 1 {
            range.from = newest_time(remote, &logs).await?.map(When::At);
        }
        let is_told_ahead = times.until.is_none() && after == &After::Nothing;
        if let Some(tail) = self.tail {
            let tail = range.limit.filter(|limit| *limit == 0).unwrap_or(tail);
            let (events, opened) = newest_events(remote, &logs, &range, tail).await?;
            if is_told_ahead {
                notes::tell_ahead(session, &opened);
            }
            for event in events.iter().take(self.limit.map_or(usize::MAX, |limit| limit as usize)) {
                printer.print(event)?;
            }
            return Ok(());
        }
        let (merged, opened) = Merged::open(remote, &logs, &range).await?;
        if self.reverse && is_told_ahead {
            notes::tell_ahead(session, &opened);
        }
        if times.since.is_some() || after != &After::Nothing {
            notes::tell_expired(session, &opened, self.reverse);
        }
        let mut events = pin!(merged.events());
        while let Some(event) = printer.next(&mut events).await? {
            printer.print(&event)?;
            if !self.count {
                progress.printed(&event);
            }
        }
        Ok(())
    }

    /// Prints what has arrived in one log after a cursor, in arrival order.
    async fn read_arrivals(
        &self,
        remote: &Remote,
        log: &LogId,
        after: &After,
        progress: &Progress,
        printer: &mut EventPrinter<'_>,
    ) -> Result<(), Failure> {
        let session = printer.session;
        let request = ReplayRequest {
            after: after.arrival(log).map(Cursor::Arrival),
            order: Order::Arrival,
            limit: self.limit,
            ..self.conditions.request()
        };
        let first = remote.replay(log, &ReplayRequest { limit: Some(1), ..request.clone() }).await?;
        notes::tell_moved(session, &first);
        if let Some(expired) = first.expired {
            let first = first.resolved.map(|first| first.offset);
            session.out.note(&notes::expired_note(session, log, expired, first));
        }
        let mut events = pin!(remote.events(log.clone(), request));
        while let Some(event) = printer.next(&mut events).await? {
            printer.print(&event)?;
            if !self.count {
                progress.arrived(log, arrival(&event), true);
            }
        }
        Ok(())
    }
}
