//! Lines of Hourlog's own form, as export writes them.

use std::collections::BTreeMap;

use hourlog::{Error, Offset, Result, wire::json};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::export::Checksum;

use super::{draft::Draft, object, time::TimeRules};

/// The fields of a line of Hourlog's own form.
pub(super) const NAMES: [&str; 9] =
    ["log", "offset", "time", "metadata", "data", "data_base64", "position", "seq", "arrived"];

/// A parsed line.
#[derive(Debug)]
pub(super) enum NativeLine {
    Event(Draft),
    Trailer(Checksum),
}

/// Smallest number of an offset without a time beside it, in nanoseconds: in 1973. Smaller numbers are
/// milliseconds, or something else, much more often than times of 1970.
const BARE_OFFSET_MIN: u64 = 100_000_000_000_000_000;

/// The fields that a line may have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LineFields<'a> {
    log: Option<String>,
    #[serde(borrow)]
    offset: Option<&'a RawValue>,
    #[serde(borrow)]
    time: Option<&'a RawValue>,
    #[serde(borrow, default)]
    metadata: BTreeMap<String, &'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    data_base64: Option<String>,
    position: Option<IgnoredAny>,
    #[serde(rename = "seq")]
    _seq: Option<IgnoredAny>,
    #[serde(rename = "arrived")]
    _arrived: Option<IgnoredAny>,
    trailer: Option<Checksum>,
}

/// Parses a line.
///
/// # Errors
/// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid), with what to correct.
pub(super) fn parse(text: &str, times: &TimeRules) -> Result<NativeLine> {
    let fields: LineFields =
        serde_json::from_str(text).map_err(|error| Error::invalid(format!("not an event: {error}")))?;
    if let Some(checksum) = fields.trailer {
        return Ok(NativeLine::Trailer(checksum));
    }
    let offset = offset(fields.offset, fields.time, times)?;
    let mut metadata = BTreeMap::new();
    for (name, value) in fields.metadata {
        metadata.insert(name, object::texts(value)?);
    }
    let data = fields.data.filter(|data| data.get() != "null").map(object::text).transpose()?;
    let record = json::record(metadata, data, fields.data_base64)?;
    Ok(NativeLine::Event(Draft {
        log: fields.log,
        offset,
        metadata: record.metadata,
        data: record.data.into_bytes(),
        exported: fields.position.is_some(),
    }))
}

/// Returns the time of the fields `offset` and `time`, which must agree if both are there.
fn offset(offset: Option<&RawValue>, time: Option<&RawValue>, times: &TimeRules) -> Result<Offset> {
    let present = |value: Option<&'_ RawValue>| value.filter(|value| value.get() != "null").map(object::text);
    let offset = present(offset).transpose()?.map(|text| nanos(&text)).transpose()?;
    let time = present(time).transpose()?.map(|text| times.parse(&text)).transpose()?;
    match (offset, time) {
        (Some(offset), Some(time)) if offset != time => Err(Error::invalid(format!(
            "offset {} means {offset}, but time means {time}; keep one of them",
            offset.nanos()
        ))),
        (Some(offset), None) if offset.nanos().unsigned_abs() < BARE_OFFSET_MIN => Err(Error::invalid(format!(
            "offset {} would be {offset}, because it counts nanoseconds; write \"time\" instead, or \"time\" beside it \
             if it is right",
            offset.nanos()
        ))),
        (_, Some(offset)) | (Some(offset), None) => Ok(offset),
        (None, None) => Err(Error::invalid("the line has no time; add \"time\": \"2018-02-04T21:56:42Z\"")),
    }
}

fn nanos(text: &str) -> Result<Offset> {
    text.parse().map(Offset::from_nanos).map_err(|_| {
        Error::invalid(format!("offset {:?} is not a number of nanoseconds", hourlog::wire::shorten(text)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset_of(fields: &str) -> String {
        match parse(&format!("{{\"log\":\"a\",{fields}}}"), &TimeRules::default()) {
            Ok(NativeLine::Event(draft)) => draft.offset.to_string(),
            Ok(NativeLine::Trailer(_)) => panic!("{fields} makes a trailer"),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn offset_and_time_must_agree_and_a_bare_offset_must_be_nanoseconds() {
        for (fields, expected) in [
            (r#""offset":"1517781402123000000""#, "2018-02-04T21:56:42.123Z"),
            (r#""offset":1517781402123000000"#, "2018-02-04T21:56:42.123Z"),
            (r#""offset":1517781402123000000,"time":"2018-02-04T21:56:42.123Z""#, "2018-02-04T21:56:42.123Z"),
            (r#""offset":4711,"time":"1970-01-01T00:00:00.000004711Z""#, "1970-01-01T00:00:00.000004711Z"),
            (r#""offset":null,"time":1517781402"#, "2018-02-04T21:56:42Z"),
            (r#""time":"1970-01-01T00:00:00Z""#, "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(offset_of(fields), expected, "{fields}");
        }
        for (fields, reason) in [
            (r#""offset":4711"#, "counts nanoseconds"),
            (r#""offset":"1517781402123""#, "would be 1970-01-01T00:25:17.781402123Z"),
            (r#""offset":-1"#, "counts nanoseconds"),
            (r#""offset":1517781402.5"#, "not a number of nanoseconds"),
            (r#""offset":"1517781402123000000","time":"2001-01-01T00:00:00Z""#, "keep one of them"),
            (r#""offset":4711,"time":"2018-02-04T21:56:42.123Z""#, "offset 4711 means 1970-01-01T00:00:00.000004711Z"),
            (r#""data":"x""#, "no time"),
        ] {
            let error = offset_of(fields);
            assert!(error.starts_with("error: ") && error.contains(reason), "{fields}: {error}");
        }
    }

    #[test]
    fn data_and_metadata_that_are_not_text_are_taken_as_their_json_text() {
        for (data, expected) in [
            (r#""x""#, "x"),
            ("7.10", "7.10"),
            (r#"{"id": 7}"#, r#"{"id": 7}"#),
            ("[1,2]", "[1,2]"),
            ("false", "false"),
            ("null", ""),
        ] {
            let line =
                format!(r#"{{"log":"a","time":"@1","data":{data},"metadata":{{"n":1,"l":["a",2],"o":{{"b":1}}}}}}"#);
            let Ok(NativeLine::Event(draft)) = parse(&line, &TimeRules::default()) else { panic!("{line}") };
            assert_eq!(draft.data, expected.as_bytes(), "{line}");
            assert_eq!(draft.metadata.get("l"), ["a", "2"]);
            assert_eq!(
                (draft.metadata.get("n"), draft.metadata.get("o")),
                (&["1".to_owned()][..], &["{\"b\":1}".to_owned()][..])
            );
        }
    }
}
