//! `hourlogd`: reads its settings, runs the service until it is told to stop, and says how it went.

use std::process::ExitCode;

use clap::Parser;
use hourlog::{Embedded, Memory, Scylla, Store};
use hourlogd::{Options, Settings, StoreUrl, exit_code, start, telemetry};
use tokio::signal::unix::{SignalKind, signal};

/// Most of what an event costs is memory that one thread takes and another gives back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(cause = std::error::Error::source(&error).map(ToString::to_string), "{error}");
            exit_code(&error)
        }
    }
}

async fn run(options: Options) -> hourlog::Result<()> {
    telemetry::trace(options.trace.as_deref());
    // The database's driver brings another one along, and then NATS would not know which to take.
    #[cfg(feature = "cql-tls")]
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = options.with_file()?;
    match options.store()? {
        StoreUrl::File(directory) => {
            let archive = Embedded::open(directory)?;
            if let Some(missing) = archive.missing() {
                tracing::error!(
                    %missing,
                    "the archive has lost what it had acknowledged; reading the stream again from its oldest message"
                );
            }
            serve(options.settings(), archive).await
        }
        StoreUrl::Scylla(url) => {
            let archive = Scylla::open(&url, options.migrate).await?;
            serve(options.settings(), archive).await
        }
        StoreUrl::Memory => serve(options.settings(), Memory::new()).await,
    }
}

async fn serve<S: Store>(settings: Settings, store: S) -> hourlog::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).expect("the process may listen for signals");
    let mut running = tokio::select! {
        running = start(settings, store) => running?,
        _ = terminate.recv() => return Ok(()),
        _ = tokio::signal::ctrl_c() => return Ok(()),
    };
    tokio::select! {
        stopped = running.stopped() => return stopped,
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    running.stop().await
}
