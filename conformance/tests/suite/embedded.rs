//! The archive in one directory, compared with the archive in memory.

use conformance::{
    guard::{Guard, drain},
    guards::embedded as open,
    kit::{record, refused},
    properties, store_properties,
};
use hourlog::{Archive, Embedded, ErrorKind, Log, Memory, time::system_clock};

conformance::suite!(open);
conformance::store_suite!(open);

/// The number of random sequences, and of random logs.
const CASES: u32 = 64;

#[test]
fn random_operations_match_the_memory_archive() {
    properties::random_operations(open, &Archive::new(Memory::new(), system_clock), CASES);
}

#[test]
fn random_rows_match_a_list() {
    store_properties::random_rows(open, CASES);
}

#[tokio::test]
async fn a_directory_cannot_be_opened_twice() -> conformance::Outcome {
    let guard = open().await;
    let mut log = guard.log().await?;
    log.write(record("10:00:00", "a")).await?;
    let error = refused(ErrorKind::Refused, Embedded::open(guard.path()));
    let directory = guard.path().display().to_string();
    assert!(error.to_string().contains(&directory), "{error} does not name {directory}");
    assert_eq!(drain(&mut log).await?.len(), 1, "the open archive is not affected");
    drop(log);
    let guard = guard.restart().await;
    assert_eq!(drain(&mut guard.log().await?).await?.len(), 1);
    Ok(())
}
