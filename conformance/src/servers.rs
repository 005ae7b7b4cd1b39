//! Real servers, each owned by the test that starts it: with a free port and its own directory,
//! killed on drop.

mod backups;
mod cassandra;
mod cassandra_cluster;
mod certificates;
mod disk;
mod files;
mod hourlogd;
mod identities;
mod memory;
mod nats;
mod nats_cluster;
mod process;
mod proxy;
mod recorder;
mod service;

pub use self::{
    backups::{StreamBackup, StreamMessage, StreamRestore, stream_messages},
    cassandra::CassandraNode,
    cassandra_cluster::CassandraCluster,
    certificates::Certificates,
    disk::with_small_disk,
    files::{copy_directory, replace_directory},
    hourlogd::HourlogdProcess,
    identities::{Nkey, Operator},
    memory::Memory,
    nats::{NatsOptions, NatsServer, nats_server_binary},
    nats_cluster::NatsCluster,
    process::READY_TIMEOUT,
    proxy::Proxy,
    recorder::Recorder,
    service::{Service, ServiceOptions, WAIT_MAX, archived},
};
