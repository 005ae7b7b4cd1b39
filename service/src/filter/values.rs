//! An event as an expression sees it. Its parts become values only if the expression names them.

use std::{any::Any, collections::HashMap, sync::OnceLock};

use cel::{
    ExecutionError,
    common::{
        traits::{Container, Indexer},
        types::{
            CelBool, CelBytes, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelTimestamp,
            CelUInt, Type,
        },
        value::{CowVal, StaticVal, Val},
    },
    context::VariableResolver,
};
use chrono::DateTime;
use hourlog::{Event, Metadata};
use serde_json::Value;

/// The names that an expression may use.
pub(super) const NAMES: [&str; 6] = ["metadata", "data", "json", "offset", "time", "log"];

/// An event, as the values of its names. Those that take work are made once.
pub(super) struct EventValues<'e> {
    event: &'e Event,
    metadata: OnceLock<Headers>,
    json: OnceLock<Option<Box<dyn Val>>>,
}

impl<'e> EventValues<'e> {
    pub(super) fn of(event: &'e Event) -> Self {
        Self { event, metadata: OnceLock::new(), json: OnceLock::new() }
    }
}

impl VariableResolver for EventValues<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let Event { log, position, record, .. } = self.event;
        Some(match variable {
            "metadata" => CowVal::Borrowed(self.metadata.get_or_init(|| Headers(record.metadata.clone()))),
            "data" => match std::str::from_utf8(&record.data) {
                Ok(text) => CowVal::owned(CelString::from(text)),
                Err(_) => CowVal::owned(CelBytes::from(&record.data[..])),
            },
            "json" => CowVal::Borrowed(
                &**self.json.get_or_init(|| serde_json::from_slice(&record.data).ok().map(value)).as_ref()?,
            ),
            "offset" => CowVal::owned(CelInt::from(position.offset.nanos())),
            "time" => {
                let time = DateTime::from_timestamp_nanos(position.offset.nanos());
                CowVal::owned(CelTimestamp::from(time.fixed_offset()))
            }
            "log" => CowVal::owned(CelString::from(log.as_str())),
            _ => return None,
        })
    }
}

/// Returns a value of JSON as one of CEL. Its texts are not copied.
fn value(json: Value) -> Box<dyn Val> {
    match json {
        Value::Null => Box::new(CelNull),
        Value::Bool(is) => Box::new(CelBool::from(is)),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(signed), _) => Box::new(CelInt::from(signed)),
            (None, Some(unsigned)) => Box::new(CelUInt::from(unsigned)),
            (None, None) => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Value::String(text) => Box::new(CelString::from(text)),
        Value::Array(items) => Box::new(CelList::from(items.into_iter().map(value).collect::<Vec<_>>())),
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, member)| (CelMapKey::from(name), value(member)));
            Box::new(CelMap::from(members.collect::<HashMap<_, _>>()))
        }
    }
}

static HEADERS: Type = Type::new_unspecified_type("metadata");

/// Metadata: a map of names to their first values, and a list of all values by [`Headers::all`].
#[derive(Debug)]
pub(super) struct Headers(Metadata);

impl Headers {
    /// Returns all values of a name, for `metadata.all("name")`.
    pub(super) fn all(&self, name: &CelString<'_>) -> CelList<'static> {
        let values = self.0.get(name.inner()).iter();
        CelList::from(values.map(|value| Box::new(CelString::from(value.clone())) as Box<dyn Val>).collect::<Vec<_>>())
    }

    fn first(&self, name: &dyn Val) -> Option<&String> {
        self.0.get(name.downcast_ref::<CelString<'_>>()?.inner()).first()
    }
}

impl Val for Headers {
    fn get_type(&self) -> &Type {
        &HEADERS
    }

    fn cel_type() -> &'static Type {
        &HEADERS
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn into_indexer<'v>(self: Box<Self>) -> Option<Box<dyn Indexer + 'v>>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(Self(self.0.clone()))
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Headers {}

impl Container for Headers {
    fn contains(&self, name: &dyn Val) -> Result<bool, ExecutionError> {
        Ok(self.first(name).is_some())
    }
}

impl Indexer for Headers {
    fn get<'b, 'v>(&'b self, name: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let value = self.first(name).ok_or_else(|| ExecutionError::no_such_key("name"))?;
        Ok(CowVal::owned(CelString::from(value.clone())))
    }

    fn steal<'v>(self: Box<Self>, name: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(name).map(CowVal::into_owned)
    }
}
