//! The archive in one directory, against the archive in memory.

use conformance::{
    guard::{Guard, drain},
    guards::embedded as open,
    kit::{record, refused},
    properties, store_properties,
};
use hourlog::{Archive, Embedded, ErrorKind, Log, Memory, system_clock};

conformance::suite!(open);
conformance::store_suite!(open);

/// Random sequences of operations, and random archives.
const CASES: u32 = 64;

#[test]
fn random_operations_are_answered_as_memory_answers_them() {
    properties::random_operations(open, &Archive::new(Memory::new(), system_clock), CASES);
}

#[test]
fn random_rows_are_found_as_in_a_list() {
    store_properties::random_rows(open, CASES);
}

#[tokio::test]
async fn a_directory_is_open_once_at_a_time() -> conformance::Outcome {
    let guard = open().await;
    let mut log = guard.log().await?;
    log.write(record("10:00:00", "a")).await?;
    let error = refused(ErrorKind::Refused, Embedded::open(guard.path()));
    let directory = guard.path().display().to_string();
    assert!(error.to_string().contains(&directory), "{error} does not name {directory}");
    assert_eq!(drain(&mut log).await?.len(), 1, "the one that has it goes on");
    drop(log);
    let guard = guard.restart().await;
    assert_eq!(drain(&mut guard.log().await?).await?.len(), 1);
    Ok(())
}
