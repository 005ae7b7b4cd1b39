//! Real servers, each owned by the test that starts it: with a free port and its own directory,
//! killed on drop.

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
    process::READY_TIMEOUT,
    service::{Service, ServiceOptions, WAIT_MAX, archived},
};
