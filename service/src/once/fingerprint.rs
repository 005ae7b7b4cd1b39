//! Fingerprints of events, to find equal ones without keeping them.

use hourlog::{Event, Metadata, header};
use sha2::{Digest, Sha256};

/// A hash of an event's offset, metadata and data. Two events with the same one are equal: nobody
/// can make two that differ, and by chance it does not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint([u8; 16]);

/// The fingerprints under which an event is counted, and those of the events that equal it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprints {
    /// The event without its source.
    unsourced: Fingerprint,
    /// The event with its source, if it has one.
    sourced: Option<Fingerprint>,
}

impl Fingerprints {
    pub(super) fn of(event: &Event) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(event.position.offset.nanos().to_le_bytes());
        for (name, values) in without_source(&event.record.metadata) {
            add(&mut hasher, name.as_bytes());
            add_values(&mut hasher, values);
        }
        add(&mut hasher, &event.record.data);
        let hash: [u8; 32] = hasher.finalize().into();
        let source = event.record.metadata.get(header::SOURCE);
        let sourced = (!source.is_empty()).then(|| {
            let mut hasher = Sha256::new();
            add(&mut hasher, &hash);
            add_values(&mut hasher, source);
            Fingerprint::half(hasher.finalize().into())
        });
        Self { unsourced: Fingerprint::half(hash), sourced }
    }

    /// Returns the fingerprints under which the event is counted.
    pub(super) fn keys(self) -> impl Iterator<Item = Fingerprint> {
        let (first, second) = match self.sourced {
            None => (self.unsourced, None),
            Some(sourced) => (sourced, Some(self.unsourced.of_any_source())),
        };
        std::iter::once(first).chain(second)
    }

    /// Returns the fingerprints of the events that equal this one; with `is_lenient`, also if only one of the
    /// two has a source.
    pub(super) fn equal(self, is_lenient: bool) -> impl Iterator<Item = Fingerprint> {
        let (first, second) = match self.sourced {
            None => (self.unsourced, self.unsourced.of_any_source()),
            Some(sourced) => (sourced, self.unsourced),
        };
        std::iter::once(first).chain(is_lenient.then_some(second))
    }
}

impl Fingerprint {
    /// Returns the fingerprint under which the events with a source are counted together, given that of the
    /// event without one.
    fn of_any_source(mut self) -> Self {
        // Another hash as little as any other number: nobody can make an event for it.
        self.0[0] = !self.0[0];
        self
    }

    fn half(hash: [u8; 32]) -> Self {
        let mut half = [0; 16];
        half.copy_from_slice(&hash[..16]);
        Self(half)
    }
}

/// Returns the metadata except the source.
pub(super) fn without_source(metadata: &Metadata) -> impl Iterator<Item = (&str, &[String])> {
    metadata.iter().filter(|(name, _)| *name != header::SOURCE)
}

/// Adds a part after its length, so that no two events write the same bytes.
fn add(hasher: &mut Sha256, bytes: &[u8]) {
    hasher.update((bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

fn add_values(hasher: &mut Sha256, values: &[String]) {
    add(hasher, &(values.len() as u64).to_le_bytes());
    values.iter().for_each(|value| add(hasher, value.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use conformance::{
        kit::{at, id},
        rows::RowSource,
    };
    use hourlog::Record;

    /// Returns the fingerprints of a record at a time.
    fn of(source: &mut RowSource, time: &str, record: Record) -> Fingerprints {
        Fingerprints::of(&source.arrival(at(time), at("2018-03-01T00:00:00Z"), record).event)
    }

    #[test]
    fn only_equal_events_have_equal_fingerprints() {
        let mut source = RowSource::new(id("a"));
        let mut of = |time: &str, record: Record| of(&mut source, time, record);
        let first = of("10:00:00", Record::new("x").with("a", "1"));
        assert_eq!(of("10:00:00", Record::new("x").with("a", "1")), first, "the seq does not count");
        for (time, record) in [
            ("10:00:01", Record::new("x").with("a", "1")),
            ("10:00:00", Record::new("y").with("a", "1")),
            ("10:00:00", Record::new("x")),
            ("10:00:00", Record::new("x").with("a", "1").with("a", "1")),
            ("10:00:00", Record::new("1x").with("a", "")),
        ] {
            assert_ne!(of(time, record).unsourced, first.unsourced);
        }
    }

    #[test]
    fn the_source_counts_unless_one_of_two_events_has_none() {
        let mut source = RowSource::new(id("a"));
        let mut of = |names: &[&str]| {
            let record = names.iter().fold(Record::new("x"), |record, name| record.with(header::SOURCE, *name));
            of(&mut source, "10:00:00", record)
        };
        let (none, a, b) = (of(&[]), of(&["a"]), of(&["b"]));
        let is_equal = |one: Fingerprints, other: Fingerprints, is_lenient| {
            one.equal(is_lenient).filter(|equal| other.keys().any(|key| key == *equal)).count() == 1
        };
        for (one, other, expected) in [
            (none, none, [true, true]),
            (a, a, [true, true]),
            (a, b, [false, false]),
            (a, none, [false, true]),
            (none, a, [false, true]),
            (a, of(&["a", "b"]), [false, false]),
        ] {
            assert_eq!([false, true].map(|is_lenient| is_equal(one, other, is_lenient)), expected);
        }
    }
}
