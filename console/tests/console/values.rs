//! The values in events: sorted, plotted, compared with those before, and folded where they are equal.

use super::harness::Harness;

/// Returns a log of 40 events a minute apart. The magnitude is greatest in the middle.
async fn magnitudes(columns: u16, rows: u16) -> Harness {
    let data: Vec<String> = (0..40)
        .map(|number: i64| {
            let mag = 60 - (number - 20).abs();
            format!("{{\"mag\":{}.{},\"place\":\"{number} km away\",\"type\":\"quake\"}}", mag / 10, mag % 10)
        })
        .collect();
    let records: Vec<(i64, &str)> =
        data.iter().enumerate().map(|(minute, data)| (minute as i64 * 60_000_000_000, data.as_str())).collect();
    Harness::with_records(&records, columns, rows).await
}

#[tokio::test]
async fn a_column_sorts_the_window_and_enter_goes_to_the_event_in_time() {
    let mut console = magnitudes(120, 40).await;
    console.press("g c").await;
    console.shows(&["mag", "number", "sort by"]).await;
    console.press("s").await;
    console.shows(&["↓ mag  40 events in the window · enter goes there"]).await;
    assert!(console.cursor_row().contains("2018-02-04 00:20:00.000  6.0"), "{}", console.text());
    console.shows(&["2018-02-04 00:19:00.000  5.9  19 km away"]).await;
    // The playhead goes with the cursor, and the detail shows its event.
    console.press("j").await;
    console.shows(&["2018-02-04 Sun 00:19:00.000", "\"place\": \"19 km away\""]).await;
    console.press("end").await;
    assert!(console.cursor_row().contains("00:00:00.000  4.0"), "{}", console.text());
    console.press("home enter").await;
    assert!(console.cursor_row().contains("00:20:00.000"), "{}", console.text());
    console.shows(&["00:19:00.000", "00:21:00.000"]).await;
    assert!(!console.text().contains("↓ mag"), "{}", console.text());
}

#[tokio::test]
async fn the_same_column_again_sorts_the_other_way_and_esc_goes_back_to_where_one_was() {
    let mut console = magnitudes(120, 40).await;
    console.press("g j j j c s c s").await;
    console.shows(&["↑ mag  40 events"]).await;
    assert!(console.cursor_row().contains("00:00:00.000  4.0"), "{}", console.text());
    console.press("j j esc").await;
    assert!(console.cursor_row().contains("00:03:00.000"), "{}", console.text());
    console.shows(&["PAUSED"]).await;
}

#[tokio::test]
async fn a_number_has_a_spread_and_is_plotted_over_time() {
    let mut console = magnitudes(120, 40).await;
    console.press("g enter").await;
    console.shows(&["─ mag, this window", "p50 5 ", "p99 6", "▲4"]).await;
    console.press("p").await;
    console.shows(&["mag: median, min–max", "   6┤", "●"]).await;
    console.press("p").await;
    assert!(!console.text().contains("median"), "{}", console.text());
    console.press("j").await;
    assert!(!console.text().contains("this window"), "a text has no spread\n{}", console.text());
}

#[tokio::test]
async fn a_value_becomes_a_column_from_the_detail() {
    let mut console = magnitudes(120, 40).await;
    console.press("g enter").await;
    let head = |console: &Harness| console.text().lines().nth(1).unwrap_or_default().to_owned();
    assert!(head(&console).contains("mag"), "{}", console.text());
    console.press("c").await;
    assert!(!head(&console).contains("mag"), "{}", console.text());
    console.press("c").await;
    assert!(head(&console).contains("mag"), "{}", console.text());
}

#[tokio::test]
async fn an_event_is_compared_with_the_one_before() {
    let records = [
        (0, r#"{"level":"info","n":1.10,"user":{"name":"a"}}"#),
        (60_000_000_000, r#"{"level":"info","n":1.1,"user":{"name":"b"},"new":[1]}"#),
    ];
    let mut console = Harness::with_records(&records, 120, 40).await;
    console.press("d").await;
    console
        .shows(&["Changes", "~ n: 1.10 > 1.1", "~ user.name: \"a\" > \"b\"", "+ new[0]: 1", "1 other value the same"])
        .await;
    console.press("k").await;
    console.shows(&["no event before this one is loaded"]).await;
    console.press("d").await;
    console.shows(&["\"n\": 1.10"]).await;
}

#[tokio::test]
async fn equal_events_at_one_time_are_one_row_until_it_is_opened() {
    let same = r#"{"msg":"tick"}"#;
    let records: Vec<(i64, &str)> = (0..30)
        .map(|number: i64| match number {
            10..17 => (10_000_000_000, same),
            number => (number * 1_000_000_000, if number % 2 == 0 { r#"{"msg":"even"}"# } else { r#"{"msg":"odd"}"# }),
        })
        .collect();
    let mut console = Harness::with_records(&records, 120, 40).await;
    console.press("g").await;
    console.shows(&["tick", "×7"]).await;
    for _ in 0..10 {
        console.press("j").await;
    }
    assert!(console.cursor_row().contains("×7"), "{}", console.text());
    // A row is one step in both directions.
    console.press("j").await;
    assert!(console.cursor_row().contains("00:00:17.000"), "{}", console.text());
    console.press("k").await;
    assert!(console.cursor_row().contains("×7"), "{}", console.text());
    console.press("enter").await;
    assert_eq!(console.list().iter().filter(|row| row.contains("tick")).count(), 7, "{}", console.text());
    console.press("j j").await;
    assert!(console.cursor_row().contains("tick") && !console.text().contains('×'), "{}", console.text());
    // All rows, and folded again.
    console.press("F F").await;
    console.shows(&["×7", "equal events are one row"]).await;
}

#[tokio::test]
async fn bursts_are_found_in_the_whole_log() {
    // One event a minute, and 20 in a minute of the afternoon.
    let steady = (0..1_440).map(|minute: i64| minute * 60);
    let burst = (0..20).map(|second: i64| 1_000 * 60 + second);
    let mut times: Vec<i64> = steady.chain(burst).map(|seconds| seconds * 1_000_000_000).collect();
    times.sort_unstable();
    let records: Vec<(i64, &str)> = times.iter().map(|nanos| (*nanos, "x")).collect();
    let mut console = Harness::with_records(&records, 120, 40).await;
    // The window is an hour around the beginning, and has no burst.
    console.press("g W 3 }").await;
    assert!(console.text().contains("2018-02-04 Sun 16:40:00.000"), "{}", console.text());
    console.press("}").await;
    console.shows(&["no burst after this"]).await;
    console.press("end {").await;
    assert!(console.text().contains("2018-02-04 Sun 16:40:00.000"), "{}", console.text());
}

#[tokio::test]
async fn the_log_under_the_cursor_has_a_preview() {
    let mut console = Harness::open(120, 40).await;
    console
        .shows(&["─ quakes ", "1,440 events · 2018-02-04 00:00:00 … 2018-02-04 23:59:00", "23:59:00.000", "1439"])
        .await;
    console.press("end").await;
    console.shows(&["─ sparse ", "a year"]).await;
    console.press("p").await;
    assert!(!console.text().contains("─ sparse "), "{}", console.text());
    console.resize(120, 30).await;
    console.press("p").await;
    console.shows(&["the preview needs a higher terminal"]).await;
}

#[tokio::test]
async fn a_list_of_thirty_thousand_logs_is_folded_and_one_of_them_is_found() {
    let mut console = Harness::many(30_000, 120, 40).await;
    console.shows(&["30,000 logs in 30 groups", "group29  (1000)"]).await;
    console.press("end").await;
    console.shows(&["group00  (1000)"]).await;
    console.press("/").await;
    console.type_text("12345").await;
    console.press("enter").await;
    console.shows(&["group12.host.12345"]).await;
}

#[tokio::test]
async fn the_palette_runs_commands_with_what_they_are_for() {
    let mut console = magnitudes(120, 40).await;
    console.press(":").await;
    console.type_text("columns place,mag").await;
    console.shows(&["show these columns, in this order"]).await;
    console.press("enter").await;
    assert!(
        console
            .text()
            .lines()
            .nth(1)
            .is_some_and(|head| head.contains("place  mag") || head.contains("place") && !head.contains("type "))
    );
    console.press(":").await;
    console.type_text("goto 00:05").await;
    console.press("enter").await;
    assert!(console.cursor_row().contains("00:05:00.000"), "{}", console.text());
    console.press(":").await;
    console.type_text("speed fast").await;
    console.press("enter").await;
    console.shows(&["speed fast", "a speed is a number"]).await;
    console.press("esc :").await;
    console.type_text("open nothing.*").await;
    console.press("enter").await;
    console.shows(&["no log matches"]).await;
}
