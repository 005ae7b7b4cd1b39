//! The form of a page: its format, and its compression.

use hourlog::{
    store::Fields,
    wire::{COMPRESSED_PAGE_BYTES_MAX, Compression, JSON, PROTOBUF},
};

use super::AnyPage;
use crate::api::Request;

/// Fewest bytes of an event as JSON. A page of JSON holds no more events than fit by this.
const JSON_EVENT_BYTES_MIN: usize = 100;
/// Size of a page in events and bytes up to which the thread that read it encodes it. A larger one goes to another
/// thread, so that this one can answer others meanwhile.
const QUICK_MAX: (usize, usize) = (100, 64 << 10);
/// The same in bytes for what is only copied.
const QUICK_COPY_BYTES_MAX: usize = 1 << 20;

/// The form of a page that its requester asks for.
#[derive(Debug, Clone, Copy)]
pub(in crate::api) struct Form {
    pub(in crate::api) format: Format,
    pub(super) compression: Option<Compression>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Format {
    Json,
    Protobuf,
}

impl Form {
    /// Returns the form that the headers of a request name.
    pub(in crate::api) fn of(request: &Request) -> Self {
        let format = if request.wants_protobuf() { Format::Protobuf } else { Format::Json };
        Self { format, compression: request.compression() }
    }

    /// Returns the most bytes of events to read for a reply of so many bytes.
    pub(in crate::api) fn bytes_max(self, reply_bytes_max: usize) -> usize {
        match self.compression {
            Some(_) => reply_bytes_max.max(COMPRESSED_PAGE_BYTES_MAX),
            None => reply_bytes_max,
        }
    }

    /// Returns the most events to read for a reply of so many bytes.
    pub(in crate::api) fn events_max(self, reply_bytes_max: usize) -> usize {
        match self.format {
            Format::Protobuf => usize::MAX,
            Format::Json => self.bytes_max(reply_bytes_max) / JSON_EVENT_BYTES_MIN,
        }
    }

    /// Returns true if `page` is encoded in a small part of a millisecond.
    pub(in crate::api) fn is_quick(self, page: &AnyPage) -> bool {
        let (mut copied, mut events, mut bytes) = (0, 0, 0);
        for run in &page.runs {
            match (self.format, self.compression, run.fields()) {
                (Format::Protobuf, None, Fields::Plain(fields)) => copied += fields.len(),
                (Format::Protobuf, Some(Compression::Lz4), Fields::Lz4 { block, .. }) => copied += block.len(),
                _ => {
                    events += run.count();
                    bytes += run.record_bytes();
                }
            }
        }
        copied <= QUICK_COPY_BYTES_MAX && events <= QUICK_MAX.0 && bytes <= QUICK_MAX.1
    }
}

impl Format {
    pub(in crate::api) fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Protobuf => "protobuf",
        }
    }

    pub(in crate::api) fn content_type(self) -> &'static str {
        match self {
            Self::Json => JSON,
            Self::Protobuf => PROTOBUF,
        }
    }
}
