//! The checks of an event: everything that can be wrong with it is found before anything of its line is sent.

use async_nats::HeaderMap;
use bytes::Bytes;
use hourlog::{Error, ErrorKind, LogId, Metadata, Offset, Record, header, remote};
use sha2::{Digest, Sha256};

use crate::again::{without_own_replays, without_rejected_names};

use super::draft::Draft;

/// An event that can be published.
#[derive(Debug)]
pub(super) struct ImportedEvent {
    pub(super) log: LogId,
    pub(super) offset: Offset,
    /// Headers to publish: the metadata, with reserved names replaced.
    pub(super) headers: HeaderMap,
    pub(super) metadata: Metadata,
    pub(super) data: Bytes,
    /// The line has a position, so an export wrote it.
    pub(super) exported: bool,
}

/// The limits of an event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Current time. Events too far ahead of it are refused.
    pub(super) now: Offset,
    /// Limit of data and metadata together, in bytes.
    pub(super) event_bytes_max: usize,
}

/// Checks an event. `log`, if given, replaces the log that the line names.
///
/// # Errors
/// [`ErrorKind::Invalid`] and [`ErrorKind::TooLarge`], with what to correct.
pub(super) fn checked(draft: Draft, log: Option<&LogId>, limits: Limits) -> Result<ImportedEvent, Error> {
    let Draft { log: named, offset, mut metadata, data, exported } = draft;
    let log = match (log, named) {
        (Some(log), _) => log.clone(),
        (None, Some(log)) => log.parse()?,
        (None, None) => return Err(Error::invalid("the line names no log; add \"log\", or give --log or --log-field")),
    };
    if log.is_system() {
        return Err(Error::invalid(format!("log {log} belongs to the system; give --log ID to write to another log")));
    }
    without_own_replays(&mut metadata, &log);
    // The service stores it under this name, whatever its letters.
    for source in metadata.remove_any_case(header::SOURCE) {
        metadata.push(header::SOURCE, source);
    }
    let mut published = Record::default();
    if metadata.get(header::REJECTED).is_empty() {
        let message_id = take_message_id(&mut metadata)?;
        check_names(&metadata)?;
        published.metadata = metadata.clone();
        if let Some(id) = message_id {
            // Under its own name, the stream could drop the event as a duplicate.
            published.metadata.push(header::STORED_MSG_ID, &id);
            metadata.push(header::MSG_ID, id);
        }
    } else {
        published.metadata = without_rejected_names(&metadata);
    }
    let headers = remote::header_map(&published)?;
    published.at(offset).take_offset(limits.now).map_err(|error| Error::invalid(error.to_string()))?;
    let bytes = data.len() + metadata.bytes();
    if bytes > limits.event_bytes_max {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!("the event has {bytes} bytes, but messages of this server hold {}", limits.event_bytes_max),
        ));
    }
    Ok(ImportedEvent { log, offset, headers, metadata, data, exported })
}

impl ImportedEvent {
    /// Returns a hash that only equal events share.
    pub(super) fn hash(&self) -> u128 {
        let mut hash = Sha256::new();
        // The length before each part keeps ("ab", "c") and ("a", "bc") apart.
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(self.log.as_str().as_bytes());
        part(&self.offset.nanos().to_le_bytes());
        part(&self.data);
        for (name, values) in self.metadata.iter() {
            part(name.as_bytes());
            part(&(values.len() as u64).to_le_bytes());
            values.iter().for_each(|value| part(value.as_bytes()));
        }
        let digest = hash.finalize();
        u128::from_le_bytes(std::array::from_fn(|at| digest[at]))
    }
}

/// Takes the message id off the metadata, in letters of any case.
fn take_message_id(metadata: &mut Metadata) -> Result<Option<String>, Error> {
    let mut ids = metadata.remove_any_case(header::MSG_ID);
    ids.dedup();
    match ids.len() {
        0 | 1 => Ok(ids.pop()),
        _ => Err(Error::invalid(format!("metadata name {} has different values; keep one", header::MSG_ID))),
    }
}

/// Refuses metadata under names that mean something to NATS or to the service.
fn check_names(metadata: &Metadata) -> Result<(), Error> {
    let own = [header::TIME, header::ONCE, header::RECEIPT, header::STORED_MSG_ID];
    // The subject of an event from a mapped stream is kept.
    let is_nats = |name: &str| header::is_nats(name) && !name.eq_ignore_ascii_case(header::SUBJECT);
    let is_reserved = |name: &str| is_nats(name) || own.iter().any(|own| name.eq_ignore_ascii_case(own));
    match metadata.iter().find(|(name, _)| is_reserved(name)) {
        Some((name, _)) => Err(Error::invalid(format!("metadata name {name} is reserved by the server; rename it"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::import::{
        native::{self, NativeLine},
        time::TimeRules,
    };

    const LIMITS: Limits =
        Limits { now: Offset::from_nanos(1_600_000_000 * hourlog::time::SECOND), event_bytes_max: 1_000 };

    fn parsed(line: &str) -> Result<ImportedEvent, Error> {
        match native::parse(line, &TimeRules::default())? {
            NativeLine::Event(draft) => checked(draft, None, LIMITS),
            NativeLine::Trailer(_) => panic!("{line} is a trailer"),
        }
    }

    fn event(line: &str) -> ImportedEvent {
        parsed(line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    #[test]
    fn handwritten_and_exported_lines_are_parsed() {
        let exported = r#"{"log":"a","position":"-1-5","offset":"-1","seq":"5","time":"1969-12-31T23:59:59.999999999Z","arrived":"2018-02-04T21:56:42Z","metadata":{"k":["1","2"]},"data_base64":"/w=="}"#;
        let exported = event(exported);
        assert_eq!((exported.offset.nanos(), &exported.data[..], exported.exported), (-1, &b"\xff"[..], true));
        assert_eq!(exported.metadata.get("k"), ["1", "2"]);
        let with_id = event(r#"{"log":"a","time":"@1.5","metadata":{"Nats-Msg-Id":"id"}}"#);
        assert!(with_id.headers.get(header::MSG_ID).is_none());
        assert_eq!(with_id.headers.get(header::STORED_MSG_ID).map(|id| id.as_str()), Some("id"));
        let in_lowercase = event(r#"{"log":"a","time":"@1.5","metadata":{"nats-msg-id":"id"}}"#);
        assert_eq!(in_lowercase.headers, with_id.headers);
        assert_eq!(in_lowercase.hash(), with_id.hash(), "both are stored as one event");
        assert_eq!(event(r#"{"log":"dev.4c:65:a8","time":"@1"}"#).log.as_str(), "dev.4c:65:a8");
    }

    #[test]
    fn a_rejected_event_is_imported_at_its_arrival_with_the_headers_that_can_be_sent() {
        let line = r#"{"log":"a","time":"@0.000000005","metadata":{"Hourlog-Rejected":["too far ahead"],"Nats-Subject":["log.a"],
            "hourlog-time":["2200-01-01T00:00:00Z"],"HOURLOG-ONCE":["x"],"nats-rollup":["all"],"nats-msg-id":["id"],
            "two words":["1"],"kind":["paid"]},"data":"x"}"#;
        let event = event(&line.replace('\n', ""));
        let mut names: Vec<&str> = event.headers.iter().map(|(name, _)| AsRef::<str>::as_ref(name)).collect();
        names.sort_unstable();
        assert_eq!(names, ["Hourlog-Msg-Id", "Hourlog-Rejected", "Nats-Subject", "kind"]);
        assert_eq!(event.offset.nanos(), 5);
    }

    #[test]
    fn bad_lines_are_refused_with_the_reason() {
        let long = format!(r#"{{"log":"a","time":"@1","data":"{}"}}"#, "x".repeat(1_001));
        for (line, reason) in [
            ("dear diary", "not an event"),
            (r#"{"time":"@1","data":""}"#, "--log"),
            (r#"{"log":"a b","time":"@1"}"#, "log id"),
            (r#"{"log":"_rejected","time":"@1"}"#, "--log"),
            (r#"{"log":"a","data":"x"}"#, "no time"),
            (r#"{"log":"a","time":"soon"}"#, "not a time"),
            (r#"{"log":"a","offset":"1e9"}"#, "nanoseconds"),
            (r#"{"log":"a","time":"2100-01-01T00:00:00Z"}"#, "5 minutes"),
            (r#"{"log":"a","time":"@1","data":"x","data_base64":""}"#, "not both"),
            (r#"{"log":"a","time":"@1","data_base64":"?"}"#, "base64"),
            (r#"{"log":"a","time":"@1","datum":"x"}"#, "datum"),
            (r#"{"log":"a","time":"@1","metadata":{"Nats-TTL":"1s"}}"#, "Nats-TTL"),
            (r#"{"log":"a","time":"@1","metadata":{"Hourlog-Once":"1"}}"#, "Hourlog-Once"),
            (r#"{"log":"a","time":"@1","metadata":{"nats-ttl":"1s"}}"#, "nats-ttl"),
            (r#"{"log":"a","time":"@1","metadata":{"HOURLOG-TIME":"@1"}}"#, "HOURLOG-TIME"),
            (r#"{"log":"a","time":"@1","metadata":{"Hourlog-Msg-Id":"1"}}"#, "Hourlog-Msg-Id"),
            (r#"{"log":"a","time":"@1","metadata":{"Nats-Msg-Id":"1","nats-msg-id":"2"}}"#, "different values"),
            (r#"{"log":"a*b","time":"@1"}"#, "patterns"),
            (r#"{"log":"a","time":"@1","metadata":{"two words":"1"}}"#, "two words"),
            (&long, "1001 bytes"),
        ] {
            let error = parsed(line).expect_err(line).to_string();
            assert!(error.contains(reason), "{line}: {error}");
        }
    }
}
