//! Completion of a chunk that was handed out in parts.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering::Relaxed},
};

/// A guard for one part of a chunk. A clone guards another part. Once every guard has been dropped,
/// a callback runs and learns whether all parts were archived. A guard that is dropped before
/// [`archived`](Self::archived) counts as failed.
pub(crate) struct CompletionGuard {
    chunk: Arc<Chunk>,
    archived: bool,
}

struct Chunk {
    failed: AtomicBool,
    on_completion: Mutex<Option<OnCompletion>>,
}

type OnCompletion = Box<dyn FnOnce(bool) + Send>;

impl CompletionGuard {
    /// Returns the first guard of a chunk. `on_completion` is called with true if all parts were
    /// archived.
    pub(crate) fn new(on_completion: impl FnOnce(bool) + Send + 'static) -> Self {
        let on_completion: OnCompletion = Box::new(on_completion);
        let chunk = Chunk { failed: AtomicBool::new(false), on_completion: Mutex::new(Some(on_completion)) };
        Self { chunk: Arc::new(chunk), archived: false }
    }

    /// Reports this part as archived.
    pub(crate) fn archived(mut self) {
        self.archived = true;
    }
}

impl Clone for CompletionGuard {
    fn clone(&self) -> Self {
        Self { chunk: Arc::clone(&self.chunk), archived: false }
    }
}

impl Drop for CompletionGuard {
    fn drop(&mut self) {
        if !self.archived {
            self.chunk.failed.store(true, Relaxed);
        }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let failed = *self.failed.get_mut();
        if let Some(on_completion) = self.on_completion.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            on_completion(!failed);
        }
    }
}

impl std::fmt::Debug for CompletionGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompletionGuard").field("archived", &self.archived).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn the_callback_runs_after_the_last_guard_and_reports_any_failure() {
        for failing in [None, Some(1)] {
            let (sender, completed) = mpsc::sync_channel(1);
            let first = CompletionGuard::new(move |complete| sender.send(complete).expect("the test receives it"));
            let others = [first.clone(), first.clone()];
            first.archived();
            for (index, guard) in others.into_iter().enumerate() {
                assert!(completed.try_recv().is_err(), "the callback ran before the last guard was dropped");
                if failing != Some(index) {
                    guard.archived();
                }
            }
            assert_eq!(completed.try_recv(), Ok(failing.is_none()));
        }
    }
}
