//! `schema`: describes for programs what crosses NATS.

use hourlog::{Error, Result, wire::SchemaRequest};

use super::{Reply, Request};

/// The files: their names, their formats and their texts. The first is the default.
const FILES: [(&str, &str, &str); 3] = [
    ("hourlog.schema.json", "application/schema+json", include_str!("../../../schema/hourlog.schema.json")),
    ("asyncapi.yaml", "application/yaml", include_str!("../../../schema/asyncapi.yaml")),
    ("hourlog.proto", "text/plain", include_str!("../../../schema/hourlog.proto")),
];

pub(super) fn answer(request: &Request) -> Result<Reply> {
    let requested: SchemaRequest = request.body()?;
    let name = requested.file.as_deref().unwrap_or(FILES[0].0);
    let file = FILES.iter().find(|(file, ..)| *file == name);
    let (_, content_type, text) = file.ok_or_else(|| {
        let names = FILES.map(|(name, ..)| name).join(", ");
        Error::invalid(format!("there is no file {}; the files are {names}", hourlog::wire::shorten(name)))
    })?;
    Ok(Reply { body: text.as_bytes().into(), content_type, compression: None, is_followed: false, turn: None })
}
