//! A small disk for one process: a tmpfs in a mount namespace of its own.

use std::path::Path;

/// Returns a program and its arguments, which mounts a disk of `bytes` on `directory` and then executes
/// the command line that follows.
///
/// # Panics
/// If this is not Linux.
pub fn with_small_disk(directory: &Path, bytes: u64) -> Vec<String> {
    let mount = format!("mount -t tmpfs -o size={bytes} tmpfs {} && exec \"$@\"", directory.display());
    // Without root, a user namespace maps the user to root.
    let unshare =
        if is_root() { vec!["unshare", "--mount"] } else { vec!["unshare", "--user", "--map-root-user", "--mount"] };
    unshare.into_iter().chain(["sh", "-c", &mount, "sh"]).map(str::to_owned).collect()
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").expect("this is Linux").uid() == 0
}
