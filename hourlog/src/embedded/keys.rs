//! Keys whose byte order is the order of the values in them.
//!
//! A log has a number, so that keys are short and cheap to compare; its id has a table of its own, and so have the
//! numbers. Numbers are big-endian, those that can be negative with the sign bit flipped, so that times before 1970
//! come first. A zero byte ends a text that is followed by something else: neither an id nor the name of a stream
//! contains one.

use crate::{Error, ErrorKind, LogId, Offset, Position, Result, Seq};

use super::lanes::Lane;

/// The number of a log in one archive. A log that was deleted and is created again gets another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct LogNumber(pub(super) u32);

/// The bytes of a key of `events`: log, bucket, lane, position of the first event.
pub(super) const PACK_BYTES: usize = 4 + 8 + 1 + 8 + 8;

/// The bytes of a key of `arrivals`.
pub(super) const ARRIVAL_BYTES: usize = 4 + 8 + 8;

/// The key of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PackKey {
    pub(super) log: LogNumber,
    /// The start of the bucket.
    pub(super) bucket: Offset,
    pub(super) lane: Lane,
    /// The position of its first event.
    pub(super) first: Position,
}

impl PackKey {
    /// Encodes the key, for `events`.
    pub(super) fn encode(&self) -> [u8; PACK_BYTES] {
        let mut key = [0; PACK_BYTES];
        key[..12].copy_from_slice(&bucket_of_log(self.log, self.bucket));
        key[12] = self.lane.number();
        key[13..21].copy_from_slice(&ordered(self.first.offset.nanos()));
        key[21..].copy_from_slice(&ordered(self.first.seq.get()));
        key
    }

    /// Decodes a key of `events`.
    pub(super) fn decode(key: &[u8]) -> Result<Self> {
        let bytes: &[u8; PACK_BYTES] = key.try_into().map_err(|_| unreadable())?;
        let (log, bucket) = read_bucket_of_log(&bytes[..12])?;
        let lane = Lane::from_number(bytes[12]).ok_or_else(unreadable)?;
        Ok(Self { log, bucket, lane, first: last_position(key)? })
    }
}

/// The number of a log, in `numbers`; the prefix of its keys in the tables that have one.
pub(super) fn log_number(log: LogNumber) -> [u8; 4] {
    log.0.to_be_bytes()
}

/// Returns the log's number at the beginning of a key.
pub(super) fn read_log_number(key: &[u8]) -> Result<LogNumber> {
    key.first_chunk::<4>().map(|bytes| LogNumber(u32::from_be_bytes(*bytes))).ok_or_else(unreadable)
}

/// The prefix of the keys of a bucket in `events` and `arrivals`: log, bucket.
pub(super) fn bucket_of_log(log: LogNumber, bucket: Offset) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&log_number(log));
    key[4..].copy_from_slice(&ordered(bucket.nanos()));
    key
}

/// Returns the log and the bucket at the beginning of a key of `events` or `arrivals`.
pub(super) fn read_bucket_of_log(key: &[u8]) -> Result<(LogNumber, Offset)> {
    let bucket = key.get(..12).ok_or_else(unreadable)?;
    Ok((read_log_number(key)?, last_offset(bucket)?))
}

/// `buckets`: log, bucket.
pub(super) fn bucket(log: LogNumber, start: Offset) -> [u8; 12] {
    bucket_of_log(log, start)
}

/// `eras`: log, era.
pub(super) fn era(log: LogNumber, era: Offset) -> [u8; 12] {
    bucket_of_log(log, era)
}

/// `arrivals`: log, bucket of the arrival, seq of the first late event.
pub(super) fn arrival(log: LogNumber, bucket: Offset, seq: Seq) -> [u8; ARRIVAL_BYTES] {
    let mut key = [0; ARRIVAL_BYTES];
    key[..12].copy_from_slice(&bucket_of_log(log, bucket));
    key[12..].copy_from_slice(&ordered(seq.get()));
    key
}

/// The prefix of a log's cursors. In `logs`, it sorts directly after the log's own key.
pub(super) fn id_prefix(log: &LogId) -> Vec<u8> {
    text_prefix(log.as_str())
}

/// `sources`: stream; the slot follows.
pub(super) fn source_prefix(stream: &str) -> Vec<u8> {
    text_prefix(stream)
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
    let mut key = id_prefix(log);
    key.extend(name.as_bytes());
    key
}

fn text_prefix(text: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(text.len() + 1);
    key.extend(text.as_bytes());
    key.push(0);
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
    fn keys_of_packs_sort_by_bucket_lane_and_position() {
        let key = |log, bucket, lane, offset, seq| PackKey {
            log: LogNumber(log),
            bucket: Offset::from_nanos(bucket),
            lane,
            first: Position { offset: Offset::from_nanos(offset), seq: Seq::from_number(seq) },
        };
        let in_order = [
            key(0, i64::MIN, Lane::ON_TIME, i64::MIN, 0),
            key(0, -1, Lane::ON_TIME, 9, 9),
            key(0, 0, Lane::ON_TIME, -1, 5),
            key(0, 0, Lane::ON_TIME, 0, i64::MIN),
            key(0, 0, Lane::ON_TIME, 0, 1),
            key(0, 0, Lane::ON_TIME, 0, 256),
            key(0, 0, Lane::ON_TIME, 1, 0),
            key(0, 0, Lane::LATE, -1, 0),
            key(0, 1, Lane::ON_TIME, 0, 0),
            key(256, i64::MIN, Lane::ON_TIME, i64::MAX, i64::MAX),
        ];
        assert!(in_order.iter().map(PackKey::encode).is_sorted());
        for key in in_order {
            assert_eq!(PackKey::decode(&key.encode()).expect("a key that was just made"), key);
        }
    }

    #[test]
    fn a_key_that_is_cut_off_is_an_error() {
        let key = arrival(LogNumber(7), Offset::from_nanos(1), Seq::new(1, 2));
        assert_eq!(read_bucket_of_log(&key).expect("a key"), (LogNumber(7), Offset::from_nanos(1)));
        assert!((0..12).all(|length| read_bucket_of_log(&key[..length]).is_err()));
    }

    #[test]
    fn texts_never_mix() {
        for (short, long) in [("a", "a-b"), ("a", "a!"), ("a", "a\u{e9}"), ("é", "é/")] {
            let [short, long]: [LogId; 2] = [short, long].map(|id| id.parse().expect("a valid id"));
            assert!(cursor(&short, "\u{10ffff}") < cursor(&long, ""), "{short} and {long}");
        }
    }
}
