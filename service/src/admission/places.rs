//! The places of requests in progress. A request that waits gives its place among the working ones to
//! another.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hourlog::{Error, Result};

use super::{Requester, limit::Limit, refusals::Refusals, shares::Shares};

/// Limit of requests that the service works on. Each may hold a large record, and all of them are read
/// by a few threads.
const WORKING_MAX: usize = 4_096;
/// Limit of requests that wait. Each takes about 5 KB of memory.
const WAITING_MAX: usize = 8_192;
/// Limit of the bytes of requests in progress. An append holds its record until it is archived.
const BYTES_MAX: usize = 256 << 20;
/// Longest wait of a request for events.
const WAIT_MAX: Duration = Duration::from_secs(300);
/// Number of waiting requests above which a requester's further ones wait for [`CROWDED_WAIT_MAX`].
const LONG_WAITS_MAX: usize = 64;
/// Longest wait of a request whose requester has many. NATS does not tell when a requester has left. One
/// that is there asks again, so the end of a short wait frees the places of one that has gone.
const CROWDED_WAIT_MAX: Duration = Duration::from_secs(10);

/// The places of all requests in progress.
#[derive(Debug)]
pub(crate) struct Places {
    held: Mutex<Held>,
    refusals: Arc<Refusals>,
}

#[derive(Debug)]
struct Held {
    working: Shares,
    waiting: Shares,
    bytes: Shares,
}

/// The two kinds of places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Working,
    Waiting,
}

/// The place of a request. Dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    requester: Requester,
    bytes: usize,
    kind: Mutex<Kind>,
}

impl Places {
    pub(super) fn new(refusals: Arc<Refusals>) -> Self {
        let (working, waiting) = (Shares::new(WORKING_MAX), Shares::new(WAITING_MAX));
        let held = Held { working, waiting, bytes: Shares::new(BYTES_MAX) };
        Self { held: Mutex::new(held), refusals }
    }

    /// Takes a place for a request of `bytes`, which works.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`](hourlog::ErrorKind::Refused) if the requester holds as many places, or bytes, as
    /// are left for others.
    pub(crate) fn take(self: &Arc<Self>, requester: Requester, bytes: usize) -> Result<Place> {
        let mut held = self.lock();
        if !held.working.take(&requester, 1) {
            return Err(self.refuse(&held.working, Limit::WorkingRequests, &requester));
        }
        if !held.bytes.take(&requester, bytes) {
            held.working.give_back(&requester, 1);
            return Err(self.refuse(&held.bytes, Limit::RequestBytes, &requester));
        }
        self.report(&held);
        Ok(Place { places: Arc::clone(self), requester, bytes, kind: Mutex::new(Kind::Working) })
    }

    /// Gives back a place among the working requests for one among those that wait. Returns the number of
    /// those that the requester has. On an error, the place stays.
    fn leave_to_wait(&self, requester: &Requester) -> Result<usize> {
        let mut held = self.lock();
        if !held.waiting.take(requester, 1) {
            return Err(self.refuse(&held.waiting, Limit::WaitingRequests, requester));
        }
        held.working.give_back(requester, 1);
        self.report(&held);
        Ok(held.waiting.held_by(requester))
    }

    fn refuse(&self, shares: &Shares, limit: Limit, requester: &Requester) -> Error {
        let (own, max) = (shares.held_by(requester), shares.limit());
        let held = match limit {
            Limit::WorkingRequests => "requests in progress",
            Limit::WaitingRequests => "requests that wait",
            Limit::RequestBytes | Limit::AnswerTurns => "bytes in requests in progress",
        };
        self.refusals.refuse(limit, requester, &format!("has {own} {held}, and what is left of {max} is for others"))
    }

    fn report(&self, held: &Held) {
        let admitted = &self.refusals.admitted;
        admitted.working.set(gauge(held.working.held()));
        admitted.waiting.set(gauge(held.waiting.held()));
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Makes this the place of a request that waits, and leaves its old place to a request that works.
    /// Returns the longest wait that the requester may have. The place stays a waiting one until the
    /// request is answered.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`](hourlog::ErrorKind::Refused) if the requester has as many requests that wait as
    /// are left for others.
    pub(crate) fn begin_wait(&self) -> Result<Duration> {
        let mut kind = self.kind.lock().unwrap_or_else(PoisonError::into_inner);
        let own = match *kind {
            Kind::Working => self.places.leave_to_wait(&self.requester)?,
            Kind::Waiting => self.places.lock().waiting.held_by(&self.requester),
        };
        *kind = Kind::Waiting;
        Ok(longest_wait(own))
    }

    pub(crate) fn requester(&self) -> &Requester {
        &self.requester
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let kind = *self.kind.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut held = self.places.lock();
        match kind {
            Kind::Working => held.working.give_back(&self.requester, 1),
            Kind::Waiting => held.waiting.give_back(&self.requester, 1),
        }
        held.bytes.give_back(&self.requester, self.bytes);
        self.places.report(&held);
    }
}

/// Returns the longest wait of a request whose requester has `waiting` of them, with this one.
fn longest_wait(waiting: usize) -> Duration {
    if waiting <= LONG_WAITS_MAX { WAIT_MAX } else { CROWDED_WAIT_MAX }
}

pub(super) fn gauge(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Counters;

    fn places() -> Arc<Places> {
        Arc::new(Places::new(Arc::new(Refusals::new(Counters::default().admitted))))
    }

    #[test]
    fn waiting_requests_leave_their_places_to_working_ones() {
        let (places, greedy) = (places(), Requester::new("_INBOX.greedy"));
        let mut waiting = Vec::new();
        loop {
            let place = places.take(greedy.clone(), 0).expect("a request that waits holds no working place");
            match place.begin_wait() {
                Ok(longest) => assert_eq!(longest, longest_wait(waiting.len() + 1)),
                Err(error) => {
                    assert!(
                        error.to_string().contains("the limit waiting-requests is reached: _INBOX.greedy has 4096")
                    );
                    break;
                }
            }
            waiting.push(place);
        }
        assert_eq!(waiting.len(), WAITING_MAX / 2);
        let other = places.take(Requester::new("_INBOX.other"), 0).expect("others get in");
        assert_eq!(other.begin_wait().expect("others may wait"), WAIT_MAX);
        assert_eq!(other.begin_wait().expect("a second call changes nothing"), WAIT_MAX);
        drop(waiting);
        assert_eq!(places.lock().waiting.held(), 1);
        drop(other);
        let held = places.lock();
        assert_eq!((held.working.held(), held.waiting.held()), (0, 0));
    }

    #[test]
    fn the_bytes_of_requests_are_shared_like_their_places() {
        let (places, greedy) = (places(), Requester::new("_INBOX.greedy"));
        let record = 1_000_000;
        let held: Vec<Place> = std::iter::from_fn(|| places.take(greedy.clone(), record).ok()).collect();
        assert_eq!(held.len(), BYTES_MAX / 2 / record);
        let error = places.take(greedy.clone(), record).expect_err("the rest is for others");
        assert!(error.to_string().contains("the limit request-bytes is reached: _INBOX.greedy has 134000000 bytes"));
        let other = places.take(Requester::new("_INBOX.other"), record).expect("others get in");
        drop((held, other));
        let held = places.lock();
        assert_eq!((held.working.held(), held.bytes.held()), (0, 0));
    }

    #[test]
    fn a_requester_with_many_waits_has_short_ones() {
        assert_eq!([1, 64, 65, 4_096].map(|waiting| longest_wait(waiting).as_secs()), [300, 300, 10, 10]);
    }
}
