//! Descriptions for programs of what crosses NATS: JSON Schema of every request and reply, and AsyncAPI around them.
//!
//! Both are made from the code. The files in `schema/` are compared with them by a test, and `cargo xtask schema` writes
//! them.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::Record;

use super::{
    AlterRequest, AppendReply, CURSORS_MAX, CreateRequest, CursorReply, CursorRequest, CursorsReply, DeleteCursorReply,
    DeleteRequest, DescribeReply, EmptyRequest, FOLLOWED, GROUPS_MAX, LOGS_LOOKED_INTO_MAX, LOGS_MAX, LogsReply,
    LogsRequest, MergeRequest, NearReply, NearRequest, NewestReply, NewestRequest, PAGES_MAX, PREVIEWS_MAX,
    PurgeRequest, ReceiptReply, ReceiptRequest, RemovedReply, ReplayRequest, RequeueReply, RequeueRequest,
    STRIP_BINS_MAX, SchemaRequest, SetCursorReply, SetCursorRequest, Span, StatusReply, TimelineReply, TimelineRequest,
    TimelinesReply, TimelinesRequest, When,
    json::{JsonMergedPage, JsonPage},
};

/// The name of the file with the JSON Schema.
const JSON_SCHEMA: &str = "hourlog.schema.json";
/// The names that the generator makes for the second of two types with a parameter, and those that they get.
const RENAMED: [(&str, &str); 2] = [("TimelineRequest2", "TimelinesRequest"), ("TimelineReply2", "TimelinesReply")];
/// An endpoint of the service.
struct Endpoint {
    name: &'static str,
    /// The subject after the prefix, with its parameter in braces.
    subject: &'static str,
    summary: &'static str,
    request: fn(&mut SchemaGenerator) -> Value,
    reply: fn(&mut SchemaGenerator) -> Value,
}

impl Endpoint {
    const fn new<Q: JsonSchema, A: JsonSchema>(
        name: &'static str,
        subject: &'static str,
        summary: &'static str,
    ) -> Self {
        Self { name, subject, summary, request: reference::<Q>, reply: reference::<A> }
    }
}

/// The data of an event: any bytes.
struct Bytes;

impl JsonSchema for Bytes {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"description": "The data of an event: any bytes, whether they are JSON or not."})
    }
}

/// A file: its text, as it is.
struct FileText;

impl JsonSchema for FileText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FileText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"description": "The text of a file, as it is."})
    }
}

fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new::<Bytes, AppendReply>(
            "append",
            "append.{log}",
            "Writes an event, and answers once it is archived",
        ),
        Endpoint::new::<ReplayRequest, JsonPage>("replay", "replay.{log}", "Reads one page of a log"),
        Endpoint::new::<MergeRequest, JsonMergedPage>(
            "merge",
            "merge.{prefix}",
            "Reads one page of all logs below a prefix, in one timeline",
        ),
        Endpoint::new::<MergeRequest, JsonMergedPage>(
            "merge-all",
            "merge",
            "Reads one page of all logs, in one timeline",
        ),
        Endpoint::new::<EmptyRequest, DescribeReply>("describe", "describe.{log}", "Describes a log"),
        Endpoint::new::<NearRequest, NearReply>("near", "near.{log}", "Finds what is around a moment of a log"),
        Endpoint::new::<TimelineRequest, TimelineReply>("timeline", "timeline.{log}", "Counts events by time"),
        Endpoint::new::<TimelinesRequest, TimelinesReply>(
            "timelines",
            "timelines.{prefix}",
            "Counts by time the events of all logs below a prefix",
        ),
        Endpoint::new::<TimelinesRequest, TimelinesReply>(
            "timelines-all",
            "timelines",
            "Counts by time the events of all logs",
        ),
        Endpoint::new::<LogsRequest, LogsReply>("logs", "logs", "Lists logs"),
        Endpoint::new::<NewestRequest, NewestReply>(
            "newest",
            "newest.{prefix}",
            "Returns the newest events of many logs below a prefix",
        ),
        Endpoint::new::<NewestRequest, NewestReply>("newest-all", "newest", "Returns the newest events of many logs"),
        Endpoint::new::<EmptyRequest, StatusReply>(
            "status",
            "status",
            "Reports on the service; every instance answers",
        ),
        Endpoint::new::<SchemaRequest, FileText>("schema", "schema", "Returns a description of what crosses NATS"),
        Endpoint::new::<ReceiptRequest, ReceiptReply>(
            "receipt",
            "receipt.{token}",
            "Tells how many messages of a receipt were stored",
        ),
        Endpoint::new::<CursorRequest, CursorReply>("cursor-get", "cursor.get.{log}", "Returns a reader's cursor"),
        Endpoint::new::<SetCursorRequest, SetCursorReply>("cursor-set", "cursor.set.{log}", "Stores a reader's cursor"),
        Endpoint::new::<EmptyRequest, CursorsReply>("cursor-list", "cursor.list.{log}", "Lists the cursors of a log"),
        Endpoint::new::<CursorRequest, DeleteCursorReply>(
            "cursor-delete",
            "cursor.delete.{log}",
            "Deletes a reader's cursor",
        ),
        Endpoint::new::<CreateRequest, DescribeReply>(
            "admin-create",
            "admin.create.{log}",
            "Creates a log before its first event",
        ),
        Endpoint::new::<AlterRequest, DescribeReply>(
            "admin-alter",
            "admin.alter.{log}",
            "Changes the settings of a log",
        ),
        Endpoint::new::<PurgeRequest, RemovedReply>("admin-purge", "admin.purge.{log}", "Removes old events of a log"),
        Endpoint::new::<DeleteRequest, RemovedReply>("admin-delete", "admin.delete.{log}", "Removes a log"),
        Endpoint::new::<RequeueRequest, RequeueReply>(
            "admin-requeue",
            "admin.requeue.{log}",
            "Sends rejected events to their logs again",
        ),
    ]
}

/// Returns the names of the endpoints, each with its subject after the prefix.
///
/// ```
/// use hourlog::wire::schema::subjects;
/// assert!(subjects().contains(&("replay", "replay.{log}")));
/// ```
pub fn subjects() -> Vec<(&'static str, &'static str)> {
    endpoints().into_iter().map(|endpoint| (endpoint.name, endpoint.subject)).collect()
}

/// Returns the JSON Schema of every request and reply, as definitions by their names.
///
/// ```
/// use hourlog::wire::schema::json_schema;
/// assert_eq!(json_schema()["$defs"]["ReplayRequest"]["properties"]["reverse"]["type"], "boolean");
/// ```
pub fn json_schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    for endpoint in endpoints() {
        (endpoint.request)(&mut generator);
        (endpoint.reply)(&mut generator);
    }
    let mut definitions = Value::Object(generator.take_definitions(true));
    plain(&mut definitions);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Hourlog",
        "description": "What crosses NATS as JSON: the requests, and their replies.",
        "$defs": definitions,
    })
}

/// Returns the AsyncAPI document, as YAML.
///
/// ```
/// use hourlog::wire::schema::asyncapi;
/// assert!(asyncapi().contains("address: \"hourlog.replay.{log}\""));
/// ```
pub fn asyncapi() -> String {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let (mut channels, mut operations) = (Map::new(), Map::new());
    for endpoint in endpoints() {
        let (name, reply) = (endpoint.name, format!("{}-reply", endpoint.name));
        let payload = |reference: fn(&mut SchemaGenerator) -> Value, generator: &mut SchemaGenerator| {
            let mut payload = reference(generator);
            plain(&mut payload);
            json!({"payload": payload})
        };
        let request = payload(endpoint.request, &mut generator);
        let answer = payload(endpoint.reply, &mut generator);
        let mut channel = json!({
            "address": format!("hourlog.{}", endpoint.subject),
            "messages": {"request": request},
        });
        if let Some(parameter) = parameter(endpoint.subject) {
            channel["parameters"] = json!({parameter: {"description": described(parameter)}});
        }
        channels.insert(name.to_owned(), channel);
        channels.insert(reply.clone(), json!({"address": null, "messages": {"reply": answer}}));
        operations.insert(
            name.to_owned(),
            json!({
                "action": "receive",
                "summary": endpoint.summary,
                "channel": {"$ref": format!("#/channels/{name}")},
                "messages": [{"$ref": format!("#/channels/{name}/messages/request")}],
                "reply": {
                    "address": {"location": "$message.header#/reply", "description": "The reply subject, an inbox"},
                    "channel": {"$ref": format!("#/channels/{reply}")},
                    "messages": [{"$ref": format!("#/channels/{reply}/messages/reply")}],
                },
            }),
        );
    }
    channels.insert(
        "publish".to_owned(),
        json!({
            "address": "log.{log}",
            "description": "A message here becomes an event of the log. Its headers are metadata.",
            "parameters": {"log": {"description": described("log")}},
            "messages": {"event": {"payload": {}}},
        }),
    );
    operations.insert(
        "publish".to_owned(),
        json!({
            "action": "receive",
            "summary": "Stores an event",
            "channel": {"$ref": "#/channels/publish"},
            "messages": [{"$ref": "#/channels/publish/messages/event"}],
        }),
    );
    let document = json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Hourlog",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Logs of events over NATS: publish, replay, merge, count. An error is a reply with the headers \
                            Nats-Service-Error-Code and Nats-Service-Error.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
    });
    let mut text = String::new();
    write_yaml(&document, 0, &mut text);
    text
}

/// Returns a reference to the definition of a type.
fn reference<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    let reference = generator.subschema_for::<T>().to_value();
    match reference["$ref"].as_str() {
        Some(definition) => json!({"$ref": format!("{JSON_SCHEMA}{definition}")}),
        None => reference,
    }
}

/// Returns the name of a subject's parameter.
fn parameter(subject: &str) -> Option<&str> {
    subject.split_once('{')?.1.strip_suffix('}')
}

fn described(parameter: &str) -> &'static str {
    match parameter {
        "log" => "The id of a log: one or more tokens",
        "prefix" => "The first tokens of the ids",
        _ => "The name of a receipt",
    }
}

/// Makes names and descriptions plain: those of types with a parameter, and the documentation of code.
fn plain(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (generated, name) in RENAMED {
                if let Some(definition) = fields.remove(generated) {
                    fields.insert(name.to_owned(), definition);
                }
            }
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "description" => *text = plain_text(text),
                    Value::String(text) if name == "$ref" => {
                        for (generated, name) in RENAMED {
                            *text = text.replace(generated, name);
                        }
                    }
                    value => plain(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(plain),
        _ => {}
    }
}

/// Returns a description without its example, and without links.
fn plain_text(text: &str) -> String {
    let text = text.split("\n\n```").next().unwrap_or_default().trim().replace('\n', " ");
    let (mut plain, mut rest) = (String::new(), text.as_str());
    while let Some((before, linked)) = rest.split_once("[`") {
        let Some((name, after)) = linked.split_once("`]") else { break };
        plain += before;
        plain += &constant(name).unwrap_or_else(|| name.to_owned());
        rest = match after.strip_prefix('(').and_then(|target| target.split_once(')')) {
            Some((_, after)) => after,
            None => after,
        };
    }
    plain + rest
}

/// Returns the value of a constant that a description names.
fn constant(name: &str) -> Option<String> {
    Some(match name {
        "CURSORS_MAX" => CURSORS_MAX.to_string(),
        "FOLLOWED" => FOLLOWED.to_owned(),
        "GROUPS_MAX" => GROUPS_MAX.to_string(),
        "LOGS_LOOKED_INTO_MAX" => LOGS_LOOKED_INTO_MAX.to_string(),
        "LOGS_MAX" => LOGS_MAX.to_string(),
        "PAGES_MAX" => PAGES_MAX.to_string(),
        "PREVIEWS_MAX" => PREVIEWS_MAX.to_string(),
        "Record::AHEAD_NANOS_MAX" => Span(Record::AHEAD_NANOS_MAX).to_string(),
        "STRIP_BINS_MAX" => STRIP_BINS_MAX.to_string(),
        "When::Last" => When::Last.to_string(),
        _ => return None,
    })
}

/// Writes a value as YAML, which takes every text in the quotes of JSON.
fn write_yaml(value: &Value, depth: usize, to: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let key = if name.starts_with('$') { format!("{name:?}") } else { name.clone() };
                *to += &format!("{indent}{key}:");
                write_under(value, depth, to);
            }
        }
        Value::Array(values) if !values.is_empty() => {
            for value in values {
                *to += &format!("{indent}-");
                write_under(value, depth, to);
            }
        }
        value => *to += &format!("{indent}{value}\n"),
    }
}

/// Writes the value of a name, or of a list.
fn write_under(value: &Value, depth: usize, to: &mut String) {
    let is_nested = match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(values) => !values.is_empty(),
        _ => false,
    };
    if is_nested {
        to.push('\n');
        return write_yaml(value, depth + 1, to);
    }
    *to += &format!(" {value}\n");
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::Path};

    use super::*;

    /// The variable with which the test writes the files, instead of comparing them.
    const WRITE: &str = "HOURLOG_WRITE_SCHEMA";

    #[test]
    fn the_files_are_those_of_the_code() {
        let json = serde_json::to_string_pretty(&json_schema()).expect("it is JSON") + "\n";
        let yaml = asyncapi();
        for (name, made) in [(JSON_SCHEMA, json), ("asyncapi.yaml", yaml)] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schema").join(name);
            if env::var_os(WRITE).is_some() {
                fs::write(&path, &made).expect("the file can be written");
            }
            let stored = fs::read_to_string(&path).unwrap_or_default();
            assert!(stored == made, "schema/{name} is not that of the code; run `cargo xtask schema`");
        }
    }

    #[test]
    fn every_reference_has_a_definition() {
        let schema = json_schema();
        let text = schema.to_string() + &asyncapi();
        let references: Vec<&str> = text.split("#/$defs/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(references.len() > 50);
        for name in references {
            assert!(schema["$defs"].get(name).is_some(), "{name}");
        }
    }

    #[test]
    fn descriptions_are_for_readers_without_the_code() {
        assert_eq!(
            plain_text("By [`When::Last`].\nMore, [`PREVIEWS_MAX`](super::X) too.\n\n```\ncode\n```"),
            "By last. More, 10 too."
        );
        let text = json_schema().to_string();
        assert!(!text.contains("```") && !text.contains("[`") && !text.contains("_MAX"));
    }

    #[test]
    fn requests_refuse_what_they_do_not_know() {
        let schema = json_schema();
        for (name, definition) in schema["$defs"].as_object().expect("an object") {
            if name.ends_with("Request") {
                assert_eq!(definition["additionalProperties"], false, "{name}");
            }
        }
    }
}
