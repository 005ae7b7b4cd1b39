//! Times and zones on the command line.

use crate::{Finished, Stage, json_lines, redacted};

fn counts(ended: &Finished) -> Vec<u64> {
    json_lines(&ended.stdout).iter().filter_map(|bin| bin["count"].as_u64()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_ends_at_the_first_such_time_after_its_start() {
    let stage = Stage::open().await;
    for (time, data) in [("08:30", "a"), ("09:30", "b"), ("10:30", "c"), ("11:30", "d")] {
        let written = stage.run(&format!("pub shop {data} --at '2018-02-06 {time}'")).await;
        assert_eq!(written.code, Some(0), "{}", written.stderr);
    }
    for (range, expected) in [
        ("--since '2018-02-06 9:00' --until 10:00", "b\n"),
        ("--since '2018-02-06 9:00' --until noon", "b\nc\nd\n"),
        ("--since 'Tue, 06 Feb 2018 10:00:00 +0100' --until @1517911200", "b\n"),
        ("--since 1517907600000 --until '2018-02-06T10:00Z'", "b\n"),
        ("--since 'feb 6 2018 10:00' --until wednesday", "c\nd\n"),
    ] {
        stage.check(&format!("read shop -o raw {range}"), expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn zones_are_named_and_a_wrong_one_is_refused() {
    let stage = Stage::open().await;
    // The clocks go back at 3:00.
    for (time, data) in [("2026-10-25T00:30:00Z", "first"), ("2026-10-25T01:30:00Z", "second")] {
        stage.run(&format!("pub night {data} --at {time}")).await;
    }
    let hist = "hist night --tz Europe/Oslo --since '2026-10-25 01:00' --until '2026-10-25 04:00'";
    let shown = stage.run(&format!("{hist} --step 1h -o table")).await;
    let text = redacted(&shown.stdout);
    assert!(text.starts_with("FROM (Europe/Oslo)"), "{text}");
    for row in [
        "2026-10-25 02:00:00.000+02:00  2026-10-25 02:00:00.000+01:00",
        "2026-10-25 02:00:00.000+01:00  2026-10-25 03:00:00.000",
    ] {
        assert!(text.contains(row), "{text}");
    }
    assert_eq!(counts(&stage.run(&format!("{hist} --step 1h")).await), [0, 1, 1, 0]);
    let mut command = stage.command("hist night --step 1d");
    command.env("TZ", "CET-1CEST,M3.5.0,M10.5.0/3");
    let nameless = tokio::process::Command::from(command).output().await.expect("the binary can be started");
    let said = String::from_utf8_lossy(&nameless.stderr);
    assert!(said.contains("intervals begin as in UTC, because the time zone has no name"), "{said}");
    let twice = stage.run("read night --tz Europe/Oslo --since '2026-10-25 02:30' -o raw").await;
    assert_eq!(twice.stdout, b"first\nsecond\n");
    let said =
        "02:30:00 comes twice on 2026-10-25, and the first is meant; write 2026-10-25T02:30:00+01:00 for the second";
    assert!(twice.stderr.contains(said), "{}", twice.stderr);
    stage.check("read night --since 2026-10-25T02:30:00+01:00 -o raw", "second\n").await;
    let listed = redacted(&stage.run("ls -o table --tz Asia/Tokyo").await.stdout);
    assert!(listed.contains("FIRST (Asia/Tokyo)"), "{listed}");
    let described = redacted(&stage.run("describe night -o table --tz Asia/Tokyo").await.stdout);
    assert!(described.contains("    zone  Asia/Tokyo\n"), "{described}");

    stage
        .check_fails(
            "ls --tz Europe/Olso",
            2,
            &["'Europe/Olso'", "unknown time zone; write a name such as Europe/Oslo"],
        )
        .await;
    for (name, code) in
        [("Europe/Olso", 2), ("Europe/Oslo", 0), (":Europe/Oslo", 0), ("", 0), ("CET-1CEST,M3.5.0,M10.5.0/3", 0)]
    {
        let mut command = stage.command("ls");
        command.env("TZ", name);
        let output = tokio::process::Command::from(command).output().await.expect("the binary can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "TZ={name}: {said}");
        assert_eq!(said.contains("TZ is \"Europe/Olso\", which is not a time zone"), code == 2, "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_nothing_says_why_it_is_empty() {
    let stage = Stage::open().await;
    let said = async |args: &str| {
        let ended = stage.run(args).await;
        assert_eq!((ended.code, ended.stdout.as_slice()), (Some(0), &b""[..]), "{args}: {}", ended.stderr);
        ended.stderr
    };
    assert!(said("ls").await.contains("the first event creates a log"));
    stage.run("pub orders.eu x").await;
    let nothing = said("ls nosuch").await;
    assert!(nothing.contains("no log matches nosuch") && !nothing.contains("first event"), "{nothing}");
    assert!(said("ls 'nosuch.>' --all").await.contains("no log matches nosuch.>"));
    assert!(said("ls nosuch --ahead").await.contains("no log with events ahead of now matches nosuch"));
    assert!(said("ls --ahead").await.contains("no log has events that lie ahead of now"));
    stage.check_fails("read orders.eu --limit 0", 2, &["--limit"]).await;
}
