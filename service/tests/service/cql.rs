//! The service with its archive in a CQL database.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use async_nats::HeaderMap;
use conformance::{
    guards::{TableCounts, new_keyspace, session},
    servers::{CassandraNode, HourlogdProcess},
};
use futures_util::future::join_all;
use hourlog::{
    ErrorKind, Remote, Scylla,
    remote::RemotePage,
    store::{SLOTS, ScyllaUrl},
    wire::{CreateRequest, Order, ReplayRequest},
};

use crate::kit::{Service, WAIT_MAX, archived, binary, events, log, publish_all, service_with};

/// Events published around a rollback of the database, in [`PARTS`] parts that are a second apart.
const EVENTS: u32 = 40_000;
/// Parts of [`EVENTS`].
const PARTS: u32 = 40;

#[tokio::test(flavor = "multi_thread")]
async fn a_service_over_cql_killed_three_times_archives_each_event_once_and_in_order() {
    let url = new_keyspace();
    let mut service = service_with(&["--store", &url, "--migrate"]).await;
    let jetstream = service.jetstream().await;
    for part in 0..4 {
        let message = |number: u32| (format!("log.cql.{}", number % 10), number.to_string());
        publish_all(&jetstream, (part * 2_000..(part + 1) * 2_000).map(message)).await;
        let mut headers = HeaderMap::new();
        headers.insert("Hourlog-Time", "2018-02-04T10:00:00Z");
        let late = jetstream.publish_with_headers("log.late", headers, part.to_string().into()).await;
        late.expect("the message can be sent").await.expect("the stream accepts the message");
        if part < 3 {
            service.process.kill();
            service.start_again().await;
        }
    }
    let remote = service.remote().await;
    let listed = archived(&remote).await.logs;
    assert_eq!(listed.iter().map(|log| log.events).sum::<u64>(), 8_004);
    for log in 0..10_u32 {
        let found = events(&remote, &format!("cql.{log}")).await;
        let expected = (0..8_000).filter(|number| number % 10 == log).map(|number| number.to_string().into_bytes());
        assert!(found.iter().map(|event| event.record.data.to_vec()).eq(expected), "log {log}: {}", found.len());
    }
    assert_eq!(events(&remote, "late").await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unusable_database_is_refused_with_what_to_do() {
    let url = new_keyspace();
    let service: Service = service_with(&[]).await;
    let node = url.trim_start_matches("cql://").split('/').next().expect("the URL names a node").to_owned();
    for (store, flags, says) in [
        ("cql://127.0.0.1:1/nowhere".to_owned(), vec!["--migrate"], "no database answers"),
        (url.clone(), vec![], "start once with --migrate"),
        (format!("cql://{node}/many?replication=3"), vec!["--migrate"], "cannot keep 3 copies on 1 nodes"),
        (format!("cql://{node}/UPPER"), vec![], "keyspace"),
        (url.clone(), vec!["--store-user", "me"], "needs both a user and a password"),
        (url.clone(), vec!["--store-user", "me", "--store-password-file", "/no/such/file"], "cannot read the password"),
    ] {
        let flags: Vec<String> = ["--store", &store].into_iter().chain(flags).map(str::to_owned).collect();
        let arguments = Service::arguments(&service.nats, service.directory.path(), &flags);
        let said = HourlogdProcess::try_start(binary(), arguments).await.expect_err(&store);
        assert!(said.contains(says), "{store}: {said}");
    }
}

/// Limit of the service's memory during an outage of its archive.
const RESIDENT_MIB_MAX: u64 = 400;
/// Limit of the traces of two outages, which together last a minute and a half.
const TRACES_MAX: usize = 50;
/// Limit of the growth of that memory.
const RESIDENT_GROWTH_MIB_MAX: u64 = 100;

#[tokio::test(flavor = "multi_thread")]
async fn a_database_killed_and_paused_during_ingest_gets_every_event_once() {
    let mut node = CassandraNode::start().await;
    let service = service_with(&["--store", &node.url("hourlog"), "--migrate"]).await;
    let jetstream = service.jetstream().await;
    let message = |number: u32| (format!("log.busy.{}", number % 100), number.to_string());
    publish_all(&jetstream, (0..10_000).map(message)).await;
    let remote = service.remote().await;
    archived(&remote).await;
    let before = service.process.resident_mib_max();

    let publishing = tokio::spawn({
        let jetstream = jetstream.clone();
        async move { publish_all(&jetstream, (10_000..110_000).map(message)).await }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    node.kill();
    publishing.await.expect("the stream accepts the messages");
    let report = until(&service, |report| report["archive"]["ok"] == false).await;
    assert!(report["archive"]["since"].is_string(), "{report}");
    tokio::time::sleep(Duration::from_secs(20)).await;
    node.start_again().await;
    archived(&remote).await;
    until(&service, |report| report["rollbacks"] == 1 && report["rereading"] == 0).await;

    let publishing = tokio::spawn(async move { publish_all(&jetstream, (110_000..130_000).map(message)).await });
    node.pause();
    publishing.await.expect("the stream accepts the messages");
    until(&service, |report| report["archive"]["ok"] == false).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    node.resume();
    let listed = archived(&remote).await.logs;
    assert_eq!(listed.iter().map(|log| log.events).sum::<u64>(), 130_000);
    for log in (0..100_u32).step_by(9) {
        let found = events(&remote, &format!("busy.{log}")).await;
        let expected = (0..130_000).filter(|number| number % 100 == log).map(|number| number.to_string().into_bytes());
        assert!(found.iter().map(|event| event.record.data.to_vec()).eq(expected), "log {log}: {}", found.len());
    }
    let most = service.process.resident_mib_max();
    assert!(most <= RESIDENT_MIB_MAX && most <= before + RESIDENT_GROWTH_MIB_MAX, "{before} MiB became {most} MiB");
    // The driver alone would trace four lines a second.
    let traces = service.process.stderr_lines();
    assert!(traces.len() < TRACES_MAX, "{} traces: {traces:#?}", traces.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolled_back_database_gets_its_lost_events_again() {
    let mut node = CassandraNode::start().await;
    // The connection uses TLS, and the client refuses an untrusted certificate.
    let url: ScyllaUrl = node.url("hourlog?tls=system").parse().expect("the URL is valid");
    Scylla::open(&url, true).await.expect_err("the system does not trust the certificate");
    let service = service_with(&["--store", &node.tls_url("hourlog"), "--migrate"]).await;
    let remote = service.remote().await;
    let follower = tokio::spawn(follow(service.remote().await, "lost.7", EVENTS / 10 + 1));
    let jetstream = service.jetstream().await;
    // The run outlasts the time after which the archive is durable, so checkpoints are stored.
    let mut snapshot = None;
    for part in 0..PARTS {
        let from = part * (EVENTS / PARTS);
        let message = |number: u32| (format!("log.lost.{}", number % 10), number.to_string());
        publish_all(&jetstream, (from..from + EVENTS / PARTS).map(message)).await;
        if part % 10 == 0 {
            let mut headers = HeaderMap::new();
            headers.insert("Hourlog-Time", "2018-02-04T10:00:00Z");
            let late = jetstream.publish_with_headers("log.lost.late", headers, part.to_string().into()).await;
            late.expect("the message can be sent").await.expect("the stream accepts the message");
        }
        if part == PARTS - 15 {
            let stored = service.report().await["stored"].as_u64();
            assert!(stored.is_some_and(|stored| stored > 0), "{stored:?}");
            snapshot = Some(node.snapshot());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    archived(&remote).await;
    node.roll_back(&snapshot.expect("a part took the snapshot")).await;
    until(&service, |report| report["rollbacks"] == 1 && report["rereading"] == 0).await;
    let message = (format!("log.lost.{}", 7), "the last".to_owned());
    publish_all(&jetstream, [message]).await;
    let listed = archived(&remote).await.logs;
    assert_eq!(listed.iter().map(|log| log.events).sum::<u64>(), u64::from(EVENTS + PARTS.div_ceil(10) + 1));
    for log in 0..7_u32 {
        let found = events(&remote, &format!("lost.{log}")).await;
        let expected = (0..EVENTS).filter(|number| number % 10 == log).map(|number| number.to_string().into_bytes());
        assert!(found.iter().map(|event| event.record.data.to_vec()).eq(expected), "log {log}: {}", found.len());
    }
    assert_eq!(events(&remote, "lost.late").await.len() as u32, PARTS.div_ceil(10));
    let followed = follower.await.expect("the follower does not panic");
    let expected = (0..EVENTS).filter(|number| number % 10 == 7).map(|number| number.to_string());
    assert!(followed.iter().cloned().eq(expected.chain(["the last".to_owned()])), "{} followed", followed.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_rolled_back_during_a_nats_outage_gets_its_lost_events_again() {
    let mut node = CassandraNode::start().await;
    let mut service = service_with(&["--store", &node.url("hourlog"), "--migrate"]).await;
    let message = |number: u32| (format!("log.both.{}", number % 10), number.to_string());
    publish_all(&service.jetstream().await, (0..5_000).map(message)).await;
    until(&service, |report| report["stored"] == 5_000).await;
    let before = node.snapshot();
    publish_all(&service.jetstream().await, (5_000..10_000).map(message)).await;
    archived(&service.remote().await).await;
    // After some time without writes, the archive would count as durable.
    tokio::time::sleep(Duration::from_secs(5)).await;
    service.nats.kill();
    node.roll_back(&before).await;
    tokio::time::sleep(Duration::from_secs(15)).await;
    service.nats.restart().await;
    // The service reconnects to NATS first; this waits for that.
    archived(&service.remote().await).await;
    until(&service, |report| report["rollbacks"] == 1 && report["rereading"] == 0).await;
    let listed = archived(&service.remote().await).await.logs;
    assert_eq!(listed.iter().map(|log| log.events).sum::<u64>(), 10_000);
    assert_eq!(events(&service.remote().await, "both.7").await.len(), 1_000);
}

/// A slot in the middle: those before it keep an epoch that the test removes from the others.
const CUT: u8 = 12;

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_whose_epoch_the_database_has_lost_begins_it_again() {
    let id_in = |kept: bool| {
        let mut ids = (0..).map(|number| format!("epoch.{number}"));
        ids.find(|id| (log(id).slot() < CUT) == kept).expect("each slot has logs")
    };
    // The newest message is one of the second log, so that a slot which keeps the epoch has the newest head.
    let ids = [id_in(false), id_in(true)];
    // The rollback leaves the epoch in some of the slots, and in none of them.
    for lost_from in [CUT, 0] {
        let url = new_keyspace();
        let mut service = service_with(&["--store", &url, "--migrate"]).await;
        let message = |name: &'static str| {
            let ids = ids.clone();
            move |number: u32| (format!("log.{}", ids[number as usize % 2]), format!("{name}{number}"))
        };
        publish_all(&service.jetstream().await, (0..100).map(message("a"))).await;
        archived(&service.remote().await).await;
        let before = service.nats.snapshot();
        publish_all(&service.jetstream().await, (0..50).map(message("b"))).await;
        archived(&service.remote().await).await;
        service.nats.roll_back(&before).await;
        publish_all(&service.jetstream().await, (0..60).map(message("c"))).await;
        let found = async |service: &Service| {
            let remote = service.remote().await;
            archived(&remote).await;
            let mut found = Vec::new();
            for id in &ids {
                found.extend(events(&remote, id).await.into_iter().map(|event| (event.position, event.record.data)));
            }
            found
        };
        let handed_out = found(&service).await;
        assert_eq!(handed_out.len(), 210);

        service.process.kill();
        let parsed: ScyllaUrl = url.parse().expect("the URL is valid");
        let (session, keyspace) = (session(&parsed).await, &parsed.keyspace);
        for slot in lost_from..SLOTS {
            let lose = format!("DELETE FROM {keyspace}.epochs WHERE slot = {slot} AND epoch = 2");
            session.query_unpaged(lose, ()).await.expect("the statement succeeds");
        }
        service.start_again().await;
        assert_eq!(found(&service).await, handed_out, "the messages are read again under other keys");
        publish_all(&service.jetstream().await, (0..10).map(message("d"))).await;
        let after = found(&service).await;
        assert_eq!(after.len(), handed_out.len() + 10);
        let epochs = after.iter().filter(|(_, data)| data[0] == b'd').map(|(position, _)| position.seq.epoch());
        assert_eq!(epochs.collect::<Vec<_>>(), [2; 10], "the epochs of {lost_from} and later slots");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_start_together_create_the_tables_once() {
    let url: ScyllaUrl = new_keyspace().parse().expect("the URL is valid");
    let opened = join_all((0..4).map(|_| Scylla::open(&url, true))).await;
    for archive in opened {
        archive.expect("the instances wait for the one that creates the tables");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_a_missing_table_are_reported() {
    let url = new_keyspace();
    let parsed: ScyllaUrl = url.parse().expect("the URL is valid");
    Scylla::open(&parsed, true).await.expect("the database answers");
    if let Some((name, _)) = &parsed.user {
        let wrong = ScyllaUrl { user: Some((name.clone(), "wrong".to_owned())), ..parsed.clone() };
        let error = Scylla::open(&wrong, true).await.expect_err("the password is wrong");
        assert_eq!(error.kind(), ErrorKind::NotAllowed, "{error}");
        assert!(error.to_string().contains("rejected the user"), "{error}");
        let nobody = ScyllaUrl { user: None, ..parsed.clone() };
        let error = Scylla::open(&nobody, true).await.expect_err("the database requires a password");
        assert_eq!(error.kind(), ErrorKind::NotAllowed, "{error}");
    }
    let session = session(&parsed).await;
    let run = async |statement: &str| {
        session.query_unpaged(format!("{statement} {}", parsed.keyspace), ()).await.expect("the statement succeeds");
    };
    session.use_keyspace(&parsed.keyspace, false).await.expect("the keyspace exists");
    session
        .query_unpaged("UPDATE schema_version SET version = 99 WHERE one = 1 IF EXISTS", ())
        .await
        .expect("the statement succeeds");
    let error = Scylla::open(&parsed, true).await.expect_err("the schema is newer");
    assert!(error.kind() == ErrorKind::Refused && error.to_string().contains("version 99"), "{error}");
    session
        .query_unpaged("UPDATE schema_version SET version = 1 WHERE one = 1 IF EXISTS", ())
        .await
        .expect("the statement succeeds");
    session.query_unpaged("DROP TABLE arrivals", ()).await.expect("the statement succeeds");
    let error = Scylla::open(&parsed, false).await.expect_err("a table is missing");
    assert!(error.to_string().contains("lacks these tables: arrivals"), "{error}");
    run("DROP KEYSPACE").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_driver_sees_hourly_partitions_and_the_custom_width_of_a_log() {
    let url = new_keyspace();
    let service = service_with(&["--store", &url, "--migrate"]).await;
    let (remote, jetstream) = (service.remote().await, service.jetstream().await);
    remote
        .create(
            &log("narrow"),
            &CreateRequest { width: Some("1m".parse().expect("the width is valid")), ..CreateRequest::default() },
        )
        .await
        .expect("the log is created");
    for (subject, minute) in
        [("log.wide", 0), ("log.wide", 59), ("log.wide", 61), ("log.narrow", 0), ("log.narrow", 1), ("log.narrow", 1)]
    {
        let mut headers = HeaderMap::new();
        headers.insert("Hourlog-Time", format!("2018-02-04T{:02}:{:02}:00Z", 10 + minute / 60, minute % 60).as_str());
        jetstream
            .publish_with_headers(subject, headers, "x".into())
            .await
            .expect("the message can be sent")
            .await
            .expect("the stream accepts the message");
    }
    archived(&remote).await;
    let parsed: ScyllaUrl = url.parse().expect("the URL is valid");
    let session = session(&parsed).await;
    let statement = format!("SELECT log_id, toUnixTimestamp(hour_bucket) FROM {}.events", parsed.keyspace);
    let rows = session
        .query_unpaged(statement, ())
        .await
        .expect("the server replies")
        .into_rows_result()
        .expect("the result has rows");
    let mut seen: BTreeMap<(String, i64), u32> = BTreeMap::new();
    for row in rows.rows::<(String, i64)>().expect("the result has two columns") {
        *seen.entry(row.expect("the row can be read")).or_default() += 1;
    }
    let at = |minute: i64| 1_517_738_400_000 + minute * 60_000;
    let expected = [(("narrow", at(0)), 1), (("narrow", at(1)), 2), (("wide", at(0)), 2), (("wide", at(60)), 1)];
    assert_eq!(seen, expected.map(|((log, at), count)| ((log.to_owned(), at), count)).into());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_of_a_database_tells_a_whole_archive_from_one_that_lacks_an_event() {
    let url = new_keyspace();
    let mut service = service_with(&["--store", &url, "--migrate"]).await;
    publish_all(
        &service.jetstream().await,
        (0..600).map(|number| (format!("log.c.{}", number % 3), number.to_string())),
    )
    .await;
    archived(&service.remote().await).await;
    let check = async |flags: &[&str]| {
        let arguments: Vec<String> = ["check", &url].iter().chain(flags).map(|flag| (*flag).to_owned()).collect();
        let run = move || std::process::Command::new(binary()).args(arguments).output();
        let output = tokio::task::spawn_blocking(run).await.expect("it does not panic").expect("the binary is built");
        let said = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
        (output.status.code(), said)
    };
    // The service may run. Its counts lag by some seconds. That is not damage.
    let (code, said) = check(&[]).await;
    assert!(code == Some(0) && said.contains("of 3 logs"), "{code:?}: {said}");
    assert!(service.process.terminate().await.success());
    let (code, said) = check(&[]).await;
    assert!(code == Some(0) && said.contains("600 events"), "{code:?}: {said}");
    let (code, said) = check(&["--quiet"]).await;
    assert!(code == Some(0) && !said.contains("c.0"), "{code:?}: {said}");

    let parsed: ScyllaUrl = url.parse().expect("the URL is valid");
    let (session, keyspace) = (session(&parsed).await, &parsed.keyspace);
    let found = format!(
        "SELECT toUnixTimestamp(hour_bucket), time, seq FROM {keyspace}.events WHERE log_id = 'c.1' LIMIT 1 ALLOW FILTERING"
    );
    let found = session.query_unpaged(found, ()).await.expect("the server replies");
    let found = found.into_rows_result().expect("the result has rows");
    let (bucket, time, seq): (i64, i64, i64) = found.first_row().expect("the log has events");
    let delete = format!(
        "DELETE FROM {keyspace}.events WHERE log_id = 'c.1' AND hour_bucket = {bucket} AND time = {time} AND seq = {seq}"
    );
    session.query_unpaged(delete, ()).await.expect("the statement succeeds");
    let (code, said) = check(&[]).await;
    assert!(code == Some(7) && said.contains("1 of 200 events are gone"), "{code:?}: {said}");
    assert!(said.contains("c.0: whole, 200 events") && !said.contains("cassandra:"), "{said}");
    let (code, said) = check(&["--json"]).await;
    let summary: serde_json::Value =
        serde_json::from_str(said.lines().last().unwrap_or_default()).expect("the last line is JSON");
    assert_eq!((code, &summary["whole"], &summary["gone"]), (Some(7), &false.into(), &1.into()), "{said}");
}

/// The events of a page of the test of pages that are read ahead, and the bytes of each: such a page is a large one.
const AHEAD: (u32, usize) = (10, 32 << 10);

#[tokio::test(flavor = "multi_thread")]
async fn the_next_page_of_a_reader_is_read_ahead_and_shows_what_was_written_since() {
    let url = new_keyspace();
    let service = service_with(&["--store", &url, "--migrate"]).await;
    let (jetstream, remote) = (service.jetstream().await, service.remote().await);
    let publish = async |time: String| {
        let mut headers = HeaderMap::new();
        headers.insert("Hourlog-Time", time);
        let sent = jetstream.publish_with_headers("log.ahead", headers, vec![b'x'; AHEAD.1].into()).await;
        sent.expect("the message can be sent").await.expect("the stream accepts the message");
    };
    for second in 10..40 {
        publish(format!("2018-02-04T10:00:{second}Z")).await;
    }
    archived(&remote).await;
    let page = async |after| {
        let request = ReplayRequest { after, limit: Some(AHEAD.0), ..ReplayRequest::default() };
        remote.replay(&log("ahead"), &request).await.expect("the log can be read")
    };
    let seconds = |page: &RemotePage| -> Vec<String> {
        page.events.iter().map(|event| event.position.offset.to_string()[17..].to_owned()).collect()
    };
    let counts = TableCounts::of(&url.parse().expect("the URL is valid")).await;
    let reads = async || counts.reads("events").await;
    let until_read = async |expected: i64| {
        let begun = Instant::now();
        while reads().await < expected {
            assert!(begun.elapsed() < WAIT_MAX, "the page after the last one is not read ahead");
        }
    };

    let before = reads().await;
    let first = page(None).await;
    let second = page(first.next).await;
    // The first page, which many want alone, the second, and the third.
    until_read(before + 3).await;
    publish("2018-02-04T10:00:30.5Z".to_owned()).await;
    archived(&remote).await;
    let third = page(second.next).await;
    assert_eq!(seconds(&third)[..3], ["30Z", "30.5Z", "31Z"], "a page that was read before a write is not shown");
    // The third again, and the fourth.
    until_read(before + 5).await;
    let fourth = page(third.next).await;
    assert_eq!((seconds(&fourth), reads().await), (vec!["39Z".to_owned()], before + 5), "it was read before");
}

/// Reads the data of the first `count` events of a log in arrival order. Retries while the service
/// is unavailable.
async fn follow(remote: Remote, id: &str, count: u32) -> Vec<String> {
    let (id, mut after, mut found) = (log(id), None, Vec::new());
    while found.len() < count as usize {
        let request = ReplayRequest {
            order: Order::Arrival,
            after,
            wait: Some("1s".parse().expect("the span is valid")),
            ..ReplayRequest::default()
        };
        match remote.replay(&id, &request).await {
            Ok(page) => {
                after = page.next.or(after);
                found.extend(page.events.iter().map(|event| String::from_utf8_lossy(&event.record.data).into_owned()));
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::NotFound | ErrorKind::Deadline) =>
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    found
}

/// Waits until the report of the service satisfies `ready`, and returns it.
async fn until(service: &Service, ready: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
    let begun = Instant::now();
    loop {
        let report = service.report().await;
        if ready(&report) {
            return report;
        }
        assert!(begun.elapsed() < WAIT_MAX, "{report}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
