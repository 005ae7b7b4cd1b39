//! The end of the process that reads our output, as of `head` in `hourlog read x -f | head -1`.

use std::{future::pending, io, os::fd::AsFd, thread};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use tokio::sync::oneshot;

/// Waits until nobody reads stdout any more; forever if it is a file.
///
/// A write would tell, but a command that waits for events writes nothing. A thread waits instead of the runtime,
/// which would need stdout in another mode, and other processes may share it.
pub(crate) async fn wait() {
    let (tx, rx) = oneshot::channel();
    let waiting = thread::Builder::new().name("reader-gone".to_owned()).spawn(move || {
        if is_gone() {
            // The command may have ended meanwhile.
            let _ = tx.send(());
        }
    });
    // Without the thread, or when it could not wait, the next write tells.
    if waiting.is_err() || rx.await.is_err() {
        pending().await
    }
}

/// Blocks until nobody reads stdout any more. Returns false if it cannot be waited for.
fn is_gone() -> bool {
    let stdout = io::stdout();
    // Errors are reported without being asked for.
    let mut descriptors = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
    loop {
        match poll(&mut descriptors, PollTimeout::NONE) {
            Ok(_) => return true,
            Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
}
