//! The stream that holds events until the archive does: made as it has to be, or checked that it loses nothing.

use async_nats::jetstream::{
    self,
    stream::{Config, DiscardPolicy, PersistenceMode, RetentionPolicy, StorageType},
};
use hourlog::{Error, ErrorKind, Result, wire::HEADROOM_BYTES};

use crate::Settings;

/// The oldest server that does what is asked of it.
const SERVER_MIN: (u64, u64, u64) = (2, 11, 0);
/// The oldest server without known holes in its authorisation.
const SERVER_SAFE: (u64, u64, u64) = (2, 12, 7);

/// Refuses a server that is too old.
///
/// # Errors
/// [`ErrorKind::Refused`] with both versions.
pub(crate) fn check_server(version: &str) -> Result<()> {
    let parsed = parse_version(version);
    if parsed < SERVER_MIN {
        return Err(Error::new(
            ErrorKind::Refused,
            format!("nats-server {version} is too old; hourlogd needs 2.11 or newer, and 2.12.7 or newer is better"),
        ));
    }
    if parsed < SERVER_SAFE {
        tracing::warn!(version, "this nats-server has known holes in its authorisation; 2.12.7 or newer has not");
    }
    Ok(())
}

fn parse_version(version: &str) -> (u64, u64, u64) {
    let mut numbers = version.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

/// The stream of `settings`, made if it is not there, and whether it keeps what it is given.
///
/// # Errors
/// [`ErrorKind::Unavailable`] where JetStream does not answer, [`ErrorKind::Refused`] where it does not let the stream be made.
pub(crate) async fn find(
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
            "JetStream does not answer for the stream {stream}; is it on (nats-server -js) and allowed for this user?"
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
            "Events until Hourlog has archived them. A full stream refuses who asks for an ack.".to_owned(),
        ),
        subjects: settings.subjects.clone(),
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        retention: RetentionPolicy::Limits,
        max_bytes: settings.wal_max_bytes,
        max_message_size: message_size_max(max_payload),
        num_replicas: 1,
        ..Config::default()
    };
    let stream = jetstream.create_stream(config).await.map_err(|error| {
        let context = format!(
            "cannot make the stream {} of {} bytes on {}; see --wal-max-bytes and --subject",
            settings.stream,
            settings.wal_max_bytes,
            settings.subjects.join(", ")
        );
        Error::new(ErrorKind::Refused, context).because(error)
    })?;
    tracing::info!(stream = settings.stream, max_bytes = settings.wal_max_bytes, "stream made");
    Ok(stream)
}

/// The largest message that can still be replayed as one reply.
fn message_size_max(max_payload: usize) -> i32 {
    i32::try_from(max_payload.saturating_sub(HEADROOM_BYTES)).unwrap_or(i32::MAX)
}

/// Refuses a stream that could lose events, or hold some that cannot be replayed.
///
/// # Errors
/// [`ErrorKind::Refused`] with the setting's name and what to do.
pub(crate) fn check(config: &Config, max_payload: usize) -> Result<()> {
    let size_max = message_size_max(max_payload);
    let refused: [(bool, &str, String); 17] = [
        (config.discard == DiscardPolicy::Old, "discard: old", "set discard to new".to_owned()),
        (!config.max_age.is_zero(), "max_age", "remove it".to_owned()),
        (config.max_messages > 0, "max_msgs", "remove it".to_owned()),
        (config.max_messages_per_subject > 0, "max_msgs_per_subject", "remove it".to_owned()),
        (config.retention != RetentionPolicy::Limits, "retention", "set it to limits".to_owned()),
        (config.storage == StorageType::Memory, "storage: memory", "make the stream anew with file storage".to_owned()),
        (config.allow_rollup, "allow_rollup_hdrs", "switch it off".to_owned()),
        (config.allow_message_ttl, "allow_msg_ttl", "switch it off".to_owned()),
        (config.allow_message_schedules, "allow_msg_schedules", "switch it off".to_owned()),
        (config.persist_mode == Some(PersistenceMode::Async), "persist_mode: async", "set it to default".to_owned()),
        (config.subject_transform.is_some(), "subject_transform", "remove it".to_owned()),
        (config.republish.is_some(), "republish", "remove it".to_owned()),
        (config.mirror.is_some(), "mirror", "read the stream that it mirrors".to_owned()),
        (
            config.sources.as_ref().is_some_and(|sources| !sources.is_empty()),
            "sources",
            "read those streams".to_owned(),
        ),
        (config.no_ack, "no_ack", "switch it off".to_owned()),
        (config.max_bytes <= 0, "max_bytes", "set it, so that a full disk does not stop the server".to_owned()),
        (
            config.max_message_size <= 0 || config.max_message_size > size_max,
            "max_msg_size",
            format!("set it to {size_max}, so that every event fits into a reply"),
        ),
    ];
    match refused.into_iter().find(|(bad, _, _)| *bad) {
        None => Ok(()),
        Some((_, setting, advice)) => Err(Error::new(
            ErrorKind::Refused,
            format!("the stream {} could lose events because of its setting {setting}; {advice}", config.name),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(check_server("2.9.25").is_err());
        assert!(check_server("2.10.29").is_err());
        for version in ["2.11.0", "2.12.7", "2.15.2-RC.1", "3.0.0"] {
            assert!(check_server(version).is_ok(), "{version} was refused");
        }
    }
}
