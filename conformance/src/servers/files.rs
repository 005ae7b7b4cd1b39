//! Copies of a server's directory.

use std::{path::Path, process::Command};

/// Copies the content of the directory `from`, which nothing changes meanwhile, into `to`, which is created if needed.
///
/// # Panics
/// If that fails.
pub fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("the directory can be created");
    let copied = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status();
    assert!(copied.expect("cp is installed").success(), "cannot copy {}", from.display());
}

/// Replaces the content of the directory `to` by that of `from`.
///
/// # Panics
/// If that fails.
pub fn replace_directory(from: &Path, to: &Path) {
    std::fs::remove_dir_all(to).expect("the directory can be deleted");
    copy_directory(from, to);
}
