//! Counts of events by time, from the rows of the index.

use crate::{
    Error, LogId, Offset, Result,
    store::{BINS, Store},
};

use super::{IndexWalk, known};

/// The numbers of events in the parts of a stretch of time.
///
/// ```
/// use hourlog::{Archive, Events, Log, Memory, Record, time::system_clock};
/// use hourlog::read::histogram;
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let events = Archive::new(Memory::new(), system_clock);
/// # let id = "orders.eu".parse()?;
/// # let mut log = events.log(&id).await?;
/// for time in ["2018-02-04T10:00:00Z", "2018-02-04T11:00:00Z", "2018-02-04T11:30:00Z"] {
///     log.write(Record::new("paid").at(time.parse()?)).await?;
/// }
/// let (from, to) = ("2018-02-04T10:00:00Z".parse()?, "2018-02-04T12:00:00Z".parse()?);
/// let histogram = histogram(events.store(), &id, from, to, 2).await?;
/// let counts: Vec<u64> = histogram.bins.iter().map(|bin| bin.count).collect();
/// assert_eq!((counts, histogram.count), (vec![1, 2], 3));
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    /// The equal parts of the stretch, in order.
    pub bins: Vec<Bin>,
    /// The sum of all bins.
    pub count: u64,
}

/// One part of a histogram.
///
/// ```
/// use hourlog::read::Bin;
/// let (ten, eleven) = ("2018-02-04T10:00:00Z".parse()?, "2018-02-04T11:00:00Z".parse()?);
/// let bin = Bin { from: ten, to: eleven, count: 7_200 };
/// let per_second = bin.count as f64 / bin.to.duration_since(bin.from).as_secs_f64();
/// assert_eq!(per_second, 2.0);
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bin {
    /// Its start, inclusive.
    pub from: Offset,
    /// Its end, exclusive.
    pub to: Offset,
    /// The number of events. If the bin is narrower than the parts of the index, a part counts in the
    /// bin in which it begins.
    pub count: u64,
}

/// Counts the events of `from..to` in `bins` equal parts, from the rows of the index alone.
///
/// A part of the index (a sixtieth of its bucket) that overlaps an edge counts completely.
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for an empty stretch or no bins,
/// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for a log that does not exist, and the errors of the
/// store.
pub async fn histogram<S: Store>(store: &S, id: &LogId, from: Offset, to: Offset, bins: usize) -> Result<Histogram> {
    if from >= to || bins == 0 {
        return Err(Error::invalid(format!(
            "a timeline from {from} to {to} in {bins} bins is empty; give a later end and at least one bin"
        )));
    }
    let (start, length) = (i128::from(from.nanos()), i128::from(to.nanos()) - i128::from(from.nanos()));
    let parts = bins as i128;
    let edge = |part: i128| Offset::from_nanos((start + (length * part + parts - 1) / parts) as i64);
    let mut counts = vec![0_u64; bins];
    let mut add = |offset: Offset, count: u64| {
        // A part of the index that begins before the stretch counts in the first bin.
        let into = (i128::from(offset.nanos()) - start).max(0);
        counts[(into * parts / length) as usize] += count;
    };
    let mut index = IndexWalk::new(id, from, to.saturating_add_nanos(-1), false);
    let mut found_any_bucket = false;
    while let Some(row) = index.next(store).await? {
        found_any_bucket = true;
        if row.count == 0 || row.last < from || row.first >= to {
            continue;
        }
        if row.bins.is_empty() {
            add(row.bucket.start.max(row.first), row.count);
            continue;
        }
        for (bin, count) in row.bins.iter().enumerate().filter(|(_, count)| **count > 0) {
            let (bin_from, bin_to) = (row.bucket.bin_start(bin), row.bucket.bin_start(bin + 1).min(row.bucket.last()));
            if bin_from < to && (bin_to > from || bin + 1 == BINS && bin_to >= from) {
                add(bin_from, u64::from(*count));
            }
        }
    }
    if !found_any_bucket {
        known(store, id).await?;
    }
    let bins: Vec<Bin> =
        (0..parts).zip(counts).map(|(part, count)| Bin { from: edge(part), to: edge(part + 1), count }).collect();
    Ok(Histogram { count: bins.iter().map(|bin| bin.count).sum(), bins })
}
