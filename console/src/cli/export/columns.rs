//! The columns of a table of events.

use std::{borrow::Cow, collections::HashMap, fmt, str::FromStr};

use hourlog::{Error, Event, Offset, Result, wire::json::metadata_map};
use serde_json::value::RawValue;

use crate::output::to_json;

/// The names of the columns, for messages.
const NAMES: &str =
    "time, arrived, log, position, offset, seq, size, data, bytes, metadata, metadata.NAME, json, json.PATH";
/// The beginning of a column of metadata; its name follows.
const METADATA: &str = "metadata.";
/// The beginning of a column of JSON; the path of its value follows.
const JSON: &str = "json.";

/// A column: its name, and what it holds of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    /// As the user wrote it, without a type.
    pub(super) name: String,
    field: Field,
    /// The type that the user wrote.
    pub(super) kind: Option<Kind>,
}

/// A part of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Field {
    Time,
    Arrived,
    Log,
    Position,
    Offset,
    Seq,
    /// The size of the data in bytes.
    Size,
    /// The data as text.
    Data,
    /// The data, whatever it is.
    Bytes,
    /// All metadata, as JSON.
    Metadata,
    /// The first value of a name.
    MetadataOf(String),
    /// The data, if it is JSON.
    Json,
    /// A value in it, by the names and indices on the way to it.
    JsonAt(Vec<String>),
}

/// The type of a column, where it matters: in Parquet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int,
    Float,
    Text,
    Time,
    Bytes,
}

impl fmt::Display for Kind {
    /// Names its values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "true or false",
            Self::Int => "whole numbers",
            Self::Float => "numbers",
            Self::Text => "texts",
            Self::Time => "times",
            Self::Bytes => "bytes",
        })
    }
}

/// The value of a column for an event.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell<'a> {
    Nothing,
    Int(i64),
    Time(Offset),
    Text(Cow<'a, str>),
    Bytes(&'a [u8]),
    /// A value of JSON, as it was written.
    Json(&'a str),
}

impl FromStr for Column {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, kind) = match text.rsplit_once(':') {
            Some((name, kind)) if name.starts_with(JSON) || name.starts_with(METADATA) => match kind {
                "bool" => (name, Some(Kind::Bool)),
                "int" => (name, Some(Kind::Int)),
                "float" => (name, Some(Kind::Float)),
                "text" => (name, Some(Kind::Text)),
                _ => return Err(Error::invalid(format!("column {text}: the type is bool, int, float or text"))),
            },
            _ => (text, None),
        };
        let field = match name {
            "time" => Field::Time,
            "arrived" => Field::Arrived,
            "log" => Field::Log,
            "position" => Field::Position,
            "offset" => Field::Offset,
            "seq" => Field::Seq,
            "size" => Field::Size,
            "data" => Field::Data,
            "bytes" => Field::Bytes,
            "metadata" => Field::Metadata,
            "json" => Field::Json,
            _ => match (name.strip_prefix(METADATA), name.strip_prefix(JSON)) {
                (Some(of), _) if !of.is_empty() => Field::MetadataOf(of.to_owned()),
                (_, Some(path)) if path.split('.').all(|part| !part.is_empty()) => {
                    Field::JsonAt(path.split('.').map(str::to_owned).collect())
                }
                _ => return Err(Error::invalid(format!("{text:?} is not a column; the columns are {NAMES}"))),
            },
        };
        Ok(Self { name: name.to_owned(), field, kind })
    }
}

impl Column {
    /// Returns the type of the column; `None` if it depends on the values.
    pub(super) fn kind(&self) -> Option<Kind> {
        match self.field {
            Field::Time | Field::Arrived => Some(Kind::Time),
            Field::Offset | Field::Seq | Field::Size => Some(Kind::Int),
            Field::Bytes => Some(Kind::Bytes),
            Field::JsonAt(_) => self.kind,
            _ => Some(self.kind.unwrap_or(Kind::Text)),
        }
    }
}

/// Returns the cells of an event. Its data is read as JSON once.
pub(super) fn cells<'a>(columns: &[Column], event: &'a Event) -> Vec<Cell<'a>> {
    let is_json = columns.iter().any(|column| matches!(column.field, Field::Json | Field::JsonAt(_)));
    let json: Option<&RawValue> = if is_json { serde_json::from_slice(&event.record.data).ok() } else { None };
    let needs_fields = columns.iter().any(|column| matches!(column.field, Field::JsonAt(_)));
    let fields = json.filter(|_| needs_fields).and_then(object);
    columns.iter().map(|column| column.field.of(event, json, fields.as_ref())).collect()
}

type Object<'a> = HashMap<Cow<'a, str>, &'a RawValue>;

impl Field {
    fn of<'a>(&self, event: &'a Event, json: Option<&'a RawValue>, fields: Option<&Object<'a>>) -> Cell<'a> {
        let (position, record) = (event.position, &event.record);
        match self {
            Self::Time => Cell::Time(position.offset),
            Self::Arrived => Cell::Time(event.arrival_time()),
            Self::Log => Cell::Text(event.log.as_str().into()),
            Self::Position => Cell::Text(position.to_string().into()),
            Self::Offset => Cell::Int(position.offset.nanos()),
            Self::Seq => Cell::Int(position.seq.get()),
            Self::Size => Cell::Int(i64::try_from(record.data.len()).unwrap_or(i64::MAX)),
            Self::Data => std::str::from_utf8(&record.data).map_or(Cell::Nothing, |text| Cell::Text(text.into())),
            Self::Bytes => Cell::Bytes(&record.data),
            Self::Metadata => Cell::Text(to_json(&metadata_map(&record.metadata)).into()),
            Self::MetadataOf(name) => {
                record.metadata.get(name).first().map_or(Cell::Nothing, |value| Cell::Text(value.into()))
            }
            Self::Json => json.map_or(Cell::Nothing, |json| Cell::Text(json.get().into())),
            Self::JsonAt(path) => {
                let value = match path.split_first() {
                    Some((first, rest)) => match fields {
                        Some(fields) => fields.get(first.as_str()).copied().and_then(|value| value_at(value, rest)),
                        None => json.and_then(|json| value_at(json, path)),
                    },
                    None => json,
                };
                value.map(RawValue::get).filter(|value| *value != "null").map_or(Cell::Nothing, Cell::Json)
            }
        }
    }
}

/// Returns the fields of an object.
fn object(value: &RawValue) -> Option<Object<'_>> {
    let fields: HashMap<String, &RawValue> = serde_json::from_str(value.get()).ok()?;
    Some(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

/// Returns the value at the end of a path.
fn value_at<'a>(value: &'a RawValue, path: &[String]) -> Option<&'a RawValue> {
    let Some((first, rest)) = path.split_first() else { return Some(value) };
    let next = match value.get().as_bytes().first()? {
        b'{' => object(value)?.remove(first.as_str())?,
        b'[' => {
            let values: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
            *values.get(first.parse::<usize>().ok()?)?
        }
        _ => return None,
    };
    value_at(next, rest)
}

/// Returns a value of JSON as text: a string as it is meant, and all else as it was written.
pub(super) fn text(json: &str) -> Cow<'_, str> {
    match json.starts_with('"').then(|| serde_json::from_str::<String>(json)) {
        Some(Ok(text)) => text.into(),
        _ => json.into(),
    }
}

#[cfg(test)]
mod tests {
    use hourlog::{Position, Record, Seq};

    use super::*;

    fn event(data: &str) -> Event {
        let position = Position { offset: Offset::from_nanos(5), seq: Seq::new(1, 42) };
        let record = Record::new(data).with("kind", "paid").with("kind", "twice");
        Event { log: "orders.eu".parse().expect("a valid id"), position, arrived: Some(Offset::from_nanos(7)), record }
    }

    fn shown(columns: &str, data: &str) -> Vec<String> {
        let columns: Vec<Column> = columns.split(',').map(|text| text.parse().expect("a column")).collect();
        let event = event(data);
        let shown = cells(&columns, &event).into_iter().map(|cell| match cell {
            Cell::Nothing => "-".to_owned(),
            Cell::Int(number) => number.to_string(),
            Cell::Time(time) => format!("t{}", time.nanos()),
            Cell::Text(text) => text.into_owned(),
            Cell::Bytes(bytes) => format!("{} bytes", bytes.len()),
            Cell::Json(json) => text(json).into_owned(),
        });
        shown.collect()
    }

    #[test]
    fn a_column_holds_a_part_of_an_event() {
        assert_eq!(shown("time,arrived,log,position,offset", "x"), ["t5", "t7", "orders.eu", "5-1099511627818", "5"]);
        assert_eq!(shown("seq,size,data,bytes", "xyz"), ["1099511627818", "3", "xyz", "3 bytes"]);
        assert_eq!(shown("metadata.kind,metadata.none,metadata", "x"), ["paid", "-", r#"{"kind":["paid","twice"]}"#]);
    }

    #[test]
    fn a_value_of_json_keeps_its_digits() {
        let data = r#"{"mag":1.10,"id":23958446825181076828,"at":[1,{"n":"M\u00fcnchen"}],"none":null,"a.b":1}"#;
        assert_eq!(
            shown("json.mag,json.id,json.at.1.n,json.none,json.nowhere,json.mag.x,json.at.9", data),
            ["1.10", "23958446825181076828", "München", "-", "-", "-", "-"]
        );
        assert_eq!(shown("json.at,json.at.1", data), [r#"[1,{"n":"M\u00fcnchen"}]"#, r#"{"n":"M\u00fcnchen"}"#]);
        assert_eq!(shown("json,json.0,data", "no JSON"), ["-", "-", "no JSON"]);
        assert_eq!(shown("json.0", "[7]"), ["7"]);
    }

    #[test]
    fn an_unknown_column_is_refused() {
        for text in ["", "when", "json.", "json.a..b", "metadata.", "json.a:number", "time:int"] {
            assert!(text.parse::<Column>().is_err(), "{text}");
        }
        assert_eq!("json.a:int".parse::<Column>().expect("a column").kind(), Some(Kind::Int));
        assert_eq!("json.a".parse::<Column>().expect("a column").kind(), None);
    }
}
