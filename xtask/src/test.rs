//! `cargo xtask test`: gets the servers that the tests need and runs all tests, the quick ones
//! first.

use std::{ffi::OsString, path::Path, process::Command};

use anyhow::Result;

use crate::{
    cassandra::{Kind, Node},
    print, process, tools,
    workspace::Workspace,
};

/// Headings of the steps and their `cargo test` arguments. The last three select the same packages
/// and features, so that nothing is built twice.
const STEPS: [(&str, &[&str]); 4] = [
    ("the interface and the memory model, on std alone", &["-p", "hourlog", "--no-default-features"]),
    ("unit tests", &["--workspace", "--all-features", "--lib", "--bins"]),
    ("tests on real servers", &["--workspace", "--all-features", "--examples", "--test", "*"]),
    ("examples in the documentation", &["--workspace", "--all-features", "--doc"]),
];

/// Runs all tests, or a single `cargo test` if there are `arguments` for it.
pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    let workspace = Workspace::find()?;
    let nats_server = tools::nats_server()?;
    // Some tests start the programs as users do.
    workspace.build_for_tests()?;
    let database = Node::start(Kind::Cassandra)?;
    if arguments.is_empty() {
        for (heading, arguments) in STEPS {
            print::note(format_args!("\n== {heading}"));
            process::run(cargo_test(&workspace, &nats_server, &database)?.args(arguments))?;
        }
        return Ok(());
    }
    let mut test = cargo_test(&workspace, &nats_server, &database)?;
    if !names_a_package(arguments) {
        test.args(["--workspace", "--all-features"]);
    }
    process::run(test.args(arguments))
}

fn cargo_test(workspace: &Workspace, nats_server: &Path, database: &Node) -> Result<Command> {
    let mut test = workspace.cargo();
    test.arg("test").env(tools::NATS_SERVER_VARIABLE, nats_server);
    database.export_to(&mut test)?;
    Ok(test)
}

/// Returns whether cargo's own arguments contain `-p` or `--package`.
fn names_a_package(arguments: &[OsString]) -> bool {
    let for_cargo = arguments.iter().take_while(|argument| *argument != "--");
    for_cargo
        .filter_map(|argument| argument.to_str())
        .any(|text| text.starts_with("--package") || (text.starts_with("-p") && !text.starts_with("--")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_arguments_before_the_dashes_name_a_package() {
        let named = |text: &str| names_a_package(&text.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert!(named("-p hourlog ties"));
        assert!(named("--package=hourlog"));
        assert!(!named("ties"));
        assert!(!named("ties -- -p"));
    }
}
