//! Decoding: a message of the stream becomes an event, as a pure function of the message and of
//! those before it.

use std::{collections::HashMap, sync::Arc};

use async_nats::HeaderMap;
use hourlog::{
    Error, ErrorKind, LogId, Metadata, Offset, Record, Result, header,
    store::{Arrival, EventRow},
    wire::{WAIT, WAL_PREFIX},
};

use super::{
    epochs::Epochs,
    headers::{one_value, values},
    message::Message,
    pub_ack::{self, PubAck},
    raw::RawMessage,
    refusals::Refusals,
};
use crate::{
    once::Once,
    receipts::ReceiptNumber,
    sources::{Source, Sources},
};

/// Number of subjects whose log is remembered, so that each is parsed once. Beyond it, all are
/// forgotten.
const SUBJECTS_MAX: usize = 65_536;

/// An event to be archived.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) row: EventRow,
    /// The condition under which the event is stored.
    pub(crate) once: Option<Once>,
    /// The message's place in a receipt.
    pub(crate) receipt: Option<ReceiptNumber>,
    /// The reason why the event goes to `_rejected` instead of its own log.
    pub(crate) rejected: Option<Rejection>,
}

/// The reason why an event is rejected.
#[derive(Debug)]
pub(crate) struct Rejection {
    pub(crate) reason: Reason,
    pub(crate) error: Error,
}

/// The kind of a reason, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The subject names no log.
    Subject,
    /// The log belongs to another source.
    Source,
    /// The headers cannot be parsed, or contradict each other.
    Headers,
    /// The time cannot be parsed, or is too far ahead.
    Time,
    /// It is an acknowledgement of JetStream.
    Ack,
    /// It would create a log beyond a limit.
    Limit,
    /// It repeats an event of its own log.
    Replay,
}

impl Reason {
    pub(crate) const ALL: [Self; 7] =
        [Self::Subject, Self::Source, Self::Headers, Self::Time, Self::Ack, Self::Limit, Self::Replay];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Source => "source",
            Self::Headers => "headers",
            Self::Time => "time",
            Self::Ack => "ack",
            Self::Limit => "limit",
            Self::Replay => "replay",
        }
    }
}

/// Decodes the messages of one source.
#[derive(Debug)]
pub(crate) struct Decoder {
    source: Arc<Source>,
    /// Set if a log can belong to another source.
    sources: Option<Arc<Sources>>,
    epochs: Arc<Epochs>,
    subjects: HashMap<String, LogId, foldhash::fast::RandomState>,
    /// The logs that subjects name, for messages that need not be decoded.
    slots: HashMap<String, Named, foldhash::fast::RandomState>,
    refusals: Refusals,
}

/// The log that a subject names, as far as is known.
#[derive(Debug, Clone, Copy)]
struct Named {
    /// Its slot; `None` for a subject that names no log.
    slot: Option<u8>,
    /// True if the log is known to exist.
    exists: bool,
}

impl Decoder {
    /// Returns a decoder of `source`'s messages in its current epochs.
    pub(crate) fn new(source: &Arc<Source>, sources: &Arc<Sources>) -> Self {
        Self {
            source: Arc::clone(source),
            sources: sources.must_claim().then(|| Arc::clone(sources)),
            epochs: source.epochs(),
            subjects: HashMap::default(),
            slots: HashMap::default(),
            refusals: Refusals::default(),
        }
    }

    pub(crate) fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    /// Returns the messages that a limit refuses.
    pub(crate) fn refusals(&mut self) -> &mut Refusals {
        &mut self.refusals
    }

    /// Returns the slot of the log that `subject` names; `None` if it names no log.
    pub(crate) fn slot(&mut self, subject: &str) -> Option<u8> {
        self.named(subject).slot
    }

    /// Returns the log of `subject`, which another instance writes, unless it is known to exist.
    pub(crate) fn unseen_elsewhere(&mut self, subject: &str) -> Option<LogId> {
        if self.named(subject).exists { None } else { self.source.mapping.log(subject).ok() }
    }

    /// Notes that the log of `subject`, which another instance writes, exists.
    pub(crate) fn exists_elsewhere(&mut self, subject: &str) {
        if let Some(named) = self.slots.get_mut(subject) {
            named.exists = true;
        }
    }

    fn named(&mut self, subject: &str) -> Named {
        if let Some(named) = self.slots.get(subject) {
            return *named;
        }
        if self.slots.len() >= SUBJECTS_MAX {
            self.slots.clear();
        }
        let slot = self.source.mapping.log(subject).ok().map(|log| log.slot());
        let named = Named { slot, exists: false };
        self.slots.insert(subject.to_owned(), named);
        named
    }

    /// Returns the log of `subject` if it was not decoded before.
    pub(crate) fn unseen(&self, subject: &str) -> Option<LogId> {
        if self.subjects.contains_key(subject) { None } else { self.source.mapping.log(subject).ok() }
    }

    /// Returns true if a message may be rejected for what came before it.
    pub(crate) fn may_refuse(&self) -> bool {
        self.sources.is_some() || !self.refusals.is_empty()
    }

    /// Returns the log of `subject` if its source is not known yet.
    pub(crate) fn unclaimed(&self, subject: &str) -> Option<LogId> {
        let sources = self.sources.as_ref().filter(|_| !self.subjects.contains_key(subject))?;
        self.source.mapping.log(subject).ok().filter(|log| sources.owner(log).is_none())
    }

    /// Decodes `message`. `max_time` is the greatest time of a message so far, including this one.
    pub(crate) fn decode(&mut self, message: Message<'_>, max_time: Offset) -> Decoded {
        let log = match self.log(message.subject, message.key.sequence) {
            Ok(log) => log,
            Err(error) => {
                let reason = if error.kind() == ErrorKind::Rejected { Reason::Source } else { Reason::Subject };
                return self.reject(reason, message, max_time, error);
            }
        };
        if let Some(reason) = self.refusals.refuse(&log, message.key.sequence) {
            let error = Error::new(ErrorKind::Rejected, reason.to_string());
            return self.reject(Reason::Limit, message, max_time, error);
        }
        if let Some(acknowledged) = self.acknowledged(&message) {
            return self.reject(Reason::Ack, message, max_time, pub_ack::error(&acknowledged));
        }
        if let Some(event) = replayed_from(message.headers, &log) {
            let context = format!("{event} is an event of this log; replay it into another one");
            return self.reject(Reason::Replay, message, max_time, Error::new(ErrorKind::Rejected, context));
        }
        let time = single_time(message.headers);
        let mut metadata = match metadata(message.headers, time.is_some()) {
            Ok(metadata) => metadata,
            Err(error) => return self.reject(Reason::Headers, message, max_time, error),
        };
        if !names_log(message.subject, &log) {
            metadata.remove_any_case(header::SUBJECT);
            metadata.push(header::SUBJECT, message.subject);
        }
        let time = match time.map(parse_time).transpose() {
            Ok(time) => time,
            Err(error) => return self.reject(Reason::Time, message, max_time, error),
        };
        let mut record = Record { time, metadata, data: message.payload.clone().into() };
        let offset = match record.take_offset(message.key.time) {
            Ok(offset) => offset,
            Err(error) => return self.reject(Reason::Time, message, max_time, error),
        };
        let once = match once(message.headers) {
            Ok(once) => once,
            Err(error) => return self.reject(Reason::Headers, message, max_time, error),
        };
        // An event that is stored in any case needs no receipt, and is not searched for one.
        let receipt = match once.map_or(Ok(None), |_| receipt(message.headers)) {
            Ok(receipt) => receipt,
            Err(error) => return self.reject(Reason::Headers, message, max_time, error),
        };
        let seq = self.epochs.seq(log.slot(), message.key.sequence);
        let arrived = Arrival { offset, time: message.key.time, max_time, seq };
        Decoded { row: EventRow::new(&log, arrived, record), once, receipt, rejected: None }
    }

    /// Returns the log of the message `sequence`.
    fn log(&mut self, subject: &str, sequence: u64) -> Result<LogId> {
        if let Some(log) = self.subjects.get(subject) {
            return Ok(log.clone());
        }
        let log = self.source.mapping.log(subject)?;
        let owner = self.sources.as_ref().and_then(|sources| sources.owner(&log));
        if let Some(owner) = owner.filter(|owner| !Arc::ptr_eq(owner, &self.source)) {
            let context = format!("log {log} belongs to the stream {}; map the subject to another log", owner.stream());
            return Err(Error::new(ErrorKind::Rejected, context));
        }
        let is_refused = self.refusals.refuses(&log) || self.refusals.contains(sequence);
        // A log that is not claimed or not let in yet must stay unknown, so that it is.
        if (owner.is_some() || self.sources.is_none()) && !is_refused {
            if self.subjects.len() >= SUBJECTS_MAX {
                self.subjects.clear();
            }
            self.subjects.insert(subject.to_owned(), log.clone());
        }
        Ok(log)
    }

    /// Returns the message's acknowledgement, if it is one of JetStream.
    fn acknowledged(&self, message: &Message<'_>) -> Option<PubAck> {
        let ack = PubAck::parse(message)?;
        let other =
            || self.sources.iter().flat_map(|sources| sources.iter()).any(|source| **source.stream() == *ack.stream);
        let is_real = if *ack.stream == **self.source.stream() {
            ack.is_before(message.key.sequence)
        } else {
            ack.is_error() || other()
        };
        is_real.then_some(ack)
    }

    /// Decodes a message that was fetched by its sequence. Rejects it if its headers cannot be parsed.
    pub(crate) fn decode_raw(&mut self, raw: &RawMessage, max_time: Offset) -> Decoded {
        self.decode_parsed(raw, raw.headers(), max_time)
    }

    /// Decodes a message that was fetched by its sequence, given its parsed headers.
    pub(crate) fn decode_parsed(&mut self, raw: &RawMessage, headers: Result<HeaderMap>, max_time: Offset) -> Decoded {
        match headers {
            Ok(headers) => self.decode(raw.message(Some(&headers)), max_time),
            Err(error) => self.rejected(Reason::Headers, raw.message(None), raw.metadata(), max_time, error),
        }
    }

    fn reject(&self, reason: Reason, message: Message<'_>, max_time: Offset, error: Error) -> Decoded {
        let metadata = all_headers(message.headers);
        self.rejected(reason, message, metadata, max_time, error)
    }

    /// Returns the event for `_rejected`: the message unchanged, with the reason and the subject.
    fn rejected(
        &self,
        reason: Reason,
        message: Message<'_>,
        mut metadata: Metadata,
        max_time: Offset,
        error: Error,
    ) -> Decoded {
        metadata.remove_any_case(header::REJECTED);
        metadata.remove_any_case(header::SUBJECT);
        metadata.push(header::REJECTED, error.to_string());
        metadata.push(header::SUBJECT, message.subject);
        // A receipt counts only what would be stored once. One that cannot be parsed is a reason, and stays.
        let has_once = values(message.headers, header::ONCE).next().is_some();
        let receipt = if has_once { receipt(message.headers).unwrap_or_default() } else { None };
        if receipt.is_some() {
            // Who may read rejected events could ask for the receipt, and use up its numbers.
            metadata.remove_any_case(header::RECEIPT);
        }
        let record = Record { time: None, metadata, data: message.payload.into() };
        let log = &self.source.rejected_log;
        let seq = self.epochs.seq(log.slot(), message.key.sequence);
        let arrived = Arrival { offset: message.key.time, time: message.key.time, max_time, seq };
        let error = Error::new(ErrorKind::Rejected, error.to_string());
        let rejected = Some(Rejection { reason, error });
        Decoded { row: EventRow::new(log, arrived, record), once: None, receipt, rejected }
    }
}

/// Returns true if the subject says no more than the log's id.
fn names_log(subject: &str, log: &LogId) -> bool {
    subject.strip_prefix(WAL_PREFIX).unwrap_or(subject) == log.as_str()
}

/// Returns the event of `log` that the message repeats, if it does, directly or by way of other logs.
fn replayed_from<'a>(headers: Option<&'a HeaderMap>, log: &LogId) -> Option<&'a str> {
    // An id may have an @, a position has none.
    let is_of_log = |event: &&str| event.rsplit_once('@').is_some_and(|(of, _)| of == log.as_str());
    values(headers, header::REPLAY).find(is_of_log)
}

/// Returns the value of [`header::TIME`] if there is exactly one. Several are an error of the record.
fn single_time(headers: Option<&HeaderMap>) -> Option<&str> {
    let mut values = values(headers, header::TIME);
    values.next().filter(|_| values.next().is_none())
}

fn parse_time(text: &str) -> Result<Offset> {
    text.trim().parse().map_err(|error| Error::new(ErrorKind::Rejected, format!("{}: {error}", header::TIME)))
}

/// Returns the headers as metadata, without NATS's own, and with `without_time` without the time. The message id and
/// an earlier subject stay.
fn metadata(headers: Option<&HeaderMap>, without_time: bool) -> Result<Metadata> {
    let mut metadata = Metadata::new();
    for (name, values) in headers.into_iter().flat_map(HeaderMap::iter) {
        let name: &str = name.as_ref();
        if name.eq_ignore_ascii_case(header::SUBJECT) {
            values.iter().for_each(|value| metadata.push(header::SUBJECT, value.as_str()));
            continue;
        }
        if name.eq_ignore_ascii_case(header::SOURCE) {
            values.iter().for_each(|value| metadata.push(header::SOURCE, value.as_str()));
            continue;
        }
        let is_for_service = [header::ONCE, header::RECEIPT, header::STORED_MSG_ID, WAIT]
            .iter()
            .any(|own| name.eq_ignore_ascii_case(own));
        let is_time = without_time && name.eq_ignore_ascii_case(header::TIME);
        if !is_for_service && !is_time && !header::is_nats(name) {
            values.iter().for_each(|value| metadata.push(name, value.as_str()));
        }
    }
    let id = match one_value(headers, header::STORED_MSG_ID)? {
        // An empty stored id means that the publisher gave none: the service made the message's id.
        Some(stored_id) => Some(stored_id).filter(|id| !id.is_empty()),
        None => one_value(headers, header::MSG_ID)?,
    };
    if let Some(id) = id {
        metadata.push(header::MSG_ID, id);
    }
    Ok(metadata)
}

/// Parses [`header::ONCE`].
fn once(headers: Option<&HeaderMap>) -> Result<Option<Once>> {
    one_value(headers, header::ONCE)?.map(str::parse).transpose()
}

/// Parses [`header::RECEIPT`].
fn receipt(headers: Option<&HeaderMap>) -> Result<Option<ReceiptNumber>> {
    one_value(headers, header::RECEIPT)?.map(str::parse).transpose()
}

/// Returns every header, unchanged.
fn all_headers(headers: Option<&HeaderMap>) -> Metadata {
    let mut metadata = Metadata::new();
    for (name, values) in headers.into_iter().flat_map(HeaderMap::iter) {
        values.iter().for_each(|value| metadata.push(AsRef::<str>::as_ref(name), value.as_str()));
    }
    metadata
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Settings, sources, stream::message::MessageKey};

    #[tokio::test]
    async fn a_log_stays_unknown_while_only_refused_messages_of_it_are_read() -> Result<()> {
        let sources = Arc::new(sources::load(&Settings::default(), &hourlog::Memory::new()).await?);
        let mut decoder = Decoder::new(sources.wal(), &sources);
        let (log, time) = ("a".parse::<LogId>()?, hourlog::time::system_clock());
        let is_rejected = |decoder: &mut Decoder, sequence| {
            let key = MessageKey { sequence, time };
            let message = Message { subject: "log.a", headers: None, payload: "x".into(), key };
            decoder.decode(message, time).rejected.is_some()
        };
        decoder.refusals().add(7, Arc::from("too many"));
        assert!(is_rejected(&mut decoder, 7));
        assert_eq!(decoder.unseen("log.a"), Some(log), "a limit still decides about it");
        assert!(!is_rejected(&mut decoder, 8));
        assert_eq!(decoder.unseen("log.a"), None, "it was let in");
        Ok(())
    }

    #[tokio::test]
    async fn an_event_is_not_replayed_into_its_own_log() -> Result<()> {
        let sources = Arc::new(sources::load(&Settings::default(), &hourlog::Memory::new()).await?);
        let mut decoder = Decoder::new(sources.wal(), &sources);
        let time = hourlog::time::system_clock();
        let mut rejected = |subject: &str, events: &[&str]| {
            let mut headers = HeaderMap::new();
            events.iter().for_each(|event| headers.append("hourlog-replay", *event));
            let key = MessageKey { sequence: 7, time };
            let message = Message { subject, headers: Some(&headers), payload: "x".into(), key };
            decoder.decode(message, time).rejected.map(|rejection| rejection.reason)
        };
        assert_eq!(rejected("log.a", &["b@5-7"]), None);
        assert_eq!(rejected("log.a", &["a@5-7"]), Some(Reason::Replay));
        assert_eq!(rejected("log.a", &["b@5-7", "a@5-7"]), Some(Reason::Replay), "by way of b");
        assert_eq!(rejected("log.a@x", &["a@x@5-7"]), Some(Reason::Replay));
        assert_eq!(rejected("log.a", &["a@x@5-7"]), None);
        Ok(())
    }
}
