//! The number of reads depends on the buckets that exist, not on the time between them.

use hourlog::{
    ArrivalCursor, Seq,
    read::{Ahead, ArrivalQuery, Counting, Query, ahead, arrivals_page, describe, histogram, page, seek},
    store::EventRow,
    time::HOUR,
};

use crate::{
    counting::{CountingStore, ReadCounts},
    guard::{Outcome, StoreGuard, log_id},
    kit::{at, days_after, names},
    rows::{self, RowSource},
};

/// The hours of a year.
const HOURS: i64 = 365 * 24;

pub async fn a_sparse_year_costs_one_read_per_existing_bucket(guard: impl StoreGuard) -> Outcome {
    let (store, log) = (CountingStore::new(guard.store().clone()), log_id());
    let mut source = RowSource::new(log.clone());
    let start = at("10:00:00");
    let year = [source.on_time(start, "then"), source.on_time(days_after(start, 365), "a year later")];
    rows::write(&store, &log, &year).await?;

    assert_eq!(names(&page(&store, &log, &Query::ALL, Seq::MAX).await?.events), ["then", "a year later"]);
    assert_eq!(store.take(), ReadCounts { index: 1, buckets: 2, late: 0, events: 0 });

    let reverse = Query { reverse: true, ..Query::ALL };
    assert_eq!(names(&page(&store, &log, &reverse, Seq::MAX).await?.events), ["a year later", "then"]);
    assert_eq!(store.take(), ReadCounts { index: 1, buckets: 2, late: 0, events: 0 });

    let everything = ArrivalQuery { after: ArrivalCursor::FIRST, limit: 10, bytes: usize::MAX };
    assert_eq!(names(&arrivals_page(&store, &log, &everything, Seq::MAX).await?.events), ["then", "a year later"]);
    assert_eq!(store.take(), ReadCounts { index: 1, buckets: 2, late: 0, events: 0 });

    seek(&store, &log, days_after(start, 100), Seq::MAX).await?;
    let reads = store.take();
    assert!(reads.index <= 2 && reads.buckets <= 3, "a seek into the empty year made {reads:?}");
    Ok(())
}

pub async fn events_ahead_of_now_cost_one_read_of_the_index(guard: impl StoreGuard) -> Outcome {
    let (store, log) = (CountingStore::new(guard.store().clone()), log_id());
    let mut source = RowSource::new(log.clone());
    let now = at("10:30:00");
    let (soon, far) = (at("10:50:00"), days_after(now, 30_000));
    let times = [now, now, soon, far, far.saturating_add_nanos(HOUR)];
    let written: Vec<EventRow> = times[..2].iter().map(|time| source.on_time(*time, "now")).collect();
    rows::write(&store, &log, &written).await?;
    store.take();
    assert_eq!(ahead(&store, &log, now).await?, None);
    assert_eq!(store.take(), ReadCounts { index: 1, buckets: 0, late: 0, events: 0 });

    let written: Vec<EventRow> = times[2..].iter().map(|time| source.on_time(*time, "ahead")).collect();
    rows::write(&store, &log, &written).await?;
    store.take();
    let whole_buckets = Ahead { count: 2, first: far, last: times[4], is_exact: true };
    assert_eq!(ahead(&store, &log, soon).await?, Some(whole_buckets));
    assert_eq!(store.take(), ReadCounts { index: 1, buckets: 0, late: 0, events: 0 });
    // In the bucket with the limit, only the events after it count.
    assert_eq!(ahead(&store, &log, now).await?, Some(Ahead { count: 3, first: soon, ..whole_buckets }));
    Ok(())
}

pub async fn a_year_of_hours_costs_one_read_per_bucket(guard: impl StoreGuard) -> Outcome {
    let (store, log) = (CountingStore::new(guard.store().clone()), log_id());
    let mut source = RowSource::new(log.clone());
    let start = at("10:30:00");
    let hours: Vec<EventRow> =
        (0..HOURS).map(|hour| source.on_time(start.saturating_add_nanos(hour * HOUR), "x")).collect();
    rows::write(&store, &log, &hours).await?;

    for reverse in [false, true] {
        let whole = page(&store, &log, &Query { reverse, ..Query::ALL }, Seq::MAX).await?;
        assert_eq!(whole.events.len(), hours.len());
        let reads = store.take();
        assert_eq!(reads.buckets, hours.len() as u64, "reverse: {reverse}");
        assert!(reads.index <= hours.len() as u64 / 100, "{} reads of the index", reads.index);
    }
    let some = page(&store, &log, &Query { limit: 24, ..Query::ALL }, Seq::MAX).await?;
    assert_eq!(some.events.len(), 24);
    // The index is fetched in parts that grow.
    assert_eq!(store.take(), ReadCounts { index: 3, buckets: 24, late: 0, events: 0 });
    Ok(())
}

pub async fn counts_are_answered_by_the_index_alone(guard: impl StoreGuard) -> Outcome {
    let (store, log) = (CountingStore::new(guard.store().clone()), log_id());
    let mut source = RowSource::new(log.clone());
    let start = at("10:30:00");
    let hours: Vec<EventRow> =
        (0..500).map(|hour| source.on_time(start.saturating_add_nanos(hour * HOUR), "x")).collect();
    rows::write(&store, &log, &hours).await?;
    assert_eq!(describe(&store, &log).await?.count, 500);
    let half_days = Counting::equal_bins(at("12:00:00"), days_after(at("12:00:00"), 30), 60)?;
    assert_eq!(histogram(&store, &log, &Counting::new(half_days)).await?.count, 498);
    let reads = store.take();
    assert_eq!((reads.buckets, reads.late, reads.events), (0, 0, 0));
    assert!(reads.index <= 8, "{} reads of the index", reads.index);
    Ok(())
}

pub async fn a_bucket_in_which_only_late_events_arrived_is_not_read_for_the_timeline(
    guard: impl StoreGuard,
) -> Outcome {
    let (store, log) = (CountingStore::new(guard.store().clone()), log_id());
    let mut source = RowSource::new(log.clone());
    let late: Vec<EventRow> = (0..50_i64)
        .map(|day| source.arrival(at("10:00:00"), days_after(at("12:00:00"), day), hourlog::Record::new("late")))
        .collect();
    rows::write(&store, &log, &late).await?;
    assert_eq!(page(&store, &log, &Query::ALL, Seq::MAX).await?.events.len(), 50);
    assert_eq!(store.take().buckets, 1, "the days on which the events arrived hold none of them");
    Ok(())
}
