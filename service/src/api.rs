//! The endpoints, in the NATS Services API: `nats micro ls`, `info` and `stats` show them.

mod admin;
mod append;
mod describe;
mod discovery;
mod fresh;
mod inbox;
mod logs;
mod replay;
mod reply;
mod timeline;

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use async_nats::{Client, Message, Subscriber, jetstream};
use futures_util::StreamExt;
use hourlog::{Error, ErrorKind, LogId, Result, Store};
use tokio::{
    sync::{Semaphore, watch},
    task::{JoinHandle, JoinSet},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Settings,
    epochs::Epochs,
    log_actor::LogMsg,
    logs::{LogsMsg, LogsRef},
    telemetry::Status,
    waiters::Waiters,
    wal,
};

use discovery::{Instance, Question};
use reply::{Reply, Request};

/// The requests that may be under way; one more is refused.
const REQUESTS_MAX: usize = 4096;
/// How long a log that has failed may take to be started again, before whoever asks is told.
const RESTART_MAX: Duration = Duration::from_secs(2);

/// What the endpoints need.
#[derive(Debug)]
pub(crate) struct Api<S> {
    pub(crate) client: Client,
    pub(crate) store: S,
    pub(crate) logs: LogsRef,
    pub(crate) status: Arc<Status>,
    pub(crate) waiters: Arc<Waiters>,
    /// Changes when the stream forks.
    pub(crate) epochs: watch::Receiver<Arc<Epochs>>,
    pub(crate) settings: Settings,
}

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Append,
    Replay,
    Describe,
    Timeline,
    Logs,
    AdminCreate,
}

impl Verb {
    const ALL: [Self; 6] = [Self::Append, Self::Replay, Self::Describe, Self::Timeline, Self::Logs, Self::AdminCreate];

    /// The endpoint's name, and its subject behind the prefix; a log's id follows where it ends in a dot.
    fn name_and_subject(self) -> (&'static str, &'static str) {
        match self {
            Self::Append => ("append", "append."),
            Self::Replay => ("replay", "replay."),
            Self::Describe => ("describe", "describe."),
            Self::Timeline => ("timeline", "timeline."),
            Self::Logs => ("logs", "logs"),
            Self::AdminCreate => ("admin-create", "admin.create."),
        }
    }
}

/// Starts the endpoints; they answer until `shutdown`, and then finish what they have begun.
///
/// # Errors
/// [`ErrorKind::Unavailable`] where they cannot be subscribed to, and [`ErrorKind::Refused`] where the stream could lose events.
pub(crate) async fn start<S: Store>(api: Api<S>, shutdown: CancellationToken) -> Result<JoinHandle<()>> {
    let unavailable = |error: async_nats::Error| {
        Error::new(ErrorKind::Unavailable, "the endpoints cannot be subscribed to").because(error)
    };
    let client = api.client.clone();
    let instance = Instance::new(&api.settings.prefix, (api.settings.clock)());
    let served = Arc::new(Served { api, instance, limit: Arc::new(Semaphore::new(REQUESTS_MAX)), shutdown });
    let (requests, mut endpoints) = (TaskTracker::new(), JoinSet::new());
    for verb in Verb::ALL {
        let subject = served.instance.subject(verb);
        let queue = discovery::QUEUE_GROUP.to_owned();
        let endpoint = client.queue_subscribe(subject, queue).await.map_err(|error| unavailable(error.into()))?;
        endpoints.spawn(Arc::clone(&served).serve(verb, endpoint, requests.clone()));
    }
    for question in Question::ALL {
        for asked in served.instance.subscribe(&client, question).await.map_err(unavailable)? {
            endpoints.spawn(Arc::clone(&served).present(question, asked));
        }
    }
    // What is flushed the server need not have taken yet. What it answers over the same connection, it has taken all before.
    let max_payload = client.server_info().max_payload;
    wal::find(&served.api.jetstream(), &served.api.settings, max_payload).await?.1?;
    Ok(tokio::spawn(async move {
        while endpoints.join_next().await.is_some() {}
        requests.close();
        requests.wait().await;
        let _ = client.flush().await;
    }))
}

/// The endpoints, and what they share.
#[derive(Debug)]
struct Served<S> {
    api: Api<S>,
    instance: Instance,
    /// A permit for each request under way.
    limit: Arc<Semaphore>,
    shutdown: CancellationToken,
}

impl<S: Store> Served<S> {
    /// Answers what is asked of an endpoint, each request in a task of its own.
    async fn serve(self: Arc<Self>, verb: Verb, mut endpoint: Subscriber, requests: TaskTracker) {
        while let Some(message) = self.next(&mut endpoint).await {
            let (served, permit) = (Arc::clone(&self), Arc::clone(&self.limit).try_acquire_owned());
            requests.spawn(async move {
                let begun = Instant::now();
                let request = Request { message };
                let outcome = match &permit {
                    Ok(_) => tokio::select! {
                        outcome = served.api.answer(verb, &request) => outcome,
                        // What waits for events would wait longer than the service may take to stop.
                        () = stopping(&served.shutdown) => Err(Error::new(ErrorKind::Unavailable, "the service is stopping; ask again")),
                    },
                    Err(_) => Err(Error::new(
                        ErrorKind::Refused,
                        format!("more than {REQUESTS_MAX} requests are under way; ask again in a moment"),
                    )),
                };
                let error = outcome.as_ref().err().map(|error| format!("{}:{error}", error.kind().code()));
                request.respond(&served.api.client, outcome).await;
                served.instance.count(verb, begun.elapsed(), error);
            });
        }
    }

    /// Answers a question about this instance.
    async fn present(self: Arc<Self>, question: Question, mut asked: Subscriber) {
        while let Some(message) = self.next(&mut asked).await {
            let answer = self.instance.answer(question, || self.api.status.report());
            Request { message }.respond(&self.api.client, Reply::json(&answer)).await;
        }
    }

    /// The next request that may be answered. After the service was told to stop: of those that the server has sent already.
    async fn next(&self, requests: &mut Subscriber) -> Option<Message> {
        loop {
            let message = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => {
                    let _ = requests.drain().await;
                    requests.next().await?
                }
                message = requests.next() => message?,
            };
            if self.api.may_answer(&message) {
                return Some(message);
            }
        }
    }
}

/// Returns a while after the service was told to stop: long enough for what does not wait for anything.
async fn stopping(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
}

impl<S: Store> Api<S> {
    /// Whether the reply would go to an inbox. Anything else is dropped and counted: a reply to any other subject would
    /// be written there with the rights of the service, not of who asks.
    fn may_answer(&self, message: &Message) -> bool {
        let good = message.reply.as_ref().is_some_and(|reply| inbox::is_inbox(reply, &self.settings.inbox_prefixes));
        if !good {
            self.status.replies_dropped.fetch_add(1, Relaxed);
            tracing::warn!(subject = %message.subject, reply = message.reply.as_deref().map(hourlog::shorten), "request dropped: its reply would not go to an inbox");
        }
        good
    }

    async fn answer(&self, verb: Verb, request: &Request) -> Result<Reply> {
        if matches!(verb, Verb::Logs | Verb::Replay | Verb::Describe | Verb::Timeline) {
            fresh::whole_again(self).await?;
        }
        match verb {
            Verb::Logs => return logs::answer(self, request).await,
            Verb::Append | Verb::Replay | Verb::Describe | Verb::Timeline | Verb::AdminCreate => {}
        }
        let (_, subject) = verb.name_and_subject();
        let skip = self.settings.prefix.len() + 1 + subject.len();
        let log: LogId = request.subject().get(skip..).unwrap_or_default().parse()?;
        match verb {
            Verb::Append => append::answer(self, &log, request).await,
            Verb::Replay => replay::answer(self, &log, request).await,
            Verb::Describe => describe::answer(self, &log).await,
            Verb::Timeline => timeline::answer(self, &log, request).await,
            Verb::AdminCreate => admin::create(self, &log, request).await,
            Verb::Logs => unreachable!("answered above"),
        }
    }

    /// Asks a log. One that has failed drops its questions; then it is asked again, until it has been started.
    async fn ask<T>(&self, log: &LogId, question: impl Fn(tokio::sync::oneshot::Sender<T>) -> LogMsg) -> Result<T> {
        let begun = Instant::now();
        loop {
            let (reply, answer) = tokio::sync::oneshot::channel();
            let _ = self.logs.send_message(LogsMsg::Ask(log.clone(), question(reply)));
            if let Ok(answer) = answer.await {
                return Ok(answer);
            }
            if begun.elapsed() > RESTART_MAX {
                let context = format!("log {log} has failed and is being started again; ask again in a moment");
                return Err(Error::new(ErrorKind::Unavailable, context));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            // It may have been ended because what it holds is read again.
            fresh::whole_again(self).await?;
        }
    }

    /// Events a second that came for each of `logs` during the last minute.
    async fn rates(&self, logs: Vec<LogId>) -> Vec<f64> {
        let (none, (reply, rates)) = (vec![0.0; logs.len()], tokio::sync::oneshot::channel());
        let _ = self.logs.send_message(LogsMsg::Rates { logs, reply });
        rates.await.unwrap_or(none)
    }

    fn jetstream(&self) -> jetstream::Context {
        let mut jetstream = jetstream::new(self.client.clone());
        jetstream.set_timeout(crate::JETSTREAM_REQUEST_MAX);
        jetstream
    }
}
