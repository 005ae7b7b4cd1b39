//! Events and log ids cannot control the terminal: their bytes are shown and never obeyed.

use hourlog::Record;

use super::harness::Harness;

/// Texts that would move the cursor, change colours, the title or the clipboard, reverse the
/// reading direction, or be invisible.
const HOSTILE: [&str; 10] = [
    "\x1b[2J\x1b[H owned",
    "\x1b]0;title\x07\x1b]52;c;b3duZWQ=\x07",
    "\u{9b}31mred\u{9b}0m",
    "\x1bP+q544e\x1b\\ \x1b[6n \x1b[?1049l",
    "\r\n\r\nroot@host:~# ",
    "\u{202e}txt.exe\u{2066}",
    "z\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}\u{308}\u{309}\u{30a}",
    "wide 日本語 👨‍👩‍👧‍👦 ｗｉｄｅ",
    "\t\ttabs\t\x08\x08\x7f",
    "\0\u{feff}\u{200b}\u{e0041}",
];

#[tokio::test]
async fn hostile_payloads_leave_the_rest_of_the_screen_unchanged() {
    for (columns, rows) in [(120, 40), (80, 24), (40, 10)] {
        let mut console = Harness::log("quakes", columns, rows).await;
        let head = console.text().lines().next().unwrap_or_default().to_owned();
        let foot = console.text().lines().last().unwrap_or_default().to_owned();
        for (number, text) in HOSTILE.iter().enumerate() {
            console
                .receive_record(number as u64, Record::new(*text).with("evil", text.replace(['\r', '\n', '\0'], " ")))
                .await;
            for keys in ["tab", "tab", "tab", "tab", "enter", "enter"] {
                console.press(keys).await;
                let screen = console.text();
                let begins = |line: Option<&str>| {
                    line.is_some_and(|line| line.starts_with(head.split("  ").next().unwrap_or_default()))
                };
                assert!(begins(screen.lines().next()), "{text:?} drew over the header\n{screen}");
                let pinned = foot.trim_end().rsplit("  ").next().unwrap_or_default();
                let ends = screen.lines().last().is_some_and(|line| line.trim_end().ends_with(pinned));
                assert!(ends, "{text:?} drew over the footer\n{screen}");
                assert!(!screen.contains('\x1b') && !screen.contains('\u{202e}') && !screen.contains('\u{200b}'));
            }
        }
        console.press("home").await;
        assert!(console.cursor_row().contains("00:00:00.000"), "{}", console.text());
    }
}

#[tokio::test]
async fn hostile_ids_are_shown_and_copied_as_text() {
    const ID: &str = "it's;$(id)&\u{202e}\u{200b}.\u{301}é";
    const SHOWN: &str = "it's;$(id)&<U+202E><U+200B>";
    const IN_LIST: &str = "<U+200B>";
    let hides = |screen: &str| screen.contains(['\x1b', '\u{202e}', '\u{200b}']);
    let mut console = Harness::log_named(ID, 120, 40).await;
    console.shows(&[SHOWN, "▸ "]).await;
    console.press("tab tab tab").await;
    console.shows(&["log            it's;$(id)&<U+202E>"]).await;
    assert!(!hides(&console.text()), "{}", console.text());
    console.press("v v y r").await;
    let command = "hourlog read $'it\\'s;$(id)&\\U0000202e\\U0000200b.\\U00000301\\U000000e9' --since ";
    assert!(console.copied().starts_with(command), "{}", console.copied());
    // The list, the search by letters and the palette.
    console.press("esc q").await;
    console.shows(&[IN_LIST, "ordered by last event"]).await;
    console.press("/").await;
    console.type_text("it'é").await;
    console.shows(&[IN_LIST]).await;
    console.press("esc :").await;
    console.type_text("log it").await;
    console.shows(&[&format!("log {SHOWN}")]).await;
    assert!(!hides(&console.text()), "{}", console.text());
}
