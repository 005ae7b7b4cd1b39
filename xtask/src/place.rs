//! Where things are: the repository, the target directory, and what cargo builds into it.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process;

/// The repository and where cargo builds.
#[derive(Debug)]
pub(crate) struct Place {
    /// The repository.
    pub root: PathBuf,
    /// The target directory, wherever the user's settings have it.
    pub target: PathBuf,
}

/// The two programs.
#[derive(Debug)]
pub(crate) struct Programs {
    /// The command line.
    pub hourlog: PathBuf,
    /// The service.
    pub hourlogd: PathBuf,
}

impl Place {
    /// Asks cargo, so that all the ways to set a target directory are respected.
    pub(crate) fn find() -> Result<Self> {
        let manifest_dir = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&manifest_dir).parent().context("xtask lies in the repository")?.to_owned();
        let mut metadata = cargo_command();
        metadata.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]);
        metadata.arg(root.join("Cargo.toml"));
        let metadata: Value = serde_json::from_str(&process::output(&mut metadata)?)?;
        let target = metadata["target_directory"].as_str().context("cargo metadata names no target directory")?;
        Ok(Self { root, target: target.into() })
    }

    /// Cargo, in the repository.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = cargo_command();
        cargo.current_dir(&self.root);
        if env::var_os("CARGO_TARGET_DIR").is_some() {
            // It may be relative to where the user stands.
            cargo.env("CARGO_TARGET_DIR", &self.target);
        }
        cargo
    }

    /// Builds the two programs; cargo shows its progress.
    pub(crate) fn build_programs(&self) -> Result<Programs> {
        self.build(&["-p", "hourlogd", "-p", "hourlog-console"])
    }

    /// Builds the programs as tests start them, with what only tests need.
    pub(crate) fn build_for_tests(&self) -> Result<Programs> {
        self.build(&["--workspace", "--all-features"])
    }

    fn build(&self, which: &[&str]) -> Result<Programs> {
        let mut build = self.cargo();
        build.args(["build", "--bins"]).args(which);
        build.arg("--message-format=json-render-diagnostics");
        let messages = process::output(&mut build)?;
        Ok(Programs { hourlog: executable(&messages, "hourlog")?, hourlogd: executable(&messages, "hourlogd")? })
    }

    /// A path as the user would type it: below the current directory, without the part that leads there.
    pub(crate) fn shown(path: &Path) -> String {
        let here = env::current_dir().unwrap_or_default();
        path.strip_prefix(here).unwrap_or(path).display().to_string()
    }
}

/// The cargo that runs this, without what it set for this run alone: build scripts that look at such
/// variables would run again each time, and what depends on them be built again.
fn cargo_command() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    let own = |name: &str| {
        name.starts_with("CARGO_PKG_")
            || matches!(name, "CARGO_MANIFEST_DIR" | "CARGO_MANIFEST_PATH" | "CARGO_BIN_NAME" | "CARGO_CRATE_NAME")
    };
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(own) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// The program `name` among what cargo says it built.
fn executable(messages: &str, name: &str) -> Result<PathBuf> {
    let built = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find_map(|message| {
        let of_name = message["target"]["name"] == name;
        message["executable"].as_str().filter(|_| of_name).map(PathBuf::from)
    });
    match built {
        Some(path) => Ok(path),
        None => bail!("cargo built no program {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_among_the_messages_of_cargo() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"hourlog"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"hourlog"},"executable":"/t/debug/hourlog"}
not a message
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages, "hourlog").expect("it is there"), Path::new("/t/debug/hourlog"));
        assert!(executable(messages, "hourlogd").is_err());
    }
}
