//! The console as somebody at a terminal meets it: keys in, screens out, over an archive in memory.

#[path = "console/desk.rs"]
mod desk;
#[path = "console/random.rs"]
mod random;
#[path = "console/terminal.rs"]
mod terminal;
#[path = "console/untrusted.rs"]
mod untrusted;

use desk::{DAY, Desk, SIZES};

const QUAKES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/quakes.jsonl");

#[tokio::test]
async fn the_way_through_as_somebody_goes_who_has_read_nothing() {
    let mut desk = Desk::open(120, 40).await;
    desk.sees(&["quakes", "sparse", "1,440 "]).await;
    desk.types("enter").await;
    desk.sees(&["quakes", "LIVE", "2018-02-04", "Pretty", "1,440 events in window"]).await;
    // To a day and an hour, with what it means said before it is done.
    desk.types("t").await;
    desk.puts("2018-02-04 08:00").await;
    desk.sees(&["go to: 2018-02-04 08:00", "2018-02-04 08:00:00.000, 16h 0m ago"]).await;
    desk.types("enter").await;
    desk.sees(&["PAUSED 2018-02-04 08:00:00.000"]).await;
    assert!(desk.cursor_row().contains("08:00:00.000"), "{}", desk.text());
    // A read event, its headers and its bytes.
    desk.sees(&["\"minute\": 480"]).await;
    desk.types("tab tab").await;
    desk.sees(&["000000  7b 22 6d"]).await;
    desk.types("tab").await;
    desk.sees(&["kind: every-minute", "position  "]).await;
    // Out and in: the playhead stays.
    desk.types("- - + + +").await;
    desk.sees(&["PAUSED 2018-02-04 08:00:00.000"]).await;
    // Played at ×64 for a second.
    desk.types("> > > > > > space").await;
    desk.passes(1_000).await;
    desk.sees(&["PLAY ×64 2018-02-04 08:01:04.000"]).await;
    desk.types("space").await;
    desk.sees(&["PAUSED 2018-02-04 08:01:00.000"]).await;
    desk.types("G").await;
    desk.sees(&["LIVE 2018-02-04 23:59:00.000"]).await;
    assert!(desk.quits("q").await);
}

#[tokio::test]
async fn a_jump_is_undone_and_done_again_and_marks_are_gone_between() {
    let mut desk = Desk::log("quakes", 120, 40).await;
    desk.types("t").await;
    desk.puts("2018-02-04 06:00").await;
    desk.types("enter m G u").await;
    desk.sees(&["PAUSED 2018-02-04 06:00:00.000"]).await;
    desk.types("U").await;
    desk.sees(&["2018-02-04 23:59:00.000"]).await;
    desk.types("[").await;
    desk.sees(&["PAUSED 2018-02-04 06:00:00.000", "◆"]).await;
    desk.types("G '").await;
    desk.sees(&["mark 2018-02-04 06:00:00.000"]).await;
    desk.types("enter").await;
    desk.sees(&["PAUSED 2018-02-04 06:00:00.000"]).await;
}

#[tokio::test]
async fn a_held_key_is_few_requests_and_ends_where_the_playhead_says() {
    let mut desk = Desk::log("quakes", 120, 40).await;
    desk.types("g").await;
    let (before, from) = (desk.asked(), desk.playhead());
    // What a terminal sends in five seconds.
    desk.holds("right", 150).await;
    let bin = desk.bin_nanos();
    assert_eq!(desk.playhead().nanos(), from.nanos() + (150 * bin).min(DAY - 60_000_000_000));
    assert!(desk.asked() - before <= 4, "{} requests", desk.asked() - before);
    assert!(desk.cursor_row().contains("2018-02-04"), "{}", desk.text());
}

#[tokio::test]
async fn of_a_long_log_only_what_is_near_is_loaded() {
    let mut desk = Desk::large(50_000, 120, 40).await;
    for at in ["03:00", "21:30", "12:00"] {
        desk.types("t").await;
        desk.puts(&format!("2018-02-04 {at}")).await;
        let before = desk.asked();
        desk.types("enter").await;
        desk.sees(&[&format!("PAUSED 2018-02-04 {at}:00")]).await;
        assert!(desk.asked() - before <= 2, "{} requests", desk.asked() - before);
        assert!(desk.loaded() <= 1_000, "{} events are loaded", desk.loaded());
    }
}

#[tokio::test]
async fn what_comes_does_not_move_who_looks_at_something_else() {
    let mut desk = Desk::log("quakes", 120, 40).await;
    desk.types("g").await;
    let row = desk.cursor_row();
    desk.comes("quakes", 3).await;
    desk.sees(&["↓ 3 new: G"]).await;
    assert_eq!(desk.cursor_row(), row);
    desk.types("G").await;
    desk.comes("quakes", 2).await;
    desk.sees(&["LIVE"]).await;
    assert!(!desk.text().contains("new: G") && desk.cursor_row().contains("late"), "{}", desk.text());
}

#[tokio::test]
async fn a_text_is_found_and_what_has_it_not_is_hidden() {
    let mut desk = Desk::log("quakes", 120, 40).await;
    desk.types("g /").await;
    desk.puts("\"minute\":777").await;
    desk.types("enter").await;
    desk.sees(&["search: \"minute\":777", "2018-02-04 12:57:00.000"]).await;
    desk.types("n").await;
    desk.sees(&["none behind this", "1 hit "]).await;
    desk.types("&").await;
    desk.puts("\"minute\":77").await;
    desk.types("enter").await;
    assert!(desk.cursor_row().contains("12:57"), "the place was lost\n{}", desk.text());
    desk.types("k").await;
    assert!(desk.cursor_row().contains("12:56"), "{}", desk.text());
    desk.types("ctrl-f &").await;
    desk.puts("nowhere").await;
    desk.types("enter").await;
    desk.sees(&["0 of 1,440 looked at match"]).await;
}

#[tokio::test]
async fn a_search_says_how_far_it_has_come_and_goes_on_where_it_stopped() {
    let mut desk = Desk::large(50_000, 120, 40).await;
    desk.types("g").await;
    desk.answers(false).await;
    desk.types("/").await;
    desk.puts("\"number\":49").await;
    desk.types("enter").await;
    desk.answers_some(2).await;
    // The first page has a thousand events: 49, and 490 to 499 are in it.
    desk.sees(&["scanned 2 % · 11 hits · Esc stops", "PAUSED 2018-02-04 00:01:24", "11 match", "▾ hit"]).await;
    desk.types("esc").await;
    desk.sees(&["scanned 2 % · 11 hits so far", "PAUSED"]).await;
    desk.answers(true).await;
    desk.types(&["n"; 10].join(" ")).await;
    desk.sees(&["scanned 2 % · 11 hits so far", "\"number\":499,"]).await;
    desk.types("n").await;
    desk.sees(&["1,111 hits", "\"number\":4900,"]).await;
    desk.types("N N").await;
    desk.sees(&["\"number\":498,"]).await;
}

#[tokio::test]
async fn who_has_gone_on_is_not_taken_away_by_a_hit_that_comes_late() {
    let mut desk = Desk::large(50_000, 120, 40).await;
    desk.types("g").await;
    desk.answers(false).await;
    desk.types("/").await;
    desk.puts("\"number\":777,").await;
    desk.types("enter j j").await;
    let place = desk.place();
    desk.answers(true).await;
    desk.sees(&["1 hit "]).await;
    assert_eq!(desk.place(), place);
    desk.types("n").await;
    desk.sees(&["\"number\":777,"]).await;
}

#[tokio::test]
async fn what_comes_is_searched_too_also_while_the_search_runs() {
    let mut desk = Desk::log("quakes", 120, 40).await;
    desk.types("g").await;
    desk.answers(false).await;
    desk.types("/").await;
    desk.puts("late").await;
    desk.types("enter").await;
    desk.comes("quakes", 1).await;
    desk.answers(true).await;
    desk.sees(&["1 hit "]).await;
    desk.comes("quakes", 2).await;
    desk.sees(&["3 hits"]).await;
    desk.types("n n n").await;
    desk.sees(&["none behind this"]).await;
}

#[tokio::test]
async fn an_expression_finds_and_one_that_is_none_is_said_where_it_stands() {
    let mut desk = Desk::log("quakes", 120, 40).await;
    desk.types("g /").await;
    desk.puts("re:minute\":7(").await;
    desk.types("enter").await;
    desk.sees(&["search: re:minute\":7(", "unclosed group"]).await;
    desk.types("backspace").await;
    desk.puts("7+}").await;
    desk.types("enter").await;
    desk.sees(&["PAUSED 2018-02-04 01:17:00.000", "2 hits"]).await;
}

#[tokio::test]
async fn a_step_moves_the_cursor_and_not_the_list() {
    let mut desk = Desk::log("quakes", 120, 40).await;
    desk.types("t").await;
    desk.puts("2018-02-04 12:00").await;
    desk.types("enter").await;
    let before = desk.list();
    desk.types("j j j k").await;
    assert_eq!(desk.list(), before);
    assert!(desk.cursor_row().contains("12:02:00.000"), "{}", desk.text());
    // Out of the list at its lower end: now it moves, a row at a time.
    desk.types(&["j"; 40].join(" ")).await;
    assert!(desk.cursor_row().contains("12:42:00.000"), "{}", desk.text());
    assert_eq!(desk.list().last(), Some(&desk.cursor_row().chars().take(40).collect::<String>()));
    // And back from the newest: who follows sees the same rows when it stops.
    desk.types("G").await;
    let before = desk.list();
    desk.types("k k k").await;
    assert_eq!(desk.list(), before);
}

#[tokio::test]
async fn the_place_is_a_time_and_a_seq_and_outlives_all_but_going_elsewhere() {
    let mut desk = Desk::log("quakes", 120, 40).await;
    // Four events at one time, of which the third is meant.
    desk.together("quakes", 4).await;
    desk.types("G k").await;
    let place = desk.place();
    desk.types("- - - + W 3 0 T T T T tab").await;
    for filter in ["minute\":7", "together"] {
        desk.types("&").await;
        desk.puts(filter).await;
        desk.types("enter").await;
        assert_eq!(desk.place(), place, "after hiding all but {filter}");
        desk.types("ctrl-f").await;
    }
    for (columns, rows) in SIZES {
        desk.resizes(columns, rows).await;
        assert_eq!(desk.place(), place, "at {columns}×{rows}");
    }
    desk.resizes(120, 40).await;
    desk.goes_away(true);
    desk.passes(5_000).await;
    desk.goes_away(false);
    desk.passes(3_000).await;
    desk.sees(&["online"]).await;
    assert_eq!(desk.place(), place);
    assert!(desk.cursor_row().contains("\"together\":2"), "{}", desk.text());
}

#[tokio::test]
async fn a_range_is_shaded_and_copied_as_the_command_that_reads_it() {
    let mut desk = Desk::log("quakes", 120, 40).await;
    desk.types("t").await;
    desk.puts("2018-02-04 06:00").await;
    desk.types("enter v").await;
    desk.sees(&["range of 0ms: v ends it"]).await;
    desk.types("t").await;
    desk.puts("2018-02-04 08:00").await;
    desk.types("enter").await;
    desk.sees(&["range of 2h 0m: v ends it"]).await;
    desk.types("v g").await;
    desk.sees(&["range of 2h 0m: y copies what reads it"]).await;
    // Two of 24 hours, of 118 columns.
    assert!((10..=11).contains(&desk.reversed_bars()), "{} columns\n{}", desk.reversed_bars(), desk.text());
    desk.types("y").await;
    let command = "hourlog read quakes --since 2018-02-04T06:00:00Z --until 2018-02-04T08:00:00.000000001Z";
    assert_eq!(desk.copied(), command);
    desk.types("esc").await;
    assert_eq!(desk.reversed_bars(), 0);
    desk.sees(&["▸ quakes"]).await;
    desk.types("y").await;
    assert!(desk.copied().contains("minute"), "{}", desk.copied());
}

#[tokio::test]
async fn a_long_event_is_read_to_its_end() {
    let mut desk = Desk::log("quakes", 120, 40).await;
    let lines: Vec<String> = (0..100).map(|line| format!("line {line} {}.", "-".repeat(60))).collect();
    desk.hostile(0, hourlog::Record::new(lines.join("\n"))).await;
    desk.types("tab").await;
    desk.sees(&["line 0 --"]).await;
    for _ in 0..30 {
        desk.types("J").await;
    }
    desk.sees(&["line 99"]).await;
    for _ in 0..18 {
        desk.types("K").await;
    }
    desk.sees(&["│line 0 "]).await;
    // Unbroken, the end of a line is found further right.
    desk.types("w").await;
    assert!(!desk.text().contains("--."), "{}", desk.text());
    desk.types("l l l l").await;
    desk.sees(&["--."]).await;
    desk.types("h h h h w k").await;
    desk.sees(&["\"minute\":1439"]).await;
}

#[tokio::test]
async fn a_service_that_is_away_leaves_what_is_loaded_and_comes_back() {
    let mut desk = Desk::log("quakes", 120, 40).await;
    desk.types("g").await;
    desk.goes_away(true);
    desk.types("j j W 1").await;
    desk.sees(&["OFFLINE", "00:02:00.000"]).await;
    desk.goes_away(false);
    desk.passes(3_000).await;
    desk.sees(&["online", "PAUSED"]).await;
}

#[tokio::test]
async fn who_plays_faster_than_it_is_loaded_is_told_so_and_misses_nothing() {
    let mut desk = Desk::log("quakes", 120, 40).await;
    desk.types("g > > > > > > > > > >").await;
    desk.answers(false).await;
    desk.types("space").await;
    desk.passes(30_000).await;
    desk.sees(&["BUFFERING ×1000→×"]).await;
    desk.answers(true).await;
    desk.passes(5_000).await;
    desk.sees(&["PLAY ×1000"]).await;
    desk.passes(90_000).await;
    desk.sees(&["LIVE 2018-02-04 23:59:00.000"]).await;
}

#[tokio::test]
async fn who_has_paused_follows_again_with_the_same_key_that_stops_it() {
    let mut desk = Desk::log("quakes", 120, 40).await;
    desk.types("k k").await;
    desk.sees(&["PAUSED"]).await;
    desk.types("f").await;
    desk.sees(&["LIVE"]).await;
    desk.types("f").await;
    desk.sees(&["PAUSED", "not followed any more"]).await;
    desk.comes("quakes", 1).await;
    assert!(!desk.text().contains("new: G"), "{}", desk.text());
    desk.types("f").await;
    desk.sees(&["LIVE"]).await;
    assert!(desk.cursor_row().contains("late"), "{}", desk.text());
}

#[tokio::test]
async fn silence_is_skipped_where_that_is_wished_and_said() {
    let mut desk = Desk::log("sparse", 120, 40).await;
    desk.types("g i space").await;
    desk.passes(100).await;
    desk.sees(&["364d 23h skipped", "PLAY ×1 2018-02-03 23:59:58"]).await;
    desk.passes(3_000).await;
    desk.sees(&["LIVE 2018-02-04 00:00:00.000"]).await;
    // Two seconds of who watches, however fast it is played.
    desk.types("g > > > > space").await;
    desk.passes(1_500).await;
    desk.sees(&["PLAY ×16 2018-02-03 23:59:5"]).await;
    desk.passes(1_000).await;
    desk.sees(&["LIVE 2018-02-04 00:00:00.000"]).await;
}

#[tokio::test]
async fn an_event_that_a_filter_hides_keeps_the_playhead() {
    let mut desk = Desk::log("quakes", 120, 40).await;
    desk.types("g j j j &").await;
    desk.puts("\"minute\":1}").await;
    desk.types("enter").await;
    desk.sees(&["00:03:00.000 hidden by filter", "PAUSED 2018-02-04 00:03:00.000"]).await;
    desk.types("ctrl-f").await;
    desk.sees(&["PAUSED 2018-02-04 00:03:00.000"]).await;
    assert!(desk.cursor_row().contains("00:03:00.000"), "{}", desk.text());
}

#[tokio::test]
async fn what_takes_long_is_said_with_the_time_and_the_way_back() {
    let mut desk = Desk::open(120, 40).await;
    desk.answers(false).await;
    desk.types("enter").await;
    desk.passes(1_000).await;
    desk.sees(&["loading, 1.0s"]).await;
    desk.passes(5_000).await;
    desk.sees(&["the service at nats://here has not answered yet", "Esc goes back"]).await;
    desk.types("esc").await;
    desk.sees(&["sparse"]).await;
}

#[tokio::test]
async fn who_may_not_is_told_so_and_not_that_nobody_is_there() {
    let mut desk = Desk::open(120, 40).await;
    desk.denies(true);
    desk.passes(3_000).await;
    desk.sees(&["NOT ALLOWED", "quakes"]).await;
    desk.types("enter").await;
    desk.sees(&["not allowed, since", "hourlog.logs", "Esc goes back"]).await;
    assert!(!desk.text().contains("OFFLINE"), "{}", desk.text());
}

#[tokio::test]
async fn the_palette_does_what_the_keys_do_and_opens_logs() {
    let mut desk = Desk::log("quakes", 120, 40).await;
    desk.types(":").await;
    desk.puts("whole log").await;
    desk.sees(&["0  the whole log"]).await;
    desk.types("esc :").await;
    desk.puts("log sparse").await;
    desk.types("enter").await;
    desk.sees(&["▸ sparse"]).await;
}

#[tokio::test]
async fn each_size_has_its_own_screen_and_none_is_too_small() {
    for (columns, rows) in SIZES {
        let mut desk = Desk::open(columns, rows).await;
        let logs = desk.text();
        desk.types("enter").await;
        let log = desk.text();
        match (columns, rows) {
            (1, 1) => assert_eq!(log, "n"),
            (39, 9) => assert!(log.starts_with("need 40x10, have 39x9"), "{log}"),
            _ => {
                assert!(logs.contains("quakes") && log.contains("LIVE") && log.contains('█'), "{logs}\n{log}");
                assert_eq!(log.contains('┯'), columns >= 60, "{log}");
                assert_eq!(log.contains("events in window"), columns >= 80, "{log}");
                assert_eq!(log.contains("Pretty"), columns >= 120, "{log}");
                assert!(desk.cursor_row().contains("23:59:00.000"), "{log}");
                desk.types("enter").await;
                assert!(desk.text().contains("Pretty"), "{}", desk.text());
            }
        }
    }
}

#[tokio::test]
async fn without_colours_and_beyond_ascii_nothing_is_lost() {
    let mut desk = Desk::plain(80, 24).await;
    desk.types("enter g m j").await;
    assert!(desk.text().is_ascii(), "{}", desk.text());
    assert!(!desk.has_colour(), "a colour is drawn");
    desk.sees(&["PAUSED", "*", "#", "="]).await;
    assert!(desk.cursor_row().contains("00:01:00.000"), "the cursor cannot be told without colour");
}

#[tokio::test]
async fn help_has_every_key() {
    let mut desk = Desk::log("quakes", 120, 70).await;
    desk.types("?").await;
    for binding in console::tui::keymap::KEYMAP {
        assert!(desk.text().contains(binding.help), "{}\n{}", binding.help, desk.text());
    }
    desk.types("esc").await;
    desk.sees(&["LIVE"]).await;
}
