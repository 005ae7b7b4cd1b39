//! Messages whose events a limit refuses, so that a redelivery is refused again.
//!
//! A limit depends on what came before, so the same message could pass it later. Its event would then
//! be in its log and in `_rejected`.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use hourlog::LogId;

/// The refusals of one source.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    /// The logs that the messages at hand must not create, with the reason.
    logs: HashMap<LogId, Arc<str>>,
    /// The messages that were refused and may be read again, with the reason.
    messages: BTreeMap<u64, Arc<str>>,
}

impl Refusals {
    /// Replaces the logs that must not be created. Forgets the messages up to the sequence `archived`.
    pub(crate) fn begin_chunk(&mut self, logs: HashMap<LogId, Arc<str>>, archived: u64) {
        self.logs = logs;
        if self.messages.first_key_value().is_some_and(|(first, _)| *first <= archived) {
            self.messages = self.messages.split_off(&(archived + 1));
        }
    }

    /// Returns true if no message is to be refused.
    pub(crate) fn is_empty(&self) -> bool {
        self.logs.is_empty() && self.messages.is_empty()
    }

    /// Adds a message that was refused before.
    pub(crate) fn add(&mut self, sequence: u64, reason: Arc<str>) {
        self.messages.insert(sequence, reason);
    }

    /// Returns true if the message was refused before.
    pub(crate) fn contains(&self, sequence: u64) -> bool {
        self.messages.contains_key(&sequence)
    }

    /// Returns true if the messages at hand must not create `log`.
    pub(crate) fn refuses(&self, log: &LogId) -> bool {
        self.logs.contains_key(log)
    }

    /// Returns the reason why the message of `log` is refused, and remembers it.
    pub(crate) fn refuse(&mut self, log: &LogId, sequence: u64) -> Option<Arc<str>> {
        if let Some(reason) = self.messages.get(&sequence) {
            return Some(Arc::clone(reason));
        }
        let reason = Arc::clone(self.logs.get(log)?);
        self.add(sequence, Arc::clone(&reason));
        Some(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_message_stays_refused_until_it_is_archived() {
        let log: LogId = "a".parse().expect("a valid id");
        let mut refusals = Refusals::default();
        refusals.begin_chunk(HashMap::from([(log.clone(), Arc::from("too many"))]), 0);
        assert_eq!(refusals.refuse(&log, 7).as_deref(), Some("too many"));
        // The log exists meanwhile.
        refusals.begin_chunk(HashMap::new(), 6);
        assert_eq!(refusals.refuse(&log, 7).as_deref(), Some("too many"));
        assert_eq!(refusals.refuse(&log, 8), None);
        refusals.begin_chunk(HashMap::new(), 7);
        assert!(!refusals.contains(7));
    }
}
