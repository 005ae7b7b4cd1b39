//! The archive in memory, compared with the simplest model.

use conformance::{
    counting::CountingStore,
    guard::log_id,
    guards::memory as open,
    kit::{at, names},
    plain::Plain,
    properties, store_properties,
};
use hourlog::{Archive, ArrivalCursor, Events, Log, Memory, Record, time::system_clock};

conformance::suite!(open);
conformance::store_suite!(open);

/// The number of random sequences, and of random logs.
const CASES: u32 = 64;

#[test]
fn random_operations_match_a_list() {
    properties::random_operations(open, &Plain::default(), CASES);
}

#[test]
fn random_rows_match_a_list() {
    store_properties::random_rows(open, CASES);
}

#[tokio::test]
async fn a_write_between_two_reads_of_a_page_never_appears_in_part() -> conformance::Outcome {
    let store = CountingStore::new(Memory::new());
    let archive = Archive::new(store.clone(), system_clock);
    let [mut reader, mut writer] = [archive.log(&log_id()).await?, archive.log(&log_id()).await?];
    writer.write(Record::new("zeroth").at(at("10:00:00"))).await?;
    writer.write(Record::new("first")).await?;
    let (first, after) = reader.arrivals_page(ArrivalCursor::FIRST, 10).await?;
    // The page reads on-time events first, then late ones. The write happens between the two reads.
    store.meanwhile(async move {
        let late = Record::new("late").at(at("10:00:00"));
        writer.write_many(vec![Record::new("second"), late]).await.expect("the archive in memory accepts the write");
    });
    let (some, after) = reader.arrivals_page(after, 10).await?;
    let (rest, _) = reader.arrivals_page(after, 10).await?;
    let found: Vec<String> = [first, some, rest].iter().flat_map(|events| names(events)).collect();
    assert_eq!(found, ["zeroth", "first", "second", "late"]);
    Ok(())
}
