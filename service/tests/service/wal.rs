//! The stream between publishers and the archive: it stays small, and refuses events when it is
//! full.

use std::time::{Duration, Instant};

use hourlog::{ErrorKind, Record};

use crate::kit::{WAIT_MAX, archived, events, log, options, publish_all, service, service_with};

/// Size of a stream that is far smaller than the load.
const WAL_BYTES: u64 = 16 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_small_stream_without_a_margin_refuses_and_loses_nothing() {
    let size = WAL_BYTES.to_string();
    let service = service_with(&["--wal-max-bytes", &size, "--wal-keep-seconds", "0", "--wal-keep-bytes", "0"]).await;
    let (remote, jetstream) = (service.remote().await, service.jetstream().await);
    let payload = "x".repeat(10_000);
    // The load is five times the stream's size, in steps that leave the janitor time to purge.
    for step in 0..10 {
        let message = |number: u64| ("log.small".to_owned(), format!("{:06}{payload}", step * 800 + number));
        publish_all(&jetstream, (0..800).map(message)).await;
        let mut stream = jetstream.get_stream("HOURLOG").await.expect("the stream exists");
        let begun = Instant::now();
        while stream.info().await.expect("the server replies").state.bytes > WAL_BYTES / 4 {
            assert!(begun.elapsed() < WAIT_MAX, "the janitor did not purge the stream");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    archived(&remote).await;
    let found = events(&remote, "small").await;
    assert_eq!(found.len(), 8_000);
    assert!(found.iter().enumerate().all(|(at, event)| event.record.data.starts_with(format!("{at:06}").as_bytes())));
}

#[tokio::test(flavor = "multi_thread")]
async fn unarchived_events_are_never_purged_from_the_stream() {
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
    let mut stream = jetstream.get_stream("HOURLOG").await.expect("the stream exists");
    let begun = Instant::now();
    while stream.info().await.expect("the server replies").state.messages > 0 {
        assert!(begun.elapsed() < WAIT_MAX, "the janitor did not purge the stream");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // An empty stream is not a fork, and the next event is archived.
    remote.append(&log("kept"), Record::new("200")).await.expect("the record is archived");
    assert_eq!(events(&remote, "kept").await.len(), 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_to_a_full_stream_is_refused_and_the_stream_is_named() {
    let service = service_with(&["--wal-max-bytes", "100000"]).await;
    let remote = service.remote().await;
    let error = loop {
        // Twice the stream's limit at once: faster than the janitor can make room.
        for _ in 0..20 {
            let filler = "x".repeat(10_000).into();
            remote.client().publish("log.full", filler).await.expect("the message can be sent");
        }
        remote.client().flush().await.expect("the server accepts a connection");
        match remote.append(&log("full"), Record::new("x".repeat(10_000))).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("HOURLOG is full (max_bytes)"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_stream_refuses_a_publish_with_an_ack_and_silently_drops_one_without() {
    let mut service = service_with(&["--wal-max-bytes", "100000"]).await;
    let (remote, jetstream) = (service.remote().await, service.jetstream().await);
    // Nobody makes room while the service is down.
    service.process.kill();
    let mut taken = 0;
    let refused = loop {
        let sent = jetstream.publish("log.full", "x".repeat(10_000).into()).await.expect("the message can be sent");
        match sent.await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(refused.to_string().contains("maximum bytes exceeded"), "{refused}");
    for _ in 0..10 {
        remote
            .client()
            .publish("log.full", "x".repeat(10_000).into())
            .await
            .expect("a publish without an ack gets no refusal");
    }
    remote.client().flush().await.expect("the server accepts a connection");
    service.start_again().await;
    let remote = service.remote().await;
    archived(&remote).await;
    assert_eq!(events(&remote, "full").await.len(), taken);
}

/// Time within which a publisher that retries must get through, once everything is archived.
const REFUSED_MAX: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_smaller_than_the_margin_refuses_nobody_for_long() {
    let service = service_with(&["--wal-max-bytes", "2000000"]).await;
    let (remote, jetstream) = (service.remote().await, service.jetstream().await);
    for number in 0..30 {
        let payload = format!("{number:06}{}", "x".repeat(189_994));
        let begun = Instant::now();
        loop {
            let sent = jetstream.publish("log.large", payload.clone().into()).await.expect("the message can be sent");
            let Err(refused) = sent.await else { break };
            assert!(refused.to_string().contains("maximum bytes exceeded"), "{refused}");
            let lag = service.report().await["lag"].clone();
            assert!(begun.elapsed() < REFUSED_MAX, "event {number} stays refused with a lag of {lag}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    archived(&remote).await;
    let found = events(&remote, "large").await;
    assert_eq!(found.len(), 30);
    assert!(found.iter().enumerate().all(|(at, event)| event.record.data.starts_with(format!("{at:06}").as_bytes())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_gets_the_first_position_even_after_the_stream_was_purged() {
    let service = service_with(&["--wal-keep-seconds", "0", "--wal-keep-bytes", "0"]).await;
    let (remote, jetstream) = (service.remote().await, service.jetstream().await);
    let late = "2018-02-04T10:00:00Z".parse().expect("the time is valid");
    for record in [Record::new("now"), Record::new("late").at(late)] {
        let record = record.with("Nats-Msg-Id", "7");
        let id = log(if record.time.is_none() { "on_time" } else { "late" });
        let first = remote.append(&id, record.clone()).await.expect("the record is archived");
        let mut stream = jetstream.get_stream("HOURLOG").await.expect("the stream exists");
        let begun = Instant::now();
        while stream.info().await.expect("the server replies").state.messages > 0 {
            assert!(begun.elapsed() < WAIT_MAX, "the janitor did not purge the stream");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let second = remote.append(&id, record).await.expect("the record was archived before");
        assert_eq!((second.position, second.duplicate), (first.position, true));
        assert_eq!(events(&remote, id.as_str()).await.len(), 1);
    }
}

/// Time of the load. HOURLOG_LOAD_SECONDS overrides it.
const LOAD: Duration = Duration::from_secs(10);
/// Events per second of all four publishers. They fill the stream about every six seconds.
const LOAD_RATE: u64 = 30_000;

#[tokio::test(flavor = "multi_thread")]
async fn under_load_a_stream_of_64_mib_without_a_margin_refuses_no_event() {
    let seconds = std::env::var("HOURLOG_LOAD_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let (load, size) = (seconds.map_or(LOAD, Duration::from_secs), (64_u64 << 20).to_string());
    let service = service_with(&["--wal-max-bytes", &size, "--wal-keep-seconds", "0", "--wal-keep-bytes", "0"]).await;
    let begun = Instant::now();
    let publishers: Vec<_> = (0..4)
        .map(|publisher| {
            let url = service.nats.url();
            tokio::spawn(async move {
                let client = async_nats::connect(url).await.expect("the server accepts a connection");
                let jetstream = async_nats::jetstream::new(client);
                let mut sent = 0;
                let mut second = tokio::time::interval(Duration::from_secs(1));
                while begun.elapsed() < load || sent * 4 * 256 <= 64 << 20 {
                    second.tick().await;
                    // A single refusal fails the test.
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
        sent += publisher.await.expect("no event is refused");
    }
    let logs = archived(&service.remote().await).await.logs;
    assert_eq!(logs.iter().map(|log| log.events).sum::<u64>(), sent);
    println!("{sent} events, {:.0} per second", sent as f64 / begun.elapsed().as_secs_f64());
    assert!(sent * 256 > 64 << 20, "{sent} events do not fill the stream even once");
}
