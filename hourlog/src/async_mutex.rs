//! A mutex whose guard may be held across an await, with std alone.

use std::{
    future::poll_fn,
    ops::{Deref, DerefMut},
    sync::{Mutex, PoisonError},
    task::{Poll, Waker},
};

/// A value that one task at a time can use.
#[derive(Debug)]
pub(crate) struct AsyncMutex<T>(Mutex<Inner<T>>);

#[derive(Debug)]
struct Inner<T> {
    /// `None` while a guard has it.
    value: Option<T>,
    waiting: Vec<Waker>,
}

impl<T> AsyncMutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(Inner { value: Some(value), waiting: Vec::new() }))
    }

    /// Waits until no other guard has the value.
    pub(crate) async fn lock(&self) -> AsyncMutexGuard<'_, T> {
        poll_fn(|context| {
            let mut inner = self.inner();
            match inner.value.take() {
                Some(value) => Poll::Ready(AsyncMutexGuard { mutex: self, value: Some(value) }),
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

/// The value; returned to the mutex on drop.
#[derive(Debug)]
pub(crate) struct AsyncMutexGuard<'a, T> {
    mutex: &'a AsyncMutex<T>,
    value: Option<T>,
}

impl<T> Deref for AsyncMutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("it is returned on drop only")
    }
}

impl<T> DerefMut for AsyncMutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("it is returned on drop only")
    }
}

impl<T> Drop for AsyncMutexGuard<'_, T> {
    fn drop(&mut self) {
        let mut inner = self.mutex.inner();
        inner.value = self.value.take();
        // Wake all: the first one may have been dropped while it waited.
        inner.waiting.drain(..).for_each(Waker::wake);
    }
}
