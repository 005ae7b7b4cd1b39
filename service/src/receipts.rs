//! Receipts: how many messages of an import were stored, and how many were there already.
//!
//! A message with `Hourlog-Receipt` names a receipt and its own number in it. The outcome of a message is a
//! function of the stream and the archive, so a redelivery has the same one. A receipt counts each number
//! once, however often its message is published or read again. It counts a chunk once it is archived, and is
//! stored before a checkpoint behind it. It leaves out what it may have missed, so the publisher sees that some
//! outcomes are not known.
//!
//! - `number`: the header. `window`: the numbers that were counted. `tally`: the messages of a chunk.

mod number;
mod tally;
mod window;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use hourlog::{
    Offset, Result,
    store::Store,
    time::HOUR,
    wire::{ReceiptToken, RejectedCount},
};
use serde::{Deserialize, Serialize};

use crate::properties;
pub(crate) use number::ReceiptNumber;
use tally::{Counted, Outcome, Rejected};
pub(crate) use tally::{ReceiptMark, Tally};
use window::Window;

/// Number of receipts of a source. Beyond it, the one whose last message is the oldest is forgotten.
const RECEIPTS_MAX: usize = 64;
/// Time after its last message, by JetStream's clock, for which a receipt is kept.
const KEPT_NANOS: i64 = HOUR;

/// The receipts of one source.
#[derive(Debug, Default)]
pub(crate) struct Receipts(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    receipts: BTreeMap<ReceiptToken, Receipt>,
    /// Number of changes, and how many of them are stored.
    changes: u64,
    saved: u64,
}

/// The count of one receipt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Receipt {
    /// The numbers that were counted.
    window: Window,
    /// Number of events that were stored.
    pub(crate) new: u64,
    /// Number of events that were there already.
    pub(crate) known: u64,
    /// Number of events that were rejected.
    pub(crate) rejected: u64,
    /// The first reason of each kind, with the number of events that were rejected for that kind.
    reasons: BTreeMap<String, RejectedCount>,
    /// The time of the last message.
    newest: Offset,
}

impl Receipt {
    fn count(&mut self, Counted { number, outcome }: Counted) {
        if !self.window.insert(number) {
            return;
        }
        match outcome {
            Outcome::New => self.new += 1,
            Outcome::Known => self.known += 1,
            Outcome::Rejected(Rejected { kind, position, reason }) => {
                self.rejected += 1;
                let first = || RejectedCount { reason, count: 0, number, position };
                self.reasons.entry(kind.to_owned()).or_insert_with(first).count += 1;
            }
        }
    }

    /// Returns the reasons in the order of their first messages.
    pub(crate) fn reasons(&self) -> Vec<RejectedCount> {
        let mut reasons: Vec<_> = self.reasons.values().cloned().collect();
        reasons.sort_unstable_by_key(|reason| reason.number);
        reasons
    }
}

impl Receipts {
    /// Loads the receipts of `stream`.
    ///
    /// # Errors
    /// The store's error. What this version cannot read counts as none, with a warning: it must not keep the
    /// service from starting.
    pub(crate) async fn load<S: Store>(&self, store: &S, stream: &str) -> Result<()> {
        let Some(text) = store.property(&property(stream)).await? else { return Ok(()) };
        match serde_json::from_str(&text) {
            Ok(receipts) => self.lock().receipts = receipts,
            Err(error) => {
                tracing::warn!(stream, %error, "the stored receipts of the stream cannot be read; imports under way will not know everything");
            }
        }
        Ok(())
    }

    /// Stores the receipts of `stream` if they have changed.
    ///
    /// # Errors
    /// The store's error.
    pub(crate) async fn save<S: Store>(&self, store: &S, stream: &str) -> Result<()> {
        let (text, changes) = {
            let state = self.lock();
            if state.changes == state.saved {
                return Ok(());
            }
            let text = serde_json::to_string(&state.receipts).expect("receipts have no map with other keys than text");
            (text, state.changes)
        };
        properties::replace(store, &property(stream), &text).await?;
        self.lock().saved = changes;
        Ok(())
    }

    /// Has them stored again, because the archive may have lost them.
    pub(crate) fn may_be_lost(&self) {
        let mut state = self.lock();
        state.changes += u64::from(!state.receipts.is_empty());
    }

    /// Counts the messages of a chunk that is archived. Its last message came at `time`.
    pub(crate) fn count(&self, tally: Tally, time: Offset) {
        if tally.is_empty() {
            return;
        }
        let mut state = self.lock();
        state.changes += 1;
        for (token, messages) in tally.into_parts() {
            if !state.receipts.contains_key(&token) {
                state.make_room(time);
            }
            let receipt = state.receipts.entry(token).or_default();
            receipt.newest = receipt.newest.max(time);
            messages.for_each(|message| receipt.count(message));
        }
    }

    /// Returns a receipt.
    pub(crate) fn get(&self, token: &ReceiptToken) -> Option<Receipt> {
        self.lock().receipts.get(token).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Drops old receipts, and leaves room for another one.
    fn make_room(&mut self, now: Offset) {
        self.receipts.retain(|_, receipt| now.nanos().saturating_sub(receipt.newest.nanos()) < KEPT_NANOS);
        while self.receipts.len() >= RECEIPTS_MAX {
            let oldest = self.receipts.iter().min_by_key(|(_, receipt)| receipt.newest).map(|(token, _)| *token);
            self.receipts.remove(&oldest.expect("there are receipts"));
        }
    }
}

/// Returns the name under which the archive keeps the receipts of a stream.
fn property(stream: &str) -> String {
    format!("receipts/{stream}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourlog::{Memory, Position, Seq, time::SECOND};

    fn token(number: usize) -> ReceiptToken {
        format!("{number:022}").parse().expect("a valid token")
    }

    fn at(second: i64) -> Offset {
        Offset::from_nanos(second * SECOND)
    }

    /// Counts messages of one receipt, given as numbers, of which those in `known` were there already.
    fn count(receipts: &Receipts, receipt: usize, second: i64, numbers: &[u64], known: &[u64]) {
        let mut tally = Tally::default();
        for number in numbers {
            let mark = tally.add(ReceiptNumber { token: token(receipt), number: *number });
            if known.contains(number) {
                mark.pass_over();
            }
        }
        receipts.count(tally, at(second));
    }

    fn counts(receipts: &Receipts, receipt: usize) -> Option<(u64, u64, u64)> {
        receipts.get(&token(receipt)).map(|receipt| (receipt.new, receipt.known, receipt.rejected))
    }

    #[tokio::test]
    async fn a_restart_in_the_middle_counts_each_message_once() {
        let (store, before) = (Memory::new(), Receipts::default());
        count(&before, 1, 0, &[1, 2, 3], &[2]);
        before.save(&store, "S").await.expect("memory takes the receipts");
        // Counted but not stored when the service was killed.
        count(&before, 1, 1, &[4], &[]);
        let after = Receipts::default();
        after.load(&store, "S").await.expect("memory answers");
        // The checkpoint is older than the receipt, so some messages are read again.
        count(&after, 1, 2, &[2, 3, 4, 5], &[2, 5]);
        assert_eq!(counts(&after, 1), Some((3, 2, 0)));
        // A publisher that had no acknowledgement sends a line again. It is there already, by the same import.
        count(&after, 1, 3, &[4, 5, 6], &[4, 5]);
        assert_eq!(counts(&after, 1), Some((4, 2, 0)));
    }

    #[tokio::test]
    async fn receipts_are_stored_when_they_have_changed() {
        let (store, receipts) = (Memory::new(), Receipts::default());
        receipts.may_be_lost();
        receipts.save(&store, "S").await.expect("memory takes the receipts");
        assert_eq!(store.property(&property("S")).await.expect("memory answers"), None);
        count(&receipts, 1, 0, &[1], &[]);
        receipts.save(&store, "S").await.expect("memory takes the receipts");
        let other = Memory::new();
        receipts.save(&other, "S").await.expect("memory takes the receipts");
        assert_eq!(other.property(&property("S")).await.expect("memory answers"), None, "it is stored already");
        receipts.may_be_lost();
        receipts.save(&other, "S").await.expect("memory takes the receipts");
        let stored = store.property(&property("S")).await.expect("memory answers");
        assert_eq!(other.property(&property("S")).await.expect("memory answers"), stored);
    }

    #[test]
    fn rejected_events_are_counted_by_kind_of_reason() {
        let receipts = Receipts::default();
        let mut tally = Tally::default();
        for number in 1..=30_u64 {
            let position = Position { offset: at(0), seq: Seq::new(1, number) };
            let kind = if number % 3 == 0 { "headers" } else { "time" };
            tally.reject(ReceiptNumber { token: token(1), number }, kind, position, format!("{kind} {number}"));
        }
        receipts.count(tally, at(0));
        let receipt = receipts.get(&token(1)).expect("the receipt exists");
        assert_eq!(receipt.rejected, 30);
        let reasons = receipt.reasons();
        let said: Vec<_> = reasons.iter().map(|said| (said.reason.as_str(), said.count, said.number)).collect();
        assert_eq!(said, [("time 1", 20, 1), ("headers 3", 10, 3)]);
    }

    #[test]
    fn the_number_of_receipts_is_bounded_and_the_oldest_goes_first() {
        let receipts = Receipts::default();
        for receipt in 0..RECEIPTS_MAX {
            count(&receipts, receipt, receipt as i64, &[1], &[]);
        }
        count(&receipts, 0, 100, &[2], &[]);
        count(&receipts, 1_000, 101, &[1], &[]);
        assert_eq!((counts(&receipts, 0), counts(&receipts, 1)), (Some((2, 0, 0)), None));
        count(&receipts, 2_000, 101 + KEPT_NANOS / SECOND, &[1], &[]);
        assert_eq!((counts(&receipts, 1_000), counts(&receipts, 2_000)), (None, Some((1, 0, 0))));
    }
}
