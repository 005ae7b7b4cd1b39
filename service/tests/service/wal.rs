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

#[tokio::test(flavor = "multi_thread")]
async fn into_a_full_stream_who_does_not_ask_writes_nothing_and_who_asks_is_refused() {
    let service = service_with(&["--wal-max-bytes", "100000"]).await;
    let (remote, jetstream) = (service.remote().await, service.jetstream().await);
    let mut taken = 0;
    let refused = loop {
        let sent = jetstream.publish("log.full", "x".repeat(10_000).into()).await.expect("it is sent");
        match sent.await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(refused.to_string().contains("maximum bytes exceeded"), "{refused}");
    for _ in 0..10 {
        remote.client().publish("log.full", "x".repeat(10_000).into()).await.expect("nobody says no");
    }
    remote.client().flush().await.expect("the server is there");
    archived(&remote).await;
    assert_eq!(events(&remote, "full").await.len(), taken);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_is_told_the_first_ones_position_even_when_the_stream_has_it_no_more() {
    let service = service_with(&["--wal-keep-seconds", "0", "--wal-keep-bytes", "0"]).await;
    let (remote, jetstream) = (service.remote().await, service.jetstream().await);
    let late = "2018-02-04T10:00:00Z".parse().expect("a time");
    for record in [Record::new("now"), Record::new("late").at(late)] {
        let record = record.with("Nats-Msg-Id", "7");
        let id = log(if record.metadata.get("Hourlog-Time").is_empty() { "punctual" } else { "placed" });
        let first = remote.append(&id, record.clone()).await.expect("it is archived");
        let mut stream = jetstream.get_stream("HOURLOG").await.expect("it is there");
        let begun = Instant::now();
        while stream.info().await.expect("it answers").state.messages > 0 {
            assert!(begun.elapsed() < LONG, "the stream is not emptied");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let second = remote.append(&id, record).await.expect("it was archived");
        assert_eq!((second.position, second.duplicate), (first.position, true));
        assert_eq!(events(&remote, id.as_str()).await.len(), 1);
    }
}

/// How long the load lasts. More with HOURLOG_LOAD_SECONDS.
const LOAD: Duration = Duration::from_secs(10);
/// What four publishers send together, in events a second: the stream is filled once in some six seconds.
const LOAD_RATE: u64 = 30_000;

#[tokio::test(flavor = "multi_thread")]
async fn under_load_a_stream_of_64_mib_without_a_margin_refuses_nobody() {
    let seconds = std::env::var("HOURLOG_LOAD_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let (load, size) = (seconds.map_or(LOAD, Duration::from_secs), (64_u64 << 20).to_string());
    let service = service_with(&["--wal-max-bytes", &size, "--wal-keep-seconds", "0", "--wal-keep-bytes", "0"]).await;
    let begun = Instant::now();
    let publishers: Vec<_> = (0..4)
        .map(|publisher| {
            let url = service.nats.url();
            tokio::spawn(async move {
                let client = async_nats::connect(url).await.expect("the server is there");
                let jetstream = async_nats::jetstream::new(client);
                let mut sent = 0;
                let mut second = tokio::time::interval(Duration::from_secs(1));
                while begun.elapsed() < load || sent * 4 * 256 <= 64 << 20 {
                    second.tick().await;
                    // Any that is refused ends the test.
                    let message = |number| (format!("log.load.{publisher}"), format!("{number:0256}"));
                    publish_all(&jetstream, (sent..sent + LOAD_RATE / 4).map(message)).await;
                    sent += LOAD_RATE / 4;
                }
                sent
            })
        })
        .collect();
    let mut sent: u64 = 0;
    for publisher in publishers {
        sent += publisher.await.expect("nobody is refused");
    }
    let logs = archived(&service.remote().await).await.logs;
    assert_eq!(logs.iter().map(|log| log.events).sum::<u64>(), sent);
    println!("{sent} events, {:.0} a second", sent as f64 / begun.elapsed().as_secs_f64());
    assert!(sent * 256 > 64 << 20, "{sent} events do not fill the stream even once");
}
