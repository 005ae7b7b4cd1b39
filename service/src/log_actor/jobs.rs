//! Jobs: the changes of a log that are not events. Its actor carries them out between two writes, so
//! that a change and the events around it have an order.

use hourlog::{
    Error, ErrorKind, LogId, Offset, Result, Seq,
    read::{describe, fitting_width},
    store::{LogRow, Store, SweepCount, Swept, Width, Widths, Write, count_sweep, newest_seq},
    time::DAY,
    wire::{AlterRequest, CreateRequest, RemovedReply},
};
use std::time::Duration;

use super::{
    LogArgs,
    removal::{Removal, Requester},
    row::Reply,
};

/// The most changes of one log's width. All of them are read with every row of the log.
const WIDTH_CHANGES_MAX: usize = 1_000;
/// The shortest time before a log of the system gets a wider bucket again.
const WIDEN_AFTER_NANOS: i64 = DAY;

/// A change of a log.
#[derive(Debug)]
pub(crate) enum Job {
    /// Creates the log.
    Create { request: CreateRequest, reply: Reply<()> },
    /// Changes its settings.
    Alter { request: AlterRequest, reply: Reply<()> },
    /// Removes the buckets that end at or before a time, or counts them.
    Purge { before: Offset, dry_run: bool, reply: Reply<RemovedReply> },
    /// Removes the log, or counts what it holds.
    Delete { dry_run: bool, reply: Reply<RemovedReply> },
    /// Removes what is older than the log's retention.
    Sweep { reply: Reply<Swept> },
    /// Goes on with a purge or a sweep.
    Remove(Removal),
    /// Chooses a width that fits a rate of events per second. Only for logs of the system, because
    /// nobody else does.
    Fit { rate: f64 },
}

impl Job {
    /// Carries out the job, or its first part. `written` is the greatest seq that the actor has
    /// written. Returns what is left to do.
    pub(super) async fn run<S: Store>(self, args: &LogArgs<S>, written: Seq) -> Option<Self> {
        if self.is_abandoned() {
            return None;
        }
        // The requester may leave meanwhile; that is not a failure.
        match self {
            Self::Create { request, reply } => drop(reply.send(create(args, &request).await)),
            Self::Alter { request, reply } => drop(reply.send(alter(args, &request).await)),
            Self::Purge { before, dry_run: true, reply } => drop(reply.send(count_purge(args, before).await)),
            Self::Purge { before, dry_run: false, reply } => {
                return Removal::new(before, Requester::Purge(reply)).go_on(args, written).await.map(Self::Remove);
            }
            Self::Delete { dry_run, reply } => drop(reply.send(delete(args, dry_run, written).await)),
            Self::Sweep { reply } => match sweep_horizon(args).await {
                Ok(Some(horizon)) => {
                    let removal = Removal::new(horizon, Requester::Sweep(reply));
                    return removal.go_on(args, written).await.map(Self::Remove);
                }
                Ok(None) => drop(reply.send(Ok(Swept::default()))),
                Err(error) => drop(reply.send(Err(error))),
            },
            Self::Remove(removal) => return removal.go_on(args, written).await.map(Self::Remove),
            Self::Fit { rate } => {
                if let Err(error) = fit(args, rate).await {
                    tracing::warn!(log = %args.id, %error, "the width of the log does not follow its rate");
                }
            }
        }
        None
    }

    /// Returns true if the requester has given up.
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Create { reply, .. } | Self::Alter { reply, .. } => reply.is_closed(),
            Self::Purge { reply, .. } | Self::Delete { reply, .. } => reply.is_closed(),
            Self::Sweep { reply } => reply.is_closed(),
            Self::Remove(removal) => removal.is_abandoned(),
            Self::Fit { .. } => false,
        }
    }
}

async fn create<S: Store>(args: &LogArgs<S>, request: &CreateRequest) -> Result<()> {
    let LogArgs { id, store, rules, .. } = args;
    if store.log(id).await?.is_some() {
        let context = format!("log {id} already exists; change its settings with hourlog admin alter {id}");
        return Err(Error::new(ErrorKind::Refused, context));
    }
    let widths = Widths::new(request.width.unwrap_or_else(|| rules.width_of_new(id)));
    let retention = request.retention.and_then(|retention| retention.setting());
    let row = LogRow { retention, ..LogRow::new(args.health.time.now(), widths) };
    store.write(vec![Write::Log(id.clone(), row)]).await
}

async fn alter<S: Store>(args: &LogArgs<S>, request: &AlterRequest) -> Result<()> {
    let mut row = args.known_row().await?;
    if let Some(width) = request.width {
        change_width(&args.id, &mut row.widths, width, args.health.time.now())?;
        check_buckets_ahead(args, &row.widths).await?;
    }
    if let Some(retention) = request.retention {
        row.retention = retention.setting();
    }
    args.change_settings(row).await
}

fn change_width(log: &LogId, widths: &mut Widths, width: Width, now: Offset) -> Result<()> {
    if width == widths.current() {
        return Ok(());
    }
    if widths.changes().len() >= WIDTH_CHANGES_MAX {
        let context = format!(
            "the width of {log} was changed {WIDTH_CHANGES_MAX} times, which is the limit; export the log and import it \
             under another id"
        );
        return Err(Error::new(ErrorKind::Refused, context));
    }
    widths.change(width, now);
    Ok(())
}

/// Refuses a change of the width that would apply to buckets that exist already, because events lie ahead
/// of now: these events would not be found any more.
async fn check_buckets_ahead<S: Store>(args: &LogArgs<S>, changed: &Widths) -> Result<()> {
    let Some((from, _)) = changed.changes().last() else { return Ok(()) };
    let newest = args.store.buckets(&args.id, *from..=Offset::MAX, true, 1).await?;
    let ahead = newest.first().filter(|row| row.bucket.start >= *from && (row.count > 0 || row.arrivals > 0));
    ahead.map_or(Ok(()), |row| {
        let context = format!(
            "log {} holds events of {}, ahead of now, in buckets of the present width; to change it, export the log, \
             delete it and import it",
            args.id, row.bucket.start
        );
        Err(Error::new(ErrorKind::Refused, context))
    })
}

async fn count_purge<S: Store>(args: &LogArgs<S>, before: Offset) -> Result<RemovedReply> {
    args.known_row().await?;
    let SweepCount { swept, kept_from, .. } = count_sweep(&args.store, &args.id, before).await?;
    let Swept { buckets, events, bytes, .. } = swept;
    Ok(RemovedReply { log: args.id.clone(), dry_run: true, events, bytes, buckets, kept_from: Some(kept_from) })
}

async fn delete<S: Store>(args: &LogArgs<S>, dry_run: bool, written: Seq) -> Result<RemovedReply> {
    args.known_row().await?;
    let held = describe(&args.store, &args.id).await?;
    if !dry_run {
        // Above what the index counts there may be duplicates that were skipped. Redelivered after the
        // deletion, they are no duplicates any more.
        let seq = newest_seq(&args.store, &args.id).await?.max(args.stored_checkpoint().await?).max(written);
        args.store.write(vec![Write::DeleteLog { log: args.id.clone(), seq }]).await?;
        args.removed.forget();
        args.health.count_removed(held.buckets, held.count);
    }
    let log = args.id.clone();
    Ok(RemovedReply { log, dry_run, events: held.count, bytes: held.bytes, buckets: held.buckets, kept_from: None })
}

/// Returns the time before which the log no longer keeps events; `None` if it keeps all, or if the time
/// is not known.
async fn sweep_horizon<S: Store>(args: &LogArgs<S>) -> Result<Option<Offset>> {
    let Some(row) = args.store.log(&args.id).await? else { return Ok(None) };
    let kept = args.rules.kept(&args.id, &row).time;
    Ok(kept.zip(args.health.time.earlier()).map(|(kept, now)| horizon(now, kept)))
}

/// Returns the time before which events are no longer kept.
pub(crate) fn horizon(now: Offset, kept: Duration) -> Offset {
    now.saturating_add_nanos(i64::try_from(kept.as_nanos()).unwrap_or(i64::MAX).saturating_neg())
}

async fn fit<S: Store>(args: &LogArgs<S>, rate: f64) -> Result<()> {
    let LogArgs { id, store, rules, .. } = args;
    if rules.width(id).is_some() {
        return Ok(());
    }
    let Some(mut row) = store.log(id).await? else { return Ok(()) };
    let newest = store.buckets(id, Offset::MIN..=Offset::MAX, true, 1).await?;
    let event_bytes = newest.first().and_then(|row| row.bytes.checked_div(row.count)).unwrap_or(0);
    let now = args.health.time.now();
    let Some(width) = fitted(&row, fitting_width(rate, event_bytes), now) else { return Ok(()) };
    change_width(id, &mut row.widths, width, now)?;
    if check_buckets_ahead(args, &row.widths).await.is_err() {
        return Ok(());
    }
    args.change_settings(row).await?;
    tracing::info!(log = %id, %width, rate, "the width of the log follows its rate");
    Ok(())
}

/// Returns the new width of a log of the system, if it needs another one than it has. Narrower at
/// once; wider at most once a day.
fn fitted(row: &LogRow, fits: Width, now: Offset) -> Option<Width> {
    let (fits, current) = (fits.min(Width::default()), row.widths.current());
    let changed = row.widths.changes().last().map_or(row.created, |(from, _)| *from);
    let may_widen = changed.saturating_add_nanos(WIDEN_AFTER_NANOS) <= now;
    (fits < current || (fits > current && may_widen)).then_some(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Settings, health::Health, ownership::Ownership, sources};
    use conformance::rows::{self, RowSource};
    use hourlog::{Memory, time::HOUR};
    use std::sync::Arc;
    use std::sync::atomic::Ordering::Relaxed;
    use tokio::sync::{Semaphore, oneshot};

    const BUCKETS: u64 = 1_100;

    /// Returns a log with more buckets than one part of a removal takes.
    async fn long_log() -> LogArgs<Memory> {
        let (store, id): (_, LogId) = (Memory::new(), "long".parse().expect("a valid id"));
        let mut source = RowSource::new(id.clone());
        let rows: Vec<_> =
            (0..BUCKETS as i64).map(|hour| source.on_time(Offset::from_nanos(hour * HOUR), "x")).collect();
        rows::write(&store, &id, &rows).await.expect("memory takes the rows");
        let sources = sources::load(&Settings::default(), &store).await.expect("a memory store answers");
        LogArgs {
            id,
            source: Arc::clone(sources.wal()),
            store,
            health: Arc::new(Health::new(hourlog::time::system_clock, Vec::new(), Ownership::alone(Offset::MIN))),
            write_permits: None,
            ahead_permits: Arc::new(Semaphore::new(1)),
            rules: Arc::default(),
            removed: Arc::default(),
            once_budget: Arc::default(),
            written: Seq::MIN,
            recent: Arc::default(),
        }
    }

    #[tokio::test]
    async fn a_long_purge_has_parts_and_one_reply() {
        let args = long_log().await;
        let before = Offset::from_nanos(BUCKETS as i64 * HOUR);
        let (reply, mut removed) = oneshot::channel();
        let purge = Job::Purge { before, dry_run: false, reply };
        let rest = purge.run(&args, Seq::MIN).await.expect("a part is bounded");
        assert!(removed.try_recv().is_err(), "the reply comes after the last part");
        let row = args.known_row().await.expect("the log exists");
        assert_eq!(row.removed.map(|removed| removed.to), Some(before), "the whole range is recorded first");
        assert!(rest.run(&args, Seq::MIN).await.is_none());
        let removed = removed.try_recv().expect("the purge has ended").expect("memory answers");
        assert_eq!((removed.buckets, removed.events), (BUCKETS, BUCKETS));
        assert_eq!(args.health.events_removed.load(Relaxed), BUCKETS);
        assert_eq!(args.known_row().await.expect("the log exists").settings_at, row.settings_at);
    }

    #[tokio::test]
    async fn a_job_whose_requester_has_left_changes_nothing() {
        let args = long_log().await;
        let (reply, requester) = oneshot::channel();
        drop(requester);
        assert!(Job::Delete { dry_run: false, reply }.run(&args, Seq::MIN).await.is_none());
        assert!(args.known_row().await.is_ok());
    }

    fn at(text: &str) -> Offset {
        text.parse().expect(text)
    }

    #[test]
    fn a_log_of_the_system_narrows_at_once_and_widens_after_a_day() {
        let created = at("2018-02-04T10:00:00Z");
        let mut row = LogRow::new(created, Widths::new(Width::MINUTE));
        let (soon, later) = (at("2018-02-04T11:00:00Z"), at("2018-02-05T11:00:00Z"));
        assert_eq!(fitted(&row, Width::SECOND, soon), Some(Width::SECOND));
        assert_eq!(fitted(&row, Width::MINUTE, later), None);
        assert_eq!(fitted(&row, Width::DAY, soon), None);
        assert_eq!(fitted(&row, Width::DAY, later), Some(Width::HOUR), "an hour is the widest");
        row.widths.change(Width::SECOND, soon);
        assert_eq!(fitted(&row, Width::SECOND, soon), None, "the change is pending");
        assert_eq!(fitted(&row, Width::HOUR, later), None, "it was changed less than a day ago");
    }

    #[test]
    fn a_width_is_changed_a_bounded_number_of_times() {
        let log: LogId = "busy".parse().expect("a valid id");
        let changes = (0..WIDTH_CHANGES_MAX as i64).map(|index| {
            let width = if index % 2 == 0 { Width::MINUTE } else { Width::SECOND };
            (Offset::from_nanos(index * hourlog::time::HOUR), width)
        });
        let mut widths = Widths::from_parts(Width::HOUR, changes.collect()).expect("the changes are in order");
        let error = change_width(&log, &mut widths, Width::DAY, at("2018-02-04T10:00:00Z")).expect_err("too many");
        assert_eq!(error.kind(), ErrorKind::Refused);
        let same = widths.current();
        assert!(change_width(&log, &mut widths, same, at("2018-02-04T10:00:00Z")).is_ok());
    }
}
