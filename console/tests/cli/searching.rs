//! Searches and counts over many logs.

use hourlog::{Offset, time::SECOND};

use super::*;

/// Four services that write lines of JSON to two logs each, one a second, from ten o'clock on.
async fn stage_with_lines() -> Stage {
    let stage = Stage::open().await;
    let start: Offset = "2018-02-04T10:00:00Z".parse().expect("a valid time");
    for (index, service) in ["checkout", "login", "search", "export"].into_iter().enumerate() {
        for host in ["a", "b"] {
            let record = |number: i64| {
                let level = if number % (5 + index as i64) == 0 { "error" } else { "info" };
                let city = if number == 40 { r"M\u00fcnchen" } else { "Oslo" };
                let line = format!(r#"{{"n":{number},"level":"{level}","service":"{service}","city":"{city}"}}"#);
                Record::new(line).at(start.saturating_add_nanos(number * SECOND))
            };
            let mut log = stage.log(&format!("app.{service}.{host}")).await;
            log.write_many((0..60).map(record).collect()).await.expect("the events are written");
        }
    }
    stage
}

/// Runs a command, and returns its exit code and the values that it prints.
async fn found(stage: &Stage, args: &str) -> (Option<i32>, Vec<serde_json::Value>) {
    let ended = stage.run(args).await;
    assert!(ended.code.is_some_and(|code| code < 2), "hourlog {args}\n{}", ended.stderr);
    (ended.code, json_lines(&ended.stdout))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_errors_of_each_service_in_a_minute_are_one_command() {
    let stage = stage_with_lines().await;
    let errors =
        "hist 'app.>' --since 2018-02-04T10:00:00Z --until 2018-02-04T10:00:30Z --where 'json.level == \"error\"'";
    let (_, values) = found(&stage, &format!("{errors} --by json.service")).await;
    let counts: Vec<_> = values.iter().map(|value| (value["value"].as_str(), value["count"].as_u64())).collect();
    let expected = [("checkout", 12), ("login", 10), ("search", 10), ("export", 8)];
    assert_eq!(counts, expected.map(|(name, count)| (Some(name), Some(count))));

    let (_, values) = found(&stage, &format!("{errors} --by json.service --top 1")).await;
    assert_eq!(values[1], serde_json::json!({"others": true, "count": 28}));
    // Over time, of one log and of all.
    let (_, bins) = found(&stage, &format!("{errors} --step 10s")).await;
    assert_eq!(bins.iter().map(|bin| bin["count"].as_u64().expect("a count")).sum::<u64>(), 40);
    assert_eq!(bins.len(), 3);
    let (_, bins) = found(&stage, "hist app.login.a --bins 2 --grep '\"error\"'").await;
    assert_eq!(bins.iter().map(|bin| bin["count"].as_u64()).collect::<Vec<_>>(), [Some(5), Some(5)]);
    // Without a condition, the index counts.
    let (_, bins) = found(&stage, "hist 'app.*.a' --step 1h").await;
    assert_eq!(bins.iter().map(|bin| bin["count"].as_u64()).collect::<Vec<_>>(), [Some(240)]);
    // Events without the field have a line of their own.
    stage.log("app.odd").await.write(Record::new("no JSON")).await.expect("the event is written");
    let (_, values) = found(&stage, "hist 'app.>' --by json.level").await;
    assert!(values.contains(&serde_json::json!({"value": null, "count": 1})), "{values:?}");
    let table = stage.run("hist 'app.>' --by json.level -o table").await;
    assert!(String::from_utf8_lossy(&table.stdout).contains("(none)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_finds_a_text_in_all_logs_in_time_order() {
    let stage = stage_with_lines().await;
    let (code, events) = found(&stage, "grep München").await;
    assert_eq!((code, events.len()), (Some(0), 8));
    assert!(events.is_sorted_by_key(|event| event["time"].as_str().map(str::to_owned)));
    assert!(events.iter().all(|event| event["data"].as_str().is_some_and(|data| data.contains(r"M\u00fcnchen"))));

    let (_, some) = found(&stage, "grep -i 'OSLO' 'app.login.>' app.search.a --limit 130").await;
    assert_eq!(some.len(), 130);
    let (_, newest) = found(&stage, "grep 're:\"n\":5[0-9],' 'app.*.b' --reverse --limit 3").await;
    assert!(newest.iter().all(|event| event["time"] == "2018-02-04T10:00:59Z"), "{newest:?}");
    let (_, field) = found(&stage, "grep export --json-path service --where 'json.n < 3'").await;
    assert_eq!(field.len(), 6);

    assert_eq!(stage.run("grep -c München").await.stdout, b"8\n");
    let (_, logs) = found(&stage, "grep -l '\"error\"' 'app.login.>' 'app.export.>'").await;
    let listed: Vec<_> = logs.iter().map(|log| (log["log"].as_str(), log["count"].as_u64())).collect();
    let expected = [("app.login.a", 10), ("app.login.b", 10), ("app.export.a", 8), ("app.export.b", 8)];
    assert_eq!(listed, expected.map(|(log, count)| (Some(log), Some(count))));

    for nothing in ["grep nowhere", "grep -c nowhere", "grep -l nowhere", "grep Oslo 'none.>'"] {
        assert_eq!(stage.run(nothing).await.code, Some(1), "{nothing}");
    }
    // Later than every event.
    for late in ["grep -c Oslo --since 2020-01-01", "grep -l Oslo --since 2020-01-01", "grep Oslo --since 2020-01-01"] {
        assert_eq!(stage.run(late).await.code, Some(1), "{late}");
    }
    let bad = stage.run("grep 're:('").await;
    assert!(bad.code == Some(2) && bad.stderr.contains("is not a regular expression"), "{}", bad.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_shows_what_is_around_a_match_once() {
    let stage = stage_with_lines().await;
    let numbers = |events: &[serde_json::Value]| -> Vec<u64> {
        let number = |event: &serde_json::Value| {
            let data: serde_json::Value = serde_json::from_str(event["data"].as_str().expect("a text")).expect("JSON");
            data["n"].as_u64().expect("a number")
        };
        events.iter().map(number).collect()
    };
    let (_, events) = found(&stage, "grep München app.login.a -C 2").await;
    assert_eq!(numbers(&events), [38, 39, 40, 41, 42]);
    // Two matches whose surroundings overlap, and one on its own.
    let (_, events) = found(&stage, "grep 're:\"n\":(10|12|30),' app.login.a -C 2").await;
    assert_eq!(numbers(&events), [8, 9, 10, 11, 12, 13, 14, 28, 29, 30, 31, 32]);
    // Whatever the pages: each match begins one.
    let (_, events) = found(&stage, "grep 're:\"n\":(10|11|12),' app.login.a -C 3 --limit 3").await;
    assert_eq!(numbers(&events), [7, 8, 9, 10, 11, 12, 13, 14, 15]);
    let table = stage.run("grep 're:\"n\":(10|12|30),' app.login.a -C 2 -o table --color always").await;
    let shown = String::from_utf8_lossy(&table.stdout).into_owned();
    assert_eq!(shown.matches("--\n").count(), 1, "{shown}");
    assert_eq!(shown.matches("\u{1b}[1;31m").count(), 3, "{shown}");
}
