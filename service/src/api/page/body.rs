//! The events of a page in the form of a reply: copied, or compressed where that pays.

use hourlog::{
    Error, ErrorKind, LogId, Result,
    store::{EncodedEvent, Fields, Run},
    wire::{COMPRESSED_PAGE_BYTES_MAX, Compression, Compressor, json::JsonEvent},
};

use super::form::{Form, Format};
use crate::api::yielding::{YieldingWriter, Yields};

/// Start of a page as JSON.
pub(in crate::api) const JSON_EVENTS: &str = "{\"events\":[";
/// Memory beside the events that a page is expected to take.
pub(in crate::api) const REST_BYTES: usize = 256;
/// Fewest bytes of a page that is compressed: a smaller one is sent as quickly as it is.
const COMPRESSED_BYTES_MIN: usize = 4 << 10;
/// Bytes of a page that are compressed to find out if that pays: a tenth of a page of the usual size.
const SAMPLE_BYTES: usize = 48 << 10;

/// As many events of a page as fit.
pub(in crate::api) struct Body {
    content: Content,
    count: usize,
    left_out: usize,
}

enum Content {
    Plain(Vec<u8>),
    Compressed(Box<Compressor>),
}

impl Body {
    /// Encodes as many events as fit into `bytes_max`. Returns the compression that was used.
    pub(in crate::api) fn of(
        runs: &[Run],
        logs: Logs<'_>,
        form: Form,
        bytes_max: usize,
    ) -> Result<(Self, Option<Compression>)> {
        let mut encoding = Encoding { format: form.format, logs, json: Vec::new() };
        if let Some(compression) = form.compression
            && let Some((compressor, count)) = compress(runs, &mut encoding, compression, bytes_max)?
        {
            let content = Content::Compressed(Box::new(compressor));
            return Ok((Self { content, count, left_out: 0 }, Some(compression)));
        }
        let (plain, count, left_out) = copy(runs, &mut encoding, bytes_max)?;
        Ok((Self { content: Content::Plain(plain), count, left_out }, None))
    }

    /// The number of events.
    pub(in crate::api) fn count(&self) -> usize {
        self.count
    }

    /// The bytes of the first event that does not fit.
    pub(in crate::api) fn left_out(&self) -> usize {
        self.left_out
    }

    /// Adds the rest of the page.
    pub(in crate::api) fn finish_with(self, rest: &[u8]) -> Vec<u8> {
        match self.content {
            Content::Compressed(compressor) => compressor.finish_with(rest),
            Content::Plain(mut body) => {
                body.extend_from_slice(rest);
                body
            }
        }
    }
}

/// Encodes as many events as fit. Returns their number, and the bytes of the first one that does not fit.
fn copy(runs: &[Run], encoding: &mut Encoding<'_>, bytes_max: usize) -> Result<(Vec<u8>, usize, usize)> {
    let mut body = YieldingWriter::default();
    if encoding.format == Format::Protobuf {
        let bytes: usize = runs.iter().map(|run| run.fields().length()).sum();
        body.bytes.reserve_exact(bytes.min(bytes_max) + REST_BYTES);
    }
    body.put(encoding.start());
    let mut count = 0;
    for run in runs {
        let fields = run.fields();
        if encoding.format == Format::Protobuf && body.bytes.len() + fields.length() <= bytes_max {
            body.put_with(|bytes| fields.append_to(bytes))?;
            count += run.count();
            continue;
        }
        for event in run.clone().into_events()? {
            let part = encoding.part(count, &event)?;
            if body.bytes.len() + part.len() > bytes_max {
                return Ok((body.bytes, count, part.len()));
            }
            body.put(part);
            count += 1;
        }
    }
    Ok((body.bytes, count, 0))
}

/// Compresses as many events as fit, and returns their number. What is stored compressed is copied. `None` if that does
/// not pay.
fn compress(
    runs: &[Run],
    encoding: &mut Encoding<'_>,
    compression: Compression,
    bytes_max: usize,
) -> Result<Option<(Compressor, usize)>> {
    if runs.iter().map(|run| run.fields().length()).sum::<usize>() < COMPRESSED_BYTES_MIN {
        return Ok(None);
    }
    let mut compressor = Compressor::new(compression, bytes_max);
    let mut yields = Yields::default();
    let (mut bytes, mut count, mut is_sampled) = (0, 0, false);
    if !compressor.add(encoding.start()) {
        return Ok(None);
    }
    for run in runs {
        if let (Format::Protobuf, Fields::Lz4 { block, length }) = (encoding.format, run.fields())
            && bytes + length <= COMPRESSED_PAGE_BYTES_MAX
            && compressor.add_lz4(block, length)
        {
            bytes += length;
            count += run.count();
            yields.wrote(block.len());
            continue;
        }
        for event in run.clone().into_events()? {
            let part = encoding.part(count, &event)?;
            bytes += part.len();
            // A requester reads no more than this, unless it is one event.
            let fits = match count {
                0 => compressor.add(part) || compressor.squeeze(part),
                _ => bytes <= COMPRESSED_PAGE_BYTES_MAX && compressor.add(part),
            };
            if !fits {
                return Ok((count > 0).then_some((compressor, count)));
            }
            count += 1;
            yields.wrote(part.len());
            if !is_sampled && bytes >= SAMPLE_BYTES {
                if !compressor.pays() {
                    return Ok(None);
                }
                is_sampled = true;
            }
        }
    }
    Ok((is_sampled || compressor.pays()).then_some((compressor, count)))
}

/// The logs of the events of a page.
#[derive(Debug, Clone, Copy)]
pub(in crate::api) enum Logs<'a> {
    /// All are of one log.
    One(&'a LogId),
    /// Each is a run of its own, of the log with the index in `of`.
    Each { logs: &'a [LogId], of: &'a [usize] },
}

impl<'a> Logs<'a> {
    fn of(self, event: usize) -> &'a LogId {
        match self {
            Self::One(log) => log,
            Self::Each { logs, of } => &logs[of[event]],
        }
    }
}

/// Encodes the events of a page, one by one.
struct Encoding<'a> {
    format: Format,
    logs: Logs<'a>,
    /// The current event as JSON. Its memory is used again.
    json: Vec<u8>,
}

impl Encoding<'_> {
    /// Returns the bytes before the first event.
    fn start(&self) -> &'static [u8] {
        match self.format {
            Format::Protobuf => &[],
            Format::Json => JSON_EVENTS.as_bytes(),
        }
    }

    /// Returns `event` as the part of a page that follows `count` others.
    fn part<'b>(&'b mut self, count: usize, event: &'b EncodedEvent) -> Result<&'b [u8]> {
        if self.format == Format::Protobuf {
            return Ok(event.as_field());
        }
        self.json.clear();
        if count > 0 {
            self.json.push(b',');
        }
        serde_json::to_writer(&mut self.json, &JsonEvent::from(&event.decode(self.logs.of(count))))
            .map_err(failed_to_encode)?;
        Ok(&self.json)
    }
}

/// The error of a page that cannot be written as JSON.
pub(in crate::api) fn failed_to_encode(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Unexpected, "failed to encode the reply").because(error)
}
