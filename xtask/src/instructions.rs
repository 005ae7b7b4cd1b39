//! `cargo xtask instructions`: compares the instructions for each event with those that were accepted.
//!
//! Times differ from run to run on a shared machine. Instructions do not, so a change that costs processor time fails
//! here. The programs are those of the tests: unlike a release, they are built anyway.

use std::{collections::BTreeMap, env::consts::ARCH, fs, path::Path, process::Command};

use anyhow::{Context, Result, bail, ensure};

use crate::{print, process, tools, workspace::Workspace};

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Accept the present counts
    #[arg(long)]
    accept: bool,
}

/// The counts that were accepted, by processor architecture and work.
const FILE: &str = "conformance/instructions.json";
/// The greatest change that is not reported, in percent.
const TOLERANCE_PERCENT: u64 = 5;

/// A piece of work that is measured by running it this often, and more often.
struct Work {
    name: &'static str,
    title: &'static str,
    times: [u64; 2],
    /// The events of one time.
    events: u64,
}

/// The work of the program `instructions` in conformance.
const WORK: [Work; 2] = [
    Work { name: "ingest", title: "an event written to the embedded archive", times: [4, 16], events: 400 },
    Work { name: "page", title: "an event read in a page and encoded", times: [2, 10], events: 400 },
];

/// Instructions by architecture and work.
type Counts = BTreeMap<String, BTreeMap<String, u64>>;

/// Counts, and compares or accepts.
pub(crate) fn run(options: &Options) -> Result<()> {
    let workspace = Workspace::find()?;
    let valgrind = tools::valgrind()?;
    let program = workspace.build_for_instructions()?;
    let path = workspace.root.join(FILE);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {FILE}"))?;
    let mut counts: Counts = serde_json::from_str(&text).with_context(|| format!("{FILE} is not as expected"))?;
    let mut problems = Vec::new();
    for work in &WORK {
        let counted = work.count(&valgrind, &program)?;
        let accepted = counts.get(ARCH).and_then(|counts| counts.get(work.name)).copied();
        let change = accepted.map(|accepted| change(accepted, counted));
        let known = change.as_ref().map_or_else(|| "no count was accepted".to_owned(), Change::to_string);
        print::note(format_args!("{counted} instructions for {}: {known}", work.title));
        if change.is_none_or(|change| change.is_notable()) {
            problems.push(work.name);
        }
        counts.entry(ARCH.to_owned()).or_default().insert(work.name.to_owned(), counted);
    }
    if options.accept {
        fs::write(&path, format!("{}\n", serde_json::to_string_pretty(&counts)?))?;
        print::note(format_args!("accepted in {FILE}"));
        return Ok(());
    }
    ensure!(
        problems.is_empty(),
        "{} changed by more than {TOLERANCE_PERCENT} %: find out why, then run `cargo xtask instructions --accept`",
        problems.join(" and ")
    );
    Ok(())
}

impl Work {
    /// Returns the instructions of one event.
    fn count(&self, valgrind: &tools::Valgrind, program: &Path) -> Result<u64> {
        let [few, many] = self.times;
        let [of_few, of_many] =
            [callgrind(valgrind, program, self.name, few)?, callgrind(valgrind, program, self.name, many)?];
        Ok(of_many.saturating_sub(of_few) / ((many - few) * self.events))
    }
}

/// Returns the instructions of a run.
fn callgrind(valgrind: &tools::Valgrind, program: &Path, work: &str, times: u64) -> Result<u64> {
    let directory = tempfile::tempdir()?;
    let output = directory.path().join("callgrind.out");
    let mut run = Command::new(&valgrind.program);
    if let Some(library) = &valgrind.library {
        run.env("VALGRIND_LIB", library);
    }
    run.args(["--tool=callgrind", "--quiet", "--log-file=/dev/null"]);
    run.arg(format!("--callgrind-out-file={}", output.display()));
    process::run(run.arg(program).arg(work).arg(times.to_string()))?;
    total(&fs::read_to_string(&output).context("callgrind wrote no counts")?)
}

/// Finds the sum over all functions in the output of callgrind.
fn total(output: &str) -> Result<u64> {
    let line = output.lines().find_map(|line| line.strip_prefix("totals:").or_else(|| line.strip_prefix("summary:")));
    match line.and_then(|counts| counts.trim().parse().ok()) {
        Some(total) => Ok(total),
        None => bail!("callgrind wrote no total"),
    }
}

/// A change of a count.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Change {
    accepted: u64,
    counted: u64,
}

fn change(accepted: u64, counted: u64) -> Change {
    Change { accepted, counted }
}

impl Change {
    /// Returns true for more, which must be explained, and for less, which must not be lost again.
    fn is_notable(self) -> bool {
        let difference = self.counted.abs_diff(self.accepted);
        self.accepted == 0 || difference * 100 > self.accepted * TOLERANCE_PERCENT
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let percent = (self.counted as f64 / self.accepted as f64 - 1.0) * 100.0;
        match self.is_notable() {
            false => write!(f, "{percent:+.1} %"),
            true if percent < 0.0 => write!(f, "{percent:+.1} %, an improvement; accept the lower count"),
            true => write!(f, "{percent:+.1} %, more than {TOLERANCE_PERCENT} %"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_more_than_the_tolerance_is_notable_in_both_directions() {
        for (counted, notable) in [(1_000, false), (1_050, false), (1_051, true), (950, false), (949, true)] {
            assert_eq!(change(1_000, counted).is_notable(), notable, "{counted}");
        }
        assert!(change(0, 0).is_notable());
        assert!(change(1_000, 900).to_string().contains("improvement"));
    }

    #[test]
    fn the_total_is_found_in_the_output_of_callgrind() {
        assert_eq!(total("events: Ir\nfn=(1) main\n1 5\ntotals: 12345\n").expect("it has a total"), 12_345);
        assert_eq!(total("summary: 7\n").expect("it has a total"), 7);
        assert!(total("events: Ir\n").is_err());
    }
}
