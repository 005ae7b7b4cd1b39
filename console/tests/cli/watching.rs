//! The state of a service, as people see it: `hourlog status`, `hourlog doctor`, and the end of an import.

use conformance::servers::{NatsOptions, NatsServer};
use hourlog::{Memory, store::Store};
use hourlogd::{Credentials, Settings};

use super::{Finished, Stage, json_lines, states};

/// Users with few rights.
const USERS: &str = r#"
    authorization { users: [
        { user: service, password: s }
        { user: importer, password: i, permissions: {
            publish: { allow: ["log.>", "hourlog.status", "hourlog.receipt.*"] }, subscribe: ["_INBOX.>"] } }
        { user: reader, password: r, permissions: {
            publish: { allow: ["hourlog.replay.>", "hourlog.logs", "hourlog.status"] }, subscribe: ["_INBOX_reader.>"] } }
    ] }"#;

async fn stage() -> Stage {
    let nats = NatsServer::start_with(NatsOptions { config: USERS.to_owned(), ..NatsOptions::default() }).await;
    let credentials =
        Credentials { user: Some("service".to_owned()), password: Some("s".to_owned()), ..Credentials::default() };
    let settings = Settings { nats: nats.url(), credentials, ..Settings::default() };
    Stage::over(nats, settings).await
}

/// Returns what doctor found in one check, with its advice.
pub(crate) fn found(ended: &Finished, check: &str) -> String {
    let checks = json_lines(&ended.stdout);
    let finding = checks.iter().find(|finding| finding["check"] == check);
    let finding = finding.unwrap_or_else(|| panic!("no check {check} in {}", states(ended)));
    format!("{} | {}", finding["found"].as_str().unwrap_or_default(), finding["advice"].as_str().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_needs_no_answer_but_the_status_and_the_receipt() {
    let stage = stage().await;
    let lines: String =
        (0..2_000).map(|number| format!("{{\"log\":\"i.{}\",\"time\":\"@{number}\"}}\n", number % 35)).collect();
    // This user may neither list logs nor describe them.
    let import = stage.run_with("import - --user importer --password i", lines).await;
    assert_eq!(import.code, Some(0), "{}", import.stderr);
    assert!(import.stderr.contains("2,000 lines into 35 logs: 2,000 new"), "{}", import.stderr);
    let logs = stage.run("ls -o json --user service --password s").await;
    let logs: serde_json::Value = serde_json::from_slice(&logs.stdout).expect("the output is JSON");
    let events = logs.as_array().into_iter().flatten().map(|log| log["events"].as_u64().unwrap_or(0)).sum::<u64>();
    assert_eq!(events, 2_000, "the import ended before everything was archived");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_is_shown_to_people_and_to_scripts() {
    let stage = Stage::open().await;
    stage.check("pub orders.eu x -o raw", "<n>-<n>\n").await;
    let json = stage.run("status -o json").await;
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("the output is JSON");
    assert_eq!((&json[0]["sources"][0]["archived"], &json[0]["archive"]["kind"]), (&1.into(), &"embedded".into()));
    let table = stage.run("status -o table").await;
    let table = String::from_utf8(table.stdout).expect("the output is UTF-8");
    for part in [
        "archive  embedded",
        "stream  HOURLOG (wal), healthy; 1 message",
        "lag  0 messages, 0.0 s; archived up to 1 of 1",
    ] {
        assert!(table.contains(part), "no {part:?} in\n{table}");
    }

    // A second instance of the same archive.
    let store = Memory::new();
    let id = json[0]["archive"]["id"].as_str().expect("an archive has an id");
    store.set_property("archive-id", id, None).await.expect("memory takes it");
    let settings = Settings {
        nats: stage.url.clone(),
        stream: "OTHER".to_owned(),
        subjects: vec!["other.>".to_owned()],
        ..Settings::default()
    };
    let _second = hourlogd::start(settings, store).await.expect("the second instance starts");
    let both = stage.run("status -o ndjson").await;
    let kinds = json_lines(&both.stdout).iter().map(|status| status["archive"]["kind"].clone()).collect::<Vec<_>>();
    assert!(kinds.len() == 2 && kinds.contains(&"memory".into()), "{kinds:?}");
    let doctor = stage.run("doctor").await;
    assert!(found(&doctor, "hourlogd").contains("2 instances running"), "{}", found(&doctor, "hourlogd"));
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_names_the_subjects_that_a_user_may_not_use() {
    let stage = stage().await;
    let without_inbox = stage.run("doctor --user reader --password r --timeout 60s").await;
    assert_eq!((states(&without_inbox).as_str(), without_inbox.code), ("server:ok inbox:fail", Some(4)));
    let inbox = found(&without_inbox, "inbox");
    assert!(inbox.contains("_INBOX.") && inbox.contains("--inbox-prefix"), "{inbox}");

    let reader = stage.run("doctor --user reader --password r --inbox-prefix _INBOX_reader --timeout 60s").await;
    for (check, subject) in [("jetstream", "\"$JS.API.INFO\""), ("stream", "\"$JS.API.STREAM.INFO.HOURLOG\"")] {
        assert!(found(&reader, check).contains(subject), "{}", found(&reader, check));
    }
    assert!(states(&reader).starts_with("server:ok jetstream:warn hourlogd:ok archive:ok"), "{}", states(&reader));
    assert_eq!(reader.code, Some(0));

    let importer = stage.run("doctor --user importer --password i --timeout 60s").await;
    assert!(found(&importer, "readers").contains("\"hourlog.logs\""), "{}", found(&importer, "readers"));

    // The service does not know this prefix as one of inboxes, so it drops the requests.
    let unknown = stage.run("doctor --user service --password s --inbox-prefix clients.bob --timeout 1s").await;
    assert!(found(&unknown, "hourlogd").contains("--inbox-prefix clients.bob"), "{}", found(&unknown, "hourlogd"));
    assert_eq!(unknown.code, Some(6));
    let operator = stage.run("doctor --user service --password s").await;
    assert!(found(&operator, "replies").contains("2 requests dropped"), "{}", found(&operator, "replies"));
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_groups_rejected_events_by_reason_and_subject() {
    let stage = Stage::open().await;
    let client = stage.remote().await.client().clone();
    for subject in ["log._system", "log._system", "log.a"] {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Hourlog-Time", "2200-01-01T00:00:00Z");
        let request = client.request_with_headers(subject.to_owned(), headers, "x".into());
        request.await.expect("the stream takes the message");
    }
    stage.check("pub orders.eu x -o raw", "<n>-<n>\n").await;
    let ended = stage.run("doctor").await;
    assert_eq!(ended.code, Some(0), "{}", states(&ended));
    let rejected = found(&ended, "rejected");
    assert!(rejected.contains("3 events since the service started"), "{rejected}");
    assert!(rejected.contains("2 events on log._system: ") && rejected.contains("1 event on log.a: "), "{rejected}");
}
