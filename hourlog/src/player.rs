//! A player: events at the pace of their times.

use std::time::Duration;

use futures_util::{Stream, TryStreamExt};
use tokio::time::Instant;

use crate::{
    Event, Offset, Result,
    pace::{Pace, Speed},
};

/// Plays events back at the pace of their times. The first one is due at once.
///
/// A player that falls behind, because its events arrive late or its caller is slow, makes up for it.
///
/// ```
/// use futures_util::stream;
/// use hourlog::{Archive, Events, Log, Memory, Player, Record, pace::Speed, time::system_clock};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// # let events = Archive::new(Memory::new(), system_clock);
/// # let mut log = events.log(&"orders.eu".parse()?).await?;
/// # log.write(Record::new("first").at("2018-02-04T10:00:00Z".parse()?)).await?;
/// # log.write(Record::new("second").at("2018-02-04T11:00:00Z".parse()?)).await?;
/// let mut player = Player::new(Box::pin(log.events()), Speed::MAX);
/// while let Some(event) = player.next().await? {
///     println!("{}", event.position.offset);
/// }
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Player<S> {
    events: S,
    /// The event that is due next, once it is known.
    next: Option<Event>,
    /// `None` before the first event.
    pace: Option<Pace>,
    /// The pace of the first event.
    speed: Speed,
    gap_max: Option<Duration>,
    is_paused: bool,
    begun: Instant,
}

impl<S: Stream<Item = Result<Event>> + Unpin> Player<S> {
    /// Plays `events`, which are in the order of their times.
    pub fn new(events: S, speed: Speed) -> Self {
        let (next, pace, gap_max) = (None, None, None);
        Self { events, next, pace, speed, gap_max, is_paused: false, begun: Instant::now() }
    }

    /// The same player, which takes at most `gap_max` to play the gap between two events.
    #[must_use]
    pub fn with_gap_max(self, gap_max: Duration) -> Self {
        Self { gap_max: Some(gap_max), ..self }
    }

    /// Waits until the next event is due, and returns it; `None` after the last one. While the player is paused, it waits
    /// until it is played again.
    ///
    /// A call that is dropped loses nothing: another one goes on. So a caller may stop waiting, pause, and wait again.
    ///
    /// # Errors
    /// Those of the events.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        let Some(offset) = self.upcoming().await? else { return Ok(None) };
        let pace = self.pace_of(offset);
        // The gap began when the event before it was due, however late it was.
        pace.shorten_gap(offset, pace.since());
        let due = pace.due(offset);
        match due {
            Some(due) => tokio::time::sleep_until(self.begun + due).await,
            None => std::future::pending().await,
        }
        if let Some((pace, due)) = self.pace.as_mut().zip(due) {
            pace.move_to(offset, due);
        }
        Ok(self.next.take())
    }

    /// Returns the next event at once, whether it is due or not; `None` after the last one.
    ///
    /// # Errors
    /// Those of the events.
    pub async fn step(&mut self) -> Result<Option<Event>> {
        let Some(offset) = self.upcoming().await? else { return Ok(None) };
        let now = self.now();
        self.pace_of(offset).move_to(offset, now);
        Ok(self.next.take())
    }

    /// Pauses.
    pub fn pause(&mut self) {
        let now = self.now();
        self.is_paused = true;
        if let Some(pace) = &mut self.pace {
            pace.pause(now);
        }
    }

    /// Goes on after a pause.
    pub fn play(&mut self) {
        let now = self.now();
        self.is_paused = false;
        if let Some(pace) = &mut self.pace {
            pace.play(now);
        }
    }

    /// Goes on at another speed.
    pub fn set_speed(&mut self, speed: Speed) {
        let now = self.now();
        self.speed = speed;
        if let Some(pace) = &mut self.pace {
            pace.set_speed(speed, now);
        }
    }

    /// Returns the speed.
    pub fn speed(&self) -> Speed {
        self.speed
    }

    /// Returns true while it is paused.
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Returns the time that is played now; `None` before the first event.
    pub fn playhead(&self) -> Option<Offset> {
        self.pace.map(|pace| pace.playhead(self.now()))
    }

    /// Returns the time of the next event.
    async fn upcoming(&mut self) -> Result<Option<Offset>> {
        if self.next.is_none() {
            self.next = self.events.try_next().await?;
        }
        Ok(self.next.as_ref().map(|event| event.position.offset))
    }

    /// Returns the pace, which begins now if `offset` is that of the first event.
    fn pace_of(&mut self, offset: Offset) -> &mut Pace {
        let (now, is_paused) = (self.now(), self.is_paused);
        self.pace.get_or_insert_with(|| {
            let mut pace = Pace::new(offset, now, self.speed).with_gap_max(self.gap_max);
            if is_paused {
                pace.pause(now);
            }
            pace
        })
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;
    use crate::{Position, Record, Seq};

    const SECOND: i64 = 1_000_000_000;

    fn player(seconds: &[i64], speed: f64) -> Player<impl Stream<Item = Result<Event>> + Unpin + use<>> {
        let event = |(number, seconds): (usize, &i64)| {
            let position =
                Position { offset: Offset::from_nanos(seconds * SECOND), seq: Seq::from_number(number as i64) };
            Ok(Event { log: "a".parse()?, position, arrived: None, record: Record::new("x") })
        };
        let events: Vec<Result<Event>> = seconds.iter().enumerate().map(event).collect();
        Player::new(stream::iter(events), Speed::new(speed).expect("a speed"))
    }

    async fn times(player: &mut Player<impl Stream<Item = Result<Event>> + Unpin>, count: usize) -> Vec<i64> {
        let mut times = Vec::new();
        while times.len() < count
            && let Some(event) = player.next().await.expect("the events are there")
        {
            times.push(event.position.offset.nanos() / SECOND);
        }
        times
    }

    #[tokio::test]
    async fn no_event_is_played_before_it_is_due() {
        let mut player = player(&[0, 10, 10, 30], 1_000.0);
        let begun = Instant::now();
        let mut earliest = 0;
        for seconds in [0, 10, 10, 30] {
            assert_eq!(times(&mut player, 1).await, [seconds]);
            earliest = earliest.max(seconds);
            assert!(begun.elapsed() >= Duration::from_millis(earliest as u64), "{seconds}");
        }
        assert!(matches!(player.next().await, Ok(None)));
    }

    #[tokio::test]
    async fn a_long_gap_takes_no_longer_than_it_may() {
        // Without a bound, it would take more than a day.
        let mut player = player(&[0, 100_000, 200_000], 1.0).with_gap_max(Duration::from_millis(5));
        let begun = Instant::now();
        assert_eq!(times(&mut player, 3).await, [0, 100_000, 200_000]);
        assert!(begun.elapsed() >= Duration::from_millis(10));
    }

    #[tokio::test]
    async fn a_paused_player_only_steps_and_a_dropped_wait_loses_nothing() {
        let mut player = player(&[0, 1, 2, 3], 1_000.0);
        player.pause();
        let waited = tokio::time::timeout(Duration::from_millis(20), player.next()).await;
        assert!(waited.is_err(), "a paused player plays");
        for seconds in [0, 1] {
            let event = player.step().await.expect("the events are there").expect("an event");
            assert_eq!(event.position.offset.nanos() / SECOND, seconds);
            assert!(player.is_paused());
        }
        let waited = tokio::time::timeout(Duration::from_millis(20), player.next()).await;
        assert!(waited.is_err(), "a paused player plays");
        assert_eq!(player.playhead(), Some(Offset::from_nanos(SECOND)));
        player.play();
        player.set_speed(Speed::MAX);
        assert_eq!(times(&mut player, 9).await, [2, 3]);
    }
}
