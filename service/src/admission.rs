//! Admission: how much of the service one requester may take while others want a part of it.
//!
//! - `limit`: the names of the limits.
//! - `requester`: names the sender of a request.
//! - `shares`: the rule. A requester may hold as much as is left free for others.
//! - `places`: the number of requests in progress, those that work and those that wait, and their
//!   bytes.
//! - `turns`: the bytes of answers under way, and the reads at once. Work beyond that waits in line. Small and
//!   large answers have turns of their own.

pub(crate) mod limit;
mod places;
mod refusals;
mod requester;
mod shares;
mod turns;

use std::sync::Arc;

use hourlog::Result;

pub(crate) use places::{Place, Places};
pub(crate) use requester::Requester;
pub(crate) use turns::Turn;
use turns::{TurnLimits, Turns};

use crate::counters::Counters;
use refusals::Refusals;

/// The admission of all requests.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    pub(crate) places: Arc<Places>,
    small: Arc<Turns>,
    large: Arc<Turns>,
}

impl Admission {
    /// Creates the admission of a service whose archive reads on this machine, or in a database.
    pub(crate) fn new(is_database: bool, counters: &Counters) -> Self {
        let refusals = Arc::new(Refusals::new(counters.admitted.clone()));
        let turns = |limits| Arc::new(Turns::new(limits, Arc::clone(&refusals)));
        let (small, large) = (turns(TurnLimits::small(is_database)), turns(TurnLimits::large(is_database)));
        Self { places: Arc::new(Places::new(refusals)), small, large }
    }

    /// Waits for a turn to read an answer that takes up to `bytes` of memory, and is `large` if reading it
    /// takes milliseconds.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`](hourlog::ErrorKind::Refused) if the turn does not come in time.
    pub(crate) async fn turn(&self, requester: &Requester, bytes: usize, large: bool) -> Result<Turn> {
        if large { &self.large } else { &self.small }.take(requester, bytes).await
    }
}
