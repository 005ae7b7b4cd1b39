//! How to reach NATS: flags, the `nats` tool's environment and its contexts; and the connection made of them.

use std::{path::PathBuf, time::Duration};

use async_nats::{Client, ConnectOptions, Event};
use clap::Args;
use hourlog::{Error, ErrorKind, Offset, Remote, Result, remote, wire};
use tokio::sync::{
    broadcast::{self, error::RecvError},
    watch,
};

use crate::contexts::{Context, config_dir};

/// Where to connect when nothing says so.
const SERVER_DEFAULT: &str = "nats://127.0.0.1:4222";

/// The refusals that may wait until somebody looks.
const DENIALS_MAX: usize = 64;
/// What begins the refusal of a subject to listen on.
const SUBSCRIPTION: &str = "Subscription";

/// Flags that say how to reach the service. The variables are those of the `nats` tool.
#[derive(Args, Clone)]
#[command(next_help_heading = "Connection")]
pub struct Connect {
    /// Addresses of the NATS servers, with commas between them [default: nats://127.0.0.1:4222]
    #[arg(short, long, global = true, value_name = "URL", env = "NATS_URL", hide_env_values = true)]
    pub server: Option<String>,
    /// A context of the nats tool [default: the selected one, unless --server is given]
    #[arg(long, global = true, value_name = "NAME", env = "NATS_CONTEXT")]
    pub context: Option<String>,
    /// A credentials file
    #[arg(long, global = true, value_name = "FILE", env = "NATS_CREDS")]
    pub creds: Option<PathBuf>,
    /// A file with an NKey seed
    #[arg(long, global = true, value_name = "FILE", env = "NATS_NKEY")]
    pub nkey: Option<PathBuf>,
    /// A user; without a password, a token
    #[arg(long, global = true, value_name = "NAME", env = "NATS_USER", hide_env_values = true)]
    pub user: Option<String>,
    /// The user's password
    #[arg(long, global = true, value_name = "TEXT", env = "NATS_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,
    /// The client's TLS certificate
    #[arg(long, global = true, value_name = "FILE", env = "NATS_CERT", alias = "tlscert", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The key of the TLS certificate
    #[arg(long, global = true, value_name = "FILE", env = "NATS_KEY", alias = "tlskey")]
    pub tls_key: Option<PathBuf>,
    /// Certificates of who vouches for the server
    #[arg(long, global = true, value_name = "FILE", env = "NATS_CA", alias = "tlsca")]
    pub tls_ca: Option<PathBuf>,
    /// Speak TLS before anything else
    #[arg(long, global = true, alias = "tlsfirst")]
    pub tls_first: bool,
    /// What the client's own inboxes begin with
    #[arg(long, global = true, value_name = "TEXT", env = "NATS_INBOX_PREFIX")]
    pub inbox_prefix: Option<String>,
    /// What the service's subjects begin with
    #[arg(long, global = true, value_name = "TEXT", env = "HOURLOG_PREFIX", default_value = wire::SERVICE)]
    pub prefix: String,
    /// How long an answer may take
    #[arg(long, global = true, value_name = "SPAN", env = "NATS_TIMEOUT", default_value = "5s", value_parser = parse_timeout)]
    pub timeout: Duration,
}

impl std::fmt::Debug for Connect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the secrets.
        f.debug_struct("Connect").field("context", &self.context).field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

fn parse_timeout(text: &str) -> Result<Duration> {
    let timeout = text.parse::<wire::Span>()?.duration();
    if timeout.is_zero() { Err(Error::invalid("an answer takes longer than no time; write 5s")) } else { Ok(timeout) }
}

/// A connection, and what the server refused to do over it.
#[derive(Debug)]
pub struct Connection {
    /// The service.
    pub remote: Remote,
    /// The address as the user gave it, without secrets.
    pub server: String,
    /// Where the JetStream API is.
    pub jetstream: String,
}

impl Connect {
    /// Connects. What the server does not allow goes to `denials`.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] where nobody answers, [`ErrorKind::NotAllowed`] where we are not let in,
    /// [`ErrorKind::Invalid`] where the settings cannot be used.
    pub async fn open(&self, denials: Denials) -> Result<Connection> {
        let context = self.settings()?;
        let url = if context.url.is_empty() { SERVER_DEFAULT } else { &context.url };
        let options = options(&context)?.name("hourlog").connection_timeout(self.timeout);
        let options = options.event_callback(move |event| {
            let denials = denials.clone();
            async move { denials.take(&event) }
        });
        let urls: Vec<&str> = url.split(',').map(str::trim).collect();
        // A server that takes the connection and then says nothing is as good as none.
        let connected = tokio::time::timeout(self.timeout, options.connect(urls)).await.map_err(|_| {
            let address = remote::without_secrets(url);
            Error::new(
                ErrorKind::Unavailable,
                format!("no nats-server answers at {address} within {:?}; give the address of another", self.timeout),
            )
        })?;
        let client: Client = connected.map_err(|error| remote::connect_error(url, error))?;
        let jetstream = match context.jetstream_domain.as_str() {
            "" => "$JS.API".to_owned(),
            domain => format!("$JS.{domain}.API"),
        };
        let remote = Remote::with_prefix(client, &self.prefix).timeout(self.timeout).server(url);
        Ok(Connection { remote, server: remote::without_secrets(url), jetstream })
    }

    /// Where this leads to, without secrets: the context, or the address.
    pub fn name(&self) -> String {
        match (&self.context, self.settings()) {
            (Some(name), _) => name.clone(),
            (None, Ok(context)) if !context.url.is_empty() => remote::without_secrets(&context.url),
            (None, _) => SERVER_DEFAULT.to_owned(),
        }
    }

    /// The flags that lead to the same service, with a blank before each; without secrets.
    pub fn flags(&self) -> String {
        let flag =
            |name: &str, value: Option<&str>| value.map_or_else(String::new, |value| format!(" --{name} {value}"));
        let server = self.server.as_deref().map(remote::without_secrets);
        let prefix = Some(self.prefix.as_str()).filter(|prefix| *prefix != wire::SERVICE);
        flag("server", server.as_deref()) + &flag("context", self.context.as_deref()) + &flag("prefix", prefix)
    }

    /// The flags, and for what they do not say the context. The selected context is another server's matter as soon
    /// as a server is given.
    fn settings(&self) -> Result<Context> {
        let config_dir = config_dir();
        let name = match (&self.context, &self.server) {
            (Some(name), _) => Some(name.clone()),
            (None, Some(_)) => None,
            (None, None) => Context::selected(&config_dir)?,
        };
        let context = name.map(|name| Context::load(&config_dir, &name)).transpose()?.unwrap_or_default();
        Ok(self.over(context))
    }

    fn over(&self, mut context: Context) -> Context {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
        let replace = |field: &mut String, flag: Option<String>| {
            if let Some(flag) = flag {
                *field = flag;
            }
        };
        if self.creds.is_some() || self.nkey.is_some() || self.user.is_some() {
            // One way to be known is enough: a flag is not mixed with another way that the context has.
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
        std::fs::read_to_string(path).map_err(|error| {
            Error::invalid(format!("{what} cannot be read from {path}; check the path")).because(error)
        })
    };
    let mut options = ConnectOptions::new();
    if !context.creds.is_empty() {
        options = options.credentials(&read(&context.creds, "credentials")?).map_err(|error| {
            Error::invalid(format!("{} holds no credentials; nsc makes such files", context.creds)).because(error)
        })?;
    } else if !context.nkey.is_empty() {
        options = options.nkey(read(&context.nkey, "an nkey seed")?.trim().to_owned());
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

/// What the server refuses over a connection. It says so beside a request, which is then never answered.
#[derive(Debug, Clone)]
pub struct Denials {
    told: broadcast::Sender<String>,
    /// Our inbox, where it is that: no answer reaches us over this connection.
    inbox: watch::Sender<Option<String>>,
}

impl Default for Denials {
    fn default() -> Self {
        Self { told: broadcast::Sender::new(DENIALS_MAX), inbox: watch::Sender::default() }
    }
}

impl Denials {
    fn take(&self, event: &Event) {
        match event {
            Event::Connected => drop(self.inbox.send_replace(None)),
            Event::ServerError(error) => {
                let Some(what) = permission(&error.to_string()) else { return };
                if what.starts_with(SUBSCRIPTION) {
                    self.inbox.send_replace(Some(what.clone()));
                }
                // Nobody may be waiting for anything.
                let _ = self.told.send(what);
            }
            _ => {}
        }
    }

    /// The answer to a question, unless the server refuses our inbox, or `subject`; without one, any.
    ///
    /// # Errors
    /// Those of the question, and [`ErrorKind::NotAllowed`].
    pub async fn unless<T, E: From<Error>>(
        &self,
        subject: Option<&str>,
        question: impl Future<Output = std::result::Result<T, E>>,
    ) -> std::result::Result<T, E> {
        let mut told = self.told.subscribe();
        let is_about = |what: &str| subject.is_none_or(|subject| what.ends_with(&format!("\"{subject}\"")));
        if let Some(inbox) = &*self.inbox.borrow() {
            return Err(denied(inbox).into());
        }
        let refused = async {
            loop {
                match told.recv().await {
                    Ok(what) if what.starts_with(SUBSCRIPTION) || is_about(&what) => return what,
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        tokio::select! {
            biased;
            answer = question => answer,
            what = refused => Err(denied(&what).into()),
        }
    }
}

/// What the server does not allow, where its error is about that: `Publish to "hourlog.logs"`.
fn permission(error: &str) -> Option<String> {
    let (_, what) =
        error.split_once("Permissions Violation for ").or_else(|| error.split_once("permissions violation for "))?;
    Some(what.trim_end_matches(['\'', ' ']).to_owned())
}

fn denied(what: &str) -> Error {
    Error::new(
        ErrorKind::NotAllowed,
        format!("the server does not allow {what}; ask its keeper for the right, or connect as somebody else"),
    )
}

/// How far `there`, read between `before` and `after` by this machine's clock, is ahead of it, in nanoseconds.
pub fn clock_ahead_nanos(before: Offset, after: Offset, there: Offset) -> i64 {
    let middle = before.nanos() + (after.nanos() - before.nanos()) / 2;
    there.nanos().saturating_sub(middle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        connect: Connect,
    }

    fn flags(line: &str) -> Connect {
        Line::parse_from(std::iter::once("hourlog").chain(line.split_whitespace())).connect
    }

    fn context() -> Context {
        serde_json::from_str(r#"{"url":"nats://a","user":"me","password":"secret","ca":"/ca.pem"}"#).expect("good")
    }

    #[test]
    fn flags_go_before_the_context_and_identities_are_not_mixed() {
        let merged = flags("--server nats://b").over(context());
        assert_eq!((merged.url.as_str(), merged.user.as_str(), merged.ca.as_str()), ("nats://b", "me", "/ca.pem"));
        let merged = flags("--creds /a.creds").over(context());
        assert_eq!((merged.creds.as_str(), merged.user.as_str(), merged.password.as_str()), ("/a.creds", "", ""));
        let merged = flags("--user s3cret").over(context());
        assert_eq!((merged.token.as_str(), merged.user.as_str()), ("s3cret", ""));
        let merged = flags("--user you --password hidden").over(context());
        assert_eq!((merged.token.as_str(), merged.user.as_str(), merged.password.as_str()), ("", "you", "hidden"));
    }

    #[test]
    fn a_denial_is_told_from_other_errors() {
        let error = r#"nats: Permissions Violation for Publish to "hourlog.logs""#;
        assert_eq!(permission(error).as_deref(), Some(r#"Publish to "hourlog.logs""#));
        assert_eq!(permission("nats: slow consumer"), None);
    }

    #[test]
    fn the_clocks_are_compared_at_the_middle_of_the_question() {
        let at = Offset::from_nanos;
        assert_eq!(clock_ahead_nanos(at(100), at(200), at(1150)), 1000);
        assert_eq!(clock_ahead_nanos(at(100), at(200), at(50)), -100);
    }
}
