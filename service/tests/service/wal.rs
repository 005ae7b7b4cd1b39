//! The stream between publishers and the archive: kept small, and refusing where it is full.

use std::time::{Duration, Instant};

use hourlog::{ErrorKind, Record};

use crate::kit::{LONG, archived, events, log, options, publish_all, service, service_with};

/// A stream that a moment's load fills many times over.
const WAL_BYTES: u64 = 16 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn without_a_margin_a_small_stream_never_refuses_and_nothing_is_lost() {
    let size = WAL_BYTES.to_string();
    let service = service_with(&["--wal-max-bytes", &size, "--wal-keep-seconds", "0", "--wal-keep-bytes", "0"]).await;
    let (remote, jetstream) = (service.remote().await, service.jetstream().await);
    let payload = "x".repeat(10_000);
    // Five times what the stream holds, in steps that the janitor's pace has room for.
    for step in 0..10 {
        let message = |number: u64| ("log.small".to_owned(), format!("{:06}{payload}", step * 800 + number));
        publish_all(&jetstream, (0..800).map(message)).await;
        let mut stream = jetstream.get_stream("HOURLOG").await.expect("it is there");
        let begun = Instant::now();
        while stream.info().await.expect("it answers").state.bytes > WAL_BYTES / 4 {
            assert!(begun.elapsed() < LONG, "the stream is not emptied");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    archived(&remote).await;
    let found = events(&remote, "small").await;
    assert_eq!(found.len(), 8_000);
    assert!(found.iter().enumerate().all(|(at, event)| event.record.data.starts_with(format!("{at:06}").as_bytes())));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_archived_is_never_taken_out_of_the_stream() {
    let mut service = service().await;
    let jetstream = service.jetstream().await;
    publish_all(&jetstream, (0..100).map(|number| ("log.kept".to_owned(), number.to_string()))).await;
    let remote = service.remote().await;
    archived(&remote).await;
    service.process.kill();
    publish_all(&jetstream, (100..200).map(|number| ("log.kept".to_owned(), number.to_string()))).await;
    service.options = options(&["--wal-keep-seconds", "0", "--wal-keep-bytes", "0"]);
    service.start_again().await;
    let remote = service.remote().await;
    archived(&remote).await;
    assert_eq!(events(&remote, "kept").await.len(), 200);
    let mut stream = jetstream.get_stream("HOURLOG").await.expect("it is there");
    let begun = Instant::now();
    while stream.info().await.expect("it answers").state.messages > 0 {
        assert!(begun.elapsed() < LONG, "the stream is not emptied");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // An empty stream is no fork, and what comes next is taken.
    remote.append(&log("kept"), Record::new("200")).await.expect("it is archived");
    assert_eq!(events(&remote, "kept").await.len(), 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_to_a_full_stream_is_refused_with_its_name() {
    let service = service_with(&["--wal-max-bytes", "100000"]).await;
    let remote = service.remote().await;
    let error = loop {
        match remote.append(&log("full"), Record::new("x".repeat(10_000))).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("HOURLOG is full (max_bytes)"), "{error}");
}
