//! The sizes of the archive: how many logs it has, and how much of its disk it takes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hourlog::{Result, store::Store};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{health::Health, repeats::Repeats, trace::sentence};

/// Interval between two counts. Counting reads the row of every log.
const INTERVAL: Duration = Duration::from_secs(60);
/// Rows per read of the log table.
const ROWS_PER_READ: usize = 1_000;

/// Counts now and then once a minute, until `shutdown`.
pub(crate) async fn run<S: Store>(store: S, health: Arc<Health>, shutdown: CancellationToken) {
    let (mut ticks, mut failures) = (interval(INTERVAL), Repeats::default());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.cancelled() => return,
        }
        let counted = tokio::select! {
            counted = count(&store, &health) => counted,
            () = shutdown.cancelled() => return,
        };
        if let Err(error) = counted
            && let Some(left_out) = failures.count(Instant::now())
        {
            tracing::warn!(cause = sentence(&error), left_out, "cannot measure the archive; retrying");
        }
    }
}

async fn count<S: Store>(store: &S, health: &Health) -> Result<()> {
    health.counters.set_disk(store.disk().await?);
    let (mut logs, mut after) = (0, None);
    loop {
        let rows = store.logs(after.as_ref(), ROWS_PER_READ).await?;
        let Some((last, _)) = rows.last() else { break };
        logs += rows.len();
        after = Some(last.clone());
    }
    health.counters.logs.set(i64::try_from(logs).unwrap_or(i64::MAX));
    Ok(())
}
