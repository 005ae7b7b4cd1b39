//! The connection to NATS: flags, the `nats` tool's environment variables, and its contexts.

mod denials;
mod levels;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use async_nats::{Client, ConnectOptions};
use clap::{ArgMatches, Args, parser::ValueSource};
use hourlog::{
    Error, ErrorKind, Remote, Result,
    nats::{self, Login},
    wire,
};
use serde_json::Value;

pub use self::denials::Denials;
pub(crate) use self::levels::{Levels, PARTS, Source};
use crate::{
    contexts::{Context, config_dir},
    shell::quoted,
};

/// The address when neither a flag nor a context gives one.
const SERVER_DEFAULT: &str = "nats://127.0.0.1:4222";

/// Flags for the connection. The environment variables are those of the `nats` tool.
#[derive(Args, Clone)]
#[command(next_help_heading = "Connection")]
pub struct Connect {
    /// NATS server URLs, comma-separated; a login in them is percent-encoded [default:
    /// nats://127.0.0.1:4222]
    #[arg(short, long, global = true, value_name = "URL", env = "NATS_URL", hide_env_values = true)]
    pub server: Option<String>,
    /// Context of the nats tool [default: the selected one, unless --server is given]
    #[arg(long, global = true, value_name = "NAME", env = "NATS_CONTEXT")]
    pub context: Option<String>,
    /// Credentials file
    #[arg(long, global = true, value_name = "FILE", env = "NATS_CREDS")]
    pub creds: Option<PathBuf>,
    /// File with an NKey seed
    #[arg(long, global = true, value_name = "FILE", env = "NATS_NKEY")]
    pub nkey: Option<PathBuf>,
    /// User name, or a token if there is no password
    #[arg(long, global = true, value_name = "NAME", env = "NATS_USER", hide_env_values = true)]
    pub user: Option<String>,
    /// Password of the user; other users of this machine can see it in a flag (ps), but not in the
    /// variable
    #[arg(long, global = true, value_name = "TEXT", env = "NATS_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,
    /// Token, instead of a user
    #[arg(long, global = true, value_name = "TEXT", env = "NATS_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Client certificate (PEM)
    #[arg(long, global = true, value_name = "FILE", env = "NATS_CERT", alias = "tlscert", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the client certificate (PEM)
    #[arg(long, global = true, value_name = "FILE", env = "NATS_KEY", alias = "tlskey")]
    pub tls_key: Option<PathBuf>,
    /// CA certificates (PEM)
    #[arg(long, global = true, value_name = "FILE", env = "NATS_CA", alias = "tlsca")]
    pub tls_ca: Option<PathBuf>,
    /// Start TLS before the server says anything
    #[arg(long, global = true, alias = "tlsfirst")]
    pub tls_first: bool,
    /// Prefix of the client's reply subjects
    #[arg(long, global = true, value_name = "TEXT", env = "NATS_INBOX_PREFIX")]
    pub inbox_prefix: Option<String>,
    /// JetStream domain [default: that of the context]
    #[arg(long, global = true, value_name = "DOMAIN", env = "HOURLOG_JS_DOMAIN")]
    pub js_domain: Option<String>,
    /// Prefix of the service's subjects
    #[arg(long, global = true, value_name = "TEXT", env = "HOURLOG_PREFIX", default_value = wire::SERVICE)]
    pub prefix: String,
    /// Time limit for connecting and for each reply: 500ms, 1.5s, 2m30s
    #[arg(long, global = true, value_name = "SPAN", env = "NATS_TIMEOUT", default_value = "5s", value_parser = parse_timeout)]
    pub timeout: Duration,
    /// Ids of the arguments that stand on the command line. They win over the environment.
    #[arg(skip)]
    typed: Vec<&'static str>,
}

fn parse_timeout(text: &str) -> Result<Duration> {
    let timeout = text.parse::<wire::Span>()?.duration();
    if timeout.is_zero() {
        Err(Error::invalid("a timeout of zero leaves no time to reply; write 5s"))
    } else {
        Ok(timeout)
    }
}

impl std::fmt::Debug for Connect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The other fields may hold secrets.
        f.debug_struct("Connect").field("context", &self.context).field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    /// The client of the service.
    pub remote: Remote,
    /// The address as the user gave it, without secrets.
    pub server: String,
    /// Prefix of the JetStream API's subjects.
    pub jetstream: String,
}

impl Connection {
    /// Sends a request to the JetStream API, and waits for its reply.
    ///
    /// # Errors
    /// [`ErrorKind::NotAllowed`] if the server denies it, [`ErrorKind::Unavailable`] for other failures, and for a reply that
    /// is an error.
    pub(crate) async fn ask_jetstream(&self, subject: &str, timeout: Duration, denials: &Denials) -> Result<Value> {
        let subject = format!("{}.{subject}", self.jetstream);
        let unavailable = |error: String| Error::new(ErrorKind::Unavailable, error);
        let request = async_nats::Request::new().timeout(Some(timeout));
        let client = self.remote.client();
        let reply = async {
            let reply = client.send_request(subject.clone(), request).await;
            reply.map_err(|error| unavailable(error.to_string()))
        };
        let reply = denials.unless(Some(&subject), reply).await?;
        let value: Value = serde_json::from_slice(&reply.payload).map_err(|error| unavailable(error.to_string()))?;
        match value["error"]["description"].as_str() {
            Some(error) => Err(unavailable(error.to_owned())),
            None => Ok(value),
        }
    }
}

impl Connect {
    /// Notes which arguments stand on the command line.
    pub(crate) fn note_typed(&mut self, matches: &ArgMatches) {
        let ids = PARTS.iter().map(|(id, _)| *id).chain(["context"]);
        self.typed = ids.filter(|id| matches.value_source(id) == Some(ValueSource::CommandLine)).collect();
    }

    /// Connects. Permissions that the server denies later go to `denials`.
    ///
    /// # Errors
    /// As [`Login::connect`].
    pub async fn open(&self, denials: Denials) -> Result<Connection> {
        let levels = self.levels(&config_dir())?;
        let login = levels.login()?;
        let record = move |event| {
            let denials = denials.clone();
            async move { denials.record(&event) }
        };
        let client = login.connect(self.timeout, |options| options.event_callback(record)).await?;
        let jetstream = match self.js_domain.as_deref().unwrap_or_else(|| levels.jetstream_domain()) {
            "" => "$JS.API".to_owned(),
            domain => format!("$JS.{domain}.API"),
        };
        let remote = Remote::with_prefix(client, &self.prefix).with_timeout(self.timeout);
        let server = nats::without_secrets(&login.servers);
        Ok(Connection { remote: remote.with_server_name(&server), server, jetstream })
    }

    /// Connects for as long as the connection lasts. A lost one is not replaced, and nothing that its client
    /// still holds is ever sent.
    ///
    /// # Errors
    /// As [`Login::connect`].
    pub(crate) async fn open_once(&self, denials: Denials) -> Result<Client> {
        let login = self.levels(&config_dir())?.login()?;
        let record = move |event| {
            let denials = denials.clone();
            async move { denials.record(&event) }
        };
        let was_connected = Arc::new(AtomicBool::new(false));
        let is_again = Arc::clone(&was_connected);
        // The client has no other way to stay disconnected: it waits before it connects again, without end.
        let pause = move |_| if is_again.load(Relaxed) { Duration::MAX } else { Duration::ZERO };
        let configure = |options: ConnectOptions| options.event_callback(record).reconnect_delay_callback(pause);
        let client = login.connect(self.timeout, configure).await?;
        was_connected.store(true, Relaxed);
        Ok(client)
    }

    /// The name to show for this connection, without secrets: the address, and the context if there
    /// is one.
    pub fn name(&self) -> String {
        match self.levels(&config_dir()) {
            Ok(levels) => {
                let server = levels.server();
                levels.context().map_or(server.clone(), |context| format!("{context} ({server})"))
            }
            // The same error explains itself at the first request.
            Err(_) => self.context.clone().unwrap_or_else(|| "no server".to_owned()),
        }
    }

    /// Returns the name of the context, or else the address of the server.
    pub fn label(&self) -> String {
        let levels = self.levels(&config_dir());
        let context = levels.ok().and_then(|levels| levels.context().map(str::to_owned));
        context.unwrap_or_else(|| self.name())
    }

    /// The flags that reach the same service, each with a space before it, without secrets.
    pub fn flags(&self) -> String {
        let flag = |name: &str, value: Option<&str>| {
            value.map_or_else(String::new, |value| format!(" --{name} {}", quoted(value)))
        };
        let server = self.server.as_deref().filter(|_| !self.is_replaced("server", "context"));
        let server = server.map(nats::without_secrets);
        let context = self.context.as_deref().filter(|_| !self.is_replaced("context", "server"));
        let prefix = Some(self.prefix.as_str()).filter(|prefix| *prefix != wire::SERVICE);
        flag("server", server.as_deref()) + &flag("context", context) + &flag("prefix", prefix)
    }

    /// Returns the login of each source, the strongest first.
    ///
    /// # Errors
    /// As [`Context::load`].
    pub(crate) fn levels(&self, config_dir: &std::path::Path) -> Result<Levels> {
        let typed = (Source::Flag, self.login_of(true));
        let mut variables = (Source::Variable, self.login_of(false));
        let name = match (&self.context, &self.server) {
            // The credentials of a context belong to its own server.
            (Some(_), Some(_)) if self.is_replaced("context", "server") => None,
            (Some(name), _) => Some(name.clone()),
            (None, Some(_)) => None,
            (None, None) => Context::selected(config_dir)?,
        };
        let Some(name) = name else {
            return Ok(Levels::new(vec![typed, variables], None));
        };
        let is_variable = self.context.is_some() && !self.is_typed("context");
        let context = Context::load(config_dir, &name).map_err(|error| match is_variable {
            true => Error::invalid(format!("NATS_CONTEXT: {error}")),
            false => error,
        })?;
        let login = (Source::Context(name.clone()), context.login());
        let is_typed = self.is_typed("context");
        if is_typed {
            variables.1.servers.clear();
        }
        let levels = if is_typed { vec![typed, login, variables] } else { vec![typed, variables, login] };
        Ok(Levels::new(levels, Some((name, context))))
    }

    fn is_typed(&self, id: &str) -> bool {
        self.typed.contains(&id)
    }

    /// True if the argument `id` stands only in the environment, and `by` was typed instead.
    fn is_replaced(&self, id: &str, by: &str) -> bool {
        !self.is_typed(id) && self.is_typed(by)
    }

    /// Returns the login of the flags, if `typed`, or else of the variables.
    fn login_of(&self, typed: bool) -> Login {
        let is_from = |id: &str| self.is_typed(id) == typed;
        let text = |id: &str, value: &Option<String>| value.clone().filter(|_| is_from(id));
        let path = |id: &str, value: &Option<PathBuf>| value.clone().filter(|_| is_from(id));
        Login {
            servers: text("server", &self.server).unwrap_or_default(),
            user: text("user", &self.user),
            password: text("password", &self.password),
            token: text("token", &self.token),
            creds: path("creds", &self.creds),
            nkey: path("nkey", &self.nkey),
            tls_ca: path("tls_ca", &self.tls_ca),
            tls_cert: path("tls_cert", &self.tls_cert),
            tls_key: path("tls_key", &self.tls_key),
            tls_first: self.tls_first && is_from("tls_first"),
            inbox_prefix: text("inbox_prefix", &self.inbox_prefix),
            ..Login::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::{CommandFactory, FromArgMatches, Parser};

    use super::*;

    #[derive(Parser)]
    struct TestArgs {
        #[command(flatten)]
        connect: Connect,
    }

    /// Parses flags. Those before a `|` count as variables.
    fn flags(line: &str) -> Connect {
        let (variables, typed) = line.split_once('|').unwrap_or(("", line));
        let parse = |line: String| {
            let command = TestArgs::command().mut_args(|argument| argument.env(clap::builder::Resettable::Reset));
            let matches = command.get_matches_from(std::iter::once("hourlog").chain(line.split_whitespace()));
            let mut connect = TestArgs::from_arg_matches(&matches).expect("the flags are valid").connect;
            connect.note_typed(&matches);
            connect
        };
        Connect { typed: parse(typed.to_owned()).typed, ..parse(format!("{variables} {typed}")) }
    }

    fn contexts() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory can be created");
        std::fs::create_dir_all(dir.path().join("nats/context")).expect("a directory can be created");
        let prod = r#"{"url":"nats://prod","user":"me","password":"secret","ca":"/ca.pem"}"#;
        for (name, text) in
            [("prod", prod), ("url", r#"{"url":"nats://me:secret@url"}"#), ("token", r#"{"token":"t"}"#)]
        {
            let path = dir.path().join("nats/context").join(format!("{name}.json"));
            std::fs::write(path, text).expect("a file can be written");
        }
        dir
    }

    /// Returns the login in use as one line.
    fn login(line: &str, dir: &Path) -> String {
        let login = flags(line).levels(dir).and_then(|levels| levels.login()).expect("the login is valid");
        let parts = PARTS.iter().filter_map(|(id, part)| Some(format!("{id}={}", part(&login)?)));
        parts.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_typed_login_wins_and_identities_are_not_mixed() {
        let dir = contexts();
        for (line, expected) in [
            ("", "server=nats://127.0.0.1:4222"),
            ("--context prod|", "server=nats://prod user=me password=secret tls_ca=/ca.pem"),
            ("|--context prod --tls-ca /b.pem", "server=nats://prod user=me password=secret tls_ca=/b.pem"),
            // A typed address takes nothing of a context in the environment, and the other way round.
            ("--context prod|-s nats://b", "server=nats://b"),
            ("-s nats://b|--context prod", "server=nats://prod user=me password=secret tls_ca=/ca.pem"),
            ("-s nats://b|--context token", "server=nats://127.0.0.1:4222 token=t"),
            // Both were typed: the context lends its login.
            ("|--context prod -s b", "server=b user=me password=secret tls_ca=/ca.pem"),
            ("|--context prod --creds /c", "server=nats://prod creds=/c tls_ca=/ca.pem"),
            ("--user you --password p|--context prod", "server=nats://prod user=me password=secret tls_ca=/ca.pem"),
            ("--user you --password p --context prod|", "server=nats://prod user=you password=p tls_ca=/ca.pem"),
            ("--context url|--token t", "server=nats://url token=t"),
            ("-s nats://a:b@host|--user you --password p", "server=nats://host user=you password=p"),
            ("-s nats://a:b@host|--creds /c", "server=nats://host creds=/c"),
            ("--token t --creds /c|-s nats://a:b@host", "server=nats://a:b@host"),
            ("--creds /c --nkey /n --token t|--user you --password p -s a", "server=a user=you password=p"),
            ("--password p|--user you -s a", "server=a user=you password=p"),
            ("--user you|--password p -s a", "server=a user=you password=p"),
            // A user without a password is a token, as for the nats tool.
            ("|--user t -s a", "server=a token=t"),
        ] {
            assert_eq!(login(line, dir.path()), expected, "{line}");
        }
    }

    #[test]
    fn a_wrong_address_names_its_source() {
        let dir = contexts();
        let error = |line: &str| flags(line).levels(dir.path()).and_then(|levels| levels.login()).expect_err(line);
        assert!(
            error("-s ws://a|").to_string().starts_with("NATS_URL: ws://a is a WebSocket"),
            "{}",
            error("-s ws://a|")
        );
        assert!(error("|-s ws://a").to_string().starts_with("ws://a is a WebSocket"));
    }

    #[test]
    fn flags_that_were_replaced_are_not_repeated() {
        assert_eq!(flags("--context prod|-s me:secret@b").flags(), " --server b");
        assert_eq!(flags("-s b|--context prod --prefix p").flags(), " --context prod --prefix p");
    }
}
