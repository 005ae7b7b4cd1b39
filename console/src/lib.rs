//! The command line of Hourlog, and the console.
//!
//! # Map
//! - [`cli`]: what can be typed, one file a subcommand; [`session`]: what a running command has at hand.
//! - [`tui`]: the console, which opens where no subcommand is typed.
//! - [`connect`] and [`contexts`]: how to reach NATS. [`when`]: times as people write them.
//! - [`output`]: all that is printed. [`sanitize`]: text from outside, made safe to show. [`exit`]: how a command ends.

pub mod cli;
pub mod connect;
pub mod contexts;
pub mod exit;
pub mod output;
pub mod sanitize;
pub mod session;
pub mod tui;
pub mod when;
