//! Payloads and headers: the service keeps every byte that NATS carries.

use async_nats::HeaderMap;
use hourlog::{ErrorKind, Record, wire::ReplayRequest};

use crate::kit::{archived, events, log, publish_all, service};

/// The server's default payload limit, less the headroom that the stream keeps free for replies.
const LARGEST: usize = 1024 * 1024 - 16 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn payloads_of_every_kind_are_replayed_byte_for_byte() {
    let service = service().await;
    let (remote, jetstream) = (service.remote().await, service.jetstream().await);
    let not_utf8: Vec<u8> = (0..900 * 1024).map(|at| (at * 31 % 256) as u8).collect();
    // The stream's limit counts both subject and payload.
    let payloads: Vec<Vec<u8>> =
        vec![Vec::new(), br#"{"id":7}"#.to_vec(), b"\xff\x00\xfe".to_vec(), not_utf8, vec![b'x'; LARGEST]];
    for payload in &payloads {
        let ack =
            jetstream.publish("log.bytes.a-1.B_2", payload.clone().into()).await.expect("the message can be sent");
        ack.await.expect("the stream accepts the message");
    }
    archived(&remote).await;
    let found = events(&remote, "bytes.a-1.B_2").await;
    assert_eq!(found.iter().map(|event| event.record.data.to_vec()).collect::<Vec<_>>(), payloads);
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_kilobytes_of_headers_keep_the_order_of_their_values() {
    let service = service().await;
    let (remote, jetstream) = (service.remote().await, service.jetstream().await);
    let mut headers = HeaderMap::new();
    let values: Vec<String> = (0..600).map(|number| format!("{number:0100}")).collect();
    values.iter().for_each(|value| headers.append("Many", value.as_str()));
    let ack =
        jetstream.publish_with_headers("log.headers", headers, "x".into()).await.expect("the message can be sent");
    ack.await.expect("the stream accepts the message");
    archived(&remote).await;
    let found = events(&remote, "headers").await;
    assert_eq!(found[0].record.metadata.get("Many"), values);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_too_large_for_json_fails_with_how_to_read_it() {
    let service = service().await;
    let remote = service.remote().await;
    remote.append(&log("large"), Record::new(vec![0xff_u8; 900 * 1024])).await.expect("the record is archived");
    let reply = remote.client().request("hourlog.replay.large", "{}".into()).await.expect("the service replies");
    let header = |name: &str| {
        let headers = reply.headers.as_ref().expect("an error reply has headers");
        headers.get(name).map(ToString::to_string).unwrap_or_default()
    };
    assert_eq!(header("Nats-Service-Error-Code"), ErrorKind::TooLarge.code().to_string());
    assert!(header("Nats-Service-Error").contains("Accept: application/protobuf"), "{}", header("Nats-Service-Error"));
    let page = remote.replay(&log("large"), &ReplayRequest::default()).await.expect("protobuf can carry the event");
    assert_eq!(page.events[0].record.data.len(), 900 * 1024);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_json_page_is_cut_and_the_next_page_continues_after_it() {
    let service = service().await;
    let remote = service.remote().await;
    let jetstream = service.jetstream().await;
    // A quotation mark takes two bytes in JSON.
    let payload = |number| format!("{number}:{}", "\"".repeat(400));
    publish_all(&jetstream, (0..3_000).map(|number| ("log.many".to_owned(), payload(number)))).await;
    archived(&remote).await;
    let (mut found, mut after, mut pages) = (0, None, 0);
    loop {
        let request = serde_json::json!({ "limit": 3_000, "max_bytes": 4_000_000, "after": after });
        let reply = remote
            .client()
            .request("hourlog.replay.many", request.to_string().into())
            .await
            .expect("the replay succeeds");
        let page: serde_json::Value = serde_json::from_slice(&reply.payload).expect("the reply is JSON");
        let events = page["events"].as_array().expect("the page has events").clone();
        for event in &events {
            assert!(event["data"].as_str().expect("the field is a string").starts_with(&format!("{found}:")));
            found += 1;
        }
        pages += 1;
        after = page["next"].as_str().map(str::to_owned);
        if page["end"] == "caught_up" {
            break;
        }
    }
    assert_eq!(found, 3_000);
    assert!(pages > 2, "{pages} pages");
}
