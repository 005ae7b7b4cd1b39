//! Who may make the service write where: nobody, but for the answers that they wait for.

use std::time::{Duration, Instant};

use async_nats::{Client, ConnectOptions};
use conformance::servers::{NatsOptions, NatsServer};
use hourlog::{ErrorKind, Record, Remote};

use crate::kit::{LONG, Service, archived, log, options};

/// What was sent is looked at within so long.
const SOON: Duration = Duration::from_secs(10);
/// A server on which the service has an account that others may ask, and where `barred` may ask and publish nothing.
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
    options.connect(service.nats.url()).await.expect("the server lets them in")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_from_another_account_and_one_with_an_inbox_of_its_own_are_answered() {
    let service = service().await;
    for (user, inbox) in [
        ("service", "_INBOX"),
        ("other", "_INBOX"),
        ("other", "_INBOX_other"),
        ("barred", "_INBOX_barred"),
        ("service", "clients.alice"),
    ] {
        let remote = Remote::new(connect(&service, user, inbox).await).timeout(LONG);
        if user != "barred" {
            remote.append(&log("asked"), Record::new(inbox)).await.expect("it is archived");
        }
        let page = remote.replay(&log("asked"), &Default::default()).await;
        assert!(page.is_ok_and(|page| !page.events.is_empty()), "{user} with {inbox} was not answered");
    }
    assert_eq!(report(&service).await["replies_dropped"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attack_by_reply_does_nothing_and_is_counted() {
    let service = service().await;
    let remote = Remote::new(connect(&service, "service", "_INBOX").await).timeout(LONG);
    remote.append(&log("victim"), Record::new("one")).await.expect("it is archived");
    let barred = connect(&service, "barred", "_INBOX_barred").await;
    let error = Remote::new(barred.clone()).append(&log("victim"), Record::new("two")).await;
    assert!(error.is_err(), "it is barred");

    let replies =
        ["log.victim", "$JS.API.STREAM.PURGE.HOURLOG", "$JS.API.STREAM.DELETE.HOURLOG", "hourlog.append.victim"];
    let questions = [
        ("hourlog.replay.victim", "{}"),
        // One whose answer has no body.
        ("hourlog.replay.nope", ""),
        ("$SRV.PING", ""),
        ("$SRV.INFO.hourlog", ""),
        ("$SRV.STATS.hourlog", ""),
    ];
    for reply in replies {
        for (subject, body) in questions {
            barred.publish_with_reply(subject, reply, body.into()).await.expect("it is sent");
        }
    }
    // Behind them on the same connection: then they have been looked at.
    let page = Remote::new(barred).timeout(LONG).replay(&log("victim"), &Default::default()).await;
    assert_eq!(page.expect("it may read").events.len(), 1);
    let dropped = (replies.len() * questions.len()) as u64;
    let begun = Instant::now();
    while report(&service).await["replies_dropped"] != dropped {
        assert!(begun.elapsed() < SOON, "{} of {dropped} were dropped", report(&service).await["replies_dropped"]);
    }
    let listed = archived(&remote).await.logs;
    assert_eq!(listed.iter().map(|log| (log.log.as_str(), log.events)).collect::<Vec<_>>(), [("victim", 1)]);
    let stream = async_nats::jetstream::new(remote.client().clone()).get_stream("HOURLOG").await;
    assert_eq!(stream.expect("it is there").cached_info().state.messages, 1);
    let error = remote.replay(&log("nope"), &Default::default()).await.expect_err("nobody wrote to it");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

async fn report(service: &Service) -> serde_json::Value {
    let client = connect(service, "service", "_INBOX").await;
    let stats = client.request("$SRV.STATS.hourlog", "".into()).await.expect("the service answers");
    let stats: serde_json::Value = serde_json::from_slice(&stats.payload).expect("it is JSON");
    stats["endpoints"][0]["data"].clone()
}
