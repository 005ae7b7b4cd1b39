//! The `hourlog` command line and the terminal console.
//!
//! # Map
//! - [`cli`]: the command line, one file per subcommand. [`session`]: the state of one running
//!   command.
//! - [`tui`]: the console. It opens when `hourlog` runs without a subcommand.
//! - [`export`] and [`replay`]: what the command line and the console share of writing events to a file, and of sending them
//!   again. `publisher`: publishing in order. `arrival`: where readers in arrival order begin. `rate`: a limit of events a second.
//!   `again`: the metadata of events that are sent again.
//! - [`connect`] and [`contexts`]: the connection to NATS. [`when`]: times as people write them.
//! - [`output`]: everything that is printed. `progress`: progress bars. [`sanitize`]: untrusted
//!   text, made safe to show. `shell`: commands to paste. [`typed`]: the command line, to be repeated.
//!   `reader_gone`: the end of the process behind the pipe. [`exit`]: failures and exit codes.

mod again;
mod arrival;
pub mod cli;
pub mod connect;
pub mod contexts;
pub mod exit;
pub mod export;
pub mod output;
mod progress;
mod publisher;
mod rate;
mod reader_gone;
pub mod replay;
pub mod sanitize;
pub mod session;
mod shell;
pub mod tui;
pub mod typed;
pub mod when;
