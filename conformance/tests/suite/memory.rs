//! The archive in memory, against the plainest model.

use conformance::{guards::memory as open, plain::Plain, properties, store_properties};

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
