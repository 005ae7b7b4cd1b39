//! The check of rejected events: which subjects are rejected, and why.

use hourlog::{Error, Event, header};

use crate::output::counted;

use super::finding::Finding;

/// Number of the newest rejected events that are read.
pub(super) const REJECTIONS_MAX: u32 = 1_000;
/// Number of reasons and of subjects that are shown.
const SHOWN_MAX: usize = 3;

/// Judges a service that has rejected nothing.
pub(super) fn none() -> Finding {
    Finding::ok("rejected", "no events since the service started")
}

/// Judges a service that has rejected `count` events, by the newest of them.
pub(super) fn judge(count: u64, newest: Result<Vec<Event>, Error>) -> Finding {
    let found = format!("{} since the service started", counted(count, "event"));
    let advice = "hourlog read _rejected shows them; mend the publishers";
    match newest {
        Ok(events) => {
            let reasons: Vec<String> = grouped(&events).into_iter().take(SHOWN_MAX).map(Reason::text).collect();
            let newest = if events.len() == 1 { "newest".to_owned() } else { format!("newest {}", events.len()) };
            Finding::warn("rejected", format!("{found}; {newest}: {}", reasons.join("; ")), advice)
        }
        Err(error) => Finding::warn("rejected", format!("{found}; cannot read them: {error}"), advice),
    }
}

/// A reason with the subjects that were rejected for it.
#[derive(Debug, PartialEq, Eq)]
struct Reason<'a> {
    reason: &'a str,
    count: u64,
    /// Each once, in the order of the events.
    subjects: Vec<&'a str>,
}

impl Reason<'_> {
    fn text(self) -> String {
        let mut subjects = self.subjects[..self.subjects.len().min(SHOWN_MAX)].join(", ");
        if self.subjects.len() > SHOWN_MAX {
            subjects.push_str(&format!(" and {} more", self.subjects.len() - SHOWN_MAX));
        }
        format!("{} on {subjects}: {}", counted(self.count, "event"), self.reason)
    }
}

/// Groups events by the reason of their rejection, the most frequent first.
fn grouped(events: &[Event]) -> Vec<Reason<'_>> {
    let mut reasons: Vec<Reason<'_>> = Vec::new();
    for event in events {
        let value = |name| event.record.metadata.get(name).first().map_or("?", String::as_str);
        let (reason, subject) = (value(header::REJECTED), value(header::SUBJECT));
        match reasons.iter_mut().find(|known| known.reason == reason) {
            Some(known) => {
                known.count += 1;
                if !known.subjects.contains(&subject) {
                    known.subjects.push(subject);
                }
            }
            None => reasons.push(Reason { reason, count: 1, subjects: vec![subject] }),
        }
    }
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.count));
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourlog::{LogId, Position, Record};

    #[test]
    fn rejected_events_are_shown_by_reason_and_subject() {
        let event = |subject: &str, reason: &str| Event {
            log: LogId::rejected(),
            position: Position::MIN,
            arrived: None,
            record: Record::new("x").with(header::REJECTED, reason).with(header::SUBJECT, subject),
        };
        let events = [
            event("log.a", "too far ahead"),
            event("log.b c", "not an id"),
            event("log.a", "too far ahead"),
            event("log.d", "too far ahead"),
        ];
        let finding = judge(9, Ok(events.to_vec()));
        assert_eq!(
            finding.found,
            "9 events since the service started; newest 4: 3 events on log.a, log.d: too far ahead; \
             1 event on log.b c: not an id"
        );
    }
}
