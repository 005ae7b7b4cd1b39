//! Waits that make a reply current: for a catch-up, for the archive, for a check of the stream.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use hourlog::{Error, ErrorKind, Result, store::Store};

use super::{Api, stopping};

/// Longest wait of a reader for a catch-up.
const CATCH_UP_MAX: Duration = Duration::from_secs(2);
/// Longest wait until everything published so far is archived.
const FRESH_MAX: Duration = Duration::from_secs(60);

/// Waits until the archive holds everything that the stream held at the time of the call.
///
/// # Errors
/// [`ErrorKind::Deadline`] after a minute, [`ErrorKind::Unavailable`] when JetStream does not
/// answer.
pub(super) async fn wait_until_fresh<S: Store>(api: &Api<S>) -> Result<()> {
    let stream = &api.settings.stream;
    let before = *api.health.archived.borrow();
    let info = api.jetstream().get_stream(stream).await.map_err(|error| {
        Error::new(ErrorKind::Unavailable, format!("the stream {stream} does not answer; hourlog doctor says why"))
            .because(error)
    })?;
    let last = info.cached_info().state.last_sequence;
    if before >= last {
        // Either everything is archived, or the stream has forked and the ingest has not noticed
        // yet.
        wait_for_stream_check(api, FRESH_MAX).await?;
    }
    wait_until_archived(api, last, FRESH_MAX).await
}

/// Waits until the ingest has checked the stream for a fork, in a check that began after the call.
///
/// # Errors
/// [`ErrorKind::Deadline`] after `limit`.
pub(super) async fn wait_for_stream_check<S: Store>(api: &Api<S>, limit: Duration) -> Result<()> {
    let before = api.health.stream_checks_begun.load(Relaxed);
    let mut checks_done = api.health.stream_checks_done.subscribe();
    api.health.check_stream.notify_one();
    match tokio::time::timeout(limit, checks_done.wait_for(|checks_done| *checks_done > before)).await {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::new(ErrorKind::Deadline, "the stream does not answer; hourlog doctor says why")),
    }
}

/// Waits until the archive holds everything up to the stream's message `sequence`.
///
/// # Errors
/// [`ErrorKind::Deadline`] after `limit`.
pub(super) async fn wait_until_archived<S: Store>(api: &Api<S>, sequence: u64, limit: Duration) -> Result<()> {
    let mut archived = api.health.archived.subscribe();
    match tokio::time::timeout(limit, archived.wait_for(|archived| *archived >= sequence)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err(stopping()),
        Err(_) => Err(Error::new(
            ErrorKind::Deadline,
            format!("message {sequence} of the stream is not archived yet; hourlog doctor says why"),
        )),
    }
}

/// Waits until the service has caught up after a start or a rollback of the archive. Before that, a
/// reader could miss events that the archive held earlier.
///
/// # Errors
/// [`ErrorKind::Unavailable`] after two seconds.
pub(super) async fn wait_for_catch_up<S: Store>(api: &Api<S>) -> Result<()> {
    if api.health.catch_up_lag() == 0 {
        return Ok(());
    }
    let (mut archived, mut catch_up_to) = (api.health.archived.subscribe(), api.health.catch_up_to.subscribe());
    let caught_up = async {
        while api.health.catch_up_lag() > 0 {
            let changed = tokio::select! {
                changed = archived.changed() => changed,
                changed = catch_up_to.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    };
    match tokio::time::timeout(CATCH_UP_MAX, caught_up).await {
        Ok(()) => Ok(()),
        Err(_) => {
            let context = format!(
                "the service is catching up on {} messages that its archive may have lost; retry in a moment, hourlog doctor \
                 shows the progress",
                api.health.catch_up_lag()
            );
            Err(Error::new(ErrorKind::Unavailable, context))
        }
    }
}
