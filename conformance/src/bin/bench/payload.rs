//! The data of events: random bytes, or JSON of real logs.

use std::sync::LazyLock;

use bytes::Bytes;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};

/// The kind of an event's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Payload {
    /// Random bytes, which do not compress.
    Random(usize),
    /// Earthquakes as JSON: see [`quakes`].
    Json,
}

/// The bytes of an event's data, in most rows.
pub(crate) const EVENT_BYTES: usize = 256;
/// The bytes of the pool that random data is cut from. Longer than what a compressor looks back at, so data that
/// is used again does not compress either.
const POOL_BYTES: usize = 32 << 20;
/// The events of the examples, 1,707 a round, after which they begin again with other digits.
const QUAKES: &str = include_str!("../../../../examples/quakes.jsonl");
/// The rounds of earthquakes that are made: 200,000 events.
const QUAKE_ROUNDS: u64 = 117;
/// The seed of all random data: each run has the same.
const SEED: u64 = 42;

static POOL: LazyLock<Bytes> = LazyLock::new(|| {
    let mut pool = vec![0; POOL_BYTES];
    StdRng::seed_from_u64(SEED).fill(&mut pool[..]);
    pool.into()
});

static JSON: LazyLock<Vec<Bytes>> = LazyLock::new(|| quakes(QUAKE_ROUNDS));

impl Payload {
    /// Returns the data of event `number`, without copying it.
    pub(crate) fn data(self, number: u64) -> Bytes {
        match self {
            Self::Random(bytes) => {
                let places = (POOL_BYTES / bytes.max(1)) as u64;
                let begin = (number % places) as usize * bytes;
                POOL.slice(begin..begin + bytes)
            }
            Self::Json => JSON[(number % JSON.len() as u64) as usize].clone(),
        }
    }

    /// Returns the mean bytes of an event.
    pub(crate) fn mean_bytes(self) -> f64 {
        match self {
            Self::Random(bytes) => bytes as f64,
            Self::Json => JSON.iter().map(Bytes::len).sum::<usize>() as f64 / JSON.len() as f64,
        }
    }
}

/// Returns the data of the examples' earthquakes. From the second round on, their digits are random: a line never
/// repeats, and compresses no better than a real one.
fn quakes(rounds: u64) -> Vec<Bytes> {
    let mut random = StdRng::seed_from_u64(SEED);
    let lines: Vec<String> = QUAKES
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).expect("the examples are JSON");
            line["data"].as_str().expect("an event of the examples has data").to_owned()
        })
        .collect();
    let mut other_digits = |line: &String| -> String {
        line.chars()
            .map(|letter| if letter.is_ascii_digit() { random.random_range('0'..='9') } else { letter })
            .collect()
    };
    let mut all: Vec<Bytes> = lines.iter().map(|line| line.clone().into()).collect();
    for _ in 1..rounds {
        all.extend(lines.iter().map(|line| Bytes::from(other_digits(line))));
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn random_data_of_two_events_differs() {
        let data: HashSet<Bytes> = (0..10_000).map(|number| Payload::Random(EVENT_BYTES).data(number)).collect();
        assert_eq!(data.len(), 10_000);
        assert!(data.iter().all(|data| data.len() == EVENT_BYTES));
    }

    #[test]
    fn a_line_of_json_does_not_repeat() {
        let lines = quakes(3);
        let distinct: HashSet<&Bytes> = lines.iter().collect();
        assert_eq!((lines.len(), distinct.len()), (3 * 1_707, 3 * 1_707));
    }
}
