//! Tests of the service as its users see it: a separate process over a real nats-server.

#[path = "service/accounts.rs"]
mod accounts;
#[path = "service/cql.rs"]
mod cql;
#[path = "service/crash.rs"]
mod crash;
#[cfg(target_os = "linux")]
#[path = "service/disk.rs"]
mod disk;
#[path = "service/endpoints.rs"]
mod endpoints;
#[path = "service/forks.rs"]
mod forks;
#[path = "service/guarantees.rs"]
mod guarantees;
#[path = "service/http.rs"]
mod http;
#[path = "service/kit.rs"]
mod kit;
#[path = "service/life.rs"]
mod life;
#[path = "service/login.rs"]
mod login;
#[cfg(target_os = "linux")]
#[path = "service/memory.rs"]
mod memory;
#[path = "service/once.rs"]
mod once;
#[path = "service/payloads.rs"]
mod payloads;
#[path = "service/poison.rs"]
mod poison;
#[path = "service/protocol.rs"]
mod protocol;
#[path = "service/refusals.rs"]
mod refusals;
#[path = "service/wal.rs"]
mod wal;
