//! The text formats of metrics: OpenMetrics for those who ask for it, and that of Prometheus.
//!
//! The client library writes OpenMetrics. The older format differs in few places: a counter is
//! declared with its suffix, there is no type `info`, and there is no end mark.

use std::fmt;

use prometheus_client::{encoding::text::encode, registry::Registry};

/// Media type of OpenMetrics.
const OPEN_METRICS: &str = "application/openmetrics-text";
/// Media type of the text format of Prometheus.
const PLAIN: &str = "text/plain";

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// The text format of Prometheus, version 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// Returns the format that the value of an `Accept` header prefers. Without a preference, that
    /// of Prometheus, which every scraper reads.
    pub(crate) fn accepted(accept: &str) -> Self {
        match quality(accept, OPEN_METRICS) {
            Some(open_metrics) if open_metrics > quality(accept, PLAIN).unwrap_or(0.0) => Self::OpenMetrics,
            _ => Self::Prometheus,
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Writes the metrics of `registry`.
    pub(crate) fn write(self, registry: &Registry) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, registry)?;
        Ok(match self {
            Self::Prometheus => prometheus(&text),
            Self::OpenMetrics => text,
        })
    }
}

/// Returns the greatest quality that an `Accept` header gives a media type.
fn quality(accept: &str, media_type: &str) -> Option<f64> {
    let qualities = accept.split(',').filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_asked_for = parts.next()?.eq_ignore_ascii_case(media_type);
        let quality = parts.find_map(|parameter| parameter.strip_prefix("q=")?.parse().ok());
        is_asked_for.then_some(quality.unwrap_or(1.0))
    });
    qualities.reduce(f64::max)
}

/// Converts OpenMetrics to the text format of Prometheus.
fn prometheus(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help = None;
    for line in open_metrics.lines() {
        match line.strip_prefix("# ").map(|comment| comment.splitn(3, ' ').collect::<Vec<_>>()).as_deref() {
            // The description stands before the type, which decides on the suffix.
            Some(["HELP", _, description]) => help = Some(*description),
            Some(["TYPE", name, of_open_metrics]) => {
                let (suffix, of_prometheus) = match *of_open_metrics {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    "unknown" => ("", "untyped"),
                    other => ("", other),
                };
                if let Some(description) = help.take() {
                    text.push_str(&format!("# HELP {name}{suffix} {description}\n"));
                }
                text.push_str(&format!("# TYPE {name}{suffix} {of_prometheus}\n"));
            }
            Some(["UNIT" | "EOF", ..]) => {}
            _ => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_only_for_those_who_prefer_it() {
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
            text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, format) in [
            ("", Format::Prometheus),
            ("*/*", Format::Prometheus),
            ("text/html,*/*;q=0.8", Format::Prometheus),
            ("text/plain;version=0.0.4", Format::Prometheus),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("Application/OpenMetrics-Text; version=1.0.0", Format::OpenMetrics),
            ("application/openmetrics-text;q=0", Format::Prometheus),
            ("text/plain, application/openmetrics-text;q=0.5", Format::Prometheus),
            (prometheus_3, Format::OpenMetrics),
        ] {
            assert_eq!(Format::accepted(accept), format, "{accept:?}");
        }
    }

    #[test]
    fn counters_and_infos_are_declared_with_their_suffix() {
        let open_metrics = "# HELP a Counts.\n# TYPE a counter\na_total 7\n# HELP b_bytes Size.\n# TYPE b_bytes gauge\n\
            # UNIT b_bytes bytes\nb_bytes 1\n# TYPE build info\nbuild_info{version=\"1\"} 1\n# EOF\n";
        let expected = "# HELP a_total Counts.\n# TYPE a_total counter\na_total 7\n# HELP b_bytes Size.\n\
            # TYPE b_bytes gauge\nb_bytes 1\n# TYPE build_info gauge\nbuild_info{version=\"1\"} 1\n";
        assert_eq!(prometheus(open_metrics), expected);
    }
}
