//! The connection to NATS: flags, the `nats` tool's environment variables, and its contexts.

mod denials;

use std::{path::PathBuf, time::Duration};

use async_nats::{Client, ConnectOptions};
use clap::Args;
use hourlog::{Error, ErrorKind, Remote, Result, nats, wire};

pub use self::denials::Denials;
use crate::contexts::{Context, config_dir};

/// The address when neither a flag nor a context gives one.
const SERVER_DEFAULT: &str = "nats://127.0.0.1:4222";

/// Flags for the connection. The environment variables are those of the `nats` tool.
#[derive(Args, Clone)]
#[command(next_help_heading = "Connection")]
pub struct Connect {
    /// NATS server URLs, comma-separated [default: nats://127.0.0.1:4222]
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
    /// Password of the user
    #[arg(long, global = true, value_name = "TEXT", env = "NATS_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,
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
    /// Prefix of the service's subjects
    #[arg(long, global = true, value_name = "TEXT", env = "HOURLOG_PREFIX", default_value = wire::SERVICE)]
    pub prefix: String,
    /// Time limit for connecting and for each reply: 500ms, 5s, 1m
    #[arg(long, global = true, value_name = "SPAN", env = "NATS_TIMEOUT", default_value = "5s", value_parser = parse_timeout)]
    pub timeout: Duration,
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

impl Connect {
    /// Connects. Permissions that the server denies later go to `denials`.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if the server does not answer, [`ErrorKind::NotAllowed`] if it
    /// refuses the user, [`ErrorKind::Invalid`] for settings that cannot be used.
    pub async fn open(&self, denials: Denials) -> Result<Connection> {
        let context = self.settings()?;
        let url = if context.url.is_empty() { SERVER_DEFAULT } else { &context.url };
        let options = options(&context)?.name("hourlog").connection_timeout(self.timeout);
        let options = options.event_callback(move |event| {
            let denials = denials.clone();
            async move { denials.record(&event) }
        });
        let client = connect(url, options, self.timeout).await?;
        let jetstream = match context.jetstream_domain.as_str() {
            "" => "$JS.API".to_owned(),
            domain => format!("$JS.{domain}.API"),
        };
        let remote = Remote::with_prefix(client, &self.prefix).with_timeout(self.timeout).with_server_name(url);
        Ok(Connection { remote, server: nats::without_secrets(url), jetstream })
    }

    /// The name to show for this connection, without secrets: the context, or the address.
    pub fn name(&self) -> String {
        match (&self.context, self.settings()) {
            (Some(name), _) => name.clone(),
            (None, Ok(context)) if !context.url.is_empty() => nats::without_secrets(&context.url),
            (None, _) => SERVER_DEFAULT.to_owned(),
        }
    }

    /// The flags that reach the same service, each with a space before it, without secrets.
    pub fn flags(&self) -> String {
        let flag =
            |name: &str, value: Option<&str>| value.map_or_else(String::new, |value| format!(" --{name} {value}"));
        let server = self.server.as_deref().map(nats::without_secrets);
        let prefix = Some(self.prefix.as_str()).filter(|prefix| *prefix != wire::SERVICE);
        flag("server", server.as_deref()) + &flag("context", self.context.as_deref()) + &flag("prefix", prefix)
    }

    /// Returns the flags, completed by the context.
    ///
    /// A given server switches the selected context off: its credentials belong to another server.
    fn settings(&self) -> Result<Context> {
        let config_dir = config_dir();
        let name = match (&self.context, &self.server) {
            (Some(name), _) => Some(name.clone()),
            (None, Some(_)) => None,
            (None, None) => Context::selected(&config_dir)?,
        };
        let context = name.map(|name| Context::load(&config_dir, &name)).transpose()?.unwrap_or_default();
        Ok(self.override_context(context))
    }

    fn override_context(&self, mut context: Context) -> Context {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
        let replace = |field: &mut String, flag: Option<String>| {
            if let Some(flag) = flag {
                *field = flag;
            }
        };
        if self.creds.is_some() || self.nkey.is_some() || self.user.is_some() {
            // An identity from the flags replaces that of the context. The two are never mixed.
            for field in
                [&mut context.user, &mut context.password, &mut context.token, &mut context.creds, &mut context.nkey]
            {
                field.clear();
            }
        }
        match (&self.user, &self.password) {
            (Some(token), None) => context.token.clone_from(token),
            (user, password) => {
                replace(&mut context.user, user.clone());
                replace(&mut context.password, password.clone());
            }
        }
        replace(&mut context.url, self.server.clone());
        replace(&mut context.creds, path(&self.creds));
        replace(&mut context.nkey, path(&self.nkey));
        replace(&mut context.cert, path(&self.tls_cert));
        replace(&mut context.key, path(&self.tls_key));
        replace(&mut context.ca, path(&self.tls_ca));
        replace(&mut context.inbox_prefix, self.inbox_prefix.clone());
        context.tls_first |= self.tls_first;
        context
    }
}

fn options(context: &Context) -> Result<ConnectOptions> {
    let read = |path: &str, what: &str| {
        std::fs::read_to_string(path)
            .map_err(|error| Error::invalid(format!("cannot read {what} from {path}; check the path")).because(error))
    };
    let mut options = ConnectOptions::new();
    if !context.creds.is_empty() {
        options = options.credentials(&read(&context.creds, "credentials")?).map_err(|error| {
            Error::invalid(format!("{} is not a credentials file; create one with nsc", context.creds)).because(error)
        })?;
    } else if !context.nkey.is_empty() {
        options = options.nkey(read(&context.nkey, "an NKey seed")?.trim().to_owned());
    } else if !context.token.is_empty() {
        options = options.token(context.token.clone());
    } else if !context.user.is_empty() {
        options = options.user_and_password(context.user.clone(), context.password.clone());
    }
    if !context.ca.is_empty() {
        options = options.add_root_certificates(PathBuf::from(&context.ca)).require_tls(true);
    }
    if !context.cert.is_empty() {
        let (cert, key) = (PathBuf::from(&context.cert), PathBuf::from(&context.key));
        options = options.add_client_certificate(cert, key).require_tls(true);
    }
    if context.tls_first {
        options = options.tls_first();
    }
    if !context.inbox_prefix.is_empty() {
        options = options.custom_inbox_prefix(&context.inbox_prefix);
    }
    Ok(options)
}

async fn connect(url: &str, options: ConnectOptions, timeout: Duration) -> Result<Client> {
    let urls: Vec<&str> = url.split(',').map(str::trim).collect();
    // A server that accepts the connection and then stays silent counts as unavailable.
    match tokio::time::timeout(timeout, options.connect(urls)).await {
        Ok(connected) => connected.map_err(|error| nats::connect_error(url, error)),
        Err(_) => Err(Error::new(
            ErrorKind::Unavailable,
            format!("no NATS server answers at {} within {timeout:?}; check the address", nats::without_secrets(url)),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct TestArgs {
        #[command(flatten)]
        connect: Connect,
    }

    fn flags(line: &str) -> Connect {
        TestArgs::parse_from(std::iter::once("hourlog").chain(line.split_whitespace())).connect
    }

    fn context() -> Context {
        serde_json::from_str(r#"{"url":"nats://a","user":"me","password":"secret","ca":"/ca.pem"}"#)
            .expect("the fields are known")
    }

    #[test]
    fn flags_override_the_context_and_identities_are_not_mixed() {
        let merged = flags("--server nats://b").override_context(context());
        assert_eq!((merged.url.as_str(), merged.user.as_str(), merged.ca.as_str()), ("nats://b", "me", "/ca.pem"));
        let merged = flags("--creds /a.creds").override_context(context());
        assert_eq!((merged.creds.as_str(), merged.user.as_str(), merged.password.as_str()), ("/a.creds", "", ""));
        let merged = flags("--user s3cret").override_context(context());
        assert_eq!((merged.token.as_str(), merged.user.as_str()), ("s3cret", ""));
        let merged = flags("--user you --password hidden").override_context(context());
        assert_eq!((merged.token.as_str(), merged.user.as_str(), merged.password.as_str()), ("", "you", "hidden"));
    }
}
