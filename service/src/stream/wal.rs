//! Hourlog's write-ahead log: the stream that holds events until the archive does. Creates or
//! checks it.

use async_nats::jetstream::{
    self,
    stream::{Config, DiscardPolicy, RetentionPolicy, StorageType},
};
use hourlog::{
    Error, ErrorKind, Result,
    nats::{RiskySetting, ServerVersion, message_bytes_max, risky_settings, server_version},
};

use crate::config::Settings;

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

/// Returns the stream that `settings` name, and the outcome of checking its settings. Creates a
/// missing stream.
///
/// The outcome of the check is separate, because only a start may refuse a lossy stream. Once the
/// service runs, reading on loses fewer events than stopping would.
///
/// # Errors
/// [`ErrorKind::Unavailable`] if JetStream does not answer, [`ErrorKind::Refused`] if it refuses to
/// create the stream.
pub(crate) async fn find_or_create(
    jetstream: &jetstream::Context,
    settings: &Settings,
    max_payload: usize,
) -> Result<(jetstream::stream::Stream, Result<()>)> {
    use async_nats::jetstream::{ErrorCode, context::GetStreamErrorKind};
    match jetstream.get_stream(&settings.stream).await {
        Ok(stream) => {
            let checked = check(&stream.cached_info().config, max_payload);
            Ok((stream, checked))
        }
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(cause) if cause.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                Ok((create(jetstream, settings, max_payload).await?, Ok(())))
            }
            _ => Err(unavailable(&settings.stream).because(error)),
        },
    }
}

fn unavailable(stream: &str) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!(
            "JetStream does not answer for the stream {stream}; check that it is enabled (nats-server -js) and that this user may use it"
        ),
    )
}

async fn create(
    jetstream: &jetstream::Context,
    settings: &Settings,
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
        num_replicas: 1,
        ..Config::default()
    };
    let stream = jetstream.create_stream(config).await.map_err(|error| {
        let context = format!(
            "cannot create the stream {} of {} bytes on {}; check --wal-max-bytes and --subject",
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
fn check(config: &Config, max_payload: usize) -> Result<()> {
    match risky_settings(config, max_payload).into_iter().next() {
        None => Ok(()),
        Some(RiskySetting { name, advice, .. }) => Err(Error::new(
            ErrorKind::Refused,
            format!("the stream {} could lose events because of its setting {name}; {advice}", config.name),
        )),
    }
}
