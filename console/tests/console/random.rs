//! Whatever is pressed, however the terminal is pulled: the console draws, and never stops.

use console::tui::keymap::KEYMAP;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::desk::{Desk, SIZES};

/// The inputs of a run.
const INPUTS: usize = 400;
/// The runs, each from a seed of its own.
const RUNS: u64 = 8;

#[tokio::test]
async fn no_keys_and_no_sizes_make_it_stop() {
    let keys: Vec<&str> = KEYMAP.iter().flat_map(|binding| binding.keys).copied().collect();
    for seed in 0..RUNS {
        let mut random = StdRng::seed_from_u64(seed);
        let mut desk = Desk::open(120, 40).await;
        for _ in 0..INPUTS {
            match random.random_range(0..10) {
                0 => {
                    let (columns, rows) = SIZES[random.random_range(0..SIZES.len())];
                    desk.resizes(columns, rows).await;
                }
                1 => desk.resizes(random.random_range(1..160), random.random_range(1..60)).await,
                2 => desk.passes(random.random_range(50..500)).await,
                3 => desk.comes("quakes", random.random_range(1..5)).await,
                4 => desk.puts(["2h ago", "minute", "1", "yesterday", "nowhere"][random.random_range(0..5)]).await,
                5 => {
                    let away = random.random_bool(0.2);
                    desk.goes_away(away);
                }
                _ => desk.types(keys[random.random_range(0..keys.len())]).await,
            }
        }
    }
}
