//! The arrivals of one or more logs.
//!
//! Each log comes in arrival order. Across logs, what is there already comes in the order of its arrival time, and
//! what is new as it comes. A log has at most one page in memory: while its events wait to be printed, it is not
//! asked for more.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use futures_util::{
    FutureExt, Stream, StreamExt, future::BoxFuture, stream, stream::BoxStream, stream::FuturesUnordered,
};
use hourlog::{
    ArrivalCursor, Cursor, Error, ErrorKind, Event, LogId, Offset, Remote, Result, Seq, remote::RemotePage,
    wire::ReplayRequest,
};

use crate::{arrival::arrival, cli::conditions::Conditions, session::Session};

use super::{
    names::{Found, Names},
    notes,
    share::Share,
    waiting,
};

/// Logs that are followed by one command. Each has a request that waits in the service.
pub(super) const FOLLOWED_MAX: usize = 256;
/// Interval between two looks for logs that are new and match a pattern.
const NEW_LOGS_INTERVAL: Duration = Duration::from_secs(1);
/// Logs whose removed events are named.
const EXPIRED_NAMED_MAX: usize = 3;

/// The events that arrive in several logs.
pub(super) struct Arrivals<'a> {
    session: &'a Session,
    remote: Remote,
    names: Names,
    conditions: Conditions,
    /// The cursor of a log that appears later.
    start: Option<ArrivalCursor>,
    logs: Vec<Followed>,
    indices: HashMap<LogId, usize>,
    /// The next event of each log that has one, by its arrival, seq and the log's index.
    heads: BTreeSet<(Offset, Seq, usize)>,
    /// Logs whose next event is not known, and may have arrived long ago.
    behind: usize,
    in_flight: FuturesUnordered<BoxFuture<'static, Happened>>,
    /// The read begins at a point that the user gave: removed events after it are missed.
    tells_expired: bool,
    expired: usize,
}

/// Returns true for an error that passes by itself.
fn is_outage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Deadline)
}

/// One log.
struct Followed {
    log: LogId,
    /// The place of the last page.
    cursor: Option<ArrivalCursor>,
    events: VecDeque<Event>,
    pages: Option<BoxStream<'static, Result<RemotePage>>>,
    is_behind: bool,
    was_answered: bool,
    is_missing: bool,
}

/// The answer to a request.
enum Happened {
    Page { index: usize, page: Option<Result<RemotePage>>, pages: BoxStream<'static, Result<RemotePage>> },
    Listed(Result<Found>),
}

impl<'a> Arrivals<'a> {
    /// Follows `logs`, each after its cursor or from its first event on, and those that match later from `start` on.
    pub(super) fn new(
        session: &'a Session,
        remote: &Remote,
        names: &Names,
        conditions: &Conditions,
        start: Option<ArrivalCursor>,
        tells_expired: bool,
        logs: Vec<(LogId, Option<ArrivalCursor>)>,
    ) -> Self {
        let mut arrivals = Self {
            session,
            remote: remote.clone(),
            names: names.clone(),
            conditions: conditions.clone(),
            start,
            logs: Vec::new(),
            indices: HashMap::new(),
            heads: BTreeSet::new(),
            behind: 0,
            in_flight: FuturesUnordered::new(),
            tells_expired,
            expired: 0,
        };
        let share = Share::of(logs.len());
        for (log, cursor) in logs {
            arrivals.add(log, cursor, share);
        }
        if names.has_patterns() {
            arrivals.look_for_new_logs();
        }
        arrivals
    }

    /// Returns the events as a stream, which never ends by itself.
    pub(super) fn events(self) -> impl Stream<Item = Result<Event>> {
        stream::try_unfold(self, async |mut arrivals| Ok(Some((arrivals.next().await?, arrivals))))
    }

    async fn next(&mut self) -> Result<Event> {
        loop {
            while let Some(Some(happened)) = self.in_flight.next().now_or_never() {
                self.handle(happened)?;
            }
            if self.behind == 0
                && let Some((.., index)) = self.heads.pop_first()
            {
                let event = self.logs[index].events.pop_front().expect("a head is an event of its log");
                self.advance(index);
                return Ok(event);
            }
            match self.in_flight.next().await {
                Some(happened) => self.handle(happened)?,
                None => return Err(Error::new(ErrorKind::Unexpected, "there is no log to follow")),
            }
        }
    }

    fn add(&mut self, log: LogId, cursor: Option<ArrivalCursor>, share: Share) {
        let index = self.logs.len();
        self.indices.insert(log.clone(), index);
        let pages = Some(self.pages(&log, cursor, share));
        self.logs.push(Followed {
            log,
            cursor,
            events: VecDeque::new(),
            pages,
            is_behind: true,
            was_answered: false,
            is_missing: false,
        });
        self.behind += 1;
        self.request(index, Duration::ZERO);
    }

    fn pages(
        &self,
        log: &LogId,
        cursor: Option<ArrivalCursor>,
        share: Share,
    ) -> BoxStream<'static, Result<RemotePage>> {
        let after = cursor.map(Cursor::Arrival);
        let request = ReplayRequest { after, limit: Some(share.events), ..self.conditions.request() };
        self.remote.tail_pages(log.clone(), share.bound(request)).boxed()
    }

    /// Requests the next page of a log, after a pause.
    fn request(&mut self, index: usize, pause: Duration) {
        let Some(mut pages) = self.logs[index].pages.take() else { return };
        let page = async move {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            let page = pages.next().await;
            Happened::Page { index, page, pages }
        };
        self.in_flight.push(page.boxed());
    }

    fn look_for_new_logs(&mut self) {
        let (remote, names) = (self.remote.clone(), self.names.clone());
        let listed = async move {
            tokio::time::sleep(NEW_LOGS_INTERVAL).await;
            Happened::Listed(names.find(&remote, FOLLOWED_MAX).await)
        };
        self.in_flight.push(listed.boxed());
    }

    fn handle(&mut self, happened: Happened) -> Result<()> {
        match happened {
            Happened::Page { index, page: Some(Ok(page)), pages } => {
                self.logs[index].pages = Some(pages);
                self.take(index, page);
                Ok(())
            }
            Happened::Page { index, page: Some(Err(error)), .. } if error.kind() == ErrorKind::NotFound => {
                self.wait_for(index);
                Ok(())
            }
            // A log that is new in the middle of an outage. The pages of the others wait for its end.
            Happened::Page { index, page: Some(Err(error)), .. } if is_outage(&error) && self.was_any_answered() => {
                self.request_again(index);
                Ok(())
            }
            Happened::Page { page: Some(Err(error)), .. } => Err(error),
            Happened::Page { index, page: None, .. } => {
                let context = format!("the pages of {} have ended", self.logs[index].log);
                Err(Error::new(ErrorKind::Unexpected, context))
            }
            Happened::Listed(found) => {
                match found {
                    Ok(found) => {
                        found.require_at_most(FOLLOWED_MAX)?;
                        self.add_new(found.logs);
                    }
                    // The pages of the logs wait for the end of an outage, too.
                    Err(error) if is_outage(&error) || error.kind() == ErrorKind::Refused => {}
                    Err(error) => return Err(error),
                }
                self.look_for_new_logs();
                Ok(())
            }
        }
    }

    /// Adds the logs that are not followed yet.
    fn add_new(&mut self, logs: Vec<LogId>) {
        let share = Share::of(logs.len().max(self.logs.len()));
        for log in logs {
            if !self.indices.contains_key(&log) {
                self.add(log, self.start, share);
            }
        }
    }

    /// Takes a page of a log.
    fn take(&mut self, index: usize, page: RemotePage) {
        notes::tell_moved(self.session, &page);
        let is_first = !std::mem::replace(&mut self.logs[index].was_answered, true);
        if is_first && self.tells_expired {
            self.tell_expired(index, &page);
        }
        let log = &mut self.logs[index];
        log.is_missing = false;
        if let Some(Cursor::Arrival(next)) = page.next {
            log.cursor = Some(next);
        }
        let was_behind = std::mem::replace(&mut log.is_behind, !page.end.is_last());
        log.events = page.events.into();
        // A log with events is not waited for, even if it has more behind them.
        self.behind -= usize::from(was_behind);
        self.advance(index);
    }

    /// Puts the next event of a log among the heads, or requests its next page.
    fn advance(&mut self, index: usize) {
        let log = &self.logs[index];
        match log.events.front() {
            Some(event) => {
                let arrival = arrival(event);
                self.heads.insert((arrival.time, arrival.seq, index));
            }
            None => {
                self.behind += usize::from(log.is_behind);
                self.request(index, Duration::ZERO);
            }
        }
    }

    /// Waits for the first event of a log that does not exist.
    fn wait_for(&mut self, index: usize) {
        let log = &mut self.logs[index];
        if !std::mem::replace(&mut log.is_missing, true) {
            waiting::tell(self.session, &log.log);
        }
        // It holds nothing that the others would have to wait for.
        self.behind -= usize::from(std::mem::replace(&mut log.is_behind, false));
        self.request_again(index);
    }

    /// Begins the pages of a log again, after a pause.
    fn request_again(&mut self, index: usize) {
        let log = &self.logs[index];
        self.logs[index].pages = Some(self.pages(&log.log, log.cursor, Share::of(self.logs.len())));
        self.request(index, waiting::INTERVAL);
    }

    fn was_any_answered(&self) -> bool {
        self.logs.iter().any(|log| log.was_answered || log.is_missing)
    }

    fn tell_expired(&mut self, index: usize, page: &RemotePage) {
        let Some(before) = page.expired else { return };
        self.expired += 1;
        let first = page.resolved.map(|first| first.offset);
        let log = &self.logs[index].log;
        if self.expired <= EXPIRED_NAMED_MAX {
            self.session.out.note(&notes::expired_note(self.session, log, before, first));
        } else if self.expired == EXPIRED_NAMED_MAX + 1 {
            self.session.out.note("events of more logs before the start were removed, too");
        }
    }
}
