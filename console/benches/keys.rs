//! Time from a key to the frame that shows its effect, without a network. Compares a log of a
//! thousand events with one of a million. `cargo xtask bench console`.

#[path = "../tests/console/harness.rs"]
#[allow(dead_code, reason = "a bench presses fewer keys than the tests do")]
mod harness;

use std::time::{Duration, Instant};

use harness::Harness;

/// Sizes of the compared logs, in events.
const EVENTS: [u64; 2] = [1_000, 1_000_000];
/// Keys of one round.
const KEYS: [&str; 12] =
    ["down", "up", "right", "left", "shift-right", "shift-left", "pgdn", "pgup", "+", "-", "}", "u"];
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
        let mut keys = Vec::new();
        for key in std::iter::repeat_n(KEYS, ROUNDS).flatten() {
            keys.push(timed(console.press(key)).await);
        }
        let mut jumps = Vec::new();
        for at in TIMES.iter().cycle().take(ROUNDS) {
            console.press("t").await;
            console.type_text(at).await;
            jumps.push(timed(console.press("enter")).await);
        }
        println!(
            "console, {events:>9} events: a key {:>6.2?} (p50) {:>6.2?} (p99), go to a time {:>6.2?} (p50) {:>6.2?} (p99)",
            quantile(&mut keys, 50),
            quantile(&mut keys, 99),
            quantile(&mut jumps, 50),
            quantile(&mut jumps, 99),
        );
        p99.push(quantile(&mut keys, 99).as_secs_f64());
    }
    println!("console, a key, p99: {:.2}× the time in the small log", p99[1] / p99[0]);
}

async fn timed(work: impl Future<Output = ()>) -> Duration {
    let started = Instant::now();
    work.await;
    started.elapsed()
}

fn quantile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}
