//! The messages of a session: notices, errors, outages and recoveries.

use super::harness::{Harness, SIZES};

/// Opens a console with four messages: two notices, an outage and its end.
async fn opened(columns: u16, rows: u16) -> Harness {
    let mut console = Harness::open(columns, rows).await;
    console.press("esc").await;
    console.set_down(true);
    console.advance(3_000).await;
    console.set_down(false);
    console.advance(4_000).await;
    console.press("2").await;
    console
}

/// The first rows of the list, without blanks at their ends.
fn rows(console: &Harness, count: usize) -> Vec<String> {
    console.text().lines().skip(2).take(count).map(|line| line.trim().to_owned()).collect()
}

#[tokio::test]
async fn messages_are_kept_with_their_times_the_newest_first() {
    let mut console = opened(120, 40).await;
    console.shows(&["4 (2 new)"]).await;
    console.press("4").await;
    console.shows(&["▸ messages", "4 messages of this session, newest first", "1 2 3 4 screens"]).await;
    let list = rows(&console, 4);
    assert!(list[0].starts_with("▸00:00:07") && list[0].contains("no log was open yet"), "{}", console.text());
    assert!(list[1].contains("● the service answers again, after "), "{}", console.text());
    assert!(list[2].contains("! nobody answers"), "{}", console.text());
    assert_eq!(list[3], "00:00:00      q quits");
    // They were seen.
    console.press("q").await;
    assert!(!console.text().contains("new)"), "{}", console.text());
}

#[tokio::test]
async fn repeats_are_counted_in_one_line() {
    let mut console = opened(120, 40).await;
    for _ in 0..3 {
        console.advance(1_000).await;
        console.press("2").await;
    }
    console.press("4").await;
    console.shows(&["4 messages", "×4 since 00:00:07", "4 times, first 00:00:07, last 00:00:10"]).await;
    console.press("esc").await;
    console.shows(&["5 messages", "q goes back"]).await;
}

#[tokio::test]
async fn a_search_narrows_the_list_and_a_message_is_copied() {
    let mut console = opened(120, 40).await;
    console.press("4 /").await;
    console.type_text("answers").await;
    console.shows(&["find: answers", "/ answers   2 shown"]).await;
    console.press("enter j y").await;
    assert_eq!(console.copied(), "2018-02-05T00:00:02Z nobody answers");
    console.shows(&["the message was sent to the terminal"]).await;
    console.press("/").await;
    console.type_text(" twice").await;
    console.shows(&["no message matches; Esc shows all", "0 shown"]).await;
    console.press("esc").await;
    console.shows(&["5 messages", "no log was open yet"]).await;
    console.press("/ N o enter").await;
    console.shows(&["0 shown"]).await;
}

#[tokio::test]
async fn a_denied_request_is_a_message_with_its_subject() {
    let mut console = Harness::open(120, 40).await;
    console.set_denied(true);
    console.advance(6_000).await;
    console.shows(&["4 (1 new)"]).await;
    console.press("4").await;
    console.shows(&["! the server does not let you publish to hourlog.logs", "NOT ALLOWED"]).await;
    assert!(!console.text().contains('×'), "an outage that lasts is one message\n{}", console.text());
    // The user sees a message that comes while the screen is open.
    console.set_denied(false);
    console.set_down(true);
    console.advance(3_000).await;
    console.shows(&["2 messages", "nobody answers"]).await;
    assert!(!console.text().contains("new)"), "{}", console.text());
}

#[tokio::test]
async fn an_outage_of_an_open_log_is_one_message_and_so_is_its_end() {
    let mut console = Harness::log("quakes", 120, 40).await;
    console.press("g").await;
    console.set_down(true);
    console.press("W 1").await;
    console.advance(5_000).await;
    console.shows(&["OFFLINE", "4 (1 new)"]).await;
    console.set_down(false);
    console.advance(3_000).await;
    console.shows(&["PAUSED", "4 (2 new)"]).await;
    console.press("4").await;
    console.shows(&["! nobody answers", "● the service answers again, after "]).await;
}

#[tokio::test]
async fn every_size_of_the_messages_has_a_layout_or_a_message() {
    let mut console = opened(120, 40).await;
    console.press("4").await;
    for (columns, rows) in SIZES {
        console.resize(columns, rows).await;
        let text = console.text();
        match (columns, rows) {
            (1, 1) => assert_eq!(text, "n"),
            (39, 9) => assert!(text.starts_with("need 40x10, have 39x9"), "{text}"),
            _ => {
                assert!(console.cursor_row().contains("no log was open"), "{text}");
                assert!(text.contains("! nobody answers") && text.contains("messages"), "{text}");
            }
        }
    }
    console.resize(80, 24).await;
    console.draw_plainly().await;
    console.shows(&[">00:00:07", "! nobody answers", "* the service answers again"]).await;
    assert!(console.text().is_ascii() && !console.has_colour(), "{}", console.text());
}

#[tokio::test]
async fn a_pasted_text_is_one_to_find() {
    let mut console = opened(120, 40).await;
    console.press("4").await;
    console.paste("nobody").await;
    console.shows(&["find: nobody", "1 shown"]).await;
    console.press("enter 3").await;
    console.paste("rm -rf").await;
    assert!(!console.text().contains("rm -rf"), "{}", console.text());
}
