//! Existing streams as sources, and the log that a subject leads to.

use std::path::Path;

use async_nats::{HeaderMap, jetstream};
use conformance::servers::{HourlogdProcess, NatsOptions, NatsServer, Service};
use hourlog::{ErrorKind, Record, Remote, wire::DeleteRequest};
use tempfile::TempDir;

use crate::kit::{archived, binary, events, log, options, orders, publish_all, service_with};

/// Returns the output of a service that refuses to start.
async fn refusal(nats: &NatsServer, directory: &Path, flags: &[&str]) -> String {
    let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
    let started = HourlogdProcess::try_start(binary(), Service::arguments(nats, directory, &flags)).await;
    started.expect_err("the service started")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_stream_is_archived_from_its_first_message_under_its_own_times() {
    let nats = NatsServer::start().await;
    let jetstream = orders(&nats).await;
    let subject = |number: u64| format!("orders.{}.{number}.created", ["eu", "us", "asia"][number as usize % 3]);
    publish_all(&jetstream, (0..3_000).map(|number| (subject(number), number.to_string()))).await;
    let config = jetstream.get_stream("ORDERS").await.expect("the stream exists").cached_info().config.clone();
    let mut service = Service::start(nats, options(&["--source", "ORDERS=orders.*.>"])).await;
    let remote = service.remote().await;
    let logs = archived(&remote).await.logs;
    let found: Vec<_> = logs.iter().map(|found| (found.log.as_str(), found.events)).collect();
    assert_eq!(found, [("orders.asia", 1_000), ("orders.eu", 1_000), ("orders.us", 1_000)]);

    // The service can be killed at any time, and follows what is published.
    service.process.kill();
    publish_all(&jetstream, (3_000..3_300).map(|number| (subject(number), number.to_string()))).await;
    service.start_again().await;
    let remote = service.remote().await;
    archived(&remote).await;
    let mut stream = jetstream.get_stream("ORDERS").await.expect("the stream exists");
    for (at, event) in events(&remote, "orders.us").await.iter().enumerate() {
        let number = at as u64 * 3 + 1;
        assert_eq!(event.record.data, number.to_string().into());
        assert_eq!(event.record.metadata.get("Nats-Subject"), [subject(number)]);
        assert_eq!(event.position.seq.sequence(), number + 1);
        if at % 100 == 0 {
            let message = stream.get_raw_message(number + 1).await.expect("the stream has the message");
            assert_eq!(i128::from(event.position.offset.nanos()), message.time.unix_timestamp_nanos());
        }
    }
    assert_eq!(events(&remote, "orders.us").await.len(), 1_100);
    let info = stream.info().await.expect("the server replies");
    assert_eq!((info.state.messages, &info.config), (3_300, &config), "the stream was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_has_one_source_and_the_events_of_another_are_rejected() {
    let nats = NatsServer::start().await;
    let jetstream = orders(&nats).await;
    let service = Service::start(nats, options(&["--source", "ORDERS=orders.*.>"])).await;
    let remote = service.remote().await;
    remote.append(&log("orders.eu"), Record::new("from the service's own stream")).await.expect("it is archived");
    publish_all(&jetstream, [("orders.eu.1".to_owned(), "x".to_owned()), ("orders.us.1".to_owned(), "y".to_owned())])
        .await;
    archived(&remote).await;
    assert_eq!(events(&remote, "orders.eu").await.len(), 1);
    assert_eq!(events(&remote, "orders.us").await.len(), 1);
    let rejected = events(&remote, "_rejected.ORDERS").await;
    assert_eq!(rejected.len(), 1);
    let metadata = &rejected[0].record.metadata;
    assert_eq!(metadata.get("Nats-Subject"), ["orders.eu.1"]);
    let reason = metadata.get("Hourlog-Rejected").concat();
    assert!(reason.contains("orders.eu belongs to the stream HOURLOG"), "{reason}");
    // The other way round, the publisher learns it.
    let error = remote.append(&log("orders.us"), Record::new("z")).await.expect_err("the log is another stream's");
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("belongs to the stream ORDERS"), "{error}");
    // Without an ack of the service, the event is rejected.
    publish_all(&jetstream, [("log.orders.us".to_owned(), "z".to_owned())]).await;
    archived(&remote).await;
    assert_eq!(events(&remote, "_rejected").await.len(), 1);
    assert_eq!(events(&remote, "orders.us").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_a_log_stays_the_same_after_a_restart() {
    let nats = NatsServer::start().await;
    let jetstream = orders(&nats).await;
    let mut service = Service::start(nats, options(&["--source", "ORDERS=orders.*.>"])).await;
    publish_all(&jetstream, (0..10).map(|number| (format!("orders.eu.{number}"), number.to_string()))).await;
    archived(&service.remote().await).await;
    service.process.kill();
    service.start_again().await;
    publish_all(&jetstream, [("log.orders.eu".to_owned(), "z".to_owned())]).await;
    let remote = service.remote().await;
    archived(&remote).await;
    assert_eq!(events(&remote, "orders.eu").await.len(), 10);
    assert_eq!(events(&remote, "_rejected").await.len(), 1);

    // Also once it is deleted.
    remote.delete(&log("orders.eu"), &DeleteRequest::default()).await.expect("the log is deleted");
    service.process.kill();
    service.start_again().await;
    publish_all(&jetstream, [("log.orders.eu".to_owned(), "z".to_owned())]).await;
    let remote = service.remote().await;
    archived(&remote).await;
    assert_eq!(events(&remote, "_rejected").await.len(), 2);
    publish_all(&jetstream, [("orders.eu.11".to_owned(), "11".to_owned())]).await;
    archived(&remote).await;
    assert_eq!(events(&remote, "orders.eu").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_whose_source_was_removed_passes_to_the_next_one_that_has_events_for_it() {
    let nats = NatsServer::start().await;
    let jetstream = orders(&nats).await;
    let mut service = Service::start(nats, options(&["--source", "ORDERS=orders.*.>"])).await;
    let remote = service.remote().await;
    remote.append(&log("other"), Record::new("x")).await.expect("it is archived");
    publish_all(&jetstream, (0..10).map(|number| (format!("orders.eu.{number}"), number.to_string()))).await;
    archived(&remote).await;
    service.process.terminate().await;
    service.options = options(&[]);
    for round in 1..=2 {
        service.start_again().await;
        let remote = service.remote().await;
        // Right after a kill, the service shows a log only as far as it has read it again.
        archived(&remote).await;
        assert_eq!(events(&remote, "orders.eu").await.len(), 9 + round);
        remote.append(&log("orders.eu"), Record::new("z")).await.expect("it is archived");
        assert_eq!(events(&remote, "orders.eu").await.len(), 10 + round);
        let described = remote.describe(&log("orders.eu")).await.expect("the log exists");
        assert_eq!(described.events, 10 + round as u64);
        assert_eq!(events(&remote, "other").await.len(), 1);
        service.process.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tokens_of_a_subject_name_the_log_and_the_whole_subject_is_kept() {
    let mut service = service_with(&["--subject", "sensors.>", "--logs", "sensors.*.>"]).await;
    let jetstream = service.jetstream().await;
    let mut headers = HeaderMap::new();
    headers.insert("kind", "reading");
    let ack = jetstream.publish_with_headers("sensors.7.temperature", headers, "21".into()).await;
    ack.expect("the message can be sent").await.expect("the stream accepts the message");
    publish_all(&jetstream, [("sensors.7".to_owned(), "on".to_owned())]).await;
    let remote = service.remote().await;
    archived(&remote).await;
    let found = events(&remote, "sensors.7").await;
    let subjects: Vec<_> = found.iter().map(|event| event.record.metadata.get("Nats-Subject").concat()).collect();
    assert_eq!(subjects, ["sensors.7.temperature", ""]);
    assert_eq!(found[0].record.metadata.get("kind"), ["reading"]);

    // The mapping is kept with the archive. A change that would move a log is refused.
    service.process.terminate().await;
    let flags = ["--subject", "sensors.>", "--logs", "sensors.>"];
    let said = refusal(&service.nats, service.directory.path(), &flags).await;
    assert!(said.contains("the archive holds log sensors.7"), "{said}");
    assert!(said.contains("would go to log sensors"), "{said}");
    service.options = options(&["--subject", "sensors.>", "--logs", "machines.*.>,sensors.*.>"]);
    service.start_again().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_is_refused_if_its_subject_leads_to_another_log() {
    let service = service_with(&["--logs", "log.sensors.*.>"]).await;
    let remote = service.remote().await;
    remote.append(&log("sensors.7"), Record::new("x")).await.expect("it is archived");
    let error = remote.append(&log("sensors.7.humidity"), Record::new("x")).await.expect_err("no log has this id");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("belongs to log sensors.7"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_cannot_be_read_is_refused_with_the_reason() {
    let nats = NatsServer::start().await;
    let jetstream = orders(&nats).await;
    let config = jetstream::stream::Config {
        name: "JOBS".to_owned(),
        subjects: vec!["jobs.>".to_owned()],
        retention: jetstream::stream::RetentionPolicy::WorkQueue,
        ..Default::default()
    };
    jetstream.create_stream(config).await.expect("the stream can be created");
    let directory = TempDir::new().expect("a temporary directory can be created");
    for (flags, expected) in [
        (["--source", "JOBS"], "the stream JOBS is a work queue"),
        (["--source", "ORDRES"], "the stream ORDRES does not exist"),
        (["--source", "HOURLOG"], "the stream HOURLOG is given twice"),
        (["--source", "ORDERS=orders.*>"], "does not say which tokens name a log"),
        (["--source", "orders.eu"], "is not the name of a stream"),
        (["--wal-replicas", "3"], "--wal-replicas"),
    ] {
        let said = refusal(&nats, directory.path(), &flags).await;
        assert!(said.contains(expected), "{flags:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_file_names_sources_and_their_logs() {
    let nats = NatsServer::start().await;
    let jetstream = orders(&nats).await;
    publish_all(&jetstream, (0..10).map(|number| (format!("orders.eu.{number}"), number.to_string()))).await;
    let directory = TempDir::new().expect("a temporary directory can be created");
    let file = directory.path().join("hourlog.toml");
    std::fs::write(&file, "[[source]]\nstream = \"ORDERS\"\nlogs = [\"orders.*.>\"]\n")
        .expect("the file can be written");
    let file = file.to_str().expect("the path is UTF-8");
    let service = Service::start(nats, options(&["--config", file])).await;
    let remote = service.remote().await;
    archived(&remote).await;
    assert_eq!(events(&remote, "orders.eu").await.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_in_a_jetstream_domain_is_found() {
    let store = TempDir::new().expect("a temporary directory can be created");
    let config = format!("jetstream {{ domain: hub, store_dir: {:?} }}\n", store.path());
    let nats = NatsServer::start_with(NatsOptions { config, ..Default::default() }).await;
    for (flags, expected) in [(["--js-domain", "hub"], 1), (["--js-api-prefix", "$JS.hub.API"], 2)] {
        let directory = TempDir::new().expect("a temporary directory can be created");
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).chain(["--adopt".to_owned()]).collect();
        let arguments = Service::arguments(&nats, directory.path(), &flags);
        let _service = HourlogdProcess::start(binary(), arguments).await;
        let remote = Remote::connect(&nats.url()).await.expect("NATS answers");
        remote.append(&log("a"), Record::new("x")).await.expect("the record is archived");
        assert_eq!(events(&remote, "a").await.len(), expected);
    }
}
