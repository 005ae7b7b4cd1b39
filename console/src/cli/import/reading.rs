//! How the lines of a file are read: the flags, and the events of a line by them.

use clap::Args;
use hourlog::{Error, Result, wire::shorten};
use jiff::tz::TimeZone;

use crate::{cli::input::without_line_break, exit::Failure, export::Checksum};

use super::{
    draft::Draft,
    format::{self, Format},
    kafka,
    mapping::{DataFrom, Mapping, MetadataFrom},
    native::{self, NativeLine},
    object::{FieldPath, Object},
    otlp,
    time::{TimeRules, TimeUnit},
};

/// Flags that say how a line becomes an event.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct ReadingFlags {
    /// Format of the file [default: hourlog, or json for lines without its fields]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// Field of the time, such as ts, meta.at or /meta/at; repeat it for others to try [default: time, timestamp,
    /// ts, @timestamp, created_at, timeUnixNano]
    #[arg(long, value_name = "FIELD")]
    time_field: Vec<FieldPath>,
    /// Unit of times that are numbers [default: that of the format, or auto]
    #[arg(long, value_enum, value_name = "UNIT")]
    time_unit: Option<TimeUnit>,
    /// Data of the event: whole-line, or a field [default: that of the format]
    #[arg(long, value_name = "whole-line|FIELD", value_parser = parse_data)]
    data: Option<DataFrom>,
    /// Field that names the log
    #[arg(long, value_name = "FIELD", conflicts_with = "log")]
    log_field: Option<FieldPath>,
    /// Field to keep as metadata; FIELD.* for the members of an object, * for all; repeat it for more
    #[arg(long, value_name = "FIELD", value_parser = format::parse_metadata)]
    metadata: Vec<MetadataFrom>,
}

/// The content of a line.
#[derive(Debug)]
pub(super) enum Content {
    Blank,
    Events(Vec<Draft>),
    Trailer(Checksum),
}

/// The rules by which lines become events.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    kind: Kind,
    times: TimeRules,
}

#[derive(Debug, Clone)]
enum Kind {
    /// Hourlog's own form, or by `Mapping` the objects that have none of its fields but the time.
    Detected(Mapping),
    Native,
    Json(Mapping),
    Otlp(Mapping),
    Kafka,
    Text {
        /// Keeps the time in the data.
        whole_line: bool,
    },
}

impl ReadingFlags {
    /// Returns the rules that the flags mean. `zone` is that of times without one.
    ///
    /// # Errors
    /// A wrong combination of flags.
    pub(super) fn reading(self, zone: Option<TimeZone>) -> std::result::Result<Reading, Failure> {
        let names_fields = !self.time_field.is_empty() || self.log_field.is_some() || !self.metadata.is_empty();
        let format = match self.format {
            Some(format) => format,
            None if names_fields || self.data.is_some() => Format::Json,
            None => Format::Hourlog,
        };
        let unit = self.time_unit.unwrap_or(format.time_unit());
        let times = TimeRules { unit, zone };
        let fixed = |what: &str| {
            let context =
                format!("--format {what} has fixed fields; leave out --time-field, --log-field and --metadata");
            Err(Failure::usage(context))
        };
        let kind = match (format, format.mapping()) {
            (Format::Text, _) => match (names_fields, self.data) {
                (false, None) => Kind::Text { whole_line: false },
                (false, Some(DataFrom::WholeLine)) => Kind::Text { whole_line: true },
                (false, Some(_)) => {
                    return Err(Failure::usage("--format text has no fields; give --data whole-line, or leave it out"));
                }
                (true, _) => return fixed("text"),
            },
            (Format::Kafka, _) if names_fields || self.data.is_some() => {
                return fixed("kafka");
            }
            (Format::Kafka, _) => Kind::Kafka,
            (_, None) if names_fields || self.data.is_some() => return fixed("hourlog"),
            (_, None) if self.format.is_some() => Kind::Native,
            (_, None) => Kind::Detected(Format::Json.mapping().expect("JSON has a mapping")),
            (_, Some(mut mapping)) => {
                if !self.time_field.is_empty() {
                    mapping.time = self.time_field;
                }
                if !self.metadata.is_empty() {
                    mapping.metadata = self.metadata;
                }
                mapping.data = self.data.unwrap_or(mapping.data);
                mapping.log = self.log_field;
                if format == Format::Otlp { Kind::Otlp(mapping) } else { Kind::Json(mapping) }
            }
        };
        Ok(Reading { kind, times })
    }

    /// Returns true for a format of text: an event is a line.
    pub(super) fn is_text(&self) -> bool {
        self.format.is_some_and(Format::is_text)
    }
}

impl Reading {
    /// Returns the events of a line.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid), with what to correct.
    pub(super) fn content(&self, line: &[u8]) -> Result<Content> {
        let line = without_line_break(line);
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(Content::Blank);
        }
        match &self.kind {
            Kind::Kafka => Ok(Content::Events(vec![kafka::parse(line)?])),
            Kind::Text { whole_line } => self.text_line(line, *whole_line),
            Kind::Native => self.native(json_text(line)?),
            Kind::Detected(mapping) => {
                let text = json_text(line)?;
                match self.native(text) {
                    Err(_) if is_other_json(text)? => self.object(mapping, text),
                    content => content,
                }
            }
            Kind::Json(mapping) => self.object(mapping, json_text(line)?),
            Kind::Otlp(mapping) => {
                let records = otlp::records(json_text(line)?)?;
                let drafts = records.iter().map(|record| mapping.draft(&Object::parse(record)?, record, &self.times));
                Ok(Content::Events(drafts.collect::<Result<_>>()?))
            }
        }
    }

    fn native(&self, text: &str) -> Result<Content> {
        Ok(match native::parse(text, &self.times)? {
            NativeLine::Event(draft) => Content::Events(vec![draft]),
            NativeLine::Trailer(checksum) => Content::Trailer(checksum),
        })
    }

    fn object(&self, mapping: &Mapping, text: &str) -> Result<Content> {
        Ok(Content::Events(vec![mapping.draft(&Object::parse(text)?, text, &self.times)?]))
    }

    fn text_line(&self, line: &[u8], whole_line: bool) -> Result<Content> {
        // Only the time must be UTF-8. The text after it is kept as it is.
        let valid = match std::str::from_utf8(line) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&line[..error.valid_up_to()]).expect("it is valid up to there"),
        };
        let (offset, rest) = self.times.parse_start(valid)?;
        let data = if whole_line { line } else { &line[valid.len() - rest.len()..] };
        let metadata = hourlog::Metadata::new();
        let data = bytes::Bytes::copy_from_slice(data);
        Ok(Content::Events(vec![Draft { log: None, offset, metadata, data, exported: false }]))
    }
}

fn json_text(line: &[u8]) -> Result<&str> {
    std::str::from_utf8(line).map(str::trim).map_err(|error| Error::invalid(format!("not an event: {error}")))
}

/// Returns true for a line that is not of Hourlog's own form, but an object of another.
///
/// # Errors
/// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid) for an object that could be of either form.
fn is_other_json(text: &str) -> Result<bool> {
    /// Fields that say that a line means to be of Hourlog's form. Any JSON may have a time.
    const OWN: [&str; 5] = ["log", "offset", "data", "data_base64", "position"];
    let Ok(object) = Object::parse(text) else { return Ok(false) };
    let mut names = object.members().map(|(name, _)| name);
    let Some(unknown) = names.find(|name| !native::NAMES.contains(name)) else { return Ok(false) };
    match object.members().map(|(name, _)| name).find(|name| OWN.contains(name)) {
        None => Ok(true),
        Some(own) => Err(Error::invalid(format!(
            "unknown field {:?} beside {own:?}; correct it, or give --format json for lines that are not Hourlog's own",
            shorten(unknown)
        ))),
    }
}

fn parse_data(text: &str) -> std::result::Result<DataFrom, String> {
    match text {
        "whole-line" => Ok(DataFrom::WholeLine),
        field => field.parse().map(DataFrom::Field).map_err(|error: Error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[arg(long)]
        log: Option<String>,
        #[command(flatten)]
        reading: ReadingFlags,
    }

    fn reading(flags: &str) -> Reading {
        let line = Line::try_parse_from(std::iter::once("import").chain(flags.split_whitespace())).expect(flags);
        assert!(line.log.is_none());
        line.reading.reading(Some(TimeZone::UTC)).expect(flags)
    }

    /// Returns the events of a line as `log time name=value… data`.
    fn events(flags: &str, line: &str) -> String {
        let shown = |draft: &Draft| {
            let mut parts = vec![draft.log.clone().unwrap_or_else(|| "-".to_owned()), draft.offset.to_string()];
            parts.extend(draft.metadata.iter().map(|(name, values)| format!("{name}={}", values.join("+"))));
            parts.push(String::from_utf8_lossy(&draft.data).into_owned());
            parts.join(" ")
        };
        match reading(flags).content(line.as_bytes()) {
            Ok(Content::Events(drafts)) => drafts.iter().map(shown).collect::<Vec<_>>().join(" | "),
            Ok(other) => format!("{other:?}"),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn lines_of_each_format_become_events() {
        const AT: &str = "2018-02-04T21:56:42Z";
        for (flags, line, expected) in [
            ("", r#"{"log":"a","time":"2018-02-04T21:56:42Z","data":"x"}"#, format!("a {AT} x")),
            (
                "",
                " {\"ts\":1517781402,\"level\":\"info\"}\r\n",
                format!(r#"- {AT} {{"ts":1517781402,"level":"info"}}"#),
            ),
            (
                "",
                r#"{"@timestamp":"2018-02-04T21:56:42","m":1}"#,
                format!(r#"- {AT} {{"@timestamp":"2018-02-04T21:56:42","m":1}}"#),
            ),
            (
                "--data msg --metadata level",
                r#"{"ts":1517781402000,"level":"info","msg":"x"}"#,
                format!("- {AT} level=info x"),
            ),
            (
                "--data msg",
                r#"{"timestamp":null,"created_at":"1517781402","msg":{"a": 1}}"#,
                format!(r#"- {AT} {{"a": 1}}"#),
            ),
            (
                "--time-field meta.at --time-unit us --log-field meta.app --data /meta/n --metadata meta.k8s.*",
                r#"{"meta":{"at":"1517781402000000","app":"shop.eu","n":7.10,"k8s":{"pod":"p","labels":["a","b"]}}}"#,
                format!("shop.eu {AT} labels=a+b pod=p 7.10"),
            ),
            (
                "--time-field a --time-field b",
                r#"{"b":"2018-02-04T21:56:42Z"}"#,
                format!(r#"- {AT} {{"b":"2018-02-04T21:56:42Z"}}"#),
            ),
            (
                "--format json --data log --metadata stream",
                r#"{"log":"hello\n","stream":"stdout","time":"2018-02-04T21:56:42.000000000Z"}"#,
                format!("- {AT} stream=stdout hello\n"),
            ),
            (
                "--format json --metadata *",
                r#"{"ts":1517781402,"a":true,"n":null}"#,
                format!(r#"- {AT} a=true ts=1517781402 {{"ts":1517781402,"a":true,"n":null}}"#),
            ),
            (
                "--format cloudevents --log-field type",
                r#"{"specversion":"1.0","id":"7","source":"/shop","type":"order.paid","time":"2018-02-04T21:56:42Z","datacontenttype":"application/json","data":{"id": 7}}"#,
                format!(
                    r#"order.paid {AT} ce-id=7 ce-source=/shop ce-specversion=1.0 ce-time={AT} ce-type=order.paid content-type=application/json {{"id": 7}}"#
                ),
            ),
            (
                "--format cloudevents",
                r#"{"specversion":"1.0","id":"8","source":"s","type":"t","time":"2018-02-04T21:56:42Z","data_base64":"eA=="}"#,
                format!("- {AT} ce-id=8 ce-source=s ce-specversion=1.0 ce-time={AT} ce-type=t x"),
            ),
            (
                "--format otlp --log-field resource.service.name",
                r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeLogs":[{"logRecords":[{"timeUnixNano":"1517781402000000000","severityText":"INFO","body":{"stringValue":"x"}},{"timeUnixNano":"0","observedTimeUnixNano":"1517781402000000000","body":{"kvlistValue":{"values":[]}},"attributes":[{"key":"n","value":{"intValue":"7"}}]}]}]}]}"#,
                format!("shop {AT} service.name=shop severityText=INFO x | shop {AT} n=7 service.name=shop {{}}"),
            ),
            (
                "--metadata trace --metadata list",
                r#"{"ts":1517781402,"trace":"a\n\tat \"b\"","list":["x\r\n","y"]}"#,
                format!(
                    r#"- {AT} list="x\r\n"+y trace="a\n\tat \"b\"" {{"ts":1517781402,"trace":"a\n\tat \"b\"","list":["x\r\n","y"]}}"#
                ),
            ),
            (
                "--format journald",
                r#"{"__REALTIME_TIMESTAMP":"1517781402000000","MESSAGE":[104,105,255],"PRIORITY":"6","_PID":["1","2"]}"#,
                format!("- {AT} PRIORITY=6 _PID=1+2 hi\u{fffd}"),
            ),
            (
                "--format kcat --log-field topic",
                r#"{"topic":"orders","partition":0,"offset":7,"tstype":"create","ts":1517781402000,"headers":["h","1","h","2"],"key":null,"payload":"x"}"#,
                format!("orders {AT} h=1+2 offset=7 partition=0 topic=orders x"),
            ),
            ("--format kafka", "CreateTime:1517781402000\tk\tx y", format!("- {AT} key=k x y")),
            ("--format text", "2018-02-04 21:56:42 install foo", format!("- {AT} install foo")),
            ("--format text --data whole-line", "[2018-02-04 21:56:42] x", format!("- {AT} [2018-02-04 21:56:42] x")),
            ("", "  \r\n", "Blank".to_owned()),
        ] {
            assert_eq!(events(flags, line), expected, "{flags}: {line}");
        }
    }

    #[test]
    fn lines_that_do_not_fit_are_refused_with_what_to_do() {
        for (flags, line, reason) in [
            ("", r#"{"log":"a","time":"@1","datum":"x"}"#, "unknown field \"datum\" beside \"log\""),
            ("", r#"{"level":"info"}"#, "--time-field"),
            ("", r#"{"ts":"soon"}"#, "field ts: \"soon\" is not a time"),
            ("", r#"{"ts":{"a":1}}"#, "field ts: {\"a\":1} is not a time"),
            ("", "dear diary", "not an event"),
            ("--format hourlog", r#"{"ts":1517781402}"#, "unknown field `ts`"),
            ("--data msg", r#"{"ts":1517781402}"#, "no field msg; check --data"),
            ("--log-field app", r#"{"ts":1517781402}"#, "no field app; check --log-field"),
            ("--metadata a.*", r#"{"ts":1517781402,"a":1}"#, "field a is not an object"),
            ("--format journald", r#"{"__REALTIME_TIMESTAMP":"1517781402000000","MESSAGE":null}"#, "--all"),
            ("--format otlp", "{}", "resourceLogs"),
            ("--format kafka", "x", "print.timestamp=true"),
            ("--format text", "  at main.rs:7", "does not begin with a time"),
            ("--format cloudevents", r#"{"specversion":"1.0","id":"8"}"#, "--time-field"),
        ] {
            let error = events(flags, line);
            assert!(error.starts_with("error: ") && error.contains(reason), "{flags}: {line}: {error}");
        }
    }

    #[test]
    fn flags_that_a_format_cannot_follow_are_refused() {
        for flags in [
            "--format text --time-field ts",
            "--format text --data msg",
            "--format kafka --data x",
            "--format hourlog --metadata a",
        ] {
            let line = Line::try_parse_from(std::iter::once("import").chain(flags.split(' '))).expect(flags);
            assert!(line.reading.reading(None).is_err(), "{flags}");
        }
    }
}
