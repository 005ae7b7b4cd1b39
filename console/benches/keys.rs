//! From a key to the frame that shows what it did, in a log of a thousand events and in one of a million: as ratios, with no network
//! between. `cargo xtask bench --only console`.

#[path = "../tests/console/desk.rs"]
#[allow(dead_code, reason = "a bench presses fewer keys than the tests do")]
mod desk;

use std::time::{Duration, Instant};

use desk::Desk;

/// The events of the logs that are compared.
const EVENTS: [u64; 2] = [1_000, 1_000_000];
/// The keys that are pressed, again and again.
const KEYS: [&str; 12] =
    ["down", "up", "right", "left", "shift-right", "shift-left", "pgdn", "pgup", "+", "-", "}", "u"];
/// How often all of them are.
const ROUNDS: usize = 50;
/// Where is gone to, one after the other.
const TIMES: [&str; 4] = ["2018-02-04 03:00", "2018-02-04 21:30", "2018-02-04 12:12", "2018-02-04 00:01"];

#[expect(clippy::print_stdout, reason = "the report is what the program is for")]
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut p99 = Vec::new();
    for events in EVENTS {
        let mut desk = Desk::large(events, 120, 40).await;
        let mut keys = Vec::new();
        for key in std::iter::repeat_n(KEYS, ROUNDS).flatten() {
            keys.push(timed(desk.types(key)).await);
        }
        let mut going = Vec::new();
        for at in TIMES.iter().cycle().take(ROUNDS) {
            desk.types("t").await;
            desk.puts(at).await;
            going.push(timed(desk.types("enter")).await);
        }
        println!(
            "console, {events:>9} events: a key {:>6.2?} (p50) {:>6.2?} (p99), go to a time {:>6.2?} (p50) {:>6.2?} (p99)",
            quantile(&mut keys, 50),
            quantile(&mut keys, 99),
            quantile(&mut going, 50),
            quantile(&mut going, 99),
        );
        p99.push(quantile(&mut keys, 99).as_secs_f64());
    }
    println!("console, a key, p99: {:.2}× of what it is in the small log", p99[1] / p99[0]);
}

async fn timed(work: impl Future<Output = ()>) -> Duration {
    let begun = Instant::now();
    work.await;
    begun.elapsed()
}

fn quantile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}
