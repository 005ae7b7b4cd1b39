//! The login at a NATS server: addresses, credentials and TLS, for the service and its clients.

mod address;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use async_nats::{Client, ConnectOptions, ServerAddr};

use self::address::{Address, Identity, common_identity, parse_addresses};
use super::errors::{connect_error, timeout_error, without_secrets};
use crate::{Error, Result};

/// Addresses of NATS servers and the login there.
///
/// An address may hold a login, percent-encoded: `nats://user:password@host` or `nats://token@host`.
/// It overrides `user`, `password` and `token`, as in the `nats` tool.
///
/// ```no_run
/// use std::time::Duration;
/// use hourlog::nats::Login;
///
/// # async fn example() -> hourlog::Result<()> {
/// let login = Login { servers: "nats://me:p%40ss@one,nats://two".to_owned(), ..Login::default() };
/// let client = login.connect(Duration::from_secs(5), |options| options.no_echo()).await?;
/// # drop(client);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Login {
    /// Addresses, separated by commas, with or without a scheme and a login.
    pub servers: String,
    /// Name of the connection, which the server shows in its lists.
    pub name: Option<String>,
    /// User.
    pub user: Option<String>,
    /// Password of the user.
    pub password: Option<String>,
    /// Token, instead of a user.
    pub token: Option<String>,
    /// Credentials file, as `nsc` makes them.
    pub creds: Option<PathBuf>,
    /// File that holds an NKey seed.
    pub nkey: Option<PathBuf>,
    /// NKey seed.
    pub nkey_seed: Option<String>,
    /// CA certificates (PEM). Requires TLS.
    pub tls_ca: Option<PathBuf>,
    /// Client certificate (PEM). Requires TLS, and `tls_key`.
    pub tls_cert: Option<PathBuf>,
    /// Private key of the client certificate (PEM).
    pub tls_key: Option<PathBuf>,
    /// True to start TLS before the server says anything. Requires TLS.
    pub tls_first: bool,
    /// Prefix of the reply subjects; `_INBOX` by default.
    pub inbox_prefix: Option<String>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The other fields may hold secrets.
        f.debug_struct("Login")
            .field("servers", &without_secrets(&self.servers))
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Login {
    /// Connects, with a time limit for each address. `configure` sets further options.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if no server answers: a retry may
    /// help. [`ErrorKind::NotAllowed`](crate::ErrorKind::NotAllowed) if the server refuses the login or
    /// the client certificate. [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if an address or a
    /// file cannot be used, or TLS fails for another reason.
    pub async fn connect(
        &self,
        timeout: Duration,
        configure: impl FnOnce(ConnectOptions) -> ConnectOptions,
    ) -> Result<Client> {
        // The database's driver adds a second TLS provider, and rustls does not choose between two.
        #[cfg(feature = "scylla-tls")]
        let _ = rustls::crypto::ring::default_provider().install_default();
        let addresses = parse_addresses(&self.servers)?;
        let options = configure(self.options(&addresses)?).connection_timeout(timeout);
        let servers: Vec<ServerAddr> = addresses.into_iter().map(|address| address.server).collect();
        // The limit of async-nats does not include the DNS lookup.
        let count = u32::try_from(servers.len()).unwrap_or(u32::MAX);
        match tokio::time::timeout(timeout.saturating_mul(count.saturating_add(1)), options.connect(servers)).await {
            Ok(connected) => connected.map_err(|error| connect_error(&self.servers, error)),
            Err(_) => Err(timeout_error(&self.servers)),
        }
    }

    /// Returns this login, completed by a weaker one: typed flags by variables, say, or variables by
    /// a file.
    ///
    /// A user, a token, a credentials file, an NKey and a login in the addresses are identities. If
    /// this login has one, those of `weaker` are left out, so that no secret of one reaches the
    /// servers of the other. Only a password may complete a user of the other login.
    ///
    /// ```
    /// use hourlog::nats::Login;
    ///
    /// let typed = Login { token: Some("typed".to_owned()), ..Login::default() };
    /// let variables = Login { servers: "nats://me:secret@host".to_owned(), ..Login::default() };
    /// let login = typed.or(variables);
    /// assert_eq!((login.servers.as_str(), login.token.as_deref()), ("nats://host", Some("typed")));
    /// ```
    #[must_use]
    pub fn or(mut self, mut weaker: Self) -> Self {
        if self.user.is_none() && self.password.is_some() && !self.has_identity() {
            self.user = weaker.user.take();
        }
        if self.has_identity() {
            let completes = self.user.is_some() && weaker.user.is_none();
            let password = weaker.password.take().filter(|_| completes);
            weaker = Self { password, ..weaker.without_identity() };
        }
        Self {
            servers: if self.servers.is_empty() { weaker.servers } else { self.servers },
            name: self.name.or(weaker.name),
            user: self.user.or(weaker.user),
            password: self.password.or(weaker.password),
            token: self.token.or(weaker.token),
            creds: self.creds.or(weaker.creds),
            nkey: self.nkey.or(weaker.nkey),
            nkey_seed: self.nkey_seed.or(weaker.nkey_seed),
            tls_ca: self.tls_ca.or(weaker.tls_ca),
            tls_cert: self.tls_cert.or(weaker.tls_cert),
            tls_key: self.tls_key.or(weaker.tls_key),
            tls_first: self.tls_first || weaker.tls_first,
            inbox_prefix: self.inbox_prefix.or(weaker.inbox_prefix),
        }
    }

    fn has_identity(&self) -> bool {
        let texts = [&self.user, &self.token, &self.nkey_seed];
        let files = [&self.creds, &self.nkey];
        texts.iter().any(|text| text.is_some()) || files.iter().any(|file| file.is_some()) || self.servers.contains('@')
    }

    fn without_identity(self) -> Self {
        let servers = if self.servers.contains('@') { without_secrets(&self.servers) } else { self.servers };
        Self { servers, user: None, password: None, token: None, creds: None, nkey: None, nkey_seed: None, ..self }
    }

    /// Checks the addresses, without connecting or reading a file.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if one cannot be used.
    pub fn check_addresses(&self) -> Result<()> {
        common_identity(&parse_addresses(&self.servers)?, &self.servers).map(drop)
    }

    fn options(&self, addresses: &[Address]) -> Result<ConnectOptions> {
        let mut options = ConnectOptions::new();
        if let Some(name) = &self.name {
            options = options.name(name);
        }
        if let Some(path) = &self.creds {
            let text = read(path, "credentials")?;
            options = options.credentials(&text).map_err(|error| {
                Error::invalid(format!("{} is not a credentials file; create one with nsc", path.display()))
                    .because(error)
            })?;
        }
        if let Some(seed) = &self.nkey_seed {
            options = options.nkey(seed.clone());
        } else if let Some(path) = &self.nkey {
            options = options.nkey(read(path, "an NKey seed")?.trim().to_owned());
        }
        options = match self.identity(addresses)? {
            Some(Identity::User(user, password)) => options.user_and_password(user, password),
            Some(Identity::Token(token)) => options.token(token),
            None => options,
        };
        if let Some(path) = &self.tls_ca {
            check_readable(path)?;
            options = options.add_root_certificates(path.clone());
        }
        match (&self.tls_cert, &self.tls_key) {
            (Some(cert), Some(key)) => {
                check_readable(cert)?;
                check_readable(key)?;
                options = options.add_client_certificate(cert.clone(), key.clone());
            }
            (None, None) => {}
            _ => {
                return Err(Error::invalid(
                    "a client certificate needs both a certificate and a key; add the missing one",
                ));
            }
        }
        if self.tls_first {
            options = options.tls_first();
        }
        if let Some(prefix) = &self.inbox_prefix {
            options = options.custom_inbox_prefix(prefix);
        }
        Ok(options.require_tls(self.requires_tls(addresses)))
    }

    /// True if a connection without TLS is an error.
    ///
    /// One `tls://` address is enough: a cluster tells its other addresses without a scheme.
    fn requires_tls(&self, addresses: &[Address]) -> bool {
        let has_files = self.tls_ca.is_some() || self.tls_cert.is_some();
        has_files || self.tls_first || addresses.iter().any(|address| address.server.tls_required())
    }

    /// Returns the user or token to log in with: that of the addresses, or else the given one.
    fn identity(&self, addresses: &[Address]) -> Result<Option<Identity>> {
        if let Some(identity) = common_identity(addresses, &self.servers)? {
            return Ok(Some(identity.clone()));
        }
        Ok(match (&self.token, &self.user) {
            (Some(token), _) => Some(Identity::Token(token.clone())),
            (None, Some(user)) => Some(Identity::User(user.clone(), self.password.clone().unwrap_or_default())),
            (None, None) => None,
        })
    }
}

fn read(path: &Path, what: &str) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| {
        Error::invalid(format!("cannot read {what} from {}; check the path", path.display())).because(error)
    })
}

fn check_readable(path: &Path) -> Result<()> {
    read(path, "PEM").map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn login(servers: &str) -> Login {
        Login { servers: servers.to_owned(), ..Login::default() }
    }

    fn user(user: &str, password: &str) -> Option<Identity> {
        Some(Identity::User(user.to_owned(), password.to_owned()))
    }

    #[test]
    fn a_login_in_an_address_overrides_the_given_user_and_token() {
        let given = Login { user: Some("other".to_owned()), token: Some("other".to_owned()), ..login("me:x@a") };
        let addresses = parse_addresses(&given.servers).expect("the address is valid");
        assert!(given.identity(&addresses).expect("there is one login") == user("me", "x"));
        let given = Login { user: Some("me".to_owned()), ..login("a") };
        let addresses = parse_addresses(&given.servers).expect("the address is valid");
        assert!(given.identity(&addresses).expect("there is one login") == user("me", ""));
    }

    #[test]
    fn a_stronger_identity_leaves_nothing_of_a_weaker_one() {
        let text = |text: &str| Some(text.to_owned());
        let url = || login("nats://me:secret@a");
        let user = || Login { user: text("me"), password: text("secret"), ..Login::default() };
        let token = || Login { token: text("typed"), ..Login::default() };
        let creds = || Login { creds: Some("/secret".into()), nkey: Some("/secret".into()), ..Login::default() };
        let seed = || Login { nkey_seed: text("secret"), ..Login::default() };
        for weaker in [url(), user(), creds(), seed(), Login { token: text("secret"), ..Login::default() }] {
            for stronger in [token(), Login { user: text("you"), password: text("typed"), ..Login::default() }] {
                let both = stronger.or(weaker.clone());
                let shown = format!("{} {:?}", both.servers, (&both.user, &both.password, &both.token));
                let files = (&both.creds, &both.nkey, &both.nkey_seed);
                assert!(shown.contains("typed") && !shown.contains("secret"), "{shown}");
                assert_eq!(files, (&None, &None, &None), "{shown}");
            }
        }
        let both = login("nats://you:typed@b").or(user());
        assert_eq!((both.servers.as_str(), both.user, both.password), ("nats://you:typed@b", None, None));
        let both = login("b").or(url());
        assert_eq!(both.servers, "b");
    }

    #[test]
    fn a_user_and_a_password_may_stand_apart() {
        let text = |text: &str| Some(text.to_owned());
        let user = || Login { user: text("me"), ..Login::default() };
        let password = || Login { password: text("x"), ..Login::default() };
        for both in [user().or(password()), password().or(user()), password().or(user().or(login("nats://you:y@a")))] {
            assert_eq!((both.user.as_deref(), both.password.as_deref()), (Some("me"), Some("x")));
            assert!(!both.servers.contains('@'), "{}", both.servers);
        }
        let weaker = Login { user: text("you"), password: text("y"), ..Login::default() };
        assert_eq!(user().or(weaker).password, None);
    }

    #[test]
    fn tls_is_required_by_a_certificate_and_by_an_address() {
        let path = || Some(PathBuf::from("/x.pem"));
        for (login, required) in [
            (login("nats://a"), false),
            (login("nats://a,tls://b"), true),
            (Login { tls_ca: path(), ..login("a") }, true),
            (Login { tls_cert: path(), tls_key: path(), ..login("a") }, true),
            (Login { tls_first: true, ..login("a") }, true),
        ] {
            let addresses = parse_addresses(&login.servers).expect("the address is valid");
            assert_eq!(login.requires_tls(&addresses), required, "{login:?}");
        }
    }

    #[test]
    fn unusable_files_are_named() {
        let missing = || Some(PathBuf::from("/missing/file"));
        for login in [
            Login { creds: missing(), ..login("a") },
            Login { nkey: missing(), ..login("a") },
            Login { tls_ca: missing(), ..login("a") },
            Login { tls_cert: missing(), tls_key: missing(), ..login("a") },
        ] {
            let error = login.options(&[]).map(drop).expect_err("the file is missing");
            assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains("/missing/file"), "{error}");
        }
        let error = Login { tls_cert: missing(), ..login("a") }.options(&[]).map(drop).expect_err("the key is missing");
        assert!(error.to_string().contains("both"), "{error}");
    }

    #[test]
    fn debug_shows_no_secret() {
        let login = Login {
            password: Some("secret".to_owned()),
            token: Some("secret".to_owned()),
            nkey_seed: Some("secret".to_owned()),
            ..login("nats://me:secret@host")
        };
        let shown = format!("{login:?}");
        assert!(shown.contains("nats://host") && !shown.contains("secret"), "{shown}");
    }
}
