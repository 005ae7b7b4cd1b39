//! `cargo xtask clients`: the tests of the clients in other languages, against a real service.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    print, process, tools,
    workspace::{Programs, Workspace},
};

/// The variables with the paths of the built programs, for the tests.
const HOURLOGD_VARIABLE: &str = "HOURLOGD";
const HOURLOG_VARIABLE: &str = "HOURLOG";

pub(crate) fn run() -> Result<()> {
    let workspace = Workspace::find()?;
    let servers = Servers { nats_server: tools::nats_server()?, programs: workspace.build_for_tests()? };
    python(&workspace.root, &servers)?;
    go(&workspace.root, &servers)
}

struct Servers {
    nats_server: PathBuf,
    programs: Programs,
}

impl Servers {
    /// Tells the tests where the programs are.
    fn name_to(&self, tests: &mut Command) {
        tests.env(tools::NATS_SERVER_VARIABLE, &self.nats_server).env(HOURLOGD_VARIABLE, &self.programs.hourlogd);
        tests.env(HOURLOG_VARIABLE, &self.programs.hourlog);
    }
}

/// Installs the package as its users do, into an environment of its own, and tests what was installed.
fn python(root: &Path, servers: &Servers) -> Result<()> {
    print::note("\n== the client for Python");
    let python = tools::on_path("python3").context("no python3 found: install Python 3.10 or later, with venv")?;
    let (package, environment) = (root.join("clients/python"), root.join("target/clients/python"));
    let made = process::run(Command::new(python).args(["-m", "venv", "--clear"]).arg(&environment));
    made.context("no environment can be made: install the module venv of Python, python3-venv on Debian")?;
    let python = environment.join("bin/python");
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--constraint"]);
    install.arg(package.join("tests/constraints.txt")).arg(format!("{}[test]", package.display()));
    process::run(&mut install)?;
    let mut tests = Command::new(&python);
    servers.name_to(&mut tests);
    process::run(tests.args(["-m", "pytest", "-p", "no:cacheprovider", "-q"]).arg(package.join("tests")))
}

fn go(root: &Path, servers: &Servers) -> Result<()> {
    print::note("\n== the client for Go");
    let go = tools::on_path("go").context("no go found: install Go 1.23 or later")?;
    let package = root.join("clients/go");
    let run = |arguments: &[&str]| {
        let mut go = Command::new(&go);
        servers.name_to(&mut go);
        process::run(go.current_dir(&package).args(arguments))
    };
    run(&["vet", "./..."])?;
    run(&["test", "-count=1", "./..."])
}
