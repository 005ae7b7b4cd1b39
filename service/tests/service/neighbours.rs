//! Neighbours: a user who may publish to logs of its own cannot disturb the logs of others.

use std::time::{Duration, Instant};

use async_nats::{Client, ConnectOptions, HeaderMap, jetstream};
use conformance::servers::{NatsOptions, NatsServer};
use hourlog::{Record, Remote};

use crate::kit::{Service, WAIT_MAX, archived, events, log, options};

/// Less than the time after which the service gives an append up.
const PROMPTLY: Duration = Duration::from_secs(20);

const CONFIG: &str = r#"
authorization {
    users: [
        { user: service, password: s }
        { user: neighbour, password: n, permissions: { publish: ["log.mine.>"], subscribe: ["_INBOX.>"] } }
    ]
}
"#;

/// The page whose first configuration keeps publishers from using replies as a weapon.
const SECURITY: &str = include_str!("../../../docs/security.md");

async fn start(config: &str) -> Service {
    let nats = NatsServer::start_with(NatsOptions { config: config.to_owned(), ..NatsOptions::default() }).await;
    Service::start(nats, options(&["--user", "service", "--password", "s"])).await
}

async fn connect(service: &Service, user: &str) -> Client {
    let options = ConnectOptions::with_user_and_password(user.to_owned(), user[..1].to_owned());
    options.connect(service.nats.url()).await.expect("the server accepts the user")
}

async fn remote(service: &Service) -> Remote {
    Remote::new(connect(service, "service").await).with_timeout(WAIT_MAX)
}

/// Publishes to a log of the neighbour, and waits until the stream has taken it.
async fn publish(neighbour: &Client, message_id: &str) {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", message_id);
    let sent = jetstream::new(neighbour.clone()).publish_with_headers("log.mine.x", headers, "squat".into()).await;
    sent.expect("the message can be sent").await.expect("the stream accepts the message");
}

fn record(data: &str) -> Record {
    Record::new(data).with("Nats-Msg-Id", "7").with("kind", "paid")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_a_neighbour_took_first_keeps_no_append_waiting() {
    let service = start(CONFIG).await;
    let remote = remote(&service).await;
    let neighbour = connect(&service, "neighbour").await;
    for message_id in ["7", "victim 7", "victim:7"] {
        publish(&neighbour, message_id).await;
    }
    let appended = tokio::time::timeout(PROMPTLY, remote.append(&log("victim"), record("one"))).await;
    let first = appended.expect("the append is answered soon").expect("the record is archived");
    assert!(!first.duplicate);
    let again = remote.append(&log("victim"), record("one")).await.expect("the record was archived before");
    assert_eq!((again.position, again.duplicate), (first.position, true));
    let found = events(&remote, "victim").await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].record.metadata.get("Nats-Msg-Id"), ["7"]);
    assert_eq!(events(&remote, "mine.x").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_of_another_log_or_with_other_content_is_stored_under_another_id() {
    let mut service = start(CONFIG).await;
    let victim = log("victim");
    let first = remote(&service).await.append(&victim, record("one")).await.expect("the record is archived");
    // Somebody who reads the stream learns the id, and uses it once the stream has forgotten it.
    let jetstream = jetstream::new(connect(&service, "service").await);
    let stream = jetstream.get_stream("HOURLOG").await.expect("the stream exists");
    let message = stream.get_raw_message(first.position.seq.sequence()).await.expect("the stream has the message");
    let message_id = message.headers.get("Nats-Msg-Id").expect("the message has an id").to_string();
    assert!(!message_id.contains("victim") && message_id != "7", "{message_id}");
    stream.purge().await.expect("the stream can be purged");
    service.nats.restart().await;
    let neighbour = connect(&service, "neighbour").await;
    publish(&neighbour, &message_id).await;

    let remote = remote(&service).await;
    archived(&remote).await;
    let second = remote.append(&victim, record("one")).await.expect("the record is archived");
    assert!(!second.duplicate && second.position != first.position);
    let other = remote.append(&victim, record("two")).await.expect("the record is archived");
    assert!(!other.duplicate && other.position != second.position);
    for (data, position) in [("one", second.position), ("two", other.position)] {
        let again = remote.append(&victim, record(data)).await.expect("the record was archived before");
        assert_eq!((again.position, again.duplicate), (position, true), "{data}");
    }
    // The archive knows what the stream has lost.
    let stream = jetstream.get_stream("HOURLOG").await.expect("the stream exists");
    stream.purge().await.expect("the stream can be purged");
    for (data, position) in [("one", second.position), ("two", other.position)] {
        let again = remote.append(&victim, record(data)).await.expect("the record was archived before");
        assert_eq!((again.position, again.duplicate), (position, true), "{data}");
    }
    assert_eq!(events(&remote, "victim").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_that_jetstream_sent_to_a_log_is_rejected() {
    let service = start(CONFIG).await;
    let remote = remote(&service).await;
    let neighbour = connect(&service, "neighbour").await;
    let headers = |name: &str, value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(name, value);
        headers
    };
    // An acknowledgement, one of a message, one of its duplicate, and a refusal.
    let attacks = [
        headers("kind", "plain"),
        headers("Nats-Msg-Id", "1"),
        headers("Nats-Msg-Id", "1"),
        headers("Nats-Expected-Last-Sequence", "1000000"),
    ];
    let count = attacks.len();
    for headers in attacks {
        let sent = neighbour.publish_with_reply_and_headers("log.mine.x", "log.victim", headers, "{}".into()).await;
        sent.expect("the message can be sent");
    }
    neighbour.flush().await.expect("the server answers");
    // The server stores its acknowledgements a moment later.
    let begun = Instant::now();
    while archived(&remote).await.logs.iter().all(|log| log.events < count as u64 || !log.log.is_system()) {
        assert!(begun.elapsed() < WAIT_MAX, "the acknowledgements are not rejected");
    }
    let rejected = events(&remote, "_rejected").await;
    assert_eq!(rejected.len(), count);
    for event in &rejected {
        assert_eq!(event.record.metadata.get("Nats-Subject"), ["log.victim"]);
        let reason = &event.record.metadata.get("Hourlog-Rejected")[0];
        assert!(reason.contains("by JetStream, stream \"HOURLOG\""), "{reason}");
    }

    // Events that only look alike are kept.
    let jetstream = jetstream::new(connect(&service, "service").await);
    let kept = [
        (HeaderMap::new(), r#"{"stream":"camera","seq":2}"#),
        (HeaderMap::new(), r#"{"stream":"HOURLOG","seq":1000000}"#),
        (HeaderMap::new(), r#"{"stream":"HOURLOG","seq":1,"by":"me"}"#),
        (headers("kind", "audit"), r#"{"stream":"HOURLOG","seq":1}"#),
    ];
    for (headers, data) in kept.clone() {
        let sent = jetstream.publish_with_headers("log.victim", headers, data.into()).await;
        sent.expect("the message can be sent").await.expect("the stream accepts the message");
    }
    archived(&remote).await;
    let found = events(&remote, "victim").await;
    let data: Vec<_> = found.iter().map(|event| String::from_utf8_lossy(&event.record.data)).collect();
    assert_eq!(data, kept.map(|(_, data)| data));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_accounts_of_the_page_on_security_keep_replies_out_of_other_logs() {
    let config = SECURITY.split("```").nth(1).expect("the page has a configuration");
    let config = config.strip_prefix("hocon\n").expect("it is one for nats-server");
    let service = start(config).await;
    let remote = remote(&service).await;
    let publisher = connect(&service, "publisher").await;
    publisher.publish("log.mine.x", "plain".into()).await.expect("the message can be sent");
    publish(&publisher, "1").await;
    let append = Remote::new(publisher.clone()).with_timeout(WAIT_MAX);
    append.append(&log("mine.x"), Record::new("appended")).await.expect("the record is archived");
    let attack = publisher.publish_with_reply("log.mine.x", "log.victim", "{}".into()).await;
    attack.expect("the message can be sent");
    publisher.publish("log.victim", "no".into()).await.expect("the message can be sent");
    // Comes after the others, over the same connection.
    append.append(&log("mine.x"), Record::new("last")).await.expect("the record is archived");
    let logs = archived(&remote).await.logs;
    assert_eq!(logs.iter().map(|log| (log.log.as_str(), log.events)).collect::<Vec<_>>(), [("mine.x", 5)]);
}
