//! Connections to NATS and to JetStream.

use std::{sync::Arc, time::Duration};

use async_nats::{Client, ConnectOptions, Event, jetstream};
use hourlog::{ErrorKind, Result};
use tokio::sync::watch;

use crate::{config::Settings, trace::sentence};

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
/// it refuses the login, [`ErrorKind::Invalid`] if the credentials cannot be read, the address is
/// invalid, or TLS fails.
pub(crate) async fn connect(settings: &Settings, name: &str) -> Result<Connection> {
    let (counter, losses) = watch::channel(0);
    let counter = Arc::new(counter);
    let login = settings.login(name);
    let begun = tokio::time::Instant::now();
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
        tracing::warn!(cause = sentence(&error), "no connection to NATS yet; retrying");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Returns a JetStream context whose requests have a time limit.
pub(crate) fn jetstream(client: Client) -> jetstream::Context {
    let mut jetstream = jetstream::new(client);
    jetstream.set_timeout(JETSTREAM_REQUEST_MAX);
    jetstream
}

fn configure(options: ConnectOptions, name: &str, losses: Arc<watch::Sender<u64>>) -> ConnectOptions {
    let connection = name.to_owned();
    options.ping_interval(Duration::from_secs(5)).event_callback(move |event| {
        let connection = connection.clone();
        if matches!(event, Event::Disconnected) {
            losses.send_modify(|losses| *losses += 1);
        }
        async move {
            match event {
                Event::Connected => tracing::info!(connection, "connected to NATS"),
                Event::Disconnected => tracing::warn!(connection, "disconnected from NATS"),
                event => tracing::warn!(connection, %event, "NATS"),
            }
        }
    })
}
