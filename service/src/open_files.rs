//! The process's limit of open files.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Limit below which the service warns. It works with fewer, and reopens files more often.
const FILES_MIN: u64 = 1_024;
/// Highest limit to raise to. Some systems have no hard limit, and refuse a very high one.
const FILES_MAX: u64 = 1 << 20;

/// Raises the soft limit to the hard one. Many systems start with 1,024 files, for programs that know no more.
pub fn raise_limit() {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    let wanted = hard.min(FILES_MAX);
    if soft < wanted
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)
    {
        tracing::warn!(soft, hard, %error, "the limit of open files cannot be raised");
    }
    let limit = limit();
    if limit < FILES_MIN {
        tracing::warn!(limit, "few open files are allowed; raise nofile (LimitNOFILE) to {FILES_MIN} or more");
    }
}

/// Returns the limit of open files.
pub(crate) fn limit() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft)
}
