//! Requests between instances, each to one of them.
//!
//! Their subjects begin with `_` and the prefix, then the id of the instance. So a permission for the service's own
//! subjects does not allow them.

use std::time::Duration;

use async_nats::{Client, HeaderMap, Message, StatusCode, Subscriber};
use bytes::Bytes;
use hourlog::{
    Error, ErrorKind, LogId, Offset, Result, Seq,
    store::{Bucket, BucketRow, Width},
    time::SECOND,
    wire::{self, ReceiptReply, ReceiptToken},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::time::timeout;

/// Longest wait for the answer of an instance.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(3);
/// The same for one that waits until everything is archived.
pub(crate) const FRESH_ANSWER_MAX: Duration = Duration::from_secs(65);
/// The header with the requester of a request that is relayed: the owner's limits hold for it, not for the instance
/// that relays.
pub(crate) const REQUESTER: &str = "Hourlog-Requester";
/// The header of a reply by an instance that is not the owner.
pub(crate) const NOT_OWNER: &str = "Hourlog-Not-Owner";
/// The header with the id of a relayed append whose requester gave none, so that each attempt has the same.
pub(crate) const APPEND_ID: &str = "Hourlog-Append-Id";
/// The header with the time at which an append was relayed. An owner that was stopped meanwhile does not carry it out.
pub(crate) const RELAYED_AT: &str = "Hourlog-Relayed-At";
/// The beginning of a relayed request's subject, behind the instance.
pub(crate) const RELAYED: &str = "relayed.";

/// A question of one instance to another.
pub(crate) trait PeerQuestion: Serialize + DeserializeOwned {
    /// The last token of its subject.
    const NAME: &'static str;
    /// The answer.
    type Answer: Serialize + DeserializeOwned;
}

/// Asks until when everything up to a message is archived: the answer comes once it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ArchivedRequest {
    pub(crate) stream: String,
    pub(crate) sequence: u64,
}

impl PeerQuestion for ArchivedRequest {
    const NAME: &'static str = "archived";
    type Answer = ();
}

/// Asks for what an instance has that the archive does not tell: how far its slots are archived, and the rows of the
/// index that are not written yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeldRequest {
    /// The log after which the rows go on; `None` for the first ones.
    pub(crate) after: Option<LogId>,
    /// The answer comes once everything published before is archived.
    #[serde(default)]
    pub(crate) fresh: bool,
}

impl PeerQuestion for HeldRequest {
    const NAME: &'static str = "held";
    type Answer = Held;
}

/// The part of an instance in what is archived.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    /// The slots of the instance.
    pub(crate) slots: Vec<u8>,
    /// For each source, the slots with the number of the seq up to which each is archived.
    pub(crate) archived: Vec<(String, Vec<(u8, i64)>)>,
    /// The unwritten rows.
    pub(crate) rows: Vec<(LogId, Vec<LentRow>)>,
    /// The log after which there are more.
    pub(crate) next: Option<LogId>,
}

/// A row of the index, as instances lend it to each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LentRow {
    start: Offset,
    width_seconds: i64,
    count: u64,
    bytes: u64,
    first: Offset,
    last: Offset,
    bins: Vec<u32>,
    arrivals: u64,
    counted_to: i64,
    emptied_at: i64,
}

impl LentRow {
    pub(crate) fn of(row: &BucketRow) -> Self {
        let BucketRow { bucket, count, bytes, first, last, ref bins, arrivals, counted_to, emptied_at } = *row;
        let (start, width_seconds, bins) = (bucket.start, bucket.width.nanos() / SECOND, bins.clone());
        let (counted_to, emptied_at) = (counted_to.get(), emptied_at.get());
        Self { start, width_seconds, count, bytes, first, last, bins, arrivals, counted_to, emptied_at }
    }

    /// Returns the row.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a width that is none.
    pub(crate) fn into_row(self) -> Result<BucketRow> {
        let Self { start, width_seconds, count, bytes, first, last, bins, arrivals, counted_to, emptied_at } = self;
        let bucket = Bucket { start, width: Width::from_seconds(width_seconds)? };
        let (counted_to, emptied_at) = (Seq::from_number(counted_to), Seq::from_number(emptied_at));
        Ok(BucketRow { bucket, count, bytes, first, last, bins, arrivals, counted_to, emptied_at })
    }
}

/// Asks for the part of an instance in a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReceiptQuestion {
    pub(crate) token: ReceiptToken,
    /// The answer comes once everything published before is archived.
    pub(crate) fresh: bool,
}

impl PeerQuestion for ReceiptQuestion {
    const NAME: &'static str = "receipt";
    type Answer = Option<ReceiptReply>;
}

/// Asks for the events that arrived lately in some logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecentRequest {
    pub(crate) logs: Vec<LogId>,
}

impl PeerQuestion for RecentRequest {
    const NAME: &'static str = "recent";
    type Answer = Vec<wire::RecentReply>;
}

/// The other instances.
#[derive(Debug, Clone)]
pub(crate) struct Peers<'a> {
    client: &'a Client,
    prefix: &'a str,
}

/// The outcome of a message to another instance.
#[derive(Debug)]
pub(crate) enum Replied {
    Reply(Message),
    /// Nobody listens there: the instance has ended, or has lost its connection.
    Gone,
    /// It is not the owner, as it says.
    NotOwner,
}

impl<'a> Peers<'a> {
    pub(crate) fn new(client: &'a Client, prefix: &'a str) -> Self {
        Self { client, prefix }
    }

    /// Returns the subjects of an instance. With `>` as tail, all of them.
    pub(crate) fn subject(prefix: &str, instance: &str, tail: &str) -> String {
        format!("_{prefix}.{instance}.{tail}")
    }

    /// Asks an instance.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if it does not answer in time, or does not know the question.
    pub(crate) async fn ask<Q: PeerQuestion>(
        &self,
        instance: &str,
        question: &Q,
        limit: Duration,
    ) -> Result<Q::Answer> {
        let silent = || Error::new(ErrorKind::Unavailable, "another instance does not answer; retry in a moment");
        let body = serde_json::to_vec(question).map_err(|error| silent().because(error))?;
        let subject = Self::subject(self.prefix, instance, Q::NAME);
        let reply = timeout(limit, self.client.request(subject, body.into())).await;
        let reply = reply.map_err(|_| silent())?.map_err(|error| silent().because(error))?;
        if let Some(error) = reply.headers.as_ref().and_then(|headers| headers.get(wire::ERROR)) {
            return Err(Error::new(ErrorKind::Unavailable, format!("another instance: {error}")));
        }
        serde_json::from_slice(&reply.payload).map_err(|error| silent().because(error))
    }

    /// Sends a request of somebody else to an instance. Returns its replies.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if NATS does not take it.
    pub(crate) async fn relay(
        &self,
        instance: &str,
        tail: &str,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<Subscriber> {
        let failed = |error: async_nats::Error| {
            Error::new(ErrorKind::Unavailable, "NATS does not take a request").because(error)
        };
        let inbox = self.client.new_inbox();
        let replies = self.client.subscribe(inbox.clone()).await.map_err(|error| failed(error.into()))?;
        let subject = Self::subject(self.prefix, instance, &format!("{RELAYED}{tail}"));
        let sent = self.client.publish_with_reply_and_headers(subject, inbox, headers, payload).await;
        sent.map_err(|error| failed(error.into()))?;
        Ok(replies)
    }
}

impl Replied {
    /// Returns the meaning of a reply to a relayed request.
    pub(crate) fn of(message: Option<Message>) -> Self {
        match message {
            Some(message) if message.status == Some(StatusCode::NO_RESPONDERS) => Self::Gone,
            Some(message) if message.headers.as_ref().is_some_and(|headers| headers.get(NOT_OWNER).is_some()) => {
                Self::NotOwner
            }
            Some(message) => Self::Reply(message),
            None => Self::Gone,
        }
    }
}
