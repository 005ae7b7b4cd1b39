//! The console as a user meets it: keys in, screens out, on an archive in memory.

#[path = "console/export.rs"]
mod export;
#[path = "console/harness.rs"]
mod harness;
#[path = "console/looking.rs"]
mod looking;
#[path = "console/messages.rs"]
mod messages;
#[path = "console/random.rs"]
mod random;
#[path = "console/scrubbing.rs"]
mod scrubbing;
#[path = "console/service.rs"]
mod service;
#[path = "console/terminal.rs"]
mod terminal;
#[path = "console/untrusted.rs"]
mod untrusted;
#[path = "console/values.rs"]
mod values;

use harness::{DAY, Harness, SIZES};

const QUAKES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/quakes.jsonl");

#[tokio::test]
async fn a_first_session_without_instructions_works() {
    let mut console = Harness::open(120, 40).await;
    console.shows(&["2 logs in 2 groups", "quakes", "sparse", "1,440 ", "0.75/s", "ordered by last event"]).await;
    console.press("enter").await;
    console.shows(&["quakes", "LIVE", "2018-02-04", "Pretty", "bars of 15m · peak 15 at 02-04 00:00"]).await;
    // Jumps to a day and an hour. The prompt shows the meaning before Enter.
    console.press("t").await;
    console.type_text("2018-02-04 08:00").await;
    console.shows(&["go to: 2018-02-04 08:00", "2018-02-04 08:00:00.000, 16h 0m ago"]).await;
    console.press("enter").await;
    console.shows(&["PAUSED  2018-02-04 Sun 08:00:00.000 UTC · 16 hours ago"]).await;
    assert!(console.cursor_row().contains("08:00:00.000"), "{}", console.text());
    // Shows the event, its bytes and its headers.
    console.shows(&["\"minute\": 480"]).await;
    console.press("tab tab").await;
    console.shows(&["000000  7b 22 6d"]).await;
    console.shows(&["kind           every-minute", "position  "]).await;
    // Zooming keeps the playhead.
    console.press("- - + + +").await;
    console.shows(&["PAUSED  2018-02-04 Sun 08:00:00.000 UTC · 16 hours ago"]).await;
    // Plays a minute in a second.
    console.press("> > > > > space").await;
    console.advance(1_100).await;
    console.shows(&["PLAY ×60 (1 min/s)  2018-02-04 Sun 08:01:06.000"]).await;
    console.press("space").await;
    console.shows(&["PAUSED  2018-02-04 Sun 08:01:06.000", "▸08:01:06.000  ┄ next event in 54.0s ┄"]).await;
    console.press("G").await;
    console.shows(&["END  2018-02-04 Sun 23:59:00.000"]).await;
    assert!(console.quits("q q").await);
}

#[tokio::test]
async fn events_ahead_of_now_are_drawn_behind_it() {
    const CENTURY: i64 = 100 * 365 * DAY;
    let mut console = Harness::log("quakes", 120, 40).await;
    let newest = console.playhead();
    for number in 0..3 {
        console.receive_at(number, newest.nanos() + CENTURY + number.cast_signed() * 1_000_000_000).await;
    }
    // Within two seconds, the counts tell of them.
    console.advance(3_000).await;
    console.shows(&["LIVE  2018-02-04 Sun 23:59:00.000", "+3 ahead", "peak 15"]).await;
    for keys in ["g G", "t"] {
        console.press(keys).await;
    }
    console.type_text("last").await;
    console.press("enter").await;
    assert_eq!(console.playhead(), newest);
    // They are rows behind the newest event, and end goes to the last one.
    console.press("down").await;
    assert_eq!(console.playhead().nanos(), newest.nanos() + CENTURY);
    console.press("t").await;
    console.type_text("end").await;
    console.press("enter").await;
    assert_eq!(console.playhead().nanos(), newest.nanos() + CENTURY + 2_000_000_000);
    // Playing towards them ends at now, and so does a new opening.
    console.press("G").await;
    console.press("k k k space").await;
    console.advance(1_000).await;
    console.press("space q").await;
    let mut console = console.reopened("quakes").await;
    console.shows(&["LIVE  2018-02-04 Sun 23:59:00.000", "+3 ahead", "peak 15"]).await;
    console.press("space space").await;
    console.shows(&["LIVE"]).await;
    assert_eq!(console.playhead(), newest);
}

#[tokio::test]
async fn a_log_with_events_ahead_only_shows_them() {
    let mut console = Harness::log_at("dev.7", 100 * 365 * DAY, 120, 40).await;
    console.shows(&["+1 ahead", "ahead of its time"]).await;
    console.press("g").await;
    console.shows(&["ahead of its time"]).await;
}

#[tokio::test]
async fn typed_times_and_ages_go_by_the_clock_of_the_service() {
    let mut console = Harness::open(120, 40).await;
    console.set_service_clock(-DAY / 2);
    console.advance(3_000).await;
    console.press("enter").await;
    console.press("t").await;
    console.type_text("2h ago").await;
    // The console's own clock is at midnight, twelve hours ahead.
    console.shows(&["go to: 2h ago", "2018-02-04 10:00:0", "2h 0m ago"]).await;
    console.press("enter").await;
    console.shows(&["PAUSED  2018-02-04 Sun 10:0"]).await;
    // The prompt takes the times of the command line.
    for (text, shown) in [
        ("saturday 9:00", "2018-02-03 09:00:00.000, 1d 3h ago"),
        ("feb 1 noon", "2018-02-01 12:00:00.000, 3d 0h ago"),
        ("Fri, 02 Feb 2018 12:00:00 +0000", "2018-02-02 12:00:00.000, 2d 0h ago"),
    ] {
        console.press("t").await;
        console.type_text(text).await;
        console.shows(&[shown]).await;
        console.press("esc").await;
    }
}

#[tokio::test]
async fn jumps_are_undone_and_redone_and_marks_are_visited() {
    let mut console = Harness::log("quakes", 120, 40).await;
    console.press("t").await;
    console.type_text("2018-02-04 06:00").await;
    console.press("enter m G u").await;
    console.shows(&["PAUSED  2018-02-04 Sun 06:00:00.000"]).await;
    console.press("U").await;
    console.shows(&["2018-02-04 Sun 23:59:00.000"]).await;
    console.press("[").await;
    console.shows(&["PAUSED  2018-02-04 Sun 06:00:00.000", "◆"]).await;
    console.press("G '").await;
    console.shows(&["mark 2018-02-04 06:00:00.000"]).await;
    console.press("enter").await;
    console.shows(&["PAUSED  2018-02-04 Sun 06:00:00.000"]).await;
}

#[tokio::test]
async fn a_held_key_makes_few_requests_and_ends_at_the_playhead() {
    let mut console = Harness::log("quakes", 120, 40).await;
    console.press("g").await;
    let (before, from) = (console.request_count(), console.playhead());
    // The repeats of five seconds.
    console.hold("right", 150).await;
    assert_eq!(console.playhead().nanos(), from.nanos() + DAY - 60_000_000_000, "the last event");
    assert!(console.request_count() - before <= 4, "{} requests", console.request_count() - before);
    assert!(console.cursor_row().contains("23:59:00.000"), "{}", console.text());
}

#[tokio::test]
async fn a_long_log_is_loaded_only_near_the_playhead() {
    let mut console = Harness::large(50_000, 120, 40).await;
    for at in ["03:00", "21:30", "12:00"] {
        console.press("t").await;
        console.type_text(&format!("2018-02-04 {at}")).await;
        let before = console.request_count();
        console.press("enter").await;
        console.shows(&[&format!("PAUSED  2018-02-04 Sun {at}:00")]).await;
        assert!(console.request_count() - before <= 2, "{} requests", console.request_count() - before);
        assert!(console.loaded_count() <= 2_500, "{} events are loaded", console.loaded_count());
    }
}

#[tokio::test]
async fn new_events_do_not_move_a_paused_view() {
    let mut console = Harness::log("quakes", 120, 40).await;
    console.press("g").await;
    let row = console.cursor_row();
    console.receive("quakes", 3).await;
    console.shows(&["↓ 3 new: G"]).await;
    assert_eq!(console.cursor_row(), row);
    console.press("G").await;
    console.receive("quakes", 2).await;
    console.shows(&["LIVE"]).await;
    assert!(!console.text().contains("new: G") && console.cursor_row().contains("late"), "{}", console.text());
}

#[tokio::test]
async fn a_search_finds_a_text_and_a_filter_hides_other_events() {
    let mut console = Harness::log("quakes", 120, 40).await;
    console.press("g /").await;
    console.type_text("\"minute\":777").await;
    console.press("enter").await;
    console.shows(&["/ \"minute\":777", "2018-02-04 Sun 12:57:00.000", "hit 1 of 1"]).await;
    console.press("n").await;
    console.shows(&["this is the only hit"]).await;
    console.press("&").await;
    console.type_text("\"minute\":77").await;
    console.press("enter").await;
    assert!(console.cursor_row().contains("12:57"), "the position was lost\n{}", console.text());
    console.press("k").await;
    assert!(console.cursor_row().contains("12:56"), "{}", console.text());
    console.press("ctrl-f &").await;
    console.type_text("nowhere").await;
    console.press("enter").await;
    console.shows(&["0 of 1,440 match"]).await;
}

#[tokio::test]
async fn a_search_shows_its_progress_and_resumes_where_it_stopped() {
    let mut console = Harness::large(50_000, 120, 40).await;
    console.press("g").await;
    console.hold_replies();
    console.press("/").await;
    console.type_text("\"number\":49").await;
    console.press("enter").await;
    console.release_first_replies(2).await;
    // The first page looks at fewer than 4,900 events: 49 and 490 to 499 match.
    console.shows(&["9 % searched · hit 1 of 11 · esc stops", "PAUSED  2018-02-04 Sun 00:01:24", "█ match"]).await;
    console.press("esc").await;
    console.shows(&["hit 1 of 11 so far · n and N continue", "PAUSED"]).await;
    console.release_replies().await;
    console.press(&["n"; 10].join(" ")).await;
    console.shows(&["hit 11 of 11 so far", "\"number\": 499,"]).await;
    console.press("n").await;
    console.shows(&["hit 12 of 1,111", "\"number\": 4900,"]).await;
    console.press("N N").await;
    console.shows(&["hit 10 of 1,111", "\"number\": 498,"]).await;
}

#[tokio::test]
async fn a_late_hit_does_not_move_a_reader_who_has_moved_on() {
    let mut console = Harness::large(50_000, 120, 40).await;
    console.press("g").await;
    console.hold_replies();
    console.press("/").await;
    console.type_text("\"number\":777,").await;
    console.press("enter j j").await;
    let position = console.position();
    console.release_replies().await;
    console.shows(&["1 hit "]).await;
    assert_eq!(console.position(), position);
    console.press("n").await;
    console.shows(&["\"number\": 777,"]).await;
}

#[tokio::test]
async fn new_events_are_searched_even_while_the_search_runs() {
    let mut console = Harness::log("quakes", 120, 40).await;
    console.press("g").await;
    console.hold_replies();
    console.press("/").await;
    console.type_text("late").await;
    console.press("enter").await;
    console.receive("quakes", 1).await;
    console.release_replies().await;
    console.shows(&["hit 1 of 1"]).await;
    console.receive("quakes", 2).await;
    console.shows(&["hit 1 of 3"]).await;
    console.press("n n").await;
    console.shows(&["hit 3 of 3"]).await;
    console.press("n").await;
    console.shows(&["hit 2 of 3, before"]).await;
}

#[tokio::test]
async fn a_regular_expression_is_searched_and_an_invalid_one_is_reported_while_typing() {
    let mut console = Harness::log("quakes", 120, 40).await;
    console.press("g /").await;
    console.type_text("re:minute\":7(").await;
    console.press("enter").await;
    console.shows(&["search: re:minute\":7(", "unclosed group"]).await;
    console.press("backspace").await;
    console.type_text("7+}").await;
    console.press("enter").await;
    console.shows(&["PAUSED  2018-02-04 Sun 01:17:00.000", "hit 1 of 2"]).await;
}

#[tokio::test]
async fn a_step_moves_the_cursor_and_not_the_list() {
    let mut console = Harness::log("quakes", 120, 40).await;
    console.press("t").await;
    console.type_text("2018-02-04 12:00").await;
    console.press("enter").await;
    let before = console.list();
    console.press("j j j k").await;
    assert_eq!(console.list(), before);
    assert!(console.cursor_row().contains("12:02:00.000"), "{}", console.text());
    // Stepping past the lower end scrolls the list, a row at a time.
    console.press(&["j"; 40].join(" ")).await;
    assert!(console.cursor_row().contains("12:42:00.000"), "{}", console.text());
    assert!(console.list().last().is_some_and(|last| last.contains("12:42:00.000")), "{}", console.text());
    // Stepping up from the newest event stops following and keeps the rows.
    console.press("G").await;
    let before = console.list();
    console.press("k k k").await;
    assert_eq!(console.list(), before);
}

#[tokio::test]
async fn the_position_survives_zooms_filters_resizes_and_outages() {
    let mut console = Harness::log("quakes", 120, 40).await;
    // Four events have one time. The cursor is on the third.
    console.receive_at_one_time("quakes", 4).await;
    console.press("G k").await;
    let position = console.position();
    console.press("- - - + W 3 0 T T T T tab").await;
    for filter in ["minute\":7", "together"] {
        console.press("&").await;
        console.type_text(filter).await;
        console.press("enter").await;
        assert_eq!(console.position(), position, "after hiding all but {filter}");
        console.press("ctrl-f").await;
    }
    for (columns, rows) in SIZES {
        console.resize(columns, rows).await;
        assert_eq!(console.position(), position, "at {columns}×{rows}");
    }
    console.resize(120, 40).await;
    console.set_down(true);
    console.advance(5_000).await;
    console.set_down(false);
    console.advance(3_000).await;
    console.shows(&["online"]).await;
    assert_eq!(console.position(), position);
    assert!(console.cursor_row().contains("\"together\":2"), "{}", console.text());
}

#[tokio::test]
async fn a_range_is_shaded_and_copied_as_a_read_command() {
    let mut console = Harness::log("quakes", 120, 40).await;
    console.press("t").await;
    console.type_text("2018-02-04 06:00").await;
    console.press("enter v").await;
    console.shows(&["0: v ends it"]).await;
    console.press("t").await;
    console.type_text("2018-02-04 08:00").await;
    console.press("enter").await;
    console.shows(&["2h 00m: v ends it"]).await;
    console.press("v g").await;
    console.shows(&["2h 00m: y r copies the command"]).await;
    // Two hours are eight bars, and the last bar has their end.
    assert_eq!(console.bars_in_range(), 9, "{}", console.text());
    console.press("y r").await;
    let command = "hourlog read quakes --since 2018-02-04T06:00:00Z --until 2018-02-04T08:00:00.000000001Z";
    assert_eq!(console.copied(), command);
    console.press("esc").await;
    assert_eq!(console.bars_in_range(), 0);
    console.shows(&["▸ quakes"]).await;
    console.press("y e").await;
    assert!(console.copied().contains("minute") && console.copied().contains("position"), "{}", console.copied());
    console.press("y y").await;
    assert_eq!(console.copied(), "{\"minute\":0}");
    console.press("y t").await;
    assert_eq!(console.copied(), "2018-02-04T00:00:00Z");
    console.press("& x enter y l").await;
    assert_eq!(console.copied(), "hourlog console quakes --at 2018-02-04T00:00:00Z --where 'data.matches(\"(?i)x\")'");
}

#[tokio::test]
async fn a_long_event_can_be_scrolled_to_its_end() {
    let mut console = Harness::log("quakes", 120, 40).await;
    let lines: Vec<String> = (0..100).map(|line| format!("line {line} {}.", "-".repeat(60))).collect();
    console.receive_record(0, hourlog::Record::new(lines.join("\n"))).await;
    console.press("tab").await;
    console.shows(&["line 0 --"]).await;
    for _ in 0..30 {
        console.press("J").await;
    }
    console.shows(&["line 99"]).await;
    for _ in 0..30 {
        console.press("K").await;
    }
    console.shows(&["│line 0 "]).await;
    // Without line breaks the end of a line is further right.
    console.press("w").await;
    assert!(!console.text().contains("--."), "{}", console.text());
    console.press("l l l l").await;
    console.shows(&["--."]).await;
    console.press("h h h h w k").await;
    console.shows(&["\"minute\":1439}"]).await;
}

#[tokio::test]
async fn loaded_events_stay_visible_through_an_outage() {
    let mut console = Harness::log("quakes", 120, 40).await;
    console.press("g").await;
    console.set_down(true);
    console.press("j j W 1").await;
    console.shows(&["OFFLINE", "00:02:00.000"]).await;
    console.set_down(false);
    console.advance(3_000).await;
    console.shows(&["online", "PAUSED"]).await;
}

#[tokio::test]
async fn playing_faster_than_loading_shows_buffering_and_skips_nothing() {
    let mut console = Harness::log("quakes", 120, 40).await;
    console.press("g > > > > > > >").await;
    console.hold_replies();
    console.press("space").await;
    console.advance(30_000).await;
    console.shows(&["BUFFERING ×1000, reached ×"]).await;
    console.release_replies().await;
    console.advance(5_000).await;
    console.shows(&["PLAY ×1000"]).await;
    console.advance(90_000).await;
    console.shows(&["END  2018-02-04 Sun 23:59:00.000"]).await;
}

#[tokio::test]
async fn the_same_key_stops_and_resumes_following() {
    let mut console = Harness::log("quakes", 120, 40).await;
    console.press("k k").await;
    console.shows(&["PAUSED"]).await;
    console.press("f").await;
    console.shows(&["LIVE"]).await;
    console.press("f").await;
    console.shows(&["PAUSED", "not followed any more"]).await;
    console.receive("quakes", 1).await;
    assert!(!console.text().contains("new: G"), "{}", console.text());
    console.press("f").await;
    console.shows(&["LIVE"]).await;
    assert!(console.cursor_row().contains("late"), "{}", console.text());
}

#[tokio::test]
async fn silence_is_skipped_on_request_and_the_skip_is_shown() {
    let mut console = Harness::log("sparse", 120, 40).await;
    console.press("g > < i space").await;
    console.advance(100).await;
    console.shows(&["PLAY ×1  2018-02-03 Sat 23:59:58"]).await;
    console.advance(3_000).await;
    console.shows(&["END  2018-02-04 Sun 00:00:00.000"]).await;
    // Silence takes two seconds of real time, whatever the speed.
    console.press("g > > > space").await;
    console.advance(1_500).await;
    console.shows(&["PLAY ×10  2018-02-03 Sat 23:59:5"]).await;
    console.advance(1_000).await;
    console.shows(&["END  2018-02-04 Sun 00:00:00.000"]).await;
}

#[tokio::test]
async fn a_filter_that_hides_the_current_event_keeps_the_playhead() {
    let mut console = Harness::log("quakes", 120, 40).await;
    console.press("g j j j &").await;
    console.type_text("\"minute\":1}").await;
    console.press("enter").await;
    console.shows(&["▸00:03:00.000  ┄ no later event ┄", "PAUSED  2018-02-04 Sun 00:03:00.000"]).await;
    console.press("ctrl-f").await;
    console.shows(&["PAUSED  2018-02-04 Sun 00:03:00.000"]).await;
    assert!(console.cursor_row().contains("00:03:00.000"), "{}", console.text());
}

#[tokio::test]
async fn a_slow_request_shows_its_duration_and_how_to_leave() {
    let mut console = Harness::open(120, 40).await;
    console.hold_replies();
    console.press("enter").await;
    console.advance(1_000).await;
    console.shows(&["loading, 1.0s"]).await;
    console.advance(5_000).await;
    console.shows(&["the service at nats://here has not answered yet", "q goes back"]).await;
    console.press("q").await;
    console.shows(&["sparse"]).await;
}

#[tokio::test]
async fn a_denied_request_shows_not_allowed_instead_of_offline() {
    let mut console = Harness::open(120, 40).await;
    console.set_denied(true);
    console.advance(3_000).await;
    console.shows(&["NOT ALLOWED", "quakes"]).await;
    console.press("enter").await;
    console.shows(&["not allowed, since", "hourlog.logs", "q goes back"]).await;
    assert!(!console.text().contains("OFFLINE"), "{}", console.text());
}

#[tokio::test]
async fn the_palette_runs_key_commands_and_opens_logs() {
    let mut console = Harness::log("quakes", 120, 40).await;
    console.press(":").await;
    console.type_text("whole log").await;
    console.shows(&["0  whole log  show the whole log"]).await;
    console.press("esc :").await;
    console.type_text("log sparse").await;
    console.press("enter").await;
    console.shows(&["▸ sparse"]).await;
}

#[tokio::test]
async fn the_words_of_users_find_their_command_first() {
    let mut console = Harness::log("quakes", 120, 40).await;
    for (word, name) in [
        ("zoom", "zoom in"),
        ("speed", "faster"),
        ("slower", "slower"),
        ("faster", "faster"),
        ("filter", "filter"),
        ("follow", "follow"),
        ("pause", "play"),
        ("back", "back to the logs"),
        ("utc", "time style"),
        ("timezone", "time style"),
        ("wrap", "wrap"),
        ("bookmark", "mark"),
        ("copy", "copy"),
        ("yank", "copy"),
        ("first", "oldest event"),
        ("last", "newest event"),
        ("start", "oldest event"),
        ("end", "newest event"),
        ("top", "oldest event"),
        ("bottom", "newest event"),
        ("json", "event's text"),
        ("quit", "quit"),
        ("exit", "quit"),
        ("search", "search"),
        ("undo", "undo"),
        ("window", "window"),
        ("hour", "window"),
        ("jump", "go to a time"),
        ("logs", "back to the logs"),
        ("close", "back to the logs"),
        ("export", "export…"),
        ("save", "export…"),
        ("write", "export…"),
        ("file", "export…"),
        ("download", "export…"),
        ("replay", "replay…"),
        ("resend", "replay…"),
        ("publish again", "replay…"),
    ] {
        console.press(":").await;
        console.type_text(word).await;
        let row = console.cursor_row();
        let name_at = row.trim_start().split("  ").map(str::trim).find(|part| *part == name);
        assert!(name_at.is_some(), "{word} finds {row}");
        console.press("esc").await;
    }
}

#[tokio::test]
async fn a_value_of_an_event_becomes_a_filter() {
    let mut console = Harness::log("quakes", 120, 40).await;
    console.press("t").await;
    console.type_text("2018-02-04 00:07").await;
    console.press("enter enter =").await;
    console.shows(&["& json.minute == 7  1 of 1,440 in the window", "= only  ! not"]).await;
    console.press("y").await;
    assert_eq!(console.copied(), "7");
    console.press("Y").await;
    assert_eq!(console.copied(), "json.minute");
    // The cursor of the list is bold now, and Esc takes away one thing at a time.
    console.press("esc").await;
    assert!(console.cursor_row().contains("00:07:00.000"), "{}", console.text());
    console.press("esc").await;
    assert!(!console.text().contains("json.minute"), "{}", console.text());
}

#[tokio::test]
async fn every_terminal_size_has_a_layout_or_a_message() {
    for (columns, rows) in SIZES {
        let mut console = Harness::open(columns, rows).await;
        let logs = console.text();
        console.press("enter").await;
        let log = console.text();
        match (columns, rows) {
            (1, 1) => assert_eq!(log, "n"),
            (39, 9) => assert!(log.starts_with("need 40x10, have 39x9"), "{log}"),
            _ => {
                assert!(logs.contains("quakes") && log.contains("LIVE") && log.contains('█'), "{logs}\n{log}");
                assert_eq!(log.contains('▲'), columns >= 60, "{log}");
                assert_eq!(log.contains("all of it"), columns >= 60, "{log}");
                assert_eq!(log.contains("Pretty"), columns >= 120, "{log}");
                assert!(console.cursor_row().contains("23:59:00.000"), "{log}");
                console.press("enter").await;
                assert!(console.text().contains("Pretty"), "{}", console.text());
            }
        }
    }
}

#[tokio::test]
async fn a_screen_without_colours_and_in_ascii_shows_everything() {
    let mut console = Harness::plain(80, 24).await;
    console.press("enter g m j").await;
    assert!(console.text().is_ascii(), "{}", console.text());
    assert!(!console.has_colour(), "a colour is drawn");
    console.shows(&["PAUSED", "*", "#", "[", "]"]).await;
    assert!(console.cursor_row().contains("00:01:00.000"), "the cursor cannot be told without colour");
}

#[tokio::test]
async fn help_lists_every_key() {
    use console::tui::keymap::{KEYMAP, KeyScope};

    let help_of = |scopes: &[KeyScope], text: &str| {
        // A long sentence is wrapped.
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let shown = words(text).join(" ");
        for binding in KEYMAP.iter().filter(|binding| scopes.contains(&binding.scope)) {
            let start = words(binding.help).into_iter().take(3).collect::<Vec<_>>().join(" ");
            assert!(shown.contains(&start), "{}\n{text}", binding.help);
        }
    };
    let mut console = Harness::log("quakes", 200, 70).await;
    console.press("?").await;
    help_of(&[KeyScope::Log, KeyScope::Everywhere, KeyScope::Always], &console.text());
    console.press("esc").await;
    console.shows(&["LIVE"]).await;
    console.press("enter ?").await;
    help_of(&[KeyScope::Detail], &console.text());
    console.press("esc esc q ?").await;
    help_of(&[KeyScope::Logs, KeyScope::Everywhere, KeyScope::Always], &console.text());
}
