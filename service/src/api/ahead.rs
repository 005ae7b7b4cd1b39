//! Events ahead of now: later than the time that an event may have when it arrives.
//!
//! Such events come from a clock that was wrong. They are archived and read like any other, but the
//! newest event of a log is the newest one that does not lie ahead.

use hourlog::{
    LogId, Offset, Position, Record, Result, Seq,
    read::{Query, ahead, page},
    store::{Store, Totals},
    wire::{AheadReply, When},
};

use super::Api;

/// The times of a log's events.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    /// The offset of the earliest event.
    pub(super) first: Option<Offset>,
    /// The offset of the latest event that does not lie ahead.
    pub(super) last: Option<Offset>,
    /// The offset of the latest event.
    pub(super) end: Option<Offset>,
    /// The events that lie ahead.
    pub(super) ahead: Option<AheadReply>,
}

impl Extent {
    /// Returns the time that a word for it means; `None` if there is no such event, or it is no such word.
    pub(super) fn at(&self, word: When) -> Option<Offset> {
        match word {
            When::First => self.first,
            When::Last => self.last,
            When::End => self.end.map(|end| end.saturating_add_nanos(1)),
            When::At(_) | When::Now | When::Ago(_) => None,
        }
    }

    /// Returns the end, exclusive, that a word for it means. A range that ends with the newest event includes it.
    pub(super) fn until(&self, word: When) -> Option<Offset> {
        let end = self.at(word);
        if word == When::Last { end.map(|last| last.saturating_add_nanos(1)) } else { end }
    }

    /// Returns a warning if events lie ahead.
    pub(super) fn warning(&self) -> Option<String> {
        self.ahead.map(|AheadReply { events, first, last, at_least }| {
            let at_least = if at_least { "at least " } else { "" };
            format!(
                "{at_least}{events} events lie ahead of now, from {first} to {last}: a clock was wrong; read them with \
                 from {first}"
            )
        })
    }
}

impl<S: Store> Api<S> {
    /// Returns the latest time that does not lie ahead of now.
    fn ahead_limit(&self) -> Offset {
        self.health.time.now().saturating_add_nanos(Record::AHEAD_NANOS_MAX)
    }

    /// Returns the position before which everything does not lie ahead of now.
    pub(super) fn ahead_from(&self) -> Position {
        Position::at(self.ahead_limit().saturating_add_nanos(1))
    }

    /// Returns the events of a log that lie ahead of now.
    pub(super) async fn ahead(&self, log: &LogId) -> Result<Option<AheadReply>> {
        Ok(ahead(&self.store, log, self.ahead_limit()).await?.map(AheadReply::from))
    }

    /// Returns the position of the newest event that does not lie ahead of now, and its arrival time.
    pub(super) async fn newest(&self, log: &LogId) -> Result<Option<(Position, Offset)>> {
        let newest = Query { to: Some(self.ahead_from()), reverse: true, limit: 1, ..Query::ALL };
        let store = self.store.snapshot()?.unwrap_or_else(|| self.store.clone());
        let newest = page(&store, log, &newest, Seq::MAX).await?;
        Ok(newest.events.first().map(|event| (event.position, event.arrival_time())))
    }

    /// Returns the times of a log's events, given its sums. Reads more only if events lie ahead.
    pub(super) async fn extent(&self, log: &LogId, totals: &Totals) -> Result<Extent> {
        let extent = Extent { first: totals.first, last: totals.last, end: totals.last, ahead: None };
        if totals.last.is_none_or(|last| last <= self.ahead_limit()) {
            return Ok(extent);
        }
        let last = self.newest(log).await?.map(|(position, _)| position.offset);
        Ok(Extent { last, ahead: self.ahead(log).await?, ..extent })
    }
}
