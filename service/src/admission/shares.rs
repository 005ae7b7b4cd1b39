//! The fair share of a requester: as much as is left free for others.
//!
//! One requester alone gets half of a limit, two get a third each, and so on. Something always stays
//! free, so a new requester gets in whatever the others hold. No share is reserved for anybody, and none
//! must be configured.

use std::collections::HashMap;

use super::Requester;

/// A limited amount, and the requesters that hold parts of it.
#[derive(Debug)]
pub(super) struct Shares {
    limit: usize,
    held: usize,
    by_requester: HashMap<Requester, usize>,
}

impl Shares {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, held: 0, by_requester: HashMap::new() }
    }

    /// Takes `amount`. Returns false if the requester would hold more than is left free before.
    pub(super) fn take(&mut self, requester: &Requester, amount: usize) -> bool {
        let own = self.held_by(requester).saturating_add(amount);
        let admitted = own <= self.limit - self.held;
        if admitted && amount > 0 {
            self.held += amount;
            *self.by_requester.entry(requester.clone()).or_default() += amount;
        }
        admitted
    }

    /// Gives back an amount that was taken.
    pub(super) fn give_back(&mut self, requester: &Requester, amount: usize) {
        let Some(own) = self.by_requester.get_mut(requester) else { return };
        *own -= amount;
        if *own == 0 {
            self.by_requester.remove(requester);
        }
        self.held -= amount;
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Returns the amount that all requesters hold.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Returns the amount that a requester holds.
    pub(super) fn held_by(&self, requester: &Requester) -> usize {
        self.by_requester.get(requester).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    fn requester(name: usize) -> Requester {
        Requester::new(&name.to_string())
    }

    /// Takes until nothing more is admitted, and returns the number of places taken.
    fn take_all(shares: &mut Shares, requester: &Requester) -> usize {
        std::iter::repeat_with(|| shares.take(requester, 1)).take_while(|admitted| *admitted).count()
    }

    #[test]
    fn a_greedy_requester_gets_half_and_every_later_one_gets_in() {
        let mut shares = Shares::new(1_024);
        assert_eq!(take_all(&mut shares, &requester(0)), 512);
        let later: Vec<usize> = (1..=11).map(|name| take_all(&mut shares, &requester(name))).collect();
        assert_eq!(later, [256, 128, 64, 32, 16, 8, 4, 2, 1, 1, 0]);
    }

    #[test]
    fn requesters_that_take_in_turn_get_equal_shares() {
        let mut shares = Shares::new(1_000);
        while (0..4).filter(|name| shares.take(&requester(*name), 1)).count() > 0 {}
        let held: Vec<usize> = (0..4).map(|name| shares.held_by(&requester(name))).collect();
        assert!(held.iter().all(|held| (195..=205).contains(held)), "{held:?}");
    }

    #[test]
    fn a_new_requester_gets_in_whatever_a_few_others_did() {
        for seed in 0..100 {
            let mut random = StdRng::seed_from_u64(seed);
            let mut shares = Shares::new(1 << 12);
            let mut taken = Vec::new();
            for _ in 0..20_000 {
                let name = requester(random.random_range(0..10));
                if random.random_bool(0.7) {
                    if shares.take(&name, 1) {
                        taken.push(name);
                    }
                } else if let Some(name) = taken.pop() {
                    shares.give_back(&name, 1);
                }
                assert_eq!(shares.held(), taken.len());
            }
            assert!(shares.take(&requester(99), 1), "seed {seed}: {shares:?}");
            shares.give_back(&requester(99), 1);
            taken.iter().for_each(|name| shares.give_back(name, 1));
            assert!(shares.held() == 0 && shares.by_requester.is_empty(), "seed {seed}: {shares:?}");
        }
    }
}
