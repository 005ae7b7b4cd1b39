//! What was found, held against the ledger.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use hourlog::{Event, parts};

use super::ledger::{self, Answer, Id, Ledger};

/// The examples that a verdict shows of each fault.
const EXAMPLES_MAX: usize = 5;

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It was answered, and is not there.
    Lost,
    /// It is there more than once.
    Duplicated,
    /// It was sent after another was answered, and stands before it.
    OutOfOrder,
    /// It is not what was sent, or not where its answer says.
    Corrupt,
    /// Nobody sent it.
    Phantom,
    /// The counts tell another number than there are.
    Miscounted,
    /// Two ways to read the same do not agree.
    Unlike,
    /// Who followed did not get every event once.
    Missed,
    /// What was broken and is whole again does not go on.
    Stuck,
}

/// What was found to be wrong: nothing, if all is well.
#[derive(Debug, Default)]
pub struct Verdict {
    faults: BTreeMap<Fault, Vec<String>>,
    counts: BTreeMap<Fault, u64>,
    /// Events that are there.
    pub found: u64,
    /// Operations that were sent, and that were answered.
    pub sent: (u64, u64),
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.counts.is_empty()
    }

    /// How often something is wrong in this way.
    pub fn count(&self, fault: Fault) -> u64 {
        self.counts.get(&fault).copied().unwrap_or(0)
    }

    /// Notes a fault.
    pub fn note(&mut self, fault: Fault, what: impl FnOnce() -> String) {
        *self.counts.entry(fault).or_default() += 1;
        let examples = self.faults.entry(fault).or_default();
        if examples.len() < EXAMPLES_MAX {
            examples.push(what());
        }
    }

    /// Holds `events`, by log and each log's in the order of their seqs, against the ledger.
    pub fn judge(&mut self, ledger: &Ledger, events: &BTreeMap<u32, Vec<Event>>) {
        let mut seen: HashMap<Id, u64> = HashMap::new();
        for (log, events) in events {
            // The greatest time of sending among what stands before.
            let mut sent_max: HashMap<u32, (u64, Id)> = HashMap::new();
            for event in events {
                self.found += 1;
                let Some(id) = self.check(ledger, *log, event) else { continue };
                *seen.entry(id).or_default() += 1;
                let operation = ledger.operation(id).expect("it was checked");
                let before = sent_max.entry(id.publisher).or_insert((operation.sent, id));
                if operation.answered.is_some_and(|(answered, _)| answered < before.0) {
                    let before = before.1;
                    self.note(Fault::OutOfOrder, || format!("{before} stands before {id} in log {log}"));
                }
                if operation.sent > before.0 {
                    *before = (operation.sent, id);
                }
            }
        }
        for (id, times) in seen.iter().filter(|(_, times)| **times > 1) {
            self.note(Fault::Duplicated, || format!("{id} is there {times} times"));
        }
        let answered = ledger.answered();
        self.sent = (ledger.len() as u64, answered.len() as u64);
        for id in answered.into_iter().filter(|id| !seen.contains_key(id)) {
            self.note(Fault::Lost, || format!("{id}, {:?}", ledger.operation(id)));
        }
    }

    /// Looks at one event alone. Answers whose it is, if that is known.
    fn check(&mut self, ledger: &Ledger, log: u32, event: &Event) -> Option<Id> {
        let Some(id) = ledger::id_of(&event.record.data) else {
            self.note(Fault::Corrupt, || format!("event {} of log {log} is nobody's", event.position));
            return None;
        };
        let Some(operation) = ledger.operation(id) else {
            self.note(Fault::Phantom, || format!("{id} at {} of log {log}", event.position));
            return None;
        };
        let late = ledger.late(id);
        let mut record = ledger.record(id);
        record.metadata.remove(hourlog::header::TIME);
        let (position, arrived) = (event.position, event.arrived);
        let placed = late.map_or(arrived.is_none(), |late| position.offset == late && arrived.is_some());
        let answered = match operation.answered {
            Some((_, Answer::Position(answered))) => answered == position,
            Some((_, Answer::Sequence(sequence))) => parts(position.seq).1 == sequence,
            None => true,
        };
        if operation.log != log || event.record != record || !placed || !answered {
            self.note(Fault::Corrupt, || format!("{id} at {position} of log {log}: {event:?}, but {operation:?}"));
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
        for (fault, count) in &self.counts {
            write!(f, "\n{fault:?}: {count}")?;
            for example in &self.faults[fault] {
                write!(f, "\n  {example}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourlog::{Offset, Position, seq};

    /// Two operations of one publisher in one log, the second sent after the first was answered, as they should be found.
    fn two() -> (Ledger, Vec<Event>) {
        let ledger = Ledger::new(7);
        let mut events = Vec::new();
        for number in 0..2 {
            let id = Id { publisher: 1, number };
            let mut record = ledger.send(id, 3);
            let at = Offset::from_nanos(1_000 + number as i64);
            let offset = record.take_offset(at).expect("a good time");
            let position = Position { offset, seq: seq(1, number + 1) };
            ledger.answer(id, Answer::Position(position));
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
    fn what_is_as_it_was_sent_is_clean() {
        let verdict = judged(|_, _| {});
        assert!(verdict.is_clean(), "{verdict}");
        assert_eq!((verdict.found, verdict.sent), (2, (2, 2)));
    }

    #[test]
    fn each_fault_is_told_from_the_others() {
        type Change = fn(&Ledger, &mut Vec<Event>);
        let changes: [(Fault, Change); 5] = [
            (Fault::Lost, |_, events| drop(events.pop())),
            (Fault::Duplicated, |_, events| events.push(events[1].clone())),
            (Fault::OutOfOrder, |_, events| events.reverse()),
            (Fault::Corrupt, |_, events| events[0].record.data = "1 0 x".into()),
            (Fault::Phantom, |ledger, events| {
                let record = ledger.record(Id { publisher: 1, number: 9 });
                events.push(Event { record, ..events[0].clone() });
            }),
        ];
        for (fault, change) in changes {
            let verdict = judged(change);
            let only = [Fault::Lost, Fault::Duplicated, Fault::OutOfOrder, Fault::Corrupt, Fault::Phantom]
                .map(|other| (verdict.count(other) > 0) == (other == fault));
            assert_eq!(only, [true; 5], "{fault:?}: {verdict}");
        }
    }

    #[test]
    fn what_was_never_answered_may_be_missing() {
        let ledger = Ledger::new(7);
        ledger.send(Id { publisher: 3, number: 0 }, 1);
        let mut verdict = Verdict::default();
        verdict.judge(&ledger, &BTreeMap::new());
        assert!(verdict.is_clean(), "{verdict}");
    }
}
