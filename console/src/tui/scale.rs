//! The scale of the scrubber: how much time a bar stands for, and how wide it is drawn.
//!
//! Bars are steps of the clock and the calendar in a zone, so a window begins on a bar and has whole bars. Only its two ends
//! and the width of the screen decide about it, never the cursor.

use hourlog::{
    Offset,
    time::{HOUR, MINUTE, SECOND},
    wire::Step,
};
use jiff::tz::TimeZone;

/// A half-open stretch of time.
pub type Window = (Offset, Offset);

const MILLI: i64 = SECOND / 1_000;
/// Most columns of a bar.
const BAR_COLUMNS_MAX: usize = 3;
/// Bars of a window around a log that is too short to fill one.
const SHORT: Step = Step::Nanos(SECOND);

/// The steps that a bar may stand for, shortest first.
const STEPS: [Step; 40] = {
    use Step::{Days, Months, Nanos, Years};
    [
        Nanos(MILLI),
        Nanos(2 * MILLI),
        Nanos(5 * MILLI),
        Nanos(10 * MILLI),
        Nanos(20 * MILLI),
        Nanos(50 * MILLI),
        Nanos(100 * MILLI),
        Nanos(200 * MILLI),
        Nanos(500 * MILLI),
        Nanos(SECOND),
        Nanos(2 * SECOND),
        Nanos(5 * SECOND),
        Nanos(10 * SECOND),
        Nanos(15 * SECOND),
        Nanos(30 * SECOND),
        Nanos(MINUTE),
        Nanos(2 * MINUTE),
        Nanos(5 * MINUTE),
        Nanos(10 * MINUTE),
        Nanos(15 * MINUTE),
        Nanos(30 * MINUTE),
        Nanos(HOUR),
        Nanos(2 * HOUR),
        Nanos(3 * HOUR),
        Nanos(6 * HOUR),
        Nanos(12 * HOUR),
        Days(1),
        Days(2),
        Step::Weeks(1),
        Step::Weeks(2),
        Months(1),
        Months(3),
        Months(6),
        Years(1),
        Years(2),
        Years(5),
        Years(10),
        Years(20),
        Years(50),
        Years(100),
    ]
};

/// The time that a bar stands for, and its width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// The time.
    pub step: Step,
    /// Number of columns of a bar: 1 to 3.
    pub columns: usize,
}

/// The bars of a window: their scale, and their edges. There is one edge more than there are bars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grid {
    /// The scale.
    pub scale: Scale,
    edges: Vec<Offset>,
}

impl Grid {
    /// Returns the grid that shows all of `extent` and fills most of `width` columns.
    pub fn fit(extent: Window, width: usize, zone: &TimeZone) -> Self {
        let bars = |step: Step| touched(extent, step, width, zone);
        let pairs = STEPS.into_iter().filter_map(|step| Some((step, bars(step)?))).flat_map(|(step, bars)| {
            (1..=BAR_COLUMNS_MAX).map(move |columns| (bars * columns, Scale { step, columns }))
        });
        // If two scales fill equally many columns, the one with more bars is better.
        let best = pairs.filter(|(filled, _)| *filled <= width).rev().max_by_key(|(filled, _)| *filled);
        match best.filter(|(filled, _)| filled * 2 >= width) {
            Some((filled, scale)) => Self::of_bars(scale, extent.0, filled / scale.columns, zone),
            None => Self::centered(Scale { step: SHORT, columns: 1 }, extent.0, width, zone),
        }
    }

    /// Returns the grid that shows about `nanos` of time, with `center` in the middle.
    pub fn of_length(nanos: i64, center: Offset, width: usize, zone: &TimeZone) -> Self {
        let scale =
            STEPS.into_iter().flat_map(|step| (1..=BAR_COLUMNS_MAX).map(move |columns| Scale { step, columns }));
        let filled = |scale: &Scale| (nanos / scale.step.about_nanos()) as usize * scale.columns;
        let scale = scale
            .filter(|scale| filled(scale) <= width)
            .rev()
            .max_by_key(filled)
            .unwrap_or(Scale { step: SHORT, columns: 1 });
        let bars = ((nanos / scale.step.about_nanos()) as usize).max(1);
        Self::of_bars(scale, back(center, scale.step, bars / 2), bars, zone)
    }

    /// Returns the grid of the whole width with `center` in the middle.
    pub fn centered(scale: Scale, center: Offset, width: usize, zone: &TimeZone) -> Self {
        let bars = (width / scale.columns).max(1);
        Self::of_bars(scale, back(center, scale.step, bars / 2), bars, zone)
    }

    /// Returns the grid whose first bar has `from`.
    fn of_bars(scale: Scale, from: Offset, bars: usize, zone: &TimeZone) -> Self {
        let mut edges: Vec<Offset> = scale.step.boundaries(from, zone).take(bars + 1).collect();
        edges.dedup();
        if edges.len() < 2 {
            // Time ends here.
            edges = vec![Offset::MAX.saturating_add_nanos(-1), Offset::MAX];
        }
        Self { scale, edges }
    }

    /// Returns the edges of the bars, in order.
    pub fn edges(&self) -> &[Offset] {
        &self.edges
    }

    /// Returns the window.
    pub fn window(&self) -> Window {
        (self.edges[0], self.edges[self.edges.len() - 1])
    }

    /// Returns the number of bars.
    pub fn bars(&self) -> usize {
        self.edges.len() - 1
    }

    /// Returns the number of columns of all bars.
    pub fn columns(&self) -> usize {
        self.bars() * self.scale.columns
    }

    /// Returns the bar that has a time.
    pub fn bar(&self, at: Offset) -> Option<usize> {
        let index = self.edges.partition_point(|edge| *edge <= at);
        (index > 0 && index < self.edges.len()).then(|| index - 1)
    }

    /// Returns this grid with longer or shorter bars. `at` stays where it is on the screen.
    pub fn zoomed(&self, by: isize, at: Offset, width: usize, zone: &TimeZone) -> Self {
        let index = STEPS.iter().position(|step| *step == self.scale.step).unwrap_or(0);
        let index = index.saturating_add_signed(by).min(STEPS.len() - 1);
        let scale = Scale { step: STEPS[index], ..self.scale };
        let bars = (width / scale.columns).max(1);
        let (from, to) = self.window();
        let at = at.clamp(from, to);
        let before = self.bar(at).unwrap_or(self.bars() / 2) * bars / self.bars().max(1);
        Self::of_bars(scale, back(at, scale.step, before), bars, zone)
    }

    /// Returns this grid moved so that `at` is inside: by whole bars, and a quarter of the window from the edge that it left
    /// by.
    pub fn with(&self, at: Offset, zone: &TimeZone) -> Self {
        let (from, to) = self.window();
        let (bars, step) = (self.bars(), self.scale.step);
        if at < from {
            Self::of_bars(self.scale, back(at, step, bars / 4), bars, zone)
        } else if at >= to {
            Self::of_bars(self.scale, back(at, step, bars - bars.div_ceil(4)), bars, zone)
        } else {
            self.clone()
        }
    }

    /// Returns this grid moved so that the last bar has `at`.
    pub fn ending_with(&self, at: Offset, zone: &TimeZone) -> Self {
        let (bars, step) = (self.bars(), self.scale.step);
        // The calendar's steps differ in length, so more than enough are taken.
        let from = back(at, step, bars + bars / 4 + 2);
        let mut edges: Vec<Offset> = Vec::with_capacity(bars * 2);
        for edge in step.boundaries(from, zone) {
            edges.push(edge);
            if edge > at {
                break;
            }
        }
        let first = edges.len().saturating_sub(bars + 1);
        Self::of_bars(self.scale, edges.get(first).copied().unwrap_or(at), bars, zone)
    }

    /// Returns this grid for another width or in another zone: bars of the same length, with `at` at its place.
    pub fn of_width(&self, at: Offset, width: usize, zone: &TimeZone) -> Self {
        self.zoomed(0, at, width, zone)
    }

    /// Returns the time that is `bars` bars after `at`: the start of that bar.
    pub fn moved(&self, at: Offset, bars: i64, zone: &TimeZone) -> Offset {
        let step = self.scale.step;
        let starts = |from: Offset| step.boundaries(from, zone);
        let start = starts(at).next().unwrap_or(at);
        if bars >= 0 {
            return starts(at).nth(usize::try_from(bars).unwrap_or(usize::MAX)).unwrap_or(Offset::MAX);
        }
        // Inside of a bar, the first step back goes to its start.
        let whole = usize::try_from(bars.unsigned_abs()).unwrap_or(usize::MAX) - usize::from(start < at);
        if whole == 0 {
            return start;
        }
        let before: Vec<Offset> =
            starts(back(start, step, whole + 1)).take_while(|boundary| *boundary < start).collect();
        before.iter().rev().nth(whole - 1).copied().unwrap_or(start)
    }
}

/// Returns the time about `bars` bars earlier.
fn back(at: Offset, step: Step, bars: usize) -> Offset {
    let bars = i64::try_from(bars).unwrap_or(i64::MAX);
    at.saturating_add_nanos(step.about_nanos().saturating_mul(bars).saturating_neg())
}

/// Returns the number of bars of this step that a stretch of time touches; `None` if there are more than `most`.
fn touched((from, to): Window, step: Step, most: usize, zone: &TimeZone) -> Option<usize> {
    let about = (i128::from(to.nanos()) - i128::from(from.nanos())) / i128::from(step.about_nanos());
    if about > most as i128 {
        return None;
    }
    let bars = step.boundaries(from, zone).take_while(|boundary| *boundary < to).take(most + 1).count();
    (bars <= most).then_some(bars.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourlog::time::DAY;

    fn at(text: &str) -> Offset {
        text.parse().expect("a valid time")
    }

    fn oslo() -> TimeZone {
        TimeZone::get("Europe/Oslo").expect("every time zone database has Oslo")
    }

    #[test]
    fn a_window_begins_on_a_bar_has_whole_bars_and_shows_everything() {
        let cases = [
            ("2018-01-31T02:00:31Z", "2018-02-06T23:43:52Z", 115, "3h", 2),
            ("1993-08-16T00:00:00Z", "2024-03-01T00:00:00Z", 115, "1y", 3),
            ("2018-02-04T10:00:00Z", "2018-02-04T10:00:05Z", 115, "50ms", 1),
            ("2018-02-04T00:00:00Z", "2018-02-05T00:00:00Z", 75, "1h", 3),
        ];
        for (from, to, width, step, columns) in cases {
            let extent = (at(from), at(to));
            let grid = Grid::fit(extent, width, &TimeZone::UTC);
            assert_eq!((grid.scale.step.to_string().as_str(), grid.scale.columns), (step, columns), "{from}");
            assert!(grid.columns() <= width && grid.columns() * 2 > width, "{} columns", grid.columns());
            let (first, last) = grid.window();
            assert!(first <= extent.0 && last >= extent.1);
        }
        // One moment is in the middle of a window of seconds.
        let moment = at("2018-02-04T10:00:00Z");
        let grid = Grid::fit((moment, moment.saturating_add_nanos(1)), 100, &TimeZone::UTC);
        assert_eq!((grid.bars(), grid.bar(moment)), (100, Some(50)));
    }

    #[test]
    fn zooming_goes_through_the_steps_and_keeps_its_place() {
        let zone = oslo();
        let mut grid = Grid::fit((at("2018-01-31T00:00:00Z"), at("2018-02-07T00:00:00Z")), 115, &zone);
        let playhead = at("2018-02-06T15:50:42.400Z");
        for _ in 0..60 {
            let place = grid.bar(playhead).expect("it is inside") as f64 / grid.bars() as f64;
            grid = grid.zoomed(-1, playhead, 115, &zone);
            let now = grid.bar(playhead).expect("it stays inside") as f64 / grid.bars() as f64;
            assert!((place - now).abs() < 0.05, "it moved from {place} to {now} at {}", grid.scale.step);
        }
        assert_eq!(grid.scale.step, Step::Nanos(MILLI));
        for _ in 0..60 {
            grid = grid.zoomed(1, playhead, 115, &zone);
            assert!(grid.bar(playhead).is_some(), "{}", grid.scale.step);
        }
    }

    #[test]
    fn days_of_23_and_25_hours_are_one_bar() {
        let grid = Grid::fit((at("2026-03-27T23:00:00Z"), at("2026-04-30T22:00:00Z")), 40, &oslo());
        assert_eq!(grid.scale.step, Step::Days(1));
        let hours: Vec<i64> =
            grid.edges().windows(2).map(|pair| (pair[1].nanos() - pair[0].nanos()) / HOUR).take(3).collect();
        assert_eq!(hours, [24, 23, 24]);
    }

    #[test]
    fn a_window_moves_by_whole_bars() {
        let grid = Grid::fit((at("2018-02-04T00:00:00Z"), at("2018-02-05T00:00:00Z")), 96, &TimeZone::UTC);
        for later in ["2018-02-05T00:00:00Z", "2018-02-09T11:11:11Z", "2018-01-01T00:00:01Z"] {
            let moved = grid.with(at(later), &TimeZone::UTC);
            assert!(moved.bar(at(later)).is_some() && moved.bars() == grid.bars());
            let step = grid.scale.step.about_nanos();
            assert_eq!((moved.window().0.nanos() - grid.window().0.nanos()) % step, 0);
            let following = grid.ending_with(at(later), &TimeZone::UTC);
            assert_eq!(following.bar(at(later)), Some(following.bars() - 1));
        }
        let months = Grid::fit((at("2010-01-01T00:00:00Z"), at("2018-01-01T00:00:00Z")), 100, &oslo());
        let now = at("2026-11-27T12:00:00Z");
        assert_eq!(months.ending_with(now, &oslo()).bar(now), Some(months.bars() - 1));
    }

    #[test]
    fn a_step_goes_to_the_start_of_a_bar() {
        let grid = Grid::fit((at("2018-02-04T00:00:00Z"), at("2018-02-05T00:00:00Z")), 24, &TimeZone::UTC);
        assert_eq!(grid.scale.step, Step::Nanos(HOUR));
        let moved = |from: &str, bars: i64| grid.moved(at(from), bars, &TimeZone::UTC).to_string();
        assert_eq!(moved("2018-02-04T10:30:00Z", 1), "2018-02-04T11:00:00Z");
        assert_eq!(moved("2018-02-04T10:30:00Z", -1), "2018-02-04T10:00:00Z");
        assert_eq!(moved("2018-02-04T10:00:00Z", -1), "2018-02-04T09:00:00Z");
        assert_eq!(moved("2018-02-04T10:00:00Z", -10), "2018-02-04T00:00:00Z");
        assert_eq!(moved("2018-02-04T10:00:00Z", 10), "2018-02-04T20:00:00Z");
    }

    #[test]
    fn every_window_of_time_has_a_grid() {
        for (from, to) in [(Offset::MIN, Offset::MAX), (Offset::MAX, Offset::MAX), (Offset::MIN, Offset::MIN)] {
            for width in [1, 2, 20, 300] {
                let grid = Grid::fit((from, to), width, &TimeZone::UTC);
                assert!(grid.columns() <= width.max(1), "{} of {width}", grid.columns());
                for by in [-1, 1] {
                    let _ = grid.zoomed(by, from, width, &TimeZone::UTC);
                }
                let _ = (grid.with(to, &TimeZone::UTC), grid.ending_with(from, &TimeZone::UTC));
                let _ = (grid.moved(from, -1, &TimeZone::UTC), grid.moved(to, 1, &TimeZone::UTC));
                let _ = Grid::of_length(7 * DAY, to, width, &TimeZone::UTC);
            }
        }
    }
}
