//! Open files: the archive's share of the process's limit, and the error when there are no more.

use std::{error, fs::File, io, path::Path};

use nix::{
    errno::Errno,
    sys::resource::{Resource, getrlimit},
};

use crate::{Error, ErrorKind, Result};

/// The files that the process keeps open beside the cached ones: connections, journals, and the tables that
/// a compaction reads and writes.
const FILES_OF_OTHERS: u64 = 128;
/// The fewest and the most files of tables that stay open. Opening one takes some microseconds.
const CACHED: (u64, u64) = (16, 900);
/// The files that must be free before the tables are reopened.
const FREE_MIN: usize = 32;

/// Returns the number of files of tables that may stay open.
pub(super) fn cached_max() -> usize {
    cached_of(limit())
}

fn cached_of(limit: u64) -> usize {
    (limit.saturating_sub(FILES_OF_OTHERS) / 2).clamp(CACHED.0, CACHED.1) as usize
}

/// Returns the error for `cause` if it means that there are no more open files.
pub(super) fn exhausted(cause: &io::Error) -> Option<Error> {
    let context = match Errno::from_raw(cause.raw_os_error()?) {
        Errno::EMFILE => format!("no more open files: raise nofile (LimitNOFILE), now {}", limit()),
        Errno::ENFILE => "no more open files in the whole system: raise fs.file-max, or stop other programs".to_owned(),
        _ => return None,
    };
    Some(Error::new(ErrorKind::Unavailable, context))
}

/// Checks that the process may open enough files to reopen the tables of the archive in `directory`.
///
/// # Errors
/// [`ErrorKind::Unavailable`] if not.
pub(super) fn check_free(directory: &Path) -> Result<()> {
    let opened: io::Result<Vec<File>> = (0..FREE_MIN).map(|_| File::open(directory)).collect();
    match opened.as_ref().err().and_then(exhausted) {
        Some(error) => Err(error),
        // Another failure shows when the tables are opened.
        None => Ok(()),
    }
}

/// Returns the failed operation of the system that caused `error`, if one did.
pub(super) fn io_cause<'a>(error: &'a (dyn error::Error + 'static)) -> Option<&'a io::Error> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
}

/// Returns the process's limit of open files.
fn limit() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cached_files_leave_room_for_others() {
        assert_eq!([20, 200, 1_024, 20_000, u64::MAX].map(cached_of), [16, 36, 448, 900, 900]);
    }

    #[test]
    fn running_out_of_files_is_called_that() {
        let text = |errno: Errno| exhausted(&errno.into()).map(|error| error.to_string()).unwrap_or_default();
        assert!(text(Errno::EMFILE).starts_with("no more open files: raise nofile (LimitNOFILE), now "));
        assert!(text(Errno::ENFILE).starts_with("no more open files in the whole system"));
        assert_eq!(text(Errno::ENOSPC), "");
        let storage = fjall::Error::from(io::Error::from(Errno::EMFILE));
        assert!(io_cause(&storage).and_then(exhausted).is_some());
    }
}
