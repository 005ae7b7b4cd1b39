//! An archive that fails when a test says so. Without the feature `chaos` it never does so on purpose.

use hourlog::{LogId, Result};

/// An error while a test has the archive fail for `log`: the file that `HOURLOG_FAULT_FILE` names is there. As when some of
/// the nodes are away that hold the partitions: of two slots one fails, and the places of sources are still stored.
#[cfg(feature = "chaos")]
pub(crate) fn check(log: &LogId) -> Result<()> {
    use hourlog::{Error, ErrorKind};
    static FILE: std::sync::OnceLock<Option<std::path::PathBuf>> = std::sync::OnceLock::new();
    let file = FILE.get_or_init(|| std::env::var_os("HOURLOG_FAULT_FILE").map(Into::into));
    if log.slot().is_multiple_of(2) && file.as_ref().is_some_and(|file| file.exists()) {
        return Err(Error::new(ErrorKind::Unavailable, "a test has the archive fail"));
    }
    Ok(())
}

/// No error.
#[cfg(not(feature = "chaos"))]
pub(crate) fn check(_: &LogId) -> Result<()> {
    Ok(())
}
