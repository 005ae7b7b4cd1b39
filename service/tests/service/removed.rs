//! Messages that leave the stream before they were archived: said once, counted, and never waited for.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::kit::{WAIT_MAX, archived, events, publish_all, service};

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
    assert_eq!((&report["lag"], &report["removed"]), (&json!(0), &json!(0)));
    // A purge while the service is down cannot be told from an archive of before.
    assert_eq!(report["set_back"]["missing"], "2-6");
    let traced = service.process.stderr_lines();
    assert_eq!(traced.iter().filter(|line| line.contains("messages 2–6 are in neither")).count(), 1);

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
    assert_eq!((&report["last_removed"]["from"], &report["last_removed"]["to"]), (&json!(10), &json!(10)));
    assert_eq!(events(&remote, "a").await.len(), 3);
    // It is kept in the archive, like the checkpoint behind it.
    let removed = report["last_removed"].clone();
    let begun = Instant::now();
    while service.report().await["stored"] != 10 {
        assert!(begun.elapsed() < WAIT_MAX, "no checkpoint is stored");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    service.process.kill();
    service.start_again().await;
    archived(&service.remote().await).await;
    let report = service.report().await;
    assert_eq!((&report["removed"], &report["last_removed"]), (&json!(2), &removed));

    // What is archived may leave the stream.
    stream.purge().await.expect("the stream can be purged");
    service.process.terminate().await;
    service.start_again().await;
    publish_all(&jetstream, publish(10..12)).await;
    archived(&service.remote().await).await;
    let report = service.report().await;
    assert_eq!((&report["removed"], &report["set_back"]["missing"]), (&json!(2), &json!("2-6")));
}
