//! The verdict: compares what was found with the ledger.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use hourlog::Event;

use super::ledger::{self, Acknowledgement, Ledger, OperationId};

/// The most examples that a verdict shows of each finding.
const EXAMPLES_MAX: usize = 5;

/// One kind of finding: a way in which the archive differs from the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// An acknowledged event is missing.
    Lost,
    /// An event is there more than once.
    Duplicated,
    /// An event is before another that was acknowledged before it was sent.
    OutOfOrder,
    /// An event differs from what was sent, or is not at its acknowledged position.
    Corrupt,
    /// An event or log that was never sent.
    Phantom,
    /// A count differs from the number of events.
    Miscounted,
    /// Two ways to read the same events disagree.
    Inconsistent,
    /// A follower did not get every event once.
    Missed,
    /// Something did not recover after the disruptions ended.
    Stuck,
    /// An instance of the service ended by itself.
    Ended,
}

/// Everything that was found.
#[derive(Debug, Default)]
pub struct Verdict {
    examples: BTreeMap<Finding, Vec<String>>,
    counts: BTreeMap<Finding, u64>,
    /// The number of events found.
    pub found: u64,
    /// The number of operations sent, and of those answered.
    pub sent: (u64, u64),
}

impl Verdict {
    /// Returns true if nothing was found.
    pub fn is_clean(&self) -> bool {
        self.counts.is_empty()
    }

    /// Returns how often `finding` was found.
    pub fn count(&self, finding: Finding) -> u64 {
        self.counts.get(&finding).copied().unwrap_or(0)
    }

    /// Notes a finding.
    pub fn note(&mut self, finding: Finding, what: impl FnOnce() -> String) {
        *self.counts.entry(finding).or_default() += 1;
        let examples = self.examples.entry(finding).or_default();
        if examples.len() < EXAMPLES_MAX {
            examples.push(what());
        }
    }

    /// Compares `events` with the ledger. The events of each log are in the order of their seqs.
    pub fn judge(&mut self, ledger: &Ledger, events: &BTreeMap<u32, Vec<Event>>) {
        let mut seen: HashMap<OperationId, u64> = HashMap::new();
        for (log, events) in events {
            // Per publisher, the event before this one that was sent last.
            let mut sent_max: HashMap<u32, (u64, OperationId)> = HashMap::new();
            for event in events {
                self.found += 1;
                let Some(id) = self.check(ledger, *log, event) else { continue };
                *seen.entry(id).or_default() += 1;
                let operation = ledger.operation(id).expect("check() found the operation");
                let before = sent_max.entry(id.publisher).or_insert((operation.sent, id));
                if operation.answered.is_some_and(|(answered, _)| answered < before.0) {
                    let before = before.1;
                    self.note(Finding::OutOfOrder, || format!("{before} is before {id} in log {log}"));
                }
                if operation.sent > before.0 {
                    *before = (operation.sent, id);
                }
            }
        }
        for (id, times) in seen.iter().filter(|(_, times)| **times > 1) {
            self.note(Finding::Duplicated, || format!("{id} is there {times} times"));
        }
        let answered = ledger.answered();
        self.sent = (ledger.len() as u64, answered.len() as u64);
        let losses = ledger.losses();
        for id in answered.into_iter().filter(|id| !seen.contains_key(id)) {
            let operation = ledger.operation(id).expect("an answered operation was sent");
            if !losses.iter().any(|loss| loss.operations.contains(&operation.sent)) {
                self.note(Finding::Lost, || format!("{id}, {operation:?}"));
            }
        }
        for loss in losses {
            let missing = ledger.lost(&loss).into_iter().filter(|(id, _)| !seen.contains_key(id));
            // An operation without an answer may have been lost, or never sent.
            let (answered, others): (Vec<_>, Vec<_>) = missing.partition(|(_, operation)| operation.answered.is_some());
            let count_min = if loss.is_exact { answered.len() } else { 0 };
            if !(count_min..=answered.len() + others.len()).contains(&(loss.reported as usize)) {
                let (answered, others) = (answered.len(), others.len());
                self.note(Finding::Miscounted, || format!("{loss:?}; missing are {answered}, or {others} more"));
            }
        }
    }

    /// Checks one event by itself. Returns the operation that wrote it, if there is one.
    fn check(&mut self, ledger: &Ledger, log: u32, event: &Event) -> Option<OperationId> {
        let Some(id) = ledger::id_in(&event.record.data) else {
            self.note(Finding::Corrupt, || format!("event {} of log {log} names no operation", event.position));
            return None;
        };
        let Some(operation) = ledger.operation(id) else {
            self.note(Finding::Phantom, || format!("{id} at {} of log {log}", event.position));
            return None;
        };
        let late = ledger.late(id);
        let mut record = ledger.record(id);
        record.time = None;
        let (position, arrived) = (event.position, event.arrived);
        let late = match late {
            Some(late) => position.offset == late && arrived.is_some(),
            // After a clock was set back, events are late although they have no time of their own.
            None => position.offset == event.arrival_time(),
        };
        let answered = match operation.answered {
            Some((_, Acknowledgement::Position(answered))) => answered == position,
            Some((_, Acknowledgement::Sequence(sequence))) => position.seq.sequence() == sequence,
            None => true,
        };
        if operation.log != log || event.record != record || !late || !answered {
            self.note(Finding::Corrupt, || {
                format!("{id} at {position} of log {log}: {event:?}, expected {operation:?}")
            });
        }
        Some(id)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sent, answered) = self.sent;
        write!(f, "{sent} sent, {answered} answered, {} found", self.found)?;
        if self.is_clean() {
            return f.write_str("; nothing lost, duplicated, out of order, corrupt or phantom");
        }
        for (finding, count) in &self.counts {
            write!(f, "\n{finding:?}: {count}")?;
            for example in &self.examples[finding] {
                write!(f, "\n  {example}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourlog::{Offset, Position, Seq};

    /// Returns two operations of one publisher in one log, and the events as they should be found.
    ///
    /// The second was sent after the first had been acknowledged.
    fn two() -> (Ledger, Vec<Event>) {
        let ledger = Ledger::new(7);
        let mut events = Vec::new();
        for number in 0..2 {
            let id = OperationId { publisher: 1, number };
            let mut record = ledger.send(id, 3);
            let at = Offset::from_nanos(1_000 + number as i64);
            let offset = record.take_offset(at).expect("the test's own time is valid");
            let position = Position { offset, seq: Seq::new(1, number + 1) };
            ledger.answer(id, Acknowledgement::Position(position));
            let arrived = ledger.late(id).map(|_| at);
            events.push(Event { log: ledger::log(3), position, arrived, record });
        }
        (ledger, events)
    }

    fn judged(change: impl FnOnce(&Ledger, &mut Vec<Event>)) -> Verdict {
        let (ledger, mut events) = two();
        change(&ledger, &mut events);
        let mut verdict = Verdict::default();
        verdict.judge(&ledger, &BTreeMap::from([(3, events)]));
        verdict
    }

    #[test]
    fn events_found_as_they_were_sent_are_clean() {
        let verdict = judged(|_, _| {});
        assert!(verdict.is_clean(), "{verdict}");
        assert_eq!((verdict.found, verdict.sent), (2, (2, 2)));
    }

    #[test]
    fn each_finding_is_distinguished_from_the_others() {
        type Change = fn(&Ledger, &mut Vec<Event>);
        let changes: [(Finding, Change); 5] = [
            (Finding::Lost, |_, events| drop(events.pop())),
            (Finding::Duplicated, |_, events| events.push(events[1].clone())),
            (Finding::OutOfOrder, |_, events| events.reverse()),
            (Finding::Corrupt, |_, events| events[0].record.data = "1 0 x".into()),
            (Finding::Phantom, |ledger, events| {
                let record = ledger.record(OperationId { publisher: 1, number: 9 });
                events.push(Event { record, ..events[0].clone() });
            }),
        ];
        for (finding, change) in changes {
            let verdict = judged(change);
            let only = [Finding::Lost, Finding::Duplicated, Finding::OutOfOrder, Finding::Corrupt, Finding::Phantom]
                .map(|other| (verdict.count(other) > 0) == (other == finding));
            assert_eq!(only, [true; 5], "{finding:?}: {verdict}");
        }
    }

    #[test]
    fn an_unanswered_operation_may_be_missing() {
        let ledger = Ledger::new(7);
        ledger.send(OperationId { publisher: 3, number: 0 }, 1);
        let mut verdict = Verdict::default();
        verdict.judge(&ledger, &BTreeMap::new());
        assert!(verdict.is_clean(), "{verdict}");
    }
}
