//! `cargo xtask ci`: everything that a change must pass, one step after the other, up to the first that fails.

use std::{process::Command, time::Instant};

use anyhow::{Context, Result, bail};

use crate::{place::Place, process, say, test, tools};

/// Runs all steps.
pub(crate) fn run() -> Result<()> {
    let place = Place::find()?;
    let started = Instant::now();
    step("format", "run `cargo fmt`", || process::run(place.cargo().args(["fmt", "--all", "--check"])))?;
    step("clippy", "follow what it says above, or allow it in one place with a reason", || {
        let clippy = ["clippy", "--locked", "--workspace", "--all-features", "--all-targets", "--", "-D", "warnings"];
        process::run(place.cargo().args(clippy))
    })?;
    step("licences, bans and sources", "deny.toml says what may be depended on", || {
        let deny = tools::cargo_deny()?;
        process::run(Command::new(deny).current_dir(&place.root).args(["check", "licenses", "bans", "sources"]))
    })?;
    step("hourlog without features is std alone", "make the dependency optional, behind a feature", || {
        std_alone(&place)
    })?;
    step("tests", "the failures are above", || test::run(&[]))?;
    say::note(format_args!("\n== all of it passed, {:.0} s", started.elapsed().as_secs_f64()));
    Ok(())
}

fn step(name: &str, advice: &str, check: impl FnOnce() -> Result<()>) -> Result<()> {
    say::note(format_args!("\n== {name}"));
    let started = Instant::now();
    match check() {
        Ok(()) => {
            say::note(format_args!("== {name}: passed, {:.1} s", started.elapsed().as_secs_f64()));
            Ok(())
        }
        Err(error) if error.is::<process::Interrupted>() => Err(error),
        Err(error) => Err(error).with_context(|| format!("{name} did not pass: {advice}")),
    }
}

fn std_alone(place: &Place) -> Result<()> {
    let mut tree = place.cargo();
    tree.args(["tree", "--locked", "-p", "hourlog", "--no-default-features", "-e", "normal,build", "--prefix", "none"]);
    let tree = process::output(&mut tree)?;
    match tree.trim().split_once('\n') {
        None if tree.starts_with("hourlog ") => Ok(()),
        None => bail!("cargo tree answered {:?}", tree.trim()),
        Some((_, dependencies)) => bail!("it depends on {}", dependencies.replace('\n', ", ")),
    }
}
