//! The page of a replay: made of what the archive holds, and encoded for the requester.

mod form;

use bytes::Bytes;
use hourlog::{
    ArrivalCursor, Cursor, Error, ErrorKind, LogId, Offset, Position, Reason, Result,
    read::End,
    store::EncodedEvent,
    wire::{
        AheadReply, COMPRESSED_PAGE_BYTES_MAX, Compression, Compressor, Moved, PROTOBUF,
        json::{JsonEvent, JsonPage},
        proto,
    },
};

use crate::{
    counters::Traffic,
    reading::{Read, ReadPage},
};

use super::{
    Reply,
    yielding::{YieldingWriter, Yields},
};
pub(super) use form::Form;
use form::Format;

/// Start of a page as JSON.
const JSON_EVENTS: &str = "{\"events\":[";
/// Memory beside the events that a page is expected to take.
const REST_BYTES: usize = 256;
/// Fewest bytes of a page that is compressed: a smaller one is sent as quickly as it is.
const COMPRESSED_BYTES_MIN: usize = 4 << 10;
/// Bytes of a page that are compressed to find out if that pays: a tenth of a page of the usual size.
const SAMPLE_BYTES: usize = 48 << 10;

/// A page of either order, with its events as they are stored and sent.
#[derive(Debug)]
pub(super) struct AnyPage {
    pub(super) events: Vec<EncodedEvent>,
    pub(super) next: Option<Cursor>,
    pub(super) end: End,
    pub(super) scanned: u64,
    /// The time before which events were removed, if the request begins before it.
    pub(super) expired: Option<Offset>,
    /// Where the request's cursor was moved, if it was.
    pub(super) moved: Option<Moved>,
    /// The events ahead of now, before which a reverse page begins.
    pub(super) ahead: Option<AheadReply>,
    /// How the first event relates to the requested time, if that was asked for.
    pub(super) reason: Option<Reason>,
}

impl AnyPage {
    /// The page that was read after the cursor `after`.
    pub(super) fn new(ReadPage { read, expired }: ReadPage, after: Option<Cursor>) -> Self {
        let (events, next, end, scanned) = match read {
            Read::Timeline(page) => {
                let next = page.events.last().map(|event| Cursor::Timeline(event.position())).or(after);
                (page.events, next, page.end, page.scanned)
            }
            Read::Arrival(page) => (page.events, Some(Cursor::Arrival(page.next)), page.end, page.scanned),
        };
        Self { events, next, end, scanned, expired, moved: None, ahead: None, reason: None }
    }

    /// Returns the bytes of the events' data and metadata.
    pub(super) fn bytes(&self) -> usize {
        self.events.iter().map(EncodedEvent::record_bytes).sum()
    }

    /// Encodes the page, cut to what fits into `bytes_max`.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] when not even the first event fits.
    pub(super) fn encode(self, log: &LogId, form: Form, bytes_max: usize, replayed: &Traffic) -> Result<Reply> {
        let mut encoding = Encoding { format: form.format, log, json: Vec::new() };
        let compressed = match form.compression {
            Some(compression) => self.compress(&mut encoding, compression, bytes_max)?,
            None => None,
        };
        let (body, count, failed, compression) = match compressed {
            Some((compressor, count)) => (Body::Compressed(Box::new(compressor)), count, 0, form.compression),
            None => {
                let (plain, count, failed) = self.copy(&mut encoding, bytes_max)?;
                (Body::Plain(plain), count, failed, None)
            }
        };
        let page = self.cut_to(count, failed, form.format)?;
        replayed.add(page.events.len(), page.bytes());
        let rest = page.rest(form.format)?;
        let body = match body {
            Body::Compressed(compressor) => compressor.finish_with(&rest),
            Body::Plain(mut body) => {
                body.extend_from_slice(&rest);
                body
            }
        };
        let content_type = form.format.content_type();
        Ok(Reply { body: Bytes::from(body), content_type, compression, turn: None })
    }

    /// Encodes as many events as fit. Returns their number, and the bytes of the first one that does not fit.
    fn copy(&self, encoding: &mut Encoding<'_>, bytes_max: usize) -> Result<(Vec<u8>, usize, usize)> {
        let mut body = YieldingWriter::default();
        if encoding.format == Format::Protobuf {
            let bytes: usize = self.events.iter().map(|event| event.as_field().len()).sum();
            body.bytes.reserve_exact(bytes.min(bytes_max) + REST_BYTES);
        }
        body.put(encoding.start());
        for (count, event) in self.events.iter().enumerate() {
            let part = encoding.part(count, event)?;
            if body.bytes.len() + part.len() > bytes_max {
                return Ok((body.bytes, count, part.len()));
            }
            body.put(part);
        }
        Ok((body.bytes, self.events.len(), 0))
    }

    /// Compresses as many events as fit, and returns their number. `None` if that does not pay.
    fn compress(
        &self,
        encoding: &mut Encoding<'_>,
        compression: Compression,
        bytes_max: usize,
    ) -> Result<Option<(Compressor, usize)>> {
        if self.events.iter().map(|event| event.as_field().len()).sum::<usize>() < COMPRESSED_BYTES_MIN {
            return Ok(None);
        }
        let mut compressor = Compressor::new(compression, bytes_max);
        let mut yields = Yields::default();
        let (mut bytes, mut is_sampled) = (0, false);
        if !compressor.add(encoding.start()) {
            return Ok(None);
        }
        for (count, event) in self.events.iter().enumerate() {
            let part = encoding.part(count, event)?;
            bytes += part.len();
            // A requester reads no more than this, unless it is one event.
            let fits = match count {
                0 => compressor.add(part) || compressor.squeeze(part),
                _ => bytes <= COMPRESSED_PAGE_BYTES_MAX && compressor.add(part),
            };
            if !fits {
                return Ok((count > 0).then_some((compressor, count)));
            }
            yields.wrote(part.len());
            if !is_sampled && bytes >= SAMPLE_BYTES {
                if !compressor.pays() {
                    return Ok(None);
                }
                is_sampled = true;
            }
        }
        Ok((is_sampled || compressor.pays()).then_some((compressor, self.events.len())))
    }

    /// Encodes all of the page that follows its events.
    fn rest(self, format: Format) -> Result<Vec<u8>> {
        let resolved = self.resolved();
        let Self { next, end, scanned, expired, moved, ahead, reason, .. } = self;
        let reason = reason.map(|reason| reason.as_str().to_owned());
        match format {
            Format::Protobuf => {
                let page = proto::Page {
                    events: Vec::new(),
                    next: next.map(|next| next.to_string()),
                    end: proto::End::from(end) as i32,
                    resolved: resolved.map(|resolved| resolved.to_string()),
                    scanned,
                    expired: expired.map(Offset::nanos),
                    ahead: ahead.map(proto::Ahead::from),
                    moved: moved.map(proto::Moved::from),
                    reason,
                };
                Ok(proto::encode(&page))
            }
            Format::Json => {
                let (events, end) = (Vec::new(), end.into());
                let rest = JsonPage { events, next, end, resolved, reason, expired, moved, ahead, scanned };
                let rest = serde_json::to_string(&rest).map_err(failed_to_encode)?;
                Ok(rest.strip_prefix(JSON_EVENTS).expect("the events are the first field").into())
            }
        }
    }

    /// Returns the position of the first event.
    pub(super) fn resolved(&self) -> Option<Position> {
        self.events.first().map(EncodedEvent::position)
    }

    /// Cuts the page to its first `count` events, which fit. The next one takes `bytes`.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] when not even the first event fits.
    fn cut_to(mut self, count: usize, bytes: usize, format: Format) -> Result<Self> {
        if count == self.events.len() {
            return Ok(self);
        }
        let Some(last) = count.checked_sub(1).map(|last| &self.events[last]) else {
            let position = self.events[0].position();
            let format = format.name();
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "event {position} takes {bytes} bytes as {format}, above the limit of a reply; request it with the \
                     header Accept: {PROTOBUF} and limit 1"
                ),
            ));
        };
        self.next = Some(cursor_after(last, self.next));
        self.end = End::More;
        self.events.truncate(count);
        Ok(self)
    }
}

enum Body {
    Plain(Vec<u8>),
    Compressed(Box<Compressor>),
}

/// Encodes the events of a page, one by one.
struct Encoding<'a> {
    format: Format,
    log: &'a LogId,
    /// The current event as JSON. Its memory is used again.
    json: Vec<u8>,
}

impl Encoding<'_> {
    /// Returns the bytes before the first event.
    fn start(&self) -> &'static [u8] {
        match self.format {
            Format::Protobuf => &[],
            Format::Json => JSON_EVENTS.as_bytes(),
        }
    }

    /// Returns `event` as the part of a page that follows `count` others.
    fn part<'b>(&'b mut self, count: usize, event: &'b EncodedEvent) -> Result<&'b [u8]> {
        if self.format == Format::Protobuf {
            return Ok(event.as_field());
        }
        self.json.clear();
        if count > 0 {
            self.json.push(b',');
        }
        serde_json::to_writer(&mut self.json, &JsonEvent::from(&event.decode(self.log))).map_err(failed_to_encode)?;
        Ok(&self.json)
    }
}

fn failed_to_encode(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Unexpected, "failed to encode the reply").because(error)
}

/// Returns the cursor after `last`, of the same kind as `next`.
fn cursor_after(last: &EncodedEvent, next: Option<Cursor>) -> Cursor {
    let Position { offset, seq } = last.position();
    match next {
        // The time of an arrival cursor may be too early, but not after the bucket's later
        // arrivals.
        Some(Cursor::Arrival(_)) => {
            let time = last.arrived().unwrap_or(offset).min(offset);
            Cursor::Arrival(ArrivalCursor { time, seq })
        }
        _ => Cursor::Timeline(last.position()),
    }
}

#[cfg(test)]
mod tests {
    use hourlog::{Event, Record, Seq};
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn a_log() -> LogId {
        "orders.eu".parse().expect("a valid id")
    }

    fn page(events: &[Event]) -> AnyPage {
        AnyPage {
            events: events.iter().map(EncodedEvent::from).collect(),
            next: events.last().map(|event| Cursor::Timeline(event.position)),
            end: End::CaughtUp,
            scanned: events.len() as u64,
            expired: None,
            moved: None,
            ahead: None,
            reason: None,
        }
    }

    fn events(records: Vec<Record>) -> Vec<Event> {
        let event = |(number, record)| {
            let position = Position { offset: Offset::from_nanos(number), seq: Seq::new(1, 7) };
            Event { log: a_log(), position, arrived: (number % 3 == 0).then_some(Offset::from_nanos(9)), record }
        };
        (0..).zip(records).map(event).collect()
    }

    /// Decodes a reply, as its requester does.
    fn decoded(reply: &Reply) -> (Vec<Event>, Option<Cursor>, End) {
        let body = match reply.compression {
            Some(compression) => {
                compression.decompress(&reply.body, COMPRESSED_PAGE_BYTES_MAX).expect("its own bytes").into()
            }
            None => reply.body.clone(),
        };
        if reply.content_type == PROTOBUF {
            let page = proto::decode(body).expect("a page");
            let (next, end) = (page.next.as_deref().map(|next| next.parse().expect("a cursor")), page.end().into());
            return (page.events.into_iter().map(|event| event.of_log(&a_log())).collect(), next, end);
        }
        let page: JsonPage = serde_json::from_slice(&body).expect("a page");
        let end = if page.events.is_empty() || page.end == End::More.into() { End::More } else { End::CaughtUp };
        (page.events.into_iter().map(|event| event.try_into().expect("an event")).collect(), page.next, end)
    }

    fn forms() -> impl Iterator<Item = Form> {
        let compressions = [None, Some(Compression::Zstd), Some(Compression::Lz4)];
        [Format::Json, Format::Protobuf]
            .into_iter()
            .flat_map(move |format| compressions.map(|compression| Form { format, compression }))
    }

    fn record() -> impl Strategy<Value = Record> {
        let data =
            prop_oneof![vec(any::<u8>(), 0..600), "[a-c\"\\\\]{0,3}".prop_map(|text| text.repeat(300).into_bytes())];
        let names = vec(("[a-c]", "[a-z]{0,9}"), 0..4);
        (data, names).prop_map(|(data, names)| {
            names.into_iter().fold(Record::new(data), |record, (name, value)| record.with(name, value))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn pages_in_every_form_fit_their_limit_and_lose_nothing(
            records in vec(record(), 1..60), bytes_max in 2_000_usize..20_000
        ) {
            let events = events(records);
            for form in forms() {
                let (mut rest, mut replied) = (&events[..], Vec::new());
                while !rest.is_empty() {
                    let traffic = Traffic::default();
                    let reply = page(rest).encode(&a_log(), form, bytes_max, &traffic).expect("each event fits");
                    prop_assert!(reply.body.len() <= bytes_max + REST_BYTES, "{form:?}: {}", reply.body.len());
                    let (found, next, end) = decoded(&reply);
                    prop_assert!(!found.is_empty());
                    prop_assert_eq!(next, found.last().map(|event| Cursor::Timeline(event.position)));
                    rest = &rest[found.len()..];
                    prop_assert_eq!(end, if rest.is_empty() { End::CaughtUp } else { End::More });
                    if form.format == Format::Protobuf && reply.compression.is_none() && let Some(cut) = rest.first() {
                        let size = |event: &Event| EncodedEvent::from(event).as_field().len();
                        let bytes: usize = found.iter().map(size).sum();
                        prop_assert!(bytes + size(cut) > bytes_max, "the page could hold one more event");
                    }
                    replied.extend(found);
                }
                prop_assert_eq!(&replied, &events);
            }
        }
    }

    #[test]
    fn a_page_is_compressed_only_if_that_pays() {
        let noise: Vec<u8> = (0_u32..300).flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        for (data, count, compressed) in
            [(vec![b'x'; 900], 2, false), (vec![b'x'; 900], 100, true), (noise.clone(), 1, false), (noise, 100, true)]
        {
            for compression in [Compression::Zstd, Compression::Lz4] {
                let form = Form { format: Format::Protobuf, compression: Some(compression) };
                let events = events(vec![Record::new(data.clone()); count]);
                let reply = page(&events).encode(&a_log(), form, 1 << 20, &Traffic::default()).expect("it fits");
                assert_eq!(reply.compression, compressed.then_some(compression), "{count} of {}", data.len());
                assert_eq!(decoded(&reply).0, events);
            }
        }
    }

    #[test]
    fn one_event_may_be_larger_than_a_reply_if_compression_makes_it_fit() {
        let events = events(vec![Record::new("x".repeat(50_000)), Record::new("y")]);
        for form in forms() {
            let reply = page(&events).encode(&a_log(), form, 5_000, &Traffic::default());
            match (form.compression, reply) {
                (Some(_), Ok(reply)) => assert_eq!(decoded(&reply).0, events, "{form:?}"),
                (None, Err(error)) => assert_eq!(error.kind(), ErrorKind::TooLarge),
                (_, outcome) => panic!("{form:?}: {outcome:?}"),
            }
        }
    }
}
