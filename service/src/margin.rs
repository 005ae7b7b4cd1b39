//! The margin of archived messages that the janitor leaves in the stream.

use std::time::Duration;

/// Largest part of a stream that the margin may fill. The rest is for new events: a publisher is
/// then refused only because of events that are not archived yet.
const STREAM_DIVISOR: u64 = 4;
/// A stream is nearly full once it holds the margin and another eighth of its limit.
const NEARLY_FULL_DIVISOR: u64 = 8;
/// Bytes that a fast publisher writes during a long pause of the janitor. A stream with less room
/// is nearly full, however little it holds.
const FAST_PUBLISHER_BYTES: u64 = 30_000_000;

/// The part of the archived messages that stays in the stream, so that an archive that lost its
/// newest events can read them again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Margin {
    /// Age up to which messages stay.
    pub age: Duration,
    /// Total size of the messages that stay, at most. A small stream keeps less: at most a quarter
    /// of its limit.
    pub bytes: u64,
}

impl Default for Margin {
    fn default() -> Self {
        Self { age: Duration::from_secs(3600), bytes: 256 << 20 }
    }
}

impl Margin {
    /// Returns the margin for a stream that holds at most `bytes_max`.
    pub(crate) fn limited_to(self, bytes_max: u64) -> Self {
        Self { bytes: self.bytes.min(bytes_max / STREAM_DIVISOR), ..self }
    }

    /// Returns the first sequence that the size of the margin lets stay, in a stream that is
    /// archived up to `archived` and holds `messages` of `bytes` together.
    ///
    /// The size of a single message is unknown, so this takes the average. With large messages at
    /// the end, more than the margin stays; calls after each purge approach it.
    pub(crate) fn keep_from(self, archived: u64, bytes: u64, messages: u64) -> u64 {
        let bytes_per_message = bytes.div_ceil(messages.max(1)).max(1);
        (archived + 1).saturating_sub(self.bytes / bytes_per_message)
    }

    /// Returns true if a stream that holds `bytes` of at most `bytes_max` could become full during a
    /// long pause of the janitor.
    pub(crate) fn is_nearly_full(self, bytes: u64, bytes_max: u64) -> bool {
        bytes.saturating_sub(self.bytes) > bytes_max / NEARLY_FULL_DIVISOR
            || bytes.saturating_add(FAST_PUBLISHER_BYTES) > bytes_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_margin_fills_at_most_a_quarter_of_the_stream() {
        for (bytes_max, expected) in
            [(2_000_000, 500_000), (1024 * MIB, 256 * MIB), (4096 * MIB, 256 * MIB), (u64::MAX, 256 * MIB), (3, 0)]
        {
            assert_eq!(Margin::default().limited_to(bytes_max).bytes, expected, "{bytes_max}");
        }
        let none = Margin { bytes: 0, ..Margin::default() };
        assert_eq!(none.limited_to(1024 * MIB), none);
    }

    #[test]
    fn only_messages_that_fit_the_margin_stay() {
        let margin = Margin { bytes: 500_000, ..Margin::default() };
        for (archived, bytes, messages, first) in [
            (10, 1_900_000, 10, 9),
            (10, 500_000, 10, 1),
            (10, 0, 0, 0),
            // A message that is larger than the margin does not stay.
            (10, 600_000, 1, 11),
            (1, 10, 1, 0),
        ] {
            assert_eq!(margin.keep_from(archived, bytes, messages), first, "{messages} messages of {bytes}");
        }
    }

    #[test]
    fn repeated_purges_bring_a_stream_of_mixed_sizes_down_to_the_margin() {
        let margin = Margin::default().limited_to(2_000_000);
        let sizes: Vec<u64> = std::iter::repeat_n(200, 5_000).chain(std::iter::repeat_n(190_000, 5)).collect();
        let mut first = 0;
        let left = loop {
            let left = &sizes[first..];
            let next = margin.keep_from(5_004, left.iter().sum(), left.len() as u64);
            let next = usize::try_from(next).expect("a short stream");
            if next <= first {
                break left;
            }
            first = next;
        };
        assert!(left.iter().sum::<u64>() <= 500_000, "{left:?}");
    }

    #[test]
    fn a_stream_is_nearly_full_once_a_fast_publisher_could_fill_it() {
        let gibibyte = 1024 * MIB;
        let margin = Margin::default().limited_to(gibibyte);
        assert!(!margin.is_nearly_full(0, gibibyte));
        assert!(!margin.is_nearly_full(256 * MIB, gibibyte), "the margin alone");
        assert!(margin.is_nearly_full(400 * MIB, gibibyte));
        assert!(!margin.is_nearly_full(u64::MAX / 16, u64::MAX), "a stream without a limit");
        assert!(margin.limited_to(2_000_000).is_nearly_full(0, 2_000_000), "a small stream");
    }
}
