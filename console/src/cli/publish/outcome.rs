//! The sentences that say what has become of events when a write fails: an event that may be stored is
//! never one to write again.

use hourlog::{Error, ErrorKind, Sent};

use crate::output::counted;

/// Says what has become of the one event of a failed append. `again` are the arguments with which the same
/// command stores the event once.
pub(super) fn of_event(error: Error, again: &str) -> Error {
    let may_pass = matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Deadline | ErrorKind::Refused);
    let (kind, text) = match error.sent() {
        Some(Sent::InStream { stream, sequence }) if may_pass && error.kind() != ErrorKind::Refused => (
            ErrorKind::Deadline,
            format!(
                "the stream {stream} has the event as message {sequence}, and it will be archived; do not write it \
                 again, hourlog doctor says why it is not archived yet"
            ),
        ),
        Some(Sent::No) if may_pass => (error.kind(), format!("the event was not sent: {error}")),
        Some(Sent::Unknown) => (
            error.kind(),
            format!(
                "it is not known if the event was stored: {error}; run the command again within 2 minutes with \
                 {again}, which cannot store it twice"
            ),
        ),
        _ => return error,
    };
    let sent = error.sent().cloned().unwrap_or(Sent::Unknown);
    Error::new(kind, text).with_sent(sent).because(error)
}

/// The outcome of a write of lines, in exact counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LineCounts {
    /// Lines whose positions are known.
    pub(super) archived: u64,
    /// Lines after them that the stream holds.
    pub(super) in_stream: Option<InStream>,
    /// Lines after those that were sent, and that the stream may hold.
    pub(super) in_doubt: u64,
}

/// Lines that the stream holds, and that are not known to be archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InStream {
    pub(super) stream: String,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) count: u64,
}

impl LineCounts {
    /// Says what has become of the lines before and after a failure. `id` is the one that stores no line twice, if
    /// there is one.
    pub(super) fn explain(&self, error: Error, id: Option<&str>) -> Error {
        let mut text = format!("{error}; {} archived", counted(self.archived, "line"));
        if let Some(InStream { stream, first, last, count }) = &self.in_stream {
            let messages =
                if first == last { format!("message {first}") } else { format!("messages {first} to {last}") };
            text += &format!(
                ", then {} in the stream {stream} as {messages}: they will be archived",
                counted(*count, "line")
            );
        }
        match self.in_doubt {
            0 => text += ", no other line was sent",
            count => {
                text += &format!("; {} after them may be stored or not: ", counted(count, "line"));
                text += &match id {
                    Some(id) => format!(
                        "run the command with the whole input again at once with --id {id}, which stores no line twice"
                    ),
                    None => "read the end of the log, and write only the lines that are missing".to_owned(),
                };
            }
        }
        let sent = match (self.in_doubt, &self.in_stream) {
            (0, None) => Sent::No,
            _ => Sent::Unknown,
        };
        Error::new(error.kind(), text).with_sent(sent).because(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_may_be_stored_is_never_one_to_write_again() {
        let in_stream = Sent::InStream { stream: "HOURLOG".into(), sequence: 42 };
        for (kind, sent, said, code) in [
            (ErrorKind::Deadline, Some(in_stream.clone()), "has the event as message 42, and it will be archived", 6),
            (ErrorKind::Unavailable, Some(in_stream.clone()), "has the event as message 42", 6),
            (ErrorKind::Unavailable, Some(Sent::No), "the event was not sent: why", 5),
            (ErrorKind::Refused, Some(Sent::No), "the event was not sent: why", 8),
            (ErrorKind::Deadline, Some(Sent::Unknown), "again within 2 minutes with --id 7, which cannot", 6),
            (ErrorKind::Rejected, Some(in_stream), "why", 8),
            (ErrorKind::Invalid, Some(Sent::No), "why", 2),
            (ErrorKind::NotAllowed, None, "why", 4),
        ] {
            let error = Error::new(kind, "why");
            let error = sent.into_iter().fold(error, Error::with_sent);
            let explained = of_event(error, "--id 7");
            assert!(explained.to_string().contains(said), "{explained}");
            assert_eq!(explained.kind().exit_code(), code, "{explained}");
        }
    }

    #[test]
    fn every_line_is_archived_or_in_the_stream_or_in_doubt_or_not_sent() {
        let why = || Error::new(ErrorKind::Unavailable, "why");
        let mut counts = LineCounts { archived: 596, ..LineCounts::default() };
        assert_eq!(counts.explain(why(), Some("x")).to_string(), "why; 596 lines archived, no other line was sent");
        counts.in_stream = Some(InStream { stream: "HOURLOG".to_owned(), first: 600, last: 611, count: 12 });
        let said = counts.explain(why(), Some("x")).to_string();
        assert!(
            said.contains("596 lines archived, then 12 lines in the stream HOURLOG as messages 600 to 611"),
            "{said}"
        );
        assert!(said.ends_with("no other line was sent"), "{said}");
        counts.in_doubt = 1;
        let said = counts.explain(why(), Some("x")).to_string();
        assert!(said.contains("; 1 line after them may be stored or not") && said.contains("--id x"), "{said}");
        let said = counts.explain(why(), None).to_string();
        assert!(said.ends_with("read the end of the log, and write only the lines that are missing"), "{said}");
    }
}
