//! A row of the benchmark, and the rounds in which its sides are measured alternately.

use std::{
    cell::Cell,
    path::PathBuf,
    time::{Duration, Instant},
};

use futures_util::future::LocalBoxFuture;

use crate::{
    database::LazyNode,
    machine::Moment,
    note::note,
    results::{CpuResult, Figure, RowResult, number},
    run::Run,
    statistics::median,
};

/// A row: a few figures that are measured together.
pub(crate) trait Row {
    fn about(&self) -> About;

    /// Measures it.
    fn measure<'a>(&'a self, bench: &'a Bench) -> LocalBoxFuture<'a, Outcome>;
}

/// The text of a row.
#[derive(Debug)]
pub(crate) struct About {
    pub name: &'static str,
    pub title: &'static str,
    /// How it is measured.
    pub how: &'static str,
    /// The limit of the figure.
    pub limit: &'static str,
}

/// Everything that a row has measured.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub figures: Vec<Figure>,
    pub cpu: Vec<CpuResult>,
    pub settings: Vec<String>,
    pub rounds: usize,
    pub disturbed: Vec<String>,
    pub is_disturbed: bool,
}

/// The options of a run that rows need.
#[derive(Debug)]
pub(crate) struct Bench {
    /// The built service.
    pub hourlogd: PathBuf,
    /// The rounds that count, of each row.
    pub pairs: usize,
    pub is_quick: bool,
    pub database: LazyNode,
    fastest_loop: Cell<Duration>,
}

/// A side of a row: measures it once.
pub(crate) type Side<'a> = &'a dyn Fn() -> LocalBoxFuture<'a, Run>;

/// The rounds of a row.
#[derive(Debug)]
pub(crate) struct Rounds<const SIDES: usize> {
    pub runs: Vec<[Run; SIDES]>,
    /// The reasons of those that were thrown out.
    disturbed: Vec<String>,
    /// True if only disturbed rounds were left.
    is_disturbed: bool,
}

impl<const SIDES: usize> Rounds<SIDES> {
    /// Returns a value of each round.
    pub(crate) fn values<T>(&self, value: impl Fn(&[Run; SIDES]) -> T) -> Vec<T> {
        self.runs.iter().map(value).collect()
    }

    /// Returns the processor time of every process, by side.
    pub(crate) fn cpu(&self, names: [&str; SIDES]) -> Vec<CpuResult> {
        let of_side = |side: usize| {
            let first = self.runs.first().map_or(&[][..], |runs| &runs[side].cpu[..]);
            first.iter().map(move |(process, _)| CpuResult {
                side: names[side].to_owned(),
                process: (*process).to_owned(),
                micros_per_event: median(&self.values(|runs| runs[side].cpu_micros(process))),
            })
        };
        (0..SIDES).flat_map(of_side).collect()
    }

    /// Returns the outcome of a row with these figures.
    pub(crate) fn outcome(self, figures: Vec<Figure>, names: [&str; SIDES], settings: Vec<String>) -> Outcome {
        Outcome {
            figures,
            cpu: self.cpu(names),
            settings,
            rounds: self.runs.len(),
            disturbed: self.disturbed,
            is_disturbed: self.is_disturbed,
        }
    }
}

impl Outcome {
    /// Adds the figures of another part of the same row.
    pub(crate) fn with(mut self, other: Self) -> Self {
        self.figures.extend(other.figures);
        self.cpu.extend(other.cpu);
        self.settings.extend(other.settings);
        self.settings.sort();
        self.settings.dedup();
        self.rounds = self.rounds.min(other.rounds);
        self.disturbed.extend(other.disturbed);
        self.is_disturbed |= other.is_disturbed;
        self
    }
}

impl Bench {
    pub(crate) fn new(hourlogd: PathBuf, pairs: usize, is_quick: bool) -> Self {
        let (database, fastest_loop) = (LazyNode::default(), Cell::new(Duration::MAX));
        Self { hourlogd, pairs, is_quick, database, fastest_loop }
    }

    /// Returns a size that depends on the kind of run.
    pub(crate) fn size(&self, full: u64, quick: u64) -> u64 {
        if self.is_quick { quick } else { full }
    }

    /// Runs all `sides` in rounds, alternately in order and in reverse order.
    ///
    /// The first `warm_ups` are not counted. A disturbed round is measured again, as often as there are rounds.
    pub(crate) async fn alternate<'a, const SIDES: usize>(
        &self,
        warm_ups: usize,
        sides: [Side<'a>; SIDES],
    ) -> Rounds<SIDES> {
        let (mut runs, mut thrown_out, mut disturbed) = (Vec::new(), Vec::new(), Vec::new());
        let again_max = if self.is_quick { 1 } else { self.pairs };
        for round in 0..warm_ups + self.pairs + again_max {
            if runs.len() == self.pairs {
                break;
            }
            let before = Moment::now();
            let mut run = [const { None }; SIDES];
            for index in 0..SIDES {
                let side = if round % 2 == 0 { index } else { SIDES - 1 - index };
                run[side] = Some(sides[side]().await);
            }
            let run = run.map(|run| run.expect("every side was measured"));
            let mut fastest = self.fastest_loop.get();
            let disturbance = Moment::now().since(&before, &mut fastest).disturbance();
            self.fastest_loop.set(fastest);
            report_progress(round < warm_ups, &run, disturbance.as_deref());
            match disturbance {
                _ if round < warm_ups => {}
                None => runs.push(run),
                Some(reason) => {
                    disturbed.push(reason);
                    thrown_out.push(run);
                }
            }
        }
        let is_disturbed = runs.is_empty();
        if is_disturbed {
            runs = thrown_out;
        }
        Rounds { runs, disturbed, is_disturbed }
    }

    /// Measures a row.
    pub(crate) async fn measure(&self, row: &dyn Row) -> RowResult {
        let (about, begun) = (row.about(), Instant::now());
        note(&format!("== {}: {}", about.name, about.title));
        let outcome = row.measure(self).await;
        RowResult {
            name: about.name.to_owned(),
            title: about.title.to_owned(),
            how: about.how.to_owned(),
            limit: about.limit.to_owned(),
            settings: outcome.settings,
            figures: outcome.figures,
            cpu: outcome.cpu,
            rounds: outcome.rounds,
            disturbed: outcome.disturbed,
            is_disturbed: outcome.is_disturbed,
            seconds: begun.elapsed().as_secs_f64(),
        }
    }
}

/// Reports progress, because the measurements take minutes.
fn report_progress(is_warm_up: bool, runs: &[Run], disturbance: Option<&str>) {
    let side = |run: &Run| match run.p50_micros > 0.0 {
        true => format!("p50 {} p99 {} µs", number(run.p50_micros), number(run.p99_micros)),
        false => format!("{}/s", number(run.rate())),
    };
    let sides: Vec<String> = runs.iter().map(side).collect();
    let kind = if is_warm_up { "warm-up" } else { "round" };
    let thrown_out = disturbance.map_or_else(String::new, |reason| format!("; thrown out: {reason}"));
    note(&format!("   {kind}: {}{thrown_out}", sides.join(" | ")));
}
