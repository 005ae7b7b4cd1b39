//! Real servers, each owned by the test that starts it: a free port, a directory of its own, killed on drop.

mod cassandra;
mod files;
mod hourlogd;
mod nats;
mod process;
mod service;

pub use self::{
    cassandra::CassandraNode,
    files::{copy_directory, replace_directory},
    hourlogd::HourlogdProcess,
    nats::{NatsOptions, NatsServer, nats_server_binary},
    process::READY_WITHIN,
    service::{LONG, Service, ServiceOptions, archived},
};
