//! A server's files, copied and put back.

use std::{path::Path, process::Command};

/// Copies what is in the directory `from` into the directory `to`, which is made if it is not there.
///
/// # Panics
/// Where that does not work.
pub fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("it can be made");
    let copied = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status();
    assert!(copied.expect("cp runs").success(), "{} is not copied", from.display());
}

/// Puts what is in the directory `from` in the place of what is in the directory `to`.
///
/// # Panics
/// Where that does not work.
pub fn replace_directory(from: &Path, to: &Path) {
    std::fs::remove_dir_all(to).expect("it can be removed");
    copy_directory(from, to);
}
