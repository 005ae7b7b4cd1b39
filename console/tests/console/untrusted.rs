//! What came over the wire is drawn as what it is, and draws nothing itself.

use hourlog::Record;

use super::desk::Desk;

/// What would move the cursor, change colours, titles or the clipboard, turn the direction of reading, or hide.
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
async fn hostile_payloads_leave_the_grid_as_it_is() {
    for (columns, rows) in [(120, 40), (80, 24), (40, 10)] {
        let mut desk = Desk::log("quakes", columns, rows).await;
        let head = desk.text().lines().next().unwrap_or_default().to_owned();
        let foot = desk.text().lines().last().unwrap_or_default().to_owned();
        desk.comes("quakes", 1).await;
        for (number, text) in HOSTILE.iter().enumerate() {
            desk.hostile(number as u64, Record::new(*text).with("evil", text.replace(['\r', '\n', '\0'], " "))).await;
            for keys in ["tab", "tab", "tab", "tab", "enter", "enter"] {
                desk.types(keys).await;
                let screen = desk.text();
                assert_eq!(screen.lines().next(), Some(head.as_str()), "{text:?} drew over the header\n{screen}");
                assert_eq!(screen.lines().last(), Some(foot.as_str()), "{text:?} drew over the footer\n{screen}");
                assert!(!screen.contains('\x1b') && !screen.contains('\u{202e}') && !screen.contains('\u{200b}'));
            }
        }
        desk.types("home").await;
        assert!(desk.cursor_row().contains("00:00:00.000"), "{}", desk.text());
    }
}
