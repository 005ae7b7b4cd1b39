//! `hourlogd`: reads its settings, runs the service until a signal stops it, and exits with a code.

use std::{process::ExitCode, time::Duration};

use hourlog::{Embedded, Memory, Scylla, store::Store};
use hourlogd::{Options, Request, Settings, StoreUrl, maintenance, open_files, start, trace};
use tokio::signal::unix::{SignalKind, signal};

/// Most of the cost of an event is memory that one thread allocates and another frees.
/// mimalloc is fast at that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Number of threads that read the archive, at most. Each keeps memory of its own, and neither a disk
/// nor a few cores read faster with more.
const READING_THREADS_MAX: usize = 32;

/// Longest time until a stopped service has closed its archive, and the reads under way have ended. An archive that is
/// not closed has lost nothing: its journals are read at the next start.
const CLOSE_MAX: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().max_blocking_threads(READING_THREADS_MAX).on_thread_park(hourlog::heap::collect);
    let runtime = builder.build().expect("a process can start threads");
    let code = runtime.block_on(run_process());
    runtime.shutdown_timeout(CLOSE_MAX);
    code
}

async fn run_process() -> ExitCode {
    let options = match Options::from_process() {
        Some(Request::Service(options)) => *options,
        Some(Request::Maintenance(subcommand, options)) => return maintenance::run(subcommand, *options).await,
        None => return ExitCode::SUCCESS,
    };
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(cause = std::error::Error::source(&error).map(ToString::to_string), "{error}");
            ExitCode::from(error.kind().exit_code())
        }
    }
}

async fn run(options: Options) -> hourlog::Result<()> {
    let given = options.trace.clone();
    let options = options.with_file();
    trace::init(options.as_ref().map_or(given.as_deref(), |options| options.trace.as_deref()));
    open_files::raise_limit();
    let options = options?;
    match options.store()? {
        StoreUrl::File(directory) => {
            let archive = Embedded::open(directory)?;
            if let Some(missing) = archive.missing() {
                tracing::error!(
                    %missing,
                    "the archive has lost acknowledged writes; reading the stream again from its oldest message"
                );
            }
            serve(options.settings()?, archive).await
        }
        StoreUrl::Scylla(url) => {
            let archive = Scylla::open(&url, options.migrate).await?;
            for warning in archive.warnings() {
                tracing::warn!("{warning}");
            }
            serve(options.settings()?, archive).await
        }
        StoreUrl::Memory => serve(options.settings()?, Memory::new()).await,
    }
}

async fn serve<S: Store>(settings: Settings, store: S) -> hourlog::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).expect("a process can handle SIGTERM");
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
    tracing::info!("stopping");
    running.stop().await
}
