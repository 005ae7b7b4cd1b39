//! Keys whose byte order is the order of what they stand for.
//!
//! A log's id is followed by a zero byte, which no id contains, so that no id's keys lie among another's. Numbers are
//! big-endian with the sign bit flipped, so that those before 1970 come first.

use crate::{Error, ErrorKind, LogId, Offset, Position, Result, Seq};

/// `events`: log, bucket, position.
pub(super) fn event(log: &LogId, bucket: Offset, position: Position) -> Vec<u8> {
    of_log(log, &[bucket.nanos(), position.offset.nanos(), position.seq])
}

/// `buckets`: log, era, bucket.
pub(super) fn bucket(log: &LogId, era: Offset, start: Offset) -> Vec<u8> {
    of_log(log, &[era.nanos(), start.nanos()])
}

/// `eras`: log, era.
pub(super) fn era(log: &LogId, era: Offset) -> Vec<u8> {
    of_log(log, &[era.nanos()])
}

/// `arrivals`: log, bucket of the arrival, seq.
pub(super) fn arrival(log: &LogId, bucket: Offset, seq: Seq) -> Vec<u8> {
    of_log(log, &[bucket.nanos(), seq])
}

/// The first key behind a log's own in `logs`.
pub(super) fn behind_log(log: &LogId) -> Vec<u8> {
    of_log(log, &[])
}

/// `sources`: stream; the slot follows.
pub(super) fn source_prefix(stream: &str) -> Vec<u8> {
    let mut key = stream.as_bytes().to_vec();
    key.push(0);
    key
}

/// `sources`: stream, slot.
pub(super) fn source(stream: &str, slot: u8) -> Vec<u8> {
    let mut key = source_prefix(stream);
    key.push(slot);
    key
}

/// `epochs`: slot, epoch.
pub(super) fn epoch(slot: u8, epoch: u32) -> Vec<u8> {
    let mut key = vec![slot];
    key.extend(epoch.to_be_bytes());
    key
}

/// `cursors`: log, name.
pub(super) fn cursor(log: &LogId, name: &str) -> Vec<u8> {
    let mut key = of_log(log, &[]);
    key.extend(name.as_bytes());
    key
}

fn of_log(log: &LogId, numbers: &[i64]) -> Vec<u8> {
    let mut key = Vec::with_capacity(log.as_str().len() + 1 + numbers.len() * 8);
    key.extend(log.as_str().as_bytes());
    key.push(0);
    for number in numbers {
        key.extend(ordered(*number));
    }
    key
}

/// A number whose bytes order as it does.
pub(super) fn ordered(number: i64) -> [u8; 8] {
    ((number as u64) ^ (1 << 63)).to_be_bytes()
}

/// The log that a key of `logs` is of.
pub(super) fn log(key: &[u8]) -> Result<LogId> {
    std::str::from_utf8(key).ok().and_then(|id| id.parse().ok()).ok_or_else(unreadable)
}

/// The position at the end of a key.
pub(super) fn last_position(key: &[u8]) -> Result<Position> {
    let (rest, seq) = key.split_last_chunk::<8>().ok_or_else(unreadable)?;
    Ok(Position { offset: last_offset(rest)?, seq: number(*seq) })
}

/// The number at the end of a key.
pub(super) fn last_offset(key: &[u8]) -> Result<Offset> {
    key.last_chunk::<8>().map(|bytes| Offset::from_nanos(number(*bytes))).ok_or_else(unreadable)
}

/// The four bytes at the end of a key.
pub(super) fn last_u32(key: &[u8]) -> Result<u32> {
    key.last_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes)).ok_or_else(unreadable)
}

/// The byte at the end of a key.
pub(super) fn last_byte(key: &[u8]) -> Result<u8> {
    key.last().copied().ok_or_else(unreadable)
}

fn number(bytes: [u8; 8]) -> i64 {
    (u64::from_be_bytes(bytes) ^ (1 << 63)) as i64
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Integrity, "a key of the archive is not one that was written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_order_as_positions_do() {
        let log: LogId = "a".parse().expect("a good id");
        let key =
            |offset, seq| event(&log, Offset::from_nanos(0), Position { offset: Offset::from_nanos(offset), seq });
        let in_order = [(i64::MIN, 0), (-1, 5), (0, i64::MIN), (0, 1), (0, 256), (1, 0), (i64::MAX, i64::MAX)];
        assert!(in_order.map(|(offset, seq)| key(offset, seq)).is_sorted());
        for (offset, seq) in in_order {
            let position = last_position(&key(offset, seq)).expect("its own key");
            assert_eq!((position.offset.nanos(), position.seq), (offset, seq));
        }
    }

    #[test]
    fn no_logs_keys_lie_among_anothers() {
        let [short, long]: [LogId; 2] = ["a", "a-b"].map(|id| id.parse().expect("a good id"));
        assert!(era(&short, Offset::MAX) < era(&long, Offset::MIN));
    }
}
