//! The bookkeeping of requests to the backend.

use std::collections::BTreeMap;

use hourlog::{Error, ErrorKind, Offset};

use super::log::Window;

/// Pause before a failed request is retried.
const RETRY_NANOS: i64 = 1_000_000_000;
/// Pause between two requests for the list of logs.
const LOGS_EVERY_NANOS: i64 = 2_000_000_000;
/// Age at which counts of a followed log are outdated.
const COUNTS_EVERY_NANOS: i64 = 2_000_000_000;

/// The requests to the backend: which are outstanding, whose answers still matter, and when to send
/// the next.
///
/// There is at most one outstanding request of each kind, so a held key costs few requests, and the
/// last of them is for where the key ends.
#[derive(Debug, Default)]
pub struct Requests {
    opened: u64,
    searches: u64,
    tracks: BTreeMap<RequestKind, Track>,
    reload: bool,
    counts_asked: Option<CountsQuery>,
    counts_known: Option<(CountsQuery, Offset)>,
}

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequestKind {
    /// For the list of logs.
    Logs,
    /// For events of the open log.
    Events,
    /// For counts of the open log.
    Counts,
    /// For events that arrive in the open log.
    Arrivals,
}

/// The requests of one kind.
#[derive(Debug, Default)]
struct Track {
    asked_at: Option<Offset>,
    /// Time of the next request at the earliest.
    not_before: Option<Offset>,
    outage: Option<Outage>,
}

/// An outage: why requests fail, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// Text of the last error.
    pub reason: String,
    /// Time of the first failure in a row.
    pub since: Offset,
    /// The service is there and refuses us.
    pub denied: bool,
}

/// The parameters of a request for counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountsQuery {
    /// The counted time; `None` for the whole log.
    pub window: Option<Window>,
    /// Number of bins.
    pub bins: u32,
}

impl Requests {
    /// Begins an opening of a log, and returns its number. Answers to earlier openings do not
    /// matter any more.
    pub(crate) fn open(&mut self) -> u64 {
        self.tracks.retain(|kind, _| *kind == RequestKind::Logs);
        (self.reload, self.counts_asked, self.counts_known) = (false, None, None);
        self.opened += 1;
        self.opened
    }

    /// Returns whether a request of this kind may be sent: none is outstanding, and the pause is
    /// over.
    pub(crate) fn is_due(&self, kind: RequestKind, now: Offset) -> bool {
        self.tracks
            .get(&kind)
            .is_none_or(|track| track.asked_at.is_none() && track.not_before.is_none_or(|not_before| not_before <= now))
    }

    /// Notes that a request was sent.
    pub(crate) fn asked(&mut self, kind: RequestKind, now: Offset) {
        self.track(kind).asked_at = Some(now);
    }

    /// Returns when the outstanding request was sent.
    pub(crate) fn asked_at(&self, kind: RequestKind) -> Option<Offset> {
        self.tracks.get(&kind)?.asked_at
    }

    /// Notes an answer.
    pub(crate) fn succeeded(&mut self, kind: RequestKind, now: Offset) {
        let not_before = (kind == RequestKind::Logs).then(|| now.saturating_add_nanos(LOGS_EVERY_NANOS));
        *self.track(kind) = Track { asked_at: None, not_before, outage: None };
    }

    /// Notes a failure, and schedules the retry. Returns whether it is an outage; otherwise the
    /// service is there, and the request itself failed.
    pub(crate) fn failed(&mut self, kind: RequestKind, error: &Error, now: Offset) -> bool {
        let is_outage = kind == RequestKind::Logs
            || matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Deadline | ErrorKind::NotAllowed);
        let pause = if kind == RequestKind::Logs { LOGS_EVERY_NANOS } else { RETRY_NANOS };
        let track = self.track(kind);
        track.asked_at = None;
        track.not_before = Some(now.saturating_add_nanos(pause));
        if is_outage {
            let since = track.outage.as_ref().map_or(now, |outage| outage.since);
            let denied = error.kind() == ErrorKind::NotAllowed;
            track.outage = Some(Outage { reason: error.to_string(), since, denied });
        }
        is_outage
    }

    /// Ends an outage that no longer matters, because there is nothing left to ask for.
    pub(crate) fn clear_outage(&mut self, kind: RequestKind) {
        self.track(kind).outage = None;
    }

    /// Returns the outage of one kind of request.
    pub(crate) fn outage(&self, kind: RequestKind) -> Option<&Outage> {
        self.tracks.get(&kind)?.outage.as_ref()
    }

    /// Returns the longest outage of the open log.
    pub(crate) fn log_outage(&self) -> Option<&Outage> {
        let kinds = [RequestKind::Events, RequestKind::Counts, RequestKind::Arrivals];
        kinds.into_iter().filter_map(|kind| self.outage(kind)).min_by_key(|outage| outage.since)
    }

    /// Notes that the loaded events may be outdated, because arrivals went unreported.
    pub(crate) fn reload_events(&mut self) {
        self.reload = true;
    }

    /// Returns whether the loaded events have to be loaded again. Resets the note.
    pub(crate) fn take_reload(&mut self) -> bool {
        std::mem::take(&mut self.reload)
    }

    /// Returns whether the counts answer `query` and are recent enough. Only counts of a followed
    /// log become outdated.
    pub(crate) fn are_counts_current(&self, query: CountsQuery, follows: bool, now: Offset) -> bool {
        self.counts_known.is_some_and(|(known, at)| {
            let is_outdated = follows && now.nanos().saturating_sub(at.nanos()) >= COUNTS_EVERY_NANOS;
            known == query && !is_outdated
        })
    }

    /// Notes that counts were asked for.
    pub(crate) fn counts_asked(&mut self, query: CountsQuery, now: Offset) {
        self.asked(RequestKind::Counts, now);
        self.counts_asked = Some(query);
    }

    /// Returns the outstanding query for counts, which has been answered.
    pub(crate) fn take_counts_asked(&mut self) -> Option<CountsQuery> {
        self.counts_asked.take()
    }

    /// Notes which query the counts answer.
    pub(crate) fn counts_answered(&mut self, query: CountsQuery, now: Offset) {
        self.succeeded(RequestKind::Counts, now);
        self.counts_known = Some((query, now));
    }

    /// Asks for counts again, even if the window stays the same.
    pub(crate) fn recount(&mut self) {
        self.counts_known = None;
    }

    /// Begins a search, and returns its number. Pages of earlier searches do not matter any more.
    pub(crate) fn next_search(&mut self) -> u64 {
        self.searches += 1;
        self.searches
    }

    /// Returns whether `number` is the latest search.
    pub(crate) fn is_latest_search(&self, number: u64) -> bool {
        self.searches == number
    }

    fn track(&mut self, kind: RequestKind) -> &mut Track {
        self.tracks.entry(kind).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Offset {
        Offset::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn one_request_of_a_kind_is_outstanding_and_a_failed_one_is_retried_after_a_pause() {
        let mut requests = Requests::default();
        assert!(requests.is_due(RequestKind::Events, at(0)));
        requests.asked(RequestKind::Events, at(0));
        assert!(!requests.is_due(RequestKind::Events, at(9)) && requests.is_due(RequestKind::Counts, at(9)));
        let error = Error::new(ErrorKind::Unavailable, "no answer");
        assert!(requests.failed(RequestKind::Events, &error, at(10)));
        assert!(!requests.is_due(RequestKind::Events, at(10)) && requests.is_due(RequestKind::Events, at(11)));
        requests.failed(RequestKind::Events, &error, at(11));
        assert_eq!(requests.log_outage().map(|outage| outage.since), Some(at(10)));
        requests.succeeded(RequestKind::Events, at(12));
        assert_eq!(requests.log_outage(), None);
    }

    #[test]
    fn counts_of_a_followed_log_become_outdated() {
        let mut requests = Requests::default();
        let query = CountsQuery { window: None, bins: 10 };
        requests.counts_answered(query, at(0));
        assert!(requests.are_counts_current(query, true, at(1)));
        assert!(!requests.are_counts_current(query, true, at(2)) && requests.are_counts_current(query, false, at(2)));
        assert!(!requests.are_counts_current(CountsQuery { bins: 11, ..query }, false, at(0)));
        requests.recount();
        assert!(!requests.are_counts_current(query, false, at(0)));
    }
}
