//! The page of a replay: made of what the archive holds, and encoded for the requester.

mod body;
mod form;

use bytes::Bytes;
use hourlog::{
    ArrivalCursor, Cursor, Error, ErrorKind, LogId, Offset, Position, Reason, Result,
    read::End,
    store::{EncodedEvent, Run},
    wire::{AheadReply, Moved, PROTOBUF, json::JsonPage, proto},
};

use crate::{
    counters::Traffic,
    reading::{Read, ReadPage},
};

use super::Reply;
pub(super) use body::{Body, JSON_EVENTS, Logs, failed_to_encode};
pub(super) use form::{Form, Format};

/// A page of either order, with its events as they are stored and sent.
#[derive(Debug)]
pub(super) struct AnyPage {
    pub(super) runs: Vec<Run>,
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
        let (runs, next, end, scanned) = match read {
            Read::Timeline(page) => {
                let next = page.events.last().map(|run| Cursor::Timeline(run.last())).or(after);
                (page.events, next, page.end, page.scanned)
            }
            Read::Arrival(page) => {
                let runs = page.events.into_iter().map(Run::from).collect();
                (runs, Some(Cursor::Arrival(page.next)), page.end, page.scanned)
            }
        };
        Self { runs, next, end, scanned, expired, moved: None, ahead: None, reason: None }
    }

    /// Returns the number of events.
    pub(super) fn count(&self) -> usize {
        self.runs.iter().map(Run::count).sum()
    }

    /// Returns the bytes of the events' data and metadata.
    pub(super) fn bytes(&self) -> usize {
        self.runs.iter().map(Run::record_bytes).sum()
    }

    /// Encodes the page, cut to what fits into `bytes_max`. Returns also the cursor after which there may be more.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] when not even the first event fits.
    pub(super) fn encode(
        self,
        log: &LogId,
        form: Form,
        bytes_max: usize,
        replayed: &Traffic,
    ) -> Result<(Reply, Option<Cursor>)> {
        let (body, compression) = Body::of(&self.runs, Logs::One(log), form, bytes_max)?;
        let page = self.cut_to(body.count(), body.left_out(), form)?;
        replayed.add(page.count(), page.bytes());
        let rest = page.next.filter(|_| !page.end.is_last());
        let body = Bytes::from(body.finish_with(&page.rest(form.format)?));
        let content_type = form.format.content_type();
        Ok((Reply { body, content_type, compression, is_followed: false, turn: None }, rest))
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
                    ..proto::Page::default()
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
        self.runs.first().map(Run::first)
    }

    /// Cuts the page to its first `count` events, which fit. The next one takes `bytes`.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] when not even the first event fits.
    fn cut_to(mut self, count: usize, bytes: usize, form: Form) -> Result<Self> {
        if count == self.count() {
            return Ok(self);
        }
        let first = self.resolved();
        let runs = first_events(std::mem::take(&mut self.runs), count)?;
        let Some(last) = runs.last() else {
            return Err(too_large(first.unwrap_or(Position::MIN), bytes, form));
        };
        self.next = Some(cursor_after(last, self.next));
        self.end = End::More;
        self.runs = runs;
        Ok(self)
    }
}

/// The error of a page whose first event does not fit into a reply.
pub(super) fn too_large(position: Position, bytes: usize, form: Form) -> Error {
    let format = form.format.name();
    Error::new(
        ErrorKind::TooLarge,
        format!(
            "event {position} takes {bytes} bytes as {format}, above the limit of a reply; request it with the header \
             Accept: {PROTOBUF} and limit 1"
        ),
    )
}

/// Returns the first `count` events.
fn first_events(runs: Vec<Run>, mut count: usize) -> Result<Vec<Run>> {
    let mut first = Vec::new();
    for run in runs {
        if count < run.count() {
            first.extend(run.into_events()?.into_iter().take(count).map(Run::from));
            break;
        }
        count -= run.count();
        first.push(run);
    }
    Ok(first)
}

/// Returns the cursor after `last`, of the same kind as `next`.
pub(super) fn cursor_after(last: &Run, next: Option<Cursor>) -> Cursor {
    let Position { offset, seq } = last.last();
    match next {
        // The time of an arrival cursor may be too early, but not after the bucket's later
        // arrivals.
        Some(Cursor::Arrival(_)) => {
            let arrived = last.as_event().and_then(EncodedEvent::arrived);
            Cursor::Arrival(ArrivalCursor { time: arrived.unwrap_or(offset).min(offset), seq })
        }
        _ => Cursor::Timeline(last.last()),
    }
}

#[cfg(test)]
mod tests {
    use hourlog::{
        Event, Record, Seq,
        wire::{COMPRESSED_PAGE_BYTES_MAX, Compression},
    };
    use proptest::{collection::vec, prelude::*};

    use super::{body::REST_BYTES, *};

    fn a_log() -> LogId {
        "orders.eu".parse().expect("a valid id")
    }

    fn page(events: &[Event]) -> AnyPage {
        AnyPage {
            runs: events.iter().map(|event| EncodedEvent::from(event).into()).collect(),
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
                    let (reply, more) = page(rest).encode(&a_log(), form, bytes_max, &traffic).expect("each event fits");
                    prop_assert!(reply.body.len() <= bytes_max + REST_BYTES, "{form:?}: {}", reply.body.len());
                    let (found, next, end) = decoded(&reply);
                    prop_assert!(!found.is_empty());
                    prop_assert_eq!(next, found.last().map(|event| Cursor::Timeline(event.position)));
                    rest = &rest[found.len()..];
                    prop_assert_eq!(end, if rest.is_empty() { End::CaughtUp } else { End::More });
                    prop_assert_eq!(more, next.filter(|_| !rest.is_empty()));
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
                let (reply, _) = page(&events).encode(&a_log(), form, 1 << 20, &Traffic::default()).expect("it fits");
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
                (Some(_), Ok((reply, _))) => assert_eq!(decoded(&reply).0, events, "{form:?}"),
                (None, Err(error)) => assert_eq!(error.kind(), ErrorKind::TooLarge),
                (_, outcome) => panic!("{form:?}: {outcome:?}"),
            }
        }
    }
}
