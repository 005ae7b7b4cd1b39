//! Real servers, each owned by the test that starts it: with a free port and its own directory,
//! killed on drop.

mod backups;
mod cassandra;
mod certificates;
mod disk;
mod files;
mod hourlogd;
mod identities;
mod nats;
mod process;
mod proxy;
mod recorder;
mod service;

pub use self::{
    backups::{StreamBackup, StreamMessage, StreamRestore, stream_messages},
    cassandra::CassandraNode,
    certificates::Certificates,
    disk::with_small_disk,
    files::{copy_directory, replace_directory},
    hourlogd::HourlogdProcess,
    identities::{Nkey, Operator},
    nats::{NatsOptions, NatsServer, nats_server_binary},
    process::READY_TIMEOUT,
    proxy::Proxy,
    recorder::Recorder,
    service::{Service, ServiceOptions, WAIT_MAX, archived},
};
