//! Records: the metadata and data that a caller writes.

use std::{collections::BTreeMap, fmt, ops::Deref};

use crate::{Error, ErrorKind, Offset, Result};

/// Metadata names with a meaning to the log, recognised in letters of any case.
///
/// Those of a request are removed before the record is stored.
pub mod header {
    /// Returns true if `name` belongs to NATS: it begins with `Nats-`, in letters of any case.
    ///
    /// ```
    /// use hourlog::header::is_nats;
    /// assert!(is_nats("Nats-Msg-Id") && is_nats("nats-msg-id"));
    /// assert!(!is_nats("Nats") && !is_nats("Kind"));
    /// ```
    pub fn is_nats(name: &str) -> bool {
        name.get(..NATS_PREFIX.len()).is_some_and(|prefix| prefix.eq_ignore_ascii_case(NATS_PREFIX))
    }

    const NATS_PREFIX: &str = "Nats-";

    /// The event's own time: RFC 3339, or `@` and seconds. Without it the arrival time counts.
    pub const TIME: &str = "Hourlog-Time";
    /// A number n: store the event only if its log holds fewer than n + 1 equal ones.
    ///
    /// With it, importing a file twice adds nothing. With `lenient` after the number, an event without
    /// [`SOURCE`] equals one with any.
    pub const ONCE: &str = "Hourlog-Once";
    /// The source of an imported event, such as the name of its file. Stored as metadata: equal events of two
    /// sources are two events.
    pub const SOURCE: &str = "Hourlog-Source";
    /// The receipt that counts a message with [`ONCE`]: its token, and the number of the message among those of
    /// the receipt.
    pub const RECEIPT: &str = "Hourlog-Receipt";
    /// The message id to store as [`MSG_ID`]; empty for none.
    ///
    /// The message itself carries another id, by which the stream finds duplicates.
    pub const STORED_MSG_ID: &str = "Hourlog-Msg-Id";
    /// The event that a message repeats, as `<log>@<position>`. Into that log it is rejected, so that no replay feeds itself.
    pub const REPLAY: &str = "Hourlog-Replay";
    /// The reason for the rejection, on an event of `_rejected`.
    pub const REJECTED: &str = "Hourlog-Rejected";
    /// The subject of the message, on an event of `_rejected` and where a part of the subject names the log.
    pub const SUBJECT: &str = "Nats-Subject";
    /// The publisher's message id. Beside [`SUBJECT`], it is the only `Nats-` header that is stored.
    pub const MSG_ID: &str = "Nats-Msg-Id";
}

/// One thing that is written to a log: metadata and data.
///
/// ```
/// use hourlog::Record;
/// let record = Record::new(r#"{"id":7}"#).with("kind", "paid").at("2018-02-04T10:00:00Z".parse()?);
/// assert_eq!(record.metadata.get("kind"), ["paid"]);
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// The event's own time; `None` stands for the time of arrival.
    ///
    /// Always `None` in an event that was read, whose time is in its position.
    pub time: Option<Offset>,
    /// Names with one or more values each.
    pub metadata: Metadata,
    /// The payload, byte for byte.
    pub data: Data,
}

impl Record {
    /// The most nanoseconds by which an event's own time may be ahead of its arrival: five minutes.
    ///
    /// Clocks that are a little off stay within it. More is a mistake of the publisher.
    pub const AHEAD_NANOS_MAX: i64 = 5 * crate::time::MINUTE;

    /// A record of `data` without metadata, stored at its arrival time.
    pub fn new(data: impl Into<Data>) -> Self {
        Self { time: None, metadata: Metadata::new(), data: data.into() }
    }

    /// The same record, stored at `offset` instead of at its arrival time.
    pub fn at(mut self, offset: Offset) -> Self {
        self.time = Some(offset);
        self
    }

    /// The same record with one more value of `name`.
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.push(name, value);
        self
    }

    /// The size in bytes of data, names and values.
    pub fn bytes(&self) -> usize {
        self.data.len() + self.metadata.bytes()
    }

    /// Takes the event's own time off the record and returns the offset of an arrival at `arrived`.
    ///
    /// The header [`header::TIME`] among the metadata means the same as [`Record::time`], in letters
    /// of any case.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`] if the time cannot be read, is given more than once or is more than
    /// [`Record::AHEAD_NANOS_MAX`] ahead of the arrival. The record stays as it is then.
    pub fn take_offset(&mut self, arrived: Offset) -> Result<Offset> {
        let rejected = |why: String| Error::new(ErrorKind::Rejected, why);
        let values: Vec<&str> = self.metadata.get_any_case(header::TIME).collect();
        let offset = match (self.time, values.as_slice()) {
            (None, []) => return Ok(arrived),
            (Some(time), []) => time,
            (None, [value]) => value.parse().map_err(|error: Error| rejected(format!("{}: {error}", header::TIME)))?,
            (time, values) => {
                let count = values.len() + usize::from(time.is_some());
                return Err(rejected(format!("{} is given {count} times; give it once", header::TIME)));
            }
        };
        if offset.nanos().saturating_sub(arrived.nanos()) > Self::AHEAD_NANOS_MAX {
            return Err(rejected(format!(
                "{} {offset} is more than 5 minutes ahead of the arrival at {arrived}",
                header::TIME
            )));
        }
        self.time = None;
        self.metadata.remove_any_case(header::TIME);
        Ok(offset)
    }
}

/// Names with one or more values each: the headers of a NATS message.
///
/// Names are sorted; the values of one name keep their order. Blanks around a value are removed,
/// because NATS clients trim them.
///
/// ```
/// use hourlog::Metadata;
/// let metadata: Metadata = [("kind", "paid"), ("kind", "twice")].into_iter().collect();
/// assert_eq!(metadata.get("kind"), ["paid", "twice"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata(BTreeMap<String, Vec<String>>);

impl Metadata {
    /// Metadata without names.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Appends a value of `name`.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let mut value = value.into();
        let trimmed = value.trim();
        if trimmed.len() != value.len() {
            value = trimmed.to_owned();
        }
        self.0.entry(name.into()).or_default().push(value);
    }

    /// Appends trimmed values of `name`; nothing if there are none.
    pub(crate) fn append(&mut self, name: &str, values: Vec<String>) {
        if values.is_empty() {
            return;
        }
        match self.0.get_mut(name) {
            Some(earlier) => earlier.extend(values),
            None => {
                self.0.insert(name.to_owned(), values);
            }
        }
    }

    /// The values of `name`, in order; empty if the name is missing.
    pub fn get(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// Removes `name` and returns its values.
    pub fn remove(&mut self, name: &str) -> Option<Vec<String>> {
        self.0.remove(name)
    }

    /// The values of `name` in letters of any case: of `Kind`, `kind` and `KIND`.
    ///
    /// ```
    /// use hourlog::Metadata;
    /// let metadata: Metadata = [("Kind", "paid"), ("kind", "twice")].into_iter().collect();
    /// assert!(metadata.get_any_case("KIND").eq(["paid", "twice"]));
    /// ```
    pub fn get_any_case<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let matching = self.0.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        matching.flat_map(|(_, values)| values.iter().map(String::as_str))
    }

    /// Removes `name` in letters of any case and returns all its values.
    ///
    /// ```
    /// use hourlog::Metadata;
    /// let mut metadata: Metadata = [("Kind", "paid"), ("kind", "twice")].into_iter().collect();
    /// assert_eq!(metadata.remove_any_case("KIND"), ["paid", "twice"]);
    /// assert!(metadata.is_empty());
    /// ```
    pub fn remove_any_case(&mut self, name: &str) -> Vec<String> {
        let mut removed = Vec::new();
        self.0.retain(|other, values| {
            let matches = other.eq_ignore_ascii_case(name);
            if matches {
                removed.append(values);
            }
            !matches
        });
        removed
    }

    /// Returns true if there is no name.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of names.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The names with their values, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &[String])> {
        self.0.iter().map(|(name, values)| (name.as_str(), values.as_slice()))
    }

    /// The size of names and values in bytes.
    pub fn bytes(&self) -> usize {
        let values = |values: &[String]| values.iter().map(String::len).sum::<usize>();
        self.iter().map(|(name, of_name)| name.len() + values(of_name)).sum()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut metadata = Self::new();
        for (name, value) in pairs {
            metadata.push(name, value);
        }
        metadata
    }
}

/// The payload of a record: bytes that are cheap to clone.
///
/// With the feature `bytes` it wraps a [`bytes::Bytes`] and converts from and into one without copying.
///
/// ```
/// use hourlog::Data;
/// let data = Data::from("payload");
/// assert_eq!(&*data, b"payload");
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Data(Shared);

#[cfg(feature = "bytes")]
type Shared = bytes::Bytes;
#[cfg(not(feature = "bytes"))]
type Shared = std::sync::Arc<[u8]>;

impl Data {
    /// Returns a part of the bytes. With the feature `bytes` it shares them.
    pub(crate) fn slice(&self, range: std::ops::Range<usize>) -> Self {
        #[cfg(feature = "bytes")]
        return Self(self.0.slice(range));
        #[cfg(not(feature = "bytes"))]
        Self::from(&self.0[range])
    }
}

#[cfg(feature = "bytes")]
impl Data {
    /// The bytes, shared.
    pub fn into_bytes(self) -> bytes::Bytes {
        self.0
    }
}

#[cfg(feature = "bytes")]
impl From<bytes::Bytes> for Data {
    fn from(bytes: bytes::Bytes) -> Self {
        Self(bytes)
    }
}

impl Deref for Data {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Data {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Shared::from(bytes))
    }
}

impl From<String> for Data {
    fn from(text: String) -> Self {
        Self::from(text.into_bytes())
    }
}

impl From<&str> for Data {
    fn from(text: &str) -> Self {
        Self::from(text.as_bytes().to_vec())
    }
}

impl From<&[u8]> for Data {
    fn from(bytes: &[u8]) -> Self {
        Self::from(bytes.to_vec())
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_events_own_time_becomes_its_offset_and_leaves_the_metadata() {
        let arrived = Offset::from_nanos(10 * crate::time::HOUR);
        let own = Offset::from_nanos(crate::time::HOUR);
        let mut record = Record::new("x").at(own).with("kind", "paid");
        assert_eq!(record.take_offset(arrived).expect("a good time"), own);
        assert_eq!(record, Record::new("x").with("kind", "paid"));
        assert_eq!(record.take_offset(arrived).expect("no time"), arrived);
    }

    #[test]
    fn a_time_more_than_five_minutes_ahead_is_rejected_and_one_exactly_so_is_not() {
        let arrived = Offset::from_nanos(0);
        let ahead =
            |nanos| Record::new("x").at(Offset::from_nanos(Record::AHEAD_NANOS_MAX + nanos)).take_offset(arrived);
        assert!(ahead(0).is_ok());
        assert_eq!(ahead(1).expect_err("too far").kind(), ErrorKind::Rejected);
        let mut unreadable = Record::new("x").with(header::TIME, "soon");
        assert!(unreadable.take_offset(arrived).is_err());
        assert_eq!(unreadable.metadata.get(header::TIME), ["soon"]);
    }

    #[test]
    fn the_header_means_the_same_as_the_field_and_only_one_may_be_given() {
        let arrived = Offset::from_nanos(10 * crate::time::HOUR);
        let mut header = Record::new("x").with(header::TIME, "@5");
        assert_eq!(header.take_offset(arrived).expect("a good time"), Offset::from_nanos(5 * crate::time::SECOND));
        assert_eq!(header, Record::new("x"));
        let mut both = Record::new("x").at(arrived).with(header::TIME, "@5");
        assert_eq!(both.take_offset(arrived).expect_err("two times").kind(), ErrorKind::Rejected);
    }

    #[test]
    fn the_header_is_recognised_in_any_case_and_two_spellings_are_two_times() {
        let (arrived, own) = (Offset::from_nanos(10 * crate::time::HOUR), Offset::from_nanos(5 * crate::time::SECOND));
        for name in ["hourlog-time", "HOURLOG-TIME", "Hourlog-time"] {
            let mut record = Record::new("x").with(name, "@5");
            assert_eq!(record.take_offset(arrived).expect("a good time"), own, "{name}");
            assert_eq!(record, Record::new("x"), "{name}");
        }
        let mut two = Record::new("x").with(header::TIME, "@5").with("hourlog-time", "@6");
        assert_eq!(two.take_offset(arrived).expect_err("two times").kind(), ErrorKind::Rejected);
    }

    #[test]
    fn values_keep_their_order_and_lose_their_blanks() {
        let metadata: Metadata = [("kind", " paid"), ("kind", "twice\t"), ("kind", "paid")].into_iter().collect();
        assert_eq!(metadata.get("kind"), ["paid", "twice", "paid"]);
    }
}
