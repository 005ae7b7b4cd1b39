//! The scrubber tells the truth, and everything goes by one playhead.

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::harness::{DAY, Harness, START};

const SECOND: i64 = 1_000_000_000;

#[tokio::test]
async fn the_bars_of_any_window_sum_up_to_its_events() {
    let mut random = StdRng::seed_from_u64(1);
    // Bursts, pauses and single events, at any nanosecond of a day.
    let mut times: Vec<i64> = (0..400).map(|_| random.random_range(0..DAY)).collect();
    for _ in 0..12 {
        let from = random.random_range(0..DAY - SECOND);
        times.extend((0..60).map(|_| from + random.random_range(0..SECOND)));
    }
    times.sort_unstable();
    let mut console = Harness::with_events(&times, 0).await;
    for window in 0..200 {
        match random.random_range(0..4) {
            0 => console.press("+ + +").await,
            1 => console.press("- -").await,
            2 => console.press(["W 1", "W 3", "0"][random.random_range(0..3)]).await,
            _ => {}
        }
        let seconds = random.random_range(0..DAY) / SECOND;
        let (hours, rest) = (seconds / 3_600, seconds % 3_600);
        console.press("t").await;
        console.type_text(&format!("2018-02-04 {hours:02}:{:02}:{:02}", rest / 60, rest % 60)).await;
        console.press("enter").await;
        let (from, to) = console.grid().window();
        let inside = times.iter().filter(|time| (from.nanos()..to.nanos()).contains(&(START + **time))).count();
        let bars = console.bars().expect("all of them were counted");
        assert_eq!(bars.iter().sum::<u64>(), inside as u64, "window {window}: {from} to {to}\n{}", console.text());
        for (bar, edges) in console.grid().edges().windows(2).enumerate() {
            let brute = times.iter().filter(|time| (edges[0].nanos()..edges[1].nanos()).contains(&(START + **time)));
            assert_eq!(bars[bar], brute.count() as u64, "bar {bar} of window {window}");
        }
    }
}

#[tokio::test]
async fn moving_the_cursor_changes_no_bar() {
    let mut console = Harness::log("quakes", 120, 40).await;
    console.press("t").await;
    console.type_text("2018-02-04 12:00").await;
    console.press("enter + + +").await;
    let (grid, bars) = (console.grid().clone(), console.bars());
    for keys in ["j j k", "left", "right right", "j", "shift-left", "m", "pgdn", "tab"] {
        console.press(keys).await;
        assert_eq!((console.grid(), console.bars()), (&grid, bars.clone()), "after {keys}");
    }
}

#[tokio::test]
async fn bars_that_the_index_does_not_tell_apart_are_hatched_until_they_are_read() {
    let times: Vec<i64> = (0..60).map(|second| second * SECOND).collect();
    let mut console = Harness::with_events(&times, 0).await;
    console.hold_replies();
    console.press("W 2").await;
    console.release_replies_one_by_one(1).await;
    console.shows(&["mean of the index", "~"]).await;
    assert_eq!(console.bars(), None);
    console.release_replies().await;
    assert_eq!(console.bars().map(|bars| bars.iter().sum::<u64>()), Some(60));
    assert!(!console.text().contains("mean of the index"), "{}", console.text());
}

#[tokio::test]
async fn everything_goes_by_the_playhead_between_two_events() {
    let minutes: Vec<i64> = [0, 600, 1_200].map(|minute| minute * 60 * SECOND).to_vec();
    let mut console = Harness::with_events(&minutes, 0).await;
    console.press("t").await;
    console.type_text("2018-02-04 05:00").await;
    console.press("enter").await;
    let five = START + 5 * 3_600 * SECOND;
    console
        .shows(&["PAUSED  2018-02-04 Sun 05:00:00.000", "▸05:00:00.000  ┄ next event in 5h 00m ┄", "▲05:00:00.000"])
        .await;
    // The window is around it, zooming keeps it, a mark is at it, and a range begins there.
    console.press("W 3").await;
    let (from, to) = console.grid().window();
    assert!((from.nanos()..to.nanos()).contains(&five) && to.nanos() - from.nanos() <= 3_700 * SECOND);
    let place = console.grid().bar(console.playhead()).expect("it is inside") * 10 / console.grid().bars();
    console.press("- + +").await;
    assert_eq!(console.grid().bar(console.playhead()).expect("it is inside") * 10 / console.grid().bars(), place);
    console.press("m v g ]").await;
    assert_eq!(console.playhead().nanos(), five);
    console.shows(&["◆05:00:00.000", "v ends it"]).await;
    // A step goes to the next event from it, and playing begins at it.
    console.press("j").await;
    console.shows(&["PAUSED  2018-02-04 Sun 10:00:00.000"]).await;
    console.press("[ > < space").await;
    assert_eq!(console.playhead().nanos(), five);
    console.advance(2_000).await;
    assert_eq!(console.playhead().nanos(), five + 2 * SECOND);
    console.shows(&["PLAY ×1", "to come: next in 4h 59m"]).await;
}

#[tokio::test]
async fn undo_brings_the_window_back() {
    let mut console = Harness::log("quakes", 120, 40).await;
    console.press("t").await;
    console.type_text("2018-02-04 06:00").await;
    console.press("enter W 3").await;
    let before = (console.grid().clone(), console.playhead());
    console.press("G").await;
    assert_ne!(console.grid(), &before.0);
    console.press("u").await;
    assert_eq!((console.grid(), console.playhead()), (&before.0, before.1));
}

#[tokio::test]
async fn a_step_to_another_bar_is_a_step_of_the_zone() {
    let mut console = Harness::log("quakes", 120, 40).await;
    console.press("t").await;
    console.type_text("2018-02-04 10:07").await;
    console.press("enter right").await;
    console.shows(&["PAUSED  2018-02-04 Sun 10:15:00.000"]).await;
    console.press("left left").await;
    console.shows(&["PAUSED  2018-02-04 Sun 09:45:00.000"]).await;
}
