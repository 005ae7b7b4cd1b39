//! The report of an import: how many events were new, and of how many that is not known.

use hourlog::{Error, ErrorKind, LogId, Position, wire::ReceiptReply};
use serde::Serialize;

use crate::output::{counted, human_count};

/// The lines of the messages that were sent. A line without an event has no message.
#[derive(Debug, Default)]
pub(super) struct MessageLines {
    /// The first message and its line of each run of lines with one event each.
    runs: Vec<(u64, u64)>,
    count: u64,
    /// A line has had more than one event.
    is_many: bool,
    last: u64,
}

impl MessageLines {
    /// Adds a message. Returns its number, from 1 on.
    pub(super) fn add(&mut self, line: u64) -> u64 {
        self.count += 1;
        self.is_many |= line == std::mem::replace(&mut self.last, line);
        let is_next = self.runs.last().is_some_and(|(message, first)| line - first == self.count - message);
        if !is_next {
            self.runs.push((self.count, line));
        }
        self.count
    }

    /// Returns the line of a message.
    fn line(&self, number: u64) -> u64 {
        let run = self.runs.partition_point(|(message, _)| *message <= number).checked_sub(1);
        run.map_or(number, |run| self.runs[run].1 + number - self.runs[run].0)
    }
}

/// The events of an import, once all are sent: `events = new + known + rejected + unknown`.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Report {
    /// Number of events.
    events: u64,
    /// Each line had one of them.
    #[serde(skip)]
    are_lines: bool,
    /// Number of logs that they belong to.
    logs: u64,
    /// The service says that all are archived.
    pub(super) archived: bool,
    /// Number of events that were stored.
    new: u64,
    /// Number of events that were there already.
    known: u64,
    /// Number of events that were rejected.
    rejected: u64,
    /// Number of events of which it is not known.
    unknown: u64,
    /// The log that has got the rejected ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected_log: Option<LogId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<RejectedEvents>,
    /// The reason why the service could not be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    unasked: Option<String>,
}

/// The events that were rejected for one reason.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct RejectedEvents {
    reason: String,
    count: u64,
    /// The line of the first one.
    line: u64,
    /// Its position in the log of rejected events.
    position: Position,
}

impl Report {
    /// Returns the report of an import whose events were sent, and of which nothing else is known.
    pub(super) fn sent(lines: &MessageLines, logs: u64) -> Self {
        let MessageLines { count, is_many, .. } = *lines;
        Self { events: count, are_lines: !is_many, logs, unknown: count, ..Self::default() }
    }

    /// Counts them as what the file has: lines, or events.
    fn counted(&self, count: u64) -> String {
        counted(count, if self.are_lines { "line" } else { "event" })
    }

    /// Notes why the service could not be asked.
    pub(super) fn could_not_ask(&mut self, error: &Error) {
        self.unasked = Some(error.to_string());
    }

    /// Adds what the service says. Ignores a receipt that counts more than was sent.
    pub(super) fn add(&mut self, receipt: ReceiptReply, lines: &MessageLines) {
        let Some(unknown) = self.events.checked_sub(receipt.counted()) else { return };
        let rejected = receipt.reasons.into_iter().map(|rejected| RejectedEvents {
            line: lines.line(rejected.number),
            reason: rejected.reason,
            count: rejected.count,
            position: rejected.position,
        });
        (self.new, self.known, self.rejected, self.unknown) = (receipt.new, receipt.known, receipt.rejected, unknown);
        self.reasons = rejected.collect();
        self.rejected_log = (self.rejected > 0).then_some(receipt.rejected_log);
    }

    /// Returns the report as a sentence.
    pub(super) fn sentence(&self) -> String {
        let lines = format!("{} into {}", self.counted(self.events), counted(self.logs, "log"));
        match (&self.unasked, self.archived) {
            (Some(reason), false) => {
                format!("sent {lines}; could not ask the service whether they are archived: {reason}")
            }
            (Some(reason), true) => {
                format!("archived {lines}; could not ask the service how many of them were new: {reason}")
            }
            (None, _) => {
                let were = if self.known == 1 { "was" } else { "were" };
                let mut text =
                    format!("{lines}: {} new, {} {were} there already", human_count(self.new), human_count(self.known));
                if self.rejected > 0 {
                    text += &format!(", {} rejected", human_count(self.rejected));
                }
                if self.unknown > 0 {
                    text += &format!(", {} not known", human_count(self.unknown));
                }
                text
            }
        }
    }

    /// Returns the error of an import that has not come in whole, or of which that is not known although the
    /// service was asked.
    pub(super) fn error(&self, name: &str) -> Option<Error> {
        if let Some(log) = &self.rejected_log {
            let reasons = self.reasons.iter().map(|rejected| {
                let more = match rejected.count - 1 {
                    0 => String::new(),
                    more => format!(" (and {} like it)", self.counted(more)),
                };
                format!("{name} line {}: {}{more}", rejected.line, rejected.reason)
            });
            let listed: u64 = self.reasons.iter().map(|rejected| rejected.count).sum();
            let mut context = format!(
                "{} of {} rejected, and in the log {log}: {}",
                human_count(self.rejected),
                self.counted(self.events),
                reasons.collect::<Vec<_>>().join("; ")
            );
            if let Some(more @ 1..) = self.rejected.checked_sub(listed) {
                context += &format!("; and {} for other reasons", self.counted(more));
            }
            return Some(Error::new(ErrorKind::Rejected, context));
        }
        (self.unknown > 0 && self.unasked.is_none()).then(|| {
            let context = format!(
                "the service has lost count of {}, which may be new or not; import again to see, nothing is added twice",
                self.counted(self.unknown)
            );
            Error::new(ErrorKind::Deadline, context)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourlog::wire::RejectedCount;

    fn receipt(new: u64, known: u64, rejected: u64) -> ReceiptReply {
        let reason = RejectedCount {
            reason: "too many".to_owned(),
            count: rejected.min(2),
            number: 3,
            position: "5-42".parse().expect("a valid position"),
        };
        ReceiptReply {
            receipt: "Lw6ZqYhIJqkKGQxVCXyOpi".parse().expect("a valid token"),
            stream: "HOURLOG".to_owned(),
            archived: 9,
            new,
            known,
            rejected,
            rejected_log: LogId::rejected(),
            reasons: if rejected > 0 { vec![reason] } else { Vec::new() },
        }
    }

    /// Returns the report of messages of the lines 1, 2, 5, 6 and so on.
    fn report(count: u64, receipt: ReceiptReply) -> Report {
        let mut messages = MessageLines::default();
        (0..count).for_each(|index| assert_eq!(messages.add(index / 2 * 4 + index % 2 + 1), index + 1));
        let mut report = Report { archived: true, ..Report::sent(&messages, 1) };
        report.add(receipt, &messages);
        report
    }

    #[test]
    fn messages_are_found_in_lines_with_others_between_them() {
        let mut messages = MessageLines::default();
        let lines = [2, 3, 4, 9, 10, 20];
        assert_eq!(lines.map(|line| messages.add(line)), [1, 2, 3, 4, 5, 6]);
        assert_eq!([1, 2, 3, 4, 5, 6].map(|number| messages.line(number)), lines);
        assert_eq!((messages.runs.len(), messages.is_many), (3, false));
        assert_eq!((messages.add(20), messages.line(7), messages.is_many), (7, 20, true));
    }

    #[test]
    fn the_sentence_says_what_is_known_and_the_error_what_is_wrong() {
        for (lines, receipt, sentence, code) in [
            (1_707, receipt(0, 1_707, 0), "1,707 lines into 1 log: 0 new, 1,707 were there already", None),
            (5, receipt(4, 1, 0), "5 lines into 1 log: 4 new, 1 was there already", None),
            (5, receipt(2, 0, 3), "5 lines into 1 log: 2 new, 0 were there already, 3 rejected", Some(8)),
            (5, receipt(3, 1, 0), "5 lines into 1 log: 3 new, 1 was there already, 1 not known", Some(6)),
            (5, receipt(6, 0, 0), "5 lines into 1 log: 0 new, 0 were there already, 5 not known", Some(6)),
        ] {
            let report = report(lines, receipt);
            assert_eq!(report.sentence(), sentence);
            assert_eq!(report.error("f").map(|error| error.kind().exit_code()), code, "{sentence}");
            assert_eq!(report.new + report.known + report.rejected + report.unknown, lines);
        }
        let error = report(5, receipt(2, 0, 3)).error("f").expect("three are rejected").to_string();
        assert_eq!(
            error,
            "3 of 5 lines rejected, and in the log _rejected: f line 5: too many (and 1 line like it); and 1 line for other reasons"
        );
    }

    #[test]
    fn a_question_that_is_not_allowed_is_not_an_error() {
        let mut messages = MessageLines::default();
        for _ in 0..5 {
            messages.add(1);
        }
        let mut report = Report::sent(&messages, 1);
        report.could_not_ask(&Error::new(ErrorKind::NotAllowed, "no"));
        assert_eq!(
            (report.sentence().as_str(), report.error("f").is_none()),
            ("sent 5 events into 1 log; could not ask the service whether they are archived: no", true)
        );
        report.archived = true;
        assert_eq!(
            report.sentence(),
            "archived 5 events into 1 log; could not ask the service how many of them were new: no"
        );
    }
}
