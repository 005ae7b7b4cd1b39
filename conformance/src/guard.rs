//! Guards: an opened implementation with everything that must live as long as it does.

use std::future::Future;

use hourlog::{Events, Log, LogId, Result, store::Store};

/// An opened implementation. Owns its directory, server or service, and cleans up on drop.
pub trait Guard: Sized {
    /// The implementation under test.
    type Events: Events;

    /// Returns the implementation under test.
    fn events(&self) -> &Self::Events;

    /// Stops everything that can be stopped, and opens it again on its stored data.
    fn restart(self) -> impl Future<Output = Self>;

    /// Opens a handle on the log of the cases. Each case has its own archive, so one id is enough.
    fn log(&self) -> impl Future<Output = Result<<Self::Events as Events>::Log>> {
        async { self.events().log(&log_id()).await }
    }
}

/// An opened [`Store`].
pub trait StoreGuard: Guard {
    /// The store under test.
    type Store: Store;

    /// Returns the store under test.
    fn store(&self) -> &Self::Store;
}

/// Returns the id of the log that the cases use.
pub fn log_id() -> LogId {
    "orders.eu".parse().expect("the id of the cases is valid")
}

/// The result of a case. An error of the log fails the test.
pub type Outcome = Result<()>;

/// The type of handle that a guard opens.
pub type LogOf<G> = <<G as Guard>::Events as Events>::Log;

/// Reads every event from the position of `log` to the end.
///
/// # Errors
/// Those of [`Log::read_many`].
pub async fn drain(log: &mut impl Log) -> Result<Vec<hourlog::Event>> {
    take(log, usize::MAX).await
}

/// Reads the next `count` events, or fewer at the end of the log.
///
/// # Errors
/// Those of [`Log::read_many`].
pub async fn take(log: &mut impl Log, count: usize) -> Result<Vec<hourlog::Event>> {
    let mut events = Vec::new();
    while events.len() < count {
        let some = log.read_many((count - events.len()).min(PAGE)).await?;
        if some.is_empty() {
            break;
        }
        events.extend(some);
    }
    Ok(events)
}

/// Reads the next `count` events after `after` in arrival order, or fewer at the end, and returns
/// the next cursor.
///
/// # Errors
/// Those of [`Log::arrivals_page`].
pub async fn take_arrived(
    log: &mut impl Log,
    mut after: hourlog::ArrivalCursor,
    count: usize,
) -> Result<(Vec<hourlog::Event>, hourlog::ArrivalCursor)> {
    let mut events = Vec::new();
    while events.len() < count {
        let (some, next) = log.arrivals_page(after, (count - events.len()).min(PAGE)).await?;
        after = next;
        if some.is_empty() {
            break;
        }
        events.extend(some);
    }
    Ok((events, after))
}

/// The limit of one page when a case reads everything.
const PAGE: usize = 1_000;
