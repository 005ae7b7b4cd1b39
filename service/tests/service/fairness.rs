//! One user who asks for everything at once leaves the service to the others.

use std::time::{Duration, Instant};

use async_nats::{Client, HeaderMap, Subscriber};
use futures_util::{StreamExt, future::join_all};
use hourlog::{Record, wire::ReplayRequest};

use crate::{
    http::get,
    kit::{Service, WAIT_MAX, archived, log, publish_all, service_with},
};

/// Limit of the service's memory while a neighbour asks for large answers.
const RESIDENT_MIB_MAX: u64 = 300;
/// Requests with a wait that are sent until one is refused: more than any requester may hold.
const WAITS_MAX: usize = 20_000;
/// Requests of one part of these. Each part is read before the next is sent.
const PART: usize = 500;

/// A client that asks for more than its share, and receives all replies in one inbox.
struct Neighbour {
    client: Client,
    replies: Subscriber,
}

impl Neighbour {
    async fn connect(service: &Service) -> Self {
        let client = async_nats::connect(service.nats.url()).await.expect("the server accepts a connection");
        let replies = client.subscribe("_INBOX.greedy.>").await.expect("the server answers");
        Self { client, replies }
    }
}

/// Sends a request whose reply goes to the inbox of the neighbour.
async fn send(client: &Client, subject: &str, inbox: &str, body: &str) {
    let reply = format!("_INBOX.greedy.{inbox}");
    let sent = client.publish_with_reply(subject.to_owned(), reply, body.to_owned().into());
    sent.await.expect("the message can be sent");
}

fn error(headers: Option<&HeaderMap>) -> Option<String> {
    Some(headers?.get("Nats-Service-Error")?.to_string())
}

/// Returns the value of a metric without labels.
async fn metric(service: &Service, name: &str) -> f64 {
    let (_, text) = get(service, "/metrics").await;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
    line.trim().parse().expect("the value is a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requester_that_waits_in_all_its_places_takes_none_of_the_others() {
    let service = service_with(&["--http", "127.0.0.1:0"]).await;
    let remote = service.remote().await;
    let appended = remote.append(&log("quiet"), Record::new("x")).await.expect("the record is archived");
    let mut neighbour = Neighbour::connect(&service).await;
    let body = format!(r#"{{"after":"{}","wait":"5m"}}"#, appended.position);
    let mut refused = None;
    for part in 0..WAITS_MAX / PART {
        for number in 0..PART {
            send(&neighbour.client, "hourlog.replay.quiet", &format!("{part}-{number}"), &body).await;
        }
        // The line of a requester is in order: those before have been read, and wait.
        send(&neighbour.client, "hourlog.replay.quiet", "read", "{}").await;
        loop {
            let reply = neighbour.replies.next().await.expect("the service replies");
            refused = refused.or(error(reply.headers.as_ref()));
            if reply.subject.ends_with("read") {
                break;
            }
        }
        if refused.is_some() {
            break;
        }
    }
    let refused = refused.expect("a requester may not wait in every place");
    assert!(refused.contains("the limit waiting-requests is reached: _INBOX.greedy has "), "{refused}");
    assert!(metric(&service, "hourlog_requests_waiting").await > 1_000.0);
    assert!(metric(&service, "hourlog_requests_refused_total{limit=\"waiting-requests\"}").await > 0.0);

    let (id, request) = (log("quiet"), ReplayRequest::default());
    let replays = join_all((0..200).map(|_| remote.replay(&id, &request))).await;
    assert!(replays.iter().all(Result::is_ok), "{:?}", replays.iter().find(|replay| replay.is_err()));
    archived(&remote).await;
    remote.append(&log("other"), Record::new("y")).await.expect("the record is archived");

    drop(neighbour);
    let begun = Instant::now();
    // The first 64 may wait as long as they ask for.
    while metric(&service, "hourlog_requests_waiting").await > 64.0 {
        assert!(begun.elapsed() < WAIT_MAX, "the places of a requester that has left are not free");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_answers_wait_their_turn_and_keep_memory_small() {
    const REPLAYS: usize = 800;
    const TIMELINES: usize = 400;
    let service = service_with(&["--http", "127.0.0.1:0"]).await;
    let jetstream = service.jetstream().await;
    publish_all(&jetstream, (0..20_000).map(|number| ("log.many".to_owned(), number.to_string()))).await;
    publish_all(&jetstream, (0..10).map(|_| ("log.large".to_owned(), "x".repeat(90_000)))).await;
    let remote = service.remote().await;
    archived(&remote).await;
    let Neighbour { client, mut replies } = Neighbour::connect(&service).await;
    let received = tokio::spawn(async move {
        let (mut answered, mut refused) = (0, Vec::new());
        while answered + refused.len() < REPLAYS + TIMELINES {
            let reply = replies.next().await.expect("the service replies");
            match error(reply.headers.as_ref()) {
                Some(error) => refused.push(error),
                None => answered += 1,
            }
        }
        (answered, refused)
    });
    for number in 0..REPLAYS.max(TIMELINES) {
        if number < REPLAYS {
            let log = if number % 2 == 0 { "many" } else { "large" };
            let subject = format!("hourlog.replay.{log}");
            send(&client, &subject, &format!("r{number}"), r#"{"limit":20000,"max_bytes":1000000}"#).await;
        }
        if number < TIMELINES {
            send(&client, "hourlog.timeline.many", &format!("t{number}"), r#"{"bins":10000}"#).await;
        }
    }
    let request = ReplayRequest { limit: Some(10), ..ReplayRequest::default() };
    for _ in 0..100 {
        let page = remote.replay(&log("many"), &request).await.expect("another user is answered");
        assert_eq!(page.events.len(), 10);
    }
    let (answered, refused) = tokio::time::timeout(WAIT_MAX, received).await.expect("in time").expect("no panic");
    println!("{answered} answered, {} refused, {} MiB", refused.len(), service.process.resident_mib_max());
    let by_name =
        |error: &String| error.contains("the limit working-requests") || error.contains("the limit answer-turns");
    assert!(answered > 0 && refused.iter().all(by_name), "{:?}", refused.iter().find(|error| !by_name(error)));
    let begun = Instant::now();
    // The last reply may arrive before its turn has ended.
    while metric(&service, "hourlog_answer_bytes").await != 0.0 {
        assert!(begun.elapsed() < WAIT_MAX, "a turn has not ended");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let resident_mib = service.process.resident_mib_max();
    assert!(resident_mib <= RESIDENT_MIB_MAX, "{resident_mib} MiB");
}
