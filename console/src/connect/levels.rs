//! The login in use: flags, variables and a context, where the stronger completes the weaker one.

use hourlog::{
    Error, Result,
    nats::{Login, without_secrets},
};

use super::SERVER_DEFAULT;
use crate::contexts::Context;

/// The source of a part of the login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A flag on the command line.
    Flag,
    /// An environment variable.
    Variable,
    /// The context with this name.
    Context(String),
}

/// A part of a login, as text.
type Part = fn(&Login) -> Option<String>;

/// The parts of a login, by the ids of their flags.
pub(crate) const PARTS: [(&str, Part); 11] = [
    ("server", |login| Some(login.servers.clone()).filter(|servers| !servers.is_empty())),
    ("user", |login| login.user.clone()),
    ("password", |login| login.password.clone()),
    ("token", |login| login.token.clone()),
    ("creds", |login| login.creds.as_ref().map(|path| path.display().to_string())),
    ("nkey", |login| login.nkey.as_ref().map(|path| path.display().to_string())),
    ("tls_ca", |login| login.tls_ca.as_ref().map(|path| path.display().to_string())),
    ("tls_cert", |login| login.tls_cert.as_ref().map(|path| path.display().to_string())),
    ("tls_key", |login| login.tls_key.as_ref().map(|path| path.display().to_string())),
    ("tls_first", |login| login.tls_first.then(|| "true".to_owned())),
    ("inbox_prefix", |login| login.inbox_prefix.clone()),
];

/// The logins of all sources, the strongest first.
pub(crate) struct Levels {
    levels: Vec<(Source, Login)>,
    context: Option<(String, Context)>,
}

impl Levels {
    pub(super) fn new(levels: Vec<(Source, Login)>, context: Option<(String, Context)>) -> Self {
        Self { levels, context }
    }

    /// Returns the login to connect with.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid) if an address cannot be used; the sentence
    /// names the variable or the context that holds it.
    pub(crate) fn login(&self) -> Result<Login> {
        let mut login = self.merged();
        // Only the user of a flag or variable may be a token.
        let is_context = matches!(self.source("user"), Some(Source::Context(_)));
        if login.password.is_none() && login.token.is_none() && !is_context {
            login.token = login.user.take();
        }
        if login.servers.is_empty() {
            SERVER_DEFAULT.clone_into(&mut login.servers);
        }
        login.name = Some("hourlog".to_owned());
        login.check_addresses().map_err(|error| match self.source("server") {
            Some(Source::Variable) => Error::invalid(format!("NATS_URL: {error}")),
            Some(Source::Context(name)) => Error::invalid(format!("context {name:?}: {error}")),
            Some(Source::Flag) | None => error,
        })?;
        Ok(login)
    }

    /// Returns a part of the login in use, and its source. `None` if no source has it, or its login
    /// is not used.
    pub(crate) fn part(&self, id: &str) -> Option<(String, &Source)> {
        let (_, part) = PARTS.iter().find(|(known, _)| *known == id)?;
        Some((part(&self.merged())?, self.source(id)?))
    }

    /// Returns the address in use, without a login.
    pub(super) fn server(&self) -> String {
        self.part("server").map_or_else(|| SERVER_DEFAULT.to_owned(), |(servers, _)| without_secrets(&servers))
    }

    /// Returns the name of the context in use.
    pub(crate) fn context(&self) -> Option<&str> {
        self.context.as_ref().map(|(name, _)| name.as_str())
    }

    /// Returns the JetStream domain of the context; empty if there is none.
    pub(crate) fn jetstream_domain(&self) -> &str {
        self.context.as_ref().map_or("", |(_, context)| &context.jetstream_domain)
    }

    fn merged(&self) -> Login {
        let logins = self.levels.iter().map(|(_, login)| login.clone());
        logins.reduce(Login::or).unwrap_or_default()
    }

    /// Returns the strongest source that has the part `id`.
    fn source(&self, id: &str) -> Option<&Source> {
        let (_, part) = PARTS.iter().find(|(known, _)| *known == id)?;
        self.levels.iter().find(|(_, login)| part(login).is_some()).map(|(source, _)| source)
    }
}
