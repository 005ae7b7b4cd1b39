//! Sends the events of an excerpt to subjects again, as `hourlog replay` does.

use std::{
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use futures_util::{StreamExt, TryStreamExt, stream};
use hourlog::{Event, Position, wire::PAGE_EVENTS_DEFAULT};

use crate::{
    exit::Failure,
    replay::{Events, Pacing, Step, Target},
    tui::{
        excerpt::Excerpt,
        merging,
        outlet::{Outlet, Route},
        source::Source,
        work::{Plan, Progress, Replay, Replayed},
    },
};

/// Limit of the subjects that a dry run names.
const SUBJECTS_MAX: usize = 3;

/// A future that is ready once the user stops the work.
pub(super) type Stop<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Reads all events, and returns what a replay would send. The error says why it is refused.
pub(super) async fn dry_run(
    source: &impl Outlet,
    replay: &Replay,
    report: impl Fn(Progress) + Send + Sync,
    stop: Stop<'_>,
) -> Result<Plan, String> {
    tokio::select! {
        biased;
        () = stop => Err("stopped: nothing was sent".to_owned()),
        plan = plan(source, replay, report) => plan.map_err(|failure| failure.sentence()),
    }
}

async fn plan(source: &impl Outlet, replay: &Replay, report: impl Fn(Progress) + Send + Sync) -> Result<Plan, Failure> {
    let (route, remark) = route(source, replay).await?;
    let mut remarks = vec![route.capture.sentence()];
    remarks.extend(remark);
    let (events, bytes, times, subjects, other_subjects) = (0, 0, None, Vec::new(), 0);
    let mut plan = Plan { events, bytes, times, subjects, other_subjects, remarks };
    for log in replay.excerpt.lanes.logs() {
        let subject = route.target.subject(log)?;
        if plan.subjects.contains(&subject) {
            continue;
        }
        match plan.subjects.len() < SUBJECTS_MAX {
            true => plan.subjects.push(subject),
            false => plan.other_subjects += 1,
        }
    }
    let mut events = events_of(source, &replay.excerpt);
    while let Some(Event { position, record, .. }) = events.try_next().await? {
        plan.events += 1;
        plan.bytes += record.bytes() as u64;
        let (first, _) = plan.times.unwrap_or((position.offset, position.offset));
        plan.times = Some((first, position.offset));
        report(Progress { events: plan.events, bytes: plan.bytes });
    }
    Ok(plan)
}

/// Sends all events until `stop` is ready, and returns what has become of them.
pub(super) async fn replay(
    source: &impl Outlet,
    replay: &Replay,
    report: impl Fn(Progress) + Send + Sync,
    stop: Stop<'_>,
) -> Replayed {
    let (mut replayed, mut sent) = (Replayed::default(), 0);
    let is_stopped = AtomicBool::new(false);
    let stop = Box::pin(async {
        stop.await;
        is_stopped.store(true, Relaxed);
    });
    let mut note = |step: Step<'_>| match step {
        Step::Sent => {
            sent += 1;
            report(Progress { events: sent, bytes: 0 });
        }
        Step::Refused(_, error) => {
            replayed.refused += 1;
            replayed.first_refusal.get_or_insert_with(|| error.to_string());
        }
        Step::Confirmed(count, _) => replayed.published = count,
    };
    let ended = async {
        let (route, _) = route(source, replay).await?;
        let events = events_of(source, &replay.excerpt);
        let pacing = match replay.speed {
            Some(speed) => Pacing::times(events, speed, None),
            None => Pacing::at_once(events),
        };
        source.replay(&route, pacing.until(stop), &mut note).await
    };
    let failure = ended.await.err().map(|failure: Failure| failure.sentence());
    Replayed { failure, is_stopped: is_stopped.load(Relaxed), ..replayed }
}

/// Returns the way of the messages, with a remark if it is not certain.
async fn route(source: &impl Outlet, replay: &Replay) -> Result<(Route, Option<String>), Failure> {
    let target = Target::new(&replay.to, None)?;
    let (capture, remark) = source.capture(&target, replay.excerpt.lanes.logs()).await?;
    capture.check(&replay.to, replay.is_into_log)?;
    Ok((Route { target, capture, is_into_log: replay.is_into_log }, remark))
}

/// Returns the events of all logs of an excerpt in one order, by time.
fn events_of<'a>(source: &'a impl Source, excerpt: &'a Excerpt) -> Events<'a> {
    let from = excerpt.from.map_or(Position::MIN, Position::at);
    let until = excerpt.until.map_or(Position::MAX, Position::at);
    let Excerpt { lanes, selection, .. } = excerpt;
    let pages = merging::stretch(source, lanes, (from, until), PAGE_EVENTS_DEFAULT, selection);
    pages.map_ok(|page| stream::iter(page.events.into_iter().map(Ok))).try_flatten().boxed()
}
