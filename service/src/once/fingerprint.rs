//! Fingerprints of events, to find equal ones without keeping them.

use hourlog::Event;
use sha2::{Digest, Sha256};

/// A hash of an event's offset, metadata and data. Two events with the same one are equal: nobody
/// can make two that differ, and by chance it does not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint([u8; 16]);

impl Fingerprint {
    pub(super) fn of(event: &Event) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(event.position.offset.nanos().to_le_bytes());
        // Each part follows its length, so that no two events write the same bytes.
        let mut add = |bytes: &[u8]| {
            hasher.update((bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        for (name, values) in event.record.metadata.iter() {
            add(name.as_bytes());
            add(&(values.len() as u64).to_le_bytes());
            values.iter().for_each(|value| add(value.as_bytes()));
        }
        add(&event.record.data);
        let mut half = [0; 16];
        half.copy_from_slice(&hasher.finalize()[..16]);
        Self(half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conformance::{
        kit::{at, id},
        rows::RowSource,
    };
    use hourlog::Record;

    #[test]
    fn only_equal_events_have_equal_fingerprints() {
        let mut source = RowSource::new(id("a"));
        let mut of = |time: &str, record: Record| {
            Fingerprint::of(&source.arrival(at(time), at("2018-03-01T00:00:00Z"), record).event)
        };
        let first = of("10:00:00", Record::new("x").with("a", "1"));
        assert_eq!(of("10:00:00", Record::new("x").with("a", "1")), first, "the seq does not count");
        for (time, record) in [
            ("10:00:01", Record::new("x").with("a", "1")),
            ("10:00:00", Record::new("y").with("a", "1")),
            ("10:00:00", Record::new("x")),
            ("10:00:00", Record::new("x").with("a", "1").with("a", "1")),
            ("10:00:00", Record::new("1x").with("a", "")),
        ] {
            assert_ne!(of(time, record), first);
        }
    }
}
