//! The results of a run, as they are written to a file and read from it.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use crate::{
    machine::Machine,
    statistics::{Better, Target, Verdict, median, range, ratios},
};

/// Everything that a run has measured, or several runs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    /// True if the last run was a quick one.
    pub is_quick: bool,
    /// The rounds that were wanted for each row.
    pub pairs: usize,
    pub machine: Machine,
    /// The versions of the servers.
    pub servers: Vec<String>,
    pub rows: Vec<RowResult>,
    /// The tables of the growth mode.
    pub growth: Vec<GrowthTable>,
}

impl Results {
    /// Adds what was measured on `machine`, or replaces the older results. On another machine than the other results,
    /// each says so.
    pub(crate) fn put(&mut self, machine: Machine, rows: &[RowResult], growth: &[GrowthTable]) {
        let is_all = self.rows.iter().all(|present| rows.iter().any(|row| row.name == present.name))
            && self.growth.iter().all(|present| growth.iter().any(|table| table.name == present.name));
        let (mut rows, mut growth) = (rows.to_vec(), growth.to_vec());
        if is_all || machine.is_like(&self.machine) {
            self.machine = machine;
        } else {
            let elsewhere = format!("measured on another machine than the rest: {machine}");
            rows.iter_mut().for_each(|row| row.settings.push(elsewhere.clone()));
            growth.iter_mut().for_each(|table| table.how = format!("{} {elsewhere}.", table.how));
        }
        rows.into_iter().for_each(|row| self.put_row(row));
        growth.into_iter().for_each(|table| self.put_table(table));
    }

    fn put_row(&mut self, row: RowResult) {
        match self.rows.iter_mut().find(|present| present.name == row.name) {
            Some(present) => *present = row,
            None => self.rows.push(row),
        }
    }

    fn put_table(&mut self, table: GrowthTable) {
        match self.growth.iter_mut().find(|present| present.name == table.name) {
            Some(present) => *present = table,
            None => self.growth.push(table),
        }
    }
}

/// The result of one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RowResult {
    pub name: String,
    pub title: String,
    /// How it was measured.
    pub how: String,
    /// The limit of the figure.
    pub limit: String,
    /// The settings of the baselines and of the service.
    pub settings: Vec<String>,
    pub figures: Vec<Figure>,
    /// Processor time by process.
    pub cpu: Vec<CpuResult>,
    /// The rounds that count.
    pub rounds: usize,
    /// The reasons of the rounds that were thrown out.
    pub disturbed: Vec<String>,
    /// True if only disturbed rounds were left, which are then shown.
    pub is_disturbed: bool,
    pub seconds: f64,
}

/// One number, with its target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub name: String,
    /// Its unit; `×` for a ratio.
    pub unit: String,
    pub value: f64,
    /// The smallest and the greatest value of the rounds.
    pub range: [f64; 2],
    pub target: Option<Target>,
    /// The two numbers behind a ratio.
    pub ratio_of: Option<RatioOf>,
}

/// The numbers behind a ratio: medians, in one unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RatioOf {
    pub candidate: f64,
    pub baseline: f64,
    pub unit: String,
    /// The name of the baseline.
    pub against: String,
}

/// The processor time of one process on one side of a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CpuResult {
    pub side: String,
    pub process: String,
    pub micros_per_event: f64,
}

/// A table of the growth mode: one line for each size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct GrowthTable {
    pub name: String,
    pub title: String,
    pub how: String,
    pub columns: Vec<String>,
    pub lines: Vec<Vec<String>>,
}

impl Figure {
    /// A ratio of pairs of candidate and baseline, each in `unit`.
    pub(crate) fn ratio(name: &str, against: &str, unit: &str, pairs: &[(f64, f64)], target: Target) -> Self {
        let ratios = ratios(pairs);
        let [candidates, baselines]: [Vec<f64>; 2] =
            [pairs.iter().map(|pair| pair.0).collect(), pairs.iter().map(|pair| pair.1).collect()];
        let ratio_of = RatioOf {
            candidate: median(&candidates),
            baseline: median(&baselines),
            unit: unit.to_owned(),
            against: against.to_owned(),
        };
        Self { ratio_of: Some(ratio_of), ..Self::plain(name, "×", &ratios) }.with_target(target)
    }

    /// A number without a target.
    pub(crate) fn plain(name: &str, unit: &str, values: &[f64]) -> Self {
        let (value, range) = (median(values), range(values));
        Self { name: name.to_owned(), unit: unit.to_owned(), value, range, target: None, ratio_of: None }
    }

    pub(crate) fn with_target(self, target: Target) -> Self {
        Self { target: Some(target), ..self }
    }

    /// The same figure without its target: it was measured in another size than the target is for.
    pub(crate) fn without_target(self) -> Self {
        Self { target: None, ..self }
    }

    /// Returns how it compares with its target, if it has one.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        self.target.map(|target| target.verdict(self.value))
    }
}

impl RowResult {
    /// Returns the reasons why the row does not pass.
    pub(crate) fn failures(&self) -> Vec<String> {
        if self.is_disturbed {
            return vec![format!("{}: the machine was busy in every round", self.name)];
        }
        let below = self.figures.iter().filter(|figure| figure.verdict() == Some(Verdict::Below));
        below.map(|figure| format!("{}: {figure}", self.name)).collect()
    }
}

/// Returns a number with three digits.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        huge if huge >= 9_995.0 => thousands(value.round()),
        large if large >= 99.95 => format!("{value:.0}"),
        middle if middle >= 9.995 => format!("{value:.1}"),
        small if small >= 0.0995 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a number with its unit.
pub(crate) fn quantity(value: f64, unit: &str) -> String {
    match unit {
        "×" => format!("{}×", number(value)),
        "" => number(value),
        _ => format!("{} {unit}", number(value)),
    }
}

/// Returns the bounds of a target, such as `≥ 2.2×, aim 4×`.
pub(crate) fn bounds(target: &Target, unit: &str) -> String {
    let sign = if target.better == Better::More { '≥' } else { '≤' };
    format!("{sign} {}, aim {}", quantity(target.first, unit), quantity(target.aim, unit))
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, quantity(self.value, &self.unit))?;
        if self.range[0] < self.range[1] {
            write!(f, " ({}–{})", number(self.range[0]), number(self.range[1]))?;
        }
        if let Some(RatioOf { candidate, baseline, unit, against }) = &self.ratio_of {
            write!(f, ", {} against {} of {against}", quantity(*candidate, unit), quantity(*baseline, unit))?;
        }
        if let (Some(target), Some(verdict)) = (&self.target, self.verdict()) {
            let verdict = match verdict {
                Verdict::Aim => "aim reached",
                Verdict::First => "passed",
                Verdict::Below => "BELOW",
            };
            write!(f, "; {verdict} ({})", bounds(target, &self.unit))?;
        }
        Ok(())
    }
}

impl fmt::Display for RowResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} ({} rounds, {:.0} s)", self.name, self.title, self.rounds, self.seconds)?;
        for reason in &self.disturbed {
            writeln!(f, "  thrown out: {reason}")?;
        }
        if self.is_disturbed {
            writeln!(f, "  every round was disturbed, and they are shown all the same")?;
        }
        for figure in &self.figures {
            writeln!(f, "  {figure}")?;
        }
        if !self.cpu.is_empty() {
            let mut text = String::new();
            for cpu in &self.cpu {
                let _ = write!(text, "; {}, {} {}", cpu.side, cpu.process, number(cpu.micros_per_event));
            }
            writeln!(f, "  CPU in µs an event{}", text.replacen(';', ":", 1))?;
        }
        for setting in &self.settings {
            writeln!(f, "  setting: {setting}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str) -> RowResult {
        RowResult {
            name: name.to_owned(),
            title: String::new(),
            how: String::new(),
            limit: String::new(),
            settings: Vec::new(),
            figures: Vec::new(),
            cpu: Vec::new(),
            rounds: 1,
            disturbed: Vec::new(),
            is_disturbed: false,
            seconds: 1.0,
        }
    }

    #[test]
    fn a_row_that_was_measured_on_another_machine_says_so() {
        let machine = |processor: &str| Machine { processor: processor.to_owned(), ..Machine::default() };
        let mut results = Results::default();
        results.put(machine("A"), &[row("one"), row("two")], &[]);
        results.put(machine("B"), &[row("two")], &[]);
        assert_eq!(results.machine, machine("A"));
        let other = |row: &RowResult| row.settings.iter().any(|setting| setting.contains("another machine"));
        assert_eq!(results.rows.iter().map(other).collect::<Vec<_>>(), [false, true]);
        results.put(machine("B"), &[row("one"), row("two")], &[]);
        assert_eq!(results.machine, machine("B"));
        assert!(!results.rows.iter().any(other));
    }

    #[test]
    fn a_figure_says_what_it_was_compared_with() {
        let pairs = [(10.0, 5.0), (12.0, 4.0), (9.0, 9.0)];
        let figure = Figure::ratio("p50", "a bare request", "µs", &pairs, Target::at_most(1.6, 1.25));
        assert_eq!(
            figure.to_string(),
            "p50 2.00× (1.00–3.00), 10.0 µs against 5.00 µs of a bare request; BELOW (≤ 1.60×, aim 1.25×)"
        );
        assert_eq!(figure.verdict(), Some(Verdict::Below));
    }

    #[test]
    fn a_number_has_three_digits() {
        let texts = [0.0, 0.012, 0.5, 1.5, 12.34, 123.4, 1234.0, 12_345.0, 1_234_567.0].map(number);
        assert_eq!(texts, ["0", "0.012", "0.50", "1.50", "12.3", "123", "1234", "12,345", "1,234,567"]);
    }
}
