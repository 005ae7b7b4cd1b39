//! The endpoints, served by the NATS Services API: `nats micro ls`, `info` and `stats` show them.

mod admin;
mod ahead;
mod append;
mod below;
mod cursor;
mod describe;
mod discovery;
mod filtered;
mod fresh;
mod held;
mod inbox;
pub(crate) mod lasting;
mod logs;
mod merge;
mod moved;
mod near;
mod newest;
mod page;
mod pages;
mod receipt;
mod relay;
mod replay;
mod reply;
mod schema;
mod status;
mod timeline;
mod yielding;

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use async_nats::{Client, Message, Subject, Subscriber, jetstream};
use bytes::Bytes;
use futures_util::StreamExt;
use hourlog::{Error, ErrorKind, LogId, Result, store::Store, wire::RecentReply};
use tokio::{
    task::{JoinHandle, JoinSet},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    admission::{Admission, Place, Requester, Turn},
    archive_id::{ArchiveId, Instance},
    config::Settings,
    health::Health,
    log_actor::{LogMsg, jobs::Job},
    logs::{LogsMsg, LogsRef},
    message_ids::MessageIds,
    ownership::SlotSet,
    peers::Peers,
    rules::Rules,
    sources::Sources,
    stream::connect,
    waiters::Waiters,
};

use append::Progress;
pub(crate) use discovery::find_instances;
use discovery::{OwnInstance, Question};
use relay::Answered;
use reply::{Reply, Request};

/// Size of a payload below which a request gets a copy of its own.
const COPIED_BYTES_MAX: usize = 16 << 10;
/// Approximate memory of a description while it is read: a part of the index.
const DESCRIBE_BYTES: usize = 64 << 10;
/// Longest wait for the restart of a failed log. After that, the request fails.
const RESTART_MAX: Duration = Duration::from_secs(2);
/// Longest wait for a change of a log. Less than the two minutes that a client waits for a removal.
const JOB_MAX: Duration = Duration::from_secs(110);

/// The parts of the service that the endpoints use.
#[derive(Debug, Clone)]
pub(crate) struct Api<S> {
    pub(crate) client: Client,
    pub(crate) message_ids: MessageIds,
    /// Sends the large replies.
    pub(crate) answers_client: Client,
    pub(crate) store: S,
    pub(crate) logs: LogsRef,
    pub(crate) health: Arc<Health>,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) rules: Arc<Rules>,
    pub(crate) sources: Arc<Sources>,
    /// The archive's id.
    pub(crate) archive: ArchiveId,
    pub(crate) admission: Admission,
    pub(crate) settings: Settings,
}

/// An operation that the service answers on a subject of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Append,
    Replay,
    Merge,
    MergeAll,
    Describe,
    Near,
    Timeline,
    Timelines,
    TimelinesAll,
    Logs,
    Newest,
    NewestAll,
    Status,
    Schema,
    Receipt,
    AdminCreate,
    CursorGet,
    CursorSet,
    CursorList,
    CursorDelete,
    AdminAlter,
    AdminPurge,
    AdminDelete,
    AdminRequeue,
}

/// The public face of a verb.
struct Endpoint {
    name: &'static str,
    /// The subject after the prefix. A log id, a prefix of log ids or a receipt's token follows when it ends in a dot.
    subject: &'static str,
    /// Set when the reply depends on archived events, so that it must wait for a catch-up.
    reads: bool,
    /// Set when every instance replies, not only one of them.
    of_each: bool,
}

impl Verb {
    const ALL: [Self; 24] = [
        Self::Append,
        Self::Replay,
        Self::Merge,
        Self::MergeAll,
        Self::Describe,
        Self::Near,
        Self::Timeline,
        Self::Timelines,
        Self::TimelinesAll,
        Self::Logs,
        Self::Newest,
        Self::NewestAll,
        Self::Status,
        Self::Schema,
        Self::Receipt,
        Self::AdminCreate,
        Self::CursorGet,
        Self::CursorSet,
        Self::CursorList,
        Self::CursorDelete,
        Self::AdminAlter,
        Self::AdminPurge,
        Self::AdminDelete,
        Self::AdminRequeue,
    ];

    fn endpoint(self) -> Endpoint {
        let (name, subject, reads) = match self {
            Self::Append => ("append", "append.", false),
            Self::Replay => ("replay", "replay.", true),
            Self::Merge => ("merge", "merge.", true),
            Self::MergeAll => ("merge-all", "merge", true),
            Self::Describe => ("describe", "describe.", true),
            Self::Near => ("near", "near.", true),
            Self::Timeline => ("timeline", "timeline.", true),
            Self::Timelines => ("timelines", "timelines.", true),
            Self::TimelinesAll => ("timelines-all", "timelines", true),
            Self::Logs => ("logs", "logs", true),
            Self::Newest => ("newest", "newest.", true),
            Self::NewestAll => ("newest-all", "newest", true),
            Self::Status => ("status", "status", false),
            Self::Schema => ("schema", "schema", false),
            Self::Receipt => ("receipt", "receipt.", false),
            Self::AdminCreate => ("admin-create", "admin.create.", false),
            Self::CursorGet => ("cursor-get", "cursor.get.", false),
            Self::CursorSet => ("cursor-set", "cursor.set.", false),
            Self::CursorList => ("cursor-list", "cursor.list.", false),
            Self::CursorDelete => ("cursor-delete", "cursor.delete.", false),
            Self::AdminAlter => ("admin-alter", "admin.alter.", false),
            Self::AdminPurge => ("admin-purge", "admin.purge.", true),
            Self::AdminDelete => ("admin-delete", "admin.delete.", true),
            Self::AdminRequeue => ("admin-requeue", "admin.requeue.", true),
        };
        Endpoint { name, subject, reads, of_each: self == Self::Status }
    }

    /// Returns true if the owner of the log in the subject answers, not any instance.
    fn is_owners(self) -> bool {
        matches!(
            self,
            Self::Append
                | Self::Replay
                | Self::Describe
                | Self::Near
                | Self::Timeline
                | Self::AdminCreate
                | Self::AdminAlter
                | Self::AdminPurge
                | Self::AdminDelete
                | Self::AdminRequeue
        )
    }

    /// Returns the verb of a subject behind the prefix, if it has a log.
    fn of_subject(tail: &str) -> Option<Self> {
        Self::ALL.into_iter().filter(|verb| verb.is_owners()).find(|verb| tail.starts_with(verb.endpoint().subject))
    }

    /// Returns the queue group that shares the requests; `None` if each instance replies.
    fn queue_group(self) -> Option<&'static str> {
        (!self.endpoint().of_each).then_some(discovery::QUEUE_GROUP)
    }
}

/// Starts the endpoints. They answer until `shutdown`, or until the client ends, and then finish the
/// requests in progress.
///
/// # Errors
/// [`ErrorKind::Unavailable`] when a subscription fails or JetStream does not answer.
async fn start<S: Store>(api: Api<S>, shutdown: CancellationToken) -> Result<JoinHandle<()>> {
    let unavailable = |error: async_nats::Error| {
        Error::new(ErrorKind::Unavailable, "failed to subscribe to the endpoints' subjects").because(error)
    };
    let (client, answers_client) = (api.client.clone(), api.answers_client.clone());
    let presented = Instance { prefix: api.settings.prefix.clone(), archive: api.archive.clone() };
    let instance = OwnInstance::new(&api.health.ownership.id, presented, (api.settings.clock)());
    let served = Arc::new(Served { api, instance, shutdown });
    let (requests, mut endpoints) = (TaskTracker::new(), JoinSet::new());
    for verb in Verb::ALL {
        let subject = served.instance.subject(verb);
        let endpoint = match verb.queue_group() {
            Some(group) => client.queue_subscribe(subject, group.to_owned()).await,
            None => client.subscribe(subject).await,
        };
        let endpoint = endpoint.map_err(|error| unavailable(error.into()))?;
        endpoints.spawn(Arc::clone(&served).serve(verb, endpoint, requests.clone()));
    }
    if served.api.health.ownership.is_shared() {
        let subject = Peers::subject(&served.api.settings.prefix, &served.instance.id, ">");
        let messages = client.subscribe(subject).await.map_err(|error| unavailable(error.into()))?;
        endpoints.spawn(Arc::clone(&served).serve_peers(messages, requests.clone()));
    }
    for question in Question::ALL {
        for questions in served.instance.subscribe(&client, question).await.map_err(unavailable)? {
            endpoints.spawn(Arc::clone(&served).present(question, questions));
        }
    }
    // A flush does not prove that the server has processed the subscriptions. A reply on the same
    // connection does, because the server works in order.
    let wal = &served.api.settings.stream;
    let shutdown = served.shutdown.clone();
    // The reply may be that the stream is gone: it may be restored.
    connect::find_stream(&served.api.jetstream(), wal).await?;
    Ok(tokio::spawn(async move {
        while endpoints.join_next().await.is_some() {}
        if !shutdown.is_cancelled() {
            // The client has ended, so the requests in progress cannot be answered.
            return;
        }
        requests.close();
        requests.wait().await;
        let _ = client.flush().await;
        let _ = answers_client.flush().await;
    }))
}

/// The state that all endpoints share.
#[derive(Debug)]
struct Served<S> {
    api: Api<S>,
    instance: OwnInstance,
    shutdown: CancellationToken,
}

impl<S: Store> Served<S> {
    /// Answers the requests of one endpoint, each in its own task.
    async fn serve(self: Arc<Self>, verb: Verb, mut endpoint: Subscriber, requests: TaskTracker) {
        while let Some((message, requester)) = self.next(&mut endpoint).await {
            let (served, place) = (Arc::clone(&self), self.api.admission.places.take(requester, message.payload.len()));
            requests.spawn(served.handle(verb, message, place, false));
        }
    }

    /// Answers a request that was given a place, or refuses it. It is `relayed` if another instance has sent it.
    async fn handle(self: Arc<Self>, verb: Verb, message: Message, place: Result<Place>, is_relayed: bool) {
        let begun = Instant::now();
        let (message, place, answered, is_one_of_several) = match place {
            Ok(place) => {
                let append_id =
                    if verb == Verb::Append { relay::append_id(&message, is_relayed) } else { String::new() };
                let (progress, has_replied, gathered) = Default::default();
                let request = Request { message: compact(message), place, progress, has_replied, gathered, append_id };
                let answered = tokio::select! {
                    answered = self.answer(verb, &request, is_relayed) => answered,
                    // A replay may wait for events for longer than the service has to stop.
                    () = grace_ended(&self.shutdown) => Answered::Here(Err(stopping())),
                };
                let answered = match answered {
                    Answered::Here(Err(error)) => {
                        Answered::Here(Err(self.api.with_sent(verb, error, &request.progress)))
                    }
                    answered => answered,
                };
                (request.message, Some(request.place), answered, request.has_replied.into_inner())
            }
            Err(refused) => {
                let error = self.api.with_sent(verb, refused, &Progress::default());
                (message, None, Answered::Here(Err(error)), false)
            }
        };
        let (code, error) = match answered {
            Answered::Here(outcome) => {
                let code = outcome.as_ref().err().map(|error| u32::from(error.kind().code()));
                let error = outcome.as_ref().err().map(|error| format!("{}:{error}", error.kind().code()));
                self.api.respond(&message, outcome, is_one_of_several).await;
                (code, error)
            }
            Answered::Relayed(code) => (code, code.map(|code| format!("{code}:another instance has answered"))),
            Answered::NotOwner => return self.disown(&message).await,
        };
        drop(place);
        let took = begun.elapsed();
        self.api.health.counters.answered(verb.endpoint().name, took, code);
        self.instance.count(verb, took, error);
    }

    /// Answers discovery questions about this instance.
    async fn present(self: Arc<Self>, question: Question, mut questions: Subscriber) {
        while let Some((message, _)) = self.next(&mut questions).await {
            let answer = self.instance.answer(question, || self.api.health.report());
            self.api.respond(&message, Reply::json(&answer), false).await;
        }
    }

    /// Waits for the next request whose reply goes to an inbox. During shutdown, returns only
    /// requests that the server has already sent.
    async fn next(&self, requests: &mut Subscriber) -> Option<(Message, Requester)> {
        loop {
            let message = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => {
                    let _ = requests.drain().await;
                    requests.next().await?
                }
                message = requests.next() => message?,
            };
            if let Some(requester) = self.api.requester(&message) {
                return Some((message, requester));
            }
        }
    }
}

/// Returns a message that owns its small parts. They share a block of the connection's buffer, and a request
/// that waits would keep the whole block in memory.
fn compact(message: Message) -> Message {
    let own = |subject: &Subject| Subject::from(subject.to_string());
    let payload = match message.payload.len() {
        small if small < COPIED_BYTES_MAX => Bytes::copy_from_slice(&message.payload),
        _ => message.payload,
    };
    Message { subject: own(&message.subject), reply: message.reply.as_ref().map(own), payload, ..message }
}

/// Waits until shutdown begins, and then long enough for requests that wait for nothing.
async fn grace_ended(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// The error for a request that the shutdown cuts short.
fn stopping() -> Error {
    Error::new(ErrorKind::Unavailable, "the service is stopping; retry")
}

impl<S: Store> Api<S> {
    /// Returns the requester when the reply subject is an inbox; otherwise counts the request as dropped.
    /// The reply is published with the rights of the service, so a requester could use any other
    /// reply subject to write where it may not.
    fn requester(&self, message: &Message) -> Option<Requester> {
        let reply = message.reply.as_ref();
        let requester = reply.and_then(|reply| inbox::requester(reply, &self.settings.inbox_prefixes));
        if requester.is_none() {
            self.health.replies_dropped.fetch_add(1, Relaxed);
            tracing::warn!(subject = %message.subject, reply = message.reply.as_deref().map(hourlog::wire::shorten), "request dropped: its reply subject is not an inbox");
        }
        requester.map(Requester::new)
    }

    /// Passes a request to the handler of its verb.
    async fn answer(&self, verb: Verb, request: &Request, instance: &OwnInstance) -> Result<Reply> {
        let Endpoint { subject, reads, .. } = verb.endpoint();
        let log = || self.log_in_subject(subject, request);
        if reads && self.health.keeps_readers_waiting() {
            request.place.begin_wait()?;
        }
        if reads && subject.ends_with('.') && !matches!(verb, Verb::Merge | Verb::Timelines | Verb::Newest) {
            // Another source that cannot be read must not keep this log's readers out.
            self.wait_for_catch_up_of(&log()?).await?;
        } else if reads {
            fresh::wait_for_catch_up(&self.health.ownership, &self.health.sources, SlotSet::ALL).await?;
        } else if verb.is_owners() && verb != Verb::Append {
            let slot = SlotSet::from_iter([log()?.slot()]);
            fresh::wait_for_takeover(&self.health.ownership, &self.health.sources, slot).await?;
        }
        match verb {
            Verb::Append => append::answer(self, &log()?, request).await,
            Verb::Replay => pages::answer(self, &log()?, request).await,
            Verb::Merge => merge::answer(self, Some(&log()?), request).await,
            Verb::MergeAll => merge::answer(self, None, request).await,
            Verb::Describe => describe::answer(self, &log()?, request).await,
            Verb::Near => near::answer(self, &log()?, request).await,
            Verb::Timeline => timeline::answer(self, &log()?, request).await,
            Verb::Timelines => timeline::answer_for_several(self, Some(&log()?), request).await,
            Verb::TimelinesAll => timeline::answer_for_several(self, None, request).await,
            Verb::Logs => logs::answer(self, request).await,
            Verb::Newest => newest::answer(self, Some(&log()?), request).await,
            Verb::NewestAll => newest::answer(self, None, request).await,
            Verb::Status => status::answer(self, instance, request).await,
            Verb::Schema => schema::answer(request),
            Verb::Receipt => receipt::answer(self, self.after_subject(subject, request), request).await,
            Verb::AdminCreate => admin::create(self, &log()?, request).await,
            Verb::CursorGet => cursor::get(self, &log()?, request).await,
            Verb::CursorSet => cursor::set(self, &log()?, request).await,
            Verb::CursorList => cursor::list(self, &log()?, request).await,
            Verb::CursorDelete => cursor::delete(self, &log()?, request).await,
            Verb::AdminAlter => admin::alter(self, &log()?, request).await,
            Verb::AdminPurge => admin::purge(self, &log()?, request).await,
            Verb::AdminDelete => admin::delete(self, &log()?, request).await,
            Verb::AdminRequeue => admin::requeue(self, &log()?, request).await,
        }
    }

    /// Adds to the error of an append what has become of its record.
    fn with_sent(&self, verb: Verb, error: Error, progress: &Progress) -> Error {
        match verb {
            Verb::Append => append::with_sent(error, progress, self.sources.wal().stream()),
            _ => error,
        }
    }

    /// Parses the log id that follows the endpoint's `subject`.
    fn log_in_subject(&self, subject: &str, request: &Request) -> Result<LogId> {
        self.after_subject(subject, request).parse()
    }

    /// Returns the part of the request's subject that follows the endpoint's.
    fn after_subject<'a>(&self, subject: &str, request: &'a Request) -> &'a str {
        let start = self.settings.prefix.len() + 1 + subject.len();
        request.subject().get(start..).unwrap_or_default()
    }

    /// Sends a question to a log's actor. A failed actor drops its questions, so this asks again
    /// until the actor has restarted.
    async fn ask<T>(&self, log: &LogId, question: impl Fn(tokio::sync::oneshot::Sender<T>) -> LogMsg) -> Result<T> {
        let begun = Instant::now();
        loop {
            let (reply, answer) = tokio::sync::oneshot::channel();
            let source = self.sources.of_log(&self.store, log).await?;
            let _ = self.logs.send_message(LogsMsg::Ask { log: log.clone(), source, request: question(reply) });
            if let Ok(answer) = answer.await {
                return Ok(answer);
            }
            if begun.elapsed() > RESTART_MAX {
                let context = format!("log {log} failed and is restarting; retry in a moment");
                return Err(Error::new(ErrorKind::Unavailable, context));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            // A rollback of the archive also ends actors, and a catch-up follows it.
            self.wait_for_catch_up_of(log).await?;
        }
    }

    /// Waits until the source of `log` has caught up.
    async fn wait_for_catch_up_of(&self, log: &LogId) -> Result<()> {
        let source = self.sources.of_log(&self.store, log).await?;
        let slot = SlotSet::from_iter([log.slot()]);
        fresh::wait_for_catch_up(&self.health.ownership, std::slice::from_ref(&source.health), slot).await
    }

    /// Has a log's actor carry out a job. One that has not begun when the wait ends is dropped.
    ///
    /// # Errors
    /// The errors of the job, and [`ErrorKind::Deadline`] after `JOB_MAX`.
    async fn run_job<T>(&self, log: &LogId, job: impl Fn(tokio::sync::oneshot::Sender<Result<T>>) -> Job) -> Result<T> {
        match tokio::time::timeout(JOB_MAX, self.ask(log, |reply| LogMsg::Job(job(reply)))).await {
            Ok(done) => {
                let done = done??;
                self.health.changes.note(log);
                Ok(done)
            }
            Err(_) => {
                // It may be carried out later.
                self.health.changes.note(log);
                Err(Error::new(
                    ErrorKind::Deadline,
                    format!(
                        "the change of log {log} has not ended yet; hourlog doctor says why, send the request again"
                    ),
                ))
            }
        }
    }

    /// Waits for the turn of a request to read an answer that takes up to `bytes` of memory.
    /// It is `large` if reading it takes milliseconds.
    async fn turn(&self, request: &Request, bytes: usize, large: bool) -> Result<Turn> {
        self.admission.turn(request.place.requester(), bytes, large).await
    }

    /// Returns the events of each of `logs` that arrived during the last minute, as far as this instance knows.
    async fn own_recent(&self, logs: Vec<LogId>) -> Vec<RecentReply> {
        let unknown = RecentReply { to: self.health.time.now(), counts: Vec::new() };
        let (unknown, (reply, recent)) = (vec![unknown; logs.len()], tokio::sync::oneshot::channel());
        let _ = self.logs.send_message(LogsMsg::Recent { logs, reply });
        recent.await.unwrap_or(unknown)
    }

    fn jetstream(&self) -> jetstream::Context {
        connect::jetstream(self.client.clone(), &self.settings)
    }
}
