//! Connections to NATS and to JetStream.

use std::{sync::Arc, time::Duration};

use async_nats::{Client, ConnectOptions, Event, jetstream};
use hourlog::{Error, ErrorKind, Result, nats::connect_error};
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
/// it refuses the credentials, [`ErrorKind::Invalid`] if the credentials cannot be read, or the
/// address is invalid.
pub(crate) async fn connect(settings: &Settings, name: &str) -> Result<Connection> {
    let (counter, losses) = watch::channel(0);
    let counter = Arc::new(counter);
    let begun = tokio::time::Instant::now();
    loop {
        let error = match options(settings, name, Arc::clone(&counter)).await?.connect(settings.nats.as_str()).await {
            Ok(client) => return Ok(Connection { client, losses }),
            Err(error) => connect_error(&settings.nats, error),
        };
        // Retrying does not help against wrong credentials or a wrong address.
        let is_passing = error.kind() == ErrorKind::Unavailable;
        if !is_passing || begun.elapsed() > FIRST_CONNECT_MAX {
            return Err(error);
        }
        tracing::warn!(cause = sentence(&error), "no NATS server answers yet; retrying");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Returns a JetStream context whose requests have a time limit.
pub(crate) fn jetstream(client: Client) -> jetstream::Context {
    let mut jetstream = jetstream::new(client);
    jetstream.set_timeout(JETSTREAM_REQUEST_MAX);
    jetstream
}

async fn options(settings: &Settings, name: &str, losses: Arc<watch::Sender<u64>>) -> Result<ConnectOptions> {
    let credentials = &settings.credentials;
    let unreadable = |path: &std::path::Path, error: std::io::Error| {
        Error::invalid(format!("cannot read {}", path.display())).because(error)
    };
    let connection = name.to_owned();
    let mut options = ConnectOptions::new()
        .name(format!("hourlogd {name}"))
        .connection_timeout(ATTEMPT_MAX)
        .ping_interval(Duration::from_secs(5))
        .event_callback(move |event| {
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
        });
    if let Some(path) = &credentials.creds {
        options = options.credentials_file(path).await.map_err(|error| unreadable(path, error))?;
    }
    if let Some(user) = &credentials.user {
        options = options.user_and_password(user.clone(), credentials.password.clone().unwrap_or_default());
    }
    if let Some(path) = &credentials.nkey {
        let seed = std::fs::read_to_string(path).map_err(|error| unreadable(path, error))?;
        options = options.nkey(seed.trim().to_owned());
    }
    if let Some(path) = &credentials.tls_ca {
        options = options.add_root_certificates(path.clone());
    }
    Ok(options)
}
