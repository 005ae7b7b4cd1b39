//! Tests of the service as its users see it: a separate process over a real nats-server.

#[path = "service/accounts.rs"]
mod accounts;
#[path = "service/admin.rs"]
mod admin;
#[path = "service/appends.rs"]
mod appends;
#[path = "service/clocks.rs"]
mod clocks;
#[path = "service/compressed.rs"]
mod compressed;
#[path = "service/cql.rs"]
mod cql;
#[path = "service/cql_cuts.rs"]
mod cql_cuts;
#[path = "service/cql_setup.rs"]
mod cql_setup;
#[path = "service/crash.rs"]
mod crash;
#[path = "service/cursors.rs"]
mod cursors;
#[path = "service/damage.rs"]
mod damage;
#[cfg(target_os = "linux")]
#[path = "service/disk.rs"]
mod disk;
#[path = "service/endpoints.rs"]
mod endpoints;
#[path = "service/failover.rs"]
mod failover;
#[path = "service/fairness.rs"]
mod fairness;
#[path = "service/filters.rs"]
mod filters;
#[path = "service/forks.rs"]
mod forks;
#[path = "service/guarantees.rs"]
mod guarantees;
#[path = "service/header_case.rs"]
mod header_case;
#[path = "service/http.rs"]
mod http;
#[path = "service/ids.rs"]
mod ids;
#[path = "service/instances.rs"]
mod instances;
#[path = "service/kit.rs"]
mod kit;
#[path = "service/life.rs"]
mod life;
#[path = "service/login.rs"]
mod login;
#[path = "service/looking.rs"]
mod looking;
#[path = "service/maintenance.rs"]
mod maintenance;
#[cfg(target_os = "linux")]
#[path = "service/memory.rs"]
mod memory;
#[path = "service/merges.rs"]
mod merges;
#[path = "service/neighbours.rs"]
mod neighbours;
#[path = "service/once.rs"]
mod once;
#[cfg(target_os = "linux")]
#[path = "service/open_files.rs"]
mod open_files;
#[path = "service/pages.rs"]
mod pages;
#[path = "service/payloads.rs"]
mod payloads;
#[path = "service/poison.rs"]
mod poison;
#[path = "service/protocol.rs"]
mod protocol;
#[path = "service/receipts.rs"]
mod receipts;
#[path = "service/recent.rs"]
mod recent;
#[path = "service/refusals.rs"]
mod refusals;
#[path = "service/removed.rs"]
mod removed;
#[path = "service/restores.rs"]
mod restores;
#[path = "service/retention.rs"]
mod retention;
#[path = "service/set_back.rs"]
mod set_back;
#[path = "service/silence.rs"]
mod silence;
#[path = "service/sources.rs"]
mod sources;
#[path = "service/status.rs"]
mod status;
#[path = "service/tls.rs"]
mod tls;
#[path = "service/two_archives.rs"]
mod two_archives;
#[path = "service/wal.rs"]
mod wal;
