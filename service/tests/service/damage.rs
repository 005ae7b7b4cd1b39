//! Damaged files of a stream: what is missing in the middle is said, with its exact range.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use async_nats::jetstream;
use conformance::servers::{NatsServer, Service};
use serde_json::Value;

use crate::kit::{WAIT_MAX, archived, events, options, orders, publish_all};

/// Number of messages in each stream.
const MESSAGES: u64 = 400;
/// Bytes of a message: three files hold a stream of them.
const MESSAGE_BYTES: usize = 60_000;

/// Starts a service with an existing stream, and stops it. Then fills both streams.
async fn filled() -> (Service, jetstream::Context) {
    let nats = NatsServer::start().await;
    let jetstream = orders(&nats).await;
    let mut service = Service::start(nats, options(&["--source", "ORDERS"])).await;
    service.process.terminate().await;
    let message =
        |subject: &str, number: u64| (subject.to_owned(), format!("{number:07}{}", "x".repeat(MESSAGE_BYTES)));
    publish_all(&jetstream, (1..=MESSAGES).map(|number| message("log.own", number))).await;
    publish_all(&jetstream, (1..=MESSAGES).map(|number| message("orders.eu", number))).await;
    let stream = jetstream.get_stream("ORDERS").await.expect("the stream exists");
    for sequence in [20, 21] {
        stream.delete_message(sequence).await.expect("the message can be deleted");
    }
    (service, jetstream)
}

/// Flips a bit in the payload of each of these messages, in the files of a server that has ended.
fn damage(nats: &NatsServer, stream: &str, sequences: &[u64]) {
    let mut left = sequences.len();
    let mut directories = vec![nats.directory().to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("the server's directory can be read") {
            let path = entry.expect("the server's directory can be read").path();
            let is_of = |stream: &str| path.components().any(|part| part.as_os_str() == Path::new(stream).as_os_str());
            if path.is_dir() {
                directories.push(path);
            } else if is_of(stream) && path.extension().is_some_and(|extension| extension == "blk") {
                let mut bytes = fs::read(&path).expect("the file can be read");
                for sequence in sequences {
                    let marker = format!("{sequence:07}xxx");
                    let found = bytes.windows(marker.len()).position(|window| window == marker.as_bytes());
                    if let Some(at) = found {
                        bytes[at + MESSAGE_BYTES / 2] ^= 0x10;
                        left -= 1;
                    }
                }
                fs::write(&path, bytes).expect("the file can be written");
            }
        }
    }
    assert_eq!(left, 0, "some of the messages {sequences:?} are not in the files of {stream}");
}

/// Waits until the source at this place of the report has these numbers of missing messages and of
/// gaps, and this newest gap. The lag must be 0 then.
async fn is_missing(service: &Service, source: &str, expected: (u64, u64, u64, u64)) {
    let begun = Instant::now();
    loop {
        let report = service.report().await;
        let of_source = report.pointer(source).expect("the report has the source");
        let number = |name: &str| of_source.pointer(name).and_then(Value::as_u64).unwrap_or(0);
        let found = (number("/removed"), number("/gaps"), number("/last_removed/from"), number("/last_removed/to"));
        if found == expected && report["lag"] == 0 {
            return;
        }
        assert!(
            begun.elapsed() < WAIT_MAX,
            "{source} has {found:?} and not {expected:?}, the lag is {}",
            report["lag"]
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_messages_that_the_server_still_counts_are_reported_and_removed_ones_are_not() {
    let (mut service, jetstream) = filled().await;
    service.nats.stop().await;
    damage(&service.nats, "HOURLOG", &[50, 51]);
    damage(&service.nats, "ORDERS", &[60, 61, 62, 90]);
    service.nats.restart().await;
    service.start_again().await;
    let remote = service.remote().await;
    archived(&remote).await;
    assert_eq!(events(&remote, "own").await.len() as u64, MESSAGES - 2);
    assert_eq!(events(&remote, "orders.eu").await.len() as u64, MESSAGES - 2 - 4);
    is_missing(&service, "", (2, 1, 50, 51)).await;
    is_missing(&service, "/sources/0", (4, 2, 90, 90)).await;
    let said = service.process.stderr_lines();
    assert!(
        said.iter().any(|line| line.contains("messages are missing in the stream") && line.contains("from=50 to=51"))
    );

    // The server counts the damaged messages as not sent yet, and they do not count as lag.
    publish_all(&jetstream, [("log.own".to_owned(), "next".to_owned()), ("orders.eu".to_owned(), "next".to_owned())])
        .await;
    archived(&remote).await;
    is_missing(&service, "", (2, 1, 50, 51)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_a_killed_server_lost_from_a_file_are_reported() {
    let (mut service, _) = filled().await;
    service.nats.kill();
    for stream in ["HOURLOG", "ORDERS"] {
        damage(&service.nats, stream, &[50]);
    }
    service.nats.restart().await;
    service.start_again().await;
    let remote = service.remote().await;
    archived(&remote).await;
    let lost = |log_events: usize| MESSAGES - log_events as u64;
    let own = lost(events(&remote, "own").await.len());
    assert!(own > 1, "the server lost the rest of the file too");
    is_missing(&service, "", (own, 1, 50, 49 + own)).await;
    // The server says that it has lost messages, and not which: those that somebody removed count too.
    let orders = lost(events(&remote, "orders.eu").await.len());
    is_missing(&service, "/sources/0", (orders, 2, 50, 47 + orders)).await;
}
