//! The instances of the service, as this console has seen them.

use std::collections::BTreeMap;

use hourlog::{
    Error, ErrorKind, Offset,
    time::MINUTE,
    wire::{ComponentStatus, ShareStatus, SourceStatus, StatusReply},
};

use crate::tui::report::{EndpointStats, InstanceStats, ServiceReport, StreamReport};

use super::{cursor_row::CursorRow, levels::Levels, meter::Meter};

/// Time for which an instance that does not answer any more is shown.
const SILENT_NANOS_MAX: i64 = 10 * MINUTE;
/// Limit of the instances that are shown. Each new run of the service is another one.
const INSTANCES_MAX: usize = 64;
/// Limit of the streams that are shown.
const STREAMS_MAX: usize = 64;
/// Age of the oldest waiting message, in seconds, from which an instance is behind. `hourlog doctor` has the same limit.
const BEHIND_SECONDS: f64 = 300.0;

/// The instances of the service.
#[derive(Debug, Default)]
pub struct Instances {
    known: BTreeMap<String, Instance>,
    streams: BTreeMap<String, StreamFacts>,
    /// Messages that wait for the archive.
    pub(crate) lag: Levels,
    /// Sentences about what could not be read the last time.
    pub(crate) unread: Vec<String>,
    /// Id of the instance under the cursor; the first one before the user has chosen.
    cursor: Option<String>,
    /// Row of the cursor on the screen.
    pub(crate) cursor_row: CursorRow,
}

/// An instance of the service: one run of it.
#[derive(Debug, Default)]
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) version: String,
    pub(crate) started: Option<Offset>,
    /// Its last status; `None` if that could not be read the last time.
    pub(crate) status: Option<StatusReply>,
    /// Its endpoints; `None` if they could not be read the last time.
    pub(crate) endpoints: Option<Vec<EndpointStats>>,
    /// The rates of the endpoints by name.
    meters: BTreeMap<String, Meter>,
    requests: Meter,
    /// The time of its last answer, by the console's clock.
    pub(crate) answered: Offset,
    /// It has answered the last time.
    pub(crate) answers: bool,
}

/// The facts about a stream. What is absent could not be read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct StreamFacts {
    pub(crate) bytes: Option<u64>,
    pub(crate) bytes_max: Option<u64>,
    pub(crate) messages: Option<u64>,
    /// Seconds for which the oldest message has waited for the archive.
    pub(crate) waiting_seconds: Option<f64>,
    /// The time of the oldest message in the stream.
    pub(crate) oldest: Option<Offset>,
}

/// The reason why an instance is unwell.
#[derive(Debug, PartialEq)]
pub(crate) enum Trouble<'a> {
    /// It does not answer.
    Silent,
    /// A part of it is degraded: the archive, or something about a stream.
    Degraded(&'a str, &'a ComponentStatus),
    /// It does not hear its own heartbeats, so others may have taken its slots over.
    Deaf,
    /// The oldest message of a stream has waited for this many seconds.
    Behind(&'a str, f64),
}

impl Instances {
    /// Takes a report in.
    pub(crate) fn add(&mut self, report: ServiceReport, now: Offset) {
        self.unread.clear();
        for instance in self.known.values_mut() {
            (instance.status, instance.endpoints, instance.answers) = (None, None, false);
        }
        let (is_counted, lag) = (report.stats.is_ok(), report.statuses.as_deref().ok().and_then(waiting));
        self.add_streams(report.streams, report.statuses.as_deref().unwrap_or_default());
        if let Some(lag) = lag {
            self.lag.read(now, lag);
        }
        if let Some(statuses) = self.read(report.statuses) {
            for status in statuses {
                if let Some(instance) = self.answering(&status.instance, now) {
                    instance.set_status(status, is_counted);
                }
            }
        }
        if let Some(stats) = self.read(report.stats) {
            for stats in stats {
                if let Some(instance) = self.answering(&stats.id, now) {
                    instance.set_stats(stats);
                }
            }
        }
        for instance in self.known.values_mut() {
            if instance.endpoints.is_none() {
                instance.meters.values_mut().for_each(Meter::pause);
            }
            // Its counts may come too late, although its status has come.
            if !instance.answers || is_counted && instance.endpoints.is_none() {
                instance.requests.pause();
            }
        }
        self.known.retain(|_, instance| now.nanos() - instance.answered.nanos() <= SILENT_NANOS_MAX);
    }

    /// Returns what was read, or notes why it could not be.
    fn read<T>(&mut self, read: Result<T, Error>) -> Option<T> {
        match read {
            Ok(read) => Some(read),
            Err(error) => {
                let sentence = error.to_string();
                if !self.unread.contains(&sentence) {
                    self.unread.push(sentence);
                }
                None
            }
        }
    }

    /// Returns the instance that has just answered; `None` if there are too many.
    fn answering(&mut self, id: &str, now: Offset) -> Option<&mut Instance> {
        if self.known.len() >= INSTANCES_MAX && !self.known.contains_key(id) {
            // A run that answers takes the place of one that does not any more.
            let silent = self.known.iter().filter(|(_, instance)| !instance.answers);
            let silent = silent.min_by_key(|(_, instance)| instance.answered).map(|(id, _)| id.clone())?;
            self.known.remove(&silent);
        }
        let instance = self.known.entry(id.to_owned()).or_default();
        id.clone_into(&mut instance.id);
        (instance.answered, instance.answers) = (now, true);
        Some(instance)
    }

    fn add_streams(&mut self, streams: Vec<(String, Result<StreamReport, Error>)>, statuses: &[StatusReply]) {
        self.streams.clear();
        for source in statuses.iter().flat_map(|status| &status.sources).take(STREAMS_MAX) {
            let facts = StreamFacts {
                bytes: Some(source.bytes),
                bytes_max: source.bytes_max,
                messages: Some(source.messages),
                waiting_seconds: source.lag_seconds,
                oldest: None,
            };
            let known = self.streams.entry(source.stream.clone()).or_default();
            let waiting_seconds = [known.waiting_seconds, facts.waiting_seconds];
            // Several instances may read a stream: the lag is that of the slowest.
            *known = StreamFacts { waiting_seconds: waiting_seconds.into_iter().flatten().reduce(f64::max), ..facts };
        }
        for (name, stream) in streams {
            // A stream that is not there is no error of the console: the service says so itself.
            let stream = match stream {
                Err(error) if error.kind() != ErrorKind::NotAllowed => continue,
                stream => self.read(stream),
            };
            if let Some(stream) = stream {
                let facts = self.streams.entry(name).or_default();
                (facts.bytes, facts.bytes_max) = (Some(stream.bytes), stream.bytes_max);
                (facts.messages, facts.oldest) = (Some(stream.messages), stream.oldest);
            }
        }
    }

    /// Forgets the rates of now, because nobody has read the counters for a while.
    pub(crate) fn pause(&mut self) {
        for instance in self.known.values_mut() {
            instance.requests.pause();
            instance.meters.values_mut().for_each(Meter::pause);
        }
    }

    /// Returns all instances by id.
    pub(crate) fn all(&self) -> impl ExactSizeIterator<Item = &Instance> {
        self.known.values()
    }

    /// Returns the streams by name.
    pub(crate) fn streams(&self) -> impl ExactSizeIterator<Item = (&str, &StreamFacts)> {
        self.streams.iter().map(|(name, facts)| (name.as_str(), facts))
    }

    /// Returns the index of the instance under the cursor.
    pub(crate) fn cursor_index(&self) -> usize {
        let at = |cursor: &String| self.known.keys().position(|id| id == cursor);
        self.cursor.as_ref().and_then(at).unwrap_or(0)
    }

    /// Puts the cursor on the instance with an index, or on the last one.
    pub(crate) fn go_to(&mut self, index: usize) {
        let index = index.min(self.known.len().saturating_sub(1));
        self.cursor = self.known.keys().nth(index).cloned();
    }

    /// Returns the instance under the cursor.
    pub(crate) fn selected(&self) -> Option<&Instance> {
        self.known.values().nth(self.cursor_index())
    }
}

impl Instance {
    /// Takes its status in. If its requests are `is_counted` elsewhere, that count is more exact.
    fn set_status(&mut self, status: StatusReply, is_counted: bool) {
        self.version.clone_from(&status.version);
        self.started = Some(status.started);
        if !is_counted {
            self.requests.read(status.now.nanos(), status.counters.requests);
        }
        self.status = Some(status);
    }

    fn set_stats(&mut self, stats: InstanceStats) {
        self.version = stats.version;
        self.started = stats.started.or(self.started);
        self.requests.read(stats.received_nanos, total(stats.endpoints.iter().map(|endpoint| endpoint.requests)));
        for endpoint in &stats.endpoints {
            let meter = self.meters.entry(endpoint.name.clone()).or_default();
            meter.read(stats.received_nanos, endpoint.requests);
        }
        self.meters.retain(|name, _| stats.endpoints.iter().any(|endpoint| endpoint.name == *name));
        let mut endpoints = stats.endpoints;
        endpoints.sort_by(|one, other| (other.requests, &one.name).cmp(&(one.requests, &other.name)));
        self.endpoints = Some(endpoints);
    }

    /// Returns its requests per second, between its last two answers.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.requests.rate()
    }

    /// Returns the readings of an endpoint.
    pub(crate) fn meter(&self, endpoint: &str) -> Option<&Meter> {
        self.meters.get(endpoint)
    }

    /// Returns the requests that were answered with an error since its start.
    pub(crate) fn errors(&self) -> Option<u64> {
        let counted = total(self.endpoints.iter().flatten().map(|endpoint| endpoint.errors));
        let told = self.status.as_ref().map(|status| status.counters.request_errors);
        self.endpoints.as_ref().map(|_| counted).or(told)
    }

    /// Returns the mean time of an answer since its start, in nanoseconds.
    pub(crate) fn mean_nanos(&self) -> Option<u64> {
        let endpoints = self.endpoints.as_deref()?;
        let nanos = total(endpoints.iter().map(|endpoint| endpoint.nanos));
        nanos.checked_div(total(endpoints.iter().map(|endpoint| endpoint.requests)))
    }

    /// Returns the messages that wait for the archive.
    pub(crate) fn lag(&self) -> Option<u64> {
        let mut lags = self.status.as_ref()?.sources.iter().map(|source| source.lag_messages);
        lags.try_fold(0_u64, |sum, lag| Some(sum.saturating_add(lag?)))
    }

    /// Returns its part in the work over an archive that several instances share.
    pub(crate) fn share(&self) -> Option<&ShareStatus> {
        self.status.as_ref()?.share.as_ref()
    }

    /// Returns the first reason why it is unwell.
    pub(crate) fn trouble(&self) -> Option<Trouble<'_>> {
        if !self.answers {
            return Some(Trouble::Silent);
        }
        let status = self.status.as_ref()?;
        if !status.archive.state.ok {
            return Some(Trouble::Degraded("the archive", &status.archive.state));
        }
        if status.share.as_ref().is_some_and(|share| !share.alive) {
            return Some(Trouble::Deaf);
        }
        status.sources.iter().find_map(|source| {
            let SourceStatus { stream, reading, settings, answering, storing, progress, .. } = source;
            let part = [reading, settings, answering, storing, progress].into_iter().find(|part| !part.ok);
            let seconds = source.lag_seconds.filter(|seconds| *seconds > BEHIND_SECONDS);
            part.map(|part| Trouble::Degraded(stream, part)).or(seconds.map(|seconds| Trouble::Behind(stream, seconds)))
        })
    }
}

/// Returns the messages that wait for the archive; `None` if that is unknown of a stream. Several instances may read one.
fn waiting(statuses: &[StatusReply]) -> Option<u64> {
    let mut streams: BTreeMap<&str, u64> = BTreeMap::new();
    for source in statuses.iter().flat_map(|status| &status.sources) {
        let known = streams.entry(&source.stream).or_default();
        *known = source.lag_messages?.max(*known);
    }
    (!streams.is_empty()).then(|| total(streams.into_values()))
}

/// Returns a sum of numbers from outside, which may be too great for one.
fn total(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourlog::time::SECOND;
    use serde_json::json;

    fn at(seconds: i64) -> Offset {
        Offset::from_nanos(seconds * SECOND)
    }

    fn status(id: &str, requests: u64, lag: Option<u64>) -> StatusReply {
        let ok = json!({ "ok": true });
        let source = json!({
            "stream": "HOURLOG", "kind": "wal", "reading": ok, "settings": ok, "answering": ok, "storing": ok, "progress": ok,
            "lag_messages": lag, "lag_seconds": 1.5, "published": 10, "archived": 7, "catching_up": 0, "messages": 10,
            "bytes": 500, "bytes_max": 1_000, "removed_messages": 0,
        });
        serde_json::from_value(json!({
            "instance": id, "version": "0.3.0", "started": "1970-01-01T00:00:00Z", "now": "1970-01-01T01:00:00Z",
            "prefix": "hourlog", "archive": { "kind": "memory", "id": "x", "state": ok, "rollbacks": 0 },
            "sources": [source],
            "counters": {
                "ingested": 0, "ingested_bytes": 0, "archived": 0, "archived_bytes": 0, "replayed": 0, "replayed_bytes": 0,
                "rejected": 0, "requests": requests, "request_errors": 1, "replies_dropped": 0, "logs": 1, "logs_awake": 1,
                "logs_failed": 0,
            },
        }))
        .expect("it is a status")
    }

    fn stats(id: &str, seconds: i64, requests: u64, errors: u64) -> InstanceStats {
        let answer = json!({
            "id": id, "version": "0.3.0", "metadata": { "prefix": "hourlog" },
            "endpoints": [
                { "name": "append", "num_requests": requests, "num_errors": errors, "processing_time": requests * 2_000 },
                { "name": "replay", "num_requests": 1, "num_errors": 0, "processing_time": 0 },
            ],
        });
        InstanceStats::parse(answer.to_string().as_bytes(), "hourlog", seconds * SECOND).expect("they are counts")
    }

    fn report(statuses: Vec<StatusReply>, stats: Vec<InstanceStats>) -> ServiceReport {
        ServiceReport { statuses: Ok(statuses), stats: Ok(stats), streams: Vec::new() }
    }

    fn refused() -> Error {
        Error::new(ErrorKind::NotAllowed, "the server does not allow Publish to \"$SRV.STATS.hourlog\"")
    }

    #[test]
    fn rates_are_the_difference_of_two_answers() {
        let mut instances = Instances::default();
        instances.add(report(vec![status("A", 101, Some(3))], vec![stats("A", 100, 100, 2)]), at(10));
        let shown = instances.selected().expect("it has answered");
        assert_eq!((shown.rate(), shown.errors(), shown.mean_nanos()), (None, Some(2), Some(1_980)));
        assert_eq!((shown.lag(), shown.trouble()), (Some(3), None));
        instances.add(report(vec![status("A", 120, Some(0))], vec![stats("A", 102, 110, 2)]), at(12));
        let shown = instances.selected().expect("it has answered");
        assert_eq!((shown.rate(), shown.meter("append").and_then(Meter::rate)), (Some(5.0), Some(5.0)));
        assert_eq!(shown.meter("replay").and_then(Meter::rate), Some(0.0));
        instances.pause();
        assert_eq!(instances.selected().and_then(Instance::rate), None);
    }

    #[test]
    fn a_restarted_instance_is_another_one_and_the_old_one_is_unwell() {
        let mut instances = Instances::default();
        instances.add(report(vec![status("A", 0, Some(0))], vec![stats("A", 100, 100, 0)]), at(10));
        instances.add(report(vec![status("B", 0, Some(0))], vec![stats("B", 102, 4, 0)]), at(12));
        let rows: Vec<_> = instances.all().map(|row| (row.id.as_str(), row.trouble(), row.rate())).collect();
        assert_eq!(rows, [("A", Some(Trouble::Silent), None), ("B", None, None)]);
        // It is forgotten after ten minutes.
        instances.add(report(vec![status("B", 0, Some(0))], vec![stats("B", 104, 4, 0)]), at(700));
        assert_eq!(instances.all().len(), 1);
    }

    #[test]
    fn without_the_counts_of_endpoints_the_status_has_those_of_requests() {
        let mut instances = Instances::default();
        for (seconds, requests) in [(0, 10), (2, 16)] {
            let now = at(3_600 + seconds);
            let statuses = Ok(vec![StatusReply { now, ..status("A", requests, None) }]);
            instances.add(ServiceReport { statuses, stats: Err(refused()), streams: Vec::new() }, now);
        }
        let shown = instances.selected().expect("it has answered");
        assert_eq!((shown.rate(), shown.errors(), shown.mean_nanos()), (Some(3.0), Some(1), None));
        assert_eq!((shown.lag(), instances.lag.since()), (None, None), "an unknown lag is not zero");
        assert!(shown.endpoints.is_none() && instances.unread[0].contains("$SRV.STATS.hourlog"));
    }

    #[test]
    fn a_stream_that_may_not_be_asked_for_is_known_by_the_status() {
        let mut instances = Instances::default();
        let stream = StreamReport { bytes: 700, bytes_max: None, messages: 12, oldest: Some(at(1)) };
        for (streams, bytes) in [(Err(refused()), Some(500)), (Ok(stream), Some(700))] {
            let report = ServiceReport {
                streams: vec![("HOURLOG".to_owned(), streams)],
                ..report(vec![status("A", 0, Some(0))], Vec::new())
            };
            instances.add(report, at(10));
            let (name, facts) = instances.streams().next().expect("there is a stream");
            assert_eq!((name, facts.bytes, facts.waiting_seconds), ("HOURLOG", bytes, Some(1.5)));
        }
        assert!(instances.unread.is_empty());
    }
}
