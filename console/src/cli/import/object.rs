//! Fields of a JSON object by their path, and their values as text. Values stay as they are written, to the last
//! digit.

use std::{borrow::Cow, collections::BTreeMap, str::FromStr};

use hourlog::{Error, wire::shorten};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// A JSON object whose values are not parsed yet.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Object<'a>(#[serde(borrow)] BTreeMap<Key<'a>, &'a RawValue>);

#[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl std::borrow::Borrow<str> for Key<'_> {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'a> Object<'a> {
    /// Parses an object.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid) for text that is not a JSON object.
    pub(super) fn parse(text: &'a str) -> Result<Self, Error> {
        serde_json::from_str(text).map_err(|error| Error::invalid(format!("not a JSON object: {error}")))
    }

    /// Returns the value of the member `name`, unless it is null.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.get(name).copied().filter(|value| value.get() != "null")
    }

    /// Returns the members, ordered by their names.
    pub(super) fn members(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.0.as_ref(), *value))
    }
}

/// The place of a value in an object: `level`, `kubernetes.pod`, or a JSON pointer such as `/kubernetes/pod`.
///
/// A name with dots in it is found as well: the longest name wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FieldPath {
    Dotted(String),
    /// The names of a JSON pointer, unescaped.
    Pointer(Vec<String>),
}

impl FromStr for FieldPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.strip_prefix('/') {
            Some(pointer) => {
                Ok(Self::Pointer(pointer.split('/').map(|name| name.replace("~1", "/").replace("~0", "~")).collect()))
            }
            None if text.is_empty() => Err(Error::invalid("a field has a name; write level, or kubernetes.pod")),
            None => Ok(Self::Dotted(text.to_owned())),
        }
    }
}

impl FieldPath {
    /// Returns the value at this path, unless it is null or missing.
    pub(super) fn find<'a>(&self, object: &Object<'a>) -> Option<&'a RawValue> {
        match self {
            Self::Dotted(path) => dotted(object, path),
            Self::Pointer(names) => {
                let (first, names) = names.split_first()?;
                names.iter().try_fold(object.get(first)?, |value, name| member(value, name))
            }
        }
    }

    /// Returns the path with dots, as the name of metadata.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Dotted(path) => path.clone(),
            Self::Pointer(names) => names.join("."),
        }
    }
}

fn dotted<'a>(object: &Object<'a>, path: &str) -> Option<&'a RawValue> {
    object.get(path).or_else(|| {
        path.rmatch_indices('.').find_map(|(dot, _)| dotted_in(object.get(&path[..dot])?, &path[dot + 1..]))
    })
}

fn dotted_in<'a>(value: &'a RawValue, path: &str) -> Option<&'a RawValue> {
    if let Some(object) = as_object(value) {
        return dotted(&object, path);
    }
    let (index, rest) = path.split_once('.').map_or((path, None), |(index, rest)| (index, Some(rest)));
    let value = member(value, index)?;
    rest.map_or(Some(value), |rest| dotted_in(value, rest))
}

/// Returns the member of an object, or the element of an array.
fn member<'a>(value: &'a RawValue, name: &str) -> Option<&'a RawValue> {
    if let Some(object) = as_object(value) {
        return object.get(name);
    }
    let element = *elements(value)?.get(name.parse::<usize>().ok()?)?;
    (element.get() != "null").then_some(element)
}

/// Returns a value as an object, if it is one.
pub(super) fn as_object(value: &RawValue) -> Option<Object<'_>> {
    value.get().starts_with('{').then(|| serde_json::from_str(value.get()).ok())?
}

/// Returns the elements of a value, if it is an array.
pub(super) fn elements(value: &RawValue) -> Option<Vec<&RawValue>> {
    value.get().starts_with('[').then(|| serde_json::from_str(value.get()).ok())?
}

/// Returns a value as the text of an event: that of a string, or JSON text.
///
/// # Errors
/// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid) for a string that is not Unicode.
pub(super) fn text(value: &RawValue) -> Result<String, Error> {
    match value.get().as_bytes().first() {
        Some(b'"') => parsed(value),
        _ => Ok(on_one_line(value.get()).into_owned()),
    }
}

/// Returns a value as the values of metadata: one, those of an array, or none for null.
///
/// # Errors
/// Those of [`text`].
pub(super) fn texts(value: &RawValue) -> Result<Vec<String>, Error> {
    match elements(value) {
        Some(elements) => elements.into_iter().filter(|element| element.get() != "null").map(text).collect(),
        None if value.get() == "null" => Ok(Vec::new()),
        None => text(value).map(|text| vec![text]),
    }
}

fn parsed<T: DeserializeOwned>(value: &RawValue) -> Result<T, Error> {
    serde_json::from_str(value.get())
        .map_err(|error| Error::invalid(format!("the value {} cannot be read: {error}", shorten(value.get()))))
}

/// Returns JSON text without the blank space between its parts, if it has more than one line.
pub(super) fn on_one_line(json: &str) -> Cow<'_, str> {
    if !json.contains('\n') {
        return Cow::Borrowed(json);
    }
    let (mut out, mut quoted, mut escaped) = (String::with_capacity(json.len()), false, false);
    for c in json.chars() {
        if quoted {
            (quoted, escaped) = (c != '"' || escaped, c == '\\' && !escaped);
        } else if c.is_ascii_whitespace() {
            continue;
        } else {
            quoted = c == '"';
        }
        out.push(c);
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"level":"info","a.b":1,"a":{"b":2,"c":{"d":[10,{"e":"x"}]},"f/g":3},"k8s.pod":{"name":"p"},
        "big":12345678901234567890.123,"none":null,"text":"ab\"c","list":["a",7,null,{"b": 1}]}"#;

    fn found(path: &str) -> Option<String> {
        let object = Object::parse(LINE).expect("it is an object");
        let path: FieldPath = path.parse().expect("a valid path");
        path.find(&object).map(|value| value.get().to_owned())
    }

    #[test]
    fn a_field_is_found_by_its_name_its_dotted_path_or_its_pointer() {
        for (path, expected) in [
            ("level", Some("\"info\"")),
            ("a.b", Some("1")),
            ("/a/b", Some("2")),
            ("a.c.d.0", Some("10")),
            ("a.c.d.1.e", Some("\"x\"")),
            ("/a/c/d/1/e", Some("\"x\"")),
            ("/a/f~1g", Some("3")),
            ("k8s.pod.name", Some("\"p\"")),
            ("big", Some("12345678901234567890.123")),
            ("none", None),
            ("list.2", None),
            ("level.x", None),
            ("a.c.d.9", None),
            ("nowhere", None),
        ] {
            assert_eq!(found(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn a_value_becomes_its_text_or_its_json_on_one_line() {
        let object = Object::parse(LINE).expect("it is an object");
        let texts = |name: &str| texts(object.0[name]).expect("it is Unicode");
        assert_eq!(texts("text"), ["ab\"c"]);
        assert_eq!(texts("big"), ["12345678901234567890.123"]);
        assert_eq!(texts("list"), ["a", "7", "{\"b\": 1}"]);
        assert!(texts("none").is_empty());
        assert_eq!(on_one_line("{\n \"a b\" : \"x \\\" y\" }"), "{\"a b\":\"x \\\" y\"}");
        assert_eq!(on_one_line("{ \"a\": 1 }"), "{ \"a\": 1 }");
        let lone: &RawValue = serde_json::from_str("\"\\ud800\"").expect("the text is JSON");
        assert!(text(lone).is_err());
    }
}
