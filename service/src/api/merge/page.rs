//! A merged page, and how it is encoded.

use bytes::Bytes;
use hourlog::{
    Error, LogId, Position, Result,
    read::End,
    store::{EncodedEvent, Run},
    wire::{MergedPosition, json::JsonMergedPage, proto},
};

use crate::counters::Traffic;

use super::super::{
    Reply,
    page::{Body, Form, Format, JSON_EVENTS, Logs, failed_to_encode, too_large},
};

/// A page of the merged timeline of several logs.
#[derive(Debug)]
pub(super) struct MergedPage {
    /// The logs that are merged, by id.
    pub(super) logs: Vec<LogId>,
    /// The events, each with the index of its log.
    pub(super) events: Vec<(usize, EncodedEvent)>,
    pub(super) next: Option<MergedPosition>,
    pub(super) end: End,
    pub(super) scanned: u64,
}

impl MergedPage {
    /// Returns the place of a position in the log with this index.
    pub(super) fn at(&self, position: Position, log: usize) -> MergedPosition {
        MergedPosition { position, log: self.logs[log].clone() }
    }

    /// Encodes the page, cut to what fits into `bytes_max`.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`](hourlog::ErrorKind::TooLarge) when not even the first event fits.
    pub(super) fn encode(mut self, form: Form, bytes_max: usize, replayed: &Traffic) -> Result<Reply> {
        let runs: Vec<Run> = self.events.iter().map(|(_, event)| Run::from(event.clone())).collect();
        let of: Vec<usize> = self.events.iter().map(|(log, _)| *log).collect();
        let (body, compression) = Body::of(&runs, Logs::Each { logs: &self.logs, of: &of }, form, bytes_max)?;
        if body.count() < self.events.len() {
            let Some(last) = body.count().checked_sub(1) else {
                return Err(too_large(self.events[0].1.position(), body.left_out(), form));
            };
            let (log, event) = &self.events[last];
            self.next = Some(self.at(event.position(), *log));
            self.end = End::More;
            self.events.truncate(body.count());
        }
        replayed.add(self.events.len(), self.events.iter().map(|(_, event)| event.record_bytes()).sum());
        let body = Bytes::from(body.finish_with(&self.rest(form.format)?));
        Ok(Reply { body, content_type: form.format.content_type(), compression, is_followed: false, turn: None })
    }

    /// Encodes all of the page that follows its events.
    fn rest(self, format: Format) -> Result<Vec<u8>> {
        let Self { logs, events, next, end, scanned } = self;
        let merged = logs.len() as u64;
        match format {
            Format::Json => {
                let rest = JsonMergedPage { events: Vec::new(), next, end: end.into(), logs: merged, scanned };
                let rest = serde_json::to_string(&rest).map_err(failed_to_encode)?;
                Ok(rest.strip_prefix(JSON_EVENTS).expect("the events are the first field").into())
            }
            Format::Protobuf => {
                let named = Named::of(&logs, events.iter().map(|(log, _)| *log))?;
                let page = proto::Page {
                    next: next.map(|next| next.to_string()),
                    end: proto::End::from(end) as i32,
                    scanned,
                    logs: named.names,
                    log_of: named.of,
                    merged: Some(merged),
                    ..proto::Page::default()
                };
                Ok(proto::encode(&page))
            }
        }
    }
}

/// The names of the logs that have events in a page, and for each event the index of its log among them.
#[derive(Debug, Default)]
struct Named {
    names: Vec<String>,
    of: Vec<u32>,
}

impl Named {
    fn of(logs: &[LogId], events: impl Iterator<Item = usize>) -> Result<Self> {
        let mut named = Self::default();
        let mut indices = vec![None; logs.len()];
        for log in events {
            let index = match indices[log] {
                Some(index) => index,
                None => {
                    let index =
                        u32::try_from(named.names.len()).map_err(|_| Error::invalid("a page has too many logs"))?;
                    named.names.push(logs[log].to_string());
                    *indices[log].insert(index)
                }
            };
            named.of.push(index);
        }
        Ok(named)
    }
}
