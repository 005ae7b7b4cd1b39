//! `--json-data`: events as JSON, with data that is JSON as a value in place of a text.

use hourlog::{Event, wire::json::JsonEvent};

use crate::output::to_json;

/// Returns an event as one line of JSON. Its data is a value if it is JSON, and a text or base64 otherwise.
///
/// The value keeps its digits and the order of its fields: only white space between its tokens is left out.
pub(super) fn line(event: &Event) -> String {
    let json = JsonEvent::from(event);
    let value = json.data.as_deref().filter(|text| serde_json::from_str::<serde_json::Value>(text).is_ok());
    let Some(value) = value.map(without_white_space) else { return to_json(&json) };
    let mut line = to_json(&JsonEvent { data: None, ..json });
    // Data is the last field, and the object has others.
    line.pop();
    line.push_str(",\"data\":");
    line.push_str(&value);
    line.push('}');
    line
}

/// Returns JSON without the white space between its tokens, so that it fits on a line.
fn without_white_space(json: &str) -> String {
    let (mut is_text, mut is_escaped) = (false, false);
    let keeps = |character: &char| {
        let keeps = is_text || !matches!(character, ' ' | '\t' | '\r' | '\n');
        match character {
            '"' if !is_escaped => is_text = !is_text,
            _ => {}
        }
        is_escaped = is_text && *character == '\\' && !is_escaped;
        keeps
    };
    json.chars().filter(keeps).collect()
}

#[cfg(test)]
mod tests {
    use hourlog::{Position, Record, Seq};

    use super::*;

    fn data(data: &[u8]) -> String {
        let position = Position { offset: hourlog::Offset::from_nanos(5), seq: Seq::new(0, 42) };
        let log = "a".parse().expect("a valid id");
        let line = line(&Event { log, position, arrived: None, record: Record::new(data.to_vec()) });
        assert!(!line.contains('\n') && serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{line}");
        let start = "{\"log\":\"a\",\"position\":\"5-42\",\"offset\":\"5\",\"seq\":\"42\",\
                     \"time\":\"1970-01-01T00:00:00.000000005Z\",\"metadata\":{},\"";
        line.strip_prefix(start).expect(&line).to_owned()
    }

    #[test]
    fn data_that_is_json_becomes_a_value() {
        for (bytes, expected) in [
            (&b"{\"b\": 1.10,\n \"a\" : [ \"x \\\" y\", null ]}"[..], r#"data":{"b":1.10,"a":["x \" y",null]}}"#),
            (b"12345678901234567890123", r#"data":12345678901234567890123}"#),
            (b" \"a\\\\\" ", r#"data":"a\\"}"#),
            (b"hello", r#"data":"hello"}"#),
            (b"{\"cut\":", r#"data":"{\"cut\":"}"#),
            (b"{} {}", r#"data":"{} {}"}"#),
            (b"", r#"data":""}"#),
            (b"\xff", r#"data_base64":"/w=="}"#),
        ] {
            assert_eq!(data(bytes), expected);
        }
    }
}
