//! The pure rule that compares the ends of the archive and of the stream at the start.
//!
//! The janitor deletes only behind the stored checkpoint. So a stream that begins later than the
//! message after the checkpoint was purged by somebody else, or the archive is a copy of before.

/// The ends of the archive and of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks {
    /// The sequence up to which everything is archived: the stored checkpoint.
    pub(crate) archived: u64,
    /// The sequence of the newest message that was handed out; 0 if none is known. The archive may
    /// hold messages up to it.
    pub(crate) head: u64,
    /// The first sequence of the stream; the one after its last if it is empty.
    pub(crate) first: u64,
}

/// The messages between the end of the archive and the beginning of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    /// The first message.
    pub(crate) from: u64,
    /// The last message.
    pub(crate) to: u64,
    /// The last of them that may be archived; less than `from` if none can be.
    pub(crate) uncertain_to: u64,
    /// The sequence up to which the archive may hold messages at all. A reader beyond it has read
    /// what the archive has lost.
    pub(crate) held_to: u64,
    /// The first sequence of the new epoch. What the archive may hold stays in its old one, so that
    /// it is not stored twice.
    pub(crate) epoch_from: u64,
}

impl Marks {
    /// Returns the messages that can neither be read nor are known to be archived; `None` if the
    /// marks fit.
    pub(crate) fn gap(self) -> Option<Gap> {
        let Self { archived, head, first } = self;
        let to = first.checked_sub(1).filter(|to| *to > archived)?;
        let held_to = head.max(archived);
        let epoch_from = first.max(held_to + 1);
        Some(Gap { from: archived + 1, to, uncertain_to: held_to.min(to), held_to, epoch_from })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check((archived, head, first): (u64, u64, u64), expected: Option<(u64, u64, u64, u64)>) {
        let gap = Marks { archived, head, first }.gap();
        assert_eq!(gap.map(|gap| (gap.from, gap.to, gap.uncertain_to, gap.epoch_from)), expected);
    }

    #[test]
    fn a_stream_that_begins_at_or_before_the_next_message_fits() {
        for marks in [(0, 0, 0), (0, 0, 1), (100, 100, 101), (100, 150, 101), (100, 150, 1), (100, 100, 0)] {
            check(marks, None);
        }
    }

    #[test]
    fn messages_between_the_archive_and_the_stream_are_a_gap() {
        check((100, 100, 700), Some((101, 699, 100, 700)));
        check((0, 0, 700), Some((1, 699, 0, 700)));
        check((100, 100, 102), Some((101, 101, 100, 102)));
    }

    #[test]
    fn messages_up_to_the_head_may_be_archived_and_keep_their_epoch() {
        check((100, 150, 700), Some((101, 699, 150, 700)));
        // The stream still has messages that the archive holds: they must not be stored twice.
        check((100, 300, 200), Some((101, 199, 199, 301)));
    }
}
