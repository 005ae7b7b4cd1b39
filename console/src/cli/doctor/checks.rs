//! Checks of the connection, JetStream and the clocks: findings from facts, without any I/O.

use hourlog::{
    Error,
    nats::{ServerVersion, server_version},
    time::SECOND,
};

use super::finding::Finding;

/// Clock difference that is worth a warning.
const CLOCK_WARN_NANOS: i64 = SECOND;
/// Clock difference that fails: no network and no missing NTP explains it.
const CLOCK_FAIL_NANOS: i64 = 60 * SECOND;

/// Judges a connection that could not be opened.
pub(super) fn unreachable(error: &Error) -> Finding {
    Finding::fail("server", error.to_string(), "start nats-server -js, or give its address with -s")
}

/// Judges the server's version.
pub(super) fn server(address: &str, version: &str) -> Finding {
    let found = format!("nats-server {version} at {address}");
    match server_version(version) {
        ServerVersion::TooOld => {
            Finding::fail("server", found, "install 2.12.7 or newer; 2.11 is the oldest supported version")
        }
        ServerVersion::Unsafe => {
            Finding::warn("server", found, "install 2.12.7 or newer: this version has known holes in its authorisation")
        }
        ServerVersion::Good => Finding::ok("server", found),
    }
}

/// Judges a connection on which no reply can arrive.
pub(super) fn no_inbox(denial: &str) -> Finding {
    Finding::fail(
        "inbox",
        format!("the server does not allow {denial}, so no reply can arrive"),
        "give --inbox-prefix the prefix below which this user may subscribe, such as _INBOX_reader",
    )
}

/// Judges the reply of the JetStream API, or the reason why there is none.
pub(super) fn jetstream(reply: Result<(), Error>) -> Finding {
    match reply {
        Ok(()) => Finding::ok("jetstream", "enabled"),
        Err(error) => Finding::not_checked("jetstream", &error)
            .unwrap_or_else(|| Finding::fail("jetstream", error.to_string(), "start nats-server with -js")),
    }
}

/// The clocks of a deployment, as seconds of difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clocks {
    /// How far JetStream's clock is ahead of ours, in nanoseconds.
    pub(super) jetstream: Option<i64>,
    /// How far the service's clock is ahead of ours, in nanoseconds.
    pub(super) service: Option<i64>,
}

/// Compares our clock with those of JetStream and of the service. `None` if there is none to compare with.
///
/// If two of three agree, the third one is wrong.
pub(super) fn clocks(clocks: Clocks) -> Option<Finding> {
    const OURS: &str = "this machine's";
    let known: Vec<(&str, i64)> = [(OURS, Some(0)), ("JetStream's", clocks.jetstream), ("hourlogd's", clocks.service)]
        .into_iter()
        .filter_map(|(whose, ahead)| ahead.map(|ahead| (whose, ahead)))
        .collect();
    let others = &known[1..];
    if others.is_empty() {
        return None;
    }
    let agree = |one: i64, other: i64| one.saturating_sub(other).saturating_abs() <= CLOCK_WARN_NANOS;
    let largest =
        known.iter().map(|(_, ahead)| *ahead).max()?.saturating_sub(known.iter().map(|(_, ahead)| *ahead).min()?);
    let compared: Vec<String> =
        others.iter().map(|(whose, ahead)| format!("{whose} clock is {}", difference(*ahead))).collect();
    let compared = format!("compared with this machine's clock, {}", compared.join(", "));
    if largest <= CLOCK_WARN_NANOS {
        return Some(Finding::ok("clocks", compared));
    }
    let alone = |(_, ahead): &&(&str, i64)| known.iter().filter(|(_, other)| agree(*ahead, *other)).count() == 1;
    let wrong: Vec<&(&str, i64)> = known.iter().filter(alone).collect();
    let (found, advice) = match wrong.as_slice() {
        [(whose, _)] => (
            format!("{whose} clock is wrong: {compared}"),
            format!("set {whose} clock with NTP; events have JetStream's time, and relative times go by it"),
        ),
        _ => (
            format!("the clocks differ, and no two agree: {compared}"),
            "set all clocks with NTP; events have JetStream's time, and relative times go by it".to_owned(),
        ),
    };
    Some(if largest > CLOCK_FAIL_NANOS {
        Finding::fail("clocks", found, advice)
    } else {
        Finding::warn("clocks", found, advice)
    })
}

/// Returns a difference between two clocks for people.
fn difference(ahead_nanos: i64) -> String {
    let seconds = ahead_nanos.saturating_abs() as f64 / SECOND as f64;
    format!("{seconds:.3} s {}", if ahead_nanos >= 0 { "ahead" } else { "behind" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::Severity;
    use hourlog::ErrorKind;

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
    fn a_missing_permission_is_not_a_failure_of_jetstream() {
        for (kind, state) in [(ErrorKind::NotAllowed, Severity::Warn), (ErrorKind::Unavailable, Severity::Fail)] {
            assert_eq!(jetstream(Err(Error::new(kind, "no"))).state, state);
        }
    }

    #[test]
    fn the_wrong_one_of_three_clocks_is_named() {
        let second = SECOND;
        for (jetstream, service, state, found) in [
            (
                Some(0),
                Some(second / 2),
                Severity::Ok,
                "JetStream's clock is 0.000 s ahead, hourlogd's clock is 0.500 s ahead",
            ),
            (Some(0), Some(-2 * second), Severity::Warn, "hourlogd's clock is wrong: compared"),
            (Some(86_400 * second), Some(0), Severity::Fail, "JetStream's clock is wrong: compared"),
            (Some(90 * second), Some(90 * second), Severity::Fail, "this machine's clock is wrong: compared"),
            (Some(90 * second), Some(-90 * second), Severity::Fail, "no two agree"),
            (
                Some(-3 * second),
                None,
                Severity::Warn,
                "no two agree: compared with this machine's clock, JetStream's clock is 3.000 s behind",
            ),
            (None, Some(61 * second), Severity::Fail, "hourlogd's clock is 61.000 s ahead"),
        ] {
            let finding = clocks(Clocks { jetstream, service }).expect("there is a clock to compare with");
            assert_eq!(finding.state, state, "{finding:?}");
            assert!(finding.found.contains(found), "{finding:?}");
        }
        assert_eq!(clocks(Clocks { jetstream: None, service: None }), None);
    }
}
