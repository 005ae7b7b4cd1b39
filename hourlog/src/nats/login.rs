//! The login at a NATS server: addresses, credentials and TLS, for the service and its clients.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use async_nats::{Client, ConnectOptions, ServerAddr};
use percent_encoding::percent_decode_str;
use url::Url;

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
    /// help. [`ErrorKind::NotAllowed`](crate::ErrorKind::NotAllowed) if the server refuses the login.
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if an address or a file cannot be used, or
    /// TLS fails.
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
        let mut in_addresses = addresses.iter().filter_map(|address| address.identity.as_ref());
        if let Some(first) = in_addresses.next() {
            // async-nats has one login for all its servers.
            if in_addresses.any(|other| other != first) {
                return Err(Error::invalid(format!(
                    "the addresses {} have different logins; use one login for all of them",
                    without_secrets(&self.servers)
                )));
            }
            return Ok(Some(first.clone()));
        }
        Ok(match (&self.token, &self.user) {
            (Some(token), _) => Some(Identity::Token(token.clone())),
            (None, Some(user)) => Some(Identity::User(user.clone(), self.password.clone().unwrap_or_default())),
            (None, None) => None,
        })
    }
}

/// A user with a password, or a token.
#[derive(Clone, PartialEq, Eq)]
enum Identity {
    User(String, String),
    Token(String),
}

/// An address, with its login apart: async-nats ignores a login in an address, and traces it.
struct Address {
    server: ServerAddr,
    identity: Option<Identity>,
}

fn parse_addresses(servers: &str) -> Result<Vec<Address>> {
    let has_login = servers.contains('@');
    let parts = servers.split(',').map(str::trim).filter(|part| !part.is_empty());
    let addresses: Vec<Address> = parts.map(|part| parse_address(part, has_login)).collect::<Result<_>>()?;
    if addresses.is_empty() {
        return Err(Error::invalid("no address of a NATS server is given; write nats://host:4222"));
    }
    Ok(addresses)
}

/// Parses one address. `has_login` is true if a login stands somewhere in the list: a comma in a
/// password splits the list in the wrong place.
fn parse_address(text: &str, has_login: bool) -> Result<Address> {
    let invalid = || {
        if has_login {
            // Not even the host is shown: it may be a part of the password.
            Error::invalid(
                "an address with a login cannot be read; write the special characters of its user, password or token \
                 percent-encoded, such as %40 for @, %2F for /, %2C for a comma and %25 for %",
            )
        } else {
            Error::invalid(format!("{text:?} is not an address of a NATS server; write nats://host:4222"))
        }
    };
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("nats://{text}") };
    let mut url = Url::parse(&with_scheme).map_err(|_| invalid())?;
    match url.scheme() {
        "nats" | "tls" => {}
        "ws" | "wss" => {
            return Err(Error::invalid(format!(
                "{} is a WebSocket address, which is not supported; give the server's nats:// or tls:// address, \
                 usually with port 4222",
                without_secrets(text)
            )));
        }
        _ => return Err(invalid()),
    }
    // A / ? or # in a password ends the host too early, and the rest of the login becomes a path.
    let has_rest = [url.path(), url.query().unwrap_or_default(), url.fragment().unwrap_or_default()]
        .iter()
        .any(|rest| rest.contains('@'));
    if has_rest || url.host_str().is_none_or(str::is_empty) {
        return Err(invalid());
    }
    // `Url` drops an empty password.
    let has_empty_password = with_scheme.rsplit_once('@').is_some_and(|(login, _)| login.ends_with(':'));
    let identity = match (url.username(), url.password().or(has_empty_password.then_some(""))) {
        ("", None) => None,
        (token, None) => Some(Identity::Token(decode(token).ok_or_else(invalid)?)),
        (user, Some(password)) => {
            Some(Identity::User(decode(user).ok_or_else(invalid)?, decode(password).ok_or_else(invalid)?))
        }
    };
    url.set_username("").map_err(|()| invalid())?;
    url.set_password(None).map_err(|()| invalid())?;
    let server = ServerAddr::from_url(url).map_err(|_| invalid())?;
    Ok(Address { server, identity })
}

/// Decodes percent-encoding. `None` for a `%` without two hexadecimal digits.
fn decode(text: &str) -> Option<String> {
    let is_encoded = text.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes().iter().take(2);
        digits.clone().count() == 2 && digits.clone().all(u8::is_ascii_hexdigit)
    });
    if !is_encoded {
        return None;
    }
    percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
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

    fn token(token: &str) -> Option<Identity> {
        Some(Identity::Token(token.to_owned()))
    }

    #[test]
    fn addresses_are_split_and_their_login_is_decoded_and_taken_out() {
        let cases: [(&str, &[&str], Option<Identity>); 12] = [
            ("localhost", &["nats://localhost"], None),
            ("nats://a:4223", &["nats://a:4223"], None),
            ("a, tls://b:1,", &["nats://a", "tls://b:1"], None),
            ("[::1]:4222", &["nats://[::1]:4222"], None),
            ("nats://me:p%40ss@host", &["nats://host"], user("me", "p@ss")),
            ("nats://me:p@ss@host", &["nats://host"], user("me", "p@ss")),
            ("me:secret@host:1", &["nats://host:1"], user("me", "secret")),
            ("nats://me:@host", &["nats://host"], user("me", "")),
            ("nats://t%2Fk%25n@host", &["nats://host"], token("t/k%n")),
            ("token@host", &["nats://host"], token("token")),
            ("a,me:%2C@b", &["nats://a", "nats://b"], user("me", ",")),
            ("me:x@a,nats://me:x@b,c", &["nats://a", "nats://b", "nats://c"], user("me", "x")),
        ];
        for (text, servers, identity) in cases {
            let addresses = parse_addresses(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let parsed: Vec<_> = addresses.iter().map(|address| address.server.as_url_str()).collect();
            assert_eq!(parsed, servers, "{text}");
            let found = login(text).identity(&addresses).expect("the logins are equal");
            assert!(found == identity, "{text} has another login");
        }
    }

    #[test]
    fn an_unusable_address_is_refused_with_the_reason_and_without_its_password() {
        for (text, reason) in [
            ("nats://me:se/cret@host", "percent-encoded"),
            ("nats://me:se?cret@host", "percent-encoded"),
            ("nats://me:se#cret@host", "percent-encoded"),
            ("nats://me:1/secret@host", "percent-encoded"),
            ("nats://me:se%cret@host", "percent-encoded"),
            ("nats://me:secret%ff@host", "percent-encoded"),
            ("nats://me:secret,x@host", "percent-encoded"),
            ("nats://secret%@host", "percent-encoded"),
            ("nats://me:secret@host:port", "percent-encoded"),
            ("ws://me:secret@host", "WebSocket"),
            ("wss://host", "nats://"),
            ("http://host", "write nats://host:4222"),
            ("nats://host:port", "write nats://host:4222"),
            ("nats://", "write nats://host:4222"),
            ("", "write nats://host:4222"),
            (",", "write nats://host:4222"),
        ] {
            let Err(error) = parse_addresses(text) else { panic!("{text} was accepted") };
            let shown = format!("{error} {error:?}");
            assert_eq!(error.kind(), ErrorKind::Invalid, "{shown}");
            assert!(shown.contains(reason), "{text}: {shown}");
            assert!(!shown.contains("cret") && !shown.contains("secret"), "{text}: {shown}");
        }
        let addresses = parse_addresses("me:secret@a,you:secret@b").expect("both are valid");
        let Err(error) = login("me:secret@a,you:secret@b").identity(&addresses) else { panic!("two logins") };
        assert!(error.to_string().contains("a,b have different logins"), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
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
