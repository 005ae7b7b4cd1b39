//! Does work on an excerpt, and counts its events.

use futures_util::{Stream, stream};
use hourlog::{ErrorKind, Result, wire::TimelineRequest};
use tokio::sync::watch;

use crate::tui::{
    excerpt::{Excerpt, Total},
    exporting,
    outlet::Outlet,
    replaying,
    source::Source,
    work::{Progress, Work, Worked},
};

/// Limit of the requests with which the events of one log are counted.
const REQUESTS_MAX: usize = 100;

/// Does work, and returns reports on it, until it is done or `stop` is ready.
pub fn work<'a>(
    source: &'a impl Outlet,
    work: &'a Work,
    stop: impl Future<Output = ()> + Send + 'a,
) -> impl Stream<Item = Worked> + Send + 'a {
    // Of the reports that nobody has taken yet, only the newest is of use.
    let (sender, reports) = watch::channel(Progress::default());
    let report = move |progress: Progress| {
        sender.send_replace(progress);
    };
    let stop = Box::pin(stop);
    let done = async move {
        match work {
            Work::Export(export) => Worked::Exported(exporting::export(source, export, report, stop).await),
            Work::DryRun(replay) => Worked::Planned(replaying::dry_run(source, replay, report, stop).await),
            Work::Replay(replay) => Worked::Replayed(replaying::replay(source, replay, report, stop).await),
        }
    };
    let progress = stream::unfold(reports, |mut reports| async move {
        reports.changed().await.ok()?;
        let progress = *reports.borrow_and_update();
        Some((Worked::Progress(progress), reports))
    });
    stream::select(progress, stream::once(done))
}

/// Counts the events of an excerpt.
///
/// # Errors
/// Those of the source.
pub async fn total(source: &impl Source, excerpt: &Excerpt) -> Result<Total> {
    let mut total = Total { events: 0, is_exact: true };
    for log in excerpt.lanes.logs() {
        let mut after = None;
        for _ in 0..REQUESTS_MAX {
            let reply = match source.count(log, &TimelineRequest { after, ..excerpt.counting() }).await {
                Err(error) if error.kind() == ErrorKind::NotFound => break,
                reply => reply?,
            };
            total.events += reply.count + reply.edge;
            total.is_exact &= reply.edge == 0;
            after = reply.next;
            if after.is_none() {
                break;
            }
        }
        total.is_exact &= after.is_none();
    }
    Ok(total)
}
