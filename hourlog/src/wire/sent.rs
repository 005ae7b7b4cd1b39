//! The headers of an append's error reply that tell the state of its record.

use crate::Sent;

/// The header of an append's error reply that tells the state of the record: `no`, `unknown` or `yes`.
pub const SENT: &str = "Hourlog-Sent";
/// The header that names the stream which holds the record, after `yes`.
pub const SENT_STREAM: &str = "Hourlog-Stream";
/// The header with the sequence of the record's message in that stream, after `yes`.
pub const SENT_SEQUENCE: &str = "Hourlog-Sequence";

/// Returns the headers that tell the state of a record.
///
/// ```
/// use hourlog::{Sent, wire::{sent_from, sent_headers}};
/// let sent = Sent::InStream { stream: "HOURLOG".into(), sequence: 42 };
/// let headers: Vec<_> = sent_headers(&sent).collect();
/// assert_eq!(headers[2], ("Hourlog-Sequence", "42".to_owned()));
/// let value = |name: &str| headers.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str());
/// assert_eq!(sent_from(value), Some(sent));
/// ```
pub fn sent_headers(sent: &Sent) -> impl Iterator<Item = (&'static str, String)> {
    let (state, message) = match sent {
        Sent::No => ("no", None),
        Sent::Unknown => ("unknown", None),
        Sent::InStream { stream, sequence } => ("yes", Some((stream, sequence))),
    };
    let message = message
        .map(|(stream, sequence)| [(SENT_STREAM, stream.clone().into_string()), (SENT_SEQUENCE, sequence.to_string())]);
    std::iter::once((SENT, state.to_owned())).chain(message.into_iter().flatten())
}

/// Parses what [`sent_headers`] returns. `value` returns the value of a header.
pub fn sent_from<'a>(value: impl Fn(&str) -> Option<&'a str>) -> Option<Sent> {
    match value(SENT)? {
        "no" => Some(Sent::No),
        "yes" => {
            let sequence = value(SENT_SEQUENCE)?.parse().ok()?;
            Some(Sent::InStream { stream: value(SENT_STREAM)?.into(), sequence })
        }
        _ => Some(Sent::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_parsed_from_its_headers_and_a_damaged_one_is_not_made_up() {
        for sent in [Sent::No, Sent::Unknown, Sent::InStream { stream: "S".into(), sequence: u64::MAX }] {
            let headers: Vec<_> = sent_headers(&sent).collect();
            let value = |name: &str| headers.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str());
            assert_eq!(sent_from(value), Some(sent));
        }
        assert_eq!(sent_from(|_| None), None);
        assert_eq!(sent_from(|name| (name == SENT).then_some("yes")), None);
        assert_eq!(sent_from(|name| (name == SENT).then_some("perhaps")), Some(Sent::Unknown));
    }
}
