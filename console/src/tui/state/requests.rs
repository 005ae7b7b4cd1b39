//! The bookkeeping of requests to the backend.

use std::collections::BTreeMap;

use hourlog::{Error, ErrorKind, Offset};

/// Pause before a failed request is retried.
const RETRY_NANOS: i64 = 1_000_000_000;
/// Pause between two requests for the list of logs.
const LOGS_EVERY_NANOS: i64 = 2_000_000_000;

/// The requests to the backend: which are outstanding, whose answers still matter, and when to send
/// the next.
///
/// There is at most one outstanding request of each kind, so a held key costs few requests, and the
/// last of them is for where the key ends.
#[derive(Debug, Default)]
pub struct Requests {
    numbers: u64,
    /// Number of the requests that have succeeded.
    answers: u64,
    tracks: BTreeMap<RequestKind, Track>,
}

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequestKind {
    /// For the list of logs.
    Logs,
    /// For the strips of logs.
    Strips,
    /// For the newest events of the log under the cursor.
    Preview,
    /// For the report of the service about itself.
    Service,
    /// For events of the open log.
    Events,
    /// For the service's opinion of a filter.
    Check,
    /// For counts of the whole log.
    Overview,
    /// For counts of the window.
    Counts,
    /// For counts of the events in the window that pass the filters.
    Matches,
    /// For counts of the errors in the window.
    Errors,
    /// For counts of the warnings in the window.
    Warnings,
    /// For an event that is not loaded.
    Find,
    /// For all events of the window, to sort them.
    Sort,
    /// For all events of the window, for the numbers in them.
    Numbers,
    /// For events that arrive in the open log.
    Arrivals,
    /// For the positions that a search finds.
    Search,
    /// For the number of events that a dialog is about.
    Total,
    /// For the work of a dialog.
    Work,
}

impl RequestKind {
    /// The requests for the open log that have one answer.
    pub(crate) const OF_LOG_ONCE: [Self; 7] =
        [Self::Events, Self::Overview, Self::Counts, Self::Matches, Self::Errors, Self::Warnings, Self::Find];

    /// Returns true for the requests of the list of logs.
    fn is_of_list(self) -> bool {
        matches!(self, Self::Logs | Self::Strips | Self::Preview)
    }

    /// Returns true for requests that have nothing to do with the open log.
    fn outlives_log(self) -> bool {
        self.is_of_list() || self == Self::Service
    }
}

/// The requests of one kind.
#[derive(Debug, Default)]
struct Track {
    number: u64,
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

impl Requests {
    /// Forgets the requests for the log that was open. Their answers do not matter any more.
    pub(crate) fn close_log(&mut self) {
        self.tracks.retain(|kind, _| kind.outlives_log());
    }

    /// Returns true if a request of this kind may be sent: none is outstanding, and the pause is
    /// over.
    pub(crate) fn is_due(&self, kind: RequestKind, now: Offset) -> bool {
        self.tracks
            .get(&kind)
            .is_none_or(|track| track.asked_at.is_none() && track.not_before.is_none_or(|not_before| not_before <= now))
    }

    /// Notes that a request is sent, and returns its number. It takes the place of an outstanding one.
    pub(crate) fn asked(&mut self, kind: RequestKind, now: Offset) -> u64 {
        self.numbers += 1;
        let number = self.numbers;
        let track = self.track(kind);
        (track.number, track.asked_at) = (number, Some(now));
        number
    }

    /// Returns true if an answer with this number is waited for.
    pub(crate) fn waits_for(&self, kind: RequestKind, number: u64) -> bool {
        self.tracks.get(&kind).is_some_and(|track| track.asked_at.is_some() && track.number == number)
    }

    /// Forgets the outstanding request. Its answer does not matter any more.
    pub(crate) fn forget(&mut self, kind: RequestKind) {
        self.track(kind).asked_at = None;
    }

    /// Lets the next request of a kind be sent as soon as none is outstanding.
    pub(crate) fn hasten(&mut self, kind: RequestKind) {
        self.track(kind).not_before = None;
    }

    /// Returns when the outstanding request was sent.
    pub(crate) fn asked_at(&self, kind: RequestKind) -> Option<Offset> {
        self.tracks.get(&kind)?.asked_at
    }

    /// Notes the answer to a request that has one.
    pub(crate) fn succeeded(&mut self, kind: RequestKind, now: Offset) {
        self.is_well(kind);
        self.answers += 1;
        let track = self.track(kind);
        let asked_at = track.asked_at.take();
        // The service is asked for a while, and its rates need readings at even times.
        let begin = asked_at.filter(|_| kind == RequestKind::Service).unwrap_or(now);
        track.not_before = kind.outlives_log().then(|| begin.saturating_add_nanos(LOGS_EVERY_NANOS));
    }

    /// Notes that the backend answers, also if a request has more answers to come. Ends an outage.
    pub(crate) fn is_well(&mut self, kind: RequestKind) {
        self.track(kind).outage = None;
    }

    /// Notes a failure, and schedules the retry. Returns true if it is an outage; otherwise the
    /// service is there, and the request itself failed.
    pub(crate) fn failed(&mut self, kind: RequestKind, error: &Error, now: Offset) -> bool {
        // A log that was shown in the preview may be gone, or a limit may be reached: neither is an outage.
        let is_outage = (kind.outlives_log() && kind != RequestKind::Preview)
            || matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Deadline | ErrorKind::NotAllowed);
        let pause = if kind.outlives_log() { LOGS_EVERY_NANOS } else { RETRY_NANOS };
        let track = self.track(kind);
        // The follower retries by itself, under its number.
        if kind != RequestKind::Arrivals {
            track.asked_at = None;
        }
        track.not_before = Some(now.saturating_add_nanos(pause));
        if is_outage {
            let since = track.outage.as_ref().map_or(now, |outage| outage.since);
            let denied = error.kind() == ErrorKind::NotAllowed;
            track.outage = Some(Outage { reason: error.to_string(), since, denied });
        }
        is_outage
    }

    /// Returns the outage of one kind of request.
    pub(crate) fn outage(&self, kind: RequestKind) -> Option<&Outage> {
        self.tracks.get(&kind)?.outage.as_ref()
    }

    /// Returns all outages. Those of the list of logs only if it is asked for now.
    pub(crate) fn outages(&self, lists_logs: bool) -> impl Iterator<Item = (RequestKind, &Outage)> {
        let asked = self.tracks.iter().filter(move |(kind, _)| lists_logs || !kind.is_of_list());
        asked.filter_map(|(kind, track)| Some((*kind, track.outage.as_ref()?)))
    }

    /// Returns the number of the requests that have succeeded so far.
    pub(crate) fn answers(&self) -> u64 {
        self.answers
    }

    /// Returns the longest outage of the open log.
    pub(crate) fn log_outage(&self) -> Option<&Outage> {
        let of_log = self.tracks.iter().filter(|(kind, _)| !kind.outlives_log());
        of_log.filter_map(|(_, track)| track.outage.as_ref()).min_by_key(|outage| outage.since)
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
    fn only_the_latest_request_of_a_kind_is_waited_for() {
        let mut requests = Requests::default();
        let first = requests.asked(RequestKind::Counts, at(0));
        let second = requests.asked(RequestKind::Counts, at(0));
        assert!(!requests.waits_for(RequestKind::Counts, first) && requests.waits_for(RequestKind::Counts, second));
        requests.close_log();
        assert!(!requests.waits_for(RequestKind::Counts, second));
    }
}
