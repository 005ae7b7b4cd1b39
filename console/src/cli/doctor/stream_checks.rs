//! Checks of a stream: its settings and how full it is.

use async_nats::jetstream::stream::Config;
use hourlog::{Error, nats::risky_settings};
use serde_json::Value;

use crate::output::{counted, human_bytes};

use super::finding::Finding;

/// Fill level at which a stream is soon full.
const FILL_WARN_PERCENT: u64 = 80;

/// Judges a stream that has no information.
pub(super) fn no_stream(stream: &str, error: &Error) -> Finding {
    Finding::not_checked("stream", error).unwrap_or_else(|| {
        Finding::fail(
            "stream",
            format!("{stream}: {error}"),
            "restore it, or wait until hourlogd creates it; use --stream for another name",
        )
    })
}

/// Judges a stream's settings, on a server with this `max_payload`.
pub(super) fn settings(stream: &str, config: &Config, max_payload: usize) -> Finding {
    let risky = risky_settings(config, max_payload);
    let lossy: Vec<&str> = risky.iter().filter(|setting| setting.loses_events).map(|setting| setting.name).collect();
    if lossy.is_empty() {
        Finding::ok("stream", format!("{stream} has no setting that loses events"))
    } else {
        Finding::fail(
            "stream",
            format!("{stream} can lose events because of {}", lossy.join(", ")),
            format!("change these settings back with nats stream edit {stream}"),
        )
    }
}

/// Judges settings that this version does not know: those of a newer server.
pub(super) fn unknown_settings(stream: &str, reason: &str) -> Finding {
    Finding::warn(
        "stream",
        format!("{stream} has settings that this version does not know: {reason}"),
        "check by hand that none of them loses events, or use a newer hourlog",
    )
}

/// Judges how full a stream is.
pub(super) fn fill(info: &Value) -> Finding {
    let bytes = info["state"]["bytes"].as_u64().unwrap_or(0);
    let messages = counted(info["state"]["messages"].as_u64().unwrap_or(0), "message");
    match info["config"]["max_bytes"].as_u64().filter(|max| *max > 0) {
        None => Finding::warn(
            "stream fill",
            format!("{messages}, {}, no max_bytes", human_bytes(bytes)),
            "set max_bytes: a full disk stops the server",
        ),
        Some(max) => {
            let percent = bytes.saturating_mul(100) / max;
            let found = format!("{messages}, {percent}% of {}", human_bytes(max));
            if percent >= FILL_WARN_PERCENT {
                Finding::warn(
                    "stream fill",
                    found,
                    "raise max_bytes, or purge archived messages; a full stream refuses events",
                )
            } else {
                Finding::ok("stream fill", found)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::Severity;
    use async_nats::jetstream::stream::{DiscardPolicy, StorageType};
    use serde_json::json;

    #[test]
    fn a_stream_that_loses_events_fails_with_the_name_of_the_setting() {
        let good = Config { discard: DiscardPolicy::New, storage: StorageType::File, ..Config::default() };
        assert_eq!(settings("S", &good, 1 << 20).state, Severity::Ok);
        let bad = Config { discard: DiscardPolicy::Old, storage: StorageType::Memory, ..good };
        let finding = settings("S", &bad, 1 << 20);
        assert_eq!(finding.state, Severity::Fail);
        assert!(finding.found.contains("discard: old, storage: memory"), "{finding:?}");
    }

    #[test]
    fn a_stream_is_reported_before_it_is_full() {
        let filled = |bytes: u64, max: i64| fill(&json!({"state":{"bytes":bytes},"config":{"max_bytes":max}})).state;
        assert_eq!(filled(79, 100), Severity::Ok);
        assert_eq!(filled(80, 100), Severity::Warn);
        assert_eq!(filled(1, -1), Severity::Warn, "without max_bytes the disk can fill up");
    }
}
