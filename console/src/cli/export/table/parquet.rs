//! A table as Parquet. The type of a value of JSON is that of the first ones.

use std::sync::Arc;

use hourlog::{Error, ErrorKind, Event};
use parquet::{
    basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical},
    data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type},
    errors::{ParquetError, Result as Written},
    file::{
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::types::Type,
};

use crate::{exit::Failure, output::counted};

use super::{
    super::columns::{Cell, Column, Kind, cells, text},
    Output, Rows,
};

/// The rows of a group, which are in memory until they are written together.
const ROWS_MAX: usize = 65_536;
/// The bytes of a group, too.
const BYTES_MAX: usize = 32 << 20;
/// The bytes that a value takes beside its text.
const VALUE_BYTES: usize = 32;
/// The greatest whole number that each number below is written as exactly, as a floating-point number.
const EXACT_MAX: u64 = 1 << 53;

/// See the module.
pub(super) struct Parquet {
    columns: Vec<Column>,
    /// The values of the rows that are not written yet, by column.
    values: Vec<Vec<Value>>,
    rows: usize,
    bytes: usize,
    file: File,
}

enum File {
    /// The types are not known yet.
    New(Box<dyn Output>),
    Begun(Box<Begun>),
    /// A write has failed.
    Failed,
}

/// A file whose types are known.
struct Begun {
    writer: SerializedFileWriter<Box<dyn Output>>,
    kinds: Vec<Kind>,
    /// The number of values of each column that its type cannot hold.
    misfits: Vec<u64>,
}

/// A value that waits to be written.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Nothing,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
    Json(String),
}

impl Parquet {
    pub(super) fn new(columns: Vec<Column>, output: Box<dyn Output>) -> Self {
        let values = vec![Vec::new(); columns.len()];
        Self { columns, values, rows: 0, bytes: 0, file: File::New(output) }
    }

    /// Writes the rows that wait.
    fn write_group(&mut self) -> Result<(), Failure> {
        let values = std::mem::replace(&mut self.values, vec![Vec::new(); self.columns.len()]);
        (self.rows, self.bytes) = (0, 0);
        let mut begun = match std::mem::replace(&mut self.file, File::Failed) {
            File::Begun(begun) => begun,
            File::New(output) => Box::new(Begun::new(&self.columns, &values, output).map_err(failed)?),
            File::Failed => return Err(failed(ParquetError::General("an earlier write failed".to_owned()))),
        };
        begun.write(&values).map_err(failed)?;
        self.file = File::Begun(begun);
        Ok(())
    }
}

impl Rows for Parquet {
    fn event(&mut self, event: &Event) -> Result<(), Failure> {
        for (values, cell) in self.values.iter_mut().zip(cells(&self.columns, event)) {
            let value = Value::from(cell);
            self.bytes += value.bytes();
            values.push(value);
        }
        self.rows += 1;
        if self.rows >= ROWS_MAX || self.bytes >= BYTES_MAX { self.write_group() } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> Result<(Box<dyn Output>, Vec<String>), Failure> {
        self.write_group()?;
        let File::Begun(begun) = self.file else { return Err(failed(ParquetError::EOF("it is not begun".to_owned()))) };
        let Begun { writer, kinds, misfits } = *begun;
        let told = self.columns.iter().zip(kinds).zip(misfits).filter(|(_, misfits)| *misfits > 0);
        let told = told.map(|((column, kind), misfits)| {
            let (name, values) = (&column.name, counted(misfits, "value"));
            format!("{values} of {name}, which are not {kind}, were left empty; {name}:text keeps all of them")
        });
        Ok((writer.into_inner().map_err(failed)?, told.collect()))
    }
}

impl Begun {
    fn new(columns: &[Column], values: &[Vec<Value>], output: Box<dyn Output>) -> Written<Self> {
        let kinds: Vec<Kind> = columns
            .iter()
            .zip(values)
            .map(|(column, values)| column.kind().unwrap_or_else(|| kind_of(values)))
            .collect();
        let fields = columns.iter().zip(&kinds).map(|(column, kind)| field(&column.name, *kind).map(Arc::new));
        let schema = Type::group_type_builder("event").with_fields(fields.collect::<Written<_>>()?).build()?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = SerializedFileWriter::new(output, Arc::new(schema), Arc::new(properties))?;
        Ok(Self { writer, misfits: vec![0; kinds.len()], kinds })
    }

    /// Writes the values as a group of rows.
    fn write(&mut self, values: &[Vec<Value>]) -> Written<()> {
        let mut group = self.writer.next_row_group()?;
        for ((values, kind), misfits) in values.iter().zip(&self.kinds).zip(&mut self.misfits) {
            let written = match kind {
                Kind::Bool => write::<BoolType, _>(&mut group, values, boolean),
                Kind::Int | Kind::Time => write::<Int64Type, _>(&mut group, values, integer),
                Kind::Float => write::<DoubleType, _>(&mut group, values, float),
                Kind::Text | Kind::Bytes => write::<ByteArrayType, _>(&mut group, values, bytes),
            };
            *misfits += written?;
        }
        group.close().map(drop)
    }
}

/// Writes the values of the next column, and returns the number of those that `convert` refuses.
fn write<T: DataType, W: std::io::Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[Value],
    convert: impl Fn(&Value) -> Option<T::T>,
) -> Written<u64> {
    let mut column = group.next_column()?.ok_or_else(|| ParquetError::General("a column is missing".to_owned()))?;
    let converted: Vec<Option<T::T>> = values.iter().map(convert).collect();
    let levels: Vec<i16> = converted.iter().map(|value| i16::from(value.is_some())).collect();
    let present = values.iter().filter(|value| **value != Value::Nothing).count();
    let converted: Vec<T::T> = converted.into_iter().flatten().collect();
    column.typed::<T>().write_batch(&converted, Some(&levels), None)?;
    column.close()?;
    Ok((present - converted.len()) as u64)
}

/// Returns the column of a type.
fn field(name: &str, kind: Kind) -> Written<Type> {
    let (physical, logical) = match kind {
        Kind::Bool => (Physical::BOOLEAN, None),
        Kind::Int => (Physical::INT64, None),
        Kind::Float => (Physical::DOUBLE, None),
        Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::NANOS))),
        Kind::Bytes => (Physical::BYTE_ARRAY, None),
    };
    Type::primitive_type_builder(name, physical)
        .with_logical_type(logical)
        .with_repetition(Repetition::OPTIONAL)
        .build()
}

/// Returns the narrowest type that holds all values of JSON.
fn kind_of(values: &[Value]) -> Kind {
    let mut common: Option<Kind> = None;
    let mut are_exact = true;
    for value in values {
        let Value::Json(json) = value else { continue };
        let kind = match json.as_bytes().first() {
            Some(b't' | b'f') => Kind::Bool,
            Some(b'-' | b'0'..=b'9') => match json.parse::<i64>() {
                Ok(number) => {
                    are_exact &= number.unsigned_abs() <= EXACT_MAX;
                    Kind::Int
                }
                Err(_) if json.contains(['.', 'e', 'E']) => Kind::Float,
                Err(_) => Kind::Text,
            },
            _ => Kind::Text,
        };
        common = Some(match common {
            None => kind,
            Some(common) if common == kind => kind,
            Some(Kind::Int | Kind::Float) if matches!(kind, Kind::Int | Kind::Float) => Kind::Float,
            Some(_) => Kind::Text,
        });
    }
    common.filter(|kind| *kind != Kind::Float || are_exact).unwrap_or(Kind::Text)
}

fn boolean(value: &Value) -> Option<bool> {
    value.text()?.parse().ok()
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        value => value.text()?.parse().ok(),
    }
}

fn float(value: &Value) -> Option<f64> {
    let text = value.text()?;
    let is_exact = text.parse::<i64>().is_ok_and(|number| number.unsigned_abs() <= EXACT_MAX);
    let is_fraction = text.contains(['.', 'e', 'E']);
    if is_exact || is_fraction { text.parse().ok() } else { None }
}

fn bytes(value: &Value) -> Option<ByteArray> {
    match value {
        Value::Nothing => None,
        Value::Int(number) => Some(number.to_string().into_bytes().into()),
        Value::Text(text) => Some(text.as_bytes().to_vec().into()),
        Value::Bytes(bytes) => Some(bytes.clone().into()),
        Value::Json(json) => Some(text(json).as_bytes().to_vec().into()),
    }
}

impl Value {
    /// Returns the text of a value that may be a number, or true or false: a text of metadata, or a value of JSON.
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Json(text) => Some(text),
            _ => None,
        }
    }

    fn bytes(&self) -> usize {
        VALUE_BYTES
            + match self {
                Self::Nothing | Self::Int(_) => 0,
                Self::Text(text) | Self::Json(text) => text.len(),
                Self::Bytes(bytes) => bytes.len(),
            }
    }
}

impl From<Cell<'_>> for Value {
    fn from(cell: Cell<'_>) -> Self {
        match cell {
            Cell::Nothing => Self::Nothing,
            Cell::Int(number) => Self::Int(number),
            Cell::Time(time) => Self::Int(time.nanos()),
            Cell::Text(text) => Self::Text(text.into_owned()),
            Cell::Bytes(bytes) => Self::Bytes(bytes.to_vec()),
            Cell::Json(json) => Self::Json(json.to_owned()),
        }
    }
}

fn failed(error: ParquetError) -> Failure {
    match error {
        ParquetError::External(cause) => match cause.downcast::<std::io::Error>() {
            Ok(cause) => Failure::output(*cause),
            Err(cause) => Error::new(ErrorKind::Unexpected, "the table cannot be written").because(cause).into(),
        },
        error => Error::new(ErrorKind::Unexpected, "the table cannot be written").because(error).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(values: &[&str]) -> Kind {
        let json = |text: &&str| if text.is_empty() { Value::Nothing } else { Value::Json((*text).to_owned()) };
        kind_of(&values.iter().map(json).collect::<Vec<_>>())
    }

    #[test]
    fn the_type_of_a_column_holds_all_of_its_values() {
        for (values, expected) in [
            (&["1", "", "-7"][..], Kind::Int),
            (&["1", "2.5"], Kind::Float),
            (&["1e3"], Kind::Float),
            (&["true", "false"], Kind::Bool),
            (&["true", "1"], Kind::Text),
            (&["1", "\"x\""], Kind::Text),
            (&["[1]"], Kind::Text),
            (&["", ""], Kind::Text),
            // As a floating-point number, they would be other numbers.
            (&["23958446825181076828"], Kind::Text),
            (&["9007199254740993", "0.5"], Kind::Text),
        ] {
            assert_eq!(kind(values), expected, "{values:?}");
        }
    }

    #[test]
    fn a_value_that_does_not_fit_is_none() {
        let json = |text: &str| Value::Json(text.to_owned());
        assert_eq!((integer(&json("7")), integer(&json("7.5")), integer(&json("\"7\""))), (Some(7), None, None));
        assert_eq!((float(&json("7")), float(&json("7.5")), float(&json("true"))), (Some(7.0), Some(7.5), None));
        assert_eq!(float(&json("9007199254740993")), None);
        assert_eq!((boolean(&json("true")), boolean(&json("1"))), (Some(true), None));
        assert_eq!(bytes(&json("\"M\\u00fcnchen\"")), Some("München".as_bytes().to_vec().into()));
    }
}
