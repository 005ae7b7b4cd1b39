//! The console keeps drawing, whatever keys are pressed and sizes the terminal takes.

use console::tui::keymap::KEYMAP;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::harness::{Harness, SIZES};

/// Number of inputs in a run.
const INPUTS: usize = 400;
/// Number of runs, each with its own seed.
const RUNS: u64 = 8;

#[tokio::test]
async fn random_keys_and_sizes_never_crash_the_console() {
    let keys: Vec<&str> = KEYMAP.iter().flat_map(|binding| binding.keys).copied().collect();
    for seed in 0..RUNS {
        let mut random = StdRng::seed_from_u64(seed);
        let mut console = Harness::open(120, 40).await;
        for _ in 0..INPUTS {
            match random.random_range(0..10) {
                0 => {
                    let (columns, rows) = SIZES[random.random_range(0..SIZES.len())];
                    console.resize(columns, rows).await;
                }
                1 => console.resize(random.random_range(1..160), random.random_range(1..60)).await,
                2 => console.advance(random.random_range(50..500)).await,
                3 => console.receive("quakes", random.random_range(1..5)).await,
                4 => {
                    console
                        .type_text(["2h ago", "minute", "1", "yesterday", "nowhere"][random.random_range(0..5)])
                        .await
                }
                5 => {
                    let down = random.random_bool(0.2);
                    console.set_down(down);
                }
                _ => console.press(keys[random.random_range(0..keys.len())]).await,
            }
        }
    }
}
