//! Real servers, each owned by the test that starts it: with a free port and its own directory,
//! killed on drop.

mod cassandra;
mod certificates;
mod files;
mod hourlogd;
mod identities;
mod nats;
mod process;
mod recorder;
mod service;

pub use self::{
    cassandra::CassandraNode,
    certificates::Certificates,
    files::{copy_directory, replace_directory},
    hourlogd::HourlogdProcess,
    identities::{Nkey, Operator},
    nats::{NatsOptions, NatsServer, nats_server_binary},
    process::READY_TIMEOUT,
    recorder::Recorder,
    service::{Service, ServiceOptions, WAIT_MAX, archived},
};
