//! `cargo xtask ci`: every check that a change must pass, quick ones first. Stops at the first
//! failure.

use std::{process::Command, time::Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::{clients, imports, instructions, print, process, test, tidy, tools, workspace::Workspace};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Steps to run [default: all]
    #[arg(value_enum, value_name = "STEP")]
    steps: Vec<Step>,
}

/// A check, in the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// Formatting by rustfmt
    Format,
    /// Phrases that make comments, messages and documents hard to read
    Tidy,
    /// Imports that the architecture forbids, and circles of imports
    Imports,
    /// Lints
    Clippy,
    /// API documentation without warnings
    Doc,
    /// Licences, bans and sources of dependencies
    Deny,
    /// Crate hourlog without features, which may depend on std alone
    StdOnly,
    /// Instructions for an event, beside those that were accepted
    Instructions,
    /// All tests, on real servers
    Test,
    /// The tests of the clients for Python and Go
    Clients,
}

impl Step {
    /// Heading above the step's output.
    fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Tidy => "tidy",
            Self::Imports => "imports",
            Self::Clippy => "clippy",
            Self::Doc => "documentation",
            Self::Deny => "licences, bans and sources",
            Self::StdOnly => "hourlog without features needs only std",
            Self::Instructions => "instructions for an event",
            Self::Test => "tests",
            Self::Clients => "clients for Python and Go",
        }
    }

    /// Advice for a failure.
    fn advice(self) -> &'static str {
        match self {
            Self::Format => "run `cargo fmt`",
            Self::Tidy => "rewrite the phrases above; xtask/src/tidy/phrases.rs lists them and their exceptions",
            Self::Imports => "untangle the files above; xtask/src/imports/rules.rs lists the rules",
            Self::Clippy => "fix the warnings above, or allow one in one place with a reason",
            Self::Doc => "fix the warnings above",
            Self::Deny => "change the dependency, or deny.toml with a reason",
            Self::StdOnly => "make the dependency optional, behind a feature",
            Self::Instructions => "the counts are above",
            Self::Test | Self::Clients => "the failures are above",
        }
    }

    fn check(self, workspace: &Workspace) -> Result<()> {
        match self {
            Self::Format => process::run(workspace.cargo().args(["fmt", "--all", "--check"])),
            Self::Tidy => tidy::run(&workspace.text_files()?),
            Self::Imports => imports::run(&workspace.text_files()?),
            Self::Clippy => {
                let clippy = ["clippy", "--locked", "--workspace", "--all-features", "--all-targets"];
                process::run(workspace.cargo().args(clippy).args(["--", "-D", "warnings"]))
            }
            Self::Doc => {
                let doc = ["doc", "--locked", "--no-deps", "--workspace", "--all-features"];
                process::run(workspace.cargo().args(doc).env("RUSTDOCFLAGS", "-D warnings"))
            }
            Self::Deny => {
                let mut deny = Command::new(tools::cargo_deny()?);
                process::run(deny.current_dir(&workspace.root).args(["check", "licenses", "bans", "sources"]))
            }
            Self::StdOnly => std_only(workspace),
            Self::Instructions => instructions::run(&instructions::Options::default()),
            Self::Test => test::run(&[]),
            Self::Clients => clients::run(),
        }
    }
}

/// Runs the steps.
pub(crate) fn run(options: &Options) -> Result<()> {
    let workspace = Workspace::find()?;
    let started = Instant::now();
    let selected = |step: &&Step| options.steps.is_empty() || options.steps.contains(step);
    for step in Step::value_variants().iter().filter(selected) {
        run_step(*step, &workspace)?;
    }
    print::note(format_args!("\n== all passed, {:.0} s", started.elapsed().as_secs_f64()));
    Ok(())
}

fn run_step(step: Step, workspace: &Workspace) -> Result<()> {
    let name = step.name();
    print::note(format_args!("\n== {name}"));
    let started = Instant::now();
    match step.check(workspace) {
        Ok(()) => {
            print::note(format_args!("== {name}: passed, {:.1} s", started.elapsed().as_secs_f64()));
            Ok(())
        }
        Err(error) if error.is::<process::Interrupted>() => Err(error),
        Err(error) => Err(error).with_context(|| format!("{name} failed: {}", step.advice())),
    }
}

fn std_only(workspace: &Workspace) -> Result<()> {
    let mut tree = workspace.cargo();
    tree.args(["tree", "--locked", "-p", "hourlog", "--no-default-features", "-e", "normal,build", "--prefix", "none"]);
    let tree = process::output(&mut tree)?;
    match tree.trim().split_once('\n') {
        None if tree.starts_with("hourlog ") => Ok(()),
        None => bail!("unexpected output of cargo tree: {:?}", tree.trim()),
        Some((_, dependencies)) => bail!("it depends on {}", dependencies.replace('\n', ", ")),
    }
}
