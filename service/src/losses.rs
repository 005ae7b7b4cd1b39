//! The losses of a source: its forks, set-backs of the archive, and removed messages.
//!
//! They are kept among the archive's properties, so that they outlive the process: a fork is stored
//! before its epoch begins, a set-back before the first message behind it is taken, and removed
//! messages before a checkpoint behind them.
//!
//! - `search`: the messages of a range that the archive does not hold.

mod search;

use hourlog::{
    Offset, Result, Seq,
    store::{SLOTS, Store},
    wire::{ForkStatus, MissingStatus, SetBackStatus},
};
use serde::{Deserialize, Serialize};

use crate::{
    properties,
    stream::{epochs::Epochs, sequences::Sequences},
};

pub(crate) use search::missing;

/// Number of set-backs that are kept. Cursors of before an older one are not told of it.
const SET_BACKS_MAX: usize = 16;
/// Number of gaps that are kept, so that none is reported again after a kill. Only those behind the stored
/// checkpoint are seen again, and it is stored four times a second.
const REPORTED_MAX: usize = 256;

/// The losses of one source since its archive began.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Losses {
    /// Number of forks.
    pub(crate) forks: u64,
    /// The newest fork.
    pub(crate) fork: Option<Fork>,
    /// Number of set-backs.
    pub(crate) set_back_count: u64,
    /// The newest set-backs, in order.
    pub(crate) set_backs: Vec<SetBack>,
    /// Number of messages that left the stream, or were damaged in it, before they were archived.
    pub(crate) removed_messages: u64,
    /// Number of gaps that they left.
    pub(crate) gaps: u64,
    /// The newest gap.
    pub(crate) removed: Option<Removed>,
    /// The sequences of the latest gaps since the newest fork.
    pub(crate) reported: Sequences,
}

/// A fork of the stream: the end of one epoch and the beginning of the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fork {
    /// The time at which the fork was detected.
    pub(crate) at: Offset,
    /// The first sequence of the new epoch.
    pub(crate) from: u64,
    /// The first and the last message of the old epoch that the stream has lost, as far as they had
    /// been read.
    pub(crate) lost: Option<(u64, u64)>,
    /// Those of the lost messages that are not archived either.
    pub(crate) missing: Option<Missing>,
}

/// Messages that left the stream before they were archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Removed {
    /// The time at which that was noticed.
    pub(crate) at: Offset,
    /// The first sequence.
    pub(crate) from: u64,
    /// The last sequence.
    pub(crate) to: u64,
}

/// A start at which the archive ended before the stream began: the archive was set back, or the
/// stream was purged meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SetBack {
    /// The time at which that was noticed.
    pub(crate) at: Offset,
    /// The messages that are in neither.
    pub(crate) missing: Missing,
    /// The stored checkpoint at that time.
    pub(crate) checkpoint: u64,
    /// The sequence up to which the archive may have held messages. A cursor beyond it is of a time
    /// that the archive has lost.
    pub(crate) held_to: u64,
    /// The sequence before the first one of the new epoch.
    pub(crate) epoch_after: u64,
    /// The last sequence before the stream's first one. Nothing up to it can be read any more.
    pub(crate) passed: u64,
    /// The greatest arrival time among the messages up to the archive's checkpoint.
    pub(crate) max_time: Offset,
    /// The new epoch of each slot.
    pub(crate) epochs: Vec<u32>,
}

/// Messages that are neither archived nor in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Missing {
    /// The first sequence.
    pub(crate) first: u64,
    /// The last sequence.
    pub(crate) last: u64,
    /// Number of missing messages from the first to the last.
    pub(crate) messages: u64,
    /// False if some of them may be archived after all, because the search took too long.
    pub(crate) is_exact: bool,
}

impl Losses {
    /// Loads the losses of `stream`.
    ///
    /// # Errors
    /// The store's error. What this version cannot read counts as none, with a warning: it must not
    /// keep the service from starting.
    pub(crate) async fn load<S: Store>(store: &S, stream: &str) -> Result<Self> {
        let Some(text) = store.property(&property(stream)).await? else { return Ok(Self::default()) };
        Ok(serde_json::from_str(&text).unwrap_or_else(|error| {
            tracing::warn!(stream, %error, "the stored losses of the stream cannot be read; beginning a new list");
            Self::default()
        }))
    }

    /// Stores the losses of `stream`.
    ///
    /// # Errors
    /// The store's error.
    pub(crate) async fn save<S: Store>(&self, store: &S, stream: &str) -> Result<()> {
        let name = property(stream);
        let text = serde_json::to_string(self).expect("losses have no map with other keys than text");
        properties::replace(store, &name, &text).await
    }

    /// Notes a fork. The same fork is found again if the service was killed before its epoch had
    /// begun.
    pub(crate) fn note_fork(&mut self, fork: Fork) {
        let is_same = |before: Fork| (before.from, before.lost) == (fork.from, fork.lost);
        if !self.fork.is_some_and(is_same) {
            self.forks += 1;
        }
        self.fork = Some(fork);
        self.reported.remove_from(fork.from);
    }

    /// Notes a set-back, and drops the oldest ones. The same one is found again if it could not be
    /// stored.
    pub(crate) fn note_set_back(&mut self, set_back: SetBack) {
        let is_same = |before: &SetBack| (before.checkpoint, before.passed) == (set_back.checkpoint, set_back.passed);
        if self.set_backs.pop_if(|before| is_same(before)).is_none() {
            self.set_back_count += 1;
        }
        self.set_backs.push(set_back);
        let too_many = self.set_backs.len().saturating_sub(SET_BACKS_MAX);
        self.set_backs.drain(..too_many);
    }

    /// Notes removed messages.
    pub(crate) fn note_removed(&mut self, removed: Removed) {
        self.removed_messages += removed.to - removed.from + 1;
        self.gaps += 1;
        self.removed = Some(removed);
        self.reported.insert((removed.from, removed.to));
        self.reported.keep_last(REPORTED_MAX);
    }

    /// Returns the sequence up to which nothing can be read, given that everything up to `archived`
    /// is. More than `archived` only if the service was killed right after a set-back, before it had
    /// stored a checkpoint.
    pub(crate) fn passed(&self, epochs: &Epochs, archived: u64) -> u64 {
        let passed = |set_back: &SetBack| {
            let seqs = (0..SLOTS).zip(&set_back.epochs).map(|(slot, epoch)| (slot, Seq::new(*epoch, set_back.passed)));
            seqs.map(|(slot, seq)| epochs.sequence(slot, seq)).min().unwrap_or(0)
        };
        let begun = self.set_backs.iter().filter(|set_back| set_back.checkpoint <= archived);
        begun.map(passed).max().unwrap_or(0).max(archived)
    }
}

impl SetBack {
    /// Returns the seq before the first one of the epoch that began.
    pub(crate) fn before_epoch(&self, slot: u8) -> Seq {
        Seq::new(self.epochs.get(usize::from(slot)).copied().unwrap_or(0), self.epoch_after)
    }

    /// Returns the set-back as a sentence for people.
    pub(crate) fn sentence(&self) -> String {
        format!("the archive was set back, or the stream was purged: {} in neither", self.missing.are())
    }

    pub(crate) fn status(&self) -> SetBackStatus {
        SetBackStatus { at: self.at, missing: self.missing.status() }
    }
}

impl Fork {
    /// Returns the lost messages as a range for people.
    pub(crate) fn lost_range(&self) -> String {
        self.lost.map_or_else(|| "none".to_owned(), |(first, last)| format!("{first}-{last}"))
    }

    /// Returns the lost messages that are not archived either, for people.
    pub(crate) fn missing_range(&self) -> String {
        self.missing.map_or_else(|| "none".to_owned(), |missing| missing.to_string())
    }

    pub(crate) fn status(&self) -> ForkStatus {
        let missing = self.missing.map(|missing| missing.status());
        ForkStatus { at: self.at, from: self.from, lost: self.lost, missing }
    }
}

impl Missing {
    /// Returns all messages from `first` to `last`; `None` if there are none.
    pub(crate) fn all(first: u64, last: u64) -> Option<Self> {
        (first <= last).then(|| Self { first, last, messages: last - first + 1, is_exact: true })
    }

    /// Adds later messages.
    pub(crate) fn and(self, later: Option<Self>) -> Self {
        later.map_or(self, |later| Self {
            first: self.first,
            last: later.last,
            messages: self.messages + later.messages,
            is_exact: self.is_exact && later.is_exact,
        })
    }

    fn are(&self) -> String {
        let Self { first, last, messages, is_exact } = *self;
        let are = if messages == 1 { "is" } else { "are" };
        match (is_exact, messages == last - first + 1) {
            (true, true) if first == last => format!("message {first} {are}"),
            (true, true) => format!("messages {first}–{last} {are}"),
            (true, false) => format!("{messages} of the messages {first}–{last} {are}"),
            (false, _) => format!("up to {messages} of the messages {first}–{last} are"),
        }
    }

    fn status(&self) -> MissingStatus {
        MissingStatus { first: self.first, last: self.last, messages: self.messages, exact: self.is_exact }
    }
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// Returns the name under which the archive keeps the losses of a stream.
fn property(stream: &str) -> String {
    format!("losses/{stream}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use hourlog::Memory;

    fn ready<T>(future: impl Future<Output = Result<T>>) -> T {
        future.now_or_never().expect("memory answers at once").expect("memory has no errors")
    }

    fn fork(from: u64) -> Fork {
        Fork {
            at: Offset::from_nanos(5),
            from,
            lost: Some((from, from + 9)),
            missing: Missing::all(from + 5, from + 9),
        }
    }

    fn set_back(first: u64, passed: u64, epoch: u32) -> SetBack {
        SetBack {
            at: Offset::from_nanos(7),
            missing: Missing::all(first, passed).expect("the range is not empty"),
            checkpoint: first - 1,
            held_to: first - 1,
            epoch_after: passed,
            passed,
            max_time: Offset::from_nanos(3),
            epochs: vec![epoch; usize::from(SLOTS)],
        }
    }

    #[test]
    fn removed_messages_stay_reported_until_a_fork_uses_their_sequences_again() {
        let mut losses = Losses::default();
        for (from, to) in [(8, 9), (40, 49)] {
            losses.note_removed(Removed { at: Offset::from_nanos(4), from, to });
        }
        assert_eq!(losses.reported.ranges(), [(8, 9), (40, 49)]);
        // Whatever the clock says.
        losses.note_fork(Fork { at: Offset::from_nanos(1), ..fork(45) });
        assert_eq!(losses.reported.ranges(), [(8, 9), (40, 44)]);
        losses.note_fork(fork(1));
        assert!(losses.reported.is_empty());
    }

    #[test]
    fn the_number_of_kept_gaps_is_limited() {
        let mut losses = Losses::default();
        for number in 1..=2 * REPORTED_MAX as u64 {
            losses.note_removed(Removed { at: Offset::from_nanos(4), from: 3 * number, to: 3 * number });
        }
        assert_eq!((losses.reported.ranges().len(), losses.gaps), (REPORTED_MAX, 2 * REPORTED_MAX as u64));
    }

    #[test]
    fn losses_are_stored_and_loaded_by_stream() {
        let store = Memory::new();
        let mut losses = Losses::default();
        for round in 0..3 {
            losses.note_fork(fork(10 + round));
            losses.note_removed(Removed { at: Offset::from_nanos(6), from: 1, to: 3 });
            losses.note_set_back(set_back(100, 699, 2));
            ready(losses.save(&store, "A"));
        }
        assert_eq!(ready(Losses::load(&store, "A")), losses);
        assert_eq!((losses.forks, losses.removed_messages, losses.gaps, losses.set_back_count), (3, 9, 3, 1));
        assert_eq!(ready(Losses::load(&store, "B")), Losses::default());
    }

    #[test]
    fn a_fork_that_is_found_again_counts_once() {
        let mut losses = Losses::default();
        losses.note_fork(fork(10));
        losses.note_fork(Fork { at: Offset::from_nanos(9), ..fork(10) });
        assert_eq!((losses.forks, losses.fork.map(|fork| fork.at.nanos())), (1, Some(9)));
    }

    #[test]
    fn the_number_of_kept_set_backs_is_limited() {
        let mut losses = Losses::default();
        for epoch in 1..=40 {
            let first = 100 + u64::from(epoch);
            losses.note_set_back(set_back(first, 699, epoch));
            losses.note_set_back(set_back(first, 699, epoch));
        }
        assert_eq!((losses.set_backs.len(), losses.set_back_count), (SET_BACKS_MAX, 40));
        assert_eq!(losses.set_backs.last().map(|set_back| set_back.epochs[0]), Some(40));
    }

    #[test]
    fn a_set_back_is_passed_again_until_a_checkpoint_is_stored() {
        let epochs = |list: &[(u64, u32)]| Epochs::of(list);
        let mut losses = Losses::default();
        assert_eq!(losses.passed(&epochs(&[(1, 1)]), 100), 100);
        losses.note_set_back(set_back(101, 699, 2));
        for (known, archived, expected) in [
            (&[(1, 1), (700, 2)][..], 100, 699),
            (&[(1, 1), (700, 2)], 720, 720),
            // The stream has forked since: the set-back says nothing about the new messages.
            (&[(1, 1), (700, 2), (50, 3)], 49, 49),
            // The archive was set back again, to before the first set-back.
            (&[(1, 1), (700, 2)], 60, 60),
        ] {
            assert_eq!(losses.passed(&epochs(known), archived), expected, "{known:?} {archived}");
        }
    }

    #[test]
    fn missing_messages_are_named_exactly() {
        let some = Missing { first: 5, last: 9, messages: 2, is_exact: true };
        for (missing, expected) in [
            (Missing::all(5, 5).expect("one"), "message 5 is"),
            (Missing::all(5, 9).expect("five"), "messages 5–9 are"),
            (some, "2 of the messages 5–9 are"),
            (Missing { is_exact: false, ..some }, "up to 2 of the messages 5–9 are"),
            (some.and(Missing::all(10, 12)), "5 of the messages 5–12 are"),
        ] {
            assert_eq!(missing.are(), expected);
        }
        assert_eq!(Missing::all(6, 5), None);
    }
}
