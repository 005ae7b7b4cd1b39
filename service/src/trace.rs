//! Traces: where they go, and how an error reads in them.

use std::io::IsTerminal;

/// Starts tracing to standard error, with colors on a terminal and without them elsewhere.
///
/// Takes the filter from `RUST_LOG` if `filter` is `None`.
pub fn init(filter: Option<&str>) {
    use tracing_subscriber::EnvFilter;
    let filter = match filter {
        Some(filter) => EnvFilter::new(filter),
        None => EnvFilter::try_from_default_env()
            .unwrap_or_else(|_| EnvFilter::new("info,async_nats=warn,fjall=warn,lsm_tree=warn")),
    };
    let traces = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A subscriber that is set already (a test's) stays.
    let _ = if std::io::stderr().is_terminal() { traces.try_init() } else { traces.with_ansi(false).try_init() };
}

/// Returns an error and all of its causes as one sentence.
pub(crate) fn sentence(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    std::iter::once(error.to_string()).chain(causes.map(ToString::to_string)).collect::<Vec<_>>().join(": ")
}
