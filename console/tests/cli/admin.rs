//! `hourlog admin`: create, alter, purge, delete and requeue, and rejected events that are imported.

use hourlogd::Settings;

use super::{NatsServer, Stage, json_lines};

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_created_changed_purged_and_deleted_from_the_command_line() {
    let nats = NatsServer::start().await;
    let mut settings = Settings { nats: nats.url(), ..Settings::default() };
    settings.rules.retention = vec!["debug.>=7d".parse().expect("the rule is valid")];
    let stage = Stage::over(nats, settings).await;
    let created = stage.run("admin create made --width 1m --retention 30d -o ndjson").await;
    assert_eq!(created.code, Some(0), "{}", created.stderr);
    let shown = &json_lines(&created.stdout)[0];
    assert_eq!((&shown["width"], &shown["retention_seconds"]), (&"1m".into(), &2_592_000.into()));
    stage.check_fails("admin create made", 8, &["already exists", "admin alter made"]).await;
    stage.check_fails("admin create _own", 2, &["system log"]).await;
    stage.check_fails("admin alter made", 2, &["--width"]).await;
    stage.check_fails("admin alter made --width 2d", 2, &["at most 1d"]).await;
    stage.check_fails("admin alter nobody --width 5m", 3, &["no log nobody"]).await;
    let altered = stage.run("admin alter made --width 5m --retention forever -o table").await;
    let text = String::from_utf8(altered.stdout).expect("stdout is UTF-8");
    assert!(text.contains("1m, 5m from") && text.contains("forever"), "{text}{}", altered.stderr);

    for time in ["10:10", "10:50", "11:10"] {
        stage.run(&format!("pub debug.a {time} --at 2018-02-04T{time}:00Z")).await;
    }
    let listed = stage.run("ls debug.a -o table").await;
    let listed = String::from_utf8(listed.stdout).expect("stdout is UTF-8");
    assert!(listed.contains("7d (rule debug.>)"), "{listed}");
    let purge = "admin purge debug.a --before 2018-02-04T11:30:00Z";
    let counts = r#""events":2,"bytes":10,"buckets":1,"kept_from":"2018-02-04T11:00:00Z"}"#;
    stage.check(&format!("{purge} -n -o ndjson"), &format!("{{\"log\":\"debug.a\",\"dry_run\":true,{counts}\n")).await;
    stage.check(&format!("{purge} -o ndjson"), &format!("{{\"log\":\"debug.a\",\"dry_run\":false,{counts}\n")).await;
    let read = stage.run("read debug.a --since 2018-02-04T10:00:00Z -o raw").await;
    assert_eq!(read.stdout, b"11:10\n");
    assert!(read.stderr.contains("were removed; reading from 2018-02-04"), "{}", read.stderr);

    // Without a terminal, a deletion wants to be confirmed on the command line.
    stage.check_fails("admin delete debug.a", 8, &["cannot be undone", "--yes", "--dry-run"]).await;
    stage
        .check(
            "admin delete debug.a --dry-run -o ndjson",
            "{\"log\":\"debug.a\",\"dry_run\":true,\"events\":1,\"bytes\":5,\"buckets\":1}\n",
        )
        .await;
    stage.check("read debug.a -o raw", "11:10\n").await;
    stage.run("admin delete debug.a --yes").await;
    stage.check_fails("read debug.a", 3, &["no log debug.a"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_events_are_requeued_and_can_be_imported() {
    let stage = Stage::open().await;
    let client = stage.remote().await.client().clone();
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Hourlog-Time", "soon");
    headers.insert("Nats-Msg-Id", "7");
    headers.insert("kind", "paid");
    client.publish_with_headers("log.orders", headers, "late".into()).await.expect("the server is there");
    client.publish("log._own", "system".into()).await.expect("the server is there");
    client.flush().await.expect("the server is there");
    let request = hourlog::wire::LogsRequest { fresh: true, all: true, ..Default::default() };
    stage.remote().await.logs(&request).await.expect("the service answers");

    let dry = stage.run("admin requeue _rejected --since 1h --dry-run -o ndjson").await;
    let dry = &json_lines(&dry.stdout)[0];
    assert_eq!((&dry["sent"], &dry["rejected"]), (&0.into(), &2.into()), "{dry}");
    stage.check_fails("admin requeue orders --since 1h", 2, &["_rejected"]).await;
    for _ in 0..2 {
        let sent = stage.run("admin requeue _rejected --since first --log r -o ndjson").await;
        assert_eq!(json_lines(&sent.stdout)[0]["sent"], 2, "{}", sent.stderr);
        stage.remote().await.logs(&request).await.expect("the service answers");
    }
    stage.check("read r -o raw", "late\nsystem\n").await;

    // The same through a file. The line keeps the reason and the subject.
    let exported = stage.run("export _rejected").await;
    assert_eq!(exported.code, Some(0), "{}", exported.stderr);
    for _ in 0..2 {
        let imported = stage.run_with("import - --log copy", exported.stdout.clone()).await;
        assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    }
    let copied = stage.run("read copy -o ndjson").await;
    let copied = json_lines(&copied.stdout);
    assert_eq!(copied.len(), 2);
    assert_eq!(copied[0]["metadata"]["Nats-Subject"][0], "log.orders");
    assert_eq!(copied[0]["metadata"]["kind"][0], "paid");
    assert_eq!(copied[0]["metadata"]["Nats-Msg-Id"][0], "7");
}
