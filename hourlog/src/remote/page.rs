//! A page as it arrives, and as its reader gets it.

use std::ops::Range;

use bytes::Bytes;

use crate::{
    Cursor, Data, Error, ErrorKind, Event, LogId, Offset, Position, Reason, Result,
    encoded::{Malformed, decode_message, next_message},
    read::End,
    wire::{AheadReply, MergedPosition, Moved, proto},
};

/// One page of a log.
///
/// ```no_run
/// use hourlog::{Remote, read::End, wire::ReplayRequest};
///
/// # async fn example(remote: Remote) -> hourlog::Result<()> {
/// let mut request = ReplayRequest { limit: Some(100), ..ReplayRequest::default() };
/// loop {
///     let page = remote.replay(&"orders.eu".parse()?, &request).await?;
///     page.events.iter().for_each(|event| println!("{}", event.position));
///     if page.end != End::More {
///         break;
///     }
///     request.after = page.next;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemotePage {
    /// The events, in the order of the request. Their data shares the bytes of the page.
    pub events: Vec<Event>,
    /// The cursor to send as `after` for the next page; absent if nothing was read and none was given.
    pub next: Option<Cursor>,
    /// The reason why the page ended.
    pub end: End,
    /// The position of its first event.
    pub resolved: Option<Position>,
    /// The number of events that were read to build the page.
    pub scanned: u64,
    /// Set if the request begins before events that retention or a purge has removed: the time before which
    /// they lay.
    pub expired: Option<Offset>,
    /// Set if the request's cursor is ahead of what its log will get: where it was moved.
    pub moved: Option<Moved>,
    /// In a reverse page without `to`: the events that lie ahead of now, before which the page begins.
    pub ahead: Option<AheadReply>,
    /// Set if the request has `seek`: how the first event relates to the requested time.
    pub reason: Option<Reason>,
}

/// A page whose events are not decoded yet. Its cursor is known, so the next page can be requested first.
#[derive(Debug)]
pub(super) struct EncodedPage {
    fields: Data,
    /// The messages of the events in `fields`.
    events: Vec<Range<u32>>,
    /// All of the page but its events.
    rest: RemotePage,
}

impl EncodedPage {
    /// Reads a page, and leaves its events as they are.
    pub(super) fn read(reply: Bytes) -> Result<Self> {
        let (fields, events, page) = parts(reply)?;
        let rest = RemotePage {
            events: Vec::new(),
            end: page.end().into(),
            next: page.next.as_deref().map(str::parse).transpose().map_err(text)?,
            resolved: page.resolved.as_deref().map(str::parse).transpose().map_err(text)?,
            scanned: page.scanned,
            expired: page.expired.map(Offset::from_nanos),
            moved: page.moved.map(Moved::try_from).transpose().map_err(text)?,
            ahead: page.ahead.map(AheadReply::from),
            reason: page.reason.as_deref().map(str::parse).transpose().map_err(text)?,
        };
        Ok(Self { fields, events, rest })
    }

    /// Returns the cursor for the next page.
    pub(super) fn next(&self) -> Option<Cursor> {
        self.rest.next
    }

    /// Returns the reason why the page ended.
    pub(super) fn end(&self) -> End {
        self.rest.end
    }

    /// Returns the number of events.
    pub(super) fn events(&self) -> usize {
        self.events.len()
    }

    /// Returns the page with its events, in `log`.
    pub(super) fn decode(self, log: &LogId) -> Result<RemotePage> {
        let Self { fields, events, rest } = self;
        let event = |place: Range<u32>| decode_message(log, &fields, place.start as usize..place.end as usize);
        let events = events.into_iter().map(event).collect::<Result<_, _>>().map_err(unexpected)?;
        Ok(RemotePage { events, ..rest })
    }
}

/// Finds the events of a page, and reads the rest of it.
fn parts(reply: Bytes) -> Result<(Data, Vec<Range<u32>>, proto::Page)> {
    let fields = Data::from(reply);
    let (mut events, mut others, mut at) = (Vec::new(), Vec::new(), 0);
    while let Some(message) = next_message(&fields, at, &mut others).map_err(unexpected)? {
        at = message.end;
        events.push(place(message)?);
    }
    Ok((fields, events, proto::decode(others.into())?))
}

/// The error of a reply with a text that is not what it should be.
fn text(error: Error) -> Error {
    Error::new(ErrorKind::Unexpected, error.to_string())
}

/// One page of several logs, in one timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedPage {
    /// The events, in the order of the request. Their data shares the bytes of the page.
    pub events: Vec<Event>,
    /// The place to send as `after` for the next page; absent if nothing was read and none was given.
    pub next: Option<MergedPosition>,
    /// The reason why the page ended.
    pub end: End,
    /// The number of logs that were merged.
    pub logs: u64,
    /// The number of events that were read to build the page.
    pub scanned: u64,
}

impl MergedPage {
    /// Reads a page with its events.
    pub(super) fn read(reply: Bytes) -> Result<Self> {
        let (fields, events, page) = parts(reply)?;
        let logs: Vec<LogId> = page.logs.iter().map(|log| log.parse()).collect::<Result<_>>().map_err(text)?;
        if events.len() != page.log_of.len() {
            return Err(unexpected(Malformed));
        }
        let of_log = |(place, log): (Range<u32>, &u32)| {
            let log = logs.get(*log as usize).ok_or(Malformed)?;
            decode_message(log, &fields, place.start as usize..place.end as usize)
        };
        let events = events.into_iter().zip(&page.log_of).map(of_log);
        Ok(Self {
            events: events.collect::<Result<_, _>>().map_err(unexpected)?,
            end: page.end().into(),
            next: page.next.as_deref().map(str::parse).transpose().map_err(text)?,
            logs: page.merged.unwrap_or(0),
            scanned: page.scanned,
        })
    }
}

fn place(message: Range<usize>) -> Result<Range<u32>> {
    let small = |at| u32::try_from(at).map_err(|_| unexpected(Malformed));
    Ok(small(message.start)?..small(message.end)?)
}

fn unexpected(Malformed: Malformed) -> Error {
    Error::new(
        ErrorKind::Unexpected,
        "the reply is not a page of events; compare hourlog --version and hourlogd --version",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Record, Seq, encoded::encode};

    fn a_log() -> LogId {
        "orders.eu".parse().expect("a valid id")
    }

    fn events() -> Vec<Event> {
        let event = |number: i64| {
            let position = Position { offset: Offset::from_nanos(number - 1), seq: Seq::new(1, 42) };
            let record = Record::new(vec![0xff; number as usize * 100]).with("kind", "paid").with("kind", "twice");
            Event { log: a_log(), position, arrived: (number == 1).then_some(Offset::from_nanos(7)), record }
        };
        (0..3).map(event).collect()
    }

    fn rest() -> proto::Page {
        let (next, end, scanned) = (Some("5-42".to_owned()), proto::End::CaughtUp.into(), 9);
        proto::Page { next, end, scanned, reason: Some("next".to_owned()), ..proto::Page::default() }
    }

    fn check(bytes: Vec<u8>) {
        let page = EncodedPage::read(bytes.into()).expect("a page");
        assert_eq!(page.events(), 3);
        let page = page.decode(&a_log()).expect("its events");
        assert_eq!(page.events, events());
        assert_eq!((page.next, page.end, page.scanned), (Some("5-42".parse().expect("a cursor")), End::CaughtUp, 9));
        assert_eq!(page.reason, Some(Reason::Next));
    }

    #[test]
    fn the_fields_of_a_page_are_read_in_any_order_and_unknown_ones_are_passed_over() {
        let mut fields = Vec::new();
        events().iter().for_each(|event| encode(event, &mut fields));
        check([fields.clone(), proto::encode(&rest())].concat());
        check([proto::encode(&rest()), fields.clone()].concat());
        // Field 100: a varint, eight bytes, four bytes, and a text.
        let unknown = b"\xa0\x06\x96\x01\xa1\x0612345678\xa5\x061234\xa2\x06\x03abc".to_vec();
        let mut first = Vec::new();
        encode(&events()[0], &mut first);
        let others = fields.split_off(first.len());
        check([unknown.clone(), first, unknown.clone(), proto::encode(&rest()), unknown, others].concat());
    }

    #[test]
    fn bytes_that_are_not_a_page_are_an_error_and_never_a_panic() {
        let mut fields = proto::encode(&rest());
        let whole = fields.len();
        encode(&events()[1], &mut fields);
        for length in whole + 1..fields.len() {
            assert!(EncodedPage::read(fields[..length].to_vec().into()).is_err(), "{length}");
        }
        for at in 0..fields.len() {
            let mut damaged = fields.clone();
            damaged[at] ^= 0x55;
            // It may still be a page, of other events.
            let _ = EncodedPage::read(damaged.into()).and_then(|page| page.decode(&a_log()));
        }
    }

    #[test]
    fn the_data_of_events_shares_the_bytes_of_the_page() {
        let mut fields = Vec::new();
        events().iter().for_each(|event| encode(event, &mut fields));
        let bytes = Bytes::from(fields);
        let page = EncodedPage::read(bytes.clone()).and_then(|page| page.decode(&a_log())).expect("a page");
        let data = page.events[2].record.data.as_ptr();
        assert!(bytes.as_ptr_range().contains(&data));
    }
}
