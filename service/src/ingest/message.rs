//! A message of the stream becomes an event: a pure function of the message and of what came before it.

use std::{collections::HashMap, sync::Arc};

use async_nats::HeaderMap;
use bytes::Bytes;
use hourlog::{
    Arrived, Error, ErrorKind, LogId, Metadata, Offset, Record, Result, Row, header, row, wire::log_of_wal_subject,
};

use crate::{epochs::Epochs, raw::Raw};

/// What is remembered of subjects, so that each is checked once. Forgotten when it is so many.
const SUBJECTS_MAX: usize = 65_536;
/// What NATS's own headers begin with.
const NATS_PREFIX: &str = "Nats-";

/// A message of the stream.
#[derive(Debug, Clone)]
pub(crate) struct Message<'a> {
    pub(crate) subject: &'a str,
    pub(crate) headers: Option<&'a HeaderMap>,
    pub(crate) payload: Bytes,
    /// Its number in the stream.
    pub(crate) sequence: u64,
    /// When the stream took it.
    pub(crate) time: Offset,
}

/// An event to be archived.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) row: Row,
    /// To be stored only if fewer than so many and one equal ones are there.
    pub(crate) once: Option<u64>,
    /// Why it goes to `_rejected` instead of its own log.
    pub(crate) rejected: Option<Error>,
}

/// Turns messages into events.
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

    /// The event of `message`; `high` is the greatest time of a message so far, this one included.
    pub(crate) fn decode(&mut self, message: Message<'_>, high: Offset) -> Decoded {
        let log = match self.log(message.subject) {
            Ok(log) => log,
            Err(error) => return self.reject(message, high, error),
        };
        let mut record = Record { metadata: metadata(message.headers), data: message.payload.clone().into() };
        let offset = match record.take_offset(message.time) {
            Ok(offset) => offset,
            Err(error) => return self.reject(message, high, error),
        };
        let once = match once(message.headers) {
            Ok(once) => once,
            Err(error) => return self.reject(message, high, error),
        };
        let arrived = Arrived { offset, at: message.time, high, seq: self.epochs.seq(log.slot(), message.sequence) };
        Decoded { row: row(&log, arrived, record), once, rejected: None }
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

    /// The event of a message that was taken raw. One whose headers nobody can read is rejected.
    pub(crate) fn decode_raw(&mut self, raw: &Raw, high: Offset) -> Decoded {
        match raw.headers() {
            Ok(headers) => self.decode(raw.message(Some(&headers)), high),
            Err(error) => self.rejected(raw.message(None), raw.metadata(), high, error),
        }
    }

    fn reject(&self, message: Message<'_>, high: Offset, error: Error) -> Decoded {
        let metadata = all_headers(message.headers);
        self.rejected(message, metadata, high, error)
    }

    /// The event as it stands in `_rejected`: as it came, with the reason and the subject.
    fn rejected(&self, message: Message<'_>, mut metadata: Metadata, high: Offset, error: Error) -> Decoded {
        metadata.remove(header::REJECTED);
        metadata.remove(header::SUBJECT);
        metadata.push(header::REJECTED, error.to_string());
        metadata.push(header::SUBJECT, message.subject);
        let record = Record { metadata, data: message.payload.into() };
        let seq = self.epochs.seq(self.rejected_log.slot(), message.sequence);
        let arrived = Arrived { offset: message.time, at: message.time, high, seq };
        let error = Error::new(ErrorKind::Rejected, error.to_string());
        Decoded { row: row(&self.rejected_log, arrived, record), once: None, rejected: Some(error) }
    }
}

/// The headers as metadata: NATS's own are left out, but for the message id.
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
        // An empty one says that the message's own id is not the publisher's.
        if !id.is_empty() {
            metadata.push(header::MSG_ID, id);
        }
    }
    metadata
}

/// What [`header::ONCE`] says.
fn once(headers: Option<&HeaderMap>) -> Result<Option<u64>> {
    let Some(value) = headers.and_then(|headers| headers.get_last(header::ONCE)) else {
        return Ok(None);
    };
    // A number that no file has lines for would only make comparing overflow.
    let number: Option<u32> = value.as_str().parse().ok();
    let number = number.ok_or_else(|| Error::invalid(format!("{} is not a count from 0", header::ONCE)))?;
    Ok(Some(u64::from(number)))
}

/// Every header, as it came.
fn all_headers(headers: Option<&HeaderMap>) -> Metadata {
    let mut metadata = Metadata::new();
    for (name, values) in headers.into_iter().flat_map(HeaderMap::iter) {
        values.iter().for_each(|value| metadata.push(AsRef::<str>::as_ref(name), value.as_str()));
    }
    metadata
}
