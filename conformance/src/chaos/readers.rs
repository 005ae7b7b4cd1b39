//! The readers: followers that run during the disruptions, and replays of everything at the end.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use async_nats::{HeaderMap, Request};
use bytes::Bytes;
use hourlog::{
    ErrorKind, Event, LogId, Position, Remote,
    read::End,
    wire::{self, Order, PAGE_EVENTS_MAX, ReplayRequest, proto},
};
use tokio::task::JoinHandle;

use super::{ledger, waits::Waits};
use crate::servers::WAIT_MAX;

/// The time that the service waits for an event before it answers a follower.
const WAIT: &str = "300ms";
/// The pages after which a follower reconnects and continues from its cursor.
const PAGES_UNTIL_RESTART: usize = 20;
/// The pause before a failed request is retried.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// Follows a log of the ledger until `stop` is set and everything was read. Returns the positions in arrival
/// order.
pub fn follow(url: String, number: u32, waits: Arc<Waits>, stop: Arc<AtomicBool>) -> JoinHandle<Vec<Position>> {
    let log = ledger::log(number);
    tokio::spawn(async move {
        let mut found = Vec::new();
        let mut request =
            ReplayRequest { order: Order::Arrival, wait: WAIT.parse().ok(), limit: Some(100), ..Default::default() };
        loop {
            let Ok(remote) = Remote::connect(&url).await else {
                tokio::time::sleep(RETRY_INTERVAL).await;
                continue;
            };
            let remote = remote.with_timeout(Duration::from_secs(2));
            for _ in 0..PAGES_UNTIL_RESTART {
                // Loaded before the request: what is archived by then is on the last page.
                let last = stop.load(Relaxed);
                match remote.replay(&log, &request).await {
                    Ok(page) => {
                        let ended = page.end == End::CaughtUp;
                        found.extend(page.events.iter().map(|event| event.position));
                        if let Some(newest) = page.events.last() {
                            waits.followed(number, newest.position.seq);
                        }
                        request.after = page.next.or(request.after);
                        if ended && last {
                            return found;
                        }
                    }
                    Err(error) if last && error.kind() == ErrorKind::NotFound => return found,
                    Err(_) => tokio::time::sleep(RETRY_INTERVAL).await,
                }
            }
        }
    })
}

/// Replays a whole log and returns the replies, byte for byte.
///
/// # Panics
/// If the service does not answer.
pub async fn replay(remote: &Remote, log: &LogId) -> Vec<Bytes> {
    let mut request = ReplayRequest { limit: Some(PAGE_EVENTS_MAX), ..Default::default() };
    let mut replies = Vec::new();
    loop {
        let mut headers = HeaderMap::new();
        headers.insert(wire::ACCEPT, wire::PROTOBUF);
        let body = serde_json::to_vec(&request).expect("a request can be serialized");
        let subject = remote.subjects().replay(log);
        // The service may still be catching up on a busy machine.
        let asked = Request::new().headers(headers).payload(body.into()).timeout(Some(WAIT_MAX));
        let reply = remote.client().send_request(subject, asked).await;
        let reply = reply.expect("the service answers");
        let error = reply.headers.as_ref().and_then(|headers| headers.get(wire::ERROR));
        assert!(error.is_none(), "{log}: {error:?}");
        let page = proto::decode(reply.payload.clone()).expect("the reply is a page");
        replies.push(reply.payload);
        if End::from(page.end()) != End::More {
            return replies;
        }
        request.after = page.next.map(|next| next.parse().expect("the next cursor is valid"));
    }
}

/// Decodes the events of `replies`.
///
/// # Panics
/// If a reply is not a page.
pub fn events(log: &LogId, replies: &[Bytes]) -> Vec<Event> {
    let pages = replies.iter().map(|reply| proto::decode(reply.clone()).expect("the reply was decoded before"));
    pages.flat_map(|page| page.events).map(|event| event.of_log(log)).collect()
}

/// Returns the logs of a run that exist, by number.
pub fn numbered_logs(logs: &BTreeMap<LogId, u64>) -> impl Iterator<Item = (u32, LogId)> + use<'_> {
    (0..ledger::LOGS).map(|number| (number, ledger::log(number))).filter(|(_, log)| logs.contains_key(log))
}
