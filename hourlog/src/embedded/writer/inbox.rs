//! The writes that wait for the writing thread.

use std::time::Duration;

use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, error::TryRecvError, unbounded_channel},
    time::timeout,
};

use crate::{Error, ErrorKind, Result};

/// The receiving side of the writing thread.
pub(in crate::embedded) struct Inbox<T> {
    requests: UnboundedReceiver<T>,
    /// Waits with a time limit.
    runtime: Runtime,
}

/// The outcome of waiting.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<T> {
    Write(T),
    /// Nothing was received in the time.
    Pause,
    /// Every sender is dropped.
    End,
}

impl<T> Inbox<T> {
    /// Returns an inbox, with its sender.
    #[expect(
        clippy::disallowed_methods,
        reason = "a log queues one write at a time, and other writers wait for the outcome of theirs"
    )]
    pub(in crate::embedded) fn with_sender() -> Result<(UnboundedSender<T>, Self)> {
        let runtime = Builder::new_current_thread().enable_time().build().map_err(|error| {
            Error::new(ErrorKind::Unavailable, "cannot start the archive's thread; check its limits").because(error)
        })?;
        let (sender, requests) = unbounded_channel();
        Ok((sender, Self { requests, runtime }))
    }

    /// Waits for a write, at most for this time.
    pub(super) fn next(&mut self, wait_max: Option<Duration>) -> Next<T> {
        let received = match (self.requests.try_recv(), wait_max) {
            (Ok(request), _) => Some(request),
            (Err(TryRecvError::Disconnected), _) => None,
            (Err(TryRecvError::Empty), None) => self.requests.blocking_recv(),
            (Err(TryRecvError::Empty), Some(wait_max)) => {
                match self.runtime.block_on(async { timeout(wait_max, self.requests.recv()).await }) {
                    Ok(received) => received,
                    Err(_) => return Next::Pause,
                }
            }
        };
        received.map_or(Next::End, Next::Write)
    }

    /// Returns a write that waits already.
    pub(super) fn waiting(&mut self) -> Option<T> {
        self.requests.try_recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_come_in_order_and_a_wait_has_an_end() {
        let (sender, mut inbox) = Inbox::with_sender().expect("a thread can wait");
        (1..=3).for_each(|number| sender.send(number).expect("the inbox is there"));
        assert_eq!((inbox.next(None), inbox.waiting()), (Next::Write(1), Some(2)));
        assert_eq!(inbox.next(Some(Duration::MAX)), Next::Write(3));
        assert_eq!(inbox.next(Some(Duration::from_millis(1))), Next::Pause);
        let later = std::thread::spawn(move || sender.send(4).expect("the inbox is there"));
        assert_eq!((inbox.next(None), inbox.next(Some(Duration::from_secs(600)))), (Next::Write(4), Next::End));
        later.join().expect("the write is sent");
    }
}
