//! Messages that leave the stream before they were archived: said once, counted, and never waited for.

use serde_json::json;

use crate::kit::{archived, events, publish_all, service};

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_were_removed_before_they_were_archived_are_reported() {
    let mut service = service().await;
    let jetstream = service.jetstream().await;
    let publish = |numbers: std::ops::Range<u32>| numbers.map(|number| ("log.a".to_owned(), number.to_string()));
    publish_all(&jetstream, publish(0..1)).await;
    archived(&service.remote().await).await;
    service.process.terminate().await;
    publish_all(&jetstream, publish(1..6)).await;
    let stream = jetstream.get_stream("HOURLOG").await.expect("the stream exists");
    stream.purge().await.expect("the stream can be purged");
    service.start_again().await;

    // Nothing is waited for, with an empty stream too.
    let remote = service.remote().await;
    archived(&remote).await;
    let report = service.report().await;
    assert_eq!((&report["lag"], &report["removed"]), (&json!(0), &json!(5)));
    assert_eq!((&report["last_removed"]["from"], &report["last_removed"]["to"]), (&json!(2), &json!(6)));
    let traced = service.process.stderr_lines();
    let traced = traced.iter().filter(|line| line.contains("removed from the stream before they were archived"));
    assert_eq!(traced.count(), 1);

    // A message in the middle, and the last one.
    service.process.terminate().await;
    publish_all(&jetstream, publish(6..10)).await;
    for sequence in [8, 10] {
        stream.delete_message(sequence).await.expect("the message can be deleted");
    }
    service.start_again().await;
    let remote = service.remote().await;
    archived(&remote).await;
    let report = service.report().await;
    assert_eq!((&report["lag"], &report["removed"]), (&json!(0), &json!(2)));
    assert_eq!(events(&remote, "a").await.len(), 3);

    // What is archived may leave the stream.
    stream.purge().await.expect("the stream can be purged");
    service.process.terminate().await;
    service.start_again().await;
    publish_all(&jetstream, publish(10..12)).await;
    archived(&service.remote().await).await;
    assert_eq!(service.report().await["removed"], json!(0));
}
