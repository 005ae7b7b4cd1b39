//! The tests that every log must pass, for any implementation, and real servers to run them on.
//!
//! # Map
//! - [`suite!`], [`store_suite!`]: one named test per case, over an implementation that a [`guard`] opens.
//! - [`guards`]: the implementations.
//! - [`cases`]: the cases for every log; [`store_cases`]: further cases for every archive.
//! - [`scenario`]: cases as text, in `scenarios/`.
//! - [`properties`], [`store_properties`]: random operations, compared with a model;
//!   [`plain`]: the simplest model.
//! - [`servers`]: nats-server, Cassandra and `hourlogd`, owned by the test that starts them.
//! - `chaos` (feature `chaos`): a ledger of what was sent, and a nemesis that disrupts the servers.
//! - [`trial`]: the shared parts of the trials of many requesters.
//! - [`counting`], [`rows`], [`ids`], [`kit`], [`samples`]: helpers for the cases.

pub mod cases;
#[cfg(feature = "chaos")]
pub mod chaos;
pub mod counting;
pub mod guard;
pub mod guards;
pub mod ids;
pub mod kit;
pub mod plain;
pub mod properties;
pub mod rows;
pub mod samples;
pub mod scenario;
pub mod servers;
pub mod store_cases;
pub mod store_properties;
mod suite;
pub mod trial;

pub use guard::Outcome;
