//! The client of a service over an archive in a CQL database, compared with the archive in memory.

use conformance::{guards::remote_scylla as open, properties};
use hourlog::{Archive, Memory, time::system_clock};

conformance::suite!(open);

/// The number of random sequences: few, because each takes long over NATS and CQL.
const CASES: u32 = 6;

#[test]
fn random_operations_match_the_memory_archive() {
    properties::random_operations(open, &Archive::new(Memory::new(), system_clock), CASES);
}
