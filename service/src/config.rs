//! Settings: flags, `HOURLOG_*` variables and the TOML file, in this order of weight; all of them are here.

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use clap::Parser;
use hourlog::{Clock, Error, Result, ScyllaUrl, Tls, system_clock, wire};
use serde::Deserialize;

use crate::Margin;

const EXAMPLES: &str = "\
Examples:
  hourlogd --nats nats://localhost:4222 --store file:/var/lib/hourlog
  hourlogd --store cql://scylla1,scylla2/hourlog --migrate
  hourlogd --store memory:                       nothing is kept when it stops
  hourlogd --config /etc/hourlog.toml            nats = \"nats://…\", store = \"file:…\"; flags weigh more

Then: nats pub log.orders.eu '{\"id\":7}'   and   hourlog read orders.eu";

/// Ingests NATS subjects into an archive of logs and answers replays.
#[derive(Debug, Default, Clone, Parser, Deserialize)]
#[command(name = "hourlogd", version, about, after_help = EXAMPLES)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Options {
    /// The NATS server, or several with commas.
    #[arg(long, value_name = "URL", env = "HOURLOG_NATS")]
    pub nats: Option<String>,
    /// The archive: file:DIR, cql://user:pass@host:9042,host2/keyspace?replication=3, or memory: to try things out.
    #[arg(long, value_name = "STORE", env = "HOURLOG_STORE", hide_env_values = true)]
    pub store: Option<String>,
    /// Make the keyspace and the tables of a CQL archive where they are not there.
    #[arg(long, env = "HOURLOG_MIGRATE")]
    pub migrate: bool,
    /// The database's user; weighs more than the one in its address.
    #[arg(long, value_name = "USER", env = "HOURLOG_STORE_USER")]
    pub store_user: Option<String>,
    /// That user's password.
    #[arg(long, value_name = "PASSWORD", env = "HOURLOG_STORE_PASSWORD", hide_env_values = true)]
    pub store_password: Option<String>,
    /// A file with that user's password.
    #[arg(long, value_name = "FILE", env = "HOURLOG_STORE_PASSWORD_FILE")]
    pub store_password_file: Option<PathBuf>,
    /// A certificate authority to trust when the database is talked to by TLS, as PEM; as ?tls=FILE in the address.
    #[arg(long, value_name = "FILE", env = "HOURLOG_STORE_CA")]
    pub store_ca: Option<PathBuf>,
    /// A TOML file with the same names as the flags.
    #[arg(long, value_name = "FILE", env = "HOURLOG_CONFIG")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// The stream that holds events until the archive does.
    #[arg(long, value_name = "NAME", env = "HOURLOG_STREAM")]
    pub stream: Option<String>,
    /// The subjects that are ingested; a log's id is the subject without a leading `log.`.
    #[arg(long = "subject", value_name = "SUBJECT", env = "HOURLOG_SUBJECTS", value_delimiter = ',')]
    pub subjects: Option<Vec<String>>,
    /// How large the stream may grow while the archive is away, when the service makes it; more is refused to publishers.
    #[arg(long, value_name = "BYTES", env = "HOURLOG_WAL_MAX_BYTES")]
    pub wal_max_bytes: Option<i64>,
    /// What the service's own subjects begin with.
    #[arg(long, value_name = "PREFIX", env = "HOURLOG_PREFIX")]
    pub prefix: Option<String>,
    /// Further inbox prefixes that replies may go to, beside _INBOX.
    #[arg(long = "inbox-prefix", value_name = "PREFIX", env = "HOURLOG_INBOX_PREFIXES", value_delimiter = ',')]
    pub inbox_prefixes: Option<Vec<String>>,
    /// Seconds after which an idle log's actor is put to sleep.
    #[arg(long, value_name = "SECONDS", env = "HOURLOG_IDLE_SECONDS")]
    pub idle_seconds: Option<u64>,
    /// A NATS credentials file.
    #[arg(long, value_name = "FILE", env = "HOURLOG_CREDS")]
    pub creds: Option<PathBuf>,
    /// A NATS user.
    #[arg(long, value_name = "USER", env = "HOURLOG_USER")]
    pub user: Option<String>,
    /// The user's password.
    #[arg(long, value_name = "PASSWORD", env = "HOURLOG_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,
    /// A file with the seed of an nkey.
    #[arg(long, value_name = "FILE", env = "HOURLOG_NKEY")]
    pub nkey: Option<PathBuf>,
    /// A certificate authority to trust, as PEM.
    #[arg(long, value_name = "FILE", env = "HOURLOG_TLS_CA")]
    pub tls_ca: Option<PathBuf>,
    /// Seconds for which archived events stay in the stream; 3600 unless said otherwise.
    #[arg(long, value_name = "SECONDS", env = "HOURLOG_WAL_KEEP_SECONDS")]
    pub wal_keep_seconds: Option<u64>,
    /// The most bytes of archived events that stay in the stream; 256 MiB unless said otherwise.
    #[arg(long, value_name = "BYTES", env = "HOURLOG_WAL_KEEP_BYTES")]
    pub wal_keep_bytes: Option<u64>,
    /// A NATS user that may purge the stream, so that the service's own may not.
    #[arg(long, value_name = "USER", env = "HOURLOG_JANITOR_USER")]
    pub janitor_user: Option<String>,
    /// That user's password.
    #[arg(long, value_name = "PASSWORD", env = "HOURLOG_JANITOR_PASSWORD", hide_env_values = true)]
    pub janitor_password: Option<String>,
    /// A NATS credentials file for the same.
    #[arg(long, value_name = "FILE", env = "HOURLOG_JANITOR_CREDS")]
    pub janitor_creds: Option<PathBuf>,
    /// Where to answer GET /health and GET /metrics, as 127.0.0.1:9464; nowhere unless said.
    #[arg(long, value_name = "ADDR", env = "HOURLOG_HTTP")]
    pub http: Option<SocketAddr>,
    /// What to trace, as `hourlogd=debug`; also RUST_LOG.
    #[arg(long, value_name = "FILTER", env = "HOURLOG_TRACE")]
    pub trace: Option<String>,
}

impl Options {
    /// The same, with what they leave open filled from the file that they name.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid) where the file cannot be read, or says what nobody knows.
    pub fn with_file(self) -> Result<Self> {
        let Some(path) = &self.config else {
            return Ok(self);
        };
        let unreadable = |cause: String| Error::invalid(format!("cannot use the file {}: {cause}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        let file: Self = toml::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
        Ok(Self {
            nats: self.nats.or(file.nats),
            store: self.store.or(file.store),
            migrate: self.migrate || file.migrate,
            store_user: self.store_user.or(file.store_user),
            store_password: self.store_password.or(file.store_password),
            store_password_file: self.store_password_file.or(file.store_password_file),
            store_ca: self.store_ca.or(file.store_ca),
            stream: self.stream.or(file.stream),
            subjects: self.subjects.or(file.subjects),
            wal_max_bytes: self.wal_max_bytes.or(file.wal_max_bytes),
            prefix: self.prefix.or(file.prefix),
            inbox_prefixes: self.inbox_prefixes.or(file.inbox_prefixes),
            idle_seconds: self.idle_seconds.or(file.idle_seconds),
            creds: self.creds.or(file.creds),
            user: self.user.or(file.user),
            password: self.password.or(file.password),
            nkey: self.nkey.or(file.nkey),
            tls_ca: self.tls_ca.or(file.tls_ca),
            wal_keep_seconds: self.wal_keep_seconds.or(file.wal_keep_seconds),
            wal_keep_bytes: self.wal_keep_bytes.or(file.wal_keep_bytes),
            janitor_user: self.janitor_user.or(file.janitor_user),
            janitor_password: self.janitor_password.or(file.janitor_password),
            janitor_creds: self.janitor_creds.or(file.janitor_creds),
            http: self.http.or(file.http),
            trace: self.trace.or(file.trace),
            config: self.config,
        })
    }

    /// Which archive is meant.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid) where none is, it cannot be read, or its user's password cannot.
    pub fn store(&self) -> Result<StoreUrl> {
        let named = self.store.as_deref().ok_or_else(|| {
            Error::invalid("no archive is named; say --store file:DIR, or --store memory: to try things out")
        })?;
        let mut store: StoreUrl = named.parse()?;
        if let StoreUrl::Scylla(url) = &mut store {
            match (&self.store_user, self.store_password()?) {
                (Some(user), Some(password)) => url.user = Some((user.clone(), password)),
                (None, None) => {}
                _ => return Err(Error::invalid("the database's user goes with a password: give both, or neither")),
            }
            if let Some(file) = &self.store_ca {
                url.tls = Some(Tls::Authority(file.clone()));
            }
        }
        Ok(store)
    }

    fn store_password(&self) -> Result<Option<String>> {
        match (&self.store_password, &self.store_password_file) {
            (Some(_), Some(_)) => Err(Error::invalid("the database's password is given and in a file; leave one out")),
            (None, Some(file)) => {
                let text = std::fs::read_to_string(file).map_err(|error| {
                    Error::invalid(format!("cannot read the password in {}", file.display())).because(error)
                })?;
                Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
            }
            (password, None) => Ok(password.clone()),
        }
    }

    /// The settings of the service.
    pub fn settings(self) -> Settings {
        let standard = Settings::default();
        let janitor = (self.janitor_user.is_some() || self.janitor_creds.is_some()).then(|| Credentials {
            creds: self.janitor_creds,
            user: self.janitor_user,
            password: self.janitor_password,
            nkey: None,
            tls_ca: self.tls_ca.clone(),
        });
        Settings {
            margin: Margin {
                age: self.wal_keep_seconds.map_or(standard.margin.age, Duration::from_secs),
                bytes: self.wal_keep_bytes.unwrap_or(standard.margin.bytes),
            },
            janitor,
            nats: self.nats.unwrap_or(standard.nats),
            credentials: Credentials {
                creds: self.creds,
                user: self.user,
                password: self.password,
                nkey: self.nkey,
                tls_ca: self.tls_ca,
            },
            stream: self.stream.unwrap_or(standard.stream),
            subjects: self.subjects.unwrap_or(standard.subjects),
            wal_max_bytes: self.wal_max_bytes.unwrap_or(standard.wal_max_bytes),
            prefix: self.prefix.unwrap_or(standard.prefix),
            inbox_prefixes: self.inbox_prefixes.unwrap_or(standard.inbox_prefixes),
            idle: self.idle_seconds.map_or(standard.idle, Duration::from_secs),
            http: self.http,
            clock: standard.clock,
        }
    }
}

/// What the service needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The NATS server, or several with commas.
    pub nats: String,
    /// How to log in there.
    pub credentials: Credentials,
    /// The stream that holds events until the archive does.
    pub stream: String,
    /// The subjects that are ingested.
    pub subjects: Vec<String>,
    /// How large the stream may grow, when the service makes it.
    pub wal_max_bytes: i64,
    /// What the service's own subjects begin with.
    pub prefix: String,
    /// Further inbox prefixes that replies may go to.
    pub inbox_prefixes: Vec<String>,
    /// After how long an idle log's actor is put to sleep.
    pub idle: Duration,
    /// How much of what is archived stays in the stream.
    pub margin: Margin,
    /// How the janitor logs in, who purges the stream; as the service does unless said otherwise.
    pub janitor: Option<Credentials>,
    /// Where to answer health and metrics over HTTP.
    pub http: Option<SocketAddr>,
    /// Says what time it is.
    pub clock: Clock,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            nats: "nats://127.0.0.1:4222".to_owned(),
            credentials: Credentials::default(),
            stream: wire::WAL_STREAM.to_owned(),
            subjects: vec![format!("{}>", wire::WAL_PREFIX)],
            wal_max_bytes: 1 << 30,
            prefix: wire::SERVICE.to_owned(),
            inbox_prefixes: Vec::new(),
            idle: Duration::from_secs(60),
            margin: Margin::default(),
            janitor: None,
            http: None,
            clock: system_clock,
        }
    }
}

/// How to log in to NATS.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// A credentials file.
    pub creds: Option<PathBuf>,
    /// A user.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<String>,
    /// A file with the seed of an nkey.
    pub nkey: Option<PathBuf>,
    /// A certificate authority to trust.
    pub tls_ca: Option<PathBuf>,
}

/// Where the archive is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// In a directory.
    File(PathBuf),
    /// In ScyllaDB or Cassandra.
    Scylla(ScyllaUrl),
    /// In memory: gone when the service stops, and then read again from the stream.
    Memory,
}

impl FromStr for StoreUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some(("file", directory)) if !directory.is_empty() => {
                Ok(Self::File(PathBuf::from(directory.strip_prefix("//").unwrap_or(directory))))
            }
            Some(("cql", _)) => text.parse().map(Self::Scylla),
            Some(("memory", "")) => Ok(Self::Memory),
            _ => Err(Error::invalid(format!("{text:?} is no archive; write file:DIR, cql://HOST/KEYSPACE or memory:"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_weigh_more_than_the_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("hourlog.toml");
        std::fs::write(&path, "store = \"memory:\"\nprefix = \"file\"\nidle-seconds = 5").expect("it is written");
        let flags = Options { config: Some(path), prefix: Some("flag".to_owned()), ..Options::default() };
        let options = flags.with_file().expect("a good file");
        assert_eq!(options.store().expect("an archive"), StoreUrl::Memory);
        let settings = options.settings();
        assert_eq!((settings.prefix.as_str(), settings.idle), ("flag", Duration::from_secs(5)));
    }

    #[test]
    fn a_database_is_given_its_user_and_the_password_that_is_in_a_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("password");
        std::fs::write(&path, "se cret\n").expect("it is written");
        let options = Options {
            store: Some("cql://a/b".to_owned()),
            store_user: Some("me".to_owned()),
            store_password_file: Some(path),
            store_ca: Some("/ca.pem".into()),
            ..Options::default()
        };
        let StoreUrl::Scylla(url) = options.store().expect("an archive") else { panic!("it is a database") };
        assert_eq!(url.user, Some(("me".to_owned(), "se cret".to_owned())));
        assert_eq!(url.tls, Some(Tls::Authority("/ca.pem".into())));
        let both = Options { store_password: Some("x".to_owned()), ..options };
        assert!(both.store().expect_err("two passwords").to_string().contains("leave one out"));
    }

    #[test]
    fn a_file_with_an_unknown_name_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("hourlog.toml");
        std::fs::write(&path, "stroe = \"memory:\"").expect("it is written");
        let error = Options { config: Some(path), ..Options::default() }.with_file().expect_err("an unknown name");
        assert!(error.to_string().contains("stroe"), "{error}");
    }

    #[test]
    fn archives_are_told_by_their_scheme() {
        assert_eq!("file:/a/b".parse::<StoreUrl>().expect("a path"), StoreUrl::File("/a/b".into()));
        assert_eq!("file:data".parse::<StoreUrl>().expect("a path"), StoreUrl::File("data".into()));
        assert_eq!("file:///a/b".parse::<StoreUrl>().expect("a URL"), StoreUrl::File("/a/b".into()));
        for text in ["", "file:", "memory", "/a/b", "redis:x"] {
            assert!(text.parse::<StoreUrl>().is_err(), "{text:?} was taken");
        }
    }
}
