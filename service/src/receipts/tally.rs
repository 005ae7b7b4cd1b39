//! The messages of a chunk that receipts count, until the chunk is archived.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use hourlog::{Position, wire::ReceiptToken};

use super::ReceiptNumber;

/// The messages of one chunk, by receipt.
#[derive(Debug, Default)]
pub(crate) struct Tally(HashMap<ReceiptToken, Part>);

/// The messages of one receipt in a chunk.
#[derive(Debug, Default)]
struct Part {
    /// Their numbers, in the order of the stream, with the rejections of those that were rejected.
    messages: Vec<(u64, Option<Rejected>)>,
    /// Indexes of the messages whose events were there already. Filled by the writes of several logs.
    passed_over: Arc<Mutex<Vec<usize>>>,
}

/// A rejected message.
#[derive(Debug)]
pub(super) struct Rejected {
    /// The kind of the reason. The reasons of one kind differ only in the message's own values.
    pub(super) kind: &'static str,
    /// The position of the event among the rejected ones.
    pub(super) position: Position,
    pub(super) reason: String,
}

/// A message's place in the tally of its chunk.
#[derive(Debug, Clone)]
pub(crate) struct ReceiptMark {
    passed_over: Arc<Mutex<Vec<usize>>>,
    index: usize,
}

/// A message that is archived.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) number: u64,
    pub(super) outcome: Outcome,
}

/// The outcome of a message's event.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It was stored.
    New,
    /// It was there already.
    Known,
    /// It was rejected.
    Rejected(Rejected),
}

impl ReceiptMark {
    /// Notes that the event was there already. To be called once for a write that takes place.
    pub(crate) fn pass_over(&self) {
        self.passed_over.lock().unwrap_or_else(PoisonError::into_inner).push(self.index);
    }
}

impl Tally {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a message whose event is to be stored unless it is there already.
    pub(crate) fn add(&mut self, ReceiptNumber { token, number }: ReceiptNumber) -> ReceiptMark {
        let part = self.0.entry(token).or_default();
        part.messages.push((number, None));
        ReceiptMark { passed_over: Arc::clone(&part.passed_over), index: part.messages.len() - 1 }
    }

    /// Adds a message whose event is rejected.
    pub(crate) fn reject(
        &mut self,
        ReceiptNumber { token, number }: ReceiptNumber,
        kind: &'static str,
        position: Position,
        reason: String,
    ) {
        let rejected = Rejected { kind, position, reason };
        self.0.entry(token).or_default().messages.push((number, Some(rejected)));
    }

    /// Returns the messages of each receipt in the order of the stream, once the chunk is archived.
    pub(super) fn into_parts(self) -> impl Iterator<Item = (ReceiptToken, impl Iterator<Item = Counted>)> {
        self.0.into_iter().map(|(token, Part { messages, passed_over })| {
            let mut known = std::mem::take(&mut *passed_over.lock().unwrap_or_else(PoisonError::into_inner));
            known.sort_unstable();
            let counted = messages.into_iter().enumerate().map(move |(index, (number, rejected))| {
                let outcome = match rejected {
                    Some(rejected) => Outcome::Rejected(rejected),
                    None if known.binary_search(&index).is_ok() => Outcome::Known,
                    None => Outcome::New,
                };
                Counted { number, outcome }
            });
            (token, counted)
        })
    }
}
