//! Medians, percentiles, and the verdict on a figure: pure arithmetic.

use serde::{Deserialize, Serialize};

/// The bounds of a figure: the first is required, the second is the aim.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Target {
    pub better: Better,
    pub first: f64,
    pub aim: f64,
}

/// The direction in which a figure improves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Better {
    More,
    Less,
}

/// How a figure compares with its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The aim is reached.
    Aim,
    /// The first bound is reached, the aim is not.
    First,
    /// The first bound is not reached. A figure that is not a number is below, too.
    Below,
}

impl Target {
    /// A figure that should be at least this.
    pub(crate) const fn at_least(first: f64, aim: f64) -> Self {
        Self { better: Better::More, first, aim }
    }

    /// A figure that should be at most this.
    pub(crate) const fn at_most(first: f64, aim: f64) -> Self {
        Self { better: Better::Less, first, aim }
    }

    pub(crate) fn verdict(&self, value: f64) -> Verdict {
        let reaches = |bound: f64| match self.better {
            Better::More => value >= bound,
            Better::Less => value <= bound,
        };
        if reaches(self.aim) {
            Verdict::Aim
        } else if reaches(self.first) {
            Verdict::First
        } else {
            Verdict::Below
        }
    }
}

/// Returns the median; of an even number of values, the mean of the two in the middle. Not a number if there are
/// none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[count / 2],
        count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
    }
}

/// Returns the smallest value that is at least as great as `percent` of all. Not a number if there are none.
pub(crate) fn percentile(values: &[f64], percent: usize) -> f64 {
    let sorted = sorted(values);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}

/// Returns the smallest and the greatest value.
pub(crate) fn range(values: &[f64]) -> [f64; 2] {
    let sorted = sorted(values);
    [sorted.first().copied().unwrap_or(f64::NAN), sorted.last().copied().unwrap_or(f64::NAN)]
}

/// Returns the quotients of pairs of candidate and baseline.
pub(crate) fn ratios(pairs: &[(f64, f64)]) -> Vec<f64> {
    pairs.iter().map(|(candidate, baseline)| candidate / baseline).collect()
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

/// The share of the processors' time that other programs may take during a round.
const FOREIGN_SHARE_MAX: f64 = 0.1;
/// The share that the hypervisor may take.
const STOLEN_SHARE_MAX: f64 = 0.03;
/// The time of the calibration loop, relative to its fastest one so far.
const LOOP_TIMES_MAX: f64 = 1.3;

/// The state of the machine during a round of measurements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Surroundings {
    /// The share of the processors' time that other programs took.
    pub foreign_share: f64,
    /// The share that the hypervisor took.
    pub stolen_share: f64,
    /// The time of the slower one of two calibration loops, relative to the fastest one so far.
    pub loop_times: f64,
}

impl Surroundings {
    /// Returns the reason why a round says nothing, if there is one.
    pub(crate) fn disturbance(&self) -> Option<String> {
        let percent = |share: f64| format!("{:.0} % of the processors' time", share * 100.0);
        if self.foreign_share > FOREIGN_SHARE_MAX {
            return Some(format!("other programs took {}", percent(self.foreign_share)));
        }
        if self.stolen_share > STOLEN_SHARE_MAX {
            return Some(format!("the hypervisor took {}", percent(self.stolen_share)));
        }
        (self.loop_times > LOOP_TIMES_MAX)
            .then(|| format!("a loop of fixed work took {:.1} times as long as before", self.loop_times))
    }

    /// Returns the rule in words, for the page.
    pub(crate) fn rule() -> String {
        format!(
            "A round is thrown out and measured again if other programs took more than {:.0} % of the processors' time \
             during it, if the hypervisor took more than {:.0} %, or if a loop of fixed work before or after it took \
             {LOOP_TIMES_MAX} times as long as the fastest one of the run.",
            FOREIGN_SHARE_MAX * 100.0,
            STOLEN_SHARE_MAX * 100.0,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_lies_in_the_middle_whatever_the_order() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&values, 50), 50.0);
        assert_eq!(percentile(&values, 99), 99.0);
        assert_eq!(percentile(&values, 100), 100.0);
        assert_eq!(percentile(&[7.0], 50), 7.0);
        assert!(percentile(&[], 50).is_nan());
    }

    #[test]
    fn a_ratio_divides_the_candidate_by_its_own_baseline() {
        assert_eq!(ratios(&[(1.0, 2.0), (9.0, 3.0)]), [0.5, 3.0]);
        assert_eq!(range(&[0.5, 3.0, 1.0]), [0.5, 3.0]);
    }

    #[test]
    fn a_target_has_two_bounds_in_one_direction() {
        let speed = Target::at_least(2.0, 4.0);
        assert_eq!(
            [1.9, 2.0, 3.9, 4.0].map(|value| speed.verdict(value)),
            [Verdict::Below, Verdict::First, Verdict::First, Verdict::Aim]
        );
        let time = Target::at_most(7.0, 5.0);
        assert_eq!(
            [7.1, 7.0, 5.1, 5.0].map(|value| time.verdict(value)),
            [Verdict::Below, Verdict::First, Verdict::First, Verdict::Aim]
        );
    }

    #[test]
    fn a_figure_that_is_not_a_number_is_below_its_target() {
        assert_eq!(Target::at_least(1.0, 2.0).verdict(f64::NAN), Verdict::Below);
        assert_eq!(Target::at_most(1.0, 2.0).verdict(f64::NAN), Verdict::Below);
    }

    #[test]
    fn a_round_beside_other_work_is_disturbed() {
        let quiet = Surroundings { foreign_share: 0.05, stolen_share: 0.0, loop_times: 1.05 };
        assert_eq!(quiet.disturbance(), None);
        for (disturbed, reason) in [
            (Surroundings { foreign_share: 0.4, ..quiet }, "other programs took 40 %"),
            (Surroundings { stolen_share: 0.04, ..quiet }, "the hypervisor took 4 %"),
            (Surroundings { loop_times: 1.5, ..quiet }, "1.5 times"),
        ] {
            let found = disturbed.disturbance().expect("it is disturbed");
            assert!(found.contains(reason), "{found}");
        }
    }
}
