//! The contexts of the `nats` tool: named connection settings in JSON files.

use std::{
    io,
    path::{Path, PathBuf},
};

use hourlog::{
    Error, ErrorKind, Result,
    nats::{Login, without_secrets},
};
use serde::Deserialize;

/// The connection settings of a context. Unknown fields are ignored.
#[derive(Clone, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct Context {
    /// Server URLs, comma-separated.
    pub url: String,
    /// User name.
    pub user: String,
    /// Password of the user.
    pub password: String,
    /// Token, instead of user and password.
    pub token: String,
    /// Credentials file: a JWT and its seed.
    pub creds: String,
    /// File with an NKey seed.
    pub nkey: String,
    /// Client certificate (PEM).
    pub cert: String,
    /// Private key of the client certificate (PEM).
    pub key: String,
    /// CA certificates (PEM).
    pub ca: String,
    /// Start TLS before the server says anything.
    pub tls_first: bool,
    /// Prefix of the client's reply subjects.
    pub inbox_prefix: String,
    /// JetStream domain, if it is not the server's own.
    pub jetstream_domain: String,
    nsc: String,
    user_jwt: String,
    socks_proxy: String,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The other fields may hold secrets.
        f.debug_struct("Context")
            .field("url", &without_secrets(&self.url))
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl Context {
    /// Loads the context `name`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it does not exist, cannot be read, or uses a setting that is not
    /// supported.
    pub fn load(config_dir: &Path, name: &str) -> Result<Self> {
        let unusable = |why: String| Error::invalid(format!("context {name:?} {why}"));
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\']) {
            return Err(unusable("is not a valid name; see nats context ls".to_owned()));
        }
        let path = config_dir.join("nats").join("context").join(format!("{name}.json"));
        let text = std::fs::read_to_string(&path).map_err(|error| {
            unusable(format!("cannot be read from {}; see nats context ls", path.display())).because(error)
        })?;
        let mut context: Self = serde_json::from_str(&text).map_err(|error| {
            unusable(format!("cannot be parsed from {}; see nats context edit", path.display())).because(error)
        })?;
        for (field, value) in
            [("nsc", &context.nsc), ("user_jwt", &context.user_jwt), ("socks_proxy", &context.socks_proxy)]
        {
            if !value.is_empty() {
                return Err(unusable(format!("sets {field}, which is not supported; use --creds FILE instead")));
            }
        }
        for file in [&mut context.creds, &mut context.nkey, &mut context.cert, &mut context.key, &mut context.ca] {
            *file = expand_home(file, std::env::home_dir());
        }
        Ok(context)
    }

    /// Returns the login, with one identity: the first that the context has.
    pub(crate) fn login(&self) -> Login {
        let text = |value: &String| Some(value.clone()).filter(|value| !value.is_empty());
        let path = |value: &String| text(value).map(PathBuf::from);
        let mut login = Login {
            servers: self.url.clone(),
            tls_ca: path(&self.ca),
            tls_cert: path(&self.cert),
            tls_key: path(&self.key),
            tls_first: self.tls_first,
            inbox_prefix: text(&self.inbox_prefix),
            ..Login::default()
        };
        if !self.creds.is_empty() {
            login.creds = path(&self.creds);
        } else if !self.nkey.is_empty() {
            login.nkey = path(&self.nkey);
        } else if !self.token.is_empty() {
            login.token = text(&self.token);
        } else {
            login.user = text(&self.user);
            login.password = text(&self.password);
        }
        login
    }

    /// Returns the name of the context that `nats context select` has selected.
    ///
    /// # Errors
    /// [`ErrorKind::Unexpected`] if the file with the name exists but cannot be read.
    pub fn selected(config_dir: &Path) -> Result<Option<String>> {
        let path = config_dir.join("nats").join("context.txt");
        match std::fs::read_to_string(&path) {
            Ok(name) => Ok(Some(name.trim().to_owned()).filter(|name| !name.is_empty())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                Err(Error::new(ErrorKind::Unexpected, format!("cannot read {}", path.display())).because(error))
            }
        }
    }
}

/// Returns the directory of the `nats` tool's configuration: `$XDG_CONFIG_HOME`, or `.config` in
/// the home directory.
pub fn config_dir() -> PathBuf {
    let set = std::env::var_os("XDG_CONFIG_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    set.or_else(|| std::env::home_dir().map(|home| home.join(".config"))).unwrap_or_else(|| PathBuf::from(".config"))
}

fn expand_home(path: &str, home: Option<PathBuf>) -> String {
    match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest).to_string_lossy().into_owned(),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contexts(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory can be created");
        std::fs::create_dir_all(dir.path().join("nats/context")).expect("a directory can be created");
        for (path, text) in files {
            std::fs::write(dir.path().join("nats").join(path), text).expect("a file can be written");
        }
        dir
    }

    #[test]
    fn a_context_with_unknown_fields_is_read() {
        let text = r#"{"description":"staging","url":"nats://a:4222,nats://b:4222","user":"me","password":"secret",
            "creds":"","color_scheme":"","windows_cert_store":"","brand_new_setting":{"a":[1]},"nsc":""}"#;
        let dir = contexts(&[("context/staging.json", text), ("context.txt", "staging\n")]);
        assert_eq!(Context::selected(dir.path()).expect("context.txt can be read"), Some("staging".to_owned()));
        let context = Context::load(dir.path(), "staging").expect("the context is valid");
        assert_eq!((context.url.as_str(), context.user.as_str()), ("nats://a:4222,nats://b:4222", "me"));
        assert!(!format!("{context:?}").contains("secret"));
    }

    #[test]
    fn an_unusable_context_is_refused_with_the_reason() {
        let files = [("context/broken.json", "{"), ("context/nsc.json", r#"{"nsc":"nsc://a/b/c"}"#)];
        let dir = contexts(&files);
        assert_eq!(Context::selected(dir.path()).expect("no selection is not an error"), None);
        for (name, reason) in [
            ("missing", "see nats context ls"),
            ("../etc", "not a valid name"),
            ("broken", "nats context edit"),
            ("nsc", "--creds"),
        ] {
            let error = Context::load(dir.path(), name).expect_err("the context is unusable");
            assert!(error.to_string().contains(reason), "{error}");
        }
    }

    #[test]
    fn a_tilde_stands_for_the_home_directory() {
        let home = || Some(PathBuf::from("/home/me"));
        assert_eq!(expand_home("~/creds/a.creds", home()), "/home/me/creds/a.creds");
        assert_eq!(expand_home("/etc/a.creds", home()), "/etc/a.creds");
        assert_eq!(expand_home("~/a", None), "~/a");
    }
}
