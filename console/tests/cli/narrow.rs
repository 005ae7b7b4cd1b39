//! Tables on a terminal of 80 columns, whatever is in them.

use std::{fs::File, io::Read, process::Stdio};

use nix::pty::{Winsize, openpty};
use unicode_width::UnicodeWidthStr;

use crate::{Stage, json_lines};

/// Runs `hourlog` with a terminal of this width as its standard output, and returns what it prints there.
async fn on_terminal(stage: &Stage, columns: u16, args: &str) -> String {
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(&size, None).expect("the system has a free pseudo-terminal");
    let (mut screen, terminal) = (File::from(pty.master), File::from(pty.slave));
    let mut command = stage.command(args);
    command.env("TERM", "xterm").env("NO_COLOR", "1").stdout(terminal).stderr(Stdio::null());
    let reader = tokio::task::spawn_blocking(move || {
        let (mut text, mut bytes) = (Vec::new(), [0; 4096]);
        // The read fails once the other side is closed.
        while let Ok(count @ 1..) = screen.read(&mut bytes) {
            text.extend_from_slice(&bytes[..count]);
        }
        String::from_utf8(text).expect("the output is UTF-8").replace("\r\n", "\n")
    });
    let ended = tokio::process::Command::from(command).status().await.expect("the binary can be started");
    assert!(ended.code() == Some(0) || args.starts_with("doctor"), "hourlog {args}: {ended}");
    reader.await.expect("the reader does not panic")
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_fit_eighty_columns_and_a_pipe_gets_everything() {
    let stage = Stage::open().await;
    let long = format!("devices.{}.temperature", "0123456789abcdef".repeat(8));
    let wide = "注文.日本.東京.千代田区.丸の内.一丁目.店舗.入荷.冷蔵.野菜.根菜";
    for id in [&long, wide] {
        for time in ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"] {
            let data = "日本語 and a long text ".repeat(8);
            let written = stage.run(&format!("pub {id} '{data}' --at {time} -H 'kind:{}'", "x".repeat(60))).await;
            assert_eq!(written.code, Some(0), "{}", written.stderr);
        }
        let name = "n".repeat(64);
        assert_eq!(stage.run(&format!("cursor set {id} {name} now")).await.code, Some(0));
    }
    for args in [
        "ls".to_owned(),
        "ls --all".to_owned(),
        format!("describe {long}"),
        format!("describe {wide}"),
        format!("hist {long} --step 30m"),
        format!("hist {wide} --bins 3"),
        format!("cursor list {long}"),
        format!("cursor get {wide} {}", "n".repeat(64)),
        "status".to_owned(),
        "doctor".to_owned(),
    ] {
        let text = on_terminal(&stage, 80, &format!("{args} --tz Europe/Oslo")).await;
        let widest = text.lines().map(UnicodeWidthStr::width).max();
        assert!((1..=80).contains(&widest.unwrap_or(0)), "hourlog {args}:\n{text}");
    }
    // Four columns more, for the rates: they take room once the service has counted for five seconds.
    let narrow = on_terminal(&stage, 84, "ls --tz Europe/Oslo").await;
    assert!(narrow.contains("LAST (Oslo)") && narrow.contains("devices.0123"), "{narrow}");
    assert!(narrow.contains('…') && narrow.contains(".temperature ") && !narrow.contains(&long), "{narrow}");
    let full = on_terminal(&stage, 300, "ls --tz Europe/Oslo").await;
    assert!(full.contains("FIRST (Europe/Oslo)") && full.contains(&long) && full.contains(wide), "{full}");
    // Without a terminal nothing is cut.
    let table = stage.run("ls -o table").await;
    let table = String::from_utf8(table.stdout).expect("stdout is UTF-8");
    assert!(table.contains(&long) && table.contains("FIRST (UTC)"), "{table}");
    assert_eq!(json_lines(&stage.run("ls").await.stdout)[0]["log"], long.as_str());
}
