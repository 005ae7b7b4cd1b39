//! Acknowledgements of JetStream that arrived as messages.
//!
//! A publisher chooses the reply subject of its message, and JetStream publishes its acknowledgement
//! there with the rights of the server. With the subject of a log as reply subject, the publisher
//! makes the server write to a log that it may not write to itself.
//!
//! An acknowledgement has no headers, and a fixed form in JSON. The decision depends on the message
//! alone, so that a redelivery decides the same.

use hourlog::Error;
use serde::Deserialize;

use super::message::Message;

/// The beginnings of an acknowledgement: of success, and of failure.
const BEGINNINGS: [&[u8]; 2] = [br#"{"stream":""#, br#"{"error":{"code":"#];
/// More bytes than an acknowledgement has. Its longest parts are the name of the stream, at most 255
/// bytes, and the id of a batch, at most 64 characters.
const BYTES_MAX: usize = 2_048;

/// An acknowledgement, or what looks like one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PubAck {
    error: Option<ApiError>,
    #[serde(default)]
    pub(crate) stream: String,
    #[serde(default)]
    seq: u64,
    #[serde(rename = "domain")]
    _domain: Option<String>,
    #[serde(rename = "duplicate")]
    _duplicate: Option<bool>,
    #[serde(rename = "val")]
    _value: Option<String>,
    /// Chosen by the publisher.
    #[serde(rename = "batch")]
    _batch: Option<String>,
    #[serde(rename = "count")]
    _count: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApiError {
    #[serde(rename = "code")]
    _code: u16,
    #[serde(rename = "err_code")]
    _err_code: u16,
    #[serde(rename = "description")]
    _description: String,
}

impl PubAck {
    /// Returns the message as an acknowledgement, if it has the form of one.
    pub(crate) fn parse(message: &Message<'_>) -> Option<Self> {
        let payload = &*message.payload;
        let begins = BEGINNINGS.iter().any(|beginning| payload.starts_with(beginning));
        if !begins || payload.len() > BYTES_MAX || message.headers.is_some_and(|headers| !headers.is_empty()) {
            return None;
        }
        serde_json::from_slice(payload).ok()
    }

    /// Returns true if it can acknowledge a message before `sequence`, or is an error.
    pub(crate) fn is_before(&self, sequence: u64) -> bool {
        self.is_error() || (1..sequence).contains(&self.seq)
    }

    /// Returns true if it refuses a message.
    pub(crate) fn is_error(&self) -> bool {
        self.error.is_some() && self.seq == 0
    }
}

/// Returns the reason to reject an acknowledgement.
pub(crate) fn error(ack: &PubAck) -> Error {
    let of =
        if ack.is_error() { "a refusal".to_owned() } else { format!("the acknowledgement of message {}", ack.seq) };
    Error::invalid(format!(
        "it is {of} by JetStream, stream {:?}: a publisher gave this subject as reply subject; an event of this form needs \
         a header",
        hourlog::wire::shorten(&ack.stream)
    ))
}

#[cfg(test)]
mod tests {
    use async_nats::HeaderMap;
    use hourlog::Offset;

    use super::*;
    use crate::stream::message::MessageKey;

    fn parse(text: &str, headers: Option<&HeaderMap>) -> Option<PubAck> {
        let key = MessageKey { sequence: 9, time: Offset::from_nanos(1) };
        PubAck::parse(&Message { subject: "log.a", headers, payload: text.to_owned().into(), key })
    }

    #[test]
    fn acknowledgements_of_nats_server_are_recognised() {
        for text in [
            r#"{"stream":"A","seq":2}"#,
            r#"{"stream":"A","seq":2,"duplicate": true}"#,
            r#"{"stream":"A","domain":"hub","seq":2}"#,
            r#"{"stream":"A","seq":4,"batch":"chosen text \" <b>","count":2}"#,
            r#"{"stream":"A","seq":1,"val":"5"}"#,
        ] {
            let ack = parse(text, None).unwrap_or_else(|| panic!("{text} was not recognised"));
            assert!(ack.is_before(9) && !ack.is_before(1) && !ack.is_error(), "{text}");
            assert!(parse(text, Some(&HeaderMap::new())).is_some(), "{text}");
        }
        let refused =
            r#"{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 2"},"stream":"A","seq":0}"#;
        assert!(parse(refused, None).is_some_and(|ack| ack.is_error() && ack.is_before(1)));
    }

    #[test]
    fn other_events_are_not() {
        let mut headers = HeaderMap::new();
        headers.insert("kind", "audit");
        assert!(parse(r#"{"stream":"A","seq":2}"#, Some(&headers)).is_none());
        for text in [
            r#"{"stream":"A","seq":2,"by":"me"}"#,
            r#"{ "stream":"A","seq":2}"#,
            r#"{"stream":"A","seq":"2"}"#,
            r#"{"error":{"code":400},"stream":"A","seq":0}"#,
            "",
            "{",
        ] {
            assert!(parse(text, None).is_none(), "{text}");
        }
    }
}
