//! The scrubber: bars of event counts over time, the playhead through them, the axis, and the whole log below.

use hourlog::{LogId, Offset};
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
};

use crate::{
    output::human_count,
    sanitize::sanitize,
    tui::{
        bars::{self, Bar, bars},
        layout::{self, DATE_COLUMNS, SCALE_COLUMNS, ScrubberAreas},
        scale::Grid,
        state::{Heights, Log, RequestKind, State, TimeRange},
        ticks::ticks,
        times,
    },
    when,
};

use super::{
    looks::{Looks, Role},
    pen::{self, Pen},
    plot::{self, Plot},
};

/// Eighths of a row.
const EIGHTHS: usize = 8;

pub(super) fn draw(state: &State, log: &Log, looks: Looks, buffer: &mut Buffer, areas: ScrubberAreas) {
    let Some(grid) = &log.scrubber.grid else {
        let outage = state.requests.outage(RequestKind::Overview);
        let text = match outage {
            Some(outage) => outage.reason.as_str(),
            None if log.empty => "",
            None => "counting",
        };
        let area = if areas.title.height > 0 { areas.title } else { areas.bars };
        Pen::new(buffer, area, 0).put(" ", Style::new()).foreign(text, looks.aside());
        return;
    };
    let drawing = Drawing::new(state, log, looks, grid);
    if areas.title.height == 0 {
        return drawing.one_row(buffer, areas.bars);
    }
    drawing.title(buffer, areas.title);
    drawing.lanes(buffer, areas.lanes);
    drawing.bars(buffer, areas.bars);
    if areas.marks.height > 0 {
        drawing.marks(buffer, areas.marks);
    }
    drawing.axis(buffer, areas.axis);
    drawing.overview(buffer, areas.overview);
}

/// Draws the bars and the axis of a log that is not open.
pub(super) fn draw_preview(state: &State, log: &Log, looks: Looks, buffer: &mut Buffer, bars_area: Rect, axis: Rect) {
    let Some(grid) = &log.scrubber.grid else { return };
    let drawing = Drawing::new(state, log, looks, grid);
    drawing.bars(buffer, bars_area);
    drawing.axis(buffer, axis);
}

fn scale_name(heights: Heights) -> &'static str {
    match heights {
        Heights::Automatic | Heights::Linear => "linear",
        Heights::Root => "square root",
        Heights::Logarithm => "log",
    }
}

/// The parts of the scrubber, drawn from one state.
struct Drawing<'a> {
    state: &'a State,
    log: &'a Log,
    looks: Looks,
    grid: &'a Grid,
    bars: Vec<Bar>,
    heights: Heights,
    /// The numbers that are drawn in place of the bars.
    plot: Option<Plot<'a>>,
    /// The highest count, and its bar.
    peak: Option<(u64, usize)>,
}

impl<'a> Drawing<'a> {
    fn new(state: &'a State, log: &'a Log, looks: Looks, grid: &'a Grid) -> Self {
        let bars = bars(log);
        let heights = bars::heights(log.scrubber.heights, &bars);
        // If several bars are the highest, the peak is the first of them.
        let counted = bars.iter().enumerate().rev().filter_map(|(bar, shown)| Some((shown.count?, bar)));
        let peak = counted.max_by_key(|peak| peak.0);
        let plot = Plot::of(log, grid);
        Self { state, log, looks, grid, bars, heights, plot, peak }
    }

    fn peak_count(&self) -> u64 {
        self.peak.map_or(0, |(count, _)| count)
    }

    /// Returns the column of a bar.
    fn column(&self, area: Rect, bar: usize) -> u16 {
        area.x + SCALE_COLUMNS + (bar * self.grid.scale.columns) as u16
    }

    /// Returns the time of the playhead. A log that is not open has none.
    fn playhead(&self) -> Option<Offset> {
        self.log.time().filter(|_| self.state.log.is_some())
    }

    fn playhead_bar(&self) -> Option<usize> {
        self.playhead().and_then(|time| self.grid.bar(time))
    }

    fn has_matches(&self) -> bool {
        self.log.is_filtered() || self.log.search.is_some()
    }

    /// Returns the window, the bars, the peak and the meaning of the signs.
    fn title(&self, buffer: &mut Buffer, area: Rect) {
        let (looks, zone) = (self.looks, self.state.shown_zone());
        let (from, to) = self.grid.window();
        let rule = looks.drawn("─", "-");
        let mut pen = Pen::new(buffer, area, 0);
        pen.put(rule, looks.aside()).put(" ", Style::new());
        let length = times::pause(to.nanos().saturating_sub(from.nanos()));
        let approximate = if self.bars.iter().any(|bar| bar.is_mean) { "~" } else { "" };
        let mut text = format!("{length} · bars of {}", times::step(self.grid.scale.step));
        if let Some(Plot { numbers, .. }) = &self.plot {
            let name = sanitize(&numbers.survey.path);
            text.push_str(&format!(" · {name}: median, min–max"));
            let read = numbers.result.read;
            if numbers.result.goes_on || numbers.result.is_cut {
                text.push_str(&format!(" of the first {} events", human_count(read)));
            }
        } else if let Some((count, bar)) = self.peak.filter(|(count, _)| *count > 0) {
            let at = when::zoned(self.grid.edges()[bar], zone);
            let format = match self.grid.scale.step.about_nanos() {
                ..60_000_000_000 => "%H:%M:%S",
                60_000_000_000..86_400_000_000_000 => "%m-%d %H:%M",
                _ => "%Y-%m-%d",
            };
            text.push_str(&format!(" · peak {approximate}{} at {}", human_count(count), at.strftime(format)));
        }
        let heights = scale_name(self.heights);
        if let Some(plot) = &self.plot {
            let scale = format!(" {} {} ", looks.drawn("·", "-"), scale_name(plot.axis));
            pen.put(&looks.spelled(&text), Style::new()).put(" ", Style::new());
            let scale_at = area.right().saturating_sub(pen::width(&scale) as u16 + 1);
            if pen.x() < scale_at {
                pen.fill(scale_at, rule, looks.aside()).put(&scale, looks.aside());
            }
            pen.rest(rule, looks.aside());
            return;
        }
        let mut legend: Vec<(String, Style)> = Vec::new();
        let full = looks.bar(EIGHTHS);
        let mut part = |sign: &str, style: Style, name: &str| {
            legend.extend([(sign.to_owned(), style), (format!(" {name}  "), looks.aside())]);
        };
        if self.bars.iter().any(|bar| bar.is_mean) {
            part(looks.drawn("▒", ":"), looks.aside(), "mean of the index");
        }
        if self.has_matches() {
            part(looks.drawn("░", "."), looks.aside(), "all");
            part(full, looks.found(), "match");
        }
        let has_levels = !self.has_matches();
        if has_levels && self.bars.iter().any(|bar| bar.errors > 0) {
            part(full, looks.bad(), "error");
        }
        if has_levels && self.bars.iter().any(|bar| bar.warnings > 0) {
            part(full, looks.found(), "warn");
        }
        if let Some(ahead) = self.log.ahead {
            legend.push((format!("+{} ahead  ", human_count(ahead.events)), looks.aside()));
        }
        legend.push((format!("{} {heights} ", looks.drawn("·", "-")), looks.aside()));
        pen.put(&looks.spelled(&text), Style::new()).put(" ", Style::new());
        let width: usize = legend.iter().map(|(text, _)| pen::width(text)).sum();
        let legend_at = area.right().saturating_sub(width as u16 + 1);
        if pen.x() < legend_at {
            pen.fill(legend_at, rule, looks.aside()).put(" ", Style::new());
            for (text, style) in legend {
                pen.put(&text, style);
            }
        }
        pen.rest(rule, looks.aside());
    }

    /// Draws a row of bars for each lane, all on one scale.
    fn lanes(&self, buffer: &mut Buffer, area: Rect) {
        let lanes: Vec<(&LogId, Vec<Bar>)> =
            self.log.lanes.logs().iter().map(|lane| (lane, bars::lane(self.log, lane))).collect();
        let peak = lanes.iter().flat_map(|(_, bars)| bars).filter_map(|bar| bar.count).max().unwrap_or(0);
        let playhead = self.playhead_bar();
        for (row, (lane, bars)) in lanes.iter().enumerate().take(usize::from(area.height)) {
            let name = self.log.lanes.short(lane);
            let room = usize::from(SCALE_COLUMNS) - 1;
            let name: String = name.chars().take(room).collect();
            let mut pen = Pen::new(buffer, area, row as u16);
            pen.put(&" ".repeat(room.saturating_sub(pen::width(&name))), Style::new());
            pen.foreign(&name, self.looks.name()).put(self.looks.drawn("│", "|"), self.looks.aside());
            for (index, bar) in bars.iter().enumerate() {
                let height = |count: u64| bars::height(count, peak, EIGHTHS, self.heights);
                let heights = [0, height(bar.matches), height(bar.count.unwrap_or(0))];
                let (symbol, style) = self.cell(bar, heights, false);
                let style = if Some(index) == playhead { style.patch(Looks::here()) } else { style };
                let x = self.column(area, index);
                pen.go_to(x).fill(x + self.grid.scale.columns as u16, symbol, style);
            }
        }
    }

    /// Draws all rows of bars, with the scale at the left.
    fn bars(&self, buffer: &mut Buffer, area: Rect) {
        if let Some(plot) = &self.plot {
            return plot::draw(plot, self.grid, self.playhead_bar(), self.looks, buffer, area);
        }
        let (looks, rows) = (self.looks, usize::from(area.height));
        let levels = rows * EIGHTHS;
        let corner = looks.drawn("┤", "+");
        for row in 0..area.height {
            let mut pen = Pen::new(buffer, area, row);
            let value = match row {
                0 => Some(self.peak_count()),
                row if usize::from(row) == rows / 2 && rows >= 4 => Some(self.half()),
                _ => None,
            };
            match value.filter(|value| *value > 0) {
                Some(value) => pen.put(&format!("{:>4}{corner}", times::short_count(value)), looks.aside()),
                None => pen.put(&format!("    {}", looks.drawn("│", "|")), looks.aside()),
            };
        }
        let playhead = self.playhead_bar();
        let range = self.log.range_times();
        for (index, bar) in self.bars.iter().enumerate() {
            let heights = self.heights_of(bar, levels);
            let is_in_range =
                range.is_some_and(|(from, to)| self.grid.edges()[index] <= to && from < self.grid.edges()[index + 1]);
            let is_open = self.is_growing(index);
            for row in 0..rows {
                let from_ground = rows - 1 - row;
                let part = |height: usize| height.saturating_sub(from_ground * EIGHTHS).min(EIGHTHS);
                let (symbol, mut style) = self.cell(bar, heights.map(part), is_open);
                if is_in_range {
                    style = style.patch(looks.style(Role::Mine));
                }
                // The height of what is not counted yet is not known.
                let symbol = if bar.count.is_none() && from_ground == 0 { "?" } else { symbol };
                if bar.count.is_none() {
                    style = looks.aside();
                }
                let symbol = if Some(index) == playhead && symbol == " " { looks.drawn("╎", "|") } else { symbol };
                if Some(index) == playhead {
                    style = style.add_modifier(Modifier::REVERSED);
                }
                let x = self.column(area, index);
                let mut pen = Pen::new(buffer, area, row as u16);
                pen.go_to(x).fill(x + self.grid.scale.columns as u16, symbol, style);
            }
        }
    }

    /// Returns the heights of a bar's parts, which stand on each other: errors, or matches; with warnings; with all.
    fn heights_of(&self, bar: &Bar, levels: usize) -> [usize; 3] {
        let all = self.height(bar.count.unwrap_or(0), levels);
        if self.has_matches() {
            return [0, self.height(bar.matches, levels), all];
        }
        [self.height(bar.errors, levels), self.height(bar.errors + bar.warnings, levels), all]
    }

    /// Returns the sign and the style of a cell of a bar, in which its parts are this high.
    fn cell(&self, bar: &Bar, [errors, found, all]: [usize; 3], is_open: bool) -> (&'static str, Style) {
        let looks = self.looks;
        if bar.count.is_none() {
            return (" ", Style::new());
        }
        let part =
            if errors > 0 { Some((errors, looks.bad())) } else { Some((found, looks.found())).filter(|_| found > 0) };
        if let Some((height, style)) = part {
            // Where the part and the rest end in one cell, its height is that of all, and its colour that of the part.
            return match all {
                EIGHTHS.. if height < EIGHTHS => (looks.bar(height), looks.over_all(style)),
                _ => (looks.bar(height.max(all)), style),
            };
        }
        if self.has_matches() {
            return match all {
                0 => (" ", Style::new()),
                EIGHTHS.. => (looks.drawn("░", "."), looks.aside()),
                all => (looks.bar(all), looks.aside()),
            };
        }
        match all {
            0 => (" ", Style::new()),
            EIGHTHS.. if bar.is_mean || is_open => (looks.drawn("▒", ":"), looks.aside()),
            all if bar.is_mean || is_open => (looks.bar(all), looks.aside()),
            all => (looks.bar(all), Style::new()),
        }
    }

    fn height(&self, count: u64, levels: usize) -> usize {
        bars::height(count, self.peak_count(), levels, self.heights)
    }

    /// Returns the count that is drawn half as high as the peak.
    fn half(&self) -> u64 {
        let peak = self.peak_count();
        match self.heights {
            Heights::Automatic | Heights::Linear => peak / 2,
            Heights::Root => peak / 4,
            Heights::Logarithm => ((peak as f64).ln_1p() / 2.0).exp_m1() as u64,
        }
    }

    /// Returns true for the bar of now, which still gets events.
    fn is_growing(&self, bar: usize) -> bool {
        let edges = self.grid.edges();
        (edges[bar]..edges[bar + 1]).contains(&self.state.service_now()) && self.log.is_reported()
    }

    /// Draws the marks and the range.
    fn marks(&self, buffer: &mut Buffer, area: Rect) {
        let (looks, style) = (self.looks, self.looks.style(Role::Mine));
        if let Some((from, to)) = self.log.range_times() {
            let (first, last) = self.grid.window();
            let bar = |at: Offset| self.grid.bar(at.clamp(first, last.saturating_add_nanos(-1))).unwrap_or(0);
            if from < last && to >= first {
                let (start, end) = (self.column(area, bar(from)), self.column(area, bar(to)));
                let mut pen = Pen::new(buffer, area, 0);
                pen.go_to(start).put(looks.drawn("├", "|"), style).fill(end, looks.drawn("─", "-"), style);
                pen.put(looks.drawn("┤", "|"), style);
                let length = times::pause(to.nanos().saturating_sub(from.nanos()));
                let open = matches!(self.log.range, Some(TimeRange::Open(_)));
                let next = if open { "v ends it" } else { "y r copies the command" };
                let text = format!("{length}: {next}");
                let x = area.right().saturating_sub(pen::width(&text) as u16 + 1);
                Pen::new(buffer, area, 0).go_to(x).put(&text, style);
            }
        }
        for mark in &self.log.marks {
            if let Some(bar) = self.grid.bar(mark.offset) {
                let x = self.column(area, bar);
                Pen::new(buffer, area, 0).go_to(x).put(looks.drawn("◆", "*"), style);
            }
        }
    }

    /// Draws times on the edges of bars, and the playhead's.
    fn axis(&self, buffer: &mut Buffer, area: Rect) {
        let (looks, zone) = (self.looks, self.state.shown_zone());
        let sign = looks.drawn("└", "'");
        let playhead = self.playhead().and_then(|time| Some((self.grid.bar(time)?, time)));
        let is_long = self.grid.scale.step.about_nanos() >= hourlog::time::DAY;
        let format = match area.width {
            _ if is_long => "%Y-%m-%d",
            100.. => "%H:%M:%S%.3f",
            _ => "%H:%M",
        };
        let text = playhead.map_or_else(String::new, |(_, time)| {
            format!("{}{}", looks.drawn("▲", "^"), when::zoned(time, zone).strftime(format))
        });
        let width = pen::width(&text) as u16;
        let at = playhead.map(|(bar, _)| self.column(area, bar).min(area.right().saturating_sub(width)));
        for tick in ticks(self.grid, zone) {
            let x = self.column(area, tick.bar);
            let end = x + 1 + tick.text.len() as u16;
            // Only the ticks under the playhead's time give way.
            let is_under = at.is_some_and(|at| x < at + width && at < end);
            if !is_under && end <= area.right() {
                Pen::new(buffer, area, 0).go_to(x).put(sign, looks.aside()).put(&tick.text, Style::new());
            }
        }
        if let Some(at) = at {
            Pen::new(buffer, area, 0).go_to(at).put(&text, Style::new().add_modifier(Modifier::BOLD));
        }
    }

    /// Draws the whole log, with the window in it.
    fn overview(&self, buffer: &mut Buffer, area: Rect) {
        let looks = self.looks;
        let (Some(reply), Some((first, last))) = (self.log.scrubber.overview.known(), self.log.scrubber.extent) else {
            return;
        };
        let Some(texts) = layout::overview_texts(self.state, self.log, area.width) else { return };
        let Some((_, columns)) = layout::overview_columns(self.state, self.log, area) else { return };
        let (begin, end, place, columns) = (texts.begin, texts.end, texts.place, usize::from(columns));
        let (from, to) = self.grid.window();
        let mut pen = Pen::new(buffer, area, 0);
        pen.put(&begin, looks.aside());
        let span = i128::from(last.nanos()) - i128::from(first.nanos());
        let column = |at: Offset| {
            let into = i128::from(at.nanos()) - i128::from(first.nanos());
            (into * columns as i128 / span.max(1)).clamp(0, columns as i128) as usize
        };
        let counts = bars::columns(reply, (first, last), columns);
        let peak = counts.iter().copied().max().unwrap_or(0);
        let (left, right) = (column(from), column(to).max(column(from) + 1).min(columns));
        let marks: Vec<usize> = self.log.marks.iter().map(|mark| column(mark.offset)).collect();
        let (open, close) = (looks.drawn("▐", "["), looks.drawn("▌", "]"));
        pen.put(if left == 0 { open } else { looks.drawn("▕", " ") }, looks.aside());
        for (index, count) in counts.iter().enumerate() {
            let is_inside = (left..right).contains(&index);
            let eighths = bars::height(*count, peak, EIGHTHS, Heights::Root);
            let (symbol, style) = match index {
                _ if marks.contains(&index) => (looks.drawn("◆", "*"), looks.style(Role::Mine)),
                _ if !is_inside && index + 1 == left => (open, looks.aside()),
                _ if !is_inside && index == right => (close, looks.aside()),
                _ if is_inside => (looks.bar(eighths), Style::new()),
                _ => (looks.bar(eighths), looks.aside()),
            };
            pen.put(symbol, style);
        }
        pen.put(if right >= columns { close } else { " " }, looks.aside());
        pen.put(&end, looks.aside());
        let x = area.right().saturating_sub(pen::width(&place) as u16);
        pen.go_to(x).put(&place, looks.aside());
    }

    /// Draws a date and a single row of bars.
    fn one_row(&self, buffer: &mut Buffer, area: Rect) {
        let mut pen = Pen::new(buffer, area, 0);
        let date =
            self.log.time().map(|time| when::zoned(time, self.state.shown_zone()).strftime("%Y-%m-%d").to_string());
        pen.put(date.as_deref().unwrap_or_default(), self.looks.aside());
        pen.go_to(area.x + DATE_COLUMNS);
        let playhead = self.playhead_bar();
        for (index, bar) in self.bars.iter().enumerate() {
            let (symbol, style) = self.cell(bar, self.heights_of(bar, EIGHTHS), self.is_growing(index));
            let style = if Some(index) == playhead { style.add_modifier(Modifier::REVERSED) } else { style };
            let end = pen.x() + self.grid.scale.columns as u16;
            pen.fill(end, symbol, style);
        }
    }
}
