//! The service over a CQL database.

use async_nats::HeaderMap;
use conformance::{guards::new_keyspace, servers::HourlogdProcess};

use crate::kit::{Service, archived, binary, events, publish_all, service_with};

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
        late.expect("it is sent").await.expect("the stream takes it");
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
async fn a_database_that_cannot_be_used_is_refused_with_what_to_do() {
    let url = new_keyspace();
    let service: Service = service_with(&[]).await;
    let node = url.trim_start_matches("cql://").split('/').next().expect("a node").to_owned();
    for (store, flags, says) in [
        ("cql://127.0.0.1:1/nowhere".to_owned(), vec!["--migrate"], "no database answers"),
        (url.clone(), vec![], "start once with --migrate"),
        (format!("cql://{node}/many?replication=3"), vec!["--migrate"], "3 copies cannot lie on 1 nodes"),
        (format!("cql://{node}/UPPER"), vec![], "keyspace"),
    ] {
        let flags: Vec<String> = ["--store", &store].into_iter().chain(flags).map(str::to_owned).collect();
        let arguments = Service::arguments(&service.nats, service.directory.path(), &flags);
        let said = HourlogdProcess::try_start(binary(), arguments).await.expect_err(&store);
        assert!(said.contains(says), "{store}: {said}");
    }
}
