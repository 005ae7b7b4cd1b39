//! Filters: which events of a log a reader asks for.
//!
//! A filter is made from the text of a request and checked before it runs. It then looks at one event after the other,
//! for a time that its own size and that of the event bound.

mod check;
mod expression;
mod values;

use hourlog::{Error, Event, Result, text::Text};

use check::CONDITION;
use expression::Expression;

/// The most bytes of a filter's parts together.
const BYTES_MAX: usize = 4 << 10;

/// The parts of a filter, as they are requested.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Parts<'a> {
    /// An expression in CEL.
    pub(crate) expression: Option<&'a str>,
    /// A text, or `re:` and a regular expression.
    pub(crate) text: Option<&'a str>,
    /// `name=value`, or `name`.
    pub(crate) header: Option<&'a str>,
}

/// Which events are asked for: those that pass all parts that are given.
#[derive(Debug)]
pub(crate) struct Filter {
    expression: Option<Expression>,
    text: Option<Text>,
    header: Option<Header>,
}

impl Filter {
    /// Makes the filter of a request; `None` if it has none.
    ///
    /// # Errors
    /// [`Invalid`](hourlog::ErrorKind::Invalid), with what is wrong and where.
    pub(crate) fn of(parts: Parts<'_>) -> Result<Option<Self>> {
        let given = [parts.expression, parts.text, parts.header];
        let bytes: usize = given.iter().flatten().map(|part| part.len()).sum();
        if bytes > BYTES_MAX {
            return Err(Error::invalid(format!("a filter of {bytes} bytes is too long; the most are {BYTES_MAX}")));
        }
        if given.iter().all(Option::is_none) {
            return Ok(None);
        }
        Ok(Some(Self {
            expression: parts.expression.map(|source| Expression::new(CONDITION, source)).transpose()?,
            text: parts.text.map(Text::new).transpose()?,
            header: parts.header.map(Header::new).transpose()?,
        }))
    }

    /// Returns true if an event with these bytes, as it is stored, is certainly not asked for.
    pub(crate) fn rules_out(&self, stored: &[u8]) -> bool {
        self.text.as_ref().is_some_and(|text| text.is_ruled_out(stored))
    }

    /// Returns true if `event` is asked for.
    pub(crate) fn selects(&self, event: &Event) -> bool {
        self.header.as_ref().is_none_or(|header| header.is_in(event))
            && self.text.as_ref().is_none_or(|text| text.is_in(&event.record.data))
            && self.expression.as_ref().is_none_or(|expression| expression.selects(event))
    }
}

/// The value that events are grouped by.
#[derive(Debug)]
pub(crate) struct Grouping(Expression);

impl Grouping {
    /// Makes the grouping of a request.
    ///
    /// # Errors
    /// [`Invalid`](hourlog::ErrorKind::Invalid), with what is wrong and where.
    pub(crate) fn new(source: &str) -> Result<Self> {
        if source.len() > BYTES_MAX {
            let bytes = source.len();
            return Err(Error::invalid(format!("by has {bytes} bytes and is too long; the most are {BYTES_MAX}")));
        }
        Expression::new("by", source).map(Self)
    }

    /// Returns the value that `event` has, if it is a text, a number, or true or false.
    pub(crate) fn value_of(&self, event: &Event) -> Option<String> {
        self.0.text_of(event)
    }
}

/// A name that metadata must have, and one of its values.
#[derive(Debug)]
struct Header {
    name: String,
    value: Option<String>,
}

impl Header {
    fn new(text: &str) -> Result<Self> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        if name.is_empty() {
            return Err(Error::invalid(format!("header {text:?} names none; write name=value, or name")));
        }
        Ok(Self { name: name.to_owned(), value })
    }

    fn is_in(&self, event: &Event) -> bool {
        let values = event.record.metadata.get(&self.name);
        self.value.as_ref().map_or(!values.is_empty(), |value| values.contains(value))
    }
}

#[cfg(test)]
mod tests;
