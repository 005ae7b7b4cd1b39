//! Wrong clocks, as people see them: that of the service, and those that events got their times from.

use conformance::servers::NatsServer;
use hourlog::{
    Archive, Embedded, Events, Log, LogId, Offset, Record,
    time::{DAY, system_clock},
};
use hourlogd::Settings;
use tempfile::TempDir;

use crate::{Stage, json_lines};

fn a_day_ahead() -> Offset {
    system_clock().saturating_add_nanos(DAY)
}

fn in_2099() -> Offset {
    "2099-01-01T00:00:00Z".parse().expect("the time is valid")
}

/// Opens a stage whose service is a day ahead. Its log `dev.7` has three events of 2099 and three of now.
async fn stage() -> Stage {
    let (nats, archive) = (NatsServer::start().await, TempDir::new().expect("a directory can be created"));
    let log: LogId = "dev.7".parse().expect("a valid log id");
    let store = Embedded::open(archive.path()).expect("no other process has the archive open");
    let mut early = Archive::new(store.clone(), in_2099).log(&log).await.expect("a handle needs no request");
    early.write_many(["x", "y", "z"].map(Record::new).to_vec()).await.expect("it is archived");
    let settings = Settings { nats: nats.url(), clock: a_day_ahead, ..Settings::default() };
    let running = hourlogd::start(settings, store).await.expect("the service starts");
    let work = TempDir::new().expect("a directory can be created");
    let stage = Stage { url: nats.url(), work, running, _archive: archive, _nats: nats };
    let mut log = stage.log("dev.7").await;
    for text in ["a", "b", "c"] {
        log.write(Record::new(text)).await.expect("it is archived");
    }
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_clocks_hide_no_event_and_doctor_names_them() {
    let stage = stage().await;
    for (args, expected) in [
        ("--since 1h --until now", vec!["a", "b", "c"]),
        ("--tail 2", vec!["b", "c"]),
        ("--tail 2 --until end", vec!["y", "z"]),
        ("--reverse --limit 1", vec!["c"]),
        ("--since last", vec!["c", "x", "y", "z"]),
        ("--tail 1 -f --limit 1", vec!["c"]),
        ("", vec!["a", "b", "c", "x", "y", "z"]),
    ] {
        let ended = stage.run(&format!("read dev.7 -o ndjson {args}")).await;
        assert_eq!(ended.code, Some(0), "{args}: {}", ended.stderr);
        let lines = json_lines(&ended.stdout);
        let data: Vec<&str> = lines.iter().filter_map(|line| line["data"].as_str()).collect();
        assert_eq!(data, expected, "{args}");
        let is_told = (args.contains("--tail") || args.contains("--reverse")) && !args.contains("end");
        assert_eq!(ended.stderr.contains("3 events lie ahead of now"), is_told, "{args}: {}", ended.stderr);
    }
    let counted =
        |ended: crate::Finished| json_lines(&ended.stdout).iter().filter_map(|bin| bin["count"].as_u64()).sum::<u64>();
    let whole = stage.run("hist dev.7 -o ndjson").await;
    assert!(whole.stderr.contains("--until end includes them"), "{}", whole.stderr);
    assert_eq!(counted(whole), 3);
    assert_eq!(counted(stage.run("hist dev.7 --since -1h --until now -o ndjson").await), 3);
    assert_eq!(counted(stage.run("hist dev.7 --until end --bins 5 -o ndjson").await), 6);
    let exported = stage.run("export dev.7").await;
    assert_eq!(json_lines(&exported.stdout).len(), 7, "all events and the trailer: an export is complete");
    let exported = stage.run("export dev.7 --since 1h --until now").await;
    assert_eq!(json_lines(&exported.stdout).len(), 4);
    let described = stage.run("describe dev.7 -o table").await;
    let text = String::from_utf8_lossy(&described.stdout).into_owned();
    assert!(text.contains("ahead  3 events lie ahead of now, from 2099-01-01"), "{text}");
    let listed = stage.run("ls --ahead -o ndjson").await;
    assert_eq!(json_lines(&listed.stdout)[0]["ahead"]["events"], 3);

    let doctor = stage.run("doctor -o ndjson").await;
    let checks = json_lines(&doctor.stdout);
    let check = |name: &str| checks.iter().find(|check| check["check"] == name).expect("doctor checks it");
    assert_eq!(check("clocks")["state"], "fail");
    let found = check("clocks")["found"].as_str().unwrap_or_default();
    assert!(found.starts_with("hourlogd's clock is wrong: compared with this machine's clock, JetStream's"), "{found}");
    assert_eq!(check("ahead")["state"], "warn");
    let found = check("ahead")["found"].as_str().unwrap_or_default();
    assert!(found.contains("dev.7: 3 from 2099-01-01T00:00:00Z to 2099-01-01T00:00:00Z"), "{found}");
}
