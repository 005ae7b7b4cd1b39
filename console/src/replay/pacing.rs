//! The time at which the next event of a replay is sent.

use std::{fmt, num::NonZeroU32, time::Duration};

use futures_util::{TryStreamExt, future::BoxFuture, stream::BoxStream};
use hourlog::{Event, Player, Result, pace::Speed};

use crate::rate::Rate;

/// Events in the order of their times.
pub type Events<'a> = BoxStream<'a, Result<Event>>;

/// Events, and the time at which each is due.
pub struct Pacing<'a> {
    way: Way<'a>,
    stop: Option<BoxFuture<'a, ()>>,
}

enum Way<'a> {
    /// In proportion to the times of the events.
    Times(Box<Player<Events<'a>>>),
    Rate(Events<'a>, Rate),
    AtOnce(Events<'a>),
    /// No event is due any more.
    Stopped,
}

impl fmt::Debug for Pacing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pacing").finish_non_exhaustive()
    }
}

impl<'a> Pacing<'a> {
    /// Returns events at the pace of their times. No gap between two of them takes longer than `gap_max`.
    pub(crate) fn times(events: Events<'a>, speed: Speed, gap_max: Option<Duration>) -> Self {
        let player = Player::new(events, speed);
        Self::new(Way::Times(Box::new(match gap_max {
            Some(gap_max) => player.with_gap_max(gap_max),
            None => player,
        })))
    }

    /// Returns this many events a second.
    pub(crate) fn rate(events: Events<'a>, rate: NonZeroU32) -> Self {
        Self::new(Way::Rate(events, Rate::new(rate)))
    }

    /// Returns one event after the other.
    pub(crate) fn at_once(events: Events<'a>) -> Self {
        Self::new(Way::AtOnce(events))
    }

    fn new(way: Way<'a>) -> Self {
        Self { way, stop: None }
    }

    /// Returns the same events, until `stop` is ready.
    pub(crate) fn until(self, stop: BoxFuture<'a, ()>) -> Self {
        Self { stop: Some(stop), ..self }
    }

    /// Waits until the next event is due. A call that is dropped loses nothing.
    ///
    /// # Errors
    /// Those of the events.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        if let Some(stop) = &mut self.stop {
            tokio::select! {
                biased;
                () = stop => {}
                next = self.way.next() => return next,
            }
            (self.way, self.stop) = (Way::Stopped, None);
        }
        self.way.next().await
    }
}

impl Way<'_> {
    async fn next(&mut self) -> Result<Option<Event>> {
        match self {
            Self::Times(player) => player.next().await,
            Self::Rate(events, rate) => {
                rate.wait().await;
                let event = events.try_next().await?;
                rate.sent(1);
                Ok(event)
            }
            Self::AtOnce(events) => events.try_next().await,
            Self::Stopped => Ok(None),
        }
    }
}
