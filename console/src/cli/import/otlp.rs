//! OpenTelemetry logs as JSON: a line is a request of the collector, and holds many log records.

use hourlog::{Error, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::object::{Object, elements};

/// `ExportLogsServiceRequest`, as the collector's file exporter writes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogsRequest<'a> {
    #[serde(borrow)]
    resource_logs: Vec<ResourceLogs<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceLogs<'a> {
    #[serde(borrow)]
    resource: Option<Attributes<'a>>,
    #[serde(borrow, default)]
    scope_logs: Vec<ScopeLogs<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScopeLogs<'a> {
    #[serde(borrow)]
    scope: Option<Scope<'a>>,
    #[serde(borrow, default)]
    log_records: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Scope<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    version: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Attributes<'a> {
    #[serde(borrow, default)]
    attributes: Vec<Attribute<'a>>,
}

#[derive(Deserialize)]
struct Attribute<'a> {
    #[serde(borrow)]
    key: &'a RawValue,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

/// Returns the log records of a line as JSON objects: the record's fields, with body and attributes as plain
/// JSON, and those of its resource and scope under `resource` and `scope`.
///
/// # Errors
/// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid) for a line that is not such a request.
pub(super) fn records(line: &str) -> Result<Vec<String>> {
    let request: LogsRequest<'_> = serde_json::from_str(line)
        .map_err(|error| Error::invalid(format!("not a line of OpenTelemetry logs (resourceLogs): {error}")))?;
    let mut records = Vec::new();
    for resource_logs in &request.resource_logs {
        let resource = plain_attributes(resource_logs.resource.as_ref().map_or(&[], |resource| &resource.attributes))?;
        for scope_logs in &resource_logs.scope_logs {
            let scope = scope_logs.scope.as_ref().map_or_else(|| "{}".to_owned(), plain_scope);
            for record in &scope_logs.log_records {
                records.push(plain_record(record, &resource, &scope)?);
            }
        }
    }
    Ok(records)
}

fn plain_record(record: &RawValue, resource: &str, scope: &str) -> Result<String> {
    let object = Object::parse(record.get())?;
    let mut members = Vec::new();
    for (name, value) in object.members() {
        let plain = match name {
            "body" => plain_value(value)?,
            "attributes" => {
                let attributes: Vec<Attribute<'_>> = serde_json::from_str(value.get()).map_err(not_attributes)?;
                plain_attributes(&attributes)?
            }
            // A record without a time of its own has a zero, and one without a trace has empty ids.
            "timeUnixNano" if matches!(value.get(), "\"0\"" | "0" | "\"\"") => continue,
            "traceId" | "spanId" | "severityText" if value.get() == "\"\"" => continue,
            _ => value.get().to_owned(),
        };
        members.push(format!("{}:{plain}", serde_json::Value::from(name)));
    }
    members.push(format!("\"resource\":{resource},\"scope\":{scope}"));
    Ok(format!("{{{}}}", members.join(",")))
}

fn plain_scope(scope: &Scope<'_>) -> String {
    let parts = [("name", scope.name), ("version", scope.version)];
    let parts = parts.into_iter().filter_map(|(name, value)| Some(format!("\"{name}\":{}", value?.get())));
    format!("{{{}}}", parts.filter(|part| !part.ends_with(":\"\"")).collect::<Vec<_>>().join(","))
}

fn plain_attributes(attributes: &[Attribute<'_>]) -> Result<String> {
    let mut members = Vec::with_capacity(attributes.len());
    for Attribute { key, value } in attributes {
        let plain = value.map_or_else(|| Ok("null".to_owned()), plain_value)?;
        members.push(format!("{}:{plain}", key.get()));
    }
    Ok(format!("{{{}}}", members.join(",")))
}

/// Returns an `AnyValue`, such as `{"stringValue":"x"}`, as plain JSON.
fn plain_value(value: &RawValue) -> Result<String> {
    let object = Object::parse(value.get())?;
    let Some((kind, value)) = object.members().next() else { return Ok("null".to_owned()) };
    match kind {
        // 64-bit integers are strings in the JSON of protobuf.
        "intValue" => Ok(value.get().trim_matches('"').to_owned()),
        "arrayValue" => {
            let values = Object::parse(value.get())?.get("values").and_then(elements).unwrap_or_default();
            let values = values.into_iter().map(plain_value).collect::<Result<Vec<_>>>()?;
            Ok(format!("[{}]", values.join(",")))
        }
        "kvlistValue" => {
            let Some(values) = Object::parse(value.get())?.get("values") else { return Ok("{}".to_owned()) };
            let values: Vec<Attribute<'_>> = serde_json::from_str(values.get()).map_err(not_attributes)?;
            plain_attributes(&values)
        }
        "stringValue" | "boolValue" | "doubleValue" | "bytesValue" => Ok(value.get().to_owned()),
        _ => Err(Error::invalid(format!("{kind:?} is not a value of OpenTelemetry"))),
    }
}

fn not_attributes(error: serde_json::Error) -> Error {
    Error::invalid(format!("the attributes are not those of OpenTelemetry: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_becomes_plain_records_with_their_resource_and_scope() {
        let line = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
            "scopeLogs":[{"scope":{"name":"cart","version":""},"logRecords":[
            {"timeUnixNano":"0","observedTimeUnixNano":"5","severityText":"","body":{"kvlistValue":{"values":[
              {"key":"a","value":{"intValue":"9007199254740993"}},{"key":"b","value":{"arrayValue":{"values":[
              {"doubleValue":1.50},{"boolValue":true},{}]}}}]}},"traceId":""},
            {"timeUnixNano":"7","body":{"stringValue":"x\"y"},"attributes":[{"key":"k","value":{"bytesValue":"AA=="}}]}]},
            {"logRecords":[{"timeUnixNano":8}]}]},{"scopeLogs":[]}]}"#;
        let resource = r#""resource":{"service.name":"shop"}"#;
        assert_eq!(
            records(line).expect("the line is of the form"),
            [
                format!(
                    r#"{{"body":{{"a":9007199254740993,"b":[1.50,true,null]}},"observedTimeUnixNano":"5",{resource},"scope":{{"name":"cart"}}}}"#
                ),
                format!(
                    r#"{{"attributes":{{"k":"AA=="}},"body":"x\"y","timeUnixNano":"7",{resource},"scope":{{"name":"cart"}}}}"#
                ),
                format!(r#"{{"timeUnixNano":8,{resource},"scope":{{}}}}"#),
            ]
        );
        for bad in ["{}", "[]", r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"newValue":1}}]}]}]}"#] {
            assert!(records(bad).is_err(), "{bad}");
        }
    }
}
