//! All settings of the service: flags override `HOURLOG_*` variables, and both override the TOML
//! file.

mod file;
mod identity;
mod manual;
mod print;
mod subcommands;

use std::{ffi::OsString, io::Write, path::PathBuf, str::FromStr, time::Duration};

use clap::{
    ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand, builder::BoolishValueParser,
    error::ErrorKind as ClapErrorKind, parser::ValueSource,
};
use hourlog::{
    Error, Result,
    nats::{Login, without_secrets},
    store::{ScyllaUrl, Tls},
    time::{Clock, system_clock},
    wire,
};
use serde::Deserialize;

use crate::{
    margin::Margin,
    rules::{RetentionRule, Rules, WidthRule},
    stream::mapping::Mapping,
    units::{ByteSize, ListenAddress, Seconds},
};

pub use subcommands::{Maintenance, Output};

const EXAMPLES: &str = "\
Examples:
  hourlogd --nats nats://localhost:4222 --store file:/var/lib/hourlog
  hourlogd --store cql://scylla1,scylla2/hourlog --migrate
  hourlogd --store memory:                       to try things out: a stop loses the archive
  hourlogd --config /etc/hourlog.toml            store = \"file:…\"; flags override the file
  hourlogd --config-template > hourlog.toml      every setting, as a comment
  hourlogd check /var/lib/hourlog                is the archive whole? The service must be stopped
  hourlogd repair /var/lib/hourlog               keep what can be read of a damaged archive
  hourlogd backup /var/lib/hourlog /backup/1     copy it, also while the service runs
  hourlogd restore /backup/1 /var/lib/hourlog
  hourlogd man ~/.local/share/man/man8           its manual pages

Other users of the machine can read a password in a flag (ps). Variables and files are safer.

Then: nats pub log.orders.eu '{\"id\":7}'   and   hourlog read orders.eu";

/// Archives the events of NATS subjects in logs and replays them.
#[derive(Default, Clone, Parser, Deserialize)]
#[command(name = "hourlogd", version, after_help = EXAMPLES)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Options {
    /// NATS server, or several separated by commas; with a login as in nats://user:password@host, whose
    /// special characters are percent-encoded [default: nats://127.0.0.1:4222].
    #[arg(long, value_name = "URL", env = "HOURLOG_NATS", hide_env_values = true)]
    pub nats: Option<String>,
    /// Archive: file:DIR, cql://user:pass@host:9042,host2/keyspace?replication=3, or memory: to try
    /// things out.
    #[arg(long, value_name = "STORE", env = "HOURLOG_STORE", hide_env_values = true)]
    pub store: Option<String>,
    /// Create the keyspace and the tables of a CQL archive if they are missing.
    #[arg(long, env = "HOURLOG_MIGRATE", value_parser = BoolishValueParser::new())]
    pub migrate: bool,
    /// User of the database; overrides the one in the store URL.
    #[arg(long, value_name = "USER", env = "HOURLOG_STORE_USER")]
    pub store_user: Option<String>,
    /// Password of the database user.
    #[arg(long, value_name = "PASSWORD", env = "HOURLOG_STORE_PASSWORD", hide_env_values = true)]
    pub store_password: Option<String>,
    /// File that holds the password of the database user.
    #[arg(long, value_name = "FILE", env = "HOURLOG_STORE_PASSWORD_FILE")]
    pub store_password_file: Option<PathBuf>,
    /// CA certificates (PEM) for TLS to the database; the same as ?tls=FILE in the store URL.
    #[arg(long, value_name = "FILE", env = "HOURLOG_STORE_CA")]
    pub store_ca: Option<PathBuf>,
    /// TOML file; its keys are named like the flags, such as wal-max-bytes = "1GB".
    #[arg(long, value_name = "FILE", env = "HOURLOG_CONFIG")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Stream that holds events until they are archived [default: HOURLOG].
    #[arg(long, value_name = "NAME", env = "HOURLOG_STREAM")]
    pub stream: Option<String>,
    /// Subjects to ingest, separated by commas; a log's id is the subject without a leading `log.`
    /// [default: log.>].
    #[arg(long = "subject", value_name = "SUBJECT", env = "HOURLOG_SUBJECTS", value_delimiter = ',')]
    pub subjects: Option<Vec<String>>,
    /// Which tokens of a subject name the log, separated by commas: with `sensors.*.>`, the subject
    /// sensors.7.temperature belongs to the log sensors.7. The first match wins; a subject without a
    /// match is the log's id as a whole.
    #[arg(long, value_name = "PATTERN", env = "HOURLOG_LOGS", value_delimiter = ',')]
    pub logs: Option<Vec<String>>,
    /// Existing stream to archive too, as it is; may be repeated. Patterns after `=` say which tokens
    /// name the log, such as ORDERS=orders.*.>
    #[arg(long = "source", value_name = "STREAM[=PATTERN,…]", env = "HOURLOG_SOURCES", value_delimiter = ';')]
    #[serde(rename = "source")]
    pub sources: Option<Vec<SourceOption>>,
    /// Take over a stream that belongs to another archive.
    #[arg(long, env = "HOURLOG_ADOPT", value_parser = BoolishValueParser::new())]
    pub adopt: bool,
    /// Number of servers that hold a stream that the service creates [default: 1].
    #[arg(long, value_name = "NUMBER", env = "HOURLOG_WAL_REPLICAS", value_parser = clap::value_parser!(u8).range(1..=5))]
    pub wal_replicas: Option<u8>,
    /// JetStream domain.
    #[arg(long, value_name = "DOMAIN", env = "HOURLOG_JS_DOMAIN")]
    pub js_domain: Option<String>,
    /// Prefix of JetStream's own subjects, where an account imports them [default: $JS.API].
    #[arg(long, value_name = "PREFIX", env = "HOURLOG_JS_API_PREFIX", conflicts_with = "js_domain")]
    pub js_api_prefix: Option<String>,
    /// Size limit of a stream that the service creates, such as 1GB, 512MiB or a number of bytes; a
    /// full stream refuses new events [default: 1GiB].
    #[arg(long, value_name = "BYTES", env = "HOURLOG_WAL_MAX_BYTES")]
    pub wal_max_bytes: Option<ByteSize>,
    /// Time after which the service's stream is created again if it is gone, in seconds or such as
    /// 10m. Until then it can be restored; 0 creates it at once [default: 60].
    #[arg(long, value_name = "SECONDS", env = "HOURLOG_WAL_RECREATE_SECONDS", visible_alias = "wal-recreate")]
    #[serde(alias = "wal-recreate")]
    pub wal_recreate_seconds: Option<Seconds>,
    /// Prefix of the service's own subjects [default: hourlog].
    #[arg(long, value_name = "PREFIX", env = "HOURLOG_PREFIX")]
    pub prefix: Option<String>,
    /// Inbox prefixes that replies may go to in addition to _INBOX, separated by commas, such as
    /// clients.alice.
    #[arg(long = "inbox-prefix", value_name = "PREFIX", env = "HOURLOG_INBOX_PREFIXES", value_delimiter = ',')]
    pub inbox_prefixes: Option<Vec<String>>,
    /// Idle time after which a log's actor stops, in seconds or such as 5m [default: 60].
    #[arg(long, value_name = "SECONDS", env = "HOURLOG_IDLE_SECONDS", visible_alias = "idle")]
    #[serde(alias = "idle")]
    pub idle_seconds: Option<Seconds>,
    /// NATS credentials file.
    #[arg(long, value_name = "FILE", env = "HOURLOG_CREDS")]
    pub creds: Option<PathBuf>,
    /// NATS user.
    #[arg(long, value_name = "USER", env = "HOURLOG_USER")]
    pub user: Option<String>,
    /// Password of the NATS user.
    #[arg(long, value_name = "PASSWORD", env = "HOURLOG_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,
    /// Token for NATS, instead of a user.
    #[arg(long, value_name = "TOKEN", env = "HOURLOG_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// File that holds an nkey seed.
    #[arg(long, value_name = "FILE", env = "HOURLOG_NKEY")]
    pub nkey: Option<PathBuf>,
    /// CA certificates (PEM) for TLS to NATS; without TLS, there is no connection.
    #[arg(long, value_name = "FILE", env = "HOURLOG_TLS_CA")]
    pub tls_ca: Option<PathBuf>,
    /// Client certificate (PEM) for TLS to NATS.
    #[arg(long, value_name = "FILE", env = "HOURLOG_TLS_CERT")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the client certificate (PEM).
    #[arg(long, value_name = "FILE", env = "HOURLOG_TLS_KEY")]
    pub tls_key: Option<PathBuf>,
    /// Start TLS before the server says anything.
    #[arg(long, env = "HOURLOG_TLS_FIRST", value_parser = BoolishValueParser::new())]
    pub tls_first: bool,
    /// Time that archived events stay in the stream, in seconds or such as 5m [default: 3600].
    #[arg(long, value_name = "SECONDS", env = "HOURLOG_WAL_KEEP_SECONDS", visible_alias = "wal-keep")]
    #[serde(alias = "wal-keep")]
    pub wal_keep_seconds: Option<Seconds>,
    /// Size of the archived events that stay in the stream, at most, such as 100MB; never more than
    /// a quarter of the stream's limit [default: 256MiB].
    #[arg(long, value_name = "BYTES", env = "HOURLOG_WAL_KEEP_BYTES")]
    pub wal_keep_bytes: Option<ByteSize>,
    /// NATS user for purging the stream, so that the service's own user needs no right to purge.
    #[arg(long, value_name = "USER", env = "HOURLOG_JANITOR_USER")]
    pub janitor_user: Option<String>,
    /// Password of the purging NATS user.
    #[arg(long, value_name = "PASSWORD", env = "HOURLOG_JANITOR_PASSWORD", hide_env_values = true)]
    pub janitor_password: Option<String>,
    /// NATS credentials file for purging the stream.
    #[arg(long, value_name = "FILE", env = "HOURLOG_JANITOR_CREDS")]
    pub janitor_creds: Option<PathBuf>,
    /// Address for GET /livez, /readyz and /metrics, such as localhost:9464, or :9464 for all interfaces;
    /// off by default.
    #[arg(long, value_name = "ADDR", env = "HOURLOG_HTTP")]
    pub http: Option<ListenAddress>,
    /// Time to keep events of logs whose ids match a pattern, such as 'debug.>=7d'; the first match
    /// wins, and a log's own setting wins over all. In a file: `[[retention]]` logs = "debug.>" keep =
    /// "7d".
    #[arg(long, value_name = "PATTERN=TIME", env = "HOURLOG_RETENTION", value_delimiter = ',')]
    pub retention: Option<Vec<RetentionRule>>,
    /// Width of the buckets of new logs whose ids match a pattern, such as 'sensors.>=5m'; the first
    /// match wins. In a file: `[[width]]` logs = "sensors.>" width = "5m".
    #[arg(long, value_name = "PATTERN=WIDTH", env = "HOURLOG_WIDTH", value_delimiter = ',')]
    pub width: Option<Vec<WidthRule>>,
    /// Time between two removals of events that are no longer kept, in seconds or such as 1h
    /// [default: 3600].
    #[arg(long, value_name = "SECONDS", env = "HOURLOG_SWEEP_SECONDS", visible_alias = "sweep")]
    #[serde(alias = "sweep")]
    pub sweep_seconds: Option<Seconds>,
    /// Number of logs beyond which events of new ones go to `_rejected` [default: 1000000].
    #[arg(long, value_name = "NUMBER", env = "HOURLOG_LOGS_MAX")]
    pub logs_max: Option<u64>,
    /// Number of new logs a second, of each stream, beyond which events of further ones go to `_rejected`;
    /// those of 30 seconds may come at once [default: 1000].
    #[arg(long, value_name = "NUMBER", env = "HOURLOG_NEW_LOGS_A_SECOND")]
    pub new_logs_a_second: Option<u64>,
    /// Trace filter, such as `hourlogd=debug`; overrides RUST_LOG.
    #[arg(long, value_name = "FILTER", env = "HOURLOG_TRACE", value_parser = crate::trace::parse_filter)]
    pub trace: Option<String>,
}

/// A request of the command line.
#[derive(Debug)]
pub enum Request {
    /// Run the service.
    Service(Box<Options>),
    /// Work on an archive without the service. The options may have the login of a database.
    Maintenance(Maintenance, Box<Options>),
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The other fields may hold secrets.
        f.debug_struct("Options").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Options {
    /// Parses the command line and the environment. Exits if that fails. Returns `None` if the flags
    /// only ask to print something, which is done.
    pub fn from_process() -> Option<Request> {
        let command = print::with_flags(Self::command());
        let mut command = Maintenance::augment_subcommands(command).disable_help_subcommand(true);
        command = manual::with_subcommand(command);
        let line: Vec<OsString> = std::env::args_os().collect();
        let matches = arguments::parse(&command, &line).unwrap_or_else(|error| error.exit());
        if let Some(written) = manual::requested(&command, &matches) {
            match written {
                Ok(()) => return None,
                Err(error) => command.error(ClapErrorKind::Io, error).exit(),
            }
        }
        let options = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        if let Err(error) = options.check_variables(&matches) {
            command.error(ClapErrorKind::ValueValidation, error).exit();
        }
        let options = options.with_typed_login(&matches);
        if matches.subcommand_name().is_some() {
            let maintenance = Maintenance::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
            return Some(Request::Maintenance(maintenance, Box::new(options)));
        }
        match print::requested(&command, &matches, &options) {
            Ok(None) => Some(Request::Service(Box::new(options))),
            // If nobody reads the output, there is nobody left to tell.
            Ok(Some(text)) => {
                let _ = std::io::stdout().write_all(text.as_bytes());
                None
            }
            Err(error) => command.error(ClapErrorKind::Io, error).exit(),
        }
    }

    /// Checks the addresses that come from variables, whose names the errors then tell.
    fn check_variables(&self, matches: &ArgMatches) -> Result<()> {
        let is_variable = |id: &str| matches.value_source(id) == Some(ValueSource::EnvVariable);
        let named = |name: &str, error: Error| Error::invalid(format!("{name}: {error}"));
        if let Some(servers) = self.nats.clone().filter(|_| is_variable("nats")) {
            let login = Login { servers, ..Login::default() };
            login.check_addresses().map_err(|error| named("HOURLOG_NATS", error))?;
        }
        if let Some(store) = self.store.as_deref().filter(|_| is_variable("store")) {
            store.parse::<StoreUrl>().map_err(|error| named("HOURLOG_STORE", error))?;
        }
        Ok(())
    }

    /// Returns these options, with missing values taken from the file named by `config`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid) when the file cannot be read or holds an
    /// unknown key.
    pub fn with_file(self) -> Result<Self> {
        let Some(path) = &self.config else {
            return Ok(self);
        };
        let file = file::options(path)?;
        let login = self.login().or(file.login());
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
            logs: self.logs.or(file.logs),
            sources: self.sources.or(file.sources),
            adopt: self.adopt || file.adopt,
            wal_replicas: self.wal_replicas.or(file.wal_replicas),
            js_domain: self.js_domain.or(file.js_domain),
            js_api_prefix: self.js_api_prefix.or(file.js_api_prefix),
            wal_max_bytes: self.wal_max_bytes.or(file.wal_max_bytes),
            wal_recreate_seconds: self.wal_recreate_seconds.or(file.wal_recreate_seconds),
            prefix: self.prefix.or(file.prefix),
            inbox_prefixes: self.inbox_prefixes.or(file.inbox_prefixes),
            idle_seconds: self.idle_seconds.or(file.idle_seconds),
            creds: self.creds.or(file.creds),
            user: self.user.or(file.user),
            password: self.password.or(file.password),
            token: self.token.or(file.token),
            nkey: self.nkey.or(file.nkey),
            tls_ca: self.tls_ca.or(file.tls_ca),
            tls_cert: self.tls_cert.or(file.tls_cert),
            tls_key: self.tls_key.or(file.tls_key),
            tls_first: self.tls_first || file.tls_first,
            wal_keep_seconds: self.wal_keep_seconds.or(file.wal_keep_seconds),
            wal_keep_bytes: self.wal_keep_bytes.or(file.wal_keep_bytes),
            janitor_user: self.janitor_user.or(file.janitor_user),
            janitor_password: self.janitor_password.or(file.janitor_password),
            janitor_creds: self.janitor_creds.or(file.janitor_creds),
            http: self.http.or(file.http),
            retention: self.retention.or(file.retention),
            width: self.width.or(file.width),
            sweep_seconds: self.sweep_seconds.or(file.sweep_seconds),
            logs_max: self.logs_max.or(file.logs_max),
            new_logs_a_second: self.new_logs_a_second.or(file.new_logs_a_second),
            trace: self.trace.or(file.trace),
            config: self.config,
        }
        .with_login(login))
    }

    /// Returns the archive, with the database's user, password and certificates filled in.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid) when no archive is given, its URL is
    /// invalid, or the password file cannot be read.
    pub fn store(&self) -> Result<StoreUrl> {
        let text = self.store.as_deref().ok_or_else(|| {
            Error::invalid("no archive is given; use --store file:DIR, or --store memory: to try things out")
        })?;
        let mut store: StoreUrl = text.parse()?;
        if let StoreUrl::Scylla(url) = &mut store {
            match (&self.store_user, self.store_password()?) {
                (Some(user), Some(password)) => url.user = Some((user.clone(), password)),
                (None, None) => {}
                _ => {
                    return Err(Error::invalid(
                        "the database needs both a user and a password, or neither; add the missing one",
                    ));
                }
            }
            if let Some(file) = &self.store_ca {
                url.tls = Some(Tls::Authority(file.clone()));
            }
        }
        Ok(store)
    }

    fn store_password(&self) -> Result<Option<String>> {
        match (&self.store_password, &self.store_password_file) {
            (Some(_), Some(_)) => {
                Err(Error::invalid("--store-password and --store-password-file are both given; leave one out"))
            }
            (None, Some(file)) => {
                let text = std::fs::read_to_string(file).map_err(|error| {
                    Error::invalid(format!("cannot read the password file {}", file.display())).because(error)
                })?;
                Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
            }
            (password, None) => Ok(password.clone()),
        }
    }

    /// Returns the settings of the service, with defaults for missing values.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid) when a mapping cannot be parsed.
    pub fn settings(self) -> Result<Settings> {
        let defaults = Settings::default();
        let janitor = (self.janitor_user.is_some() || self.janitor_creds.is_some()).then(|| Credentials {
            creds: self.janitor_creds,
            user: self.janitor_user,
            password: self.janitor_password,
            tls_ca: self.tls_ca.clone(),
            tls_cert: self.tls_cert.clone(),
            tls_key: self.tls_key.clone(),
            tls_first: self.tls_first,
            ..Credentials::default()
        });
        Ok(Settings {
            margin: Margin {
                age: self.wal_keep_seconds.map_or(defaults.margin.age, Seconds::duration),
                bytes: self.wal_keep_bytes.map_or(defaults.margin.bytes, ByteSize::bytes),
            },
            janitor,
            nats: self.nats.unwrap_or(defaults.nats),
            credentials: Credentials {
                creds: self.creds,
                user: self.user,
                password: self.password,
                token: self.token,
                nkey: self.nkey,
                tls_ca: self.tls_ca,
                tls_cert: self.tls_cert,
                tls_key: self.tls_key,
                tls_first: self.tls_first,
            },
            stream: self.stream.unwrap_or(defaults.stream),
            subjects: self.subjects.unwrap_or(defaults.subjects),
            mapping: Mapping::new(&self.logs.unwrap_or_default())?,
            sources: self.sources.unwrap_or_default(),
            adopt: self.adopt,
            wal_replicas: self.wal_replicas.map_or(defaults.wal_replicas, usize::from),
            js_domain: self.js_domain,
            js_api_prefix: self.js_api_prefix,
            wal_max_bytes: self.wal_max_bytes.map_or(defaults.wal_max_bytes, ByteSize::signed_bytes),
            wal_recreate_after: self.wal_recreate_seconds.map_or(defaults.wal_recreate_after, Seconds::duration),
            prefix: self.prefix.unwrap_or(defaults.prefix),
            inbox_prefixes: self.inbox_prefixes.unwrap_or(defaults.inbox_prefixes),
            idle: self.idle_seconds.map_or(defaults.idle, Seconds::duration),
            http: self.http,
            rules: Rules { retention: self.retention.unwrap_or_default(), widths: self.width.unwrap_or_default() },
            sweep_every: self.sweep_seconds.map_or(defaults.sweep_every, Seconds::duration),
            logs_max: self.logs_max.unwrap_or(defaults.logs_max),
            new_logs_per_second: self.new_logs_a_second.unwrap_or(defaults.new_logs_per_second),
            clock: defaults.clock,
        })
    }
}

/// Settings of a service.
#[derive(Clone)]
pub struct Settings {
    /// NATS server, or several separated by commas.
    pub nats: String,
    /// Credentials for NATS.
    pub credentials: Credentials,
    /// Stream that holds events until they are archived.
    pub stream: String,
    /// Subjects to ingest.
    pub subjects: Vec<String>,
    /// Which tokens of a subject name the log.
    pub mapping: Mapping,
    /// Existing streams to archive too.
    pub sources: Vec<SourceOption>,
    /// True to take over a stream that belongs to another archive.
    pub adopt: bool,
    /// Number of servers that hold a stream that the service creates.
    pub wal_replicas: usize,
    /// JetStream domain.
    pub js_domain: Option<String>,
    /// Prefix of JetStream's own subjects.
    pub js_api_prefix: Option<String>,
    /// Size limit of a stream that the service creates, in bytes.
    pub wal_max_bytes: i64,
    /// Time after which the service's stream is created again if it is gone.
    pub wal_recreate_after: Duration,
    /// Prefix of the service's own subjects.
    pub prefix: String,
    /// Inbox prefixes that replies may go to, in addition to `_INBOX`.
    pub inbox_prefixes: Vec<String>,
    /// Idle time after which a log's actor stops.
    pub idle: Duration,
    /// Margin of archived events that stay in the stream.
    pub margin: Margin,
    /// Credentials for purging the stream. Without them, the service purges with its own.
    pub janitor: Option<Credentials>,
    /// Address for health and metrics over HTTP.
    pub http: Option<ListenAddress>,
    /// Settings of logs by their ids.
    pub rules: Rules,
    /// Time between two removals of events that are no longer kept.
    pub sweep_every: Duration,
    /// Number of logs beyond which events of new ones are rejected.
    pub logs_max: u64,
    /// Number of new logs a second beyond which events of further ones are rejected.
    pub new_logs_per_second: u64,
    /// Source of the current time.
    pub clock: Clock,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The address may hold a password.
        f.debug_struct("Settings")
            .field("nats", &without_secrets(&self.nats))
            .field("credentials", &self.credentials)
            .field("stream", &self.stream)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            nats: "nats://127.0.0.1:4222".to_owned(),
            credentials: Credentials::default(),
            stream: wire::WAL_STREAM.to_owned(),
            subjects: vec![format!("{}>", wire::WAL_PREFIX)],
            mapping: Mapping::default(),
            sources: Vec::new(),
            adopt: false,
            wal_replicas: 1,
            js_domain: None,
            js_api_prefix: None,
            wal_max_bytes: 1 << 30,
            wal_recreate_after: Duration::from_secs(60),
            prefix: wire::SERVICE.to_owned(),
            inbox_prefixes: Vec::new(),
            idle: Duration::from_secs(60),
            margin: Margin::default(),
            janitor: None,
            http: None,
            rules: Rules::default(),
            sweep_every: Duration::from_secs(3_600),
            logs_max: 1_000_000,
            new_logs_per_second: 1_000,
            clock: system_clock,
        }
    }
}

impl Settings {
    /// Returns the login of the connection `name`.
    pub(crate) fn login(&self, name: &str) -> Login {
        let credentials = self.credentials.clone();
        Login {
            servers: self.nats.clone(),
            name: Some(format!("hourlogd {name}")),
            user: credentials.user,
            password: credentials.password,
            token: credentials.token,
            creds: credentials.creds,
            nkey: credentials.nkey,
            tls_ca: credentials.tls_ca,
            tls_cert: credentials.tls_cert,
            tls_key: credentials.tls_key,
            tls_first: credentials.tls_first,
            ..Login::default()
        }
    }

    /// Returns these settings with the login for purging the stream, if there is one.
    pub(crate) fn of_janitor(&self) -> Option<Self> {
        let credentials = self.janitor.clone()?;
        // A login in the address would override the janitor's.
        Some(Self { nats: without_secrets(&self.nats), credentials, ..self.clone() })
    }
}

/// An existing stream to archive.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceOption {
    /// The name of the stream.
    pub stream: String,
    /// Which tokens of a subject name the log.
    #[serde(default)]
    pub logs: Mapping,
}

impl FromStr for SourceOption {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (stream, logs) = text.split_once('=').unwrap_or((text, ""));
        if stream.is_empty() || stream.contains(['.', '*', '>']) || stream.contains(char::is_whitespace) {
            return Err(Error::invalid(format!("{stream:?} is not the name of a stream; nats stream ls shows them")));
        }
        Ok(Self { stream: stream.to_owned(), logs: logs.parse()? })
    }
}

/// Credentials for NATS.
#[derive(Clone, Default)]
pub struct Credentials {
    /// Credentials file.
    pub creds: Option<PathBuf>,
    /// User.
    pub user: Option<String>,
    /// Password of the user.
    pub password: Option<String>,
    /// Token, instead of a user.
    pub token: Option<String>,
    /// File that holds an nkey seed.
    pub nkey: Option<PathBuf>,
    /// CA certificates (PEM). They require TLS.
    pub tls_ca: Option<PathBuf>,
    /// Client certificate (PEM).
    pub tls_cert: Option<PathBuf>,
    /// Private key of the client certificate (PEM).
    pub tls_key: Option<PathBuf>,
    /// True to start TLS before the server says anything.
    pub tls_first: bool,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The other fields may hold secrets.
        f.debug_struct("Credentials").field("creds", &self.creds).field("user", &self.user).finish_non_exhaustive()
    }
}

/// Location of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A directory.
    File(PathBuf),
    /// A ScyllaDB or Cassandra cluster.
    Scylla(ScyllaUrl),
    /// Memory. A stop loses the archive; the next start reads the stream again.
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
            _ => Err(Error::invalid(format!(
                "{:?} is not an archive; write file:DIR, cql://HOST/KEYSPACE or memory:",
                without_secrets(text)
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_override_the_file() {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let path = directory.path().join("hourlog.toml");
        std::fs::write(&path, "store = \"memory:\"\nprefix = \"file\"\nidle-seconds = 5")
            .expect("the file can be written");
        let flags = Options { config: Some(path), prefix: Some("flag".to_owned()), ..Options::default() };
        let options = flags.with_file().expect("the file is valid");
        assert_eq!(options.store().expect("the store URL is valid"), StoreUrl::Memory);
        let settings = options.settings().expect("the settings are valid");
        assert_eq!((settings.prefix.as_str(), settings.idle), ("flag", Duration::from_secs(5)));
    }

    #[test]
    fn a_database_gets_its_user_and_the_password_from_a_file() {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let path = directory.path().join("password");
        std::fs::write(&path, "se cret\n").expect("the file can be written");
        let options = Options {
            store: Some("cql://a/b".to_owned()),
            store_user: Some("me".to_owned()),
            store_password_file: Some(path),
            store_ca: Some("/ca.pem".into()),
            ..Options::default()
        };
        let StoreUrl::Scylla(url) = options.store().expect("the store URL is valid") else {
            panic!("a cql URL is a database")
        };
        assert_eq!(url.user, Some(("me".to_owned(), "se cret".to_owned())));
        assert_eq!(url.tls, Some(Tls::Authority("/ca.pem".into())));
        let both = Options { store_password: Some("x".to_owned()), ..options };
        assert!(both.store().expect_err("there are two passwords").to_string().contains("leave one out"));
    }

    #[test]
    fn flags_and_the_file_take_values_with_units() {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let path = directory.path().join("hourlog.toml");
        let text = "wal-max-bytes = \"1GB\"\nwal-keep-bytes = 65536\nidle = \"2m\"\nhttp = \":9464\"";
        std::fs::write(&path, text).expect("the file can be written");
        let path = path.to_str().expect("the path is UTF-8");
        let flags = ["hourlogd", "--config", path, "--wal-keep", "5m", "--http", "localhost:9464"];
        let flags = Options::try_parse_from(flags).expect("the flags are valid");
        let settings = flags.with_file().expect("the file is valid").settings().expect("the settings are valid");
        assert_eq!(settings.wal_max_bytes, 1_000_000_000);
        assert_eq!(settings.margin, Margin { age: Duration::from_secs(300), bytes: 65_536 });
        assert_eq!(settings.idle, Duration::from_secs(120));
        assert_eq!(settings.http, Some("localhost:9464".parse().expect("the address is valid")));
        let error = Options::try_parse_from(["hourlogd", "--wal-max-bytes", "1XB"]).expect_err("the unit is unknown");
        assert!(error.to_string().contains("write 1GB"), "{error}");
    }

    #[test]
    fn a_file_with_an_unknown_key_is_refused() {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let path = directory.path().join("hourlog.toml");
        std::fs::write(&path, "stroe = \"memory:\"").expect("the file can be written");
        let error = Options { config: Some(path), ..Options::default() }.with_file().expect_err("the key is unknown");
        assert!(error.to_string().contains("stroe"), "{error}");
    }

    #[test]
    fn the_scheme_of_a_store_url_selects_the_archive() {
        assert_eq!("file:/a/b".parse::<StoreUrl>().expect("a valid path"), StoreUrl::File("/a/b".into()));
        assert_eq!("file:data".parse::<StoreUrl>().expect("a valid path"), StoreUrl::File("data".into()));
        assert_eq!("file:///a/b".parse::<StoreUrl>().expect("a valid URL"), StoreUrl::File("/a/b".into()));
        for text in ["", "file:", "memory", "/a/b", "redis:x"] {
            assert!(text.parse::<StoreUrl>().is_err(), "{text:?} was accepted");
        }
    }
}
