//! The watch over one source, in a task of its own: it speaks even if the ingest hangs.
//!
//! Every few seconds it asks the stream for its state, and the service's own stream if it stores
//! messages. Every second it looks if the ingest has moved while messages wait. `watch/stall` is the
//! rule, `stream/questions` asks.

mod stall;

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use async_nats::jetstream;
use hourlog::{Error, ErrorKind, Result, time::SECOND};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    health::{Component, Health, SourceHealth},
    stream::questions::{self, TimedState},
    trace::sentence,
};
use stall::{OBSERVE_EVERY, Observation, STALLED_AFTER, Stall, Verdict};

/// Interval between two questions to a healthy stream. With the time limit of an answer, a stream
/// that falls silent is noticed within eight seconds.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// The same while something is degraded, so that its recovery is noticed soon.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// The same for a question that was never answered: the janitor's user may lack the right, and the
/// server writes a line into its log each time.
const ASK_UNANSWERED_EVERY: Duration = Duration::from_secs(60);

/// Difference between the service's clock and JetStream's that is worth a trace.
const CLOCK_DIFFERENCE_NANOS_MAX: i64 = 60 * SECOND;

/// The watch over one source.
#[derive(Debug)]
pub(crate) struct Watch {
    /// The connection of the ingest, because that is the path of the events.
    pub(crate) jetstream: jetstream::Context,
    /// The connection of the janitor, for the service's own stream. An existing stream is not asked
    /// if it stores messages: that needs a right to change it.
    pub(crate) janitor: Option<jetstream::Context>,
    pub(crate) source: Arc<SourceHealth>,
    pub(crate) health: Arc<Health>,
}

impl Watch {
    /// Watches until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        tokio::select! {
            ((), (), ()) = async { tokio::join!(self.ask_for_state(), self.ask_if_it_stores(), self.observe()) } => {}
            () = shutdown.cancelled() => {}
        }
    }

    /// Asks for the state of the stream, again and again.
    async fn ask_for_state(&self) {
        let SourceHealth { stream, answering, room, .. } = &*self.source;
        let mut clock_differs = false;
        loop {
            let asked = std::time::Instant::now();
            let state = questions::state(&self.jetstream, stream).await;
            if let Ok(TimedState { info, time }) = &state {
                self.source.measure(info);
                self.source.published.fetch_max(info.state.last_sequence, Relaxed);
                self.source.had_last(info.state.last_sequence, *time);
                if self.source.is_wal {
                    record(room, stream, "room", questions::check_room(info));
                    self.health.time.observed(asked, *time);
                    self.compare_clocks(&mut clock_differs);
                }
            }
            record(answering, stream, "answering", state.map(drop));
            sleep(if answering.is_healthy() { ASK_EVERY } else { ASK_AGAIN_AFTER }).await;
        }
    }

    /// Traces a difference between the clocks once.
    fn compare_clocks(&self, differs: &mut bool) {
        let ahead = self.health.time.clock_ahead_nanos();
        let differed = std::mem::replace(differs, ahead.saturating_abs() > CLOCK_DIFFERENCE_NANOS_MAX);
        if *differs && !differed {
            tracing::warn!(
                ahead_seconds = ahead / SECOND,
                "the clock of this machine differs from JetStream's; hourlog doctor says which one is wrong"
            );
        }
    }

    /// Asks the service's own stream if it stores messages, again and again.
    async fn ask_if_it_stores(&self) {
        let Some(janitor) = &self.janitor else { return };
        let SourceHealth { stream, storing, .. } = &*self.source;
        let mut was_answered = false;
        loop {
            let stores = questions::stores(janitor, stream).await;
            was_answered |= stores.is_some();
            let silent = || {
                let context = format!("the stream {stream} does not answer a request to change it; check nats-server");
                Err(Error::new(ErrorKind::Unavailable, context))
            };
            // Without a first answer, the right may be missing.
            let stores = stores.unwrap_or_else(|| if was_answered { silent() } else { Ok(()) });
            record(storing, stream, "storing", stores);
            sleep(match (was_answered, storing.is_healthy()) {
                (false, _) => ASK_UNANSWERED_EVERY,
                (true, true) => ASK_EVERY,
                (true, false) => ASK_AGAIN_AFTER,
            })
            .await;
        }
    }

    /// Looks if the ingest moves.
    async fn observe(&self) {
        let SourceHealth { stream, progress, .. } = &*self.source;
        let (mut stall, mut last) = (Stall::default(), Instant::now());
        loop {
            sleep(OBSERVE_EVERY).await;
            let passed = last.elapsed();
            last += passed;
            let seen = Observation {
                archived: *self.source.archived.borrow(),
                waiting: self.source.known_lag().max(self.source.catch_up_lag()),
                is_explained: !self.health.archive.is_healthy()
                    || !self.source.nats.is_healthy()
                    || !self.source.answering.is_healthy()
                    || self.source.awaited.load(Relaxed) > 0,
            };
            let verdict = match stall.observe(seen, passed) {
                Verdict::Fine => Ok(()),
                Verdict::Check => {
                    self.source.check_stream.notify_one();
                    Ok(())
                }
                Verdict::Stalled => Err(stalled(stream, seen.waiting)),
            };
            record(progress, stream, "progress", verdict);
        }
    }
}

fn stalled(stream: &str, waiting: u64) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!(
            "nothing of the stream {stream} was archived for {} s although {waiting} messages wait, and neither the \
             stream nor the archive reports a fault; keep the trace of hourlogd, and restart it if this stays",
            STALLED_AFTER.as_secs()
        ),
    )
}

/// Records the outcome of a check of `stream`.
fn record(component: &Component, stream: &str, check: &'static str, outcome: Result<()>) {
    match outcome {
        Ok(()) => {
            if let Some(since) = component.recovered(None) {
                tracing::info!(stream, check, %since, "a check of the stream passes again");
            }
        }
        Err(error) => {
            if let Some(left_out) = component.degraded(None, &error) {
                let cause = sentence(&error);
                tracing::error!(stream, check, cause, left_out, "a check of the stream fails");
            }
        }
    }
}
