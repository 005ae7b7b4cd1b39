//! Two archives on one stream, or below one prefix: the second one is refused, and deletes nothing.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use conformance::servers::{HourlogdProcess, NatsServer, Service};
use hourlog::{Record, Remote};
use tempfile::TempDir;

use crate::kit::{WAIT_MAX, archived, binary, events, log, publish_all, service};

async fn try_start(nats: &NatsServer, directory: &Path, flags: &[&str]) -> Result<HourlogdProcess, String> {
    let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
    HourlogdProcess::try_start(binary(), Service::arguments(nats, directory, &flags)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_archive_on_a_stream_is_refused_until_it_adopts_the_stream() {
    let mut service = service().await;
    let jetstream = service.jetstream().await;
    publish_all(&jetstream, (0..10).map(|number| ("log.a".to_owned(), number.to_string()))).await;
    archived(&service.remote().await).await;
    let second = TempDir::new().expect("a temporary directory can be created");

    // While the first one runs.
    let said = try_start(&service.nats, second.path(), &["--prefix", "other"]).await.expect_err("it was let in");
    assert!(said.contains("the stream HOURLOG belongs to the archive"), "{said}");
    let said = try_start(&service.nats, second.path(), &["--stream", "OTHER", "--subject", "other.>"]).await;
    let said = said.expect_err("it was let in");
    assert!(said.contains("answers below the subject hourlog already"), "{said}");
    // Beside it, with names of its own.
    let flags = ["--stream", "OTHER", "--subject", "other.>", "--prefix", "other"];
    drop(try_start(&service.nats, second.path(), &flags).await.expect("nothing is shared"));

    // Once it has ended.
    service.process.terminate().await;
    let said = try_start(&service.nats, second.path(), &[]).await.expect_err("it was let in");
    assert!(said.contains("--adopt"), "{said}");
    let adopted = try_start(&service.nats, second.path(), &["--adopt"]).await.expect("the stream is adopted");
    let remote = Remote::connect(&service.nats.url()).await.expect("NATS answers");
    archived(&remote).await;
    // The stream still has everything, because the janitor keeps a margin.
    assert_eq!(events(&remote, "a").await.len(), 10);
    drop(adopted);
    // Now it belongs to the second one, which needs no flag any more.
    let flags: Vec<String> = Vec::new();
    let arguments = Service::arguments(&service.nats, service.directory.path(), &flags);
    HourlogdProcess::try_start(binary(), arguments).await.expect_err("the first archive was let in");
    try_start(&service.nats, second.path(), &[]).await.expect("it is the stream's archive");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_stream_was_adopted_by_another_archive_deletes_nothing() {
    let nats = NatsServer::start().await;
    let directories = [(), ()].map(|()| TempDir::new().expect("a temporary directory can be created"));
    let keep_nothing = ["--wal-keep-seconds", "0", "--wal-keep-bytes", "0"];
    let first = try_start(&nats, directories[0].path(), &keep_nothing).await.expect("the stream is free");
    let flags = ["--adopt", "--prefix", "other"];
    let second = try_start(&nats, directories[1].path(), &flags).await.expect("the stream is adopted");
    drop(second);
    let remote = Remote::connect(&nats.url()).await.expect("NATS answers");
    remote.append(&log("a"), Record::new("x")).await.expect("the record is archived");
    let is_refused =
        |line: &String| line.contains("the janitor cannot delete") && line.contains("belongs to the archive");
    let begun = Instant::now();
    while !first.stderr_lines().iter().any(is_refused) {
        assert!(begun.elapsed() < WAIT_MAX, "the janitor did not notice the other archive");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let jetstream = async_nats::jetstream::new(remote.client().clone());
    let stream = jetstream.get_stream("HOURLOG").await.expect("the stream exists");
    assert_eq!(stream.cached_info().state.messages, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_of_an_archive_in_memory_is_taken_over_without_asking() {
    let nats = NatsServer::start().await;
    let directory = TempDir::new().expect("a temporary directory can be created");
    for store in ["memory:", "memory:", &format!("file:{}", directory.path().display())] {
        let service = try_start(&nats, directory.path(), &["--store", store]).await.expect("the stream is free");
        let remote = Remote::connect(&nats.url()).await.expect("NATS answers");
        remote.append(&log("a"), Record::new("x")).await.expect("the record is archived");
        drop(service);
    }
    let remote = Remote::connect(&nats.url()).await.expect("NATS answers");
    let service = try_start(&nats, directory.path(), &[]).await.expect("it is the stream's archive");
    archived(&remote).await;
    assert_eq!(events(&remote, "a").await.len(), 3, "the new archive reads the stream from its first message");
    drop(service);
    try_start(&nats, directory.path(), &["--store", "memory:"]).await.expect_err("the stream belongs to a file");
}
