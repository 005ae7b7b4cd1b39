//! Hourlog's write-ahead log: the stream that holds events until the archive does. Creates or
//! checks it.

use std::collections::HashMap;

use async_nats::jetstream::{
    self,
    stream::{Config, DiscardPolicy, RetentionPolicy, StorageType},
};
use hourlog::{
    Error, ErrorKind, Result,
    nats::{RiskySetting, ServerVersion, message_bytes_max, risky_settings, server_version},
};

use crate::{archive_id, config::Settings};

/// Refuses a server that is too old, and warns about one with known security holes.
///
/// # Errors
/// [`ErrorKind::Refused`] with the server's version and the oldest that works.
pub(crate) fn check_server(version: &str) -> Result<()> {
    match server_version(version) {
        ServerVersion::Good => {}
        ServerVersion::Unsafe => tracing::warn!(
            version,
            "this nats-server has known security holes in its authorization; install 2.12.7 or newer"
        ),
        ServerVersion::TooOld => {
            return Err(Error::new(
                ErrorKind::Refused,
                format!("nats-server {version} is too old; install 2.12.7 or newer, 2.11 is the oldest that works"),
            ));
        }
    }
    Ok(())
}

/// Creates the service's own stream.
///
/// # Errors
/// [`ErrorKind::Refused`] if JetStream refuses to create it.
pub(super) async fn create(
    jetstream: &jetstream::Context,
    settings: &Settings,
    archive: &str,
    max_payload: usize,
) -> Result<jetstream::stream::Stream> {
    let config = Config {
        name: settings.stream.clone(),
        description: Some(
            "Events until Hourlog has archived them. Once full, it refuses messages that ask for an ack.".to_owned(),
        ),
        subjects: settings.subjects.clone(),
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        retention: RetentionPolicy::Limits,
        max_bytes: settings.wal_max_bytes,
        max_message_size: message_bytes_max(max_payload),
        num_replicas: settings.wal_replicas,
        metadata: HashMap::from([(archive_id::STREAM_METADATA.to_owned(), archive.to_owned())]),
        ..Config::default()
    };
    let stream = jetstream.create_stream(config).await.map_err(|error| {
        let context = format!(
            "cannot create the stream {} of {} bytes on {}; check --wal-max-bytes, --wal-replicas and --subject",
            settings.stream,
            settings.wal_max_bytes,
            settings.subjects.join(", ")
        );
        Error::new(ErrorKind::Refused, context).because(error)
    })?;
    tracing::info!(stream = settings.stream, max_bytes = settings.wal_max_bytes, "created the stream");
    Ok(stream)
}

/// Refuses a stream that could lose events, or hold events that cannot be replayed.
///
/// # Errors
/// [`ErrorKind::Refused`] with the name of the setting and advice.
pub(crate) fn check(config: &Config, max_payload: usize) -> Result<()> {
    match risky_settings(config, max_payload).into_iter().next() {
        None => Ok(()),
        Some(RiskySetting { name, advice, .. }) => Err(Error::new(
            ErrorKind::Refused,
            format!("the stream {} could lose events because of its setting {name}; {advice}", config.name),
        )),
    }
}
