//! The archive's id: made once and kept in the archive. The stream carries it too, so that a second
//! archive on the same stream or the same subjects is noticed before it loses events of the first.

use std::sync::Arc;

use async_nats::jetstream::{self, response::Response, stream::Config};
use hourlog::{Error, ErrorKind, Result, store::Store};
use serde_json::Value;

use crate::{stream::questions, trace::sentence};

/// The name under which the archive keeps its id, among its properties.
const PROPERTY: &str = "archive-id";
/// The name under which a stream carries the id of its archive, in its metadata.
pub(crate) const STREAM_METADATA: &str = "hourlog-archive";
/// Beginning of the id of an archive that a stop loses. Any archive may take its stream over.
const TEMPORARY: &str = "memory-";

/// The id of an archive. Cheap to clone.
pub(crate) type ArchiveId = Arc<str>;

/// A running service, as it presents itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instance {
    pub(crate) prefix: String,
    pub(crate) archive: ArchiveId,
}

/// Returns the id that a stream carries.
pub(crate) fn of_stream(config: &Config) -> Option<&str> {
    config.metadata.get(STREAM_METADATA).map(String::as_str)
}

/// Returns the archive's id, and makes it if the archive has none. `carried` is the id that
/// `stream` carries.
///
/// # Errors
/// The store's error.
pub(crate) async fn load<S: Store>(store: &S, stream: &str, carried: Option<&str>) -> Result<ArchiveId> {
    if let Some(id) = store.property(PROPERTY).await? {
        return Ok(id.into());
    }
    // An archive that has read the stream before has had an id. It was lost in a crash of a node.
    let has_read = !store.sources(stream).await?.is_empty();
    let id = match carried.filter(|_| has_read) {
        Some(carried) => carried.to_owned(),
        None => format!("{}{}", if S::IS_TEMPORARY { TEMPORARY } else { "" }, nuid::next()),
    };
    Ok(store.set_property(PROPERTY, &id, None).await?.into())
}

/// The relation of an archive to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The stream carries this archive's id.
    Ours,
    /// The stream carries no id: it gets this archive's.
    Unclaimed,
    /// The stream carries the id of another archive, and is taken over.
    TakenOver,
    /// The stream carries the id of an archive that was lost with its process.
    Abandoned,
    /// There is no stream yet. It is created with the id.
    Missing,
}

/// Decides about a stream that carries `carried`, for the archive `own`.
///
/// # Errors
/// [`ErrorKind::Refused`] if the stream belongs to another archive, unless it is to be adopted.
pub(crate) fn claim(stream: &str, exists: bool, carried: Option<&str>, own: &str, adopt: bool) -> Result<Claim> {
    match carried {
        None if !exists => Ok(Claim::Missing),
        None => Ok(Claim::Unclaimed),
        Some(carried) if carried == own => Ok(Claim::Ours),
        Some(carried) if carried.starts_with(TEMPORARY) => Ok(Claim::Abandoned),
        Some(_) if adopt => Ok(Claim::TakenOver),
        Some(carried) => Err(belongs_to_another(stream, carried, own)),
    }
}

/// Writes the id into the stream, where the claim needs that.
///
/// # Errors
/// As [`mark`], if the stream would go on carrying the id of another archive.
pub(crate) async fn carry_out(claim: Claim, jetstream: &jetstream::Context, stream: &str, own: &str) -> Result<()> {
    match claim {
        Claim::Ours | Claim::Missing => Ok(()),
        Claim::TakenOver => mark(jetstream, stream, own).await,
        Claim::Unclaimed | Claim::Abandoned => match mark(jetstream, stream, own).await {
            Err(error) if claim == Claim::Unclaimed || own.starts_with(TEMPORARY) => {
                tracing::warn!(%error, "a second archive on this stream would not be noticed");
                Ok(())
            }
            marked => marked,
        },
    }
}

/// Returns the id that a stream carries if it belongs to another archive than `own`.
pub(crate) fn of_another<'a>(config: &'a Config, own: &str) -> Option<&'a str> {
    let is_abandoned = |carried: &str| carried.starts_with(TEMPORARY) && own.starts_with(TEMPORARY);
    of_stream(config).filter(|carried| *carried != own && !is_abandoned(carried))
}

/// Returns the error for a stream of another archive.
pub(crate) fn belongs_to_another(stream: &str, carried: &str, own: &str) -> Error {
    Error::new(
        ErrorKind::Refused,
        format!(
            "the stream {stream} belongs to the archive {carried}, and this one is {own}; use that archive, give --stream \
             another name, or start once with --adopt to take the stream over"
        ),
    )
}

/// Writes the archive's id into the metadata of a stream, and changes nothing else of it.
///
/// # Errors
/// [`ErrorKind::NotAllowed`] if the server does not accept the change.
pub(crate) async fn mark(jetstream: &jetstream::Context, stream: &str, own: &str) -> Result<()> {
    let failed = |cause: String| {
        Error::new(
            ErrorKind::NotAllowed,
            format!(
                "cannot write the archive's id into the stream {stream}; allow $JS.API.STREAM.UPDATE.{stream}: {cause}"
            ),
        )
    };
    // The configuration as the server has it: the client may not know all of its fields.
    let info: Option<Value> =
        questions::info(jetstream, stream, &()).await.map_err(|error| failed(sentence(&error)))?;
    let mut config = info.ok_or_else(|| failed("it does not exist".to_owned()))?["config"].take();
    config["metadata"][STREAM_METADATA] = own.into();
    let updated: Response<Value> = jetstream
        .request(format!("STREAM.UPDATE.{stream}"), &config)
        .await
        .map_err(|error| failed(error.to_string()))?;
    match updated {
        Response::Ok(_) => Ok(()),
        Response::Err { error } => Err(failed(error.to_string())),
    }
}

/// Refuses to answer below `prefix` beside a service of another archive: each would get a part of
/// the requests.
///
/// # Errors
/// [`ErrorKind::Refused`] if such a service runs.
pub(crate) fn check_others(others: &[Instance], prefix: &str, own: &str) -> Result<()> {
    let other = others.iter().find(|other| other.prefix == prefix && *other.archive != *own);
    other.map_or(Ok(()), |other| {
        Err(Error::new(
            ErrorKind::Refused,
            format!(
                "a service of the archive {} answers below the subject {prefix} already, and this archive is {own}; stop it, or \
                 give --prefix another name",
                other.archive
            ),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_of_a_lost_archive_in_memory_belongs_to_the_next_one() {
        let config =
            |id: &str| Config { metadata: [(STREAM_METADATA.to_owned(), id.to_owned())].into(), ..Config::default() };
        assert_eq!(of_another(&Config::default(), "a"), None);
        assert_eq!(of_another(&config("a"), "a"), None);
        assert_eq!(of_another(&config("b"), "a"), Some("b"));
        assert_eq!(of_another(&config("memory-b"), "memory-a"), None);
        assert_eq!(of_another(&config("memory-b"), "a"), Some("memory-b"));
    }

    #[test]
    fn a_stream_of_another_archive_is_taken_over_only_if_asked() {
        assert_eq!(claim("S", false, None, "a", false).expect("it does not exist"), Claim::Missing);
        assert_eq!(claim("S", true, None, "a", false).expect("it belongs to nobody"), Claim::Unclaimed);
        assert_eq!(claim("S", true, Some("a"), "a", false).expect("it is ours"), Claim::Ours);
        assert_eq!(claim("S", true, Some("b"), "a", true).expect("it is adopted"), Claim::TakenOver);
        assert_eq!(claim("S", true, Some("memory-b"), "a", false).expect("that archive is gone"), Claim::Abandoned);
        let error = claim("S", true, Some("b"), "a", false).expect_err("it belongs to another archive");
        assert!(error.to_string().contains("--adopt"), "{error}");
    }
}
