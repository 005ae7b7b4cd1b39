//! The write of a log that is under way: in the queue of the archive, or in a task that waits and retries.

use std::{sync::Arc, time::Duration};

use hourlog::{
    Error, Offset, Seq,
    failpoint::Failpoint,
    nats::Backoff,
    store::{EventRow, Store, Write},
};
use tokio::{
    sync::OwnedSemaphorePermit,
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::{
    completion::CompletionGuard,
    once::{self, Remembered},
    pending::PendingEvent,
    trace::sentence,
};

use super::{LogArgs, queued::Shared};

/// The shortest and the longest pause between attempts to write.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// The current write of a log, the wait for its permit, or the current job.
#[derive(Debug)]
pub(super) struct Writing {
    /// The greatest seq of the write.
    last: Seq,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Task { guards: Vec<CompletionGuard>, task: JoinHandle<()> },
    Queue { is_awaited: bool },
}

impl Writing {
    pub(super) fn task(last: Seq, guards: Vec<CompletionGuard>, task: JoinHandle<()>) -> Self {
        Self { last, place: Place::Task { guards, task } }
    }

    pub(super) fn queued(last: Seq) -> Self {
        Self { last, place: Place::Queue { is_awaited: false } }
    }

    /// Returns the greatest seq of the write.
    pub(super) fn last(&self) -> Seq {
        self.last
    }

    /// Returns true if the log is going to be told the end; false if it has ended untold.
    pub(super) fn will_tell(&mut self, shared: &Shared) -> bool {
        match &mut self.place {
            Place::Task { .. } => true,
            Place::Queue { is_awaited } => {
                *is_awaited = *is_awaited || shared.ask();
                *is_awaited
            }
        }
    }

    /// Reports the events of a task as archived. Those of a queued write were.
    pub(super) fn archived(mut self) {
        if let Place::Task { guards, .. } = &mut self.place {
            guards.drain(..).for_each(CompletionGuard::archived);
        }
    }

    /// Aborts a task, and waits until it has ended. A queued write goes on.
    pub(super) async fn stop(mut self) {
        if let Place::Task { task, .. } = &mut self.place {
            task.abort();
            let _ = task.await;
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if let Place::Task { task, .. } = &mut self.place {
            task.abort();
        }
    }
}

/// Returns the items of a write.
///
/// `newest` tells how far the source has been handed out in this slot, even if that event itself is not stored.
pub(super) fn writes<S>(args: &LogArgs<S>, rows: &Arc<[EventRow]>, newest: Newest) -> Vec<Write> {
    let (stream, slot) = (Arc::clone(args.source.stream()), args.id.slot());
    let head = Write::Head { stream, slot, seq: newest.seq, time: newest.time };
    let width = args.rules.width_of_new(&args.id);
    vec![head, Write::Events { log: args.id.clone(), rows: Arc::clone(rows), width }]
}

/// The newest message of a write.
#[derive(Debug, Clone, Copy)]
pub(super) struct Newest {
    pub(super) seq: Seq,
    pub(super) time: Offset,
}

impl Newest {
    /// Returns the seq and the time of an event.
    pub(super) fn of(row: &EventRow) -> Self {
        Self { seq: row.event.position.seq, time: row.event.arrival_time() }
    }
}

/// A write that has to wait: for a look at what is stored, for the archive, or after a failure.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) events: Events,
    pub(super) newest: Newest,
    pub(super) permit: Option<OwnedSemaphorePermit>,
    pub(super) remembered: Option<Box<Remembered>>,
    /// The reason if the archive did not take them before.
    pub(super) error: Option<Error>,
}

/// The events of a write.
#[derive(Debug)]
pub(super) enum Events {
    /// All of them are stored.
    All(Arc<[EventRow]>),
    /// Some are stored only if they are not there already.
    Once(Vec<PendingEvent>),
}

impl Events {
    /// Returns the events of a write.
    pub(super) fn of(events: Vec<PendingEvent>) -> Self {
        if events.iter().any(|event| event.once.is_some()) {
            return Self::Once(events);
        }
        Self::All(events.into_iter().map(|event| event.row).collect())
    }
}

impl Task {
    /// Writes the events, except those that are to be stored once and are there already. Retries until the archive
    /// takes them: an event must not be given up. Releases the permit on failure, so that other logs can write. Returns
    /// what is remembered for the next write.
    pub(super) async fn run<S: Store>(self, args: &LogArgs<S>, shared: &Shared) -> Option<Box<Remembered>> {
        let Self { events, newest, mut permit, mut remembered, mut error } = self;
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        let mut missing: Option<once::Missing> = None;
        let (mut rows, events) = match events {
            Events::All(rows) => (Some(rows), Vec::new()),
            Events::Once(events) => (None, events),
        };
        if let (Some(remembered), Some(first)) = (&mut remembered, rows.as_ref().and_then(|rows| rows.first())) {
            remembered.begin_write(first.event.position.seq);
        }
        loop {
            if let Some(error) = error.take() {
                if Failpoint::BatchDropped.is_active() {
                    return None;
                }
                permit = None;
                if let Some(left_out) = args.health.archive.degraded(Some(&args.id), &error) {
                    let cause = sentence(&error);
                    tracing::error!(log = %args.id, cause, left_out, "the archive does not take a write; retrying until it does");
                }
                sleep(backoff.next_pause()).await;
            }
            let outcome = async {
                let rows = match &rows {
                    Some(rows) => Arc::clone(rows),
                    None => {
                        let remembered =
                            remembered.get_or_insert_with(|| Box::new(Remembered::new(Arc::clone(&args.once_budget))));
                        let mut found = once::missing_rows(&args.store, &args.id, &events, remembered).await?;
                        let found_rows = std::mem::take(&mut found.rows).into();
                        missing = Some(found);
                        Arc::clone(rows.insert(found_rows))
                    }
                };
                #[cfg(feature = "chaos")]
                crate::faults::check(&args.id)?;
                let begun = Instant::now();
                args.store.write(writes(args, &rows, newest)).await?;
                shared.wrote(&rows, begun);
                Ok(rows)
            };
            match outcome.await {
                Ok(rows) => {
                    drop(permit);
                    shared.archived(&rows);
                    if let Some(remembered) = &mut remembered {
                        remembered.end_write(newest.seq, missing.as_ref(), &rows);
                    }
                    return remembered;
                }
                Err(failed) => error = Some(failed),
            }
        }
    }
}
