//! How a signal stops a command: at once, but never in the middle of a step that must be complete.

use std::{pin::pin, time::Duration};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{exit::Failure, session::Session};

/// The longest wait for such a step, such as storing a cursor while the service is restarting.
const STEP_MAX: Duration = Duration::from_secs(5);

/// Runs a command until it ends, a signal stops it, or the server denies something.
pub(super) async fn until_stopped(
    session: &Session,
    command: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    // A command needs everything it asks for, so any denial ends it.
    let mut command = pin!(session.denials.unless(None, command));
    let mut signals = [SignalKind::interrupt(), SignalKind::terminate()].map(|kind| signal(kind).ok());
    tokio::select! {
        biased;
        result = &mut command => return result,
        () = stopped(&mut signals) => {}
    }
    tokio::select! {
        biased;
        _guard = session.uninterrupted() => {}
        result = &mut command => return result,
        () = stopped(&mut signals) => {}
        () = tokio::time::sleep(STEP_MAX) => {}
    }
    Err(Failure::Interrupted)
}

/// Waits for Ctrl-C or SIGTERM.
async fn stopped([interrupt, terminate]: &mut [Option<Signal>; 2]) {
    tokio::select! {
        () = received(interrupt) => {}
        () = received(terminate) => {}
    }
}

/// Waits for a signal; without a handler, forever.
async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}
