//! `cargo xtask screens`: the picture of the console in the README, made by the console itself.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::{demo, place::Place, process, say, servers::Archive};

/// What is typed for the picture.
const TAPE: &str = "examples/console.tape";
/// What stands before the picture, and what behind it.
const MARKS: (&str, &str) = ("<!-- the console, by `cargo xtask screens` -->\n```text\n", "```\n");

/// Starts the servers with the earthquakes, types what the tape has, and puts the screen into the README.
pub(crate) fn run() -> Result<()> {
    let place = Place::find()?;
    let programs = place.build_programs()?;
    let servers = demo::start(&place, &programs, &Archive::default())?;
    let hourlog = demo::Hourlog { program: &programs.hourlog, url: &servers.url };
    let tape = place.root.join(TAPE).to_string_lossy().into_owned();
    let screen = process::output(&mut hourlog.command(&["--tz", "UTC", "--replay", &tape, "--print"]))?;
    // The address is another one each time.
    let screen = screen.replace(&servers.url, "demo");
    servers.stop()?;
    say::result(&screen);
    let path = place.root.join("README.md");
    let readme = fs::read_to_string(&path).context("the README cannot be read")?;
    let (before, rest) = readme.split_once(MARKS.0).context("the README has no place for the console")?;
    let (_, behind) = rest.split_once(MARKS.1).context("the console's place in the README does not end")?;
    ensure!(!screen.contains("```"), "the screen would end its place in the README");
    fs::write(&path, format!("{before}{}{screen}{}{behind}", MARKS.0, MARKS.1)).context("the README cannot be written")
}
