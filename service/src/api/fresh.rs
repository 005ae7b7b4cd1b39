//! Waits that make a reply current: for a catch-up, for the archive, for a check of the stream.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use futures_util::future::join_all;
use hourlog::{Error, ErrorKind, Result, store::Store};
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    health::SourceHealth,
    ownership::{Ownership, SlotSet},
};

use super::{Api, stopping};

/// Longest wait of a reader for a catch-up.
pub(super) const CATCH_UP_MAX: Duration = Duration::from_secs(2);
/// Longest wait until everything published so far is archived.
const FRESH_MAX: Duration = Duration::from_secs(60);

/// Wait for the archive, after which the ingest is asked to check the stream: its last messages may
/// have been removed.
const CHECK_AFTER: Duration = Duration::from_secs(1);

/// Waits until the archive holds everything that the stream of `source` held at the time of the
/// call.
///
/// # Errors
/// [`ErrorKind::Deadline`] after a minute, [`ErrorKind::Unavailable`] when JetStream does not
/// answer.
pub(super) async fn wait_until_fresh<S: Store>(api: &Api<S>, source: &SourceHealth) -> Result<()> {
    let stream = &*source.stream;
    let before = *source.archived.borrow();
    let info = api.jetstream().get_stream(stream).await.map_err(|error| {
        Error::new(ErrorKind::Unavailable, format!("the stream {stream} does not answer; hourlog doctor says why"))
            .because(error)
    })?;
    let last = info.cached_info().state.last_sequence;
    if before >= last {
        // Either everything is archived, or the stream has forked and the ingest has not noticed
        // yet.
        wait_for_stream_check(source, FRESH_MAX).await?;
    }
    wait_until_archived(source, last, FRESH_MAX).await
}

/// Waits until the ingest has checked the stream for a fork, in a check that began after the call.
///
/// # Errors
/// [`ErrorKind::Deadline`] after `limit`.
pub(super) async fn wait_for_stream_check(source: &SourceHealth, limit: Duration) -> Result<()> {
    let before = source.stream_checks_begun.load(Relaxed);
    let mut checks_done = source.stream_checks_done.subscribe();
    source.check_stream.notify_one();
    match timeout(limit, checks_done.wait_for(|checks_done| *checks_done > before)).await {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::new(ErrorKind::Deadline, "the stream does not answer; hourlog doctor says why")),
    }
}

/// Waits until the archive holds everything up to the stream's message `sequence`.
///
/// # Errors
/// [`ErrorKind::Deadline`] after `limit`.
pub(super) async fn wait_until_archived(source: &SourceHealth, sequence: u64, limit: Duration) -> Result<()> {
    let (begun, mut archived) = (Instant::now(), source.archived.subscribe());
    let is_archived = |archived: &u64| *archived >= sequence;
    if timeout_at(begun + CHECK_AFTER.min(limit), archived.wait_for(is_archived)).await.is_err() {
        source.check_stream.notify_one();
    }
    match timeout_at(begun + limit, archived.wait_for(is_archived)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err(stopping()),
        Err(_) => Err(Error::new(
            ErrorKind::Deadline,
            format!("message {sequence} of the stream is not archived yet; hourlog doctor says why"),
        )),
    }
}

/// Waits until `sources` are read for those of `slots` that this instance owns, and no more for those of others. Before
/// others know an instance, it owns none that readers may ask it for.
///
/// # Errors
/// [`ErrorKind::Unavailable`] after two seconds.
pub(super) async fn wait_for_takeover(
    ownership: &Ownership,
    sources: &[Arc<SourceHealth>],
    slots: SlotSet,
) -> Result<()> {
    let taken_over = async {
        let assignment = ownership.live().await;
        join_all(sources.iter().map(|source| source.taken_over(&assignment, slots))).await
    };
    match timeout(CATCH_UP_MAX, taken_over).await {
        Ok(_) => Ok(()),
        Err(_) => {
            let context = "the service is taking logs over from another instance; retry in a moment";
            Err(Error::new(ErrorKind::Unavailable, context))
        }
    }
}

/// Waits until `sources` have caught up in `slots` after a start, a takeover or a rollback of the archive. Before that,
/// a reader could miss events that the archive held earlier.
///
/// # Errors
/// [`ErrorKind::Unavailable`] after two seconds.
pub(super) async fn wait_for_catch_up(
    ownership: &Ownership,
    sources: &[Arc<SourceHealth>],
    slots: SlotSet,
) -> Result<()> {
    wait_for_takeover(ownership, sources, slots).await?;
    let lag = || sources.iter().map(|source| source.catch_up_lag_in(slots)).sum::<u64>();
    if lag() == 0 {
        return Ok(());
    }
    let caught_up = join_all(sources.iter().map(|source| source.caught_up_in(slots)));
    match timeout(CATCH_UP_MAX, caught_up).await {
        Ok(_) => Ok(()),
        Err(_) => {
            let context = format!(
                "the service is catching up on {} messages that its archive may have lost; retry in a moment, hourlog doctor \
                 shows the progress",
                lag()
            );
            Err(Error::new(ErrorKind::Unavailable, context))
        }
    }
}
