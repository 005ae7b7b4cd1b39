//! The timeline of one or more logs, merged in the client.
//!
//! The order is total: by time, then by seq, then by log. Each log has one page in memory and the next one under
//! way, so the memory is bounded whatever the logs hold. The rest of the command knows [`Merged`] only, so that a
//! request for several logs can take its place.

use std::collections::{BTreeSet, VecDeque};

use futures_util::{Stream, StreamExt, TryStreamExt, stream, stream::BoxStream};
use hourlog::{
    Event, LogId, Offset, Position, Remote, Result,
    remote::RemotePage,
    wire::{AheadReply, MergedPosition, Order, ReplayRequest, When},
};

use crate::cli::conditions::Conditions;

use super::share::Share;

/// Logs that are read by one command. Each needs a request before the first event is known.
pub(in crate::cli) const LOGS_MAX: usize = 1_000;
/// First pages that are requested at once. More would only wait for each other in the service.
const OPENED_AT_ONCE: usize = 16;

/// The part of the logs that is read.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct Range {
    pub(in crate::cli) from: Option<When>,
    pub(in crate::cli) to: Option<When>,
    /// The event after which the read goes on, in its direction.
    pub(in crate::cli) after: Option<MergedPosition>,
    pub(in crate::cli) reverse: bool,
    /// The most events of all logs together.
    pub(in crate::cli) limit: Option<u32>,
    pub(in crate::cli) conditions: Conditions,
}

impl Range {
    fn request(&self, log: &LogId) -> ReplayRequest {
        ReplayRequest {
            from: self.from,
            to: self.to,
            after: self.after.as_ref().map(|after| after.in_log(log, self.reverse).into()),
            // One log may hold all the events that are wanted, and none needs more.
            limit: self.limit,
            order: Order::Timeline,
            reverse: self.reverse,
            ..self.conditions.request()
        }
    }
}

/// The events of several logs in one order.
pub(in crate::cli) struct Merged {
    logs: Vec<Pages>,
    /// The next event of each log, by its position and the log's index. The logs are sorted by id.
    heads: BTreeSet<(Position, usize)>,
    /// The log that the last event came from. Its next event is not among the heads yet.
    taken: Option<usize>,
    reverse: bool,
    /// The events that are still wanted; `None` for no limit.
    left: Option<u32>,
}

/// The pages of one log.
struct Pages {
    rest: BoxStream<'static, Result<RemotePage>>,
    events: VecDeque<Event>,
}

/// The first page of a log, without its events.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Opened {
    pub(super) log: LogId,
    /// The time before which events were removed, if the read begins before it.
    pub(super) expired: Option<Offset>,
    pub(super) first: Option<Position>,
    /// The events ahead of now, if the read begins at the newest event up to now.
    pub(super) ahead: Option<AheadReply>,
}

impl Merged {
    /// Requests the first page of each log. `logs` are sorted by id.
    pub(in crate::cli) async fn open(remote: &Remote, logs: &[LogId], range: &Range) -> Result<(Self, Vec<Opened>)> {
        let share = Share::of(logs.len());
        let open = async |log: &LogId| {
            let mut rest = remote.pages(log.clone(), share.bound(range.request(log)), share.events).boxed();
            let first = rest.next().await.transpose()?;
            Ok((log.clone(), rest, first))
        };
        let pages: Vec<_> = stream::iter(logs.iter().map(open)).buffered(OPENED_AT_ONCE).try_collect().await?;
        let mut merged = Self {
            logs: Vec::with_capacity(logs.len()),
            heads: BTreeSet::new(),
            taken: None,
            reverse: range.reverse,
            left: range.limit,
        };
        let mut opened = Vec::with_capacity(logs.len());
        for (index, (log, rest, first)) in pages.into_iter().enumerate() {
            let (mut events, mut told) = (VecDeque::new(), Opened { log, expired: None, first: None, ahead: None });
            if let Some(page) = first {
                told = Opened { expired: page.expired, first: page.resolved, ahead: page.ahead, ..told };
                events = page.events.into();
            }
            merged.logs.push(Pages { rest, events });
            opened.push(told);
            merged.refill(index).await?;
        }
        Ok((merged, opened))
    }

    /// Returns the events as a stream.
    pub(in crate::cli) fn events(self) -> impl Stream<Item = Result<Event>> {
        stream::try_unfold(self, async |mut merged| Ok(merged.next().await?.map(|event| (event, merged))))
    }

    async fn next(&mut self) -> Result<Option<Event>> {
        if self.left == Some(0) {
            return Ok(None);
        }
        if let Some(index) = self.taken.take() {
            self.refill(index).await?;
        }
        let head = if self.reverse { self.heads.pop_last() } else { self.heads.pop_first() };
        let Some((_, index)) = head else { return Ok(None) };
        self.taken = Some(index);
        self.left = self.left.map(|left| left - 1);
        Ok(self.logs[index].events.pop_front())
    }

    /// Puts the next event of a log among the heads. Waits for a page if it has to.
    async fn refill(&mut self, index: usize) -> Result<()> {
        let pages = &mut self.logs[index];
        while pages.events.is_empty() {
            match pages.rest.try_next().await? {
                Some(page) => pages.events = page.events.into(),
                None => return Ok(()),
            }
        }
        let head = pages.events.front().expect("it is not empty");
        self.heads.insert((head.position, index));
        Ok(())
    }
}
