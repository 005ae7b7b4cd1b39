//! `cargo xtask screens`: updates the pictures of the console in its documentation, drawn by the
//! console itself.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};

use crate::{demo, print, process, servers::Archive, workspace::Workspace};

/// A moment of a recorded session, and the pictures that are made of its screen.
struct Picture {
    /// The keys to press.
    tape: &'static str,
    /// The time of the picture; without it, the end of the tape.
    at: Option<Duration>,
    /// The file of the picture with colours.
    svg: &'static str,
    /// The document that has the screen as text.
    document: &'static str,
    /// The text before it there.
    begin: &'static str,
}

const PICTURES: [Picture; 4] = [
    Picture {
        tape: "examples/demo.tape",
        at: Some(Duration::from_millis(5_900)),
        svg: "docs/logs.svg",
        document: "docs/console.md",
        begin: "<!-- the logs, by `cargo xtask screens` -->\n```text\n",
    },
    Picture {
        tape: "examples/console.tape",
        at: None,
        svg: "docs/console.svg",
        document: "docs/console.md",
        begin: "<!-- a log, by `cargo xtask screens` -->\n```text\n",
    },
    Picture {
        tape: "examples/demo.tape",
        at: Some(Duration::from_millis(20_200)),
        svg: "docs/lanes.svg",
        document: "docs/console.md",
        begin: "<!-- lanes, by `cargo xtask screens` -->\n```text\n",
    },
    Picture {
        tape: "examples/service.tape",
        at: None,
        svg: "docs/service.svg",
        document: "docs/console.md",
        begin: "<!-- the service, by `cargo xtask screens` -->\n```text\n",
    },
];
/// The address in the pictures.
const USUAL_URL: &str = "nats://127.0.0.1:4222";
/// Text after a screen.
const END: &str = "```\n";

/// Starts the servers with the earthquakes, plays the tapes in the console, and writes the screens to
/// the documentation.
pub(crate) fn run() -> Result<()> {
    let workspace = Workspace::find()?;
    let programs = workspace.build_programs()?;
    let servers = demo::start(&workspace, &programs, &Archive::default())?;
    // The port differs in each run, so the console shows the name of a context.
    let settings = tempfile::tempdir().context("cannot make a directory for the context")?;
    let contexts = settings.path().join("nats/context");
    fs::create_dir_all(&contexts).context("cannot make a directory for the context")?;
    let context = format!(r#"{{"url":"{}"}}"#, servers.url);
    fs::write(contexts.join("demo.json"), context).context("cannot write the context")?;
    for picture in PICTURES {
        let tape = settings.path().join("picture.tape");
        fs::write(&tape, lines_until(&workspace.root.join(picture.tape), picture.at)?)
            .context("cannot write the tape of a picture")?;
        let tape = tape.to_string_lossy().into_owned();
        let drawn = |form: &str| -> Result<String> {
            let mut command = Command::new(&programs.hourlog);
            command.args(["--context", "demo", "--tz", "UTC", "--replay", &tape, "--print", form]);
            command.env("XDG_CONFIG_HOME", settings.path()).env_remove("NATS_URL").env("LC_ALL", "C.UTF-8");
            // A port of the same width for all.
            let (own, usual) = (format!("{})", servers.url), format!("{USUAL_URL})"));
            let shown = format!("{usual:width$}", width = own.len());
            Ok(process::output(&mut command)?.replace(&own, &shown))
        };
        let screen = drawn("text")?;
        print::result(&screen);
        replace(&workspace.root.join(picture.document), picture.begin, &screen)?;
        let svg = workspace.root.join(picture.svg);
        fs::write(&svg, drawn("svg")?).with_context(|| format!("cannot write {}", picture.svg))?;
    }
    servers.stop()
}

/// Returns the lines of a tape up to a moment, at which the size is set again, so that the console is there until then.
fn lines_until(tape: &Path, at: Option<Duration>) -> Result<String> {
    let lines = fs::read_to_string(tape).with_context(|| format!("cannot read {}", tape.display()))?;
    let Some(at) = at.map(|at| at.as_millis()) else { return Ok(lines) };
    let is_before = |line: &&str| {
        let millis = line.split(' ').next().and_then(|millis| millis.parse::<u128>().ok());
        millis.is_some_and(|millis| millis <= at)
    };
    let size = lines.lines().find_map(|line| line.split_once(" resize ")).map(|(_, size)| size);
    let size = size.with_context(|| format!("{} does not set the size of the screen", tape.display()))?;
    let before: Vec<&str> = lines.lines().filter(is_before).collect();
    Ok(format!("{}\n{at} resize {size}\n", before.join("\n")))
}

/// Replaces a screen in a document.
fn replace(path: &Path, begin: &str, screen: &str) -> Result<()> {
    let name = path.display();
    ensure!(!screen.contains("```"), "the screen contains ```, which would end its block in {name}");
    let document = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    let (before, rest) = document
        .split_once(begin)
        .with_context(|| format!("no picture to replace in {name}: add one that starts with {begin:?}"))?;
    let (_, after) =
        rest.split_once(END).with_context(|| format!("the picture in {name} does not end: close it with ```"))?;
    fs::write(path, format!("{before}{begin}{screen}{END}{after}")).with_context(|| format!("cannot write {name}"))
}
