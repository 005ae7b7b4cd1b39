//! Tables and histograms of the demo, as text. Pure: made from the output of the command line.

use std::{collections::BTreeMap, fmt};

use anyhow::{Context, Result};
use serde_json::Value;

/// Length of the longest bar of the histogram.
const BAR_CHARACTERS_MAX: usize = 40;

/// One row of `hourlog ls`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogRow {
    /// Id of the log.
    pub log: String,
    /// Number of events in the log.
    pub events: u64,
    first: String,
    last: String,
}

/// One earthquake of `hourlog read`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Quake {
    /// Log that the earthquake was read from.
    pub log: String,
    /// Time of the earthquake, RFC 3339.
    pub time: String,
    magnitude: Option<f64>,
    place: String,
    depth_km: Option<f64>,
}

/// Parses the output of `hourlog ls -o ndjson`.
pub(crate) fn log_rows(ndjson: &str) -> Result<Vec<LogRow>> {
    let row = |value: Value| {
        let text =
            |name: &str| value[name].as_str().map(str::to_owned).with_context(|| format!("no {name} in {value}"));
        let events = value["events"].as_u64().with_context(|| format!("no number of events in {value}"))?;
        Ok(LogRow { log: text("log")?, events, first: text("first")?, last: text("last")? })
    };
    values(ndjson)?.into_iter().map(row).collect()
}

/// Parses the output of `hourlog read -o ndjson`.
pub(crate) fn quakes(ndjson: &str) -> Result<Vec<Quake>> {
    let quake = |event: Value| {
        let text = |name: &str| event[name].as_str().with_context(|| format!("no {name} in {event}"));
        let data: Value =
            serde_json::from_str(text("data")?).with_context(|| format!("invalid earthquake in {event}"))?;
        Ok(Quake {
            log: text("log")?.to_owned(),
            time: text("time")?.to_owned(),
            magnitude: data["mag"].as_f64(),
            place: data["place"].as_str().unwrap_or("an unknown place").to_owned(),
            depth_km: data["depth_km"].as_f64(),
        })
    };
    values(ndjson)?.into_iter().map(quake).collect()
}

fn values(ndjson: &str) -> Result<Vec<Value>> {
    let value = |line| serde_json::from_str(line).with_context(|| format!("invalid JSON: {line}"));
    ndjson.lines().map(value).collect()
}

/// Formats one row for each log, and the sum.
pub(crate) fn log_table(rows: &[LogRow]) -> String {
    let total: u64 = rows.iter().map(|row| row.events).sum();
    let widest = rows.iter().map(|row| row.log.len()).max().unwrap_or(0).max("00 logs".len());
    let mut lines = vec![format!("{:widest$}  events  {:24}  last", "log", "first")];
    lines.extend(
        rows.iter().map(|row| format!("{:widest$}  {:>6}  {:24}  {}", row.log, row.events, row.first, row.last)),
    );
    lines.push(format!("{:widest$}  {total:>6}", format!("{} logs", rows.len())));
    lines.join("\n")
}

/// Formats the count of each day (UTC), with a bar.
pub(crate) fn histogram(quakes: &[Quake]) -> String {
    let mut days: BTreeMap<&str, usize> = BTreeMap::new();
    for quake in quakes {
        let day = quake.time.split_once('T').map_or(quake.time.as_str(), |(day, _)| day);
        *days.entry(day).or_default() += 1;
    }
    let most = days.values().copied().max().unwrap_or(0);
    let lines = days.iter().map(|(day, count)| {
        let bar = "█".repeat((count * BAR_CHARACTERS_MAX).div_ceil(most.max(1)));
        format!("{day}  {count:>5}  {bar}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the earthquake with the greatest magnitude, if any has one.
pub(crate) fn strongest(quakes: &[Quake]) -> Option<&Quake> {
    let known = quakes.iter().filter_map(|quake| quake.magnitude.map(|magnitude| (magnitude, quake)));
    known.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, quake)| quake)
}

impl fmt::Display for Quake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(magnitude) = self.magnitude {
            write!(f, "magnitude {magnitude}, ")?;
        }
        write!(f, "{}, ", self.place)?;
        if let Some(depth_km) = self.depth_km {
            write!(f, "{depth_km} km deep, ")?;
        }
        f.write_str(&self.time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: &str = r#"{"log":"quakes.us","time":"2018-02-06T15:50:43.21Z","data":"{\"mag\":6.4,\"place\":\"Hualian, Taiwan\",\"depth_km\":17}"}
{"log":"quakes.ak","time":"2018-02-06T23:59:59.999Z","data":"{\"mag\":null,\"place\":null,\"depth_km\":null}"}
{"log":"quakes.ak","time":"2018-02-07T00:00:00Z","data":"{\"mag\":-0.3,\"place\":\"Alaska\",\"depth_km\":1.5}"}"#;

    #[test]
    fn the_strongest_earthquake_ignores_those_without_a_magnitude() {
        let quakes = quakes(EVENTS).expect("earthquakes");
        let strongest = strongest(&quakes).expect("there is one");
        assert_eq!(strongest.to_string(), "magnitude 6.4, Hualian, Taiwan, 17 km deep, 2018-02-06T15:50:43.21Z");
        assert_eq!(quakes[1].to_string(), "an unknown place, 2018-02-06T23:59:59.999Z");
        assert_eq!(super::strongest(&quakes[1..2]), None);
    }

    #[test]
    fn each_day_has_its_count_and_a_proportional_bar() {
        let text = histogram(&quakes(EVENTS).expect("earthquakes"));
        let bars = ["█".repeat(40), "█".repeat(20)];
        assert_eq!(text, format!("2018-02-06      2  {}\n2018-02-07      1  {}", bars[0], bars[1]));
    }

    #[test]
    fn the_table_ends_with_the_sum() {
        let rows = log_rows(
            "{\"log\":\"quakes.ak\",\"events\":12,\"bytes\":1,\"first\":\"a\",\"last\":\"b\",\"rate\":0.0}\n\
             {\"log\":\"quakes.us\",\"events\":5,\"bytes\":1,\"first\":\"a\",\"last\":\"b\",\"rate\":0.0}\n",
        );
        let table = log_table(&rows.expect("two rows"));
        assert_eq!(table.lines().last(), Some("2 logs         17"));
        assert!(log_rows("{\"log\":\"quakes.ak\"}").is_err());
        assert!(quakes("no JSON").is_err());
    }
}
