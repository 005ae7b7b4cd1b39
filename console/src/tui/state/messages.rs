//! The messages of this session: notices, errors, outages and recoveries.

use std::collections::{BTreeMap, VecDeque};

use hourlog::Offset;

use crate::tui::times;

use super::{
    cursor_row::CursorRow,
    requests::{Outage, RequestKind},
};

/// Limit of the messages that are kept. A repeated one takes no more room.
const MESSAGES_MAX: usize = 500;
/// Limit of the letters of a message.
const LETTERS_MAX: usize = 2_000;

/// The messages of this session.
#[derive(Debug, Default)]
pub struct Messages {
    /// The newest first.
    all: VecDeque<Message>,
    numbers: u64,
    /// Text that the shown messages have.
    pub(crate) find: String,
    /// Number of the message under the cursor; the newest one before the user has chosen.
    cursor: Option<u64>,
    /// Row of the cursor on the screen.
    pub(crate) cursor_row: CursorRow,
    /// The outages that last, by their reasons.
    outages: BTreeMap<RequestKind, String>,
    /// Begin of an outage that has not ended, and the answers before its end.
    offline: Option<(Offset, u64)>,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    number: u64,
    pub(crate) text: String,
    pub(crate) kind: MessageKind,
    /// The time at which it came first.
    pub(crate) first: Offset,
    /// The time at which it came last.
    pub(crate) last: Offset,
    /// How many times it came.
    pub(crate) times: u64,
    is_new: bool,
}

/// The kind of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageKind {
    /// An answer to a key. The user has just looked at the screen, so it is never new.
    Notice,
    /// An error, or the begin of an outage.
    Error,
    /// The end of an outage.
    Recovery,
}

impl Messages {
    /// Adds a message. One with the same sentence is counted, and takes its place among the newest.
    pub(crate) fn add(&mut self, kind: MessageKind, text: &str, now: Offset) {
        let text: String = text.chars().take(LETTERS_MAX).collect();
        let known = self.all.iter().position(|known| known.kind == kind && known.text == text);
        let mut message = known.and_then(|at| self.all.remove(at)).unwrap_or_else(|| {
            self.numbers += 1;
            Message { number: self.numbers, text, kind, first: now, last: now, times: 0, is_new: false }
        });
        (message.last, message.times) = (now, message.times + 1);
        message.is_new |= kind != MessageKind::Notice;
        self.all.push_front(message);
        self.all.truncate(MESSAGES_MAX);
    }

    /// Adds a message for each outage that has begun, and one for the end of them. `answers` counts the requests that have
    /// succeeded so far.
    pub(crate) fn note<'a>(
        &mut self,
        outages: impl Iterator<Item = (RequestKind, &'a Outage)>,
        answers: u64,
        now: Offset,
    ) {
        let outages: Vec<(RequestKind, &Outage)> = outages.collect();
        for (kind, Outage { reason, .. }) in &outages {
            // Requests of several kinds fail for one reason.
            if !self.outages.values().any(|known| known == reason) {
                self.add(MessageKind::Error, reason, now);
            }
            if self.outages.get(kind) != Some(reason) {
                self.outages.insert(*kind, reason.clone());
            }
        }
        self.outages.retain(|known, _| outages.iter().any(|(kind, _)| kind == known));
        let begun = outages.iter().filter(|(_, outage)| !outage.denied).map(|(_, outage)| outage.since).min();
        match (begun, self.offline) {
            (Some(begun), known) => self.offline = Some((known.map_or(begun, |(since, _)| since.min(begun)), answers)),
            // A request that is not sent any more does not tell that the service answers.
            (None, Some((since, before))) if answers > before => {
                let lasted = times::duration(now.nanos().saturating_sub(since.nanos()));
                self.add(MessageKind::Recovery, &format!("the service answers again, after {lasted}"), now);
                self.offline = None;
            }
            (None, _) => {}
        }
    }

    /// Returns the number of messages that were not seen yet.
    pub(crate) fn unseen(&self) -> usize {
        self.all.iter().filter(|message| message.is_new).count()
    }

    /// Notes that all messages were seen.
    pub(crate) fn see(&mut self) {
        for message in &mut self.all {
            message.is_new = false;
        }
    }

    /// Returns the number of all messages.
    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// Returns all messages, the newest first.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &Message> {
        self.all.iter()
    }

    /// Returns the messages that have the text to [find](Self::find), the newest first. Lowercase matches both cases.
    pub(crate) fn shown(&self) -> Vec<&Message> {
        let find = self.find.trim();
        let is_exact = find.chars().any(char::is_uppercase);
        let matches = |message: &&Message| match is_exact {
            true => message.text.contains(find),
            false => message.text.to_lowercase().contains(find),
        };
        self.all.iter().filter(matches).collect()
    }

    /// Returns the index of the cursor among the [shown](Self::shown) messages.
    pub(crate) fn cursor_index(&self, shown: &[&Message]) -> usize {
        self.cursor.and_then(|cursor| shown.iter().position(|message| message.number == cursor)).unwrap_or(0)
    }

    /// Puts the cursor on a shown message, or on the last of them.
    pub(crate) fn go_to(&mut self, index: usize) {
        let shown = self.shown();
        let message = shown.get(index.min(shown.len().saturating_sub(1)));
        // On the newest one, the cursor stays on the newest one.
        self.cursor = message.filter(|_| index > 0).map(|message| message.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Offset {
        Offset::from_nanos(seconds * 1_000_000_000)
    }

    fn lines(messages: &Messages) -> Vec<(&str, u64)> {
        messages.shown().into_iter().map(|message| (message.text.as_str(), message.times)).collect()
    }

    #[test]
    fn repeats_are_counted_and_the_newest_comes_first() {
        let mut messages = Messages::default();
        for (second, text) in ["one", "two", "one"].into_iter().enumerate() {
            messages.add(MessageKind::Error, text, at(second as i64));
        }
        assert_eq!(lines(&messages), [("one", 2), ("two", 1)]);
        assert_eq!((messages.shown()[0].first, messages.shown()[0].last, messages.unseen()), (at(0), at(2), 2));
        messages.see();
        messages.add(MessageKind::Notice, "three", at(3));
        assert_eq!(messages.unseen(), 0, "the user has seen the answer to a key");
        messages.find = "TW".to_owned();
        assert_eq!(lines(&messages), []);
        messages.find = "t".to_owned();
        assert_eq!(lines(&messages), [("three", 1), ("two", 1)]);
    }

    #[test]
    fn messages_have_a_limit() {
        let mut messages = Messages::default();
        for number in 0..MESSAGES_MAX + 5 {
            messages.add(MessageKind::Error, &format!("{number} {}", "x".repeat(LETTERS_MAX)), at(number as i64));
        }
        assert_eq!((messages.count(), messages.shown()[0].text.chars().count()), (MESSAGES_MAX, LETTERS_MAX));
        assert!(messages.shown()[MESSAGES_MAX - 1].text.starts_with("5 "));
    }

    #[test]
    fn the_cursor_stays_on_its_message_while_newer_ones_come() {
        let mut messages = Messages::default();
        for number in 0..3 {
            messages.add(MessageKind::Error, &number.to_string(), at(number));
        }
        messages.go_to(1);
        messages.add(MessageKind::Error, "new", at(9));
        assert_eq!(messages.cursor_index(&messages.shown()), 2);
        messages.go_to(0);
        messages.add(MessageKind::Error, "newer", at(9));
        assert_eq!(messages.cursor_index(&messages.shown()), 0);
    }

    #[test]
    fn an_outage_and_its_end_are_one_message_each() {
        let outage = |reason: &str, denied| Outage { reason: reason.to_owned(), since: at(10), denied };
        let mut messages = Messages::default();
        let (down, denied) = (outage("nobody answers", false), outage("not allowed", true));
        for second in 10..15 {
            let all = [(RequestKind::Logs, &down), (RequestKind::Strips, &down), (RequestKind::Counts, &denied)];
            messages.note(all.into_iter(), 7, at(second));
        }
        assert_eq!(lines(&messages), [("not allowed", 1), ("nobody answers", 1)]);
        // The requests of a log that was closed are not sent any more, which ends no outage.
        messages.note(std::iter::empty(), 7, at(20));
        assert_eq!(messages.count(), 2);
        messages.note(std::iter::empty(), 8, at(22));
        assert_eq!(lines(&messages)[0], ("the service answers again, after 12.0s", 1));
        messages.note([(RequestKind::Logs, &down)].into_iter(), 8, at(30));
        assert_eq!(lines(&messages)[0], ("nobody answers", 2));
    }
}
