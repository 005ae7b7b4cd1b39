//! The options of a connection.

use std::{path::PathBuf, time::Duration};

use async_nats::ConnectOptions;

use crate::{
    Error, Result,
    nats::{connect_error, without_secrets},
    wire,
};

use super::{Remote, TIMEOUT_DEFAULT};

/// The options of a connection to the service, made by [`Remote::builder`].
///
/// ```no_run
/// use std::time::Duration;
/// use hourlog::Remote;
///
/// # async fn example() -> hourlog::Result<()> {
/// let remote = Remote::builder("nats://one:4222,nats://two:4222")
///     .with_user_and_password("reader", "secret")
///     .with_timeout(Duration::from_secs(10))
///     .connect()
///     .await?;
/// # drop(remote);
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is connected before `connect`"]
pub struct RemoteBuilder {
    url: String,
    options: ConnectOptions,
    credentials: Option<PathBuf>,
    prefix: String,
    timeout: Duration,
}

impl std::fmt::Debug for RemoteBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the secrets.
        f.debug_struct("RemoteBuilder").field("url", &without_secrets(&self.url)).finish_non_exhaustive()
    }
}

impl RemoteBuilder {
    pub(super) fn new(url: &str) -> Self {
        let options = ConnectOptions::new().name("hourlog");
        let prefix = wire::SERVICE.to_owned();
        Self { url: url.to_owned(), options, credentials: None, prefix, timeout: TIMEOUT_DEFAULT }
    }

    /// Sets the time for a connection and for each reply; 5 s by default.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the prefix of the service's subjects; `hourlog` by default.
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the name of the connection, which the server shows in its lists.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.options = self.options.name(name.into());
        self
    }

    /// Logs in with a user and a password.
    pub fn with_user_and_password(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.options = self.options.user_and_password(user.into(), password.into());
        self
    }

    /// Logs in with a token.
    pub fn with_token(mut self, token: impl Into<String>) -> Self {
        self.options = self.options.token(token.into());
        self
    }

    /// Logs in with the seed of an NKey.
    pub fn with_nkey(mut self, seed: impl Into<String>) -> Self {
        self.options = self.options.nkey(seed.into());
        self
    }

    /// Logs in with a credentials file, as `nsc` makes them.
    pub fn with_credentials(mut self, path: impl Into<PathBuf>) -> Self {
        self.credentials = Some(path.into());
        self
    }

    /// Trusts the CA certificates of a PEM file, and requires TLS.
    pub fn with_root_certificates(mut self, path: impl Into<PathBuf>) -> Self {
        self.options = self.options.add_root_certificates(path.into()).require_tls(true);
        self
    }

    /// Listens for replies below `prefix` instead of `_INBOX`.
    pub fn with_inbox_prefix(mut self, prefix: &str) -> Self {
        self.options = self.options.custom_inbox_prefix(prefix);
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if no server answers,
    /// [`ErrorKind::NotAllowed`](crate::ErrorKind::NotAllowed) if it refuses the login,
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the credentials cannot be read.
    pub async fn connect(self) -> Result<Remote> {
        let Self { url, mut options, credentials, prefix, timeout } = self;
        if let Some(path) = credentials {
            options = options.credentials_file(&path).await.map_err(|error| {
                Error::invalid(format!("cannot read credentials from {}; check the path", path.display()))
                    .because(error)
            })?;
        }
        let addresses: Vec<&str> = url.split(',').map(str::trim).collect();
        match options.connection_timeout(timeout).connect(addresses).await {
            Ok(client) => Ok(Remote::with_prefix(client, prefix).with_timeout(timeout).with_server_name(&url)),
            Err(error) => Err(connect_error(&url, error)),
        }
    }
}
