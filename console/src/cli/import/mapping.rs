//! The mapping from the fields of a JSON object to the parts of an event. A format of JSON is a table of these.

use base64::{Engine, prelude::BASE64_STANDARD};
use hourlog::{Error, Metadata, Offset, wire::shorten};
use serde_json::value::RawValue;

use super::{
    draft::Draft,
    object::{self, FieldPath, Object},
    time::TimeRules,
};

/// Names under which a time is found without `--time-field`. The first one that a line has is taken.
pub(super) const TIME_NAMES: [&str; 6] = ["time", "timestamp", "ts", "@timestamp", "created_at", "timeUnixNano"];

/// The fields that become an event.
#[derive(Debug, Clone)]
pub(super) struct Mapping {
    /// Fields of the time. The first one that is there is taken.
    pub(super) time: Vec<FieldPath>,
    pub(super) data: DataFrom,
    /// The field that names the log, unless `--log` does.
    pub(super) log: Option<FieldPath>,
    pub(super) metadata: Vec<MetadataFrom>,
    /// Text may be an array of bytes, as journald writes what is not UTF-8.
    pub(super) byte_arrays: bool,
}

/// The source of an event's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DataFrom {
    /// The whole line, or the whole object of a format that has several in a line.
    WholeLine,
    /// A field: the text of a string, the JSON text of other values.
    Field(FieldPath),
    /// An optional field. Without it, the event has no data.
    OptionalField(FieldPath),
    /// The fields `data` and `data_base64` of CloudEvents. Both may be missing.
    DataOrBase64,
}

/// A source of an event's metadata. A missing field gives none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MetadataFrom {
    /// The value of a field.
    Field { path: FieldPath, name: String },
    /// Each member of an object, or of the whole line.
    Members { path: Option<FieldPath>, prefix: &'static str, except: &'static [&'static str] },
    /// An array of names and values, by turns.
    Pairs(FieldPath),
}

impl Mapping {
    /// Makes an event of `object`, whose text is `text`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid), with the field and the flag to give.
    pub(super) fn draft(&self, object: &Object<'_>, text: &str, times: &TimeRules) -> Result<Draft, Error> {
        let offset = self.offset(object, times)?;
        let log = match self.log.as_ref().map(|path| (path, path.find(object))) {
            Some((_, Some(log))) => Some(object::text(log)?),
            Some((path, None)) => return Err(missing(path, "--log-field")),
            None => None,
        };
        let data = self.data(object, text)?.into();
        let mut metadata = Metadata::default();
        for from in &self.metadata {
            self.add_metadata(&mut metadata, from, object)?;
        }
        Ok(Draft { log, offset, metadata, data, exported: false })
    }

    fn offset(&self, object: &Object<'_>, times: &TimeRules) -> Result<Offset, Error> {
        let found = self.time.iter().find_map(|path| Some((path, path.find(object)?)));
        let (path, value) = found.ok_or_else(|| {
            let names: Vec<String> = self.time.iter().map(FieldPath::name).collect();
            Error::invalid(format!("the line has no time ({}); name its field with --time-field", names.join(", ")))
        })?;
        let is_scalar = !value.get().starts_with(['{', '[', 't', 'f']);
        let parsed = if is_scalar {
            times.parse(&object::text(value)?)
        } else {
            Err(Error::invalid(format!("{} is not a time", shorten(value.get()))))
        };
        parsed.map_err(|error| Error::invalid(format!("field {}: {error}", path.name())))
    }

    fn data(&self, object: &Object<'_>, text: &str) -> Result<Vec<u8>, Error> {
        let (path, optional) = match &self.data {
            DataFrom::WholeLine => return Ok(object::on_one_line(text).into_owned().into_bytes()),
            DataFrom::DataOrBase64 => return data_or_base64(object),
            DataFrom::Field(path) => (path, false),
            DataFrom::OptionalField(path) => (path, true),
        };
        match path.find(object) {
            Some(value) => Ok(match self.bytes(value) {
                Some(bytes) => bytes,
                None => object::text(value)?.into_bytes(),
            }),
            None if optional => Ok(Vec::new()),
            None if self.byte_arrays => Err(Error::invalid(format!(
                "the line has no {}; journalctl leaves out long fields unless you give it --all, and --data whole-line \
                 takes lines without one",
                path.name()
            ))),
            None => Err(missing(path, "--data")),
        }
    }

    /// Returns the bytes of an array of bytes, where the format has them.
    fn bytes(&self, value: &RawValue) -> Option<Vec<u8>> {
        (self.byte_arrays && value.get().starts_with('[')).then(|| serde_json::from_str(value.get()).ok())?
    }

    fn add_metadata(&self, metadata: &mut Metadata, from: &MetadataFrom, object: &Object<'_>) -> Result<(), Error> {
        match from {
            MetadataFrom::Field { path, name } => match path.find(object) {
                Some(value) => self.add_values(metadata, name, value),
                None => Ok(()),
            },
            MetadataFrom::Members { path: None, prefix, except } => self.add_members(metadata, object, prefix, except),
            MetadataFrom::Members { path: Some(path), prefix, except } => match path.find(object) {
                Some(value) => match object::as_object(value) {
                    Some(members) => self.add_members(metadata, &members, prefix, except),
                    None => {
                        let name = path.name();
                        Err(Error::invalid(format!("field {name} is not an object; give --metadata {name} without .*")))
                    }
                },
                None => Ok(()),
            },
            MetadataFrom::Pairs(path) => {
                let pairs = path.find(object).and_then(object::elements).unwrap_or_default();
                for pair in pairs.chunks(2) {
                    let name = object::text(pair[0])?;
                    pair.get(1).map_or(Ok(()), |value| self.add_values(metadata, &name, value))?;
                }
                Ok(())
            }
        }
    }

    fn add_members(
        &self,
        metadata: &mut Metadata,
        object: &Object<'_>,
        prefix: &str,
        except: &[&str],
    ) -> Result<(), Error> {
        for (name, value) in object.members().filter(|(name, _)| !except.contains(name)) {
            self.add_values(metadata, &format!("{prefix}{name}"), value)?;
        }
        Ok(())
    }

    fn add_values(&self, metadata: &mut Metadata, name: &str, value: &RawValue) -> Result<(), Error> {
        let texts =
            match self.bytes(value) {
                Some(bytes) => vec![String::from_utf8(bytes).map_err(|_| {
                    Error::invalid(format!("field {name} is not UTF-8 text; leave it out of --metadata"))
                })?],
                None => object::texts(value)?,
            };
        for text in texts {
            // Metadata has one line. Stack traces, for example, have more.
            let is_one_line = !text.contains(['\n', '\r']);
            metadata.push(name, if is_one_line { text } else { serde_json::Value::from(text).to_string() });
        }
        Ok(())
    }
}

fn missing(path: &FieldPath, flag: &str) -> Error {
    Error::invalid(format!("the line has no field {}; check {flag}", path.name()))
}

fn data_or_base64(object: &Object<'_>) -> Result<Vec<u8>, Error> {
    match (object.get("data"), object.get("data_base64")) {
        (Some(_), Some(_)) => Err(Error::invalid("an event has data or data_base64, not both")),
        (Some(data), None) => Ok(object::text(data)?.into_bytes()),
        (None, Some(data)) => BASE64_STANDARD
            .decode(object::text(data)?)
            .map_err(|error| Error::invalid("data_base64 is not base64").because(error)),
        (None, None) => Ok(Vec::new()),
    }
}
