//! Waiting until everything is archived that was published when a request came.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use hourlog::{Error, ErrorKind, Result, Store};

use super::Api;

/// How long a reader is held until the newest events are there again.
const REREAD_MAX: Duration = Duration::from_secs(2);
/// How long it may take until everything is archived.
const FRESH_MAX: Duration = Duration::from_secs(60);

/// Returns once the archive holds everything that the stream held when it was called.
///
/// # Errors
/// [`ErrorKind::Deadline`] where that takes more than a minute, [`ErrorKind::Unavailable`] where JetStream does not answer.
pub(super) async fn fresh<S: Store>(api: &Api<S>) -> Result<()> {
    let stream = &api.settings.stream;
    let before = *api.status.archived.borrow();
    let info = api.jetstream().get_stream(stream).await.map_err(|error| {
        Error::new(ErrorKind::Unavailable, format!("the stream {stream} does not answer")).because(error)
    })?;
    let last = info.cached_info().state.last_sequence;
    if before >= last {
        // All of it is archived, or it has forked, and the ingest has not seen it yet.
        looked_at(api, FRESH_MAX).await?;
    }
    archived(api, last, FRESH_MAX).await
}

/// Returns once the ingest has looked whether the stream is what it was, and has begun to after this was called.
///
/// # Errors
/// [`ErrorKind::Deadline`] where that takes longer than `most`.
pub(super) async fn looked_at<S: Store>(api: &Api<S>, most: Duration) -> Result<()> {
    let before = api.status.looks_begun.load(Relaxed);
    let mut looked = api.status.looked.subscribe();
    api.status.look.notify_one();
    match tokio::time::timeout(most, looked.wait_for(|looked| *looked > before)).await {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::new(ErrorKind::Deadline, "the stream does not answer; hourlog doctor says why")),
    }
}

/// Returns once the archive holds everything up to the stream's message `sequence`.
///
/// # Errors
/// [`ErrorKind::Deadline`] where that takes longer than `most`.
pub(super) async fn archived<S: Store>(api: &Api<S>, sequence: u64, most: Duration) -> Result<()> {
    let mut archived = api.status.archived.subscribe();
    match tokio::time::timeout(most, archived.wait_for(|archived| *archived >= sequence)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err(Error::new(ErrorKind::Unavailable, "the service is stopping; ask again")),
        Err(_) => Err(Error::new(
            ErrorKind::Deadline,
            format!("message {sequence} of the stream is not archived yet; hourlog doctor says why"),
        )),
    }
}

/// Returns once the archive holds again what it held before a start, or before a part of it came back: until then a reader would
/// see less than was there.
///
/// # Errors
/// [`ErrorKind::Unavailable`] where that takes more than two seconds.
pub(super) async fn whole_again<S: Store>(api: &Api<S>) -> Result<()> {
    if api.status.rereading() == 0 {
        return Ok(());
    }
    let (mut archived, mut rereads) = (api.status.archived.subscribe(), api.status.rereads.subscribe());
    let whole = async {
        while api.status.rereading() > 0 {
            let changed = tokio::select! {
                changed = archived.changed() => changed,
                changed = rereads.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    };
    match tokio::time::timeout(REREAD_MAX, whole).await {
        Ok(()) => Ok(()),
        Err(_) => {
            let context = format!(
                "the service reads the newest {} messages again, which its archive may have lost; ask again in a moment, hourlog \
                 doctor says how it gets on",
                api.status.rereading()
            );
            Err(Error::new(ErrorKind::Unavailable, context))
        }
    }
}
