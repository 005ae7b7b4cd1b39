//! The login at NATS out of flags, variables and the configuration file: the stronger source wins.

use clap::{ArgMatches, parser::ValueSource};
use hourlog::nats::Login;

use super::Options;

impl Options {
    /// Returns these options without a login that a stronger source replaces: typed flags are
    /// stronger than variables.
    pub(super) fn with_typed_login(self, matches: &ArgMatches) -> Self {
        let typed = self.login_from(matches, ValueSource::CommandLine);
        let login = typed.or(self.login_from(matches, ValueSource::EnvVariable));
        self.with_login(login)
    }

    /// Returns the address and the identity.
    pub(super) fn login(&self) -> Login {
        Login {
            servers: self.nats.clone().unwrap_or_default(),
            user: self.user.clone(),
            password: self.password.clone(),
            token: self.token.clone(),
            creds: self.creds.clone(),
            nkey: self.nkey.clone(),
            ..Login::default()
        }
    }

    /// Returns these options with the address and the identity of `login`.
    pub(super) fn with_login(self, login: Login) -> Self {
        Self {
            nats: Some(login.servers).filter(|servers| !servers.is_empty()),
            user: login.user,
            password: login.password,
            token: login.token,
            creds: login.creds,
            nkey: login.nkey,
            ..self
        }
    }

    fn login_from(&self, matches: &ArgMatches, source: ValueSource) -> Login {
        let is_from = |id: &str| matches.value_source(id) == Some(source);
        Self {
            nats: self.nats.clone().filter(|_| is_from("nats")),
            user: self.user.clone().filter(|_| is_from("user")),
            password: self.password.clone().filter(|_| is_from("password")),
            token: self.token.clone().filter(|_| is_from("token")),
            creds: self.creds.clone().filter(|_| is_from("creds")),
            nkey: self.nkey.clone().filter(|_| is_from("nkey")),
            ..Self::default()
        }
        .login()
    }
}
