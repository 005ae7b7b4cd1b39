//! The whole suite, for every implementation.

#[path = "suite/damage.rs"]
mod damage;
#[path = "suite/embedded.rs"]
mod embedded;
#[path = "suite/memory.rs"]
mod memory;
#[path = "suite/remote_embedded.rs"]
mod remote_embedded;
#[path = "suite/remote_scylla.rs"]
mod remote_scylla;
#[path = "suite/scylla.rs"]
mod scylla;
#[path = "suite/servers.rs"]
mod servers;
