//! Waiting for one's turn: a lock that may be held while something is awaited, on std alone.

use std::{
    future::poll_fn,
    ops::{Deref, DerefMut},
    sync::{Mutex, PoisonError},
    task::{Poll, Waker},
};

/// A value that one task at a time may have.
#[derive(Debug)]
pub(crate) struct Turn<T>(Mutex<Inner<T>>);

#[derive(Debug)]
struct Inner<T> {
    value: Option<T>,
    waiting: Vec<Waker>,
}

impl<T> Turn<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(Inner { value: Some(value), waiting: Vec::new() }))
    }

    /// Waits until nobody else has the value.
    pub(crate) async fn take(&self) -> Taken<'_, T> {
        poll_fn(|context| {
            let mut inner = self.inner();
            match inner.value.take() {
                Some(value) => Poll::Ready(Taken { turn: self, value: Some(value) }),
                None => {
                    inner.waiting.push(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner<T>> {
        // Nothing that could panic runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The value, until it is dropped.
#[derive(Debug)]
pub(crate) struct Taken<'a, T> {
    turn: &'a Turn<T>,
    value: Option<T>,
}

impl<T> Deref for Taken<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("it is given back on drop only")
    }
}

impl<T> DerefMut for Taken<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("it is given back on drop only")
    }
}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        let mut inner = self.turn.inner();
        inner.value = self.value.take();
        // All of them, since the first may have been dropped while it waited.
        inner.waiting.drain(..).for_each(Waker::wake);
    }
}
