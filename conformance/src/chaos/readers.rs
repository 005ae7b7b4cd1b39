//! Those who read: some follow while everything breaks, and in the end all of it is read in every way there is.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use async_nats::HeaderMap;
use bytes::Bytes;
use hourlog::{
    Arrival, ArrivalQuery, End, ErrorKind, Event, LogId, Position, Query, Remote, Result, Seq, Store, arrival_page,
    page,
    wire::{self, Order, PAGE_EVENTS_MAX, ReplayRequest, proto},
};
use tokio::task::JoinHandle;

use super::ledger;

/// How long a follower's request is held where there is nothing new.
const WAIT: &str = "300ms";
/// After so many pages a follower goes, and another goes on with its cursor.
const PAGES_UNTIL_RESTART: usize = 20;
/// The pause before a request that failed is sent again.
const AGAIN_AFTER: Duration = Duration::from_millis(50);
/// The events of a page that is read from the archive itself.
const PAGE_EVENTS: usize = 4_000;

/// Follows a log until `stop` is set and nothing more comes. Answers the positions in the order in which they came.
pub fn follow(url: String, log: LogId, stop: Arc<AtomicBool>) -> JoinHandle<Vec<Position>> {
    tokio::spawn(async move {
        let mut found = Vec::new();
        let mut request =
            ReplayRequest { order: Order::Arrival, wait: WAIT.parse().ok(), limit: Some(100), ..Default::default() };
        loop {
            let Ok(remote) = Remote::connect(&url).await else {
                tokio::time::sleep(AGAIN_AFTER).await;
                continue;
            };
            let remote = remote.timeout(Duration::from_secs(2));
            for _ in 0..PAGES_UNTIL_RESTART {
                // Before it asks: what is there by then is on the last page.
                let last = stop.load(Relaxed);
                match remote.replay(&log, &request).await {
                    Ok(page) => {
                        let ended = page.end == End::CaughtUp;
                        found.extend(page.events.iter().map(|event| event.position));
                        request.after = page.next.or(request.after);
                        if ended && last {
                            return found;
                        }
                    }
                    Err(error) if last && error.kind() == ErrorKind::NotFound => return found,
                    Err(_) => tokio::time::sleep(AGAIN_AFTER).await,
                }
            }
        }
    })
}

/// The whole log as the service replays it: the replies, byte for byte.
///
/// # Panics
/// Where the service does not answer.
pub async fn replay(remote: &Remote, log: &LogId) -> Vec<Bytes> {
    let mut request = ReplayRequest { limit: Some(PAGE_EVENTS_MAX), ..Default::default() };
    let mut replies = Vec::new();
    loop {
        let mut headers = HeaderMap::new();
        headers.insert(wire::ACCEPT, wire::PROTOBUF);
        let body = serde_json::to_vec(&request).expect("a request can be written");
        let subject = remote.subjects().replay(log);
        let reply = remote.client().request_with_headers(subject, headers, body.into()).await;
        let reply = reply.expect("the service answers");
        let error = reply.headers.as_ref().and_then(|headers| headers.get(wire::ERROR));
        assert!(error.is_none(), "{log}: {error:?}");
        let page = proto::decode(reply.payload.clone()).expect("it is a page");
        replies.push(reply.payload);
        if End::from(page.end()) != End::More {
            return replies;
        }
        request.after = page.next;
    }
}

/// The events of replies.
///
/// # Panics
/// Where they are none.
pub fn events(log: &LogId, replies: &[Bytes]) -> Vec<Event> {
    let pages = replies.iter().map(|reply| proto::decode(reply.clone()).expect("it was read before"));
    pages.flat_map(|page| page.events).map(|event| event.of_log(log)).collect()
}

/// The whole log as the archive has it, in timeline order and in arrival order.
///
/// # Errors
/// What the archive answers.
pub async fn archive(store: &impl Store, log: &LogId) -> Result<(Vec<Event>, Vec<Position>)> {
    let (mut by_time, mut arrived) = (Vec::new(), Vec::new());
    let mut query = Query { limit: PAGE_EVENTS, ..Query::ALL };
    loop {
        let page = page(store, log, &query).await?;
        by_time.extend(page.events);
        match by_time.last() {
            Some(last) if page.end == End::More => query.from = last.position.next(),
            _ => break,
        }
    }
    let mut query = ArrivalQuery { after: Arrival::FIRST, limit: PAGE_EVENTS, bytes: usize::MAX, visible: Seq::MAX };
    loop {
        let page = arrival_page(store, log, &query).await?;
        arrived.extend(page.events.iter().map(|event| event.position));
        query.after = page.next;
        if page.end != End::More {
            return Ok((by_time, arrived));
        }
    }
}

/// The logs of a run that are there, by number.
pub fn numbers(logs: &BTreeMap<LogId, u64>) -> impl Iterator<Item = (u32, LogId)> + use<'_> {
    (0..ledger::LOGS).map(|number| (number, ledger::log(number))).filter(|(_, log)| logs.contains_key(log))
}
