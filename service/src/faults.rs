//! Faults that tests inject. Compiled only with the feature `chaos`.

use std::{path::PathBuf, sync::OnceLock};

use hourlog::{Error, ErrorKind, LogId, Result};

/// Fails a write to `log` while the file named by `HOURLOG_FAULT_FILE` exists.
///
/// Imitates an outage of some database nodes: only every second slot fails, and checkpoints are
/// still stored.
pub(crate) fn check(log: &LogId) -> Result<()> {
    static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let file = FILE.get_or_init(|| std::env::var_os("HOURLOG_FAULT_FILE").map(Into::into));
    if log.slot().is_multiple_of(2) && file.as_ref().is_some_and(|file| file.exists()) {
        return Err(Error::new(ErrorKind::Unavailable, "a test makes the archive fail"));
    }
    Ok(())
}
