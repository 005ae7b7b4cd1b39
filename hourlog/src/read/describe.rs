//! The summary of a log, from the rows of its index.

use crate::{
    LogId, Offset, Result,
    store::{BucketRow, LogRow, Store, Totals, Width},
};

use super::{IndexWalk, known};

/// The events of a bucket above which it is slow to read and heavy to store.
const BUCKET_EVENTS_GUIDE: u64 = 100_000;
/// The bytes of a bucket above which it is slow to read and heavy to store.
const BUCKET_BYTES_GUIDE: u64 = 100_000_000;
/// The widths that people choose, in seconds.
const USUAL_SECONDS: [i64; 10] = [21_600, 3_600, 1_800, 900, 600, 300, 60, 30, 10, 5];

/// The summary of a log.
///
/// ```
/// use hourlog::{Archive, Events, Log, Memory, Record, time::system_clock};
/// use hourlog::read::describe;
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let events = Archive::new(Memory::new(), system_clock);
/// # let id = "orders.eu".parse()?;
/// # let mut log = events.log(&id).await?;
/// for time in ["2018-02-04T10:00:00Z", "2018-02-04T11:00:00Z", "2018-02-04T11:30:00Z"] {
///     log.write(Record::new("paid").at(time.parse()?)).await?;
/// }
/// let description = describe(events.store(), &id).await?;
/// assert_eq!((description.count, description.buckets, description.fullest), (3, 2, 2));
/// assert_eq!(description.first, Some("2018-02-04T10:00:00Z".parse()?));
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Its id.
    pub log: LogId,
    /// Its settings.
    pub row: LogRow,
    /// The offset of its earliest event.
    pub first: Option<Offset>,
    /// The offset of its latest event.
    pub last: Option<Offset>,
    /// The number of events.
    pub count: u64,
    /// The size of their data and metadata in bytes.
    pub bytes: u64,
    /// The number of buckets that hold events.
    pub buckets: u64,
    /// The most events in one bucket.
    pub fullest: u64,
    /// Problems for the operator, each with a remedy; empty if there are none.
    pub warnings: Vec<String>,
}

/// Summarises a log from its index.
///
/// # Errors
/// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for a log that does not exist, and the errors of the
/// store.
pub async fn describe<S: Store>(store: &S, id: &LogId) -> Result<Description> {
    let row = known(store, id).await?;
    let mut sum = Description {
        log: id.clone(),
        row,
        first: None,
        last: None,
        count: 0,
        bytes: 0,
        buckets: 0,
        fullest: 0,
        warnings: Vec::new(),
    };
    let mut heaviest: Option<(u64, BucketRow)> = None;
    let mut index = IndexWalk::new(id, Offset::MIN, Offset::MAX, false).of_all();
    while let Some(row) = index.next(store).await? {
        if row.count == 0 {
            continue;
        }
        sum.first = Some(sum.first.map_or(row.first, |first| first.min(row.first)));
        sum.last = Some(sum.last.map_or(row.last, |last| last.max(row.last)));
        sum.count += row.count;
        sum.bytes += row.bytes;
        sum.buckets += 1;
        sum.fullest = sum.fullest.max(row.count);
        let times_over = row.count.div_ceil(BUCKET_EVENTS_GUIDE).max(row.bytes.div_ceil(BUCKET_BYTES_GUIDE));
        if times_over > heaviest.as_ref().map_or(1, |(most, _)| *most) {
            heaviest = Some((times_over, row));
        }
    }
    if let Some((times_over, row)) = heaviest {
        let fits = narrower_width(row.bucket.width, times_over);
        sum.warnings.push(format!(
            "the bucket of {} holds {} events ({} bytes), above the guide of {BUCKET_EVENTS_GUIDE} events or \
             {BUCKET_BYTES_GUIDE} bytes; a width of {fits} would fit",
            row.bucket.start, row.count, row.bytes
        ));
    }
    Ok(sum)
}

impl Description {
    /// The sums of the index.
    pub fn totals(&self) -> Totals {
        Totals { count: self.count, bytes: self.bytes, first: self.first, last: self.last }
    }
}

/// Returns the sums of all rows of a log's index; nothing for a log that does not exist.
///
/// An archive that keeps no sums implements [`Store::totals`] so.
///
/// # Errors
/// The errors of the store.
pub async fn totals<S: Store>(store: &S, id: &LogId) -> Result<Totals> {
    let mut sum = Totals::default();
    let mut index = IndexWalk::new(id, Offset::MIN, Offset::MAX, false).of_all();
    while let Some(row) = index.next(store).await? {
        sum = sum.with(Totals::from(&row));
    }
    Ok(sum)
}

/// Returns a warning if buckets grow above the guide at this `rate` of events per second, and a width that
/// fits.
///
/// ```
/// use hourlog::{Archive, Events, Log, Memory, Record, read::{describe, rate_warning}, time::system_clock};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let events = Archive::new(Memory::new(), system_clock);
/// # let id = "orders.eu".parse()?;
/// events.log(&id).await?.write(Record::new("paid")).await?;
/// let description = describe(events.store(), &id).await?;
/// assert_eq!(rate_warning(&description, 5.0), None);
/// // 833 a second are 3 million in an hour.
/// assert!(rate_warning(&description, 833.0).is_some_and(|warning| warning.contains("a width of 1m")));
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
pub fn rate_warning(description: &Description, rate: f64) -> Option<String> {
    let width = description.row.widths.current();
    let fits = fitting_width(rate, description.bytes.checked_div(description.count).unwrap_or(0));
    if fits >= width {
        return None;
    }
    let seconds = width.nanos() as f64 / crate::time::SECOND as f64;
    Some(format!(
        "at {rate:.0} events a second, a bucket of {width} grows to {:.0} events, above the guide of \
         {BUCKET_EVENTS_GUIDE} events or {BUCKET_BYTES_GUIDE} bytes; a width of {fits} fits: \
         hourlog admin alter {} --width {fits}",
        rate * seconds,
        description.log
    ))
}

/// Returns the widest usual width whose buckets stay below the guide at `rate` events per second of
/// `event_bytes` each.
///
/// ```
/// use hourlog::{read::fitting_width, store::Width};
/// assert_eq!(fitting_width(0.0, 0), Width::DAY);
/// assert_eq!(fitting_width(28.0, 256).to_string(), "30m");
/// assert_eq!(fitting_width(1_000_000.0, 256), Width::SECOND);
/// ```
pub fn fitting_width(rate: f64, event_bytes: u64) -> Width {
    let fits = |seconds: i64| {
        let events = rate * seconds as f64;
        events <= BUCKET_EVENTS_GUIDE as f64 && events * event_bytes as f64 <= BUCKET_BYTES_GUIDE as f64
    };
    let seconds =
        if fits(86_400) { 86_400 } else { USUAL_SECONDS.into_iter().find(|seconds| fits(*seconds)).unwrap_or(1) };
    Width::from_seconds(seconds).expect("the usual widths are within bounds")
}

/// Returns the widest usual width that is at least `times_over` times narrower than `width`.
fn narrower_width(width: Width, times_over: u64) -> Width {
    let narrow = width.nanos() / i64::try_from(times_over).unwrap_or(i64::MAX) / crate::time::SECOND;
    let seconds = USUAL_SECONDS.into_iter().find(|seconds| *seconds <= narrow).unwrap_or(1);
    Width::from_seconds(seconds).expect("the usual widths are within bounds")
}
