//! Lines of `kafka-console-consumer --property print.timestamp=true --property print.key=true`.

use hourlog::{Error, Metadata};

use super::{
    draft::Draft,
    time::{TimeRules, TimeUnit},
};

/// Beginnings of the first field, before its milliseconds.
const TIMES: [&str; 2] = ["CreateTime:", "LogAppendTime:"];
/// Beginnings of the fields that other properties print between the time and the key, and their metadata.
const FIELDS: [(&str, &str); 2] = [("Partition:", "partition"), ("Offset:", "offset")];

/// Parses `CreateTime:1700000000000<TAB>key<TAB>value`. The value is everything after the key, and may have
/// tabs.
///
/// # Errors
/// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid) for a line of another form.
pub(super) fn parse(line: &[u8]) -> Result<Draft, Error> {
    let mut rest = line;
    let millis = field(&mut rest).and_then(|time| TIMES.iter().find_map(|begin| time.strip_prefix(*begin)));
    let millis = millis.ok_or_else(|| {
        Error::invalid(
            "the line does not begin with CreateTime:<milliseconds> and a tab; print the messages with \
             --property print.timestamp=true, or with kcat -J (--format kcat) if values have several lines",
        )
    })?;
    let offset = TimeRules { unit: TimeUnit::Milliseconds, zone: None }.parse(millis)?;
    let mut metadata = Metadata::default();
    for (begin, name) in FIELDS {
        let mut after = rest;
        if let Some(number) = field(&mut after).and_then(|field| field.strip_prefix(begin)) {
            metadata.push(name, number);
            rest = after;
        }
    }
    let mut value = rest;
    let key = rest.contains(&b'\t').then(|| field(&mut value));
    match key {
        // A message without a key prints this.
        Some(Some("null")) | None => {}
        Some(Some(key)) => metadata.push("key", key),
        Some(None) => {
            return Err(Error::invalid("the key is not UTF-8 text; leave it out with --property print.key=false"));
        }
    }
    Ok(Draft { log: None, offset, metadata, data: value.to_vec().into(), exported: false })
}

/// Takes the text before the next tab off `rest`. Returns `None` if it is not UTF-8.
fn field<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let end = rest.iter().position(|byte| *byte == b'\t').unwrap_or(rest.len());
    let (field, after) = rest.split_at(end);
    *rest = after.strip_prefix(b"\t").unwrap_or(after);
    std::str::from_utf8(field).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dumped_message_has_its_time_key_and_value() {
        for (line, metadata, data) in [
            ("CreateTime:1517781402123\tk1\t{\"a\":\t1}", &[("key", "k1")][..], "{\"a\":\t1}"),
            ("CreateTime:1517781402123\tnull\tx", &[], "x"),
            ("CreateTime:1517781402123\tx", &[], "x"),
            ("CreateTime:1517781402123\t\tx", &[("key", "")], "x"),
            (
                "LogAppendTime:1517781402123\tPartition:2\tOffset:7\tk\tx",
                &[("key", "k"), ("offset", "7"), ("partition", "2")],
                "x",
            ),
        ] {
            let draft = parse(line.as_bytes()).expect(line);
            assert_eq!(draft.offset.to_string(), "2018-02-04T21:56:42.123Z");
            let mut actual: Vec<_> = draft.metadata.iter().map(|(name, values)| (name, values[0].as_str())).collect();
            actual.sort_unstable();
            assert_eq!((&actual[..], &draft.data[..]), (metadata, data.as_bytes()), "{line}");
        }
        for line in ["x", "NO_TIMESTAMP\tk\tx", "CreateTime:soon\tk\tx", ""] {
            assert!(parse(line.as_bytes()).is_err(), "{line}");
        }
    }
}
