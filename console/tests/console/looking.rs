//! Filters, searches and playing in logs that are larger than what is loaded.

use super::harness::Harness;

#[tokio::test]
async fn a_filter_finds_an_event_that_is_far_away() {
    let mut console = Harness::large(50_000, 120, 40).await;
    console.press("g &").await;
    console.type_text("json.number == 41234").await;
    console.press("enter").await;
    console.shows(&["& json.number == 41234  1 of 50,000 in the window", "41234"]).await;
    // The playhead stays; the only match is the next event.
    console.press("j").await;
    console.shows(&["\"number\": 41234", "PAUSED  2018-02-04 Sun 19:47:32.352"]).await;
    assert!(console.loaded_count() <= 2, "what was passed over is not kept");
    console.press("ctrl-f").await;
    assert!(console.cursor_row().contains("41234"), "{}", console.text());
}

#[tokio::test]
async fn a_filter_shows_how_far_it_is_and_can_be_stopped() {
    let mut console = Harness::large(50_000, 120, 40).await;
    console.press("g").await;
    console.hold_replies();
    console.press("&").await;
    console.type_text("json.number == 41234").await;
    console.press("enter").await;
    // The check of the filter, then a page of events and of counts at a time.
    for replies in [1, 2, 2] {
        console.release_replies_one_by_one(replies).await;
    }
    console.shows(&["no match yet, looked at ", " of 50,000 · 10 % · esc stops"]).await;
    console.press("esc").await;
    console.release_replies().await;
    console.shows(&["no match yet", "stopped"]).await;
    console.press("esc").await;
    console.shows(&["number", "all events are shown"]).await;
    assert!(console.cursor_row().contains("00:00:00.000"), "{}", console.text());
}

#[tokio::test]
async fn a_filter_that_is_none_is_refused_and_the_last_result_stays() {
    let mut console = Harness::log("quakes", 120, 40).await;
    console.press("g &").await;
    console.type_text("json.minute == 7").await;
    console.press("enter &").await;
    console.press("ctrl-u").await;
    console.type_text("json.minute === 8").await;
    console.press("enter").await;
    console
        .shows(&["only events with: json.minute === 8", "where: in column 6", "& json.minute == 7  1 of 1,440"])
        .await;
    console.press("esc").await;
    console.shows(&["00:07:00.000"]).await;
}

#[tokio::test]
async fn filters_are_turned_off_one_by_one() {
    let mut console = Harness::log("quakes", 120, 40).await;
    console.press("g &").await;
    console.type_text("\"minute\":77").await;
    console.press("enter").await;
    console.shows(&["11 of 1,440 in the window"]).await;
    console.press("alt-1").await;
    assert!(console.list().iter().any(|row| row.contains("00:05:00.000")), "{}", console.text());
    console.press("alt-1").await;
    assert!(!console.list().iter().any(|row| row.contains("00:05:00.000")), "{}", console.text());
}

#[tokio::test]
async fn playing_with_a_filter_goes_on_to_the_next_match_and_not_to_the_end() {
    let mut console = Harness::large(50_000, 120, 40).await;
    console.press("g &").await;
    console.type_text("json.number == 49000").await;
    console.press("enter").await;
    console.press("> < space").await;
    console.advance(500).await;
    console.shows(&["PLAY ×1"]).await;
    assert!(!console.text().contains("LIVE") && !console.text().contains(" END "), "{}", console.text());
}

#[tokio::test]
async fn scrolling_reaches_both_ends_of_a_log_of_large_events() {
    const EVENTS: i64 = 260;
    let times: Vec<i64> = (0..EVENTS).map(|number| number * 1_000_000_000).collect();
    let mut console = Harness::with_events(&times, 800 << 10).await;
    for (key, end) in [("pgup", "00:00:00.000"), ("pgdn", "00:04:19.000"), ("k", "00:00:00.000")] {
        for _ in 0..EVENTS {
            console.press(key).await;
            if console.cursor_row().contains(end) {
                break;
            }
        }
        assert!(console.cursor_row().contains(end), "{key}\n{}", console.text());
    }
}

#[tokio::test]
async fn playing_a_log_of_large_events_reaches_its_end() {
    let times: Vec<i64> = (0..400).map(|number| number * 100_000_000).collect();
    let mut console = Harness::with_events(&times, 800 << 10).await;
    console.press("g > > > space").await;
    console.advance(6_000).await;
    console.shows(&["END  2018-02-04 Sun 00:00:39.900"]).await;
}

#[tokio::test]
async fn leaving_a_log_loses_nothing() {
    let mut console = Harness::log("quakes", 120, 40).await;
    console.press("t").await;
    console.type_text("2018-02-04 06:00").await;
    console.press("enter m W 3 &").await;
    console.type_text("\"minute\":36").await;
    console.press("enter v j tab").await;
    let (position, grid) = (console.position(), console.grid().clone());
    console.press("q").await;
    console.shows(&["last event"]).await;
    console.press("enter").await;
    assert_eq!((console.position(), console.grid()), (position, &grid));
    console.shows(&["& \"minute\":36", "◆", "v ends it", "{\"minute\":361}"]).await;
    // Esc takes away one thing after the other, the newest first, and never leaves.
    for gone in ["v ends it", "& \"minute\":36"] {
        console.shows(&[gone]).await;
        console.press("esc").await;
        assert!(!console.text().contains(gone), "{}", console.text());
    }
    console.press("esc").await;
    console.shows(&["q goes back", "◆"]).await;
}

#[tokio::test]
async fn unusual_letters_leave_no_rubble() {
    let texts = ["♻️♻️♻️ ⚠️ ❤️ 1️⃣", "🇩🇪 👍🏽 plain", "क्षि ก็ำ", "日本語 wide", "e\u{301}\u{302} marks"];
    let mut console = Harness::log("quakes", 120, 40).await;
    for number in 0..60_u64 {
        let text = texts[number as usize % texts.len()];
        console.receive_record(number, hourlog::Record::new(format!("{{\"minute\":\"{text}\"}}"))).await;
    }
    for step in 0..300 {
        console.press(if step % 70 < 35 { "k" } else { "j" }).await;
        let rules: Vec<usize> = console
            .text()
            .lines()
            .filter(|line| line.contains('│') && !line.starts_with("    │"))
            .map(|line| line.chars().position(|letter| letter == '│').unwrap_or(0))
            .collect();
        assert!(rules.len() > 20);
    }
    console.press("g").await;
    let screen = console.text();
    assert!(
        screen.contains("00:00:00.000") && screen.chars().all(|letter| !"♻⚠❤क्षिก日👍".contains(letter)),
        "{screen}"
    );
}

#[tokio::test]
async fn several_logs_are_lanes_under_one_playhead() {
    let mut console = Harness::lanes(120, 40).await;
    console.shows(&["6 logs in 2 groups", "shop  (3)"]).await;
    // Picks the group and one more log, and opens them as one.
    console.press("space").await;
    console.shows(&["3 picked, enter opens them as one"]).await;
    console.press("enter").await;
    console.shows(&["3 logs: shop.{a b c}", "log", "   a│", "   b│", "   c│"]).await;
    console.press("g").await;
    let rows: Vec<String> = console.list().into_iter().filter(|row| row.starts_with('0')).take(6).collect();
    let logs: Vec<&str> = rows.iter().filter_map(|row| row.split_whitespace().find(|word| word.len() == 1)).collect();
    assert_eq!(logs, ["a", "b", "c", "a", "b", "c"], "{}", console.text());
    // The sum of the bars is that of all lanes.
    assert_eq!(console.bars().map(|bars| bars.iter().sum::<u64>()), Some(30));
    console.press("L").await;
    assert!(!console.text().contains("   b│"), "{}", console.text());
    // Filters and steps work on all of them.
    console.press("&").await;
    console.type_text("json.number == 4").await;
    console.press("enter j").await;
    console.shows(&["3 of 30 in the window", "\"number\": 4"]).await;
    console.press("ctrl-f a").await;
    console.press("y l").await;
    assert!(console.copied().starts_with("hourlog console shop.a --at 2018-02-04T"), "{}", console.copied());
    assert!(console.copied().ends_with(" shop.b shop.c"), "{}", console.copied());
}

#[tokio::test]
async fn the_mouse_goes_to_rows_and_bars_and_drags_ranges() {
    let mut console = Harness::log("quakes", 120, 40).await;
    console.press("t").await;
    console.type_text("2018-02-04 12:00").await;
    console.press("enter f2").await;
    console.shows(&["mouse ● online"]).await;
    // A row of the list, then a bar: ten bars of a quarter of an hour behind the first one.
    let row = console.list().iter().position(|row| row.contains("12:05:00.000")).expect("it is on the screen");
    console.mouse(&format!("press 20 {}", row + 2)).await;
    assert!(console.cursor_row().contains("12:05:00.000"), "{}", console.text());
    console.mouse("press 15 34").await;
    console.shows(&["PAUSED  2018-02-04 Sun 02:30:00.000"]).await;
    console.mouse("drag 18 34").await;
    console.shows(&["59m 59s: y r copies the command"]).await;
    console.mouse("down 20 10").await;
    console.shows(&["02:33:00.000"]).await;
    // The overview, and the list of logs.
    console.mouse("press 13 38").await;
    console.shows(&["PAUSED  2018-02-04 Sun 00:"]).await;
    console.press("q").await;
    console.mouse("press 10 3").await;
    console.shows(&["quakes", "Pretty"]).await;
}
