//! The status of a running service.

use serde::{Deserialize, Serialize};

use crate::{LogId, Offset};

/// The status of one instance of the service.
///
/// ```
/// use hourlog::wire::StatusReply;
/// let reply: StatusReply = serde_json::from_str(
///     r#"{"instance":"Vj9","version":"0.1.0","started":"2018-02-04T10:00:00Z",
///         "now":"2018-02-04T11:00:00Z","prefix":"hourlog",
///         "archive":{"kind":"embedded","id":"x7","state":{"ok":true},"rollbacks":0},"sources":[],
///         "counters":{"ingested":7,"ingested_bytes":70,"archived":7,"archived_bytes":70,
///         "replayed":0,"replayed_bytes":0,"rejected":0,"requests":1,"request_errors":0,
///         "replies_dropped":0,"logs":1,"logs_awake":1,"logs_failed":0}}"#,
/// )?;
/// assert!(reply.archive.state.ok);
/// assert_eq!(reply.source("HOURLOG"), None);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StatusReply {
    /// The id of this run, as `nats micro ls` shows it.
    pub instance: String,
    /// Its version.
    pub version: String,
    /// The time of its start.
    pub started: Offset,
    /// The present time by its own clock.
    pub now: Offset,
    /// The present time by JetStream's clock, by which the times of requests go; absent until JetStream has told
    /// it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub jetstream_now: Option<Offset>,
    /// The prefix of its subjects.
    pub prefix: String,
    /// Its archive.
    pub archive: ArchiveStatus,
    /// The part of the instance in an archive that several can share; absent for another archive.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub share: Option<ShareStatus>,
    /// The streams that it reads.
    pub sources: Vec<SourceStatus>,
    /// Its counters since its start.
    pub counters: CounterStatus,
}

impl StatusReply {
    /// Returns the source that reads `stream`.
    pub fn source(&self, stream: &str) -> Option<&SourceStatus> {
        self.sources.iter().find(|source| source.stream == stream)
    }
}

/// The state of a part of the service.
///
/// ```
/// use hourlog::wire::ComponentStatus;
/// let state: ComponentStatus =
///     serde_json::from_str(r#"{"ok":false,"since":"2018-02-04T10:00:00Z","reason":"no space"}"#)?;
/// assert_eq!((state.ok, state.reason.as_deref()), (false, Some("no space")));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ComponentStatus {
    /// True unless it is degraded.
    pub ok: bool,
    /// The time since which it is degraded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<Offset>,
    /// The log for which it is degraded; absent if it is for all.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub log: Option<LogId>,
    /// The reason: a sentence.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// The part of an instance in the work over a shared archive.
///
/// ```
/// use hourlog::wire::ShareStatus;
/// let share: ShareStatus =
///     serde_json::from_str(r#"{"slots":32,"since":"2018-02-04T10:00:00Z","others":1,"leads":true,"alive":true,
/// "relayed":7}"#)?;
/// assert_eq!((share.slots, share.others), (32, 1));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ShareStatus {
    /// The number of slots that it writes, of 64.
    pub slots: u32,
    /// The time since which it writes these.
    pub since: Offset,
    /// The number of other instances that it knows.
    pub others: u32,
    /// True for the one that deletes archived messages from the stream, begins epochs and keeps the record of losses.
    pub leads: bool,
    /// False while it does not hear its own heartbeats, so that others may have taken its slots over.
    pub alive: bool,
    /// The number of requests that it has sent on to the owner of their log, since its start.
    pub relayed: u64,
}

/// The archive of a service.
///
/// ```
/// use hourlog::wire::ArchiveStatus;
/// let archive: ArchiveStatus =
///     serde_json::from_str(r#"{"kind":"memory","id":"x7","state":{"ok":true},"rollbacks":0}"#)?;
/// assert_eq!((archive.id.as_str(), archive.disk), ("x7", None));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ArchiveStatus {
    /// Its kind: `embedded`, `cql` or `memory`.
    pub kind: String,
    /// Its id, which was made with it and never changes.
    pub id: String,
    /// Degraded while it accepts no writes.
    pub state: ComponentStatus,
    /// The number of times that one of its nodes restarted, and the newest events were read again.
    pub rollbacks: u64,
    /// The room that it takes on its disk, if it has one of its own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub disk: Option<DiskStatus>,
}

/// The disk of an embedded archive. Its sizes are in bytes.
///
/// ```
/// use hourlog::wire::DiskStatus;
/// let disk: DiskStatus = serde_json::from_str(
///     r#"{"journal_bytes":10,"table_bytes":20,"free_bytes":30,"total_bytes":100}"#,
/// )?;
/// assert_eq!(disk.total_bytes - disk.free_bytes, 70);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DiskStatus {
    /// The size of the journals.
    pub journal_bytes: u64,
    /// The size of the tables.
    pub table_bytes: u64,
    /// The free room.
    pub free_bytes: u64,
    /// The size of the disk.
    pub total_bytes: u64,
}

/// A stream that a service reads.
///
/// ```
/// use hourlog::wire::SourceStatus;
/// let source: SourceStatus = serde_json::from_str(
///     r#"{"stream":"HOURLOG","kind":"wal","reading":{"ok":true},"settings":{"ok":true},
///         "answering":{"ok":true},"storing":{"ok":true},"progress":{"ok":true},
///         "lag_messages":3,"lag_seconds":0.5,"published":10,"archived":7,"stored":7,"catching_up":0,"messages":10,"bytes":500,"bytes_max":1000,"removed_messages":0}"#,
/// )?;
/// assert_eq!(Some(source.published - source.archived), source.lag_messages);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SourceStatus {
    /// The name of the stream.
    pub stream: String,
    /// `wal` for the stream that the service purges, `existing` for one that it only reads.
    pub kind: String,
    /// Degraded while the stream cannot be read.
    pub reading: ComponentStatus,
    /// Degraded while the stream's settings can lose events.
    pub settings: ComponentStatus,
    /// Degraded while the stream does not answer. It is asked every few seconds.
    pub answering: ComponentStatus,
    /// Degraded while the stream stores no messages, because its files fail or it is full.
    pub storing: ComponentStatus,
    /// Degraded while messages wait, none is archived, and no other fault explains it.
    pub progress: ComponentStatus,
    /// The number of messages that are not archived yet; absent while the stream does not answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lag_messages: Option<u64>,
    /// The age in seconds of the oldest message that was read and is not archived yet; 0 if there is none,
    /// absent if that is unknown because the stream does not answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lag_seconds: Option<f64>,
    /// The sequence of the newest message.
    pub published: u64,
    /// The sequence up to which everything is archived.
    pub archived: u64,
    /// The sequence after which a restart would go on; absent until one is stored after the start.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stored: Option<u64>,
    /// The number of messages to read again before readers get replies; 0 when caught up.
    pub catching_up: u64,
    /// The greatest arrival time of a message so far; absent if there was none. If it lies ahead, JetStream's clock was
    /// wrong, and every event counts as late until then.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_time: Option<Offset>,
    /// The number of messages that the stream holds.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The limit of `bytes`; absent for no limit.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bytes_max: Option<u64>,
    /// The newest fork since the archive began.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fork: Option<ForkStatus>,
    /// The newest set-back of the archive.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub set_back: Option<SetBackStatus>,
    /// The number of messages that were read and are not in the stream: it is gone, it is being restored, or
    /// it has lost them. 0 while reading goes on.
    #[serde(default)]
    pub awaited_messages: u64,
    /// The number of messages that left the stream, or were damaged in it, before they were archived, since
    /// the archive began.
    pub removed_messages: u64,
    /// The newest gap that they left: the first and the last sequence.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub removed: Option<(u64, u64)>,
    /// The time at which the newest of them were found missing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub removed_at: Option<Offset>,
    /// The number of gaps that they left.
    #[serde(default)]
    pub gaps: u64,
    /// The number of messages that the service's client library cannot read, since the start. They are read
    /// in another way, and rejected.
    #[serde(default)]
    pub poison_messages: u64,
}

/// A fork: the stream began to use its sequences again, for other messages.
///
/// ```
/// use hourlog::wire::ForkStatus;
/// let fork: ForkStatus = serde_json::from_str(
///     r#"{"at":"2018-02-04T10:00:00Z","from":11,"lost":[11,15],
///         "missing":{"first":14,"last":15,"messages":2,"exact":true}}"#,
/// )?;
/// assert_eq!(fork.lost, Some((11, 15)));
/// assert_eq!(fork.missing.map(|missing| missing.messages), Some(2)); // the others are archived
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ForkStatus {
    /// The time at which it was detected.
    pub at: Offset,
    /// The first sequence that was used again.
    pub from: u64,
    /// The first and the last sequence that the stream has lost, as far as they had been read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lost: Option<(u64, u64)>,
    /// Those of the lost messages that the archive does not hold either; absent if it holds all of them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub missing: Option<MissingStatus>,
}

/// A start on an archive that ended before its stream began: it was set back to an earlier state, or the
/// stream was purged meanwhile.
///
/// ```
/// use hourlog::wire::SetBackStatus;
/// let set_back: SetBackStatus = serde_json::from_str(
///     r#"{"at":"2018-02-04T10:00:00Z","missing":{"first":101,"last":699,"messages":599,"exact":true}}"#,
/// )?;
/// assert_eq!((set_back.missing.first, set_back.missing.last), (101, 699));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SetBackStatus {
    /// The time of the start.
    pub at: Offset,
    /// The messages that neither of the two had.
    pub missing: MissingStatus,
}

/// Messages that are in neither the archive nor the stream.
///
/// ```
/// use hourlog::wire::MissingStatus;
/// let missing = MissingStatus { first: 14, last: 15, messages: 2, exact: true };
/// assert_eq!(serde_json::to_string(&missing)?, r#"{"first":14,"last":15,"messages":2,"exact":true}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MissingStatus {
    /// The first sequence.
    pub first: u64,
    /// The last sequence.
    pub last: u64,
    /// The number of missing messages from the first to the last.
    pub messages: u64,
    /// False if some of them may be archived after all, because the archive is too large to search.
    pub exact: bool,
}

/// Counters of a service since its start.
///
/// ```
/// use hourlog::wire::CounterStatus;
/// let counters = CounterStatus { ingested: 7, ..CounterStatus::default() };
/// assert!(serde_json::to_string(&counters)?.starts_with(r#"{"ingested":7,"#));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CounterStatus {
    /// Events read from the streams, including those that were read again.
    pub ingested: u64,
    /// The bytes of their data and metadata.
    pub ingested_bytes: u64,
    /// Events written to the archive, including those that were written again.
    pub archived: u64,
    /// The bytes of their data and metadata.
    pub archived_bytes: u64,
    /// Events returned by replays.
    pub replayed: u64,
    /// The bytes of their data and metadata.
    pub replayed_bytes: u64,
    /// Events that went to `_rejected`.
    pub rejected: u64,
    /// Requests that were answered.
    pub requests: u64,
    /// Those of them that were answered with an error.
    pub request_errors: u64,
    /// Requests that were dropped, because their reply subject is not an inbox.
    pub replies_dropped: u64,
    /// Logs in the archive, counted once a minute.
    pub logs: u64,
    /// Logs with a running actor.
    pub logs_awake: u64,
    /// Actors that failed and were restarted.
    pub logs_failed: u64,
}
