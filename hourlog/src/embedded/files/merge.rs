//! The newest version of each key, from several sorted sources.

use std::{cmp::Ordering, collections::BinaryHeap, io};

use super::Entry;

/// A source of entries, sorted by key.
pub(crate) trait Source {
    /// Returns the next entry; `None` at the end.
    fn next(&mut self) -> io::Result<Option<Entry>>;
}

/// Merges sources. Deleted keys are left out.
pub(crate) struct Merge<S> {
    sources: Vec<S>,
    heads: BinaryHeap<Head>,
}

/// The next entry of a source. The greatest is the least key, in its newest version.
struct Head {
    entry: Entry,
    source: usize,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        other.entry.key.cmp(&self.entry.key).then(self.entry.number.cmp(&other.entry.number))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}

impl<S: Source> Merge<S> {
    /// Begins to merge `sources`.
    pub(crate) fn new(sources: Vec<S>) -> io::Result<Self> {
        let mut merge = Self { heads: BinaryHeap::with_capacity(sources.len()), sources };
        for source in 0..merge.sources.len() {
            merge.advance(source)?;
        }
        Ok(merge)
    }

    fn advance(&mut self, source: usize) -> io::Result<()> {
        if let Some(entry) = self.sources[source].next()? {
            self.heads.push(Head { entry, source });
        }
        Ok(())
    }

    fn pop(&mut self) -> io::Result<Option<Entry>> {
        let Some(Head { entry, source }) = self.heads.pop() else { return Ok(None) };
        self.advance(source)?;
        Ok(Some(entry))
    }

    /// Returns the next key with its newest value.
    pub(crate) fn next(&mut self) -> io::Result<Option<(Vec<u8>, bytes::Bytes)>> {
        while let Some(newest) = self.pop()? {
            while self.heads.peek().is_some_and(|head| head.entry.key == newest.key) {
                self.pop()?;
            }
            if let Some(value) = newest.value {
                return Ok(Some((newest.key, value)));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Source for std::vec::IntoIter<Entry> {
        fn next(&mut self) -> io::Result<Option<Entry>> {
            Ok(Iterator::next(self))
        }
    }

    #[test]
    fn the_newest_version_of_a_key_wins_and_a_deleted_key_is_left_out() {
        let entry = |key: &str, number, value: Option<&'static str>| Entry {
            key: key.into(),
            number,
            value: value.map(|value| value.as_bytes().into()),
        };
        let sources = [
            vec![entry("a", 1, Some("old")), entry("b", 2, Some("old")), entry("c", 3, Some("kept"))],
            vec![entry("a", 5, Some("new")), entry("a", 4, None), entry("b", 6, None)],
            vec![entry("d", 9, None), entry("d", 8, Some("old"))],
        ];
        let mut merge = Merge::new(sources.map(Vec::into_iter).into()).expect("the sources never fail");
        let mut found = Vec::new();
        while let Some((key, value)) = merge.next().expect("the sources never fail") {
            found.push((String::from_utf8(key).expect("UTF-8"), value));
        }
        assert_eq!(found, [("a".to_owned(), "new".into()), ("c".to_owned(), "kept".into())]);
    }
}
