//! The sizes of the archive: how many logs it has, and how much of its disk it takes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hourlog::{Result, store::Store};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{health::Health, new_logs::NewLogs, repeats::Repeats, trace::sentence};

/// The shortest pause between two counts. Counting reads the row of every log.
const PAUSE_MIN: Duration = Duration::from_secs(60);
/// The pause after a count, in multiples of the time that it took.
const PAUSE_PER_COUNT: u32 = 60;
/// Rows per read of the log table.
const ROWS_PER_READ: usize = 1_000;

/// Counts now and then once a minute, or more rarely if that takes long, until `shutdown`.
pub(crate) async fn run<S: Store>(store: S, health: Arc<Health>, new_logs: Arc<NewLogs>, shutdown: CancellationToken) {
    let mut failures = Repeats::default();
    loop {
        let begun = Instant::now();
        let counted = tokio::select! {
            counted = count(&store, &health, &new_logs) => counted,
            () = shutdown.cancelled() => return,
        };
        if let Err(error) = counted
            && let Some(left_out) = failures.count(Instant::now())
        {
            tracing::warn!(cause = sentence(&error), left_out, "cannot measure the archive; retrying");
        }
        tokio::select! {
            () = sleep(PAUSE_MIN.max(begun.elapsed() * PAUSE_PER_COUNT)) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

async fn count<S: Store>(store: &S, health: &Health, new_logs: &NewLogs) -> Result<()> {
    health.counters.set_disk(store.disk().await?);
    new_logs.begin_count();
    let (mut logs, mut after) = (0, None);
    loop {
        let rows = store.logs(after.as_ref(), ROWS_PER_READ).await?;
        let Some((last, _)) = rows.last() else { break };
        logs += rows.len();
        after = Some(last.clone());
    }
    new_logs.end_count(logs as u64);
    health.counters.logs.set(i64::try_from(logs).unwrap_or(i64::MAX));
    Ok(())
}
