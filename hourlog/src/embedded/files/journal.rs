//! Journals: batches one after another, each with a checksum, read around what is damaged.

use std::ops::Range;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::{Compression, Cut, TOMBSTONES, VALUE};

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
/// The bytes that end a batch. The next one begins after them.
const MAGIC: &[u8] = b"FJL\x03";
/// The bytes after the items of a batch: the tag, the checksum, and [`MAGIC`].
const END_BYTES: usize = 1 + 8 + MAGIC.len();
/// The fewest bytes of an item, to refuse a count that cannot be true.
const ITEM_BYTES_MIN: usize = 9;

/// A batch whose checksum is right.
#[derive(Debug)]
pub(crate) struct Batch {
    /// fjall's number of the batch. Rises from batch to batch.
    pub(crate) number: u64,
    pub(crate) items: Vec<Item>,
}

/// One write of a batch.
#[derive(Debug)]
pub(crate) struct Item {
    /// fjall's number of the table.
    pub(crate) table: u64,
    pub(crate) key: Bytes,
    /// `None` if the write deletes the key.
    pub(crate) value: Option<Bytes>,
}

/// The state of a journal that has been read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Read {
    /// The places of what cannot be read, with batches after them.
    pub(crate) gaps: Vec<Range<usize>>,
    /// The places of batches whose number does not rise. It has no checksum; their data has.
    pub(crate) renumbered: Vec<Range<usize>>,
    /// The unreadable bytes at the end: a write that was under way, or damage. Empty if there is nothing.
    pub(crate) tail: Range<usize>,
    /// The end of the last batch that can be read.
    pub(crate) end: usize,
}

/// The place of a batch whose checksum is right.
struct Found {
    place: Range<usize>,
    number: u64,
    /// The number of gaps before it.
    gaps: usize,
}

/// Reads every batch of a journal that can be read. `each` also gets the number of gaps before the batch.
pub(crate) fn read(journal: &Bytes, mut each: impl FnMut(Batch, usize)) -> Read {
    let content = journal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let mut read = Read::default();
    let mut all = Vec::new();
    while read.end < content {
        let at = read.end;
        let Some(found) = next(journal, at, content) else {
            read.tail = at..content;
            break;
        };
        if found.place.start > at {
            read.gaps.push(at..found.place.start);
        }
        read.end = found.place.end;
        all.push(Found { gaps: read.gaps.len(), ..found });
    }
    let rises = rising(&all.iter().map(|found| found.number).collect::<Vec<_>>());
    let mut last_number = 0;
    for (found, rises) in all.into_iter().zip(rises) {
        // The order in the journal is right, so a batch with a changed number follows the one before.
        if rises {
            last_number = found.number;
        } else {
            read.renumbered.push(found.place.clone());
        }
        if let Some(items) = items(journal, found.place.start) {
            each(Batch { number: last_number, items }, found.gaps);
        }
    }
    read
}

/// Returns for each number whether it is one of the most that rise from first to last: the others have changed.
fn rising(numbers: &[u64]) -> Vec<bool> {
    // The place of the least last number of a rising sequence, by its length.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(numbers.len());
    for (at, number) in numbers.iter().enumerate() {
        let length = ends.partition_point(|end| numbers[*end] < *number);
        before.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        if length == ends.len() { ends.push(at) } else { ends[length] = at }
    }
    let mut rises = vec![false; numbers.len()];
    let mut next = ends.last().copied();
    while let Some(at) = next {
        rises[at] = true;
        next = before[at];
    }
    rises
}

/// Returns the next batch that begins at or after `from`.
fn next(journal: &[u8], from: usize, content: usize) -> Option<Found> {
    let mut at = from;
    loop {
        let found = |start| check(journal, start).map(|(number, end)| Found { place: start..end, number, gaps: 0 });
        // If only the end of a batch is damaged, the next one begins where that should be.
        if let Some(found) = found(at).or_else(|| expected_end(journal, at).and_then(found)) {
            return Some(found);
        }
        let rest = journal.get(at..content)?;
        at += rest.windows(MAGIC.len()).position(|window| window == MAGIC)? + MAGIC.len();
    }
}

/// Returns the number and the end of the batch that begins at `at`; `None` if there is none, or a damaged one.
fn check(journal: &[u8], at: usize) -> Option<(u64, usize)> {
    let (count, number, mut cut) = header(journal, at)?;
    if count > cut.0.len() / ITEM_BYTES_MIN {
        return None;
    }
    let items = cut.0;
    for _ in 0..count {
        raw_item(&mut cut)?;
    }
    let items = &items[..items.len() - cut.0.len()];
    if cut.byte()? != END || cut.u64()? != xxh3_64(items) || cut.take(MAGIC.len())? != MAGIC {
        return None;
    }
    Some((number, journal.len() - cut.0.len()))
}

/// Returns the end of the batch at `at` as far as its items tell.
fn expected_end(journal: &[u8], at: usize) -> Option<usize> {
    let (count, _, mut cut) = header(journal, at)?;
    for _ in 0..count {
        raw_item(&mut cut)?;
    }
    cut.take(END_BYTES)?;
    Some(journal.len() - cut.0.len())
}

/// Returns the number of items of the batch at `at`, its own number, and the bytes after both.
fn header(journal: &[u8], at: usize) -> Option<(usize, u64, Cut<'_>)> {
    let mut cut = Cut(journal.get(at..)?);
    if cut.byte()? != START {
        return None;
    }
    Some((cut.u32()? as usize, cut.u64()?, cut))
}

/// Returns the items of the batch at `at`, which was checked.
fn items(journal: &Bytes, at: usize) -> Option<Vec<Item>> {
    let (count, _, mut cut) = header(journal, at)?;
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        if let Some(item) = raw_item(&mut cut)? {
            items.push(item.open(journal)?);
        }
    }
    Some(items)
}

/// Returns true if the damaged batch at `at` was written to its end: it is not one that was under way.
///
/// fjall refuses such a journal, and truncates any other.
pub(crate) fn is_finished(journal: &[u8], at: usize) -> bool {
    let finished = || {
        let (_, _, mut cut) = header(journal, at)?;
        while cut.0.first() != Some(&END) {
            raw_item(&mut cut)?;
        }
        cut.byte()?;
        cut.u64()?;
        (cut.take(MAGIC.len())? == MAGIC).then_some(())
    };
    finished().is_some()
}

/// An item whose value is not decompressed yet.
struct RawItem<'a> {
    is_value: bool,
    compression: Compression,
    table: u64,
    key: &'a [u8],
    stored: &'a [u8],
    length: usize,
}

/// Reads an item; `Some(None)` for one that clears a table, which this archive never writes.
fn raw_item<'a>(cut: &mut Cut<'a>) -> Option<Option<RawItem<'a>>> {
    match cut.byte()? {
        ITEM => {}
        CLEAR => {
            cut.u64()?;
            return Some(None);
        }
        _ => return None,
    }
    let kind = cut.byte()?;
    if kind != VALUE && !TOMBSTONES.contains(&kind) {
        return None;
    }
    let compression = Compression::of(cut.byte()?)?;
    let table = cut.u64()?;
    let key_length = cut.u16()?;
    let (length, stored_length) = (cut.u32()?, cut.u32()?);
    let key = cut.take(key_length.into())?;
    let stored = cut.take(stored_length as usize)?;
    Some(Some(RawItem { is_value: kind == VALUE, compression, table, key, stored, length: length as usize }))
}

impl RawItem<'_> {
    /// Returns the item, which shares the bytes of the journal.
    fn open(&self, journal: &Bytes) -> Option<Item> {
        let value = match self.is_value {
            true => Some(self.compression.open(journal.slice_ref(self.stored), self.length)?),
            false => None,
        };
        Some(Item { table: self.table, key: journal.slice_ref(self.key), value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a journal of three batches with one item each, and the beginnings of the batches.
    fn journal() -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut starts) = (Vec::new(), Vec::new());
        for number in 1..=3_u64 {
            starts.push(bytes.len());
            let mut item = vec![ITEM, VALUE, 0];
            item.extend(7_u64.to_le_bytes());
            item.extend(3_u16.to_le_bytes());
            item.extend(5_u32.to_le_bytes());
            item.extend(5_u32.to_le_bytes());
            item.extend(b"keyvalue");
            bytes.push(START);
            bytes.extend(1_u32.to_le_bytes());
            bytes.extend(number.to_le_bytes());
            bytes.extend(&item);
            bytes.push(END);
            bytes.extend(xxh3_64(&item).to_le_bytes());
            bytes.extend(MAGIC);
        }
        (bytes, starts)
    }

    fn numbers(bytes: Vec<u8>) -> (Vec<u64>, Read) {
        let mut numbers = Vec::new();
        let read = read(&bytes.into(), |batch, _| numbers.push(batch.number));
        (numbers, read)
    }

    #[test]
    fn a_changed_number_is_told_from_those_around_it() {
        for (numbers, changed) in [
            (vec![5, 6, 7, 8], vec![]),
            (vec![5, 1_000, 7, 8], vec![1]),
            (vec![5, 6, 1, 8], vec![2]),
            (vec![1_000, 6, 7, 8], vec![0]),
            (vec![5, 6, 7, 7], vec![2]),
            (vec![], vec![]),
        ] {
            let rises = rising(&numbers);
            let found: Vec<usize> = (0..numbers.len()).filter(|at| !rises[*at]).collect();
            assert_eq!(found, changed, "{numbers:?}");
        }
    }

    #[test]
    fn an_intact_journal_is_read_whole_with_the_zeros_after_it() {
        let (mut bytes, _) = journal();
        let end = bytes.len();
        bytes.resize(end + 1_000, 0);
        assert_eq!(numbers(bytes), (vec![1, 2, 3], Read { end, ..Read::default() }));
    }

    #[test]
    fn any_flipped_bit_costs_one_batch_and_is_told() {
        let (bytes, starts) = journal();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                let (found, read) = numbers(damaged);
                let hit = starts.iter().rposition(|start| *start <= at).expect("the first one begins at 0") as u64 + 1;
                let in_number = (5..13).contains(&(at - starts[hit as usize - 1]));
                if in_number {
                    // All data is kept. A number that still rises cannot be told from a right one.
                    assert_eq!(found.len(), 3, "byte {at}, bit {bit}");
                    assert!(read.renumbered.len() <= 1 && read.gaps.is_empty(), "byte {at}, bit {bit}: {read:?}");
                    assert!(found.is_sorted(), "byte {at}, bit {bit}: {found:?}");
                    continue;
                }
                let expected: Vec<u64> = (1..=3).filter(|number| *number != hit).collect();
                assert_eq!(found, expected, "byte {at}, bit {bit}");
                assert_eq!(read.gaps.len() + usize::from(!read.tail.is_empty()), 1, "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn a_last_batch_with_a_wrong_checksum_is_not_taken_for_an_unfinished_one() {
        let (mut bytes, starts) = journal();
        assert!(!is_finished(&bytes[..bytes.len() - 1], starts[2]));
        let last = bytes.len();
        bytes[last - 14] ^= 1;
        let (found, read) = numbers(bytes.clone());
        assert_eq!((found, read.tail.start), (vec![1, 2], starts[2]));
        assert!(is_finished(&bytes, starts[2]));
    }

    #[test]
    fn an_unfinished_batch_is_the_tail() {
        let (bytes, starts) = journal();
        for length in starts[2] + 1..bytes.len() {
            let (found, read) = numbers(bytes[..length].to_vec());
            assert_eq!((found, read.gaps), (vec![1, 2], Vec::new()), "{length} bytes");
            assert_eq!(read.tail.start, starts[2]);
        }
    }
}
