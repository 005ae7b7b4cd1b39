//! Repeated imports: a second import adds nothing, and equal lines of one file are all kept.

use async_nats::{HeaderMap, jetstream};

use crate::kit::{archived, events, service};

/// Publishes a line as an import does. `n` counts the equal lines before it in its file.
async fn import(jetstream: &jetstream::Context, time: &str, data: &str, n: &str) {
    let mut headers = HeaderMap::new();
    headers.insert("Hourlog-Time", time);
    headers.insert("Hourlog-Once", n);
    headers.insert("Hourlog-Msg-Id", "the-same");
    let ack = jetstream
        .publish_with_headers("log.once", headers, data.to_owned().into())
        .await
        .expect("the message can be sent");
    ack.await.expect("the stream accepts the message");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_imported_twice_is_stored_once_with_its_equal_lines() {
    let mut service = service().await;
    let (remote, jetstream) = (service.remote().await, service.jetstream().await);
    let lines = [
        ("2018-02-04T10:00:00Z", "a", "0"),
        ("2018-02-04T10:00:00Z", "a", "1"),
        ("2018-02-04T10:00:00Z", "b", "0"),
        ("2018-02-04T09:00:00Z", "a", "0"),
    ];
    for turn in 0..4 {
        for (time, data, n) in lines {
            import(&jetstream, time, data, n).await;
        }
        archived(&remote).await;
        let found = events(&remote, "once").await;
        let data: Vec<&[u8]> = found.iter().map(|event| &*event.record.data).collect();
        assert_eq!(data, [b"a", b"a", b"a", b"b"], "turn {turn}");
        assert!(found.iter().all(|event| event.record.metadata.get("Nats-Msg-Id") == ["the-same"]));
        assert!(found.iter().all(|event| event.record.metadata.len() == 1));
        assert_eq!(archived(&remote).await.logs[0].events, 4);
        if turn == 1 {
            service.process.kill();
            service.start_again().await;
        }
    }
    // Without the header, an equal event is stored as another one.
    jetstream
        .publish("log.once", "a".into())
        .await
        .expect("the message can be sent")
        .await
        .expect("the stream accepts the message");
    archived(&remote).await;
    assert_eq!(events(&remote, "once").await.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_concurrent_imports_add_the_same_as_one() {
    let service = service().await;
    let (remote, jetstream) = (service.remote().await, service.jetstream().await);
    let run = || async {
        for line in 0..300 {
            import(&jetstream, "2018-02-04T10:00:00Z", &(line / 2).to_string(), &(line % 2).to_string()).await;
        }
    };
    tokio::join!(run(), run());
    archived(&remote).await;
    assert_eq!(events(&remote, "once").await.len(), 300);
}
