//! The screen of the service: its instances, their endpoints, and what waits for the archive.

use console::tui::{
    keymap::{KEYMAP, KeyScope},
    report::InstanceStats,
};
use hourlog::{Offset, wire::StatusReply};
use serde_json::{Value, json};

use super::harness::{DAY, Harness, SIZES, START};

/// An instance that was started four days before the tests' present.
struct Fake {
    id: &'static str,
    /// Name, requests, errors and the last error of each endpoint.
    endpoints: Vec<(&'static str, u64, u64, &'static str)>,
    lag: u64,
    /// Reason why the archive is degraded.
    degraded: Option<&'static str>,
    /// Its slots, and if it hears its own heartbeats; `None` if it does not share its archive.
    share: Option<(u32, bool)>,
}

impl Fake {
    fn new(id: &'static str) -> Self {
        let endpoints =
            vec![("append", 400, 2, "429:the stream is full"), ("replay", 1_204, 0, ""), ("schema", 0, 0, "")];
        Self { id, endpoints, lag: 0, degraded: None, share: None }
    }

    fn answer(&self) -> (StatusReply, InstanceStats) {
        let (started, now) = (Offset::from_nanos(START - 3 * DAY), Offset::from_nanos(START + DAY));
        let ok = json!({ "ok": true });
        let archive = match self.degraded {
            Some(reason) => json!({ "ok": false, "since": "2018-02-04T23:59:19Z", "reason": reason }),
            None => ok.clone(),
        };
        let share = self.share.map(|(slots, alive)| {
            json!({ "slots": slots, "since": started, "others": 1, "leads": false, "alive": alive, "relayed": 0 })
        });
        let (requests, errors) =
            self.endpoints.iter().fold((0, 0), |sum, endpoint| (sum.0 + endpoint.1, sum.1 + endpoint.2));
        let status = json!({
            "instance": self.id, "version": "0.3.0", "started": started, "now": now, "prefix": "hourlog",
            "archive": { "kind": "cql", "id": "x", "state": archive, "rollbacks": 0 },
            "share": share,
            "sources": [{
                "stream": "HOURLOG", "kind": "wal", "reading": ok, "settings": ok, "answering": ok, "storing": ok,
                "progress": ok, "lag_messages": self.lag, "lag_seconds": if self.lag > 0 { 41.0 } else { 0.0 },
                "published": 10, "archived": 7, "catching_up": 0, "messages": 10, "bytes": 500, "bytes_max": 1_000,
                "removed_messages": 0,
            }],
            "counters": {
                "ingested": 0, "ingested_bytes": 0, "archived": 0, "archived_bytes": 0, "replayed": 0, "replayed_bytes": 0,
                "rejected": 0, "requests": requests, "request_errors": errors, "replies_dropped": 0, "logs": 1,
                "logs_awake": 218, "logs_failed": 0,
            },
        });
        let endpoint = |(name, requests, errors, last_error): &(&str, u64, u64, &str)| -> Value {
            json!({
                "name": name, "num_requests": requests, "num_errors": errors, "last_error": last_error,
                "processing_time": requests * 800_000,
            })
        };
        let stats = json!({
            "id": self.id, "version": "0.3.0", "metadata": { "prefix": "hourlog" },
            "endpoints": self.endpoints.iter().map(endpoint).collect::<Vec<_>>(),
        });
        let stats = InstanceStats::parse(stats.to_string().as_bytes(), "hourlog", 0).expect("they are counts");
        (serde_json::from_value(status).expect("it is a status"), stats)
    }
}

/// Opens a console on the screen of a service with two instances, after two answers.
async fn opened(columns: u16, rows: u16) -> Harness {
    let mut console = Harness::open(columns, rows).await;
    let (mut a, b) = (Fake::new("A7K2"), Fake::new("QX09"));
    console.set_instances(vec![a.answer(), b.answer()]);
    console.press("3").await;
    for endpoint in &mut a.endpoints[..2] {
        endpoint.1 += 20;
    }
    console.set_instances(vec![a.answer(), b.answer()]);
    console.advance(2_000).await;
    console
}

#[tokio::test]
async fn the_service_shows_its_instances_and_the_endpoints_of_one() {
    let console = opened(120, 40).await;
    console.shows(&["hourlog ▸ nats://here ▸ service", "2 of 2 answer", "● online", "endpoints of A7K2"]).await;
    let line = |name: &str| {
        let text = console.text();
        let line = text.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("no {name}\n{text}"));
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line(" A7K2 "), "▸ A7K2 0.3.0 4d 00h 20.0 2 800us 218 ok 0");
    assert_eq!(line(" QX09 "), "QX09 0.3.0 4d 00h 0 2 800us 218 ok 0");
    assert!(line(" append ").starts_with("append 420 10.0 2 800us ·····"), "{}", console.text());
    assert!(line(" append ").ends_with("·█ 429 the stream is full"), "{}", console.text());
    assert!(line(" replay ").starts_with("replay 1,224 10.0 0 800us ·····"), "{}", console.text());
    console.shows(&["1 endpoint without a request", "one scale for all strips, peak 10.0/s"]).await;
    console.shows(&["stream HOURLOG · 42.0 MB of 10.0 GB · nothing waits", "└since 00:00", "└now"]).await;
}

#[tokio::test]
async fn a_restarted_instance_begins_again_and_the_silent_one_is_named() {
    let mut console = opened(120, 40).await;
    let mut again = Fake::new("B000");
    again.endpoints[0].1 = 1;
    console.set_instances(vec![again.answer(), Fake::new("QX09").answer()]);
    console.advance(2_000).await;
    console.shows(&["2 of 3 answer", "A7K2 has not answered since 00:00:02", "silent 2s", "it does not answer"]).await;
    assert!(console.cursor_row().starts_with("▸! A7K2"), "{}", console.text());
    console.press("j").await;
    // The first answer of a run has no rate yet.
    assert!(console.cursor_row().split_whitespace().any(|cell| cell == "–"), "{}", console.text());
    console.shows(&["endpoints of B000"]).await;
    console.advance(2_000).await;
    assert!(!console.cursor_row().contains('–'), "{}", console.text());
    console.press("G").await;
    console.shows(&["endpoints of QX09"]).await;
}

#[tokio::test]
async fn a_degraded_archive_is_explained_and_what_waits_grows() {
    let mut console = opened(120, 40).await;
    for lag in [10, 500, 18_204] {
        let degraded = Some("no node of the keyspace answers");
        console.set_instances(vec![Fake { lag, degraded, ..Fake::new("M3PD") }.answer()]);
        console.advance(20_000).await;
    }
    console.press("g j").await;
    console.shows(&["degraded 41s", "18,204", "M3PD: the archive is degraded since 23:59:19: no node of the"]).await;
    console.shows(&["· oldest 41s", " 18k┤", "   0┤", "└since 00:00"]).await;
    console.advance(600_000).await;
    // The instances that do not answer any more are forgotten.
    console.shows(&["└10 minutes ago", "└now", "1 of 1 answers"]).await;
}

#[tokio::test]
async fn instances_that_share_an_archive_show_their_slots_and_one_without_heartbeats_is_named() {
    for columns in [120, 80, 60] {
        let mut console = opened(columns, 40).await;
        assert!(!console.text().contains("slots"), "{}", console.text());
        let shares = |alive| {
            let share = |id, slots, alive| Fake { share: Some((slots, alive)), ..Fake::new(id) }.answer();
            vec![share("A7K2", 37, true), share("QX09", 27, alive)]
        };
        console.set_instances(shares(true));
        console.advance(2_000).await;
        console.shows(&["slots", " 37 ", " 27 "]).await;
        assert!(!console.text().contains("heartbeats"), "{}", console.text());
        console.set_instances(shares(false));
        console.advance(2_000).await;
        console.press("j").await;
        assert!(console.cursor_row().starts_with("▸! QX09"), "{}", console.text());
        console.shows(&["QX09 does not hear its own heartbeats"]).await;
    }
}

#[tokio::test]
async fn a_denied_question_is_named_and_the_rest_is_shown() {
    let mut console = opened(120, 40).await;
    console.set_stats_denied(true);
    console.advance(2_000).await;
    console.shows(&["● online", "Publish to \"$SRV.STATS.hourlog\"", "\"$JS.API.STREAM.INFO.HOURLOG\""]).await;
    // The status has the bytes of the stream, too, and nobody has the mean and the endpoints.
    console.shows(&["500 B of 1.0 KB", "they could not be read"]).await;
    assert!(console.cursor_row().contains('–'), "{}", console.text());
    console.set_denied(true);
    console.advance(3_000).await;
    console.shows(&["NOT ALLOWED", "hourlog.logs", "0 of 2 answer"]).await;
}

#[tokio::test]
async fn a_service_that_is_down_is_reported_with_what_to_do() {
    let mut console = Harness::open(120, 40).await;
    console.set_down(true);
    console.press("3").await;
    console.shows(&["OFFLINE since", "the service does not answer", "nobody answers", "asked at nats://here"]).await;
    console.press("d").await;
    assert_eq!(console.copied(), "hourlog doctor");
}

#[tokio::test]
async fn the_service_is_asked_only_while_it_is_seen() {
    let mut console = opened(120, 40).await;
    // A report is counted as two requests; the list of logs is not asked for meanwhile.
    let before = console.request_count();
    console.advance(10_000).await;
    assert_eq!(console.request_count() - before, 10);
    console.press("q").await;
    console.shows(&["ordered by last event"]).await;
    // After a pause, the last rate is not that of now.
    console.press("3").await;
    assert!(console.cursor_row().contains('–'), "{}", console.text());
}

#[tokio::test]
async fn digits_go_to_screens_and_q_goes_back_to_where_one_was() {
    let mut console = opened(120, 40).await;
    console.press("2").await;
    console.shows(&["no log was open yet", "endpoints of"]).await;
    console.press("q / q u enter enter").await;
    console.shows(&["quakes", "Pretty"]).await;
    console.press("3 4").await;
    console.shows(&["▸ messages", "newest first"]).await;
    console.press("q").await;
    console.shows(&["▸ service"]).await;
    console.press("q").await;
    console.shows(&["quakes", "Pretty"]).await;
    console.press("1").await;
    console.shows(&["best match first"]).await;
    console.press("2").await;
    console.shows(&["quakes", "Pretty"]).await;
    console.press("3 2").await;
    console.shows(&["quakes", "Pretty"]).await;
    // In a prompt, a digit is a letter or a choice.
    console.press("W 3").await;
    console.shows(&["Pretty", "bars of"]).await;
    console.press("/ 3 4").await;
    console.shows(&["search: 34"]).await;
}

#[tokio::test]
async fn the_palette_finds_the_screens_by_what_they_show() {
    /// Row of the first choice: twelve of them are above the footer.
    const FIRST_CHOICE: usize = 40 - 1 - 12;
    let mut console = opened(120, 40).await;
    for keys in ["3", "4", "q q", "/ q u enter enter"] {
        console.press(keys).await;
        for (word, name) in [
            ("service", "service"),
            ("instances", "service"),
            ("status", "service"),
            ("messages", "messages"),
            ("errors", "messages"),
            ("log of messages", "messages"),
        ] {
            console.press(":").await;
            console.type_text(word).await;
            let text = console.text();
            let row = text.lines().nth(FIRST_CHOICE).unwrap_or_default();
            assert!(row.split("  ").any(|part| part.trim() == name), "{keys}: {word} finds {row}");
            console.press("esc").await;
        }
    }
    console.press(":").await;
    console.type_text("status").await;
    console.press("enter").await;
    console.shows(&["endpoints of A7K2"]).await;
    // A log that is chosen in the palette is what is seen then.
    console.press(":").await;
    console.type_text("log sparse").await;
    console.press("enter").await;
    console.shows(&["▸ sparse", "Pretty"]).await;
}

#[tokio::test]
async fn every_size_of_the_service_has_a_layout_or_a_message() {
    let mut console = opened(120, 40).await;
    for (columns, rows) in SIZES {
        console.resize(columns, rows).await;
        let text = console.text();
        match (columns, rows) {
            (1, 1) => assert_eq!(text, "n"),
            (39, 9) => assert!(text.starts_with("need 40x10, have 39x9"), "{text}"),
            _ => {
                assert!(console.cursor_row().contains("A7K2") && text.contains("endpoints of A7K2"), "{text}");
                assert!(text.contains("replay") && text.contains("HOURLOG"), "{text}");
                assert_eq!(text.contains("last minute"), columns >= 80, "{text}");
                assert_eq!(text.contains("429 the stream is full"), rows >= 20, "{text}");
                assert_eq!(text.contains("└now"), rows >= 20, "{text}");
            }
        }
    }
}

#[tokio::test]
async fn the_service_is_drawn_in_ascii_and_without_colours() {
    for (columns, rows) in [(120, 40), (80, 24)] {
        let mut console = opened(columns, rows).await;
        let degraded = Some("Plattenplatz für 100 € fehlt");
        console.set_instances(vec![Fake { lag: 7, degraded, ..Fake::new("A7K2") }.answer()]);
        console.advance(2_000).await;
        console.draw_plainly().await;
        console.shows(&[">! A7K2", "degraded 41s", "+now", "endpoints of A7K2", "#"]).await;
        assert!(console.text().is_ascii() && !console.has_colour(), "{}", console.text());
    }
}

#[tokio::test]
async fn hostile_texts_of_the_service_are_shown_and_never_obeyed() {
    const HOSTILE: &str = "\x1b[2J\u{202e}\r\n\u{9b}31m日本\u{200b}";
    let mut console = opened(120, 40).await;
    let endpoints = vec![(HOSTILE, u64::MAX, u64::MAX, HOSTILE), ("append", u64::MAX, 1, "")];
    for columns in [120, 80, 60, 40] {
        console.resize(columns, 30).await;
        let head = console.text().lines().next().unwrap_or_default().to_owned();
        let (mut status, mut stats) = Fake { degraded: Some(HOSTILE), lag: u64::MAX, ..Fake::new(HOSTILE) }.answer();
        (status.version, status.sources[0].stream) = (HOSTILE.to_owned(), HOSTILE.to_owned());
        stats.version = HOSTILE.to_owned();
        for (endpoint, (name, requests, errors, last_error)) in stats.endpoints.iter_mut().zip(&endpoints) {
            (endpoint.name, endpoint.last_error) = ((*name).to_owned(), (*last_error).to_owned());
            (endpoint.requests, endpoint.errors, endpoint.nanos) = (*requests, *errors, u64::MAX);
        }
        console.set_instances(vec![(status, stats)]);
        console.advance(4_000).await;
        console.press("g").await;
        let text = console.text();
        assert!(text.starts_with(head.split("  ").next().unwrap_or_default()), "{text}");
        assert!(!text.contains(['\x1b', '\u{202e}', '\u{200b}', '\u{9b}']) && text.contains('␛'), "{text}");
    }
}

#[tokio::test]
async fn the_mouse_chooses_an_instance() {
    let mut console = opened(120, 40).await;
    console.press("f2").await;
    console.mouse("press 20 3").await;
    console.shows(&["endpoints of QX09"]).await;
    console.mouse("press 20 30").await;
    console.shows(&["endpoints of QX09"]).await;
    console.mouse("up 20 3").await;
    console.shows(&["endpoints of A7K2"]).await;
}

#[tokio::test]
async fn the_help_lists_the_keys_of_both_screens() {
    let mut console = opened(200, 70).await;
    for (key, scope) in [("3", KeyScope::Service), ("4", KeyScope::Messages)] {
        console.press(key).await;
        console.press("?").await;
        for binding in KEYMAP.iter().filter(|binding| [scope, KeyScope::Everywhere].contains(&binding.scope)) {
            let start: Vec<&str> = binding.help.split_whitespace().take(3).collect();
            console.shows(&[&start.join(" ")]).await;
        }
        console.press("esc").await;
    }
}

#[tokio::test]
async fn a_reading_each_two_seconds_fills_the_strip() {
    let mut console = opened(120, 40).await;
    console.advance(70_000).await;
    let text = console.text();
    let append = text.lines().find(|line| line.contains(" append ")).expect("it has requests");
    assert!(!append.contains('·'), "a minute of readings leaves no hole\n{text}");
    assert!(append.contains(" 0 "), "{text}");
}
