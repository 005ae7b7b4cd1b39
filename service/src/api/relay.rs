//! Relays: a request for a log of another instance goes on to that instance, and its replies to the requester.
//!
//! The request is sent as one of this instance, never with the requester's reply subject: the other instance answers to
//! this one. After a change of the owner, the request is sent once more.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use async_nats::{HeaderMap, Message, Subscriber};
use futures_util::StreamExt;
use hourlog::{
    Error, ErrorKind, LogId, Offset, Result,
    failpoint::Failpoint,
    store::Store,
    time::SECOND,
    wire::{ERROR_CODE, FOLLOWED},
};
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use crate::{
    admission::Requester,
    ownership::Owner,
    peers::{APPEND_ID, NOT_OWNER, Peers, RELAYED, RELAYED_AT, REQUESTER, Replied},
    stream::headers::one_value,
};

use super::{Request, Served, Verb, append, pages, reply::Reply};

/// Longest wait for another owner of a log, after the instance that owns it has gone. Longer than others take it for
/// alive.
const MOVE_MAX: Duration = Duration::from_secs(8);
/// Longest wait for the replies of another instance. No request waits for longer.
const REPLIES_MAX: Duration = Duration::from_secs(310);
/// Longest time for which the owner of a log carries out an append after it was relayed. Less than the time for which the
/// stream recognises a repeated message.
const RELAYED_MAX_NANOS: i64 = 60 * SECOND;
/// Time beyond that of an append in which the owner's own error returns.
const ERROR_RETURN: Duration = Duration::from_secs(1);
/// Number of times that a request is sent on, or answered here, before it fails.
const ATTEMPTS_MAX: usize = 3;

/// The outcome of a request.
pub(super) enum Answered {
    /// Answered here.
    Here(Result<Reply>),
    /// The replies of another instance were handed on. The last one has this code, if it is an error.
    Relayed(Option<u32>),
    /// The request was relayed here, and this instance does not own the log.
    NotOwner,
}

/// The end of a relay.
enum Relay {
    Done(Option<u32>),
    /// The other instance has ended, or does not own the log.
    Gone,
}

impl<S: Store> Served<S> {
    /// Answers a request, here or by the owner of its log. It is `relayed` if another instance has sent it.
    pub(super) async fn answer(&self, verb: Verb, request: &Request, is_relayed: bool) -> Answered {
        let api = &self.api;
        let here = || async { Answered::Here(api.answer(verb, request, &self.instance).await) };
        if !api.health.ownership.is_shared() || !(verb.is_owners() || verb.endpoint().reads) {
            return here().await;
        }
        if !verb.is_owners() {
            return Answered::Here(self.answer_from_all(verb, request).await);
        }
        let log: LogId = match api.log_in_subject(verb.endpoint().subject, request) {
            Ok(log) => log,
            Err(error) => return Answered::Here(Err(error)),
        };
        let (ownership, slot) = (&api.health.ownership, log.slot());
        let until = match self.until(verb, request, is_relayed) {
            Ok(until) => until,
            Err(error) => return Answered::Here(Err(error)),
        };
        let left = || until.saturating_duration_since(Instant::now());
        for attempt in 0..ATTEMPTS_MAX {
            if attempt > 0 {
                if left().is_zero() {
                    break;
                }
                api.health.counters.relayed_again.inc();
            }
            let owner = ownership.owner(slot);
            match &owner {
                Owner::Own => tokio::select! {
                    answered = here() => return answered,
                    // The waits here would not end any more.
                    () = ownership.moved(slot, &owner) => {}
                },
                _ if is_relayed => return Answered::NotOwner,
                Owner::Other(_) if Failpoint::RelayForgotten.is_active() => return here().await,
                Owner::Other(id) => {
                    if verb == Verb::Replay && !request.has_replied.load(Relaxed) {
                        // After an error, the owner may know the log, or answers with the same one.
                        if let Ok(Some(reply)) = pages::answer_below(api, &log, request, id).await {
                            return Answered::Here(Ok(reply));
                        }
                        if request.has_replied.load(Relaxed) {
                            break;
                        }
                    }
                    // It waits here while the owner works.
                    if let Err(refused) = request.place.begin_wait() {
                        return Answered::Here(Err(refused));
                    }
                    api.health.counters.relayed.inc();
                    let relayed = tokio::select! {
                        relayed = self.relay(verb, request, id, left()) => relayed,
                        () = ownership.moved(slot, &owner) => Ok(Relay::Gone),
                    };
                    match relayed {
                        Ok(Relay::Done(code)) => return Answered::Relayed(code),
                        Ok(Relay::Gone) => {}
                        Err(error) => return Answered::Here(Err(error)),
                    }
                }
                Owner::Unknown => {}
            }
            if request.has_replied.load(Relaxed) {
                break;
            }
            // A log that has just moved back has another owner already.
            if ownership.owner(slot) == owner
                && timeout(MOVE_MAX.min(left()), ownership.moved(slot, &owner)).await.is_err()
            {
                break;
            }
        }
        if is_relayed {
            return Answered::NotOwner;
        }
        let context = format!("the instance that writes log {log} has gone; retry in a moment");
        Answered::Here(Err(Error::new(ErrorKind::Unavailable, context)))
    }

    /// Returns the time until which a request may be sent on.
    ///
    /// A record must not be published once the stream no longer recognises it: its sender may have sent it again.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if it may be too late, because a process was stopped.
    fn until(&self, verb: Verb, request: &Request, is_relayed: bool) -> Result<Instant> {
        if verb != Verb::Append {
            return Ok(Instant::now() + REPLIES_MAX);
        }
        let now = (self.api.settings.clock)();
        let relayed_at = one_value(request.headers(), RELAYED_AT)?.filter(|_| is_relayed);
        let relayed_at: Option<Offset> = relayed_at.map(str::parse).transpose()?;
        let is_late = relayed_at.is_some_and(|relayed_at| now.nanos() - relayed_at.nanos() > RELAYED_MAX_NANOS);
        if is_late || self.api.health.ownership.has_old_requests(now) {
            let context = "this instance was stopped for a while, so the request may be old; send it again";
            return Err(Error::new(ErrorKind::Unavailable, context));
        }
        Ok(Instant::now() + append::longest_wait(request.headers())?)
    }

    /// Answers from what all instances hold. If slots have moved since they were asked, the answer may lack what one of
    /// them held: they are asked again.
    async fn answer_from_all(&self, verb: Verb, request: &Request) -> Result<Reply> {
        for _ in 0..ATTEMPTS_MAX {
            let answered = self.api.answer(verb, request, &self.instance).await;
            if answered.is_err() || self.api.is_gathered(request) {
                return answered;
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "the instances of the service change at the moment; retry in a moment"))
    }

    /// Sends a request to another instance, and its replies to the requester. Waits at most for `limit` for each.
    async fn relay(&self, verb: Verb, request: &Request, instance: &str, limit: Duration) -> Result<Relay> {
        let api = &self.api;
        let mut headers = request.headers().cloned().unwrap_or_default();
        headers.insert(REQUESTER, request.place.requester().to_string());
        if verb == Verb::Append {
            headers.insert(APPEND_ID, request.append_id.as_str());
            headers.insert(RELAYED_AT, (api.settings.clock)().to_string());
            request.progress.publishing();
        }
        let tail = request.subject().get(api.settings.prefix.len() + 1..).unwrap_or_default();
        let peers = Peers::new(&api.client, &api.settings.prefix);
        let mut replies = peers.relay(instance, tail, headers, request.payload().clone()).await?;
        loop {
            let message = match timeout(limit + ERROR_RETURN, replies.next()).await {
                Ok(message) => message,
                Err(_) => return Err(Error::new(ErrorKind::Deadline, "the owner of the log does not answer in time")),
            };
            let reply = match Replied::of(message) {
                Replied::Reply(reply) => reply,
                Replied::Gone => return Ok(Relay::Gone),
                Replied::NotOwner => {
                    request.progress.not_sent();
                    return Ok(Relay::Gone);
                }
            };
            let header = |name| reply.headers.as_ref().and_then(|headers| headers.get(name)).map(ToString::to_string);
            let (is_followed, code) = (header(FOLLOWED).is_some(), header(ERROR_CODE));
            let is_one_of_several = request.has_replied.swap(is_followed, Relaxed) || is_followed;
            api.hand_on(&request.message, reply, is_one_of_several).await;
            if !is_followed {
                return Ok(Relay::Done(code.and_then(|code| code.parse().ok())));
            }
        }
    }

    /// Answers the requests of other instances.
    pub(super) async fn serve_peers(self: Arc<Self>, mut messages: Subscriber, requests: TaskTracker) {
        let start = Peers::subject(&self.api.settings.prefix, &self.instance.id, "").len();
        while let Some((message, requester)) = self.next(&mut messages).await {
            let served = Arc::clone(&self);
            let tail = message.subject.get(start..).unwrap_or_default();
            let Some(tail) = tail.strip_prefix(RELAYED) else {
                let question = tail.to_owned();
                requests.spawn(async move {
                    let answer = served.api.answer_peer(&question, &message.payload).await;
                    served.api.respond(&message, answer, false).await;
                });
                continue;
            };
            let subject = format!("{}.{tail}", self.api.settings.prefix);
            let Some(verb) = Verb::of_subject(tail) else { continue };
            let requester = match message.headers.as_ref().and_then(|headers| headers.get(REQUESTER)) {
                Some(name) => Requester::new(name.as_str()),
                None => requester,
            };
            let message = Message { subject: subject.into(), ..message };
            let place = self.api.admission.places.take(requester, message.payload.len());
            requests.spawn(served.handle(verb, message, place, true));
        }
    }

    /// Tells the instance that has relayed a request that this one does not own its log.
    pub(super) async fn disown(&self, message: &Message) {
        let Some(reply) = &message.reply else { return };
        let mut headers = HeaderMap::new();
        headers.insert(NOT_OWNER, "true");
        // The other instance asks again after a while if this is lost.
        let _ = self.api.client.publish_with_headers(reply.clone(), headers, "".into()).await;
    }
}

/// Returns the id under which an append is published when its requester gives none: the same for each attempt.
pub(super) fn append_id(message: &Message, is_relayed: bool) -> String {
    let given = message.headers.as_ref().and_then(|headers| headers.get(APPEND_ID)).filter(|_| is_relayed);
    given.map_or_else(|| nuid::next().to_string(), ToString::to_string)
}
