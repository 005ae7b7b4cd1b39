//! Permissions: a requester can make the service write to its own inbox only.

use std::time::{Duration, Instant};

use async_nats::{Client, ConnectOptions};
use conformance::servers::{NatsOptions, NatsServer};
use hourlog::{ErrorKind, Record, Remote};

use crate::kit::{Service, WAIT_MAX, archived, log, options};

/// Longest wait until the service has handled the requests.
const HANDLED_WITHIN: Duration = Duration::from_secs(10);
/// Server configuration: other accounts may send requests to the service, and `barred` may send
/// requests but not publish.
const CONFIG: &str = r#"
accounts {
    EVENTS {
        jetstream: enabled
        users: [
            { user: service, password: s }
            { user: barred, password: b, permissions: { publish: ["hourlog.replay.>", "$SRV.>"], subscribe: ["_INBOX_barred.>"] } }
        ]
        exports: [{ service: "hourlog.>" }]
    }
    OTHER {
        users: [{ user: other, password: o }]
        imports: [{ service: { account: EVENTS, subject: "hourlog.>" } }]
    }
}
"#;

async fn service() -> Service {
    let nats = NatsServer::start_with(NatsOptions { config: CONFIG.to_owned(), ..NatsOptions::default() }).await;
    Service::start(nats, options(&["--user", "service", "--password", "s", "--inbox-prefix", "clients.alice"])).await
}

async fn connect(service: &Service, user: &str, inbox: &str) -> Client {
    let password = user[..1].to_owned();
    let options = ConnectOptions::with_user_and_password(user.to_owned(), password).custom_inbox_prefix(inbox);
    options.connect(service.nats.url()).await.expect("the server accepts the user")
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_from_another_account_and_with_a_custom_inbox_get_replies() {
    let service = service().await;
    for (user, inbox) in [
        ("service", "_INBOX"),
        ("other", "_INBOX"),
        ("other", "_INBOX_other"),
        ("barred", "_INBOX_barred"),
        ("service", "clients.alice"),
    ] {
        let remote = Remote::new(connect(&service, user, inbox).await).with_timeout(WAIT_MAX);
        if user != "barred" {
            remote.append(&log("asked"), Record::new(inbox)).await.expect("the record is archived");
        }
        let page = remote.replay(&log("asked"), &Default::default()).await;
        assert!(page.is_ok_and(|page| !page.events.is_empty()), "{user} with {inbox} got no reply");
    }
    assert_eq!(report(&service).await["replies_dropped"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attack_through_the_reply_subject_has_no_effect_and_is_counted() {
    let service = service().await;
    let remote = Remote::new(connect(&service, "service", "_INBOX").await).with_timeout(WAIT_MAX);
    remote.append(&log("victim"), Record::new("one")).await.expect("the record is archived");
    let barred = connect(&service, "barred", "_INBOX_barred").await;
    let error = Remote::new(barred.clone()).append(&log("victim"), Record::new("two")).await;
    assert!(error.is_err(), "barred must not publish");

    let replies =
        ["log.victim", "$JS.API.STREAM.PURGE.HOURLOG", "$JS.API.STREAM.DELETE.HOURLOG", "hourlog.append.victim"];
    let questions = [
        ("hourlog.replay.victim", "{}"),
        // A request whose reply has no body.
        ("hourlog.replay.nope", ""),
        ("$SRV.PING", ""),
        ("$SRV.INFO.hourlog", ""),
        ("$SRV.STATS.hourlog", ""),
    ];
    for reply in replies {
        for (subject, body) in questions {
            barred.publish_with_reply(subject, reply, body.into()).await.expect("the message can be sent");
        }
    }
    // This request follows the others on the same connection, so its reply proves that the service
    // has handled them.
    let page = Remote::new(barred).with_timeout(WAIT_MAX).replay(&log("victim"), &Default::default()).await;
    assert_eq!(page.expect("barred may read").events.len(), 1);
    let dropped = (replies.len() * questions.len()) as u64;
    let begun = Instant::now();
    while report(&service).await["replies_dropped"] != dropped {
        assert!(
            begun.elapsed() < HANDLED_WITHIN,
            "{} of {dropped} were dropped",
            report(&service).await["replies_dropped"]
        );
    }
    let listed = archived(&remote).await.logs;
    assert_eq!(listed.iter().map(|log| (log.log.as_str(), log.events)).collect::<Vec<_>>(), [("victim", 1)]);
    let stream = async_nats::jetstream::new(remote.client().clone()).get_stream("HOURLOG").await;
    assert_eq!(stream.expect("the stream exists").cached_info().state.messages, 1);
    let error = remote.replay(&log("nope"), &Default::default()).await.expect_err("the log does not exist");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

async fn report(service: &Service) -> serde_json::Value {
    let client = connect(service, "service", "_INBOX").await;
    let stats = client.request("$SRV.STATS.hourlog", "".into()).await.expect("the service replies");
    let stats: serde_json::Value = serde_json::from_slice(&stats.payload).expect("the reply is JSON");
    stats["endpoints"][0]["data"].clone()
}
