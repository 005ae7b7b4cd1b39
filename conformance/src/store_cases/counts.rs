//! The counts of the index equal counting by hand, and a redelivery does not change them.

use hourlog::{
    ErrorKind, Offset, Record, Result,
    maintenance::{Finding, check_store},
    read::{Counting, Histogram, describe, histogram},
    store::{EventRow, Store, Width, Widths},
    time::{HOUR, SECOND},
};

use crate::{
    guard::{Outcome, StoreGuard, log_id},
    kit::{at, refused},
    rows::{self, RowSource, create_log, positions},
};

/// Creates rows at irregular times over five hours, all of them late.
fn odd_times(source: &mut RowSource) -> Vec<EventRow> {
    (0..700_i64)
        .map(|number| {
            let offset = at("10:00:00").saturating_add_nanos(number * 7_919 % 18_000 * SECOND + number);
            let record = Record::new("x".repeat(number as usize % 50)).with("n", number.to_string());
            source.arrival(offset, at("16:00:00").saturating_add_nanos(number), record)
        })
        .collect()
}

/// Counts `from..to` in equal bins.
async fn count(store: &impl Store, from: Offset, to: Offset, bins: usize) -> Result<Histogram> {
    histogram(store, &log_id(), &Counting::new(Counting::equal_bins(from, to, bins)?)).await
}

/// Compares a histogram of `from..to` in `bins` bins with counting by hand.
async fn check_histogram(store: &impl Store, rows: &[EventRow], from: Offset, to: Offset, bins: usize) -> Result<()> {
    let found = count(store, from, to, bins).await?;
    assert!(found.is_exact && found.edge == 0 && found.next.is_none(), "{found:?}");
    assert_eq!(found.bins.len(), bins);
    assert_eq!((found.bins[0].from, found.bins[bins - 1].to), (from, to));
    assert!(found.bins.windows(2).all(|pair| pair[0].to == pair[1].from), "the bins are not contiguous");
    for bin in &found.bins {
        let by_hand = rows.iter().filter(|row| (bin.from..bin.to).contains(&row.event.position.offset)).count();
        assert_eq!(bin.count, by_hand as u64, "from {} to {}", bin.from, bin.to);
    }
    assert_eq!(found.count, found.bins.iter().map(|bin| bin.count).sum::<u64>());
    Ok(())
}

/// Returns everything that is answered from the index.
async fn index_answers(store: &impl Store) -> Result<(hourlog::read::Description, Vec<hourlog::store::BucketRow>)> {
    let index = store.buckets(&log_id(), Offset::MIN..=Offset::MAX, false, usize::MAX).await?;
    Ok((describe(store, &log_id()).await?, index))
}

pub async fn a_check_finds_every_bucket_whole(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let written = odd_times(&mut RowSource::new(log_id()));
    rows::write(store, &log_id(), &written).await?;
    store.flush().await?;
    let mut damaged = Vec::new();
    let summary = check_store(store, |finding| {
        if let Finding::Bucket(damage) = finding {
            damaged.push(damage.to_string());
        }
    });
    let summary = summary.await?;
    assert!(summary.is_whole(), "{damaged:?}");
    assert_eq!((summary.logs, summary.events), (1, 700));
    Ok(())
}

pub async fn a_histogram_matches_counting_by_hand(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let written = odd_times(&mut RowSource::new(log_id()));
    rows::write(store, &log_id(), &written).await?;
    for (from, to, bins) in [
        ("10:00:00", "15:00:00", 5),
        ("10:00:00", "15:00:00", 300),
        ("10:00:00", "15:00:00", 1),
        ("09:00:00", "18:00:00", 9),
        ("10:30:00", "11:30:00", 12),
        ("12:59:00", "13:01:00", 2),
        // None of these edges is one of the index.
        ("10:00:07", "14:59:43", 7),
        ("11:29:58.5", "11:30:01.25", 3),
        ("10:20:20", "10:21:40", 1),
        ("10:00:00", "10:10:00", 600),
        ("20:00:00", "21:00:00", 4),
        ("01:00:00", "02:00:00", 4),
    ] {
        check_histogram(store, &written, at(from), at(to), bins).await?;
    }
    let all = count(store, Offset::MIN, Offset::MAX, 7).await?;
    assert_eq!(all.count, written.len() as u64);
    Ok(())
}

pub async fn a_histogram_in_slices_equals_the_whole(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let written = odd_times(&mut RowSource::new(log_id()));
    rows::write(store, &log_id(), &written).await?;
    let mut counting = Counting::new(Counting::equal_bins(at("10:00:07"), at("10:59:43"), 600)?);
    let whole = histogram(store, &log_id(), &counting).await?;
    assert!(whole.to_read >= whole.read && whole.read > 0, "{whole:?}");
    counting.reads_max = 9;
    let (mut counts, mut slices, mut left) = (vec![0; 600], 0, whole.read);
    loop {
        let slice = histogram(store, &log_id(), &counting).await?;
        assert!(slice.read <= 9 && slice.is_exact, "{slice:?}");
        // The first slice knows how many events are left to read; that number is never too small.
        assert!(slice.to_read >= left && slice.to_read <= whole.to_read, "{left} left: {slice:?}");
        assert!(slices > 0 || slice.to_read == whole.to_read, "{slice:?}");
        slices += 1;
        left -= slice.read;
        for (count, bin) in counts.iter_mut().zip(&slice.bins) {
            *count += bin.count;
        }
        counting.after = slice.next;
        if slice.next.is_none() {
            break;
        }
    }
    assert!(slices > 5, "{slices} slices");
    assert_eq!(counts, whole.bins.iter().map(|bin| bin.count).collect::<Vec<_>>());
    Ok(())
}

pub async fn a_histogram_without_reads_says_what_it_does_not_know(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let written = odd_times(&mut RowSource::new(log_id()));
    rows::write(store, &log_id(), &written).await?;
    let (from, to) = (at("10:00:07"), at("10:59:43"));
    let edges = Counting::equal_bins(from, to, 600)?;
    let found = histogram(store, &log_id(), &Counting { reads_max: 0, exact: false, ..Counting::new(edges) }).await?;
    assert_eq!((found.is_exact, found.read, found.grain_nanos), (false, 0, 60 * SECOND));
    let exact = count(store, from, to, 600).await?;
    assert_eq!(found.to_read, exact.to_read, "the cost of exact counts is known before");
    let by_hand = written.iter().filter(|row| (from..to).contains(&row.event.position.offset)).count() as u64;
    assert!(found.edge > 0 && found.count <= by_hand && by_hand <= found.count + found.edge, "{by_hand}: {found:?}");
    Ok(())
}

pub async fn a_histogram_of_narrow_buckets_matches_counting_by_hand(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    create_log(store, &log_id(), Widths::new(Width::from_seconds(10)?)).await?;
    let written = odd_times(&mut RowSource::new(log_id()));
    rows::write(store, &log_id(), &written).await?;
    check_histogram(store, &written, at("10:00:00"), at("15:00:00"), 300).await?;
    check_histogram(store, &written, at("10:00:00"), at("15:00:00"), 1_800).await
}

pub async fn a_histogram_of_an_empty_range_is_refused(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    refused(ErrorKind::NotFound, count(store, at("10:00:00"), at("11:00:00"), 4).await);
    rows::write(store, &log_id(), &odd_times(&mut RowSource::new(log_id()))).await?;
    refused(ErrorKind::Invalid, count(store, at("10:00:00"), at("10:00:00"), 4).await);
    refused(ErrorKind::Invalid, count(store, at("11:00:00"), at("10:00:00"), 4).await);
    refused(ErrorKind::Invalid, count(store, at("10:00:00"), at("11:00:00"), 0).await);
    let one = at("10:00:00");
    assert_eq!(count(store, one, one.saturating_add_nanos(1), 60).await?.bins.len(), 1);
    Ok(())
}

pub async fn a_description_summarizes_what_was_written(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    refused(ErrorKind::NotFound, describe(store, &log_id()).await);
    let written = odd_times(&mut RowSource::new(log_id()));
    for part in written.chunks(33) {
        rows::write(store, &log_id(), part).await?;
    }
    let found = describe(store, &log_id()).await?;
    let offsets = || written.iter().map(|row| row.event.position.offset);
    assert_eq!((found.first, found.last), (offsets().min(), offsets().max()));
    assert_eq!(found.count, 700);
    assert_eq!(found.bytes, written.iter().map(|row| row.event.record.bytes() as u64).sum::<u64>());
    assert_eq!(found.buckets, 5, "the hour in which they arrived holds none of them");
    let hour = |offset: Offset| offset.nanos().div_euclid(HOUR);
    let fullest = (0..5).map(|n| offsets().filter(|o| hour(*o) == hour(at("10:00:00")) + n).count()).max();
    assert_eq!(Some(found.fullest as usize), fullest);
    assert_eq!(found.warnings, Vec::<String>::new());
    Ok(())
}

pub async fn writing_the_same_rows_again_changes_no_count(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let written = odd_times(&mut RowSource::new(log_id()));
    rows::write(store, &log_id(), &written).await?;
    let before = index_answers(store).await?;
    // All rows again, then only the last ones, then one at a time as after a crash in the middle.
    rows::write(store, &log_id(), &written).await?;
    rows::write(store, &log_id(), &written[650..]).await?;
    for row in &written[..20] {
        rows::write(store, &log_id(), std::slice::from_ref(row)).await?;
    }
    assert_eq!(index_answers(store).await?, before);
    Ok(())
}

pub async fn overlapping_writes_are_counted_once(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let written = odd_times(&mut RowSource::new(log_id()));
    // Each part with the number of distinct events so far.
    for (part, distinct) in [(0..100, 100), (50..300, 300), (0..301, 301), (10..20, 301), (299..700, 700)] {
        rows::write(store, &log_id(), &written[part]).await?;
        assert_eq!(describe(store, &log_id()).await?.count, distinct);
    }
    check_histogram(store, &written, at("10:00:00"), at("15:00:00"), 300).await
}

pub async fn redelivered_events_are_stored_once(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let written = odd_times(&mut RowSource::new(log_id()));
    for _ in 0..3 {
        rows::write(store, &log_id(), &written).await?;
    }
    let read = hourlog::read::page(store, &log_id(), &hourlog::read::Query::ALL, hourlog::Seq::MAX).await?.events;
    let mut expected = positions(&written);
    expected.sort_unstable();
    assert_eq!(read.iter().map(|event| event.position).collect::<Vec<_>>(), expected);
    Ok(())
}

pub async fn a_bucket_that_is_too_large_gives_a_warning_with_a_better_width(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let mut source = RowSource::new(log_id());
    // More than 100 MB in one hour.
    for part in 0..11 {
        let records = (0..10).map(|n| (part * 10 + n) * SECOND).map(|nanos| at("10:00:00").saturating_add_nanos(nanos));
        let large = Record::new(vec![0_u8; 1_000_000]);
        let part: Vec<EventRow> = records.map(|offset| source.arrival(offset, offset, large.clone())).collect();
        rows::write(store, &log_id(), &part).await?;
    }
    let found = describe(store, &log_id()).await?;
    let [warning] = found.warnings.as_slice() else { panic!("expected one warning, found {:?}", found.warnings) };
    assert!(warning.contains("30m"), "{warning}");
    assert_eq!(found.last, Some(at("10:00:00").saturating_add_nanos(109 * SECOND)));
    assert_eq!(found.fullest, 110);
    Ok(())
}
