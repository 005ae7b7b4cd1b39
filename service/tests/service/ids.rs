//! Log ids: a subject without wildcards is a log, and everything else is
//! rejected with the reason.

use conformance::{
    ids::{ODD_IDS, odd_ids},
    servers::{NatsOptions, NatsServer},
};
use hourlog::{
    Record, Remote,
    wire::{LogsRequest, RequeueRequest, TimelineRequest},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::kit::{Service, WAIT_MAX, archived, events, log, options, publish_all, service, service_with};

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
    let connect = packet(0x10, &[text("MQTT"), vec![4, 2, 0, 60], text("device")].concat());
    let (begun, mut answer) = (std::time::Instant::now(), [0; 4]);
    let mut socket = loop {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).await.expect("the server accepts a connection");
        socket.write_all(&connect).await.expect("the packet can be sent");
        // A busy server ends connections while it still prepares its storage for MQTT.
        match socket.read_exact(&mut answer).await {
            Ok(_) => break socket,
            Err(error) => assert!(begun.elapsed() < WAIT_MAX, "the server answers: {error}"),
        }
    };
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

/// Sends all rejected events to their logs again. Returns their number.
async fn requeue_all(remote: &Remote) -> u64 {
    let (mut request, mut sent) = (RequeueRequest::default(), 0);
    loop {
        let reply = remote.requeue(&log("_rejected"), &request).await.expect("there are rejected events");
        assert_eq!(reply.rejected, 0, "{:?}", reply.reasons);
        sent += reply.sent;
        match reply.next {
            None => return sent,
            next => request.after = next,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_logs_beyond_the_limit_go_to_rejected_and_each_event_is_stored_once() {
    // Fewer than a list of logs holds.
    const IDS: usize = 900;
    /// A burst of 30 seconds' worth after each start.
    const BURST: usize = 120;
    let begun = std::time::Instant::now();
    let mut service = service_with(&["--new-logs-a-second", "4"]).await;
    let jetstream = service.jetstream().await;
    let mut published = 0;
    for turn in 0..3 {
        // Killed while it writes: some of these are archived, and read again.
        let messages = (0..IDS).map(|number| (format!("log.made-up.{number}"), format!("{turn}")));
        publish_all(&jetstream, messages).await;
        published += IDS as u64;
        service.process.kill();
        service.start_again().await;
    }
    // Each of the four starts may add what came due between the messages that it read.
    let most = 4 * (BURST + 4 * (begun.elapsed().as_secs() as usize + 1));
    let remote = service.remote().await;
    let all = LogsRequest { all: true, fresh: true, ..LogsRequest::default() };
    let logs = remote.logs(&all).await.expect("the service replies").logs;
    let events: u64 = logs.iter().map(|log| log.events).sum();
    assert_eq!(events, published, "each event is in its log or in _rejected");
    let made_up = logs.iter().filter(|log| !log.log.is_system()).count();
    assert!((BURST..IDS.min(most + 1)).contains(&made_up), "{made_up} logs, at most {most}");
    let mut seen = std::collections::HashSet::new();
    let rejected = self::events(&remote, "_rejected").await;
    for event in &rejected {
        assert!(event.record.metadata.get("Hourlog-Rejected").join("").contains("--new-logs-a-second"));
        assert!(seen.insert(event.position.seq.sequence()));
    }
    for log in logs.iter().filter(|log| !log.log.is_system()) {
        for event in self::events(&remote, log.log.as_str()).await {
            assert!(seen.insert(event.position.seq.sequence()), "{} is stored twice", event.position);
        }
    }
    assert_eq!(seen.len() as u64, published);
    // A log that exists goes on.
    let known = &logs.iter().find(|log| !log.log.is_system()).expect("some were let in").log;
    remote.append(known, Record::new("more")).await.expect("the log exists");

    // With a higher limit, what was refused arrives once, however often it is requeued.
    assert!(service.process.terminate().await.success());
    service.options = options(&["--new-logs-a-second", "1000000"]);
    service.start_again().await;
    let remote = service.remote().await;
    for _ in 0..2 {
        assert_eq!(requeue_all(&remote).await, rejected.len() as u64);
    }
    let logs = archived(&remote).await.logs;
    let counted = logs.iter().filter(|log| !log.log.is_system()).map(|log| log.events - u64::from(log.log == *known));
    assert_eq!(counted.collect::<Vec<_>>(), [3; IDS]);
    for number in [0, IDS - 1] {
        let found = self::events(&remote, &format!("made-up.{number}")).await;
        assert_eq!(conformance::kit::names(&found)[..3], ["0", "1", "2"], "each at its own time");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_takes_no_more_logs_than_it_may_have() {
    let mut service = service_with(&["--logs-max", "3"]).await;
    let remote = service.remote().await;
    for id in ["a", "b", "c"] {
        remote.append(&log(id), Record::new("x")).await.expect("the archive has room for it");
    }
    // The logs are counted at the start.
    service.process.kill();
    service.start_again().await;
    let remote = service.remote().await;
    remote.append(&log("a"), Record::new("x")).await.expect("the log exists");
    let begun = std::time::Instant::now();
    let mut number = 0;
    let record = || Record::new("x").with("Nats-Msg-Id", "once");
    let refused = loop {
        // Those that come before the first count has ended are let in.
        match remote.append(&log(&format!("new.{number}")), record()).await {
            Ok(_) => number += 1,
            Err(error) => break error,
        }
        assert!(begun.elapsed() < WAIT_MAX, "{number} logs were let in");
    };
    assert!(refused.to_string().contains("--logs-max"), "{refused}");
    let again = remote.append(&log(&format!("new.{number}")), record()).await.expect_err("a retry is refused, too");
    assert_eq!((again.kind(), again.to_string()), (refused.kind(), refused.to_string()));
    let rejected = events(&remote, "_rejected").await;
    assert_eq!(rejected.len(), 1);
    assert!(rejected[0].record.metadata.get("Hourlog-Rejected").join("").starts_with("new log refused: "));

    assert!(service.process.terminate().await.success());
    service.options = options(&[]);
    service.start_again().await;
    let remote = service.remote().await;
    for _ in 0..2 {
        assert_eq!(requeue_all(&remote).await, 1);
        archived(&remote).await;
        let found = events(&remote, &format!("new.{number}")).await;
        assert_eq!((found.len(), found[0].record.metadata.get("Nats-Msg-Id")), (1, &["once".to_owned()][..]));
    }
}
