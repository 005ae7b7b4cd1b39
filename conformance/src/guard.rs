//! What a case is given: an implementation, opened, with everything that must live as long as it does.

use std::future::Future;

use hourlog::{Events, Log, LogId, Result, Store};

/// An opened implementation. It owns what it stands on (a directory, a server, a service) and cleans up on drop.
pub trait Guard: Sized {
    /// What is tested.
    type Events: Events;

    /// What is tested.
    fn events(&self) -> &Self::Events;

    /// Stops what can be stopped, and opens it again on what it has stored.
    fn restart(self) -> impl Future<Output = Self>;

    /// A handle on the log that the cases use: each has an archive of its own, so one name is enough.
    fn log(&self) -> impl Future<Output = Result<<Self::Events as Events>::Log>> {
        async { self.events().log(&log_id()).await }
    }
}

/// An opened [`Store`].
pub trait StoreGuard: Guard {
    /// What is tested.
    type Store: Store;

    /// What is tested.
    fn store(&self) -> &Self::Store;
}

/// The log that the cases use.
pub fn log_id() -> LogId {
    "orders.eu".parse().expect("a good id")
}

/// What a case answers: an error of the log fails it.
pub type Outcome = Result<()>;

/// The handle that a guard opens.
pub type LogOf<G> = <<G as Guard>::Events as Events>::Log;

/// Every event from the place of `log` to the end.
///
/// # Errors
/// What the log answers.
pub async fn drain(log: &mut impl Log) -> Result<Vec<hourlog::Event>> {
    take(log, usize::MAX).await
}

/// The next `count` events, or as many as there are.
///
/// # Errors
/// What the log answers.
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

/// The next `count` events in arrival order behind `after`, or as many as there are, and the cursor behind them.
///
/// # Errors
/// What the log answers.
pub async fn take_arrived(
    log: &mut impl Log,
    mut after: hourlog::Arrival,
    count: usize,
) -> Result<(Vec<hourlog::Event>, hourlog::Arrival)> {
    let mut events = Vec::new();
    while events.len() < count {
        let (some, next) = log.follow(after, (count - events.len()).min(PAGE)).await?;
        after = next;
        if some.is_empty() {
            break;
        }
        events.extend(some);
    }
    Ok((events, after))
}

/// The events that one call asks for where a case wants all there are.
const PAGE: usize = 1_000;
