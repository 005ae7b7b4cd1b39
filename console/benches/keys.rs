//! Time and bytes from a key to the frame that shows its effect, without a network. Compares a log of a thousand events with
//! one of ten million, and a list of a dozen logs with one of thirty thousand. `cargo xtask bench console`.

#[path = "../tests/console/harness.rs"]
#[allow(dead_code, reason = "a bench presses fewer keys than the tests do")]
mod harness;

use std::time::{Duration, Instant};

use harness::Harness;

/// Sizes of the compared logs, in events.
const EVENTS: [u64; 2] = [1_000, 10_000_000];
/// Sizes of the compared lists, in logs.
const LOGS: [u64; 2] = [12, 30_000];
/// Keys of one round in a log.
const KEYS: [&str; 12] =
    ["down", "up", "right", "left", "shift-right", "shift-left", "pgdn", "pgup", "+", "-", "}", "u"];
/// Keys of one round in a list.
const LIST_KEYS: [&str; 8] = ["down", "down", "pgdn", "up", "right", "end", "left", "home"];
/// Number of rounds.
const ROUNDS: usize = 50;
/// Times to go to, one after the other.
const TIMES: [&str; 4] = ["2018-02-04 03:00", "2018-02-04 21:30", "2018-02-04 12:12", "2018-02-04 00:01"];

#[expect(clippy::print_stdout, reason = "the report is what the program is for")]
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut p99 = Vec::new();
    for events in EVENTS {
        let mut console = Harness::large(events, 120, 40).await;
        let (keys, bytes) = pressed(&mut console, &KEYS).await;
        let mut jumps = Vec::new();
        for at in TIMES.iter().cycle().take(ROUNDS) {
            console.press("t").await;
            console.type_text(at).await;
            jumps.push(timed(console.press("enter")).await);
        }
        let (jumps, loaded) = (Times::of(jumps), console.loaded_count());
        println!(
            "console, {events:>10} events: a key {keys}, {bytes} B; go to a time {jumps}; {loaded} events are loaded"
        );
        p99.push(keys.p99.as_secs_f64());
    }
    println!("console, a key in a log, p99: {:.2}× the time in the small log", p99[1] / p99[0]);
    p99.clear();
    for logs in LOGS {
        let mut console = Harness::many(logs, 120, 40).await;
        let (keys, bytes) = pressed(&mut console, &LIST_KEYS).await;
        println!("console, {logs:>10} logs: a key {keys}, {bytes} B");
        p99.push(keys.p99.as_secs_f64());
    }
    println!("console, a key in a list, p99: {:.2}× the time in the small list", p99[1] / p99[0]);
}

/// Presses keys in rounds. Returns the times from a key to its frame, and the mean bytes of a frame.
async fn pressed(console: &mut Harness, keys: &[&str]) -> (Times, usize) {
    let (mut times, before) = (Vec::new(), console.bytes_drawn);
    for key in keys.iter().cycle().take(keys.len() * ROUNDS) {
        times.push(timed(console.press(key)).await);
    }
    let frames = times.len();
    (Times::of(times), (console.bytes_drawn - before) / frames)
}

async fn timed(work: impl Future<Output = ()>) -> Duration {
    let started = Instant::now();
    work.await;
    started.elapsed()
}

/// Quantiles of some times.
struct Times {
    p50: Duration,
    p99: Duration,
}

impl Times {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        let quantile = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
        Self { p50: quantile(50), p99: quantile(99) }
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2?} (p50) {:.2?} (p99)", self.p50, self.p99)
    }
}
