//! `near`, `read --position`, `ls --sort`, and tables for other programs.

use super::*;

async fn stage_with_quakes() -> Stage {
    let stage = Stage::open().await;
    let imported = stage.run(&format!("import {QUAKES}")).await;
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_shows_what_is_near_a_moment() {
    let stage = stage_with_quakes().await;
    let found = json_lines(&stage.run("near quakes.us '2018-02-04 21:56:42'").await.stdout);
    let whats: Vec<_> = found.iter().filter_map(|line| line["what"].as_str()).collect();
    assert!(whats.contains(&"event before") && whats.contains(&"event at or after"), "{whats:?}");
    let after = found.iter().find(|line| line["what"] == "event at or after").expect("there is one");
    let position = after["position"].as_str().expect("an event has one");
    let event = json_lines(&stage.run(&format!("read quakes.us --position {position}")).await.stdout);
    assert_eq!((event.len(), &event[0]["data"]), (1, &after["data"]));
    let raw = stage.run(&format!("read quakes.us --position {position} -o raw")).await;
    assert_eq!(String::from_utf8_lossy(&raw.stdout), event[0]["data"].as_str().expect("JSON is text"));

    let missing = stage.run("read quakes.us --position 5-7").await;
    assert!(missing.code == Some(3) && missing.stderr.contains("has no event at 5-7"), "{}", missing.stderr);
    let several = stage.run("read 'quakes.>' --position 5-7").await;
    assert!(several.code == Some(2) && several.stderr.contains("name it"), "{}", several.stderr);
    let table = stage.run("near quakes.us 2018-02-04 -o table --color never").await;
    assert!(String::from_utf8_lossy(&table.stdout).contains("bucket after"), "{}", table.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_listed_by_what_they_hold() {
    let stage = stage_with_quakes().await;
    let listed = json_lines(&stage.run("ls --sort events").await.stdout);
    let counts: Vec<_> = listed.iter().map(|line| line["events"].as_u64().expect("a count")).collect();
    assert_eq!((counts.len(), counts.iter().sum::<u64>()), (12, 1_707));
    assert!(counts.is_sorted_by(|a, b| a >= b), "{counts:?}");
    let one = json_lines(&stage.run("ls quakes.us --sort rate").await.stdout);
    assert_eq!((one.len(), &one[0]["log"]), (1, &"quakes.us".into()));
    let three = json_lines(&stage.run("ls --sort last --limit 3").await.stdout);
    assert_eq!(three.len(), 3);
    assert!(three.is_sorted_by(|a, b| a["last"].as_str() >= b["last"].as_str()), "{three:?}");
    assert_eq!(stage.run("ls --sort size").await.code, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_has_the_chosen_columns_of_the_chosen_events() {
    let stage = stage_with_quakes().await;
    let columns = "--columns time,log,json.mag,metadata.none,json.place";
    let csv = stage.run(&format!("export 'quakes.>' --format csv {columns} --where 'json.mag >= 6.0'")).await;
    assert_eq!(csv.code, Some(0), "{}", csv.stderr);
    let text = String::from_utf8(csv.stdout).expect("CSV is text");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "time,log,json.mag,metadata.none,json.place");
    let strongest = "2018-02-06T15:50:42.4Z,quakes.us,6.4,,\"22km NNE of Hualian, Taiwan\"";
    assert!(lines.contains(&strongest), "{text}");
    assert!(csv.stderr.contains(&format!("exported {} events from 12 logs", lines.len() - 1)), "{}", csv.stderr);

    let json = json_lines(&stage.run(&format!("export quakes.us {columns} --where 'json.mag >= 6.0'")).await.stdout);
    assert!(json.iter().any(|line| line["json.mag"] == 6.4 && line["metadata.none"].is_null()), "{json:?}");
    // Whole events, without the line that makes an export complete.
    let events = json_lines(&stage.run("export quakes.us --grep Hualian").await.stdout);
    assert!(!events.is_empty() && events.iter().all(|event| event["position"].is_string()), "{events:?}");

    let file = stage.run("export quakes.us --format parquet -O quakes.parquet").await;
    assert!(file.code == Some(0) && file.stderr.contains("exported 168 events"), "{}", file.stderr);
    let bytes = std::fs::read(stage.path("quakes.parquet")).expect("it is there");
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    let again = stage.run("export quakes.us --format parquet -O quakes.parquet").await;
    assert!(again.code == Some(8) && again.stderr.contains("give --force"), "{}", again.stderr);
    assert_eq!(stage.run("export quakes.us --format parquet -O quakes.parquet --force").await.code, Some(0));
    let left: Vec<_> = std::fs::read_dir(stage.work.path()).expect("it is there").flatten().collect();
    assert!(left.iter().all(|entry| !entry.file_name().to_string_lossy().contains(".part")), "{left:?}");
    // A log whose events all lie before the range.
    stage.run("pub old x --at 2017-01-01").await;
    let recent = stage.run("export old quakes.us --format csv --columns log --since 2018-02-01").await;
    assert!(recent.code == Some(0) && recent.stderr.contains("from 2 logs"), "{}", recent.stderr);
    for (args, said) in [
        ("export quakes.us --columns json.mag,json.mag:text", "twice"),
        ("export quakes.us --columns when", "is not a column"),
        ("export quakes.us --format xml", "invalid value"),
        ("export nowhere --format csv", "no log nowhere"),
    ] {
        let ended = stage.run(args).await;
        assert!(ended.code != Some(0) && ended.stderr.contains(said), "{args}: {}", ended.stderr);
    }
}
