//! The results of a subcommand: lines of text or JSON on stdout, and progress on a terminal.

use std::{
    error::Error as _,
    io::{Write, stderr, stdout},
};

use hourlog::{
    Error,
    maintenance::{BucketDamage, Finding},
};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::{config::Output, trace::visible};

/// Prints results as they come.
pub(super) struct Report {
    output: Output,
    /// Hidden unless stderr is a terminal.
    bar: ProgressBar,
}

impl Report {
    /// Begins to print.
    pub(super) fn new(output: Output) -> Self {
        let bar = if output.quiet { ProgressBar::hidden() } else { ProgressBar::new(0) };
        let template = "{bar:30} {binary_bytes} of {binary_total_bytes}, {eta} left";
        let style = ProgressStyle::with_template(template).expect("the template is a constant and well formed");
        Self { output, bar: bar.with_style(style) }
    }

    /// Prints a finding.
    pub(super) fn tell(&self, finding: &Finding) {
        let (value, text) = match finding {
            Finding::Progress { read_bytes, total_bytes } => {
                self.bar.set_length(*total_bytes);
                self.bar.set_position(*read_bytes);
                return;
            }
            Finding::File(damage) => {
                let value = json!({ "damaged_file": damage.file, "table": damage.table, "detail": damage.detail });
                (value, damage.to_string())
            }
            Finding::Row(damage) => {
                (json!({ "damaged_row": damage.detail, "table": damage.table }), damage.to_string())
            }
            Finding::Bucket(damage) => (bucket_json(damage), damage.to_string()),
            Finding::Log(log) => {
                if self.output.quiet && log.damaged_buckets == 0 {
                    return;
                }
                let value = json!({
                    "log": log.log.as_str(),
                    "buckets": log.buckets,
                    "damaged_buckets": log.damaged_buckets,
                    "events": log.events,
                    "bytes": log.bytes,
                    "gone": log.gone,
                });
                (value, log.to_string())
            }
            _ => return,
        };
        self.print(&value, &text);
    }

    /// Prints the result.
    pub(super) fn end(&self, value: &Value, text: &str) {
        self.bar.finish_and_clear();
        self.print(value, text);
    }

    fn print(&self, value: &Value, text: &str) {
        let line = if self.output.json { value.to_string() } else { visible(text) };
        // Without a reader, the exit code still tells the result.
        self.bar.suspend(|| {
            let _ = writeln!(stdout(), "{line}");
        });
    }
}

fn bucket_json(damage: &BucketDamage) -> Value {
    json!({
        "damaged_bucket": damage.bucket.to_string(),
        "log": damage.log.as_str(),
        "events_counted": damage.events_counted,
        "events_found": damage.events_found,
        "late_counted": damage.late_counted,
        "late_found": damage.late_found,
        "unreadable": damage.unreadable,
    })
}

/// Prints an error with its cause.
pub(super) fn print_error(error: &Error) {
    let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
    // Without a reader, the exit code still tells the kind.
    let _ = writeln!(stderr(), "hourlogd: {}", visible(&format!("{error}{cause}")));
}
