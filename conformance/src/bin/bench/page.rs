//! The page in docs, made of the results.

use std::fmt::Write as _;

use crate::{
    results::{Figure, GrowthTable, Results, RowResult, bounds, number, quantity},
    statistics::{Surroundings, Verdict},
};

/// The figures of peers that are not run here.
const PEERS: &str = "\
## Peers

Measured once, with the same publisher on the same two processors, medians of two runs: 500,000 events of 256 random
bytes, 1,000 logs; ratios to JetStream's defaults in the same run. PostgreSQL, Redis and Kafka are not run by
`cargo xtask bench`. Kafka is from an earlier run. The lines of Hourlog are those of that day; the figures above are
newer.

| | publish until archived, 1,000 logs | one log | replay, one log | seek to a random time, p50 | one log of 1,000 | bytes an event on disk | server CPU an event, in / out | append, 128 under way |
|---|---|---|---|---|---|---|---|---|
| JetStream | 196 k/s | 234 k/s | 593 k/s | 0.36 ms (direct get 0.10) | 21.8 ms | 292 | 4.9 / 1.8 µs | 6.3 k/s (`sync_interval: always`) |
| PostgreSQL | 1.13× | 1.26× | 2.87× | 0.059 ms | 1.4 ms | 397 | 4.0 / 0.6 µs | |
| Redis Streams | 1.66× | 1.78× | 2.70× | 0.059 ms | 0.46 ms | 282 | 3.2 / 0.3 µs | |
| Kafka | 3.2× | 4.7× | 5.3× | 3.9 ms | 187 ms | 270 | | |
| Hourlog, embedded | 0.40× | 0.37× | 1.48× | 0.29 ms | 1.1 ms | 652 | 20.4 / 1.2 µs | 17.4 k/s |
| bare driver on Cassandra | 0.53× | 0.53× | 0.88× | 0.32 ms | 1.7 ms | 267 | 18 / 3.4 µs | |
| Hourlog on Cassandra | 0.15× | 0.14× | 0.27× | 1.5 ms | 5.5 ms | | 63 / 9.6 µs | |
";

/// Returns the page.
pub(crate) fn page(results: &Results) -> String {
    let mut text = intro(results);
    text.push_str("## Figures\n\n| row | figure | measured | against | target | |\n|---|---|---|---|---|---|\n");
    for row in &results.rows {
        for figure in &row.figures {
            text.push_str(&figure_line(row, figure));
        }
    }
    text.push_str("\n## Rows\n");
    for row in &results.rows {
        text.push_str(&section(row));
    }
    let _ = write!(text, "\n{PEERS}");
    if !results.growth.is_empty() {
        text.push_str("\n## Growth\n\nMade by `cargo xtask bench growth`. Each line is one measurement.\n");
        for table in &results.growth {
            let _ = write!(text, "\n{}", growth_table(table));
        }
    }
    text
}

fn intro(results: &Results) -> String {
    let Results { is_quick, pairs, machine, servers, .. } = results;
    let kind = if *is_quick { "the quick run, whose figures are rougher" } else { "the full run" };
    let mut text = format!(
        "# Performance\n\n`cargo xtask bench` writes this page (`cargo xtask bench --json docs/performance.json --page \
         docs/performance.md`). Do not edit it.\n\nEach row is measured end to end: a nats-server process, an hourlogd \
         process and a client process, which share the machine. Baseline and candidate take turns in one run, {pairs} \
         rounds. A ratio is the median of the ratios of the rounds; the range in brackets is that of the rounds.\n\
         {}\n\n| | |\n|---|---|\n| processors | {} × {} |\n| memory | {} GiB |\n| kernel | {} |\n\
         | a write of 4 KiB with a sync | {} µs |\n| servers | {} |\n| kind of run | {kind} |\n\n",
        Surroundings::rule(),
        machine.processors,
        machine.processor,
        machine.memory_gib,
        machine.kernel,
        machine.sync_micros,
        servers.join(", "),
    );
    let below: Vec<String> = results.rows.iter().flat_map(RowResult::failures).collect();
    if !below.is_empty() {
        text.push_str("Below the first bound:\n\n");
        for failure in below {
            let _ = writeln!(text, "- {failure}");
        }
        text.push('\n');
    }
    text
}

fn figure_line(row: &RowResult, figure: &Figure) -> String {
    let range = match figure.range {
        [least, greatest] if least < greatest => format!(" ({}–{})", number(least), number(greatest)),
        _ => String::new(),
    };
    let against = figure.ratio_of.as_ref().map_or_else(String::new, |of| {
        format!("{} against {} of {}", number(of.candidate), quantity(of.baseline, &of.unit), of.against)
    });
    let target = figure.target.as_ref().map_or_else(String::new, |target| bounds(target, &figure.unit));
    let verdict = match figure.verdict() {
        None => "",
        Some(_) if row.is_disturbed => "disturbed",
        Some(Verdict::Aim) => "aim",
        Some(Verdict::First) => "first",
        Some(Verdict::Below) => "**below**",
    };
    format!(
        "| [{0}](#{0}) | {1} | {2}{range} | {against} | {target} | {verdict} |\n",
        row.name,
        figure.name,
        quantity(figure.value, &figure.unit)
    )
}

fn section(row: &RowResult) -> String {
    let mut text =
        format!("\n### {}\n\n{}.\n\n{}\n\nLimited by: {}\n", row.name, capital(&row.title), row.how, row.limit);
    if !row.settings.is_empty() {
        let _ = writeln!(text, "\nSettings: {}.", row.settings.join("; "));
    }
    if !row.cpu.is_empty() {
        text.push_str("\n| processor time, µs an event | process | |\n|---|---|---|\n");
        for cpu in &row.cpu {
            let _ = writeln!(text, "| {} | {} | {} |", cpu.side, cpu.process, number(cpu.micros_per_event));
        }
    }
    if row.is_disturbed {
        text.push_str("\nEvery round was disturbed: these figures say little.\n");
    } else if !row.disturbed.is_empty() {
        let _ = writeln!(text, "\n{} rounds count, {} were thrown out.", row.rounds, row.disturbed.len());
    }
    text
}

/// Returns a table of the growth mode.
pub(crate) fn growth_table(table: &GrowthTable) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule = format!("|{}\n", "---|".repeat(table.columns.len()));
    let lines: String = table.lines.iter().map(|cells| line(cells)).collect();
    format!("### {}\n\n{}\n\n{}{rule}{lines}", capital(&table.title), table.how, line(&table.columns))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = include_str!("../../../../docs/performance.json");
    const PAGE: &str = include_str!("../../../../docs/performance.md");

    #[test]
    fn the_page_in_docs_is_made_of_the_results_beside_it() {
        let results: Results = serde_json::from_str(JSON).expect("docs/performance.json holds results");
        let made = page(&results);
        let differs = made.lines().zip(PAGE.lines()).find(|(made, present)| made != present);
        let advice = "run `cargo xtask bench page --json docs/performance.json --page docs/performance.md`";
        assert_eq!(differs, None, "docs/performance.md is not made of docs/performance.json: {advice}");
        assert_eq!(made.len(), PAGE.len(), "{advice}");
    }

    #[test]
    fn a_table_of_growth_has_a_line_for_each_size() {
        let texts = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let table = GrowthTable {
            name: "logs".to_owned(),
            title: "more logs".to_owned(),
            how: "How.".to_owned(),
            columns: texts(&["logs", "rate"]),
            lines: vec![texts(&["10", "5"]), texts(&["100", "4"])],
        };
        assert_eq!(
            growth_table(&table),
            "### More logs\n\nHow.\n\n| logs | rate |\n|---|---|\n| 10 | 5 |\n| 100 | 4 |\n"
        );
    }
}
