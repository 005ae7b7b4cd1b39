//! Connections to NATS and to JetStream.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_nats::{
    Client, ConnectOptions, Event,
    jetstream::{self, ErrorCode, context::GetStreamErrorKind, stream::Stream},
};
use hourlog::{Error, ErrorKind, Result};
use tokio::sync::watch;

use super::questions;
use crate::{config::Settings, repeats::Repeats, trace::sentence};

/// Time limit for the first connection at the start of the service.
const FIRST_CONNECT_MAX: Duration = Duration::from_secs(30);
/// Time limit for one attempt.
const ATTEMPT_MAX: Duration = Duration::from_secs(5);
/// Time limit for one request to JetStream.
const JETSTREAM_REQUEST_MAX: Duration = Duration::from_secs(5);

/// A connection that reconnects by itself.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) client: Client,
    /// Number of times the connection was lost.
    pub(crate) losses: watch::Receiver<u64>,
}

/// Connects as `name`. Waits for a server that is starting; afterwards the connection reconnects by
/// itself.
///
/// # Errors
/// [`ErrorKind::Unavailable`] if no server answers for half a minute, [`ErrorKind::NotAllowed`] if
/// it refuses the login or the client certificate, [`ErrorKind::Invalid`] if the credentials cannot
/// be read, the address is invalid, or TLS fails for another reason.
pub(crate) async fn connect(settings: &Settings, name: &str) -> Result<Connection> {
    let (counter, losses) = watch::channel(0);
    let counter = Arc::new(counter);
    let login = settings.login(name);
    let begun = tokio::time::Instant::now();
    let mut repeats = Repeats::default();
    loop {
        let counter = Arc::clone(&counter);
        let error = match login.connect(ATTEMPT_MAX, |options| configure(options, name, counter)).await {
            Ok(client) => return Ok(Connection { client, losses }),
            Err(error) => error,
        };
        // Retrying does not help against a wrong login, address or certificate.
        let is_passing = error.kind() == ErrorKind::Unavailable;
        if !is_passing || begun.elapsed() > FIRST_CONNECT_MAX {
            return Err(error);
        }
        if let Some(left_out) = repeats.count(Instant::now()) {
            tracing::warn!(cause = sentence(&error), left_out, "no connection to NATS yet; retrying");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Returns a JetStream context whose requests have a time limit.
pub(crate) fn jetstream(client: Client, settings: &Settings) -> jetstream::Context {
    let mut jetstream = match (&settings.js_domain, &settings.js_api_prefix) {
        (Some(domain), _) => jetstream::with_domain(client, domain),
        (None, Some(prefix)) => jetstream::with_prefix(client, prefix),
        (None, None) => jetstream::new(client),
    };
    jetstream.set_timeout(JETSTREAM_REQUEST_MAX);
    jetstream
}

/// Returns the stream `name`; `None` if it does not exist.
///
/// # Errors
/// [`ErrorKind::Unavailable`] if JetStream does not answer.
pub(crate) async fn find_stream(jetstream: &jetstream::Context, name: &str) -> Result<Option<Stream>> {
    match jetstream.get_stream(name).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(cause) if cause.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
            _ => Err(Error::new(ErrorKind::Unavailable, questions::silent(name)).because(error)),
        },
    }
}

fn configure(options: ConnectOptions, name: &str, losses: Arc<watch::Sender<u64>>) -> ConnectOptions {
    let connection = name.to_owned();
    // A reconnect that fails is an event, and there are several a second.
    let failures = Arc::new(Mutex::new(Repeats::default()));
    options.ping_interval(Duration::from_secs(5)).event_callback(move |event| {
        let connection = connection.clone();
        if matches!(event, Event::Disconnected) {
            losses.send_modify(|losses| *losses += 1);
        }
        let failures = Arc::clone(&failures);
        async move {
            match event {
                Event::Connected => tracing::info!(connection, "connected to NATS"),
                Event::Disconnected => tracing::warn!(connection, "disconnected from NATS"),
                Event::ClientError(error) => {
                    let counted = failures.lock().unwrap_or_else(PoisonError::into_inner).count(Instant::now());
                    if let Some(left_out) = counted {
                        tracing::warn!(connection, %error, left_out, "NATS");
                    }
                }
                event => tracing::warn!(connection, %event, "NATS"),
            }
        }
    })
}
