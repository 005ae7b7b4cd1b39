//! The rule of the turns: a line for each requester, and the lines take turns.

use std::collections::{HashMap, VecDeque};

use super::{Requester, TurnLimits};

/// The lines of all requesters, and what is under way.
#[derive(Debug)]
pub(super) struct Lines {
    limits: TurnLimits,
    under_way: Load,
    lines: HashMap<Requester, Line>,
    /// The requesters with a request in line, the next one first.
    order: VecDeque<Requester>,
    next_number: u64,
}

/// Answers under way.
#[derive(Debug, Default, Clone, Copy)]
struct Load {
    count: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Line {
    under_way: Load,
    waiting: VecDeque<(u64, usize)>,
}

impl Lines {
    pub(super) fn new(limits: TurnLimits) -> Self {
        let (lines, order) = (HashMap::new(), VecDeque::new());
        Self { limits, under_way: Load::default(), lines, order, next_number: 0 }
    }

    /// Adds a request to the line of its requester. Returns its number.
    pub(super) fn join(&mut self, requester: &Requester, bytes: usize) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        let line = self.lines.entry(requester.clone()).or_default();
        if line.waiting.is_empty() {
            self.order.push_back(requester.clone());
        }
        line.waiting.push_back((number, bytes));
        number
    }

    /// Begins the turn of the next request, and returns its number; `None` if none may begin now.
    ///
    /// A requester may have one answer under way, and further ones if as many can still begin for others, also
    /// by their bytes. One whose first request does not fit keeps its turn, so that small requests of
    /// others do not delay it without end.
    pub(super) fn next(&mut self) -> Option<u64> {
        let free = Load {
            count: self.limits.at_once.saturating_sub(self.under_way.count),
            bytes: self.limits.bytes.saturating_sub(self.under_way.bytes),
        };
        for at in 0..self.order.len() {
            let line = self.lines.get_mut(&self.order[at])?;
            let &(number, bytes) = line.waiting.front()?;
            if self.under_way.count >= self.limits.requesters || bytes > free.bytes {
                return None;
            }
            let own = line.under_way;
            if own.count > 0 && (own.count >= free.count || own.bytes + bytes > free.bytes) {
                continue;
            }
            line.waiting.pop_front();
            for load in [&mut line.under_way, &mut self.under_way] {
                load.count += 1;
                load.bytes += bytes;
            }
            let is_in_line = !line.waiting.is_empty();
            let requester = self.order.remove(at)?;
            if is_in_line {
                self.order.push_back(requester);
            }
            return Some(number);
        }
        None
    }

    /// Ends a turn that holds `bytes`.
    pub(super) fn leave(&mut self, requester: &Requester, bytes: usize) {
        self.shrink(requester, bytes);
        self.under_way.count -= 1;
        if let Some(line) = self.lines.get_mut(requester) {
            line.under_way.count -= 1;
        }
        self.forget_if_idle(requester);
    }

    /// Takes `bytes` off the turn of a requester.
    pub(super) fn shrink(&mut self, requester: &Requester, bytes: usize) {
        self.under_way.bytes -= bytes;
        if let Some(line) = self.lines.get_mut(requester) {
            line.under_way.bytes -= bytes;
        }
    }

    /// Removes a request from its line before its turn.
    pub(super) fn abandon(&mut self, requester: &Requester, number: u64) {
        let Some(line) = self.lines.get_mut(requester) else { return };
        line.waiting.retain(|(waiting, _)| *waiting != number);
        if line.waiting.is_empty() {
            self.order.retain(|in_line| in_line != requester);
        }
        self.forget_if_idle(requester);
    }

    pub(super) fn bytes_under_way(&self) -> usize {
        self.under_way.bytes
    }

    fn forget_if_idle(&mut self, requester: &Requester) {
        if self.lines.get(requester).is_some_and(|line| line.under_way.count == 0 && line.waiting.is_empty()) {
            self.lines.remove(requester);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    fn names<const N: usize>(names: [&str; N]) -> [Requester; N] {
        names.map(Requester::new)
    }

    fn all(lines: &mut Lines) -> Vec<u64> {
        std::iter::from_fn(|| lines.next()).collect()
    }

    #[test]
    fn a_long_line_delays_only_itself() {
        let [greedy, small] = names(["greedy", "small"]);
        let mut lines = Lines::new(TurnLimits { bytes: 1_000, at_once: 4, requesters: 8 });
        for _ in 0..10 {
            lines.join(&greedy, 10);
        }
        assert_eq!(all(&mut lines), [0, 1], "half is left for others");
        assert_eq!(lines.join(&small, 10), 10);
        assert_eq!(all(&mut lines), [10]);
        lines.leave(&small, 10);
        lines.leave(&greedy, 10);
        assert_eq!(all(&mut lines), [2]);
    }

    #[test]
    fn the_lines_take_turns() {
        let [a, b, c] = names(["a", "b", "c"]);
        let mut lines = Lines::new(TurnLimits { bytes: 1_000, at_once: 1, requesters: 1 });
        for requester in [&a, &a, &a, &b, &b, &c] {
            lines.join(requester, 10);
        }
        let mut order = Vec::new();
        for requester in [&a, &b, &c, &a, &b, &a] {
            let begun = all(&mut lines);
            assert_eq!(begun.len(), 1);
            order.extend(begun);
            lines.leave(requester, 10);
        }
        assert_eq!(order, [0, 3, 5, 1, 4, 2]);
        assert!(lines.lines.is_empty() && lines.order.is_empty());
    }

    #[test]
    fn small_requests_do_not_pass_a_large_one_without_end() {
        let [large, small] = names(["large", "small"]);
        let mut lines = Lines::new(TurnLimits { bytes: 100, at_once: 100, requesters: 100 });
        lines.join(&small, 60);
        assert_eq!(all(&mut lines), [0]);
        lines.join(&large, 80);
        lines.join(&small, 10);
        assert_eq!(all(&mut lines), [0; 0], "the large one is first");
        lines.leave(&small, 60);
        assert_eq!(all(&mut lines), [1, 2]);
    }

    #[test]
    fn the_limits_hold_and_everyone_gets_a_turn() {
        for seed in 0..100 {
            let mut random = StdRng::seed_from_u64(seed);
            let limits = TurnLimits { bytes: 1_000, at_once: 8, requesters: 12 };
            let mut lines = Lines::new(limits);
            let mut waiting: HashMap<u64, (Requester, usize)> = HashMap::new();
            let mut under_way: Vec<(Requester, usize)> = Vec::new();
            for step in 0..3_000 {
                match random.random_range(0..5) {
                    // In the end, nobody joins.
                    0..=1 if step < 2_000 => {
                        let requester = Requester::new(&random.random_range(0..6).to_string());
                        let bytes = random.random_range(1..=limits.bytes / 8);
                        waiting.insert(lines.join(&requester, bytes), (requester, bytes));
                    }
                    2 => {
                        if let Some(number) = waiting.keys().copied().min().filter(|_| random.random_bool(0.2)) {
                            let (requester, _) = waiting.remove(&number).expect("it waits");
                            lines.abandon(&requester, number);
                        }
                    }
                    _ => {
                        if let Some((requester, bytes)) = under_way.pop() {
                            lines.leave(&requester, bytes);
                        }
                    }
                }
                while let Some(number) = lines.next() {
                    under_way.push(waiting.remove(&number).expect("one that waits begins, once"));
                }
                let bytes: usize = under_way.iter().map(|(_, bytes)| bytes).sum();
                assert_eq!((lines.under_way.bytes, lines.under_way.count), (bytes, under_way.len()));
                assert!(bytes <= limits.bytes && under_way.len() <= limits.requesters, "seed {seed}");
                assert!(waiting.is_empty() || !under_way.is_empty(), "seed {seed}: nobody works, and some wait");
            }
            while let Some((requester, bytes)) = under_way.pop() {
                lines.leave(&requester, bytes);
                while let Some(number) = lines.next() {
                    under_way.push(waiting.remove(&number).expect("one that waits begins, once"));
                }
            }
            assert!(waiting.is_empty() && lines.lines.is_empty() && lines.order.is_empty(), "seed {seed}: {lines:?}");
        }
    }
}
