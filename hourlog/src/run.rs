//! Runs: the pieces that a page is made of, so that what is stored together is sent together.

#[cfg(feature = "embedded")]
use crate::pack::{self, Pack};
use crate::{
    Error, ErrorKind, Position, Result, Seq,
    encoded::{EncodedEvent, Malformed},
};

/// Events that follow each other in a log: one, or as many as the archive stores as one value. Cheap to clone.
///
/// ```
/// use hourlog::{Event, Position, Record, Seq, store::{EncodedEvent, Run}};
/// let position = Position { offset: "2018-02-04T10:00:00Z".parse()?, seq: Seq::new(1, 42) };
/// let event = Event { log: "orders.eu".parse()?, position, arrived: None, record: Record::new("paid") };
///
/// let run = Run::from(EncodedEvent::from(&event));
/// assert_eq!((run.count(), run.first(), run.last(), run.record_bytes()), (1, position, position, 4));
/// assert_eq!(run.into_events()?[0].decode(&event.log), event);
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run(Content);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    Event(EncodedEvent),
    #[cfg(feature = "embedded")]
    Pack(Pack),
}

/// The bytes of a run, as fields `events` of a page.
///
/// See [`Run::fields`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fields<'a> {
    /// As they are.
    Plain(&'a [u8]),
    /// As one block of LZ4.
    Lz4 {
        /// The block.
        block: &'a [u8],
        /// The bytes that it holds.
        length: usize,
    },
}

impl Run {
    /// The number of events; at least one.
    pub fn count(&self) -> usize {
        match &self.0 {
            Content::Event(_) => 1,
            #[cfg(feature = "embedded")]
            Content::Pack(pack) => pack.count(),
        }
    }

    /// The position of the first event.
    pub fn first(&self) -> Position {
        match &self.0 {
            Content::Event(event) => event.position(),
            #[cfg(feature = "embedded")]
            Content::Pack(pack) => pack.first(),
        }
    }

    /// The position of the last event.
    pub fn last(&self) -> Position {
        match &self.0 {
            Content::Event(event) => event.position(),
            #[cfg(feature = "embedded")]
            Content::Pack(pack) => pack.last(),
        }
    }

    /// The greatest seq of the events.
    pub fn newest(&self) -> Seq {
        match &self.0 {
            Content::Event(event) => event.position().seq,
            #[cfg(feature = "embedded")]
            Content::Pack(pack) => pack.newest(),
        }
    }

    /// The bytes of the records: data, names and values.
    pub fn record_bytes(&self) -> usize {
        match &self.0 {
            Content::Event(event) => event.record_bytes(),
            #[cfg(feature = "embedded")]
            Content::Pack(pack) => pack.record_bytes(),
        }
    }

    /// The event, if the run is not stored as a whole.
    pub fn as_event(&self) -> Option<&EncodedEvent> {
        match &self.0 {
            Content::Event(event) => Some(event),
            #[cfg(feature = "embedded")]
            Content::Pack(_) => None,
        }
    }

    /// The events as fields of a page, with tags and lengths.
    pub fn fields(&self) -> Fields<'_> {
        match &self.0 {
            Content::Event(event) => Fields::Plain(event.as_field()),
            #[cfg(feature = "embedded")]
            Content::Pack(pack) if pack.is_compressed() => Fields::Lz4 { block: pack.body(), length: pack.length() },
            #[cfg(feature = "embedded")]
            Content::Pack(pack) => Fields::Plain(pack.body()),
        }
    }

    /// The events, one by one.
    ///
    /// # Errors
    /// [`ErrorKind::Integrity`](crate::ErrorKind::Integrity) if the stored bytes are damaged.
    pub fn into_events(self) -> Result<Vec<EncodedEvent>> {
        match self.0 {
            Content::Event(event) => Ok(vec![event]),
            #[cfg(feature = "embedded")]
            Content::Pack(pack) => pack.into_events().map_err(damaged),
        }
    }
}

impl Fields<'_> {
    /// The bytes of the fields.
    pub fn length(self) -> usize {
        match self {
            Self::Plain(fields) => fields.len(),
            Self::Lz4 { length, .. } => length,
        }
    }

    /// Appends the fields to a page.
    ///
    /// # Errors
    /// [`ErrorKind::Integrity`](crate::ErrorKind::Integrity) if the stored bytes are damaged.
    pub fn append_to(self, page: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Plain(fields) => page.extend_from_slice(fields),
            Self::Lz4 { block, length } => decompress(block, length, page).map_err(damaged)?,
        }
        Ok(())
    }
}

#[cfg(feature = "embedded")]
use pack::decompress;

/// No archive of this build compresses.
#[cfg(not(feature = "embedded"))]
fn decompress(_: &[u8], _: usize, _: &mut Vec<u8>) -> std::result::Result<(), Malformed> {
    Err(Malformed)
}

fn damaged(_: Malformed) -> Error {
    Error::new(
        ErrorKind::Integrity,
        "stored events are damaged; stop the service, and run `hourlogd check` and `hourlogd repair`",
    )
}

impl From<EncodedEvent> for Run {
    fn from(event: EncodedEvent) -> Self {
        Self(Content::Event(event))
    }
}

#[cfg(feature = "embedded")]
impl From<Pack> for Run {
    fn from(pack: Pack) -> Self {
        Self(Content::Pack(pack))
    }
}
