//! The columns that tell most about a sample of events.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use super::{
    Choice, Column, FLEXIBLE_WIDTH_MIN, comfortable_width,
    fields::{decimals, fields, is_number},
    fitting, ids, missing_decimals, width, words,
};

/// Limit of the events to look at. More do not change the choice.
const SAMPLES_MAX: usize = 200;
/// Limit of the paths to look at. Logs with more have data in the names of their fields.
const PATHS_MAX: usize = 1_024;
/// Share of the events that must have a field to give it a column.
const PRESENCE_PERCENT_MIN: usize = 60;
/// Factor of the score for well-known names.
const KNOWN_FACTOR: f64 = 3.0;
/// Width of the longest texts that are short. Longer texts stand at the end.
const SHORT_WIDTH_MAX: usize = 24;
/// Width of the longest texts that are read at a glance.
const MEDIUM_WIDTH_MAX: usize = 40;
/// Limit of the width of a column. Longer texts are never shown whole.
const WIDTH_MAX: usize = 256;
/// Limit of the width of a column of numbers.
const NUMBER_WIDTH_MAX: usize = 16;
/// Decimals from which a number is finer than anyone reads it, as in coordinates.
const FINE_DECIMALS: usize = 4;
/// Limit of the decimals that are counted.
const DECIMALS_MAX: usize = 20;

/// The texts of a field in all events.
#[derive(Debug)]
struct Tally<'a> {
    path: Cow<'a, str>,
    /// One text for each event that has the field.
    texts: Vec<Cow<'a, str>>,
    /// Number of texts that are numbers.
    numbers: usize,
    /// Number of the last event with the field.
    last_event: usize,
    /// Sum of the field's places in the events.
    places: usize,
}

/// Chooses the columns for rows that are `room` wide, from the first 200 events.
///
/// The score of a column is high if most events have it, its values differ, it is narrow, and its
/// name is well known. Ids, addresses and times are never chosen.
pub(crate) fn choose<'a>(samples: impl IntoIterator<Item = &'a [u8]>, room: usize) -> Choice {
    let (tallies, events) = tally(samples);
    let mut names: HashMap<&str, usize> = HashMap::new();
    for tally in &tallies {
        *names.entry(words::last_segment(&tally.path)).or_default() += 1;
    }
    let (mut columns, mut scores, mut constant) = (Vec::new(), Vec::new(), Vec::new());
    for tally in &tallies {
        let texts: Vec<&str> = tally.texts.iter().map(|text| &**text).collect();
        let distinct = texts.iter().collect::<HashSet<_>>().len();
        // A single event does not tell what stays the same.
        if distinct == 1 && texts.len() == events && events > 1 {
            constant.push((tally.path.to_string(), texts[0].to_owned()));
            continue;
        }
        let segment = words::last_segment(&tally.path);
        let name = if names[segment] == 1 { segment } else { &tally.path };
        let column = column(tally, name, &texts, distinct, events);
        let is_frequent = texts.len() * 100 >= events * PRESENCE_PERCENT_MIN;
        if is_frequent && (distinct > 1 || events == 1) && !ids::are_unreadable(&tally.path, &texts, distinct) {
            scores.push((columns.len(), score(&column)));
        }
        columns.push(Some(column));
    }
    scores.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let ranked: Vec<(usize, &Column)> =
        scores.iter().filter_map(|(index, _)| Some((*index, columns[*index].as_ref()?))).collect();
    let picked = pick(&ranked, room);
    let mut chosen: Vec<Column> = picked.iter().filter_map(|index| columns[*index].take()).collect();
    if let Some(last) = chosen.last_mut() {
        last.is_flexible = can_be_flexible(last);
    }
    Choice { chosen, others: columns.into_iter().flatten().collect(), constant }
}

/// Returns the texts of all fields, in the order of the data, and the number of events.
fn tally<'a>(samples: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Tally<'a>>, usize) {
    let mut tallies: Vec<Tally<'a>> = Vec::new();
    let mut indexes: HashMap<Cow<'a, str>, usize> = HashMap::new();
    let mut events = 0;
    for data in samples.into_iter().take(SAMPLES_MAX) {
        events += 1;
        // The last of doubled fields counts, as in `find`.
        for (place, field) in fields(data).into_iter().enumerate().rev() {
            // An empty text is nothing to show.
            if field.text.is_empty() {
                continue;
            }
            let index = match indexes.get(&*field.path) {
                Some(index) => *index,
                None if tallies.len() == PATHS_MAX => continue,
                None => {
                    let path = field.path;
                    indexes.insert(path.clone(), tallies.len());
                    tallies.push(Tally { path, texts: Vec::new(), numbers: 0, last_event: 0, places: 0 });
                    tallies.len() - 1
                }
            };
            let tally = &mut tallies[index];
            if tally.last_event < events {
                tally.last_event = events;
                tally.places += place;
                tally.numbers += usize::from(field.is_number);
                tally.texts.push(field.text);
            }
        }
    }
    // Events need not have the same fields, so the order is that of the mean places.
    let place = |tally: &Tally<'_>| tally.places as f64 / tally.texts.len() as f64;
    tallies.sort_by(|one, other| place(one).total_cmp(&place(other)));
    (tallies, events)
}

/// Returns the column for the texts of a field. `distinct` of them are different.
fn column(tally: &Tally<'_>, name: &str, texts: &[&str], distinct: usize, events: usize) -> Column {
    let is_number_column = ids::is_nearly_all(tally.numbers, texts.len());
    let decimals = if is_number_column { most_frequent_decimals(texts) } else { 0 };
    let shown_width = |text: &str| {
        let blanks = if is_number_column { missing_decimals(text, decimals) } else { 0 };
        width(fitting(text, WIDTH_MAX).0) + blanks
    };
    let mut widths: Vec<usize> = texts.iter().map(|text| shown_width(text)).collect();
    widths.sort_unstable();
    let ninth_tenth = match is_number_column {
        // A number that is cut says nothing.
        true => widths[widths.len() - 1].min(NUMBER_WIDTH_MAX),
        false => widths[(widths.len() * 9).div_ceil(10) - 1],
    };

    let mut numbers: Vec<(f64, &str)> = Vec::new();
    if is_number_column {
        let written = texts.iter().filter(|text| is_number(text));
        numbers.extend(written.filter_map(|text| Some((text.parse().ok()?, *text))));
        numbers.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    }
    Column {
        path: tally.path.to_string(),
        name: name.to_owned(),
        is_number: is_number_column,
        width: ninth_tenth.max(width(name)),
        decimals,
        is_flexible: false,
        presence_percent: u8::try_from(texts.len() * 100 / events).unwrap_or(100),
        distinct,
        least: numbers.first().map(|(_, text)| (*text).to_owned()),
        most: numbers.last().map(|(_, text)| (*text).to_owned()),
    }
}

fn most_frequent_decimals(texts: &[&str]) -> usize {
    let mut counts = [0_usize; DECIMALS_MAX + 1];
    for decimals in texts.iter().filter_map(|text| decimals(text)) {
        counts[decimals.min(DECIMALS_MAX)] += 1;
    }
    counts.iter().enumerate().max_by_key(|(_, count)| **count).map_or(0, |(decimals, _)| decimals)
}

fn score(column: &Column) -> f64 {
    let presence = f64::from(column.presence_percent) / 100.0;
    let fit = if column.width > MEDIUM_WIDTH_MAX {
        0.2
    } else if column.width > SHORT_WIDTH_MAX || column.decimals >= FINE_DECIMALS {
        0.5
    } else {
        1.0
    };
    let factor = if words::is_known(&column.path) { KNOWN_FACTOR } else { 1.0 };
    presence * (column.distinct as f64).ln_1p() * fit * factor
}

/// Returns the indexes of the columns that fit, in the order to show them. `ranked` has the best
/// one first.
fn pick(ranked: &[(usize, &Column)], room: usize) -> Vec<usize> {
    // The last column takes the room that the others leave, so it is known first.
    let long_texts =
        || ranked.iter().filter(|(_, column)| can_be_flexible(column) && column.width > FLEXIBLE_WIDTH_MIN);
    let message = long_texts().find(|(_, column)| words::is_message(&column.path));
    let flexible = message.or_else(|| long_texts().next()).filter(|_| room >= FLEXIBLE_WIDTH_MIN);
    let flexible_width = flexible.map_or(0, |(_, column)| column.width);

    let mut picked: Vec<(usize, &Column)> = flexible.into_iter().copied().collect();
    let mut taken = 0;
    // Short columns with a well-known name may make the table dense. The others take what is left.
    let is_dense = |column: &Column| words::is_known(&column.path) && column.width <= SHORT_WIDTH_MAX;
    for (may_be_dense, gap, kept) in [(true, 1, FLEXIBLE_WIDTH_MIN), (false, 2, comfortable_width(room))] {
        for (index, column) in ranked.iter().filter(|(_, column)| is_dense(column) == may_be_dense) {
            let is_flexible = flexible.is_some_and(|(last, _)| last == index);
            let needed = taken + column.width + gap * picked.len() + flexible_width.min(kept);
            if !is_flexible && needed <= room {
                taken += column.width;
                picked.push((*index, column));
            }
        }
    }
    let texts = || picked.iter().filter(|(_, column)| can_be_flexible(column));
    // With no room for anything, the best text is shown as far as it goes.
    let only = || ranked.iter().filter(|_| picked.is_empty()).find(|(_, column)| can_be_flexible(column));
    let last = flexible
        .or_else(|| texts().max_by_key(|(_, column)| (words::is_message(&column.path), column.width)))
        .or_else(only)
        .copied();
    let mut order: Vec<(usize, usize)> = picked.iter().map(|(index, column)| (rank(column), *index)).collect();
    order.sort_unstable();
    let before = order.into_iter().map(|(_, index)| index).filter(|index| last.is_none_or(|(last, _)| last != *index));
    before.chain(last.map(|(index, _)| index)).collect()
}

/// Returns the part of the row that a column belongs to.
fn rank(column: &Column) -> usize {
    match column.width {
        _ if words::is_level(&column.path) => 0,
        ..=SHORT_WIDTH_MAX => 1,
        _ => 2,
    }
}

fn can_be_flexible(column: &Column) -> bool {
    !column.is_number && !words::is_level(&column.path)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{find, spans},
        *,
    };

    /// Returns the names of the chosen columns.
    fn chosen(lines: &[String], room: usize) -> String {
        let choice = choose(lines.iter().map(String::as_bytes), room);
        choice.chosen.iter().map(|column| &*column.name).collect::<Vec<_>>().join(" ")
    }

    /// Returns 100 lines, with the number of the line in the place of `$` and an id in that of `@`.
    fn numbered(template: &str) -> Vec<String> {
        let line = |n: u64| {
            let id = format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            template.replace('$', &n.to_string()).replace('@', &id)
        };
        (10..110).map(line).collect()
    }

    fn quakes() -> Vec<String> {
        let lines = include_str!("../../../../examples/quakes.jsonl").lines();
        let read = |line: &str| {
            let fields = fields(line.as_bytes());
            let text = |path| find(&fields, path).map(|field| field.text.to_string());
            text("log").filter(|log| log == "quakes.us").and_then(|_| text("data"))
        };
        lines.filter_map(read).collect()
    }

    fn requests() -> Vec<String> {
        let services = ["export", "login", "checkout", "search", "profile", "webhook"];
        let request = |n: usize| {
            let service = services[n * 7 % 6];
            let (level, status) = [("info", 200), ("debug", 200), ("warn", 404), ("error", 500)][n * n / 8 % 4];
            let (ms, user, trace) = (n * n % 9_000, n * 7_919 % 1_000, (n as u128).wrapping_mul(u128::MAX / 7 * 3));
            let duration = format!("{}.{}", ms / 10, ms % 10);
            let head = format!(r#""level":"{level}","service":"{service}","status":{status},"duration_ms":{duration}"#);
            let msg = format!("POST /{service}/{} {status} in {duration} ms", n * 31);
            format!(r#"{{{head},"user":{user},"msg":"{msg}","trace_id":"{trace:032x}"}}"#)
        };
        (1..=200).map(request).collect()
    }

    #[test]
    fn earthquakes_are_a_table_at_every_width() {
        for (room, expected) in [
            (20, "mag place"),
            (30, "mag magType place"),
            (48, "mag magType depth_km place"),
            (52, "mag magType depth_km place"),
            (56, "mag magType depth_km place"),
            (60, "mag magType depth_km sig place"),
            (120, "mag magType depth_km lon lat tsunami sig place"),
        ] {
            assert_eq!(chosen(&quakes(), room), expected, "{room}");
        }
    }

    #[test]
    fn requests_are_a_table_at_every_width() {
        for (room, expected) in [
            (20, "msg"),
            (30, "duration_ms msg"),
            (52, "level service status duration_ms msg"),
            (80, "level service status duration_ms user msg"),
        ] {
            assert_eq!(chosen(&requests(), room), expected, "{room}");
        }
    }

    #[test]
    fn a_column_tells_what_the_dialog_shows() {
        let choice = choose(quakes().iter().map(String::as_bytes), 52);
        let described = |column: &Column| {
            let Column { path, width, decimals, presence_percent, distinct, .. } = column;
            let [least, most] = [&column.least, &column.most].map(|text| text.as_deref().unwrap_or("-"));
            let kind = if column.is_number { "number" } else { "text" };
            let last = if column.is_flexible { " flexible" } else { "" };
            format!("{path} {kind} {width}.{decimals} {presence_percent}% {distinct} {least} {most}{last}")
        };
        assert_eq!(
            choice.chosen.iter().chain(&choice.others).map(described).collect::<Vec<_>>(),
            [
                "mag number 3.1 100% 40 1.6 6.4",
                "magType text 7.0 100% 5 - -",
                "depth_km number 8.2 100% 115 0 573.76",
                "place text 36.0 100% 155 - - flexible",
                "lon number 9.4 100% 164 -179.6445 178.8275",
                "lat number 8.4 100% 166 -65.8617 83.0422",
                "felt number 4.0 34% 23 1 438",
                "tsunami number 7.0 100% 2 0 1",
                "sig number 3.0 100% 77 39 853",
                "url text 60.0 100% 168 - -",
            ]
        );
    }

    #[test]
    fn columns_stand_in_the_order_of_the_data_between_the_level_and_the_longest_text() {
        let long = "a text of more than forty letters for a reader";
        for (template, expected) in [
            (r#"{"b":$,"msg":"$","level":"$","a":$}"#, "level b a msg"),
            (r#"{"description":"$ LONG","b":$,"level":"$"}"#, "level b description"),
            (r#"{"description":"$ LONG","msg":"$ LONG","b":$}"#, "b description msg"),
            (r#"{"b":$,"a":$}"#, "b a"),
            ("msg=\"$ done\" b=$ a=$", "b a msg"),
        ] {
            assert_eq!(chosen(&numbered(&template.replace("LONG", long)), 200), expected, "{template}");
        }
    }

    #[test]
    fn only_what_differs_and_can_be_read_is_chosen() {
        for (template, expected) in [
            (r#"{"trace":"@","a":$}"#, "a"),
            (r#"{"url":"https://example.org/$","a":$}"#, "a"),
            (r#"{"ts":"2018-01-31T01:49:59.$Z","time":15173633$,"a":$}"#, "a"),
            (r#"{"order":"order_000$","a":$}"#, "a"),
            (r#"{"same":"x","a":$}"#, "a"),
            (r#"{"a":null,"b":"","c":{}}"#, ""),
            (r#"{"same":"x"}"#, ""),
            ("a line of text $", ""),
            ("[$, 1]", ""),
            ("", ""),
        ] {
            let lines = numbered(template);
            let choice = choose(lines.iter().map(String::as_bytes), 80);
            assert_eq!(chosen(&lines, 80), expected, "{template}");
            assert_eq!(choice.chosen.is_empty(), expected.is_empty(), "{template}");
        }
    }

    #[test]
    fn fields_that_never_change_are_named_with_their_value() {
        let constant = |lines: &[&str]| choose(lines.iter().map(|line| line.as_bytes()), 80).constant;
        let pair = |path: &str, value: &str| (path.to_owned(), value.to_owned());
        let both = [r#"{"host":{"name":"web"},"a":1,"v":2}"#, r#"{"host":{"name":"web"},"a":2,"v":2}"#];
        assert_eq!(constant(&both), [pair("host.name", "web"), pair("v", "2")]);
        assert_eq!(constant(&[r#"{"a":1,"v":2}"#, r#"{"a":2}"#]), []);
        // One event does not tell what changes.
        assert_eq!(constant(&both[..1]), []);
    }

    #[test]
    fn a_field_needs_to_be_in_most_events() {
        let with = |count: usize| -> Vec<String> {
            let line = |n| if n < count { format!(r#"{{"a":{n},"b":{n}}}"#) } else { format!(r#"{{"a":{n}}}"#) };
            (0..100).map(line).collect()
        };
        assert_eq!(chosen(&with(60), 80), "a b");
        assert_eq!(chosen(&with(59), 80), "a");
    }

    #[test]
    fn a_name_is_the_whole_path_if_two_fields_have_it() {
        let lines = numbered(r#"{"user":{"name":"u$","age":$},"app":{"name":"a$"},"name":"n$"}"#);
        assert_eq!(chosen(&lines, 80), "age app.name name user.name");
    }

    #[test]
    fn the_last_of_doubled_fields_is_the_one_that_counts() {
        let choice = choose(numbered(r#"{"a":"x","a":$}"#).iter().map(String::as_bytes), 80);
        assert_eq!(choice.chosen[0].least.as_deref(), Some("10"));
        assert_eq!(choice.chosen[0].presence_percent, 100);
    }

    #[test]
    fn all_chosen_columns_fit_and_show_nine_of_ten_texts() {
        let flat =
            numbered(r#"{"a":$,"b":"long long $","code":$,"lat":1.$,"kind":"k$","e":"x$","event":"$ happened there"}"#);
        for lines in [quakes(), requests(), flat] {
            for room in (0..150).step_by(4) {
                let Choice { chosen, .. } = choose(lines.iter().map(String::as_bytes), room);
                let spans = spans(&chosen, room);
                for (column, span) in chosen.iter().zip(&spans) {
                    let kept = if column.is_flexible { column.width.min(FLEXIBLE_WIDTH_MIN) } else { column.width };
                    assert!(
                        span.len() >= kept || chosen.len() == 1 && span.len() == room,
                        "{room} {column:?} {span:?}"
                    );
                    assert!(span.end <= room, "{room} {column:?} {span:?}");
                }
                assert!(spans.windows(2).all(|pair| pair[0].end < pair[1].start), "{room} {spans:?}");
                assert!(chosen.iter().rev().skip(1).all(|column| !column.is_flexible), "{room} {chosen:?}");
            }
        }
    }

    #[test]
    fn any_bytes_can_be_sampled() {
        let samples: [&[u8]; 8] = [
            b"",
            b"\xff\xfe",
            b"{",
            b"{\"a\":1e999,\"b\":-0}",
            b"{\"a\":1",
            b"a=1 b=\"",
            b"\0\0",
            "{\"ü\":\"…\"}".as_bytes(),
        ];
        for end in 0..=samples.len() {
            for room in [0, 1, 5, 80, usize::MAX / 4] {
                let choice = choose(samples[..end].iter().copied(), room);
                let _ = spans(&choice.chosen, room.min(200));
            }
        }
        let keys: Vec<String> =
            (0..300).map(|n| numbered(&format!("{{\"k{n}-$\":\"@\",\"m@\":1}}"))[0].clone()).collect();
        let choice = choose(keys.iter().map(String::as_bytes), 80);
        assert!(choice.chosen.is_empty() && choice.others.len() <= PATHS_MAX);
    }
}
