//! Keeps the endpoints answering when their client ends.
//!
//! The client's task panics on a header that contains a carriage return. Anybody who may send a request
//! can send one, and the client does not connect again by itself after that.

use std::time::{Duration, Instant};

use hourlog::{Result, nats::Backoff, store::Store};
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::Api;
use crate::{repeats::Repeats, stream::connect, trace::sentence};

/// The shortest and the longest pause between attempts to start the endpoints again.
const RETRY: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(3));

/// Starts the endpoints, and starts them again over a new connection when their client has ended. They
/// answer until `shutdown`, and then finish the requests in progress.
///
/// # Errors
/// As [`super::start`], at the first start.
pub(crate) async fn start<S: Store>(mut api: Api<S>, shutdown: CancellationToken) -> Result<JoinHandle<()>> {
    let mut running = AbortOnDropHandle::new(super::start(api.clone(), shutdown.clone()).await?);
    Ok(tokio::spawn(async move {
        let (mut backoff, mut ends) = (Backoff::new(RETRY.0, RETRY.1), Repeats::default());
        loop {
            let _ = (&mut running).await;
            if shutdown.is_cancelled() {
                return;
            }
            if let Some(left_out) = ends.count(Instant::now()) {
                tracing::error!(
                    left_out,
                    "the endpoints' client has ended, probably because of a malformed request; starting the endpoints again"
                );
            }
            backoff.reset();
            running = loop {
                let error = tokio::select! {
                    () = shutdown.cancelled() => return,
                    started = start_again(&mut api, &shutdown) => match started {
                        Ok(started) => break started,
                        Err(error) => error,
                    },
                };
                tracing::warn!(cause = sentence(&error), "cannot start the endpoints again yet; retrying");
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(backoff.next_pause()) => {}
                }
            };
        }
    }))
}

async fn start_again<S: Store>(api: &mut Api<S>, shutdown: &CancellationToken) -> Result<AbortOnDropHandle<()>> {
    api.client = connect::connect(&api.settings, "api").await?.client;
    super::start(api.clone(), shutdown.clone()).await.map(AbortOnDropHandle::new)
}
