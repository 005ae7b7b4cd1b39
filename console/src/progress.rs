//! Progress bars on stderr.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::Output;

/// Interval between redraws. Often enough to look smooth, rare enough to cost nothing.
const REDRAW_INTERVAL: Duration = Duration::from_millis(100);

/// The looks of a progress bar, as `indicatif` templates.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Templates {
    /// For a known length.
    pub(crate) bar: &'static str,
    /// For an unknown length.
    pub(crate) spinner: &'static str,
}

/// Returns a progress bar towards `length`, or a spinner if the length is unknown.
///
/// It draws nothing with `--quiet` or when stderr is not a terminal.
pub(crate) fn progress_bar(out: &Output, length: Option<u64>, templates: Templates) -> ProgressBar {
    if out.quiet() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match length {
        Some(length) => (ProgressBar::new(length), templates.bar),
        None => (ProgressBar::no_length(), templates.spinner),
    };
    let bar = bar.with_style(ProgressStyle::with_template(template).expect("templates are constants and well formed"));
    bar.enable_steady_tick(REDRAW_INTERVAL);
    bar
}
