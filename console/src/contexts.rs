//! The contexts of the `nats` tool: named sets of connection settings, kept as JSON files.

use std::{
    io,
    path::{Path, PathBuf},
};

use hourlog::{Error, ErrorKind, Result};
use serde::Deserialize;

/// What a context says of a connection. Fields that are not known here are passed over.
#[derive(Clone, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct Context {
    /// Addresses, with commas between them.
    pub url: String,
    /// A user's name.
    pub user: String,
    /// The user's password.
    pub password: String,
    /// A token, in place of user and password.
    pub token: String,
    /// A file with a JWT and its seed.
    pub creds: String,
    /// A file with an NKey seed.
    pub nkey: String,
    /// A client's TLS certificate.
    pub cert: String,
    /// The key of the certificate.
    pub key: String,
    /// The certificates of who vouches for the server.
    pub ca: String,
    /// TLS before anything else is said.
    pub tls_first: bool,
    /// What the client's own inboxes begin with.
    pub inbox_prefix: String,
    /// Whose JetStream it is, where that is another server's.
    pub jetstream_domain: String,
    nsc: String,
    user_jwt: String,
    socks_proxy: String,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the secrets.
        f.debug_struct("Context").field("url", &self.url).field("user", &self.user).finish_non_exhaustive()
    }
}

impl Context {
    /// The context `name`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where there is none of that name, or it cannot be read or needs what is not supported here.
    pub fn load(config_dir: &Path, name: &str) -> Result<Self> {
        let unusable = |why: String| Error::invalid(format!("context {name:?} {why}"));
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\']) {
            return Err(unusable("is not the name of one; see nats context ls".to_owned()));
        }
        let path = dir(config_dir).join(format!("{name}.json"));
        let text = std::fs::read_to_string(&path).map_err(|error| {
            unusable(format!("cannot be read from {}; see nats context ls", path.display())).because(error)
        })?;
        let mut context: Self = serde_json::from_str(&text).map_err(|error| {
            unusable(format!("is not one that can be read: {}; see nats context edit", path.display())).because(error)
        })?;
        for (field, value) in
            [("nsc", &context.nsc), ("user_jwt", &context.user_jwt), ("socks_proxy", &context.socks_proxy)]
        {
            if !value.is_empty() {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    format!("context {name:?} sets {field}, which is not supported; give --creds FILE instead"),
                ));
            }
        }
        for file in [&mut context.creds, &mut context.nkey, &mut context.cert, &mut context.key, &mut context.ca] {
            *file = expand_home(file, std::env::home_dir());
        }
        Ok(context)
    }

    /// The name of the context that `nats context select` has chosen.
    ///
    /// # Errors
    /// [`ErrorKind::Unexpected`] where the file that says so is there and cannot be read.
    pub fn selected(config_dir: &Path) -> Result<Option<String>> {
        let path = config_dir.join("nats").join("context.txt");
        match std::fs::read_to_string(&path) {
            Ok(name) => Ok(Some(name.trim().to_owned()).filter(|name| !name.is_empty())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                Err(Error::new(ErrorKind::Unexpected, format!("{} cannot be read", path.display())).because(error))
            }
        }
    }
}

/// Where the `nats` tool keeps its configuration: `$XDG_CONFIG_HOME`, or `.config` in the home directory.
pub fn config_dir() -> PathBuf {
    let set = std::env::var_os("XDG_CONFIG_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    set.or_else(|| std::env::home_dir().map(|home| home.join(".config"))).unwrap_or_else(|| PathBuf::from(".config"))
}

fn dir(config_dir: &Path) -> PathBuf {
    config_dir.join("nats").join("context")
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
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir_all(dir.path().join("nats/context")).expect("a directory");
        for (path, text) in files {
            std::fs::write(dir.path().join("nats").join(path), text).expect("a file");
        }
        dir
    }

    #[test]
    fn a_context_is_read_whatever_else_it_says() {
        let text = r#"{"description":"staging","url":"nats://a:4222,nats://b:4222","user":"me","password":"secret",
            "creds":"","color_scheme":"","windows_cert_store":"","brand_new_setting":{"a":[1]},"nsc":""}"#;
        let dir = contexts(&[("context/staging.json", text), ("context.txt", "staging\n")]);
        assert_eq!(Context::selected(dir.path()).expect("it is there"), Some("staging".to_owned()));
        let context = Context::load(dir.path(), "staging").expect("it is good");
        assert_eq!((context.url.as_str(), context.user.as_str()), ("nats://a:4222,nats://b:4222", "me"));
        assert!(!format!("{context:?}").contains("secret"));
    }

    #[test]
    fn a_context_that_cannot_be_used_says_why() {
        let files = [("context/broken.json", "{"), ("context/nsc.json", r#"{"nsc":"nsc://a/b/c"}"#)];
        let dir = contexts(&files);
        assert_eq!(Context::selected(dir.path()).expect("none is no error"), None);
        for (name, reason) in [
            ("missing", "see nats context ls"),
            ("../etc", "not the name"),
            ("broken", "nats context edit"),
            ("nsc", "--creds"),
        ] {
            let error = Context::load(dir.path(), name).expect_err("it is bad");
            assert!(error.to_string().contains(reason), "{error}");
        }
    }

    #[test]
    fn a_tilde_is_the_home_directory() {
        let home = || Some(PathBuf::from("/home/me"));
        assert_eq!(expand_home("~/creds/a.creds", home()), "/home/me/creds/a.creds");
        assert_eq!(expand_home("/etc/a.creds", home()), "/etc/a.creds");
        assert_eq!(expand_home("~/a", None), "~/a");
    }
}
