//! Turns to read an answer. They bound the memory of all answers under way, and leave processor time to
//! the small requests of others.
//!
//! A turn is held from the first read until the answer is written to the connection with NATS. A request
//! waits in the line of its requester. The lines take turns, so one that is long delays only itself.

mod line;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hourlog::Result;
use tokio::sync::oneshot;

use super::{Requester, limit::Limit, places::gauge, refusals::Refusals};
use line::Lines;

/// Bytes of all small answers under way, at most, and of all large ones: what was read, what it is encoded to, and what is on its way to
/// the connection.
const ANSWER_BYTES_MAX: usize = 128 << 20;
/// Part of that which a single answer may count for. The largest page that NATS carries fits several times.
const ANSWERS_MIN: usize = 8;
/// Longest wait in line. Clients usually wait as long for a reply.
const TURN_WAIT_MAX: Duration = Duration::from_secs(5);
/// Processors for each large answer under way. The others are left for small answers and for events.
const PROCESSORS_PER_LARGE: usize = 2;
/// Small answers under way for each processor. More would only make each of them slower.
const SMALL_PER_PROCESSOR: usize = 2;
/// Answers under way from a database, small and large. It reads on processors of its own.
const OF_DATABASE: (usize, usize) = (64, 16);

/// The limits of the turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TurnLimits {
    /// Bytes of all answers under way.
    pub(crate) bytes: usize,
    /// Answers under way while any requester has several.
    pub(crate) at_once: usize,
    /// Answers under way, if each is the only one of its requester.
    pub(crate) requesters: usize,
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl TurnLimits {
    /// Returns the limits of small answers. A requester with none under way need not wait for those of
    /// others, up to twice as many.
    pub(super) fn small(is_database: bool) -> Self {
        let at_once = if is_database { OF_DATABASE.0 } else { processors() * SMALL_PER_PROCESSOR };
        Self { bytes: ANSWER_BYTES_MAX, at_once, requesters: at_once * 2 }
    }

    /// Returns the limits of large answers.
    pub(super) fn large(is_database: bool) -> Self {
        let own = (processors() / PROCESSORS_PER_LARGE).max(1);
        let at_once = if is_database { OF_DATABASE.1.max(own) } else { own };
        Self { bytes: ANSWER_BYTES_MAX, at_once, requesters: at_once }
    }
}

/// The turns of all requests.
#[derive(Debug)]
pub(crate) struct Turns {
    limits: TurnLimits,
    waiting: Mutex<Waiting>,
    refusals: Arc<Refusals>,
}

#[derive(Debug)]
struct Waiting {
    lines: Lines,
    /// The requests that wait, by their numbers.
    wakers: HashMap<u64, oneshot::Sender<()>>,
    /// The bytes under way that the metric has.
    reported: i64,
}

/// The turn of a request, or its place in line. Dropping it lets the next one go.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Arc<Turns>,
    requester: Requester,
    number: u64,
    bytes: usize,
}

impl Turns {
    pub(super) fn new(limits: TurnLimits, refusals: Arc<Refusals>) -> Self {
        Self {
            limits,
            waiting: Mutex::new(Waiting { lines: Lines::new(limits), wakers: HashMap::new(), reported: 0 }),
            refusals,
        }
    }

    /// Waits for a turn to read an answer that takes up to `bytes` of memory.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`](hourlog::ErrorKind::Refused) after five seconds.
    pub(crate) async fn take(self: &Arc<Self>, requester: &Requester, bytes: usize) -> Result<Turn> {
        let bytes = bytes.min(self.limits.bytes / ANSWERS_MIN);
        let (turn, granted) = self.enter(requester, bytes);
        if let Some(granted) = granted
            && tokio::time::timeout(TURN_WAIT_MAX, granted).await.is_err()
        {
            let found = format!("has requests that waited {} s in line for their turn", TURN_WAIT_MAX.as_secs());
            return Err(self.refusals.refuse(Limit::AnswerTurns, requester, &found));
        }
        Ok(turn)
    }

    /// Joins the line. Returns the receiver of the turn, unless it is granted at once.
    fn enter(self: &Arc<Self>, requester: &Requester, bytes: usize) -> (Turn, Option<oneshot::Receiver<()>>) {
        let mut waiting = self.lock();
        let number = waiting.lines.join(requester, bytes);
        let turn = Turn { turns: Arc::clone(self), requester: requester.clone(), number, bytes };
        let (waker, granted) = oneshot::channel();
        waiting.wakers.insert(number, waker);
        self.wake(&mut waiting);
        (turn, waiting.wakers.contains_key(&number).then_some(granted))
    }

    /// Wakes the requests whose turn it is.
    fn wake(&self, waiting: &mut Waiting) {
        while let Some(number) = waiting.lines.next() {
            // One that has just left gives its turn back when it is dropped.
            if let Some(waker) = waiting.wakers.remove(&number) {
                let _ = waker.send(());
            }
        }
        let before = std::mem::replace(&mut waiting.reported, gauge(waiting.lines.bytes_under_way()));
        self.refusals.admitted.answer_bytes.inc_by(waiting.reported - before);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Gives back the bytes that the answer does not need.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        if bytes >= self.bytes {
            return;
        }
        let mut waiting = self.turns.lock();
        waiting.lines.shrink(&self.requester, self.bytes - bytes);
        self.bytes = bytes;
        self.turns.wake(&mut waiting);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut waiting = self.turns.lock();
        if waiting.wakers.remove(&self.number).is_some() {
            waiting.lines.abandon(&self.requester, self.number);
        } else {
            waiting.lines.leave(&self.requester, self.bytes);
        }
        self.turns.wake(&mut waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Counters;

    fn turns() -> Arc<Turns> {
        let refusals = Arc::new(Refusals::new(Counters::default().admitted));
        Arc::new(Turns::new(TurnLimits { bytes: 800, at_once: 4, requesters: 8 }, refusals))
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_waits_too_long_is_refused_by_name_and_leaves_the_line() {
        let (turns, greedy) = (turns(), Requester::new("greedy"));
        let held = [turns.take(&greedy, 10).await, turns.take(&greedy, 10).await];
        let error = turns.take(&greedy, 10).await.expect_err("half of the turns is for others");
        assert!(
            error.to_string().contains("the limit answer-turns is reached: greedy has requests that waited 5 s"),
            "{error}"
        );
        let other = turns.take(&Requester::new("other"), 10).await.expect("another requester goes at once");
        drop((held, other));
        turns.take(&greedy, 10).await.expect("nobody is in line");
        let waiting = turns.lock();
        assert_eq!((waiting.lines.bytes_under_way(), waiting.wakers.len()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_that_are_given_back_let_the_next_one_go() {
        let (turns, requester) = (turns(), Requester::new("one"));
        let mut turns_held = Vec::new();
        for name in 0..4 {
            turns_held.push(turns.take(&Requester::new(&name.to_string()), 100).await.expect("there is room"));
        }
        drop(turns_held.pop());
        assert_eq!(turns.lock().lines.bytes_under_way(), 300);
        turns_held[0].shrink(40);
        turns_held[0].shrink(400);
        assert_eq!(turns.lock().lines.bytes_under_way(), 240);
        let larger_than_all = turns.take(&requester, usize::MAX).await.expect("it counts for a part of all bytes");
        assert_eq!(larger_than_all.bytes, 100);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_leaves_while_its_turn_is_granted_loses_no_turn() {
        let (turns, requester) = (turns(), Requester::new("one"));
        let held = (turns.enter(&requester, 10).0, turns.enter(&requester, 10).0);
        let (waiting, granted) = turns.enter(&requester, 10);
        assert!(granted.is_some());
        drop(held.0);
        drop(granted);
        drop(waiting);
        drop(held.1);
        assert_eq!(turns.lock().lines.bytes_under_way(), 0);
    }
}
