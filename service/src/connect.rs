//! Connections to NATS.

use std::{sync::Arc, time::Duration};

use async_nats::{Client, ConnectOptions, Event};
use hourlog::{Error, ErrorKind, Result};

use tokio::sync::watch;

use crate::Settings;

/// How long the server may be missing at the start, before that is an error.
const FIRST_CONNECT_MAX: Duration = Duration::from_secs(30);
/// How long one attempt may take.
const ATTEMPT_MAX: Duration = Duration::from_secs(5);

/// A connection that comes back by itself.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) client: Client,
    /// How often it was lost.
    pub(crate) lost: watch::Receiver<u64>,
}

/// Connects as `name`. Once connected, the connection comes back by itself whenever it was lost.
///
/// # Errors
/// [`ErrorKind::Unavailable`] where no server answers for half a minute, [`ErrorKind::NotAllowed`] where it refuses
/// the credentials, [`ErrorKind::Invalid`] where those cannot be read.
pub(crate) async fn connect(settings: &Settings, name: &str) -> Result<Connection> {
    let (counter, lost) = watch::channel(0);
    let counter = Arc::new(counter);
    let begun = tokio::time::Instant::now();
    loop {
        let error = match options(settings, name, Arc::clone(&counter)).await?.connect(settings.nats.as_str()).await {
            Ok(client) => return Ok(Connection { client, lost }),
            Err(error) => error,
        };
        use async_nats::ConnectErrorKind::{Authentication, AuthorizationViolation, ServerParse};
        let nats = &settings.nats;
        match error.kind() {
            Authentication | AuthorizationViolation => {
                let context = format!("the NATS server at {nats} refuses these credentials");
                return Err(Error::new(ErrorKind::NotAllowed, context).because(error));
            }
            ServerParse => {
                return Err(Error::invalid(format!("{nats:?} is no address of a NATS server")).because(error));
            }
            _ if begun.elapsed() > FIRST_CONNECT_MAX => {
                let context = format!("no NATS server answers at {nats}; start one with: nats-server -js");
                return Err(Error::new(ErrorKind::Unavailable, context).because(error));
            }
            _ => tracing::warn!(server = nats, %error, "no NATS server answers yet"),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn options(settings: &Settings, name: &str, lost: Arc<watch::Sender<u64>>) -> Result<ConnectOptions> {
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
                lost.send_modify(|times| *times += 1);
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
