//! The client of a service over an archive in a CQL database, against the archive in memory.

use conformance::{guards::remote_scylla as open, properties};
use hourlog::{Archive, Memory, system_clock};

conformance::suite!(open);

/// Random sequences of operations: each takes a while over NATS.
const CASES: u32 = 6;

#[test]
fn random_operations_are_answered_as_memory_answers_them() {
    properties::random_operations(open, &Archive::new(Memory::new(), system_clock), CASES);
}
