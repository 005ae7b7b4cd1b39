//! The guards of all implementations.

mod embedded;
mod memory;
mod remote;
mod scylla;

pub use self::{
    embedded::{InDirectory, embedded},
    memory::{InMemory, memory},
    remote::{OverNats, remote_embedded, remote_scylla},
    scylla::{InKeyspace, TableCounts, empty, new_keyspace, scylla, session},
};
