//! What the index counts: the same as counting by hand, and unmoved by what comes again.

use hourlog::{ErrorKind, HOUR, Offset, Record, Result, Row, SECOND, Store, Width, Widths, describe, timeline};

use crate::{
    guard::{Outcome, StoreGuard, log_id},
    kit::{at, refused},
    rows::{self, Rows, make, positions},
};

/// Events at odd times over five hours, some of them late.
fn odd_times(source: &mut Rows) -> Vec<Row> {
    (0..700_i64)
        .map(|number| {
            let offset = at("10:00:00").saturating_add_nanos(number * 7_919 % 18_000 * SECOND + number);
            let record = Record::new("x".repeat(number as usize % 50)).with("n", number.to_string());
            source.arrived(offset, at("16:00:00").saturating_add_nanos(number), record)
        })
        .collect()
}

/// Compares `bins` parts of `from..to` with counting by hand.
async fn check_timeline(store: &impl Store, rows: &[Row], from: Offset, to: Offset, bins: usize) -> Result<()> {
    let found = timeline(store, &log_id(), from, to, bins).await?;
    assert_eq!(found.bins.len(), bins);
    assert_eq!((found.bins[0].from, found.bins[bins - 1].to), (from, to));
    assert!(found.bins.windows(2).all(|pair| pair[0].to == pair[1].from), "the bins leave gaps");
    for bin in &found.bins {
        let by_hand = rows.iter().filter(|row| (bin.from..bin.to).contains(&row.event.position.offset)).count();
        assert_eq!(bin.count, by_hand as u64, "from {} to {}", bin.from, bin.to);
    }
    assert_eq!(found.count, found.bins.iter().map(|bin| bin.count).sum::<u64>());
    Ok(())
}

/// Everything that the index tells.
async fn told(store: &impl Store) -> Result<(hourlog::Description, Vec<hourlog::BucketRow>)> {
    let index = store.buckets(&log_id(), Offset::MIN..=Offset::MAX, false, usize::MAX).await?;
    Ok((describe(store, &log_id()).await?, index))
}

pub async fn a_timeline_counts_as_one_counts_by_hand(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let written = odd_times(&mut Rows::new(log_id()));
    rows::write(store, &log_id(), &written).await?;
    for (from, to, bins) in [
        ("10:00:00", "15:00:00", 5),
        ("10:00:00", "15:00:00", 300),
        ("10:00:00", "15:00:00", 1),
        ("09:00:00", "18:00:00", 9),
        ("10:30:00", "11:30:00", 12),
        ("12:59:00", "13:01:00", 2),
        ("20:00:00", "21:00:00", 4),
        ("01:00:00", "02:00:00", 4),
    ] {
        check_timeline(store, &written, at(from), at(to), bins).await?;
    }
    let all = timeline(store, &log_id(), Offset::MIN, Offset::MAX, 7).await?;
    assert_eq!(all.count, written.len() as u64);
    Ok(())
}

pub async fn a_timeline_of_narrow_buckets_counts_them_whole(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    make(store, &log_id(), Widths::new(Width::from_seconds(10)?)).await?;
    let written = odd_times(&mut Rows::new(log_id()));
    rows::write(store, &log_id(), &written).await?;
    check_timeline(store, &written, at("10:00:00"), at("15:00:00"), 300).await?;
    check_timeline(store, &written, at("10:00:00"), at("15:00:00"), 1_800).await
}

pub async fn an_empty_timeline_is_refused(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    refused(ErrorKind::NotFound, timeline(store, &log_id(), at("10:00:00"), at("11:00:00"), 4).await);
    rows::write(store, &log_id(), &odd_times(&mut Rows::new(log_id()))).await?;
    refused(ErrorKind::Invalid, timeline(store, &log_id(), at("10:00:00"), at("10:00:00"), 4).await);
    refused(ErrorKind::Invalid, timeline(store, &log_id(), at("11:00:00"), at("10:00:00"), 4).await);
    refused(ErrorKind::Invalid, timeline(store, &log_id(), at("10:00:00"), at("11:00:00"), 0).await);
    Ok(())
}

pub async fn a_description_sums_up_what_was_written(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    refused(ErrorKind::NotFound, describe(store, &log_id()).await);
    let written = odd_times(&mut Rows::new(log_id()));
    for part in written.chunks(33) {
        rows::write(store, &log_id(), part).await?;
    }
    let found = describe(store, &log_id()).await?;
    let offsets = || written.iter().map(|row| row.event.position.offset);
    assert_eq!((found.first, found.last), (offsets().min(), offsets().max()));
    assert_eq!(found.count, 700);
    assert_eq!(found.bytes, written.iter().map(|row| row.event.record.bytes() as u64).sum::<u64>());
    assert_eq!(found.buckets, 5, "the hour that they came in holds none of them");
    let hour = |offset: Offset| offset.nanos().div_euclid(HOUR);
    let fullest = (0..5).map(|n| offsets().filter(|o| hour(*o) == hour(at("10:00:00")) + n).count()).max();
    assert_eq!(Some(found.fullest as usize), fullest);
    assert_eq!(found.warnings, Vec::<String>::new());
    Ok(())
}

pub async fn writing_the_same_rows_again_moves_no_count(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let written = odd_times(&mut Rows::new(log_id()));
    rows::write(store, &log_id(), &written).await?;
    let before = told(store).await?;
    // All of it again; the end of it again; and each alone, as after a crash in the middle.
    rows::write(store, &log_id(), &written).await?;
    rows::write(store, &log_id(), &written[650..]).await?;
    for row in &written[..20] {
        rows::write(store, &log_id(), std::slice::from_ref(row)).await?;
    }
    assert_eq!(told(store).await?, before);
    Ok(())
}

pub async fn what_overlaps_what_was_written_counts_once(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let written = odd_times(&mut Rows::new(log_id()));
    // What was written, and how many distinct events that makes so far.
    for (part, distinct) in [(0..100, 100), (50..300, 300), (0..301, 301), (10..20, 301), (299..700, 700)] {
        rows::write(store, &log_id(), &written[part]).await?;
        assert_eq!(describe(store, &log_id()).await?.count, distinct);
    }
    check_timeline(store, &written, at("10:00:00"), at("15:00:00"), 300).await
}

pub async fn events_that_come_again_are_there_once(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let written = odd_times(&mut Rows::new(log_id()));
    for _ in 0..3 {
        rows::write(store, &log_id(), &written).await?;
    }
    let read = hourlog::page(store, &log_id(), &hourlog::Query::ALL).await?.events;
    let mut expected = positions(&written);
    expected.sort_unstable();
    assert_eq!(read.iter().map(|event| event.position).collect::<Vec<_>>(), expected);
    Ok(())
}

pub async fn a_crowded_bucket_is_warned_of_with_the_width_that_fits(guard: impl StoreGuard) -> Outcome {
    let store = guard.store();
    let mut source = Rows::new(log_id());
    // Past 100 MB in one hour.
    for part in 0..11 {
        let records = (0..10).map(|n| (part * 10 + n) * SECOND).map(|nanos| at("10:00:00").saturating_add_nanos(nanos));
        let large = Record::new(vec![0_u8; 1_000_000]);
        let part: Vec<Row> = records.map(|offset| source.arrived(offset, offset, large.clone())).collect();
        rows::write(store, &log_id(), &part).await?;
    }
    let found = describe(store, &log_id()).await?;
    let [warning] = found.warnings.as_slice() else { panic!("one warning, not {:?}", found.warnings) };
    assert!(warning.contains("30m"), "{warning}");
    assert_eq!(found.last, Some(at("10:00:00").saturating_add_nanos(109 * SECOND)));
    assert_eq!(found.fullest, 110);
    Ok(())
}
