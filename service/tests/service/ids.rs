//! Log ids: a subject without wildcards is a log, and everything else is
//! rejected with the reason.

use conformance::{
    ids::{ODD_IDS, odd_ids},
    servers::{NatsOptions, NatsServer},
};
use hourlog::{
    Record,
    wire::{LogsRequest, TimelineRequest},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::kit::{Service, archived, events, log, options, publish_all, service};

#[tokio::test(flavor = "multi_thread")]
async fn subjects_that_nats_allows_are_logs() {
    let mut service = service().await;
    let (remote, jetstream) = (service.remote().await, service.jetstream().await);
    let rounds = 0..100;
    let messages = rounds.clone().flat_map(|round| ODD_IDS.map(|id| (format!("log.{id}"), format!("{round} {id}"))));
    publish_all(&jetstream, messages).await;
    let mut listed: Vec<String> = archived(&remote).await.logs.iter().map(|log| log.log.to_string()).collect();
    let mut expected = ODD_IDS.map(str::to_owned).to_vec();
    expected.sort_unstable();
    assert_eq!(listed, expected, "nothing is rejected, and the list is in the order of bytes");

    for id in odd_ids() {
        let found = events(&remote, id.as_str()).await;
        let data: Vec<String> = found.iter().map(|event| String::from_utf8_lossy(&event.record.data).into()).collect();
        assert_eq!(data, rounds.clone().map(|round| format!("{round} {id}")).collect::<Vec<_>>());
        let appended = remote.append(&id, Record::new("appended")).await.expect("the record is archived");
        assert_eq!(appended.log, id);
        assert_eq!(remote.describe(&id).await.expect("the log exists").events, 101);
        assert_eq!(remote.timeline(&id, &TimelineRequest::default()).await.expect("the log exists").count, 101);
        let request = LogsRequest { pattern: Some(id.to_string()), ..LogsRequest::default() };
        let alone = remote.logs(&request).await.expect("an id is a pattern").logs;
        assert_eq!(alone.iter().map(|log| log.log.clone()).collect::<Vec<_>>(), [id]);
    }
    let request = LogsRequest { pattern: Some("dev.>".to_owned()), ..LogsRequest::default() };
    listed = remote.logs(&request).await.expect("a pattern").logs.iter().map(|log| log.log.to_string()).collect();
    assert_eq!(listed, ["dev.4c:65:a8", "dev.4c:65:a8.x"]);

    service.process.kill();
    service.start_again().await;
    assert!(archived(&service.remote().await).await.logs.iter().all(|log| log.events == 101));
}

#[tokio::test(flavor = "multi_thread")]
async fn subjects_that_are_no_ids_are_rejected_with_the_reason() {
    let service = service().await;
    let (remote, jetstream) = (service.remote().await, service.jetstream().await);
    let subjects = [
        ("log.a*b".to_owned(), "patterns"),
        ("log.a->b".to_owned(), "patterns"),
        ("log.$JS.a".to_owned(), "begins with $"),
        ("log._rejected".to_owned(), "belongs to the system"),
        ("log._rejected.ORDERS".to_owned(), "belongs to the system"),
        ("log.a\u{1b}[2J".to_owned(), "not allowed"),
        ("log.a\0".to_owned(), "not allowed"),
        ("log.a\u{7f}".to_owned(), "not allowed"),
        ("log.a\u{a0}b".to_owned(), "not allowed"),
        ("log.a\u{fffd}".to_owned(), "not UTF-8"),
        (format!("log{}", ".a".repeat(17)), "16 tokens"),
        (format!("log.{}", "x".repeat(256)), "255 bytes"),
    ];
    publish_all(&jetstream, subjects.iter().map(|(subject, _)| (subject.clone(), "x".to_owned()))).await;
    archived(&remote).await;
    let rejected = events(&remote, "_rejected").await;
    assert_eq!(rejected.len(), subjects.len());
    for (event, (subject, reason)) in rejected.iter().zip(&subjects) {
        let value = |name: &str| event.record.metadata.get(name).join("|");
        assert_eq!(value("Nats-Subject"), *subject);
        assert!(value("Hourlog-Rejected").contains(reason), "{}", value("Hourlog-Rejected"));
    }
    let logs = archived(&remote).await.logs;
    assert_eq!(logs.iter().map(|log| log.log.as_str()).collect::<Vec<_>>(), ["_rejected"]);
}

/// Publishes one message by MQTT 3.1.1 with an acknowledgement, as a device does.
async fn publish_by_mqtt(port: u16, topic: &str, payload: &str) {
    let text = |text: &str| [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat();
    let packet = |kind: u8, body: &[u8]| {
        assert!(body.len() < 128, "a longer packet has more than one byte of length");
        [&[kind, body.len() as u8], body].concat()
    };
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.expect("the server accepts a connection");
    let connect = [text("MQTT"), vec![4, 2, 0, 60], text("device")].concat();
    socket.write_all(&packet(0x10, &connect)).await.expect("the packet can be sent");
    let mut answer = [0; 4];
    socket.read_exact(&mut answer).await.expect("the server answers");
    assert_eq!(answer, [0x20, 2, 0, 0], "the connection is accepted");
    let publish = [text(topic), vec![0, 1], payload.as_bytes().to_vec()].concat();
    socket.write_all(&packet(0x32, &publish)).await.expect("the packet can be sent");
    socket.read_exact(&mut answer).await.expect("the server answers");
    assert_eq!(answer, [0x40, 2, 0, 1], "the message is acknowledged");
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_of_mqtt_are_logs_even_with_empty_levels() {
    let config = "server_name: mqtt\nmqtt { host: \"127.0.0.1\", port: -1 }\n".to_owned();
    let nats = NatsServer::start_with(NatsOptions { config, ..NatsOptions::default() }).await;
    let said = nats.stderr_lines();
    let port = said.iter().find_map(|line| line.split_once("Listening for MQTT clients on ")?.1.rsplit_once(':'));
    let port = port.and_then(|(_, port)| port.trim().parse().ok()).expect("the server says its port");
    let service = Service::start(nats, options(&[])).await;
    let remote = service.remote().await;
    let topics = [
        ("log/dev/4c:65:a8", "dev.4c:65:a8"),
        ("log/é", "é"),
        // NATS writes an empty level as the token `/`, and a dot within a level as `//`.
        ("log//a", "/.a"),
        ("log/a//b", "a./.b"),
        ("log/a/", "a./"),
        ("log/a.b/c", "a//b.c"),
    ];
    for (topic, _) in topics {
        publish_by_mqtt(port, topic, topic).await;
    }
    archived(&remote).await;
    for (topic, id) in topics {
        let found = events(&remote, id).await;
        assert_eq!(found.iter().map(|event| &*event.record.data).collect::<Vec<_>>(), [topic.as_bytes()], "{id}");
    }
    assert!(archived(&remote).await.logs.iter().all(|log| log.log != hourlog::LogId::rejected()));
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_with_equal_message_ids_to_logs_that_differ_by_a_colon_are_both_stored() {
    let service = service().await;
    let remote = service.remote().await;
    for (id, message_id) in [("a", "b:c"), ("a:b", "c")] {
        let record = Record::new(id).with("Nats-Msg-Id", message_id);
        let reply = remote.append(&log(id), record).await.expect("the record is archived");
        assert!(!reply.duplicate, "{id}");
    }
    assert_eq!((events(&remote, "a").await.len(), events(&remote, "a:b").await.len()), (1, 1));
}
