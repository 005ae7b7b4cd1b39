//! The shared parts of the trials of many requesters: another user who reads a small page meanwhile.

use std::time::{Duration, Instant};

use async_nats::Client;

/// Reads a small page of the log `small`, and returns how long that took.
///
/// # Panics
/// If the service refuses it, or does not answer.
pub async fn small_replay(user: &Client) -> Duration {
    let begun = Instant::now();
    let reply = user.request("hourlog.replay.small", r#"{"limit":10}"#.into()).await.expect("the service answers");
    assert!(!reply.payload.is_empty(), "the other user is refused: {:?}", reply.headers);
    begun.elapsed()
}

/// Returns the median, the 99th percentile and the maximum as a text.
pub fn summary(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len().saturating_sub(1)));
    let text =
        |time: Option<&Duration>| time.map_or_else(String::new, |time| format!("{:.1}", time.as_secs_f64() * 1e3));
    format!("p50 {} p99 {} max {} ms of {}", text(at(50)), text(at(99)), text(times.last()), times.len())
}
