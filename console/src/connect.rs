//! The connection to NATS: flags, the `nats` tool's environment variables, and its contexts.

mod denials;

use std::{path::PathBuf, time::Duration};

use clap::Args;
use hourlog::{
    Error, Remote, Result,
    nats::{self, Login},
    wire,
};

pub use self::denials::Denials;
use crate::contexts::{Context, config_dir};

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
    /// Password of the user
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
    /// As [`Login::connect`].
    pub async fn open(&self, denials: Denials) -> Result<Connection> {
        let context = self.settings()?;
        let url = if context.url.is_empty() { SERVER_DEFAULT } else { &context.url };
        let record = move |event| {
            let denials = denials.clone();
            async move { denials.record(&event) }
        };
        let client = login(&context, url).connect(self.timeout, |options| options.event_callback(record)).await?;
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
        if self.creds.is_some() || self.nkey.is_some() || self.user.is_some() || self.token.is_some() {
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
        replace(&mut context.token, self.token.clone());
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

/// Returns the login of `context` at `url`, with one identity: the first that the context has.
fn login(context: &Context, url: &str) -> Login {
    let text = |value: &String| Some(value.clone()).filter(|value| !value.is_empty());
    let path = |value: &String| text(value).map(PathBuf::from);
    let mut login = Login {
        servers: url.to_owned(),
        name: Some("hourlog".to_owned()),
        tls_ca: path(&context.ca),
        tls_cert: path(&context.cert),
        tls_key: path(&context.key),
        tls_first: context.tls_first,
        inbox_prefix: text(&context.inbox_prefix),
        ..Login::default()
    };
    if !context.creds.is_empty() {
        login.creds = path(&context.creds);
    } else if !context.nkey.is_empty() {
        login.nkey = path(&context.nkey);
    } else if !context.token.is_empty() {
        login.token = text(&context.token);
    } else {
        login.user = text(&context.user);
        login.password = text(&context.password);
    }
    login
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
