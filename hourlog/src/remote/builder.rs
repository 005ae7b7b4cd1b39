//! The options of a connection.

use std::{path::PathBuf, time::Duration};

use crate::{
    Result,
    nats::Login,
    wire::{self, Compression},
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
    login: Login,
    prefix: String,
    timeout: Duration,
    compression: Option<Compression>,
}

impl std::fmt::Debug for RemoteBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteBuilder").field("login", &self.login).finish_non_exhaustive()
    }
}

impl RemoteBuilder {
    pub(super) fn new(url: &str) -> Self {
        let login = Login { servers: url.to_owned(), name: Some("hourlog".to_owned()), ..Login::default() };
        Self { login, prefix: wire::SERVICE.to_owned(), timeout: TIMEOUT_DEFAULT, compression: None }
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

    /// Asks for compressed pages; see [`Remote::with_compression`].
    pub fn with_compression(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }

    /// Sets the name of the connection, which the server shows in its lists.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.login.name = Some(name.into());
        self
    }

    /// Logs in with a user and a password.
    pub fn with_user_and_password(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.login.user = Some(user.into());
        self.login.password = Some(password.into());
        self
    }

    /// Logs in with a token.
    pub fn with_token(mut self, token: impl Into<String>) -> Self {
        self.login.token = Some(token.into());
        self
    }

    /// Logs in with the seed of an NKey.
    pub fn with_nkey(mut self, seed: impl Into<String>) -> Self {
        self.login.nkey_seed = Some(seed.into());
        self
    }

    /// Logs in with a credentials file, as `nsc` makes them.
    pub fn with_credentials(mut self, path: impl Into<PathBuf>) -> Self {
        self.login.creds = Some(path.into());
        self
    }

    /// Trusts the CA certificates of a PEM file, and requires TLS.
    pub fn with_root_certificates(mut self, path: impl Into<PathBuf>) -> Self {
        self.login.tls_ca = Some(path.into());
        self
    }

    /// Shows a client certificate to the server, and requires TLS. Both files are PEM.
    pub fn with_client_certificate(mut self, cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.login.tls_cert = Some(cert.into());
        self.login.tls_key = Some(key.into());
        self
    }

    /// Starts TLS before the server says anything.
    pub fn with_tls_first(mut self) -> Self {
        self.login.tls_first = true;
        self
    }

    /// Listens for replies below `prefix` instead of `_INBOX`.
    pub fn with_inbox_prefix(mut self, prefix: &str) -> Self {
        self.login.inbox_prefix = Some(prefix.to_owned());
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if no server answers,
    /// [`ErrorKind::NotAllowed`](crate::ErrorKind::NotAllowed) if it refuses the login or the
    /// client certificate, [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if an address or a file
    /// cannot be used, or TLS fails for another reason.
    pub async fn connect(self) -> Result<Remote> {
        let Self { login, prefix, timeout, compression } = self;
        let client = login.connect(timeout, |options| options).await?;
        let remote = Remote::with_prefix(client, prefix).with_timeout(timeout).with_compression(compression);
        Ok(remote.with_server_name(&login.servers))
    }
}
