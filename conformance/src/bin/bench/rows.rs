//! The rows of the benchmark, one a file. Those with a database come last: it runs from the first of them on.

mod append;
mod compressed;
mod cql_ingest;
mod cql_pass_over;
mod cql_replay;
mod cql_sparse;
mod disk_json;
mod disk_random;
mod drift;
mod ingest_cpu;
mod one_log;
mod publish;
mod readable;
mod replay;
mod seek;
pub(crate) mod sleeping;

use crate::row::Row;

/// All rows, in the order of the page.
pub(crate) const ALL: [&dyn Row; 16] = [
    &ingest_cpu::IngestCpu,
    &publish::Publish,
    &replay::Replay,
    &compressed::Compressed,
    &seek::Seek,
    &one_log::OneLog,
    &disk_random::DiskRandom,
    &disk_json::DiskJson,
    &append::Append,
    &readable::Readable,
    &drift::Drift,
    &sleeping::Sleeping,
    &cql_ingest::CqlIngest,
    &cql_sparse::CqlSparse,
    &cql_replay::CqlReplay,
    &cql_pass_over::CqlPassOver,
];
