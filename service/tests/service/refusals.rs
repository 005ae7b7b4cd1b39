//! Refusals: unsafe stream settings are named, bad events are rejected, and bad requests get an
//! explanation.

use async_nats::jetstream::{
    self,
    stream::{Config, DiscardPolicy, Republish, RetentionPolicy, StorageType, SubjectTransform},
};
use conformance::servers::{HourlogdProcess, NatsServer, Service};
use hourlog::ErrorKind;
use tempfile::TempDir;

use crate::kit::{archived, binary, events, service};

/// Returns the configuration of a safe stream.
fn safe_config() -> Config {
    Config {
        name: "HOURLOG".to_owned(),
        subjects: vec!["log.>".to_owned()],
        discard: DiscardPolicy::New,
        max_bytes: 64 << 20,
        max_message_size: 1_000_000,
        ..Config::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_could_lose_events_is_refused_and_the_setting_is_named() {
    let nats = NatsServer::start().await;
    let jetstream = jetstream::new(async_nats::connect(nats.url()).await.expect("the server accepts a connection"));
    let hour = std::time::Duration::from_secs(3600);
    let republish = Republish { source: ">".to_owned(), destination: "copy.>".to_owned(), headers_only: false };
    let transform = SubjectTransform { source: ">".to_owned(), destination: "hl.>".to_owned() };
    let unsafe_configs: Vec<(&str, Config)> = vec![
        ("discard: old", Config { discard: DiscardPolicy::Old, ..safe_config() }),
        ("max_age", Config { max_age: hour, ..safe_config() }),
        ("max_msgs", Config { max_messages: 1_000_000, ..safe_config() }),
        ("max_msgs_per_subject", Config { max_messages_per_subject: 10, ..safe_config() }),
        ("retention", Config { retention: RetentionPolicy::WorkQueue, ..safe_config() }),
        ("storage: memory", Config { storage: StorageType::Memory, ..safe_config() }),
        ("allow_rollup_hdrs", Config { allow_rollup: true, ..safe_config() }),
        ("allow_msg_ttl", Config { allow_message_ttl: true, ..safe_config() }),
        // (The server itself refuses allow_msg_schedules together with discard: new.)
        (
            "persist_mode: async",
            Config { persist_mode: Some(jetstream::stream::PersistenceMode::Async), ..safe_config() },
        ),
        ("republish", Config { republish: Some(republish), ..safe_config() }),
        ("subject_transform", Config { subject_transform: Some(transform), ..safe_config() }),
        ("no_ack", Config { no_ack: true, ..safe_config() }),
        ("max_bytes", Config { max_bytes: -1, ..safe_config() }),
        ("max_msg_size", Config { max_message_size: 8 << 20, ..safe_config() }),
    ];
    let directory = TempDir::new().expect("a temporary directory can be created");
    for (number, (setting, config)) in unsafe_configs.into_iter().enumerate() {
        // Each case has its own stream: a deleted one may still exist when the next is created.
        let (name, subjects) = (format!("S{number}"), vec![format!("s{number}.>")]);
        jetstream.create_stream(Config { name: name.clone(), subjects, ..config }).await.expect(setting);
        let arguments = Service::arguments(&nats, directory.path(), &["--stream".to_owned(), name]);
        let started = HourlogdProcess::try_start(binary(), arguments).await;
        let said = started.expect_err(&format!("{setting} was accepted"));
        assert!(said.contains(&format!("its setting {setting};")), "{setting}: {said}");
    }
    jetstream.create_stream(safe_config()).await.expect("the stream can be created");
    HourlogdProcess::start(binary(), Service::arguments(&nats, directory.path(), &[])).await;
}

#[test]
fn a_switch_in_the_environment_may_be_1_true_or_yes() {
    for (value, is_switch) in [("1", true), ("true", true), ("yes", true), ("no", true), ("maybe", false)] {
        let hourlogd = std::process::Command::new(binary()).env("HOURLOG_MIGRATE", value).output();
        let said = hourlogd.expect("the service can be started").stderr;
        let said = String::from_utf8_lossy(&said);
        assert_eq!(said.contains("no archive is given"), is_switch, "{value}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_events_are_traced_once_and_not_once_each() {
    let service = service().await;
    let (remote, jetstream) = (service.remote().await, service.jetstream().await);
    for _ in 0..50 {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Hourlog-Time", "yesterday");
        let ack = jetstream.publish_with_headers("log.bad", headers, "x".into()).await;
        ack.expect("the message can be sent").await.expect("the stream accepts the message");
    }
    archived(&remote).await;
    assert_eq!(events(&remote, "_rejected").await.len(), 50);
    let traced: Vec<_> =
        service.process.stderr_lines().into_iter().filter(|line| line.contains("event rejected")).collect();
    assert_eq!(traced.len(), 1, "{traced:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_events_are_rejected_with_a_reason_and_do_not_block_later_events() {
    let service = service().await;
    let (remote, jetstream) = (service.remote().await, service.jetstream().await);
    let far_ahead = "2200-01-01T00:00:00Z";
    for (subject, time) in
        [("log.bad*id", None), ("log._own", None), ("log.a", Some("soon")), ("log.a", Some(far_ahead))]
    {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Kind", "odd");
        if let Some(time) = time {
            headers.insert("Hourlog-Time", time);
        }
        let ack = jetstream.publish_with_headers(subject, headers, "x".into()).await.expect("the message can be sent");
        ack.await.expect("the stream accepts the message");
    }
    jetstream
        .publish("log.a", "good".into())
        .await
        .expect("the message can be sent")
        .await
        .expect("the stream accepts the message");
    archived(&remote).await;
    let rejected = events(&remote, "_rejected").await;
    let value = |at: usize, name: &str| rejected[at].record.metadata.get(name).join("|");
    let reasons: Vec<String> = (0..rejected.len()).map(|at| value(at, "Hourlog-Rejected")).collect();
    assert_eq!(reasons.len(), 4, "{reasons:?}");
    for (at, (subject, reason)) in [
        ("log.bad*id", "character"),
        ("log._own", "belongs to the system"),
        ("log.a", "not a time"),
        ("log.a", "5 minutes ahead"),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(value(at, "Nats-Subject"), subject);
        assert!(reasons[at].contains(reason), "{}", reasons[at]);
        assert_eq!((value(at, "Kind"), &*rejected[at].record.data), ("odd".to_owned(), &b"x"[..]));
    }
    assert_eq!(value(3, "Hourlog-Time"), far_ahead);
    let good = events(&remote, "a").await;
    assert_eq!((good.len(), &*good[0].record.data), (1, &b"good"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_request_gets_an_error_that_says_what_is_wrong() {
    let service = service().await;
    let remote = service.remote().await;
    remote
        .append(&"a".parse().expect("the log id is valid"), hourlog::Record::new("x"))
        .await
        .expect("the record is archived");
    for (subject, body, kind, says) in [
        ("replay.a", "{", ErrorKind::Invalid, "EOF"),
        ("replay.a", r#"{"form":"first"}"#, ErrorKind::Invalid, "form"),
        ("replay.a", r#"{"from":"1517781402"}"#, ErrorKind::Invalid, "is not a time"),
        ("replay.a", r#"{"from":"now","to":"first"}"#, ErrorKind::Invalid, "from is later than to"),
        ("replay.a", r#"{"after":"a:5-1"}"#, ErrorKind::Invalid, "is a cursor of arrival order"),
        ("replay.a", r#"{"after":"5-1","order":"arrival"}"#, ErrorKind::Invalid, "arrival order"),
        ("replay.a", r#"{"log":"b"}"#, ErrorKind::Invalid, "another log"),
        ("replay.nope", "{}", ErrorKind::NotFound, "no log nope"),
        ("describe.nope", "", ErrorKind::NotFound, "no log nope"),
        ("timeline.nope", "", ErrorKind::NotFound, "no log nope"),
        ("replay.a->b", "{}", ErrorKind::Invalid, "for patterns"),
        ("replay.$JS", "{}", ErrorKind::Invalid, "begins with $"),
        ("replay.a!", "{}", ErrorKind::NotFound, "no log a!"),
        ("append._own", "x", ErrorKind::Invalid, "system log"),
        ("logs", r#"{"pattern":"a..b"}"#, ErrorKind::Invalid, "not a pattern"),
        ("admin.create.a", "{}", ErrorKind::Refused, "already exists"),
        ("admin.create.b", r#"{"width":"2d"}"#, ErrorKind::Invalid, "not a width"),
    ] {
        let reply =
            remote.client().request(format!("hourlog.{subject}"), body.into()).await.expect("the service replies");
        let headers = reply.headers.unwrap_or_default();
        let header = |name: &str| headers.get(name).map(ToString::to_string).unwrap_or_default();
        assert_eq!(header("Nats-Service-Error-Code"), kind.code().to_string(), "{subject} {body}");
        assert!(header("Nats-Service-Error").contains(says), "{subject} {body}: {}", header("Nats-Service-Error"));
    }
    assert!(archived(&remote).await.logs.iter().all(|log| log.log.as_str() == "a"), "a request has created a log");
}
