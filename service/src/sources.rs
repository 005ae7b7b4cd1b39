//! The sources of a running service, and which of them a log belongs to.
//!
//! A log has one source, because its seqs must rise in the order in which its events are archived.
//! The source is found from the log's own events: each seq names an epoch, and each epoch belongs to
//! one source.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{StreamExt, TryStreamExt, stream};
use hourlog::{
    Error, ErrorKind, LogId, Offset, Position, Result, Seq,
    store::{BucketRow, SLOTS, Scan, Store},
};
use tokio::sync::watch;

use crate::{
    config::{Settings, SourceOption},
    health::{Reached, SourceHealth},
    receipts::Receipts,
    stream::{
        epochs::{Epochs, LoadedEpochs},
        mapping::Mapping,
    },
};

/// Number of logs whose source is remembered. Beyond it, all are forgotten and looked up again.
const OWNERS_MAX: usize = 1 << 20;
/// Number of logs that are looked up at the same time.
const LOOKUPS_AT_ONCE: usize = 64;
/// Number of buckets that are searched for a log's source, from the newest on. Only a log whose
/// former source is not configured any more needs more than one; the sources that are have newer
/// epochs than it.
const BUCKETS_MAX: usize = 1_000;
/// Number of logs per read of the list of logs.
const LOGS_PER_READ: usize = 1_000;

/// A source: what its ingest shares with its logs and the endpoints.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) health: Arc<SourceHealth>,
    /// Which tokens of a subject name the log.
    pub(crate) mapping: Mapping,
    /// The log that gets the rejected events.
    pub(crate) rejected_log: LogId,
    /// The receipts of imports.
    pub(crate) receipts: Receipts,
    /// The current epochs. A fork of the stream replaces them.
    pub(crate) epochs: watch::Sender<Arc<Epochs>>,
}

impl Source {
    pub(crate) fn stream(&self) -> &Arc<str> {
        &self.health.stream
    }

    pub(crate) fn epochs(&self) -> Arc<Epochs> {
        Arc::clone(&self.epochs.borrow())
    }

    /// Returns the seq of `log` up to which everything is archived, as far as is known.
    pub(crate) fn archived(&self, log: &LogId) -> Seq {
        let slot = log.slot();
        match self.health.slots.of(slot) {
            Reached::Own(_) => self.archived_here(slot).unwrap_or(Seq::MIN),
            Reached::Other(seq) => seq,
        }
    }
}

impl Source {
    /// Returns the seq up to which a slot is archived by this instance; `None` for a slot of another one.
    pub(crate) fn archived_here(&self, slot: u8) -> Option<Seq> {
        match self.health.slots.of(slot) {
            Reached::Own(before) => {
                Some(self.epochs.borrow().archived(slot, before.max(*self.health.archived.borrow())))
            }
            Reached::Other(_) => None,
        }
    }
}

/// All sources, beginning with the service's own stream.
#[derive(Debug)]
pub(crate) struct Sources {
    list: Vec<Arc<Source>>,
    /// The source of each log, as an index of `list`. Not used while there is one source.
    owners: Mutex<HashMap<LogId, usize>>,
}

impl Sources {
    /// Returns the sources in `list`, which begins with the service's own stream.
    pub(crate) fn new(list: Vec<Arc<Source>>) -> Self {
        Self { list, owners: Mutex::default() }
    }

    /// Returns the service's own stream.
    pub(crate) fn wal(&self) -> &Arc<Source> {
        self.list.first().expect("a service has a stream of its own")
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Source>> {
        self.list.iter()
    }

    /// Returns the source of `log`. A log without events belongs to the service's own stream.
    ///
    /// # Errors
    /// The store's error.
    pub(crate) async fn of_log<S: Store>(&self, store: &S, log: &LogId) -> Result<Arc<Source>> {
        if self.list.len() == 1 {
            return Ok(Arc::clone(self.wal()));
        }
        if let Some(rejected) = self.list.iter().find(|source| source.rejected_log == *log) {
            return Ok(Arc::clone(rejected));
        }
        if let Some(owner) = self.owner(log) {
            return Ok(Arc::clone(owner));
        }
        let found = self.stored_owner(store, log).await?;
        if let Some(index) = found {
            self.remember([(log.clone(), index)]);
        }
        Ok(Arc::clone(found.map_or(self.wal(), |index| &self.list[index])))
    }

    /// Returns the source that `log` is known to belong to.
    pub(crate) fn owner(&self, log: &LogId) -> Option<&Arc<Source>> {
        self.owners().get(log).map(|index| &self.list[*index])
    }

    /// Returns true if each log must be claimed before its events are taken.
    pub(crate) fn must_claim(&self) -> bool {
        self.list.len() > 1
    }

    /// Claims those of `logs` for `source` that belong to none yet. Afterwards,
    /// [`owner`](Self::owner) knows the source of each.
    ///
    /// # Errors
    /// The store's error.
    pub(crate) async fn claim<S: Store>(&self, store: &S, logs: Vec<LogId>, source: &Arc<Source>) -> Result<()> {
        let own = self.list.iter().position(|other| Arc::ptr_eq(other, source)).expect("the source is one of these");
        let found: Vec<(LogId, usize)> = stream::iter(logs)
            .map(|log| async move {
                let owner = match self.stored_owner(store, &log).await? {
                    Some(owner) => owner,
                    None if S::IS_SHARED => self.claim_stored(store, &log, own).await?,
                    None => own,
                };
                Result::Ok((log, owner))
            })
            .buffer_unordered(LOOKUPS_AT_ONCE)
            .try_collect()
            .await?;
        self.remember(found);
        Ok(())
    }

    /// Claims a log in the archive, because another instance may claim it for another source. Returns the source that
    /// has got it.
    async fn claim_stored<S: Store>(&self, store: &S, log: &LogId, own: usize) -> Result<usize> {
        let stream = store.set_property(&format!("source/{log}"), self.list[own].stream(), None).await?;
        // A stream that is not read any more has left no event of the log.
        Ok(self.list.iter().position(|source| **source.stream() == *stream).unwrap_or(own))
    }

    fn remember(&self, found: impl IntoIterator<Item = (LogId, usize)>) {
        let mut owners = self.owners();
        if owners.len() >= OWNERS_MAX {
            owners.clear();
        }
        for (log, index) in found {
            // Another source may have claimed the log meanwhile.
            owners.entry(log).or_insert(index);
        }
    }

    /// Looks the source of a log up in the archive.
    async fn stored_owner<S: Store>(&self, store: &S, log: &LogId) -> Result<Option<usize>> {
        for row in store.buckets(log, Offset::MIN..=Offset::MAX, true, BUCKETS_MAX).await? {
            let seq = seq_in(store, log, &row).await?;
            let is_own = |source: &Arc<Source>| source.epochs.borrow().contains(log.slot(), seq);
            if let Some(index) = self.list.iter().position(is_own) {
                return Ok(Some(index));
            }
        }
        // A deleted log keeps its source: the events of one with a lower epoch would count as deleted.
        let deleted_to = store.deleted_to(log).await?;
        Ok(self.list.iter().position(|source| source.epochs.borrow().contains(log.slot(), deleted_to)))
    }

    fn owners(&self) -> MutexGuard<'_, HashMap<LogId, usize>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses two sources that are the same stream.
///
/// # Errors
/// [`ErrorKind::Invalid`] with the name of the stream.
pub(crate) fn check_distinct(settings: &Settings) -> Result<()> {
    let mut seen = HashSet::from([settings.stream.as_str()]);
    match settings.sources.iter().find(|source| !seen.insert(&source.stream)) {
        None => Ok(()),
        Some(twice) => Err(Error::invalid(format!("the stream {} is given twice; leave one out", twice.stream))),
    }
}

/// Returns the sources that `settings` name, with their epochs.
///
/// # Errors
/// The store's error, and [`ErrorKind::Refused`] if a mapping would move a log.
pub(crate) async fn load<S: Store>(settings: &Settings, store: &S) -> Result<Sources> {
    let own = SourceOption { stream: settings.stream.clone(), logs: settings.mapping.clone() };
    let options: Vec<&SourceOption> = std::iter::once(&own).chain(&settings.sources).collect();
    for SourceOption { stream, logs } in &options {
        keep_mapping(store, stream, logs).await?;
    }
    let streams: Vec<&str> = options.iter().map(|option| option.stream.as_str()).collect();
    let LoadedEpochs { epochs, newest_other } = LoadedEpochs::load(store, &streams, (settings.clock)()).await?;
    let mut list: Vec<Arc<Source>> = Vec::with_capacity(options.len());
    for (SourceOption { stream, logs }, epochs) in options.into_iter().zip(epochs) {
        let is_wal = list.is_empty();
        let rejected = LogId::rejected();
        let rejected_log = if is_wal { rejected } else { format!("{rejected}.{stream}").parse()? };
        let epochs = ranked_first(settings, store, stream, epochs, &newest_other).await?;
        list.push(Arc::new(Source {
            health: Arc::new(SourceHealth::new(Arc::from(stream.as_str()), is_wal, settings.clock)),
            mapping: logs.clone(),
            rejected_log,
            receipts: Receipts::default(),
            epochs: watch::Sender::new(Arc::new(epochs)),
        }));
    }
    Ok(Sources::new(list))
}

/// Returns the epochs of a source. Begins one if its newest is older than that of a stream that is not a source any
/// more, given as `newest_other`: the logs of that stream may pass to this one, and seqs must rise.
///
/// # Errors
/// [`ErrorKind::Unavailable`] if another instance begins another one, and the store's error.
async fn ranked_first<S: Store>(
    settings: &Settings,
    store: &S,
    stream: &str,
    epochs: Epochs,
    newest_other: &[u32],
) -> Result<Epochs> {
    if (0..SLOTS).zip(newest_other).all(|(slot, other)| epochs.newest(slot) > *other) {
        return Ok(epochs);
    }
    // What has been handed out keeps its keys.
    let rows = store.sources(stream).await?;
    let handed_out = rows.iter().flat_map(|(slot, row)| [row.head, row.checkpoint].map(|seq| (*slot, seq)));
    let handed_out = handed_out.filter(|(slot, seq)| epochs.is_newest(*slot, *seq)).map(|(_, seq)| seq.sequence());
    let from = handed_out.max().unwrap_or(0) + 1;
    let renewed = match epochs.fork(store, stream, from, (settings.clock)()).await {
        // Another instance that starts has done the same.
        Err(error) if error.kind() == ErrorKind::Unavailable => {
            let begun = Epochs::read(store, stream).await?;
            let is_first = (0..SLOTS).zip(newest_other).all(|(slot, other)| begun.newest(slot) > *other);
            return if is_first { Ok(begun) } else { Err(error) };
        }
        renewed => renewed?,
    };
    tracing::info!(%stream, from, "a stream is not a source any more; its logs may get events of this one");
    Ok(renewed)
}

/// Stores the mapping of a source with the archive.
///
/// # Errors
/// [`ErrorKind::Refused`] if the stored mapping differs, and the new one would lead subjects of a log
/// to another log. The store's error.
async fn keep_mapping<S: Store>(store: &S, stream: &str, mapping: &Mapping) -> Result<()> {
    let (name, wanted) = (format!("mapping/{stream}"), mapping.to_string());
    let Some(stored) = store.property(&name).await? else {
        store.set_property(&name, &wanted, None).await?;
        return Ok(());
    };
    if stored == wanted {
        return Ok(());
    }
    let before: Mapping = stored.parse()?;
    let mut after = None;
    loop {
        let logs = store.logs(after.as_ref(), LOGS_PER_READ).await?;
        let Some((last, _)) = logs.last() else { break };
        after = Some(last.clone());
        if let Some((log, moved)) = logs.iter().find_map(|(log, _)| Some((log, mapping.moved(&before, log)?))) {
            let context = format!(
                "the archive holds log {log}, and with the patterns {wanted:?} events on its subjects would go to log {moved}; \
                 keep the patterns {stored:?} for the stream {stream}, or begin another archive"
            );
            return Err(Error::new(ErrorKind::Refused, context));
        }
    }
    store.set_property(&name, &wanted, Some(&stored)).await?;
    Ok(())
}

/// Returns a seq of the bucket's events.
async fn seq_in<S: Store>(store: &S, log: &LogId, row: &BucketRow) -> Result<Seq> {
    if row.counted_to > Seq::ZERO {
        return Ok(row.counted_to);
    }
    // The row was written, but its first events are not counted yet.
    let first = Scan { from: Position::MIN, to: Position::MAX, reverse: false, limit: 1, bytes: 1 };
    Ok(store.events(log, row.bucket, first).await?.first().map_or(Seq::ZERO, |event| event.position().seq))
}
