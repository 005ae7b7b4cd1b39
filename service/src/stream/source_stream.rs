//! The stream of a source: the service's own, which it creates and guards, or an existing one, which it
//! reads as it is.

use async_nats::jetstream::{
    self,
    stream::{RetentionPolicy, Stream},
};
use hourlog::{Error, ErrorKind, Result, nats::risky_settings};

use super::{connect, wal};
use crate::{
    archive_id::{self, ArchiveId},
    config::Settings,
};

/// The stream of a source.
#[derive(Debug, Clone)]
pub(crate) enum SourceStream {
    /// The service's own stream: created if it is missing, and refused if it can lose events.
    Own {
        settings: Box<Settings>,
        archive: ArchiveId,
        /// True if another archive may have read, and deleted, its first messages.
        is_taken_over: bool,
    },
    /// An existing stream with this name.
    Existing(String),
}

/// A stream that was found, or created.
#[derive(Debug)]
pub(crate) struct FoundStream {
    pub(crate) stream: Stream,
    /// The outcome of checking its settings. Only a start may refuse a lossy stream: once the service
    /// runs, reading on loses fewer events than stopping would.
    pub(crate) settings: Result<()>,
    /// True if it was created just now.
    pub(crate) is_new: bool,
}

impl SourceStream {
    /// Returns the stream. If the service's own is missing, creates it if `may_create`, and otherwise
    /// returns `None`.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if JetStream does not answer, [`ErrorKind::NotFound`] if an
    /// existing stream is missing, [`ErrorKind::Refused`] if it cannot be created or read.
    pub(crate) async fn find(
        &self,
        jetstream: &jetstream::Context,
        max_payload: usize,
        may_create: bool,
    ) -> Result<Option<FoundStream>> {
        match self {
            Self::Own { settings, archive, .. } => {
                let (stream, is_new) = match connect::find_stream(jetstream, &settings.stream).await? {
                    Some(stream) => (stream, false),
                    None if may_create => (wal::create(jetstream, settings, archive, max_payload).await?, true),
                    None => return Ok(None),
                };
                let config = &stream.cached_info().config;
                let settings = match archive_id::of_another(config, archive) {
                    Some(carried) => Err(archive_id::belongs_to_another(&settings.stream, carried, archive)),
                    None => wal::check(config, max_payload),
                };
                Ok(Some(FoundStream { stream, settings, is_new }))
            }
            Self::Existing(name) => {
                let stream = connect::find_stream(jetstream, name).await?.ok_or_else(|| {
                    let context = format!("the stream {name} does not exist; nats stream ls shows those that do");
                    Error::new(ErrorKind::NotFound, context)
                })?;
                if stream.cached_info().config.retention == RetentionPolicy::WorkQueue {
                    return Err(Error::new(
                        ErrorKind::Refused,
                        format!(
                            "the stream {name} is a work queue, and reading it would take messages from its consumers; \
                             give a stream that sources it"
                        ),
                    ));
                }
                Ok(Some(FoundStream { stream, settings: Ok(()), is_new: false }))
            }
        }
    }

    /// Returns true if the stream may have lost its first messages before this archive began.
    pub(crate) fn may_begin_later(&self) -> bool {
        match self {
            Self::Own { is_taken_over, .. } => *is_taken_over,
            Self::Existing(_) => true,
        }
    }

    /// Warns about settings by which an existing stream can lose events before they are archived.
    pub(crate) fn warn(&self, stream: &Stream, max_payload: usize) {
        if let Self::Existing(name) = self {
            let risky = risky_settings(&stream.cached_info().config, max_payload);
            for setting in risky.into_iter().filter(|setting| setting.loses_events) {
                tracing::warn!(
                    stream = name,
                    setting = setting.name,
                    "the stream can lose events, if they leave it before they are archived"
                );
            }
        }
    }
}
