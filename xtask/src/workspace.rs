//! The repository: its files, its target directory, and the programs that cargo builds.

use std::{
    env,
    ffi::OsString,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{process, source::SourceFile};

/// The repository and its target directory.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// Root of the repository.
    pub root: PathBuf,
    /// Target directory, as configured by the user.
    pub target: PathBuf,
}

/// The two programs that users run.
#[derive(Debug)]
pub(crate) struct Programs {
    /// Path of the command line.
    pub hourlog: PathBuf,
    /// Path of the service.
    pub hourlogd: PathBuf,
}

impl Workspace {
    /// Finds the workspace by asking cargo, which knows every way to configure a target directory.
    pub(crate) fn find() -> Result<Self> {
        let manifest_dir = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&manifest_dir).parent().context("xtask has no parent directory")?.to_owned();
        let mut metadata = cargo_command();
        metadata.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]);
        metadata.arg(root.join("Cargo.toml"));
        let metadata: Value = serde_json::from_str(&process::output(&mut metadata)?)?;
        let target = metadata["target_directory"].as_str().context("cargo metadata has no target_directory")?;
        Ok(Self { root, target: target.into() })
    }

    /// Returns a cargo command that runs in the repository.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = cargo_command();
        cargo.current_dir(&self.root);
        if env::var_os("CARGO_TARGET_DIR").is_some() {
            // The variable may be relative to the current directory.
            cargo.env("CARGO_TARGET_DIR", &self.target);
        }
        cargo
    }

    /// Builds the two programs; cargo shows its progress.
    pub(crate) fn build_programs(&self) -> Result<Programs> {
        self.build(&["-p", "hourlogd", "-p", "hourlog-console"])
    }

    /// Builds the programs with the features that tests need.
    pub(crate) fn build_for_tests(&self) -> Result<Programs> {
        self.build(&["--workspace", "--all-features"])
    }

    /// Builds the benchmark and, beside it, the service, both as users run them. Returns the benchmark.
    pub(crate) fn build_benchmark(&self) -> Result<PathBuf> {
        let messages = self.messages(&["--release", "-p", "hourlogd", "-p", "conformance"])?;
        executable(&messages, "bench")
    }

    /// Builds the program whose instructions are counted, with everything else that tests need.
    pub(crate) fn build_for_instructions(&self) -> Result<PathBuf> {
        executable(&self.messages(&["--workspace", "--all-features"])?, "instructions")
    }

    fn build(&self, which: &[&str]) -> Result<Programs> {
        let messages = self.messages(which)?;
        Ok(Programs { hourlog: executable(&messages, "hourlog")?, hourlogd: executable(&messages, "hourlogd")? })
    }

    /// Builds programs, and returns the messages of cargo.
    fn messages(&self, which: &[&str]) -> Result<String> {
        let mut build = self.cargo();
        build.args(["build", "--bins"]).args(which);
        build.arg("--message-format=json-render-diagnostics");
        process::output(&mut build)
    }

    /// Returns every text file that git tracks or would track.
    pub(crate) fn text_files(&self) -> Result<Vec<SourceFile>> {
        let mut list = Command::new("git");
        list.current_dir(&self.root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let mut files = Vec::new();
        for path in process::output(&mut list)?.split_terminator('\0') {
            match fs::read_to_string(self.root.join(path)) {
                Ok(text) => files.push(SourceFile { path: path.to_owned(), text }),
                // Deleted but not yet committed, or not text.
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => {}
                Err(error) => return Err(error).with_context(|| format!("cannot read {path}")),
            }
        }
        Ok(files)
    }

    /// Returns `path` relative to the current directory if it is below it.
    pub(crate) fn short_path(path: &Path) -> String {
        let here = env::current_dir().unwrap_or_default();
        path.strip_prefix(here).unwrap_or(path).display().to_string()
    }
}

/// Returns the cargo that runs this program, without the variables that it set for this run. They
/// would make build scripts that read them run each time, and rebuild everything that depends on
/// those.
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

/// Returns the path of program `name` from the messages of `cargo build`.
fn executable(messages: &str, name: &str) -> Result<PathBuf> {
    let built = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find_map(|message| {
        let of_name = message["target"]["name"] == name;
        message["executable"].as_str().filter(|_| of_name).map(PathBuf::from)
    });
    match built {
        Some(path) => Ok(path),
        None => bail!("cargo did not build a program {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_program_is_read_from_the_messages_of_cargo() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"hourlog"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"hourlog"},"executable":"/t/debug/hourlog"}
not a message
{"reason":"build-finished","success":true}"#;
        assert_eq!(
            executable(messages, "hourlog").expect("the second message names it"),
            Path::new("/t/debug/hourlog")
        );
        assert!(executable(messages, "hourlogd").is_err());
    }
}
