//! The console over a real service: recorded keys in, the last screen out.

use hourlog::{Offset, time::SECOND};

use super::*;

/// Plays keys, half a second apart, in a console on `log`. Returns the last screen.
async fn screen_after(stage: &Stage, log: &str, keys: &str) -> String {
    let mut tape = String::from("0 resize 120 40\n");
    for (number, key) in keys.split_whitespace().enumerate() {
        tape.push_str(&format!("{} key {key}\n", 1_500 + number * 500));
    }
    std::fs::write(stage.path("keys.tape"), tape).expect("the tape can be written");
    let mut command = stage.command(&format!("console {log} --replay keys.tape --print text"));
    command.env("LC_ALL", "C.UTF-8");
    // The service runs on this runtime, so waiting must not block it.
    let output = tokio::task::spawn_blocking(move || command.output().expect("the binary can be started"));
    let output = output.await.expect("the closure does not panic");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the screen is UTF-8")
}

/// Writes a line of JSON a second, from ten o'clock on.
async fn write(stage: &Stage, log: &str, lines: impl Iterator<Item = String>) {
    let start: Offset = "2018-02-04T10:00:00Z".parse().expect("a valid time");
    let record =
        |(number, line): (usize, String)| Record::new(line).at(start.saturating_add_nanos(number as i64 * SECOND));
    stage.log(log).await.write_many(lines.enumerate().map(record).collect()).await.expect("the events are written");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_finds_and_counts_severities_as_the_console_tells_them() {
    let stage = Stage::open().await;
    // The name tells the severity, and the status only where there is no name that does.
    let line = |number: usize| match number {
        1_000 => r#"{"level":"ERROR","status":200,"n":1000}"#.to_owned(),
        1_500 => r#"{"level":"info","status":503,"n":1500}"#.to_owned(),
        2_000 => r#"{"status":503,"n":2000}"#.to_owned(),
        2_500 => r#"{"level":"loud","status":"500","n":2500}"#.to_owned(),
        2_600 => r#"{"level":50,"n":2600}"#.to_owned(),
        number if number % 1_000 == 700 => format!(r#"{{"status":404,"n":{number}}}"#),
        number => format!(r#"{{"level":"info","status":200,"n":{number}}}"#),
    };
    write(&stage, "app", (0..4_000).map(line)).await;
    for (keys, found) in [("g e", "1000"), ("g e e", "2000"), ("g e e e", "2500"), ("g e e e e", "2600"), ("E", "2600")]
    {
        let screen = screen_after(&stage, "app", keys).await;
        assert!(screen.contains(&format!("\"n\": {found}")), "{keys}\n{screen}");
    }
    let screen = screen_after(&stage, "app", "g e e e e e").await;
    assert!(screen.contains("no error like those of these events after this"), "{screen}");
    assert!(screen.contains("█ error") && screen.contains("█ warn"), "{screen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_lines_of_text_is_found() {
    let stage = Stage::open().await;
    let line = |number: usize| match number {
        900 => "a WARN that mentions an ERROR".to_owned(),
        1_800 => "ERROR disk full".to_owned(),
        number => format!("WARN nothing {number}"),
    };
    write(&stage, "text", (0..2_000).map(line)).await;
    let screen = screen_after(&stage, "text", "g e").await;
    assert!(screen.contains("10:30:00.000") && screen.contains("ERROR disk full"), "{screen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_of_thousands_is_sorted_and_plotted() {
    let stage = Stage::open().await;
    let line = |number: usize| format!(r#"{{"ms":{}.5,"user":"u{}"}}"#, (number * 7_919) % 5_000, number % 9);
    write(&stage, "api", (0..5_000).map(line)).await;
    let screen = screen_after(&stage, "api", "g c s").await;
    assert!(screen.contains("↓ ms  the first 500 of 5,000 events in the window"), "{screen}");
    assert!(screen.lines().nth(3).is_some_and(|first| first.contains("4999.5")), "{screen}");
    let screen = screen_after(&stage, "api", "g enter p").await;
    assert!(screen.contains("ms: median, min–max") && screen.contains("p50 2499.5"), "{screen}");
}
