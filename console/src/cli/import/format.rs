//! The formats of files. A format of JSON is a [`Mapping`] that flags change; a format of text has its own parser.

use clap::ValueEnum;

use super::{
    mapping::{DataFrom, Mapping, MetadataFrom, TIME_NAMES},
    object::FieldPath,
    time::TimeUnit,
};

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Lines such as those that export writes
    Hourlog,
    /// Any JSON objects
    Json,
    /// CloudEvents 1.0, as JSON
    Cloudevents,
    /// OpenTelemetry logs, as the collector's file exporter writes them
    Otlp,
    /// journalctl -o json
    Journald,
    /// kafka-console-consumer with print.timestamp and print.key
    Kafka,
    /// kcat -J
    Kcat,
    /// Lines of text that begin with a time
    Text,
}

impl Format {
    /// Returns the mapping of a format of JSON with fields of its own.
    pub(super) fn mapping(self) -> Option<Mapping> {
        let mut mapping = Mapping {
            time: TIME_NAMES.map(named).to_vec(),
            data: DataFrom::WholeLine,
            log: None,
            metadata: Vec::new(),
            byte_arrays: false,
        };
        match self {
            Self::Hourlog | Self::Kafka | Self::Text => return None,
            Self::Json => {}
            Self::Cloudevents => {
                // The names that the binding of CloudEvents to NATS gives them.
                let except = &["data", "data_base64", "datacontenttype"];
                mapping.time = vec![named("time")];
                mapping.data = DataFrom::DataOrBase64;
                mapping.metadata = vec![
                    MetadataFrom::Members { path: None, prefix: "ce-", except },
                    MetadataFrom::Field { path: named("datacontenttype"), name: "content-type".to_owned() },
                ];
            }
            Self::Otlp => {
                mapping.time = vec![named("timeUnixNano"), named("observedTimeUnixNano")];
                mapping.data = DataFrom::OptionalField(named("body"));
                mapping.metadata = ["severityText", "traceId", "spanId"].map(field).to_vec();
                mapping.metadata.extend(["attributes", "resource"].map(members));
            }
            Self::Journald => {
                mapping.time = vec![named("__REALTIME_TIMESTAMP")];
                mapping.data = DataFrom::Field(named("MESSAGE"));
                let names = ["PRIORITY", "SYSLOG_IDENTIFIER", "_SYSTEMD_UNIT", "_HOSTNAME", "_PID"];
                mapping.metadata = names.map(field).to_vec();
                mapping.byte_arrays = true;
            }
            Self::Kcat => {
                mapping.time = vec![named("ts")];
                mapping.data = DataFrom::OptionalField(named("payload"));
                mapping.metadata = ["key", "topic", "partition", "offset"].map(field).to_vec();
                mapping.metadata.push(MetadataFrom::Pairs(named("headers")));
            }
        }
        Some(mapping)
    }

    /// Returns the unit of times that are numbers, unless a flag says another.
    pub(super) fn time_unit(self) -> TimeUnit {
        match self {
            Self::Hourlog | Self::Json | Self::Cloudevents | Self::Text => TimeUnit::Auto,
            Self::Otlp => TimeUnit::Nanoseconds,
            Self::Journald => TimeUnit::Microseconds,
            Self::Kafka | Self::Kcat => TimeUnit::Milliseconds,
        }
    }

    /// Returns true if an event is a line, and not a JSON value that may have several lines.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Kafka | Self::Text)
    }
}

/// Parses the value of `--metadata`: a field, `FIELD.*` for the members of an object, or `*` for all fields.
pub(super) fn parse_metadata(text: &str) -> Result<MetadataFrom, String> {
    let path = |text: &str| text.parse::<FieldPath>().map_err(|error| error.to_string());
    if text == "*" {
        return Ok(MetadataFrom::Members { path: None, prefix: "", except: &[] });
    }
    match text.strip_suffix(".*") {
        Some(object) => Ok(MetadataFrom::Members { path: Some(path(object)?), prefix: "", except: &[] }),
        None => path(text).map(|path| MetadataFrom::Field { name: path.name(), path }),
    }
}

fn named(name: &str) -> FieldPath {
    FieldPath::Dotted(name.to_owned())
}

fn field(name: &str) -> MetadataFrom {
    MetadataFrom::Field { path: named(name), name: name.to_owned() }
}

fn members(name: &str) -> MetadataFrom {
    MetadataFrom::Members { path: Some(named(name)), prefix: "", except: &[] }
}
