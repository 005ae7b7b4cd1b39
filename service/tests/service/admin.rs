//! Creating, changing and removing logs, as an operator does it.

use async_nats::HeaderMap;
use hourlog::{ErrorKind, Record, read::End, store::Width, wire::*};

use crate::kit::{archived, events, log, service, service_with};

fn when(text: &str) -> When {
    text.parse().expect("the time is valid")
}

/// Appends an event at each of `times` on one day.
async fn append(remote: &hourlog::Remote, id: &str, times: &[&str]) {
    for time in times {
        let at = format!("2018-02-04T{time}Z").parse().expect("the time is valid");
        remote.append(&log(id), Record::new(*time).at(at)).await.expect("the record is archived");
    }
}

fn names(events: &[hourlog::Event]) -> Vec<String> {
    events.iter().map(|event| String::from_utf8_lossy(&event.record.data).into_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_removes_whole_buckets_counts_exactly_and_tells_later_readers() {
    let service = service().await;
    let remote = service.remote().await;
    append(&remote, "orders", &["10:10:00", "10:50:00", "11:10:00", "11:50:00", "12:10:00"]).await;
    let request = PurgeRequest { before: when("2018-02-04T11:30:00Z"), dry_run: true };
    let would = remote.purge(&log("orders"), &request).await.expect("the log exists");
    assert_eq!((would.events, would.buckets, would.bytes, would.dry_run), (2, 1, 16, true));
    assert_eq!(events(&remote, "orders").await.len(), 5);
    let done = remote.purge(&log("orders"), &PurgeRequest { dry_run: false, ..request.clone() }).await;
    let done = done.expect("the log exists");
    assert_eq!(RemovedReply { dry_run: true, ..done }, would);
    assert_eq!(done.kept_from, Some("2018-02-04T11:00:00Z".parse().expect("the time is valid")));
    assert_eq!(names(&events(&remote, "orders").await), ["11:10:00", "11:50:00", "12:10:00"]);

    // A reader who begins in the removed range is moved, and told; one who reads all is not.
    let expired = done.kept_from;
    let read = async |request: ReplayRequest| remote.replay(&log("orders"), &request).await.expect("the log exists");
    let from = |from: &str| ReplayRequest { from: Some(when(from)), ..ReplayRequest::default() };
    let page = read(from("2018-02-04T10:00:00Z")).await;
    assert_eq!((page.expired, page.events.len(), page.resolved.is_some()), (expired, 3, true));
    assert_eq!(read(from("2018-02-04T11:00:00Z")).await.expired, None);
    assert_eq!(read(ReplayRequest::default()).await.expired, None);
    let page = read(ReplayRequest { to: Some(when("2018-02-04T10:59:00Z")), ..from("2018-02-04T10:00:00Z") }).await;
    assert_eq!((page.end, page.events.len(), page.expired), (End::Expired, 0, expired));
    let known = remote.describe(&log("orders")).await.expect("the log exists");
    assert_eq!((known.events, known.expired), (3, expired));

    // What is imported again after the purge is kept.
    append(&remote, "orders", &["10:10:00"]).await;
    assert_eq!(names(&events(&remote, "orders").await)[0], "10:10:00");
    let report = service.report().await;
    assert_eq!((&report["buckets_removed"], &report["events_removed"]), (&1.into(), &2.into()));
    for before in ["first", "2200-01-01T00:00:00Z"] {
        let error = remote.purge(&log("orders"), &PurgeRequest { before: when(before), dry_run: false }).await;
        assert_eq!(error.expect_err("the time is refused").kind(), ErrorKind::Invalid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_log_can_be_created_again_and_shows_nothing_of_the_old() {
    let mut service = service().await;
    let remote = service.remote().await;
    append(&remote, "old", &["10:00:00", "11:00:00"]).await;
    let would = remote.delete(&log("old"), &DeleteRequest { dry_run: true }).await.expect("the log exists");
    assert_eq!((would.events, would.buckets), (2, 2));
    assert_eq!(events(&remote, "old").await.len(), 2);
    remote.delete(&log("old"), &DeleteRequest::default()).await.expect("the log exists");
    let missing = [
        remote.delete(&log("old"), &DeleteRequest::default()).await.map(drop),
        remote.describe(&log("old")).await.map(drop),
        remote.alter(&log("old"), &AlterRequest { width: Some(Width::MINUTE), retention: None }).await.map(drop),
    ];
    for outcome in missing {
        assert_eq!(outcome.expect_err("the log is deleted").kind(), ErrorKind::NotFound);
    }
    // The service reads the end of the stream again, and the events stay deleted.
    service.process.kill();
    service.start_again().await;
    let remote = service.remote().await;
    assert!(archived(&remote).await.logs.is_empty());
    append(&remote, "old", &["10:00:00"]).await;
    assert_eq!(names(&events(&remote, "old").await), ["10:00:00"]);
    let known = remote.describe(&log("old")).await.expect("its event created it");
    assert_eq!((known.events, known.expired), (1, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_created_changed_and_inherited_from_rules() {
    let flags = ["--retention", "debug.>=7d", "--width", "sensors.>=5m,debug.>=1m"];
    let service = service_with(&flags).await;
    let remote = service.remote().await;
    append(&remote, "sensors.roof", &["10:00:00"]).await;
    append(&remote, "debug.trace", &["10:00:00"]).await;
    append(&remote, "orders", &["10:00:00"]).await;
    let describe = async |id: &str| remote.describe(&log(id)).await.expect("the log exists");
    let known = describe("debug.trace").await;
    assert_eq!((known.width, known.retention_seconds), (Width::MINUTE, Some(7 * 86_400)));
    assert_eq!(known.retention_rule.as_deref(), Some("debug.>"));
    let (sensors, orders) = (describe("sensors.roof").await, describe("orders").await);
    assert_eq!((sensors.width.to_string(), sensors.retention_seconds), ("5m".to_owned(), None));
    assert_eq!((orders.width, orders.retention_rule), (Width::HOUR, None));

    // The log's own retention wins over the rule, also without a limit.
    let alter = async |id: &str, width: Option<&str>, retention: Option<&str>| {
        let width = width.map(|width| width.parse().expect("the width is valid"));
        let retention = retention.map(|retention| retention.parse().expect("the retention is valid"));
        remote.alter(&log(id), &AlterRequest { width, retention }).await
    };
    let known = alter("debug.trace", None, Some("forever")).await.expect("the log exists");
    assert_eq!((known.retention_seconds, known.retention_rule), (None, None));
    let known = alter("debug.trace", None, Some("2h")).await.expect("the log exists");
    assert_eq!((known.retention_seconds, known.retention_rule), (Some(7_200), None));
    let known = alter("debug.trace", None, Some("default")).await.expect("the log exists");
    assert_eq!(known.retention_rule.as_deref(), Some("debug.>"));
    let listed = archived(&remote).await;
    let shown: Vec<_> = listed.logs.iter().map(|log| (log.log.as_str(), log.retention_seconds)).collect();
    assert_eq!(shown, [("debug.trace", Some(7 * 86_400)), ("orders", None), ("sensors.roof", None)]);

    // A new width is told with the time from which it applies, at least ten minutes ahead.
    let known = alter("orders", Some("5m"), None).await.expect("the log exists");
    let change = known.next_width.expect("the change is to come");
    assert_eq!((known.width, change.width.to_string()), (Width::HOUR, "5m".to_owned()));
    let ahead = change.from.duration_since(hourlog::time::system_clock());
    assert!((9 * 60..71 * 60).contains(&ahead.as_secs()), "{ahead:?}");
    let error = alter("orders", None, None).await.expect_err("nothing is to change");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let error = remote.create(&log("orders"), &CreateRequest::default()).await.expect_err("the log exists");
    assert!(error.kind() == ErrorKind::Refused && error.to_string().contains("alter"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_events_are_requeued_once_with_their_time_and_headers() {
    let service = service().await;
    let remote = service.remote().await;
    let publish = async |subject: &str, headers: &[(&str, &str)], data: &str| {
        let mut map = HeaderMap::new();
        headers.iter().for_each(|(name, value)| map.append(*name, *value));
        let client = remote.client();
        client
            .publish_with_headers(subject.to_owned(), map, data.to_owned().into())
            .await
            .expect("the server is there");
        client.flush().await.expect("the server is there");
    };
    let future = ("Hourlog-Time", "2200-01-01T00:00:00Z");
    publish("log._system", &[("kind", "paid"), ("Nats-Msg-Id", "7")], "no such id").await;
    publish("log.orders", &[future, ("kind", "early")], "too far ahead").await;
    publish("log.orders", &[("Hourlog-Time", "2018-02-04T10:00:00Z"), ("Hourlog-Once", "x")], "mended").await;
    archived(&remote).await;
    let rejected = events(&remote, "_rejected").await;
    assert_eq!(rejected.len(), 3);

    let request = RequeueRequest::default();
    let dry = remote.requeue(&log("_rejected"), &RequeueRequest { dry_run: true, ..request.clone() }).await;
    let dry = dry.expect("there are rejected events");
    assert_eq!((dry.sent, dry.rejected, dry.reasons.len(), dry.next), (1, 2, 2, None));
    // Twice: nothing is added twice.
    for _ in 0..2 {
        let sent = remote.requeue(&log("_rejected"), &request).await.expect("there are rejected events");
        assert_eq!((sent.sent, sent.rejected), (1, 2));
        archived(&remote).await;
        let mended = events(&remote, "orders").await;
        assert_eq!((mended.len(), mended[0].position.offset.to_string()), (1, "2018-02-04T10:00:00Z".to_owned()));
    }
    // To another log, all of them arrive, those without a usable time at the time of their publishing.
    let request = RequeueRequest { log: Some(log("repaired")), ..request };
    for _ in 0..2 {
        let sent = remote.requeue(&log("_rejected"), &request).await.expect("there are rejected events");
        assert_eq!((sent.sent, sent.rejected), (3, 0));
        archived(&remote).await;
    }
    let repaired = events(&remote, "repaired").await;
    assert_eq!(names(&repaired), ["mended", "no such id", "too far ahead"]);
    assert_eq!(repaired[1].position.offset, rejected[0].position.offset);
    let metadata = &repaired[1].record.metadata;
    assert_eq!((metadata.get("kind"), metadata.get("Nats-Msg-Id")), (&["paid".to_owned()][..], &["7".to_owned()][..]));
    assert!(metadata.get("Hourlog-Rejected").is_empty());
    assert_eq!(events(&remote, "_rejected").await.len(), 3);
    let error =
        remote.requeue(&log("orders"), &RequeueRequest::default()).await.expect_err("it holds no rejected ones");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let known = remote.describe(&log("_rejected")).await.expect("it has events");
    assert_eq!(known.width, Width::MINUTE, "a flood must not fill an hour");
}

#[tokio::test(flavor = "multi_thread")]
async fn permissions_can_deny_the_removal_of_logs() {
    const CONFIG: &str = r#"
accounts { EVENTS { jetstream: enabled, users: [
    { user: service, password: s }
    { user: reader, password: r, permissions: { publish: { allow: ["hourlog.>", "log.>"], deny: ["hourlog.admin.>"] } } }
] } }
"#;
    use conformance::servers::{NatsOptions, NatsServer, Service};
    let nats = NatsServer::start_with(NatsOptions { config: CONFIG.to_owned(), ..NatsOptions::default() }).await;
    let service = Service::start(nats, crate::kit::options(&["--user", "service", "--password", "s"])).await;
    let reader = async_nats::ConnectOptions::with_user_and_password("reader".to_owned(), "r".to_owned());
    let client = reader.connect(service.nats.url()).await.expect("the server accepts the user");
    let remote = hourlog::Remote::new(client);
    remote.append(&log("kept"), Record::new("x")).await.expect("the record is archived");
    let remote = remote.with_timeout(std::time::Duration::from_millis(300));
    assert!(remote.create(&log("other"), &CreateRequest::default()).await.is_err());
    assert_eq!(archived(&remote.with_timeout(crate::kit::WAIT_MAX)).await.logs.len(), 1);
}
