//! The questions to all instances of the service, over NATS.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use async_nats::StatusCode;
use bytes::Bytes;
use futures_util::StreamExt;
use hourlog::{Error, ErrorKind, Remote, Result, wire::SERVICE};
use tokio::time::timeout_at;

use crate::{
    connect::Denials,
    tui::report::{InstanceStats, ServiceReport},
};

/// Time to wait for one more instance after the last one has answered.
const GAP_MAX: Duration = Duration::from_millis(300);
/// Limit of the instances whose answers are read.
const INSTANCES_MAX: usize = 64;

/// Asks all instances for their status and their counts. The server may deny either.
pub(super) async fn ask(remote: &Remote, timeout: Duration, denials: &Denials) -> ServiceReport {
    let subjects = remote.subjects();
    let (status, question) = (subjects.status(), format!("$SRV.STATS.{SERVICE}"));
    let counted = stats(remote, &question, &subjects.prefix, timeout);
    let (statuses, stats) =
        tokio::join!(denials.unless(Some(&status), remote.statuses(GAP_MAX)), denials.unless(Some(&question), counted));
    ServiceReport { statuses, stats, streams: Vec::new() }
}

/// Returns the counts of every instance below `prefix`.
async fn stats(remote: &Remote, question: &str, prefix: &str, timeout: Duration) -> Result<Vec<InstanceStats>> {
    let client = remote.client();
    let closed = |error: &dyn std::fmt::Display| {
        Error::new(ErrorKind::Unavailable, format!("the connection was closed: {error}"))
    };
    let nobody = || Error::new(ErrorKind::Unavailable, format!("no instance has answered {question}"));
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.map_err(|error| closed(&error))?;
    client.publish_with_reply(question.to_owned(), inbox, Bytes::new()).await.map_err(|error| closed(&error))?;
    let mut found: Vec<InstanceStats> = Vec::new();
    let mut until = tokio::time::Instant::now() + timeout;
    while found.len() < INSTANCES_MAX
        && let Ok(Some(answer)) = timeout_at(until, answers.next()).await
    {
        if answer.status == Some(StatusCode::NO_RESPONDERS) {
            break;
        }
        // Services of other prefixes have the same name.
        if let Some(stats) = InstanceStats::parse(&answer.payload, prefix, monotonic_nanos()) {
            found.push(stats);
            until = tokio::time::Instant::now() + GAP_MAX;
        }
    }
    if found.is_empty() { Err(nobody()) } else { Ok(found) }
}

/// Returns the nanoseconds since the first call, by a clock that only goes forward.
fn monotonic_nanos() -> i64 {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    i64::try_from(BEGIN.elapsed().as_nanos()).unwrap_or(i64::MAX)
}
