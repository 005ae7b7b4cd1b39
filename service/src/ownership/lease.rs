//! The lease of an instance: a key in a KV bucket, renewed each second, whose changes all instances hear.
//!
//! The instances listen to the subjects of the bucket, not to its stream: a heartbeat is heard even while the
//! stream has no leader. The bucket itself shows people who is alive (`nats kv ls`).

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use async_nats::{
    Client, HeaderMap,
    jetstream::{
        self,
        stream::{Config, DiscardPolicy, StorageType},
    },
};
use futures_util::StreamExt;
use hourlog::{Error, ErrorKind, Offset, Result, time::Clock};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Assignment, Ownership, SourceState, Told,
    assignment::Change,
    lock,
    members::{InstanceId, LEASE_BEATS, Members},
    pulse::Pulse,
};
use crate::repeats::Repeats;

/// Interval between two heartbeats.
const BEAT_INTERVAL: Duration = Duration::from_secs(1);
/// Silence of its own heartbeats after which an instance takes its slots as if it had lost them: the others may have
/// taken it for dead. A little shorter than the time after which they do.
const LAPSED_AFTER: Duration = Duration::from_secs(4);
/// Wait of a starting instance for the heartbeats of the others, which answer its first one.
const ANSWERS_MAX: Duration = Duration::from_millis(500);
/// Wait of a starting instance for its own first heartbeat.
const HEARD_MAX: Duration = Duration::from_secs(5);
/// Longest time for which an instance that stops tries to tell the others.
const END_MAX: Duration = Duration::from_secs(1);
/// Version of the state that instances share. Those of neighbouring versions understand each other.
const VERSION: u32 = 1;
/// The header by which a message of a bucket deletes its key.
const OPERATION: &str = "KV-Operation";
/// Its value.
const DELETED: &str = "DEL";

/// The value of an instance's key.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Heartbeat {
    /// Version of the shared state.
    v: u32,
    /// The archive of the instance.
    archive: String,
    /// The prefix of its subjects.
    prefix: String,
    /// The time of its start.
    since: Offset,
    /// Version of the program.
    version: String,
    /// True for the first one, which the others answer. The instance does not take slots over yet.
    #[serde(default)]
    is_first: bool,
    /// How far it has come with each source.
    #[serde(default)]
    sources: BTreeMap<String, SourceState>,
}

/// A starting instance that joins the others.
#[derive(Debug)]
pub(crate) struct Join<'a> {
    pub(crate) client: &'a Client,
    pub(crate) jetstream: &'a jetstream::Context,
    /// The stream whose slots the instances share.
    pub(crate) stream: &'a str,
    pub(crate) archive: &'a str,
    pub(crate) prefix: &'a str,
    pub(crate) replicas: usize,
    pub(crate) clock: Clock,
}

/// The lease of this instance. Dropping it without [`end`](Self::end) leaves the key to expire.
#[derive(Debug)]
pub(crate) struct Lease {
    renewal: Renewal,
    task: JoinHandle<()>,
    live: Arc<Notify>,
    stop: CancellationToken,
}

/// The key, and how it is renewed.
#[derive(Debug, Clone)]
struct Renewal {
    client: Client,
    jetstream: jetstream::Context,
    bucket: String,
    replicas: usize,
    id: InstanceId,
    heartbeat: Heartbeat,
}

impl Join<'_> {
    /// Joins the instances over this archive: says that this one is coming, and listens for the others. Returns once
    /// this instance has heard itself, and who answers. Until it [lives](Lease::live), it reads the slots that it will
    /// own, and the others go on with them.
    ///
    /// # Errors
    /// [`ErrorKind::NotAllowed`] if the bucket cannot be made, [`ErrorKind::Unavailable`] if NATS does not answer.
    pub(crate) async fn join(self) -> Result<(Ownership, Lease)> {
        let Self { client, jetstream, stream, archive, prefix, replicas, clock } = self;
        let now = clock();
        let id: InstanceId = nuid::next().to_string().into();
        let heartbeat = Heartbeat {
            v: VERSION,
            archive: archive.to_owned(),
            prefix: prefix.to_owned(),
            since: now,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            is_first: true,
            sources: BTreeMap::new(),
        };
        let renewal = Renewal {
            client: client.clone(),
            jetstream: jetstream.clone(),
            bucket: bucket(stream),
            replicas,
            id: Arc::clone(&id),
            heartbeat,
        };
        renewal.make_bucket().await?;
        let mut heard = client.subscribe(renewal.subject(">")).await.map_err(unavailable)?;
        renewal.beat(&renewal.heartbeat).await?;
        let mut members = Members::new(Arc::clone(&id));
        let begun = Instant::now();
        let mut wait = HEARD_MAX;
        while let Ok(Some(message)) = timeout(wait.saturating_sub(begun.elapsed()), heard.next()).await {
            renewal.check(&message)?;
            renewal.note(&mut members, &message);
            if members.contains(&id) {
                wait = wait.min(begun.elapsed() + ANSWERS_MAX).min(HEARD_MAX);
            }
        }
        if !members.contains(&id) {
            let subject = renewal.subject(">");
            return Err(Error::new(
                ErrorKind::NotAllowed,
                format!(
                    "the service does not hear its own heartbeat; allow its user to publish and subscribe to {subject}"
                ),
            ));
        }
        let assignment = watch::Sender::new(Arc::new(Assignment::first(&members, clock())));
        let heard_at = watch::Sender::new(Instant::now());
        let pulse = watch::Sender::new(Pulse::new(now));
        let ownership = Ownership {
            id: Arc::clone(&id),
            assignment: assignment.subscribe(),
            heard: Some(heard_at.subscribe()),
            pulse: Some(pulse.subscribe()),
            told: Arc::default(),
        };
        tracing::info!(
            instance = &*id,
            others = members.others().len(),
            slots = ownership.assignment().own.len(),
            "joined the instances of this archive"
        );
        let stop = CancellationToken::new();
        let live = Arc::new(Notify::new());
        let listening = Listening {
            live: Arc::clone(&live),
            renewal: renewal.clone(),
            members,
            assignment,
            heard_at,
            pulse,
            beats_since_lapse: LEASE_BEATS,
            told: Arc::clone(&ownership.told),
            clock,
        };
        let task = tokio::spawn(listening.run(heard, stop.clone()));
        Ok((ownership, Lease { renewal, task, live, stop }))
    }
}

impl Lease {
    /// Takes the slots over from the others, once this instance answers requests.
    pub(crate) fn live(&self) {
        self.live.notify_one();
    }

    /// Gives the slots up: deletes the key, which the others hear at once.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        let Self { renewal, task, .. } = self;
        let mut headers = HeaderMap::new();
        headers.insert(OPERATION, DELETED);
        // If NATS does not take it in time, the key expires.
        let _ = timeout(END_MAX, async {
            let _ = task.await;
            let _ = renewal.client.publish_with_headers(renewal.subject(&renewal.id), headers, "".into()).await;
            let _ = renewal.client.flush().await;
        })
        .await;
    }
}

impl Renewal {
    fn subject(&self, key: &str) -> String {
        format!("$KV.{}.{key}", self.bucket)
    }

    /// Makes the bucket unless it exists. It holds one value a key, for as long as an instance is taken for alive
    /// without a heartbeat.
    async fn make_bucket(&self) -> Result<()> {
        let config = Config {
            name: format!("KV_{}", self.bucket),
            description: Some("The running instances of Hourlog".to_owned()),
            subjects: vec![self.subject(">")],
            max_messages_per_subject: 1,
            max_age: BEAT_INTERVAL * u32::try_from(LEASE_BEATS).expect("a small number"),
            storage: StorageType::Memory,
            discard: DiscardPolicy::New,
            allow_rollup: true,
            deny_delete: true,
            allow_direct: true,
            duplicate_window: BEAT_INTERVAL,
            num_replicas: self.replicas,
            ..Config::default()
        };
        let name = config.name.clone();
        match self.jetstream.get_or_create_stream(config).await {
            Ok(_) => Ok(()),
            Err(error) => {
                let context = format!(
                    "cannot make the bucket {name} of the running instances; allow $JS.API.STREAM.INFO.{name} and \
                     $JS.API.STREAM.CREATE.{name}"
                );
                Err(Error::new(ErrorKind::NotAllowed, context).because(error))
            }
        }
    }

    /// Sends a heartbeat. It is stored, too, if the bucket has a leader.
    async fn beat(&self, heartbeat: &Heartbeat) -> Result<()> {
        let value = serde_json::to_vec(heartbeat).expect("a heartbeat has no map with other keys than text");
        self.client.publish(self.subject(&self.id), value.into()).await.map_err(unavailable)
    }

    /// Refuses to start beside an instance whose requests this one would not get.
    fn check(&self, message: &async_nats::Message) -> Result<()> {
        let heartbeat: Option<Heartbeat> = serde_json::from_slice(&message.payload).ok();
        match heartbeat.filter(|heartbeat| heartbeat.archive == self.heartbeat.archive) {
            Some(Heartbeat { prefix, .. }) if prefix != self.heartbeat.prefix => Err(Error::new(
                ErrorKind::Refused,
                format!(
                    "another instance over this archive answers below the subject {prefix}; give --prefix {prefix}"
                ),
            )),
            Some(Heartbeat { v, version, .. }) if v > VERSION => {
                tracing::warn!(version, "an instance of a newer version runs; upgrade this one soon");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Notes a message of the bucket. Returns what it means.
    fn note(&self, members: &mut Members, message: &async_nats::Message) -> Heard {
        let Some(id) = message.subject.rsplit('.').next() else { return Heard::default() };
        if message.headers.as_ref().is_some_and(|headers| headers.get(OPERATION).is_some()) {
            return Heard { has_changed: members.leave(id), ..Heard::default() };
        }
        // A later version may say more, and less is needed to know that an instance is alive.
        let heartbeat: Option<Heartbeat> = serde_json::from_slice(&message.payload).ok();
        if heartbeat.as_ref().is_some_and(|heartbeat| heartbeat.archive != self.heartbeat.archive) {
            return Heard::default();
        }
        let is_own = *id == *self.id;
        let is_coming = heartbeat.as_ref().is_some_and(|heartbeat| heartbeat.is_first);
        let has_changed = (is_own || !is_coming) && members.beat(id);
        let is_question = !is_own && is_coming;
        let told = heartbeat.filter(|_| !is_own).map(|heartbeat| (id.to_owned(), heartbeat.sources));
        Heard { has_changed, is_own, is_question, told }
    }
}

/// The meaning of a message of the bucket.
#[derive(Debug, Default)]
struct Heard {
    has_changed: bool,
    is_own: bool,
    /// An instance starts and wants to hear the others.
    is_question: bool,
    /// How far another instance has come.
    told: Option<(String, BTreeMap<String, SourceState>)>,
}

/// The task that renews the lease and hears the others.
struct Listening {
    live: Arc<Notify>,
    renewal: Renewal,
    members: Members,
    assignment: watch::Sender<Arc<Assignment>>,
    heard_at: watch::Sender<Instant>,
    pulse: watch::Sender<Pulse>,
    /// Number of own heartbeats since the last silence. While there are few, those that have taken the slots over
    /// meanwhile may not have been heard yet.
    beats_since_lapse: u64,
    told: Arc<Told>,
    clock: Clock,
}

impl Listening {
    async fn run(mut self, mut heard: async_nats::Subscriber, stop: CancellationToken) {
        let (mut failures, mut silent_beats, mut is_alive, mut has_lived) = (Repeats::default(), 0, false, false);
        let mut beats = interval(BEAT_INTERVAL);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.live.notified() => {
                    is_alive = true;
                    self.heard_at.send_replace(Instant::now());
                    self.pulse.send_replace(Pulse::new((self.clock)()));
                    beats.reset_immediately();
                }
                _ = beats.tick(), if is_alive => {
                    let now = (self.clock)();
                    self.pulse.send_modify(|pulse| *pulse = pulse.beat(now));
                    silent_beats += 1;
                    if !is_stopped_by_test() {
                        // While NATS is down, the client keeps it.
                        let _ = self.renewal.beat(&self.heartbeat()).await;
                    }
                    if silent_beats == LEASE_BEATS
                        && let Some(left_out) = failures.count(Instant::now())
                    {
                        tracing::warn!(left_out, "no own heartbeat heard for five seconds; other instances may take the slots over");
                    }
                }
                message = heard.next() => {
                    let Some(message) = message else { return };
                    let Heard { has_changed, is_own, is_question, told } =
                        self.renewal.note(&mut self.members, &message);
                    if let Some((id, sources)) = told {
                        if sources.values().any(|state| state.is_paused) {
                            self.told.pauses.send_modify(|pauses| *pauses += 1);
                        }
                        lock(&self.told.others).insert(id, sources);
                    }
                    let mut change = None;
                    if is_own {
                        silent_beats = 0;
                        self.beats_since_lapse = self.beats_since_lapse.saturating_add(1);
                        let before = self.heard_at.send_replace(Instant::now());
                        if before.elapsed() > LAPSED_AFTER {
                            self.beats_since_lapse = 0;
                            change = (!self.members.others().is_empty()).then_some(Change::Regained);
                        }
                        // The others have heard it, too: from now on, readers come here.
                        if is_alive && !std::mem::replace(&mut has_lived, true) {
                            change = Some(Change::Live);
                        }
                    }
                    if is_question && is_alive && !is_stopped_by_test() {
                        let _ = self.renewal.beat(&self.heartbeat()).await;
                    }
                    let alive = &self.members;
                    if has_changed {
                        lock(&self.told.others).retain(|id, _| alive.contains(id));
                    }
                    let members_change = has_changed.then_some(self.members_change());
                    if let Some(change) = change.or(members_change) {
                        self.assign(change);
                    }
                }
            }
        }
    }

    fn heartbeat(&self) -> Heartbeat {
        let sources = lock(&self.told.own).clone();
        Heartbeat { is_first: false, sources, ..self.renewal.heartbeat.clone() }
    }

    fn members_change(&self) -> Change {
        if self.beats_since_lapse < LEASE_BEATS { Change::Regained } else { Change::Members }
    }

    fn assign(&mut self, change: Change) {
        let assignment = self.assignment.borrow().next(&self.members, change, (self.clock)());
        tracing::info!(
            others = assignment.others.len(),
            slots = assignment.own.len(),
            "the instances of this archive have changed"
        );
        self.assignment.send_replace(Arc::new(assignment));
    }
}

/// Returns the name of the bucket for the instances that read `stream`.
fn bucket(stream: &str) -> String {
    format!("{stream}_INSTANCES")
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Unavailable, "NATS does not take a heartbeat").because(error)
}

/// Returns true while the file named by `HOURLOG_LEASE_FAULT_FILE` exists: a test stops the renewal of the lease.
fn is_stopped_by_test() -> bool {
    static FILE: std::sync::OnceLock<Option<PathBuf>> = std::sync::OnceLock::new();
    cfg!(feature = "chaos")
        && FILE
            .get_or_init(|| std::env::var_os("HOURLOG_LEASE_FAULT_FILE").map(PathBuf::from))
            .as_ref()
            .is_some_and(|file| file.exists())
}
