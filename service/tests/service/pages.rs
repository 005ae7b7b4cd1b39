//! Answers of several pages to one request.

use async_nats::{HeaderMap, Message};
use conformance::servers::Service;
use futures_util::{StreamExt, TryStreamExt};
use hourlog::{
    Cursor, ErrorKind, Event, Remote,
    read::End,
    wire::{ACCEPT, FOLLOWED, Order, PAGES_MAX, PROTOBUF, ReplayRequest, json::JsonPage, proto},
};

use crate::kit::{WAIT_MAX, archived, events, log, publish_all, service};

const EVENTS: usize = 1_000;

async fn service_with_events() -> (Service, Remote) {
    let service = service().await;
    let message = |number: usize| ("log.a".to_owned(), number.to_string());
    publish_all(&service.jetstream().await, (0..EVENTS).map(message)).await;
    let remote = service.remote().await;
    archived(&remote).await;
    (service, remote)
}

/// Sends one request, and returns the messages of its answer: up to the first that no other follows.
async fn answer(remote: &Remote, request: &str) -> Vec<Message> {
    let client = remote.client();
    let inbox = client.new_inbox();
    let mut messages = client.subscribe(inbox.clone()).await.expect("the server accepts it");
    client.publish_with_reply("hourlog.replay.a", inbox, request.to_owned().into()).await.expect("it can be sent");
    let mut answer = Vec::new();
    loop {
        let message =
            tokio::time::timeout(WAIT_MAX, messages.next()).await.expect("a message comes").expect("a message");
        let is_followed = message.headers.as_ref().is_some_and(|headers| headers.get(FOLLOWED).is_some());
        answer.push(message);
        if !is_followed {
            return answer;
        }
    }
}

fn pages(answer: &[Message]) -> Vec<JsonPage> {
    answer.iter().map(|message| serde_json::from_slice(&message.payload).expect("a page")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_gets_as_many_pages_as_it_asks_for_and_the_last_one_says_so() {
    let (_service, remote) = service_with_events().await;
    let all: Vec<Event> = events(&remote, "a").await;
    for (request, sizes) in [
        (r#"{"limit":300}"#, &[300][..]),
        (r#"{"limit":300,"pages":1}"#, &[300]),
        (r#"{"limit":300,"pages":3}"#, &[300, 300, 300]),
        (r#"{"limit":300,"pages":9,"wait":"1s","seek":true}"#, &[300, 300, 300, 100]),
        (r#"{"limit":300,"pages":9,"order":"arrival"}"#, &[300, 300, 300, 100]),
        (r#"{"limit":300,"pages":9,"reverse":true}"#, &[300, 300, 300, 100]),
        (r#"{"limit":300,"pages":9,"where":"int(data) % 2 == 0"}"#, &[300, 200]),
        (r#"{"limit":10,"pages":4000000}"#, &[10; PAGES_MAX as usize]),
    ] {
        let found = pages(&answer(&remote, request).await);
        assert_eq!(found.iter().map(|page| page.events.len()).collect::<Vec<_>>(), sizes, "{request}");
        let mut events: Vec<Event> = found
            .iter()
            .flat_map(|page| page.events.clone())
            .map(|event| event.try_into().expect("an event"))
            .collect();
        if request.contains("reverse") {
            events.reverse();
        }
        let passes =
            |event: &&Event| !request.contains("where") || event.record.data.last().is_some_and(|last| last % 2 == 0);
        assert!(events.iter().eq(all.iter().filter(passes).take(events.len())), "{request}");
        let is_whole = sizes.iter().sum::<usize>() == EVENTS || request.contains("where");
        let end = found.last().map(|page| page.end);
        assert_eq!(end, Some(if is_whole { End::CaughtUp } else { End::More }.into()), "{request}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_an_answer_has_the_form_that_was_asked_for() {
    let (_service, remote) = service_with_events().await;
    let client = remote.client();
    let inbox = client.new_inbox();
    let mut messages = client.subscribe(inbox.clone()).await.expect("the server accepts it");
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, PROTOBUF);
    let request = r#"{"limit":400,"pages":8}"#;
    let sent = client.publish_with_reply_and_headers("hourlog.replay.a", inbox, headers, request.into()).await;
    sent.expect("it can be sent");
    for expected in [400, 400, 200] {
        let message =
            tokio::time::timeout(WAIT_MAX, messages.next()).await.expect("a message comes").expect("a message");
        assert_eq!(proto::decode(message.payload).expect("a page").events.len(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_ahead_gets_every_event_once_whatever_the_limit() {
    let (_service, remote) = service_with_events().await;
    let all = events(&remote, "a").await;
    for limit in [1, 255, 256, 257, 999, 1_000, 5_000] {
        for order in [Order::Timeline, Order::Arrival] {
            let request = ReplayRequest { limit: Some(limit), order, ..ReplayRequest::default() };
            let pages = remote.pages(log("a"), request, 100);
            let found: Vec<Event> = pages
                .try_fold(Vec::new(), async |mut found, page| {
                    assert!(page.events.len() <= 100);
                    found.extend(page.events);
                    Ok(found)
                })
                .await
                .expect("the log can be read");
            assert!(found[..] == all[..all.len().min(limit as usize)], "{limit} {order:?}: {}", found.len());
        }
    }
    // An error ends the pages, and is not taken for the end of the log.
    let request =
        ReplayRequest { after: Some(Cursor::Timeline(all[0].position)), order: Order::Arrival, ..Default::default() };
    let error =
        remote.events(log("a"), request).try_collect::<Vec<_>>().await.expect_err("the cursor is of another order");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}
