//! Retention: has each log that keeps its events for a time sweep itself, one log after the other.

use std::{sync::Arc, time::Duration};

use hourlog::{
    Error, ErrorKind, LogId, Offset, Result,
    nats::Backoff,
    store::{LogRow, Store},
};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    health::Health,
    log_actor::{
        LogMsg,
        jobs::{Job, horizon},
    },
    logs::{LogsMsg, LogsRef},
    repeats::Repeats,
    rules::Rules,
    sources::Sources,
    trace::sentence,
};

/// The time from the start of the service to its first pass: events that it missed come first.
const FIRST_AFTER: Duration = Duration::from_secs(60);
/// Rows per read of the log table.
const ROWS_PER_READ: usize = 256;
/// The longest wait for the sweep of one log. It goes on after that; the next log is not held up.
const SWEEP_MAX: Duration = Duration::from_secs(300);
/// The longest pause between two logs.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// The shortest and the longest pause while the service catches up.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The task that begins the sweeps.
#[derive(Debug)]
pub(crate) struct Sweeper<S> {
    pub(crate) store: S,
    pub(crate) logs: LogsRef,
    pub(crate) sources: Arc<Sources>,
    pub(crate) health: Arc<Health>,
    pub(crate) rules: Arc<Rules>,
    /// The time between the beginnings of two passes over all logs.
    pub(crate) every: Duration,
}

impl<S: Store> Sweeper<S> {
    /// Sweeps until shutdown.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let sweeping = async {
            sleep(FIRST_AFTER.min(self.every)).await;
            let mut failures = Repeats::default();
            loop {
                let begun = Instant::now();
                if let Err(error) = self.pass(&mut failures).await {
                    tracing::warn!(cause = sentence(&error), "cannot look for old events; the next attempt follows");
                }
                sleep(self.every.saturating_sub(begun.elapsed())).await;
            }
        };
        tokio::select! {
            () = sweeping => {}
            () = shutdown.cancelled() => {}
        }
    }

    /// Sweeps all logs once, spread over half of the interval. A log that fails does not hold up the
    /// others.
    async fn pass(&self, failures: &mut Repeats) -> Result<()> {
        let begun = Instant::now();
        let due = self.due(failures).await?;
        for id in &due {
            if let Err(error) = self.sweep(id).await {
                trace_failure(failures, id, &error);
            }
            sleep(pause(self.every, due.len(), begun.elapsed())).await;
        }
        Ok(())
    }

    /// Returns the logs that have old events.
    async fn due(&self, failures: &mut Repeats) -> Result<Vec<LogId>> {
        let (mut after, mut due) = (None, Vec::new());
        loop {
            let rows = self.store.logs(after.as_ref(), ROWS_PER_READ).await?;
            let Some((last, _)) = rows.last() else { return Ok(due) };
            after = Some(last.clone());
            for (id, row) in rows.into_iter().filter(|(id, _)| self.health.writes(id.slot())) {
                match self.has_old_bucket(&id, &row).await {
                    Ok(true) => due.push(id),
                    Ok(false) => {}
                    Err(error) => trace_failure(failures, &id, &error),
                }
            }
        }
    }

    /// Returns true if the first bucket in the log's index is no longer kept. Only then is the log
    /// woken up.
    async fn has_old_bucket(&self, id: &LogId, row: &LogRow) -> Result<bool> {
        let Some(kept) = self.rules.kept(id, row).time else { return Ok(false) };
        // The service's own clock may be wrong.
        let Some(now) = self.health.time.earlier() else { return Ok(false) };
        let horizon = horizon(now, kept);
        let first = self.store.buckets(id, Offset::MIN..=horizon, false, 1).await?;
        Ok(first.first().is_some_and(|row| row.bucket.last() < horizon))
    }

    async fn sweep(&self, id: &LogId) -> Result<()> {
        // While events are read again, the archive may count less than it holds.
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        while self.health.catch_up_lag() > 0 {
            sleep(backoff.next_pause()).await;
        }
        if !self.health.writes(id.slot()) {
            // Its new owner looks at it, too.
            return Ok(());
        }
        let (reply, swept) = oneshot::channel();
        let source = self.sources.of_log(&self.store, id).await?;
        let request = LogMsg::Job(Job::Sweep { reply });
        let _ = self.logs.send_message(LogsMsg::Ask { log: id.clone(), source, request });
        match timeout(SWEEP_MAX, swept).await {
            Ok(Ok(swept)) => swept.map(drop),
            Ok(Err(_)) | Err(_) => {
                Err(Error::new(ErrorKind::Unavailable, "the log has failed or is slow; the next sweep goes on"))
            }
        }
    }
}

fn trace_failure(failures: &mut Repeats, log: &LogId, error: &Error) {
    if let Some(left_out) = failures.count(Instant::now().into_std()) {
        tracing::warn!(%log, cause = sentence(error), left_out, "cannot remove old events; the next sweep tries again");
    }
}

/// Returns the pause after one of `logs` sweeps of a pass that began `passed` ago. The pauses take at
/// most half of the interval, so that a pass ends before the next one is due.
fn pause(every: Duration, logs: usize, passed: Duration) -> Duration {
    let spread = every / 2;
    if passed >= spread {
        return Duration::ZERO;
    }
    (spread / u32::try_from(logs.max(1)).unwrap_or(u32::MAX)).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_of_a_pass_take_at_most_half_of_the_interval() {
        let hour = Duration::from_secs(3_600);
        assert_eq!(pause(hour, 0, Duration::ZERO), PAUSE_MAX);
        assert_eq!(pause(hour, 3, Duration::ZERO), PAUSE_MAX);
        assert_eq!(pause(hour, 10_000, Duration::ZERO), Duration::from_millis(180));
        assert_eq!(pause(hour, 10_000, hour / 2), Duration::ZERO, "slow sweeps have used the time up");
    }
}
