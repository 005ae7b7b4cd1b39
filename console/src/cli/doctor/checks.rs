//! The checks: findings from facts, without any I/O.

use async_nats::jetstream::stream::Config;
use hourlog::{
    Error, Offset,
    nats::{ServerVersion, risky_settings, server_version},
    time::SECOND,
    wire,
};
use serde::Serialize;
use serde_json::Value;

use crate::output::{counted, human_bytes};

/// Clock difference that is worth a warning.
const CLOCK_WARN_NANOS: i64 = SECOND;
/// Clock difference at which events are rejected.
const CLOCK_FAIL_NANOS: i64 = hourlog::Record::AHEAD_NANOS_MAX;
/// Fill level at which a stream is soon full.
const STREAM_FILL_WARN_PERCENT: u64 = 80;

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    check: &'static str,
    pub(super) state: Severity,
    found: String,
    /// The remedy; empty if there is no problem.
    advice: String,
}

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    Ok,
    Warn,
    Fail,
}

impl Finding {
    /// Returns the finding as the cells of a table row.
    pub(super) fn cells(&self) -> Vec<String> {
        let state = match self.state {
            Severity::Ok => "ok",
            Severity::Warn => "warn",
            Severity::Fail => "FAIL",
        };
        vec![self.check.to_owned(), state.to_owned(), self.found.clone(), self.advice.clone()]
    }
}

/// Judges a connection that could not be opened.
pub(super) fn unreachable(error: &Error) -> Finding {
    fail("server", error.to_string(), "start nats-server -js, or give its address with -s")
}

/// Judges the server's version.
pub(super) fn server(address: &str, version: &str) -> Finding {
    let found = format!("nats-server {version} at {address}");
    match server_version(version) {
        ServerVersion::TooOld => fail("server", found, "install 2.12.7 or newer; 2.11 is the oldest supported version"),
        ServerVersion::Unsafe => {
            warn("server", found, "install 2.12.7 or newer: this version has known holes in its authorisation")
        }
        ServerVersion::Good => ok("server", found),
    }
}

/// Judges the reply of the JetStream API, or the reason why there is none.
pub(super) fn jetstream(reply: Result<(), String>) -> Finding {
    match reply {
        Ok(()) => ok("jetstream", "enabled"),
        Err(reason) => fail("jetstream", reason, "start nats-server with -js, or allow this user $JS.API.INFO"),
    }
}

/// Judges the service, by its error, if any, and the number of instances that report statistics.
pub(super) fn service(error: Option<&Error>, instances: usize, server: &str) -> Finding {
    let running = format!("{} running", counted(instances as u64, "instance"));
    match (error, instances) {
        (None, 1..) => ok("hourlogd", running),
        (None, 0) => warn(
            "hourlogd",
            "running, but it reports no statistics",
            format!("allow this user $SRV.STATS.{}", wire::SERVICE),
        ),
        (Some(error), 0) => {
            fail("hourlogd", error.to_string(), format!("start hourlogd --nats {server} --store file:DIR"))
        }
        (Some(error), 1..) => fail(
            "hourlogd",
            format!("{running}, but: {error}"),
            "compare --prefix on both sides, and read hourlogd's trace",
        ),
    }
}

/// Judges the report of one instance: its archive, its connection and its stream.
pub(super) fn instance(report: &Value) -> Vec<Finding> {
    let version = report["version"].as_str().unwrap_or("?");
    let endpoints = report["endpoints"].as_array().map(Vec::as_slice).unwrap_or_default();
    let Some(data) = endpoints.iter().map(|endpoint| &endpoint["data"]).find(|data| data.is_object()) else {
        return vec![warn(
            "service",
            format!("hourlogd {version} does not report its state"),
            "install the same version of hourlogd and hourlog",
        )];
    };
    vec![
        component(
            "archive",
            &data["archive"],
            "check that its disk has space and no errors, or that its nodes run; events wait in the stream meanwhile",
        ),
        catch_up(data),
        component("ingest", &data["nats"], "read the log of nats-server; hourlogd reconnects by itself"),
        component("wal", &data["wal"], "restore the stream's settings"),
        ok("lag", format!("{} to archive", counted(count(data, "lag"), "message"))),
        rejected(count(data, "rejected")),
        fork(&data["fork"]),
    ]
}

/// Judges a stream that has no information.
pub(super) fn no_stream(stream: &str, reason: &str) -> Finding {
    fail(
        "stream",
        format!("{stream}: {reason}"),
        "hourlogd creates the stream when it starts; use --stream for another name",
    )
}

/// Judges a stream's settings, on a server with this `max_payload`.
pub(super) fn stream_settings(stream: &str, config: &Config, max_payload: usize) -> Finding {
    let risky = risky_settings(config, max_payload);
    let lossy: Vec<&str> = risky.iter().filter(|setting| setting.loses_events).map(|setting| setting.name).collect();
    if lossy.is_empty() {
        ok("stream", format!("{stream} has no setting that loses events"))
    } else {
        fail(
            "stream",
            format!("{stream} can lose events because of {}", lossy.join(", ")),
            format!("change these settings back with nats stream edit {stream}"),
        )
    }
}

/// Judges settings that this version does not know: those of a newer server.
pub(super) fn unknown_stream_settings(stream: &str, reason: &str) -> Finding {
    warn(
        "stream",
        format!("{stream} has settings that this version does not know: {reason}"),
        "check by hand that none of them loses events, or use a newer hourlog",
    )
}

/// Judges how full a stream is.
pub(super) fn stream_fill(info: &Value) -> Finding {
    let bytes = info["state"]["bytes"].as_u64().unwrap_or(0);
    let messages = counted(info["state"]["messages"].as_u64().unwrap_or(0), "message");
    match info["config"]["max_bytes"].as_u64().filter(|max| *max > 0) {
        None => warn(
            "stream fill",
            format!("{messages}, {}, no max_bytes", human_bytes(bytes)),
            "set max_bytes: a full disk stops the server",
        ),
        Some(max) => {
            let percent = bytes.saturating_mul(100) / max;
            let found = format!("{messages}, {percent}% of {}", human_bytes(max));
            if percent >= STREAM_FILL_WARN_PERCENT {
                warn("stream fill", found, "raise max_bytes, or purge archived messages; a full stream refuses events")
            } else {
                ok("stream fill", found)
            }
        }
    }
}

/// Returns how far the server's clock is ahead of ours, in nanoseconds. The server read
/// `server_time` between `before` and `after` by our clock.
pub(super) fn clock_ahead_nanos(before: Offset, after: Offset, server_time: Offset) -> i64 {
    let middle = before.nanos() + (after.nanos() - before.nanos()) / 2;
    server_time.nanos().saturating_sub(middle)
}

/// Judges the difference between the clocks.
pub(super) fn clocks(ahead_nanos: i64) -> Finding {
    let difference = ahead_nanos.saturating_abs();
    let direction = if ahead_nanos >= 0 { "ahead" } else { "behind" };
    let found = format!("the server's clock is {:.3} s {direction}", difference as f64 / SECOND as f64);
    if difference > CLOCK_FAIL_NANOS {
        fail("clocks", found, "set the clocks: events more than 5 minutes ahead are rejected")
    } else if difference > CLOCK_WARN_NANOS {
        warn("clocks", found, "synchronise both clocks with NTP")
    } else {
        ok("clocks", found)
    }
}

fn component(check: &'static str, state: &Value, advice: &str) -> Finding {
    if state["ok"] != Value::Bool(false) {
        return ok(check, "healthy");
    }
    let text = |field: &str| state[field].as_str();
    let since = text("since").map(|since| format!(" since {since}")).unwrap_or_default();
    let log = text("log").map(|log| format!(", {log}")).unwrap_or_default();
    fail(check, format!("degraded{since}{log}: {}", text("reason").unwrap_or_default()), advice)
}

fn catch_up(data: &Value) -> Finding {
    match (count(data, "rereading"), count(data, "set_backs")) {
        (0, 0) => ok("reread", "nothing to read from the stream again"),
        (0, restarts) => {
            ok("reread", format!("{} of an archive node; hourlogd has caught up", counted(restarts, "restart")))
        }
        (messages, _) => warn(
            "reread",
            format!(
                "{} to read again, because a restarted archive node may have lost them",
                counted(messages, "message")
            ),
            "wait: hourlogd answers readers once it has caught up",
        ),
    }
}

fn rejected(events: u64) -> Finding {
    match events {
        0 => ok("rejected", "no events since the service started"),
        events => warn(
            "rejected",
            format!("{} since the service started", counted(events, "event")),
            "hourlog read _rejected shows the reasons",
        ),
    }
}

fn fork(fork: &Value) -> Finding {
    match fork {
        Value::Null => ok("fork", "the stream has not reused any sequence"),
        fork => warn(
            "fork",
            format!(
                "at {} the stream began to reuse sequences, from {} on; lost messages: {}; archived up to message {}",
                fork["at"].as_str().unwrap_or("?"),
                fork["from"],
                fork["lost"].as_str().unwrap_or("?"),
                fork["archived"]
            ),
            "publish the lost messages above the archived ones again; everything published since is archived",
        ),
    }
}

fn count(data: &Value, field: &str) -> u64 {
    data[field].as_u64().unwrap_or(0)
}

fn ok(check: &'static str, found: impl Into<String>) -> Finding {
    Finding { check, state: Severity::Ok, found: found.into(), advice: String::new() }
}

fn warn(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Finding {
    Finding { check, state: Severity::Warn, found: found.into(), advice: advice.into() }
}

fn fail(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Finding {
    Finding { check, state: Severity::Fail, found: found.into(), advice: advice.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_nats::jetstream::stream::{DiscardPolicy, StorageType};
    use hourlog::ErrorKind;
    use serde_json::json;

    #[test]
    fn old_servers_are_reported() {
        for (text, state) in [
            ("2.9.25", Severity::Fail),
            ("2.10.29", Severity::Fail),
            ("2.11.0", Severity::Warn),
            ("2.12.6", Severity::Warn),
            ("2.12.7", Severity::Ok),
            ("2.14.0-RC.1", Severity::Ok),
            ("3.0", Severity::Ok),
        ] {
            assert_eq!(server("here", text).state, state, "{text}");
        }
    }

    #[test]
    fn a_service_is_usable_only_if_it_replies() {
        let error = Error::new(ErrorKind::Unavailable, "no answer");
        for (error, instances, state) in [
            (None, 2, Severity::Ok),
            (None, 0, Severity::Warn),
            (Some(&error), 0, Severity::Fail),
            (Some(&error), 1, Severity::Fail),
        ] {
            assert_eq!(service(error, instances, "nats://a").state, state, "{error:?}, {instances} instances");
        }
    }

    #[test]
    fn a_stream_that_loses_events_fails_with_the_name_of_the_setting() {
        let good = Config { discard: DiscardPolicy::New, storage: StorageType::File, ..Config::default() };
        assert_eq!(stream_settings("S", &good, 1 << 20).state, Severity::Ok);
        let bad = Config { discard: DiscardPolicy::Old, storage: StorageType::Memory, ..good };
        let finding = stream_settings("S", &bad, 1 << 20);
        assert_eq!(finding.state, Severity::Fail);
        assert!(finding.found.contains("discard: old, storage: memory"), "{finding:?}");
    }

    #[test]
    fn a_stream_is_reported_before_it_is_full() {
        let filled =
            |bytes: u64, max: i64| stream_fill(&json!({"state":{"bytes":bytes},"config":{"max_bytes":max}})).state;
        assert_eq!(filled(79, 100), Severity::Ok);
        assert_eq!(filled(80, 100), Severity::Warn);
        assert_eq!(filled(1, -1), Severity::Warn, "without max_bytes the disk can fill up");
    }

    #[test]
    fn a_degraded_component_is_reported_with_its_reason() {
        let report = json!({"version":"0.1.0","endpoints":[{"name":"append","data":{
            "archive":{"ok":false,"since":"2018-02-04T21:56:42Z","log":"orders.eu","reason":"no space"},
            "nats":{"ok":true},"wal":{"ok":true},"lag":7,"rejected":0}}]});
        let findings = instance(&report);
        let failed: Vec<_> = findings.iter().filter(|finding| finding.state == Severity::Fail).collect();
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0].found, "degraded since 2018-02-04T21:56:42Z, orders.eu: no space");
        assert!(findings.iter().any(|finding| finding.found == "7 messages to archive"));
    }

    #[test]
    fn a_clock_is_compared_with_the_middle_of_the_request() {
        let at = Offset::from_nanos;
        assert_eq!(clock_ahead_nanos(at(100), at(200), at(1150)), 1000);
        assert_eq!(clock_ahead_nanos(at(100), at(200), at(50)), -100);
    }

    #[test]
    fn clocks_that_differ_are_reported() {
        for (ahead, state) in [(0, Severity::Ok), (-2 * SECOND, Severity::Warn), (400 * SECOND, Severity::Fail)] {
            assert_eq!(clocks(ahead).state, state);
        }
    }
}
