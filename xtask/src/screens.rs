//! `cargo xtask screens`: updates the picture of the console in its documentation, drawn by the
//! console itself.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::{demo, print, process, servers::Archive, workspace::Workspace};

/// Keys to press for the picture.
const TAPE: &str = "examples/console.tape";
/// Document with the picture.
const DOCUMENT: &str = "docs/console.md";
/// Text before and after the picture.
const MARKS: (&str, &str) = ("<!-- the console, by `cargo xtask screens` -->\n```text\n", "```\n");

/// Starts the servers with the earthquakes, plays the tape in the console, and writes the screen to
/// the document.
pub(crate) fn run() -> Result<()> {
    let workspace = Workspace::find()?;
    let programs = workspace.build_programs()?;
    let servers = demo::start(&workspace, &programs, &Archive::default())?;
    let hourlog = demo::Hourlog { program: &programs.hourlog, url: &servers.url };
    let tape = workspace.root.join(TAPE).to_string_lossy().into_owned();
    let screen = process::output(&mut hourlog.command(&["--tz", "UTC", "--replay", &tape, "--print"]))?;
    // The port differs in each run.
    let screen = screen.replace(&servers.url, "demo");
    servers.stop()?;
    print::result(&screen);
    let path = workspace.root.join(DOCUMENT);
    let document = fs::read_to_string(&path).with_context(|| format!("cannot read {DOCUMENT}"))?;
    let (before, rest) = document
        .split_once(MARKS.0)
        .with_context(|| format!("no picture to replace in {DOCUMENT}: add one that starts with {:?}", MARKS.0))?;
    let (_, after) = rest
        .split_once(MARKS.1)
        .with_context(|| format!("the picture in {DOCUMENT} does not end: close it with ```"))?;
    ensure!(!screen.contains("```"), "the screen contains ```, which would end its block in {DOCUMENT}");
    fs::write(&path, format!("{before}{}{screen}{}{after}", MARKS.0, MARKS.1))
        .with_context(|| format!("cannot write {DOCUMENT}"))
}
