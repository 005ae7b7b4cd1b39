//! The time at which the next event of a replay is sent.

use std::{fmt, num::NonZeroU32, pin::Pin, time::Duration};

use futures_util::{Stream, TryStreamExt};
use hourlog::{Event, Player, Result, pace::Speed};

use crate::rate::Rate;

/// Events in the order of their times.
pub type Events = Pin<Box<dyn Stream<Item = Result<Event>> + Send>>;

/// Events, and the time at which each is due.
pub struct Pacing(Way);

enum Way {
    /// In proportion to the times of the events.
    Times(Box<Player<Events>>),
    Rate(Events, Rate),
    AtOnce(Events),
}

impl fmt::Debug for Pacing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pacing").finish_non_exhaustive()
    }
}

impl Pacing {
    /// Returns events at the pace of their times. No gap between two of them takes longer than `gap_max`.
    pub(crate) fn times(events: Events, speed: Speed, gap_max: Option<Duration>) -> Self {
        let player = Player::new(events, speed);
        Self(Way::Times(Box::new(match gap_max {
            Some(gap_max) => player.with_gap_max(gap_max),
            None => player,
        })))
    }

    /// Returns this many events a second.
    pub(crate) fn rate(events: Events, rate: NonZeroU32) -> Self {
        Self(Way::Rate(events, Rate::new(rate)))
    }

    /// Returns one event after the other.
    pub(crate) fn at_once(events: Events) -> Self {
        Self(Way::AtOnce(events))
    }

    /// Waits until the next event is due. A call that is dropped loses nothing.
    ///
    /// # Errors
    /// Those of the events.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        match &mut self.0 {
            Way::Times(player) => player.next().await,
            Way::Rate(events, rate) => {
                rate.wait().await;
                let event = events.try_next().await?;
                rate.sent(1);
                Ok(event)
            }
            Way::AtOnce(events) => events.try_next().await,
        }
    }
}
