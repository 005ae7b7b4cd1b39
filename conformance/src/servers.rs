//! Real servers, each owned by the test that starts it: a free port, a directory of its own, killed on drop.

mod hourlogd;
mod nats;
mod process;

pub use self::{
    hourlogd::HourlogdProcess,
    nats::{NatsOptions, NatsServer, nats_server_binary},
    process::READY_WITHIN,
};
