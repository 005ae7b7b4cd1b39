//! Headers with a meaning, in letters of any case: recognised, or rejected if two spellings differ.

use async_nats::HeaderMap;
use hourlog::{ErrorKind, Record};

use crate::kit::{archived, events, log, service};

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    pairs.iter().for_each(|(name, value)| headers.append(*name, *value));
    headers
}

#[tokio::test(flavor = "multi_thread")]
async fn published_headers_are_recognised_in_any_case() {
    let service = service().await;
    let (remote, jetstream) = (service.remote().await, service.jetstream().await);
    let publish = async |subject: &str, pairs: &[(&str, &str)]| {
        let ack = jetstream.publish_with_headers(subject.to_owned(), headers(pairs), "x".into()).await;
        ack.expect("the message can be sent").await.expect("the stream accepts the message")
    };
    for name in ["hourlog-time", "HOURLOG-TIME", "Hourlog-time"] {
        publish("log.time", &[(name, "2018-02-04T21:56:42Z"), ("kind", "paid")]).await;
    }
    for name in ["Hourlog-Once", "hourlog-once", "HOURLOG-ONCE"] {
        publish("log.once", &[(name, "0"), ("hourlog-time", "2018-02-04T21:56:42Z")]).await;
    }
    for _ in 0..2 {
        // JetStream compares only ids under the exact name, so it keeps both.
        assert!(!publish("log.id", &[("nats-msg-id", "7"), ("nats-ttl", "1s")]).await.duplicate);
    }
    publish("log.id", &[("nats-msg-id", "of the message"), ("hourlog-msg-id", "to keep")]).await;
    publish("log.id", &[("Nats-Msg-Id", "8"), ("nats-msg-id", "8")]).await;
    archived(&remote).await;

    let timed = events(&remote, "time").await;
    assert_eq!(timed.len(), 3);
    for event in &timed {
        assert_eq!(event.position.offset.to_string(), "2018-02-04T21:56:42Z");
        assert_eq!(event.record, Record::new("x").with("kind", "paid"), "the header is not kept");
    }
    let once = events(&remote, "once").await;
    assert_eq!(once.iter().map(|event| &event.record).collect::<Vec<_>>(), [&Record::new("x")]);
    let ids: Vec<Record> = events(&remote, "id").await.into_iter().map(|event| event.record).collect();
    let with_id = |id: &str| Record::new("x").with("Nats-Msg-Id", id);
    assert_eq!(ids, [with_id("7"), with_id("7"), with_id("to keep"), with_id("8")]);
    assert!(archived(&remote).await.logs.iter().all(|log| !log.log.is_system()), "nothing is rejected");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_spellings_with_different_values_are_rejected_unchanged() {
    let service = service().await;
    let (remote, jetstream) = (service.remote().await, service.jetstream().await);
    let cases = [
        ([("Hourlog-Time", "@1"), ("hourlog-time", "@2")], "Hourlog-Time is given 2 times"),
        ([("Hourlog-Once", "0"), ("hourlog-once", "1")], "Hourlog-Once has different values"),
        ([("Nats-Msg-Id", "1"), ("nats-msg-id", "2")], "Nats-Msg-Id has different values"),
        ([("Hourlog-Msg-Id", "1"), ("HOURLOG-MSG-ID", "2")], "Hourlog-Msg-Id has different values"),
        ([("hourlog-time", "soon"), ("hourlog-rejected", "no")], "Hourlog-Time: \"soon\" is not a time"),
    ];
    for (pairs, _) in &cases {
        let ack = jetstream.publish_with_headers("log.two", headers(pairs), "x".into()).await;
        ack.expect("the message can be sent").await.expect("the stream accepts the message");
    }
    archived(&remote).await;
    let rejected = events(&remote, "_rejected").await;
    assert_eq!(rejected.len(), cases.len());
    for (event, (pairs, reason)) in rejected.iter().zip(&cases) {
        let metadata = &event.record.metadata;
        assert!(metadata.get("Hourlog-Rejected")[0].contains(reason), "{metadata:?}");
        for (name, value) in pairs.iter().filter(|(name, _)| *name != "hourlog-rejected") {
            assert_eq!(metadata.get(name), [*value], "{metadata:?}");
        }
        assert!(metadata.get("hourlog-rejected").is_empty(), "there is one reason");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_recognise_headers_in_any_case() {
    let service = service().await;
    let remote = service.remote().await;
    let id = log("append");
    let record = |name: &str| Record::new("x").with(name, "order-7").with("HOURLOG-TIME", "@5").with("Nats-TTL", "1s");
    let first = remote.append(&id, record("nats-msg-id")).await.expect("the record is archived");
    assert_eq!((first.duplicate, first.time.to_string().as_str()), (false, "1970-01-01T00:00:05Z"));
    for name in ["Nats-Msg-Id", "NATS-MSG-ID"] {
        let again = remote.append(&id, record(name)).await.expect("the record is archived");
        assert_eq!((again.duplicate, again.position), (true, first.position), "{name}");
    }
    // An append is always stored, so that it can answer with a position.
    let always = Record::new("x").with("hourlog-once", "0").with("nats-msg-id", "order-8");
    remote.append(&id, always.at(first.time)).await.expect("the record is archived");
    let stored: Vec<Record> = events(&remote, "append").await.into_iter().map(|event| event.record).collect();
    let with_id = |id: &str| Record::new("x").with("Nats-Msg-Id", id);
    assert_eq!(stored, [with_id("order-7"), with_id("order-8")]);

    let two = Record::new("x").with("Nats-Msg-Id", "1").with("nats-msg-id", "2");
    let error = remote.append(&id, two).await.expect_err("the record has two ids");
    assert_eq!((error.kind(), error.to_string().contains("different values")), (ErrorKind::Invalid, true), "{error}");
    let two = Record::new("x").with("Hourlog-Time", "@1").with("hourlog-time", "@2");
    assert_eq!(remote.append(&id, two).await.expect_err("the record has two times").kind(), ErrorKind::Rejected);

    for name in ["Accept", "accept"] {
        let mut accept = HeaderMap::new();
        accept.insert(name, "application/protobuf");
        let reply = remote.client().request_with_headers("hourlog.replay.append", accept, "".into()).await;
        let headers = reply.expect("the service replies").headers.unwrap_or_default();
        let content_type = headers.get("Content-Type").map(ToString::to_string);
        assert_eq!(content_type.as_deref(), Some("application/protobuf"), "{name}");
    }
}
