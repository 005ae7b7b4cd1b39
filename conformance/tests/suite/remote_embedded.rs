//! The client of a service over an embedded archive, compared with the archive in memory.

use conformance::{
    guard::{Guard, log_id},
    guards::remote_embedded as open,
    kit::refused,
    properties,
};
use hourlog::{Archive, ArrivalCursor, ErrorKind, Log, Memory, store::Store, time::system_clock};

conformance::suite!(open);

/// The number of random sequences: few, because each takes long over NATS.
const CASES: u32 = 12;

#[test]
fn random_operations_match_the_memory_archive() {
    properties::random_operations(open, &Archive::new(Memory::new(), system_clock), CASES);
}

#[tokio::test]
async fn reading_an_unknown_log_creates_nothing_in_the_archive() -> conformance::Outcome {
    let guard = open().await;
    let mut log = guard.log().await?;
    refused(ErrorKind::NotFound, log.read().await);
    refused(ErrorKind::NotFound, log.seek(hourlog::Offset::MIN).await);
    refused(ErrorKind::NotFound, log.arrivals_page(ArrivalCursor::FIRST, 1).await);
    assert_eq!(guard.store().log(&log_id()).await?, None);
    assert_eq!(guard.store().logs(None, 10).await?, []);
    Ok(())
}
