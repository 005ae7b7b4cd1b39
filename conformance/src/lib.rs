//! What every log must do, as tests that run over any implementation, and real servers to run them on.
//!
//! # Map
//! - [`suite!`], [`store_suite!`]: a named test for each case, over an implementation that a [`guard`] opens; [`guards`]: those there are.
//! - [`cases`]: what every log must do; [`store_cases`]: what every archive must do beside that.
//! - [`scenario`]: cases as text, in `scenarios/`.
//! - [`properties`], [`store_properties`]: random operations, compared with a model; [`plain`]: the plainest one.
//! - [`servers`]: a nats-server and a service, owned by the test that starts them.
//! - [`chaos`]: a ledger of what was sent, and a nemesis.
//! - [`counting`], [`rows`], [`kit`]: what the cases are written in.

pub mod cases;
pub mod chaos;
pub mod counting;
pub mod guard;
pub mod guards;
pub mod kit;
pub mod plain;
pub mod properties;
pub mod rows;
pub mod scenario;
pub mod servers;
pub mod store_cases;
pub mod store_properties;
mod suite;

pub use guard::Outcome;
