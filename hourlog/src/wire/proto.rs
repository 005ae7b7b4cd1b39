//! Pages as protobuf, by `schema/hourlog.proto`.

#[allow(unreachable_pub, missing_docs, missing_debug_implementations, clippy::all)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/hourlog.v1.rs"));
}

use bytes::Bytes;
use prost::Message;

use crate::{Error, ErrorKind, LogId, Offset, Position, Record, Result, Seq};

use super::AheadReply;

pub use generated::{Ahead, End, Event, Metadata, Moved, Page};

/// Encodes a page. The order of its fields has no meaning, so its events may be sent before.
pub fn encode(page: &Page) -> Vec<u8> {
    page.encode_to_vec()
}

/// Decodes a page.
///
/// # Errors
/// [`ErrorKind::Unexpected`] if `bytes` are not a page.
pub fn decode(bytes: Bytes) -> Result<Page> {
    Page::decode(bytes)
        .map_err(|error| Error::new(ErrorKind::Unexpected, "the reply is not a page of events").because(error))
}

impl Event {
    /// The event, in `log`.
    pub fn of_log(self, log: &LogId) -> crate::Event {
        let pairs = self
            .metadata
            .into_iter()
            .flat_map(|Metadata { name, values }| values.into_iter().map(move |value| (name.clone(), value)));
        crate::Event {
            log: log.clone(),
            position: Position { offset: Offset::from_nanos(self.offset), seq: Seq::from_number(self.seq) },
            arrived: self.arrived.map(Offset::from_nanos),
            record: Record { time: None, metadata: pairs.collect(), data: self.data.into() },
        }
    }
}

impl From<super::Moved> for Moved {
    fn from(moved: super::Moved) -> Self {
        let super::Moved { requested, resolved, reason } = moved;
        Self { requested: requested.to_string(), resolved: resolved.to_string(), reason }
    }
}

impl TryFrom<Moved> for super::Moved {
    type Error = Error;

    fn try_from(moved: Moved) -> Result<Self> {
        let Moved { requested, resolved, reason } = moved;
        Ok(Self { requested: requested.parse()?, resolved: resolved.parse()?, reason })
    }
}

impl From<AheadReply> for Ahead {
    fn from(ahead: AheadReply) -> Self {
        let AheadReply { events, first, last, at_least } = ahead;
        Self { events, first: first.nanos(), last: last.nanos(), at_least }
    }
}

impl From<Ahead> for AheadReply {
    fn from(ahead: Ahead) -> Self {
        let Ahead { events, first, last, at_least } = ahead;
        Self { events, first: Offset::from_nanos(first), last: Offset::from_nanos(last), at_least }
    }
}

impl From<crate::read::End> for End {
    fn from(end: crate::read::End) -> Self {
        match end {
            crate::read::End::More => Self::More,
            crate::read::End::Bound => Self::Bound,
            crate::read::End::CaughtUp => Self::CaughtUp,
            crate::read::End::Deadline => Self::Deadline,
            crate::read::End::Expired => Self::Expired,
        }
    }
}

impl From<End> for crate::read::End {
    fn from(end: End) -> Self {
        match end {
            End::More => Self::More,
            End::Bound => Self::Bound,
            End::CaughtUp => Self::CaughtUp,
            End::Deadline => Self::Deadline,
            End::Expired => Self::Expired,
        }
    }
}
