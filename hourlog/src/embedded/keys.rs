//! Keys whose byte order is the order of the values in them.
//!
//! A zero byte follows a log's id. No id contains one, so the keys of two logs never mix. Numbers are
//! big-endian with the sign bit flipped, so that times before 1970 come first.

use crate::{Error, ErrorKind, LogId, Offset, Position, Result, Seq};

/// `events`: log, bucket, position.
pub(super) fn event(log: &LogId, bucket: Offset, position: Position) -> Vec<u8> {
    log_key(log, &[bucket.nanos(), position.offset.nanos(), position.seq.get()])
}

/// `buckets`: log, era, bucket.
pub(super) fn bucket(log: &LogId, era: Offset, start: Offset) -> Vec<u8> {
    log_key(log, &[era.nanos(), start.nanos()])
}

/// `eras`: log, era.
pub(super) fn era(log: &LogId, era: Offset) -> Vec<u8> {
    log_key(log, &[era.nanos()])
}

/// `arrivals`: log, bucket of the arrival, seq.
pub(super) fn arrival(log: &LogId, bucket: Offset, seq: Seq) -> Vec<u8> {
    log_key(log, &[bucket.nanos(), seq.get()])
}

/// The prefix of a log's keys. In `logs`, it sorts directly after the log's own key.
pub(super) fn log_prefix(log: &LogId) -> Vec<u8> {
    log_key(log, &[])
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
    let mut key = log_key(log, &[]);
    key.extend(name.as_bytes());
    key
}

fn log_key(log: &LogId, numbers: &[i64]) -> Vec<u8> {
    let mut key = Vec::with_capacity(log.as_str().len() + 1 + numbers.len() * 8);
    key.extend(log.as_str().as_bytes());
    key.push(0);
    for number in numbers {
        key.extend(ordered(*number));
    }
    key
}

/// Encodes a number so that its bytes sort as it does.
pub(super) fn ordered(number: i64) -> [u8; 8] {
    ((number as u64) ^ (1 << 63)).to_be_bytes()
}

/// Returns the text that follows `prefix` in a key.
pub(super) fn text_after(prefix: &[u8], key: &[u8]) -> Result<String> {
    let text = key.strip_prefix(prefix).ok_or_else(unreadable)?;
    std::str::from_utf8(text).map(str::to_owned).map_err(|_| unreadable())
}

/// Returns the log of a key of `logs`.
pub(super) fn log(key: &[u8]) -> Result<LogId> {
    std::str::from_utf8(key).ok().and_then(|id| id.parse().ok()).ok_or_else(unreadable)
}

/// Returns the stream and the slot of a key in `sources`.
pub(super) fn read_source(key: &[u8]) -> Result<(&str, u8)> {
    let (stream, slot) = match key {
        [stream @ .., 0, slot] => (stream, *slot),
        _ => return Err(unreadable()),
    };
    Ok((std::str::from_utf8(stream).map_err(|_| unreadable())?, slot))
}

/// Returns the position at the end of a key.
pub(super) fn last_position(key: &[u8]) -> Result<Position> {
    let (rest, seq) = key.split_last_chunk::<8>().ok_or_else(unreadable)?;
    Ok(Position { offset: last_offset(rest)?, seq: Seq::from_number(number(*seq)) })
}

/// Returns the offset at the end of a key.
pub(super) fn last_offset(key: &[u8]) -> Result<Offset> {
    key.last_chunk::<8>().map(|bytes| Offset::from_nanos(number(*bytes))).ok_or_else(unreadable)
}

/// Returns the seq at the end of a key.
pub(super) fn last_seq(key: &[u8]) -> Result<Seq> {
    last_offset(key).map(|number| Seq::from_number(number.nanos()))
}

/// Returns the four bytes at the end of a key.
pub(super) fn last_u32(key: &[u8]) -> Result<u32> {
    key.last_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes)).ok_or_else(unreadable)
}

/// Returns the byte at the end of a key.
pub(super) fn last_byte(key: &[u8]) -> Result<u8> {
    key.last().copied().ok_or_else(unreadable)
}

fn number(bytes: [u8; 8]) -> i64 {
    (u64::from_be_bytes(bytes) ^ (1 << 63)) as i64
}

fn unreadable() -> Error {
    Error::new(
        ErrorKind::Integrity,
        "a key of the archive is damaged; stop the service, and run `hourlogd check` and `hourlogd repair`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_positions_do() {
        let log: LogId = "a".parse().expect("a valid id");
        let key = |offset, seq| {
            event(
                &log,
                Offset::from_nanos(0),
                Position { offset: Offset::from_nanos(offset), seq: Seq::from_number(seq) },
            )
        };
        let in_order = [(i64::MIN, 0), (-1, 5), (0, i64::MIN), (0, 1), (0, 256), (1, 0), (i64::MAX, i64::MAX)];
        assert!(in_order.map(|(offset, seq)| key(offset, seq)).is_sorted());
        for (offset, seq) in in_order {
            let position = last_position(&key(offset, seq)).expect("a key that was just made");
            assert_eq!((position.offset.nanos(), position.seq.get()), (offset, seq));
        }
    }

    #[test]
    fn keys_of_two_logs_never_mix() {
        for (short, long) in [("a", "a-b"), ("a", "a!"), ("a", "a\u{e9}"), ("é", "é/")] {
            let [short, long]: [LogId; 2] = [short, long].map(|id| id.parse().expect("a valid id"));
            assert!(era(&short, Offset::MAX) < era(&long, Offset::MIN), "{short} and {long}");
        }
    }
}
