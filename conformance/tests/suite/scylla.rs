//! The archive in a CQL database, against the archive in memory.

use conformance::{guards::scylla as open, properties, store_properties};
use hourlog::{Archive, Memory, system_clock};

conformance::suite!(open);
conformance::store_suite!(open);

/// Random sequences of operations, and random archives: each takes a while over CQL.
const CASES: u32 = 12;

#[test]
fn random_operations_are_answered_as_memory_answers_them() {
    properties::random_operations(open, &Archive::new(Memory::new(), system_clock), CASES);
}

#[test]
fn random_rows_are_found_as_in_a_list() {
    store_properties::random_rows(open, CASES);
}
