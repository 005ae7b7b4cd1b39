//! `status`: reports on the service itself. It answers at once, whatever the state of the archive and
//! of JetStream.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use futures_util::future::join_all;
use hourlog::{
    Result,
    store::Store,
    wire::{ArchiveStatus, CounterStatus, DiskStatus, EmptyRequest, ShareStatus, StatusReply},
};
use tokio::time::timeout;

use crate::health::{Health, SourceHealth};

use super::{Api, Reply, Request, discovery::OwnInstance};

/// Time limit for asking the archive or JetStream. After that, the reply has what was known before.
const ASKING_MAX: Duration = Duration::from_millis(500);

pub(super) async fn answer<S: Store>(api: &Api<S>, instance: &OwnInstance, request: &Request) -> Result<Reply> {
    let EmptyRequest {} = request.body()?;
    let (health, counters) = (&api.health, &api.health.counters);
    let measured = join_all(health.sources.iter().map(|source| measure(api, source)));
    let ((), _) = tokio::join!(measure_disk(api), measured);
    let disk = counters.disk().map(|disk| DiskStatus {
        journal_bytes: disk.journal_bytes,
        table_bytes: disk.table_bytes,
        free_bytes: disk.free_bytes,
        total_bytes: disk.total_bytes,
    });
    let (requests, request_errors) = instance.totals();
    Reply::json(&StatusReply {
        instance: instance.id.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: instance.started,
        now: (api.settings.clock)(),
        jetstream_now: health.time.known(),
        prefix: instance.presented.prefix.clone(),
        archive: ArchiveStatus {
            kind: S::KIND.to_owned(),
            id: instance.presented.archive.to_string(),
            state: health.archive.status(),
            rollbacks: health.rollbacks.load(Relaxed),
            disk,
        },
        share: share(health),
        sources: health.sources.iter().map(|source| source.status(health.time.now())).collect(),
        counters: CounterStatus {
            ingested: counters.ingested.events.get(),
            ingested_bytes: counters.ingested.bytes.get(),
            archived: counters.archived.events.get(),
            archived_bytes: counters.archived.bytes.get(),
            replayed: counters.replayed.events.get(),
            replayed_bytes: counters.replayed.bytes.get(),
            rejected: counters.rejected(),
            requests,
            request_errors,
            replies_dropped: health.replies_dropped.load(Relaxed),
            logs: u64::try_from(counters.logs.get()).unwrap_or(0),
            logs_awake: health.actors.load(Relaxed) as u64,
            logs_failed: health.actors_failed.load(Relaxed),
        },
    })
}

/// Returns the part of this instance in a shared archive.
fn share(health: &Health) -> Option<ShareStatus> {
    let ownership = &health.ownership;
    let assignment = ownership.assignment();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    ownership.is_shared().then(|| ShareStatus {
        slots: count(assignment.own.len()),
        since: assignment.since,
        others: count(assignment.others.len()),
        leads: ownership.owns(0),
        alive: ownership.is_valid(),
        relayed: health.counters.relayed.get(),
    })
}

async fn measure_disk<S: Store>(api: &Api<S>) {
    if let Ok(Ok(disk)) = timeout(ASKING_MAX, api.store.disk()).await {
        api.health.counters.set_disk(disk);
    }
}

/// Asks JetStream how much the stream holds.
async fn measure<S: Store>(api: &Api<S>, source: &SourceHealth) {
    if let Ok(Ok(stream)) = timeout(ASKING_MAX, api.jetstream().get_stream(&*source.stream)).await {
        source.measure(stream.cached_info());
        source.published.fetch_max(stream.cached_info().state.last_sequence, Relaxed);
    }
}
