//! Does work on an excerpt, and counts its events.

use futures_util::{Stream, stream};
use hourlog::Result;
use tokio::sync::watch;

use crate::tui::{
    excerpt::{Excerpt, Total},
    exporting, merging,
    outlet::Outlet,
    replaying,
    source::Source,
    work::{Progress, Work, Worked},
};

/// Does work, and returns reports on it, until it is done or `stop` is ready.
pub fn work<'a>(
    source: &'a impl Outlet,
    work: &'a Work,
    stop: impl Future<Output = ()> + Send + 'a,
) -> impl Stream<Item = Worked> + Send + 'a {
    // A newer report replaces one that nobody has taken yet.
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
        if let Some((reply, is_complete)) = merging::counted(source, log, &excerpt.counting()).await? {
            total.events += reply.count + reply.edge;
            total.is_exact &= reply.edge == 0 && is_complete;
        }
    }
    Ok(total)
}
