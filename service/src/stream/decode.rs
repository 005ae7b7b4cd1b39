//! Decoding: a message of the stream becomes an event, as a pure function of the message and of
//! those before it.

use std::{collections::HashMap, sync::Arc};

use async_nats::HeaderMap;
use hourlog::{
    Error, ErrorKind, LogId, Metadata, Offset, Record, Result, header,
    store::{Arrival, EventRow},
    wire::log_of_wal_subject,
};

use super::{epochs::Epochs, message::Message, raw::RawMessage};

/// Number of subjects whose log is remembered, so that each is parsed once. Beyond it, all are
/// forgotten.
const SUBJECTS_MAX: usize = 65_536;
/// Prefix of NATS's own headers.
const NATS_PREFIX: &str = "Nats-";

/// An event to be archived.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) row: EventRow,
    /// `n`: the event is stored only if the log holds fewer than n + 1 equal events.
    pub(crate) once: Option<u64>,
    /// The reason why the event goes to `_rejected` instead of its own log.
    pub(crate) rejected: Option<Error>,
}

/// Decodes the messages of one stream.
#[derive(Debug)]
pub(crate) struct Decoder {
    epochs: Arc<Epochs>,
    subjects: HashMap<String, LogId>,
    rejected_log: LogId,
}

impl Decoder {
    pub(crate) fn new(epochs: Arc<Epochs>) -> Self {
        Self { epochs, subjects: HashMap::new(), rejected_log: LogId::rejected() }
    }

    pub(crate) fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    /// Decodes `message`. `max_time` is the greatest time of a message so far, including this one.
    pub(crate) fn decode(&mut self, message: Message<'_>, max_time: Offset) -> Decoded {
        let log = match self.log(message.subject) {
            Ok(log) => log,
            Err(error) => return self.reject(message, max_time, error),
        };
        let mut record =
            Record { time: None, metadata: metadata(message.headers), data: message.payload.clone().into() };
        let offset = match record.take_offset(message.key.time) {
            Ok(offset) => offset,
            Err(error) => return self.reject(message, max_time, error),
        };
        let once = match once(message.headers) {
            Ok(once) => once,
            Err(error) => return self.reject(message, max_time, error),
        };
        let seq = self.epochs.seq(log.slot(), message.key.sequence);
        let arrived = Arrival { offset, time: message.key.time, max_time, seq };
        Decoded { row: EventRow::new(&log, arrived, record), once, rejected: None }
    }

    fn log(&mut self, subject: &str) -> Result<LogId> {
        if let Some(log) = self.subjects.get(subject) {
            return Ok(log.clone());
        }
        let log = log_of_wal_subject(subject)?;
        if self.subjects.len() >= SUBJECTS_MAX {
            self.subjects.clear();
        }
        self.subjects.insert(subject.to_owned(), log.clone());
        Ok(log)
    }

    /// Decodes a message that was fetched by itself. Rejects it if its headers cannot be parsed.
    pub(crate) fn decode_raw(&mut self, raw: &RawMessage, max_time: Offset) -> Decoded {
        match raw.headers() {
            Ok(headers) => self.decode(raw.message(Some(&headers)), max_time),
            Err(error) => self.rejected(raw.message(None), raw.metadata(), max_time, error),
        }
    }

    fn reject(&self, message: Message<'_>, max_time: Offset, error: Error) -> Decoded {
        let metadata = all_headers(message.headers);
        self.rejected(message, metadata, max_time, error)
    }

    /// Returns the event for `_rejected`: the message unchanged, with the reason and the subject.
    fn rejected(&self, message: Message<'_>, mut metadata: Metadata, max_time: Offset, error: Error) -> Decoded {
        metadata.remove(header::REJECTED);
        metadata.remove(header::SUBJECT);
        metadata.push(header::REJECTED, error.to_string());
        metadata.push(header::SUBJECT, message.subject);
        let record = Record { time: None, metadata, data: message.payload.into() };
        let seq = self.epochs.seq(self.rejected_log.slot(), message.key.sequence);
        let arrived = Arrival { offset: message.key.time, time: message.key.time, max_time, seq };
        let error = Error::new(ErrorKind::Rejected, error.to_string());
        Decoded { row: EventRow::new(&self.rejected_log, arrived, record), once: None, rejected: Some(error) }
    }
}

/// Returns the headers as metadata, without NATS's own. The message id stays.
fn metadata(headers: Option<&HeaderMap>) -> Metadata {
    let mut metadata = Metadata::new();
    let mut stored_id = None;
    for (name, values) in headers.into_iter().flat_map(HeaderMap::iter) {
        let name: &str = name.as_ref();
        match name {
            header::ONCE => {}
            header::STORED_MSG_ID => stored_id = values.last().map(|value| value.as_str().to_owned()),
            _ if name.starts_with(NATS_PREFIX) && name != header::MSG_ID => {}
            _ => values.iter().for_each(|value| metadata.push(name, value.as_str())),
        }
    }
    if let Some(id) = stored_id {
        metadata.remove(header::MSG_ID);
        // An empty stored id means that the publisher gave none: the service made the message's id.
        if !id.is_empty() {
            metadata.push(header::MSG_ID, id);
        }
    }
    metadata
}

/// Parses [`header::ONCE`].
fn once(headers: Option<&HeaderMap>) -> Result<Option<u64>> {
    let Some(value) = headers.and_then(|headers| headers.get_last(header::ONCE)) else {
        return Ok(None);
    };
    // A `u32` is more than any file has lines; a larger number would overflow where equal events
    // are counted.
    let number: Option<u32> = value.as_str().parse().ok();
    let number = number
        .ok_or_else(|| Error::invalid(format!("{} must be a whole number from 0 to 4294967295", header::ONCE)))?;
    Ok(Some(u64::from(number)))
}

/// Returns every header, unchanged.
fn all_headers(headers: Option<&HeaderMap>) -> Metadata {
    let mut metadata = Metadata::new();
    for (name, values) in headers.into_iter().flat_map(HeaderMap::iter) {
        values.iter().for_each(|value| metadata.push(AsRef::<str>::as_ref(name), value.as_str()));
    }
    metadata
}
