//! The archive in memory, against the plainest model.

use conformance::{
    counting::Counting,
    guard::log_id,
    guards::memory as open,
    kit::{at, names},
    plain::Plain,
    properties, store_properties,
};
use hourlog::{Archive, Arrival, Events, Log, Memory, Record, system_clock};

conformance::suite!(open);
conformance::store_suite!(open);

/// Random sequences of operations, and random archives.
const CASES: u32 = 64;

#[test]
fn random_operations_are_answered_as_a_list_answers_them() {
    properties::random_operations(open, &Plain::default(), CASES);
}

#[test]
fn random_rows_are_found_as_in_a_list() {
    store_properties::random_rows(open, CASES);
}

#[tokio::test]
async fn a_write_between_two_reads_of_a_page_is_not_on_it_in_part() -> conformance::Outcome {
    let store = Counting::new(Memory::new());
    let archive = Archive::new(store.clone(), system_clock);
    let [mut reader, mut writer] = [archive.log(&log_id()).await?, archive.log(&log_id()).await?];
    writer.write(Record::new("zeroth").at(at("10:00:00"))).await?;
    writer.write(Record::new("first")).await?;
    let (first, after) = reader.follow(Arrival::FIRST, 10).await?;
    // The page reads the events that came at their own time first, then those that came late.
    store.meanwhile(async move {
        let late = Record::new("late").at(at("10:00:00"));
        writer.write_many(vec![Record::new("second"), late]).await.expect("memory takes it");
    });
    let (some, after) = reader.follow(after, 10).await?;
    let (rest, _) = reader.follow(after, 10).await?;
    let found: Vec<String> = [first, some, rest].iter().flat_map(|events| names(events)).collect();
    assert_eq!(found, ["zeroth", "first", "second", "late"]);
    Ok(())
}
