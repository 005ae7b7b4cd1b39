//! What was handed out in parts is done when each part is: told once, with whether all of them went well.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering::Relaxed},
};

/// A part of something. A clone is another part of it. One that is dropped before it is [archived](Self::archived) has failed.
pub(crate) struct Share {
    whole: Arc<Whole>,
    archived: bool,
}

struct Whole {
    failed: AtomicBool,
    ended: Mutex<Option<Ended>>,
}

type Ended = Box<dyn FnOnce(bool) + Send>;

impl Share {
    /// The first part of a whole. When there is no part left, `ended` is told whether all of them were archived.
    pub(crate) fn of(ended: impl FnOnce(bool) + Send + 'static) -> Self {
        let ended: Ended = Box::new(ended);
        let whole = Whole { failed: AtomicBool::new(false), ended: Mutex::new(Some(ended)) };
        Self { whole: Arc::new(whole), archived: false }
    }

    /// This part is archived.
    pub(crate) fn archived(mut self) {
        self.archived = true;
    }
}

impl Clone for Share {
    fn clone(&self) -> Self {
        Self { whole: Arc::clone(&self.whole), archived: false }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if !self.archived {
            self.whole.failed.store(true, Relaxed);
        }
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        let failed = *self.failed.get_mut();
        if let Some(ended) = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            ended(!failed);
        }
    }
}

impl std::fmt::Debug for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Share").field("archived", &self.archived).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_whole_ends_with_its_last_part_and_fails_with_any() {
        for failing in [None, Some(1)] {
            let (told, ended) = mpsc::sync_channel(1);
            let first = Share::of(move |whole| told.send(whole).expect("somebody listens"));
            let others = [first.clone(), first.clone()];
            first.archived();
            for (at, share) in others.into_iter().enumerate() {
                assert!(ended.try_recv().is_err(), "it ended before its last part");
                if failing != Some(at) {
                    share.archived();
                }
            }
            assert_eq!(ended.try_recv(), Ok(failing.is_none()));
        }
    }
}
