//! Checks of the connection, JetStream and the clocks: findings from facts, without any I/O.

use hourlog::{
    Error, Offset,
    nats::{ServerVersion, server_version},
    time::SECOND,
};

use super::finding::Finding;

/// Clock difference that is worth a warning.
const CLOCK_WARN_NANOS: i64 = SECOND;
/// Clock difference at which events are rejected.
const CLOCK_FAIL_NANOS: i64 = hourlog::Record::AHEAD_NANOS_MAX;

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

/// Returns how far another clock is ahead of ours, in nanoseconds. It was read between `before` and
/// `after` by our clock.
pub(super) fn clock_ahead_nanos(before: Offset, after: Offset, other: Offset) -> i64 {
    let middle = before.nanos() + (after.nanos() - before.nanos()) / 2;
    other.nanos().saturating_sub(middle)
}

/// Judges how far the clock of `whose` is ahead of ours.
pub(super) fn clocks(check: &'static str, whose: &str, ahead_nanos: i64) -> Finding {
    let difference = ahead_nanos.saturating_abs();
    let direction = if ahead_nanos >= 0 { "ahead" } else { "behind" };
    let found = format!("{whose} clock is {:.3} s {direction}", difference as f64 / SECOND as f64);
    if difference > CLOCK_FAIL_NANOS {
        Finding::fail(check, found, "set the clocks: events more than 5 minutes ahead are rejected")
    } else if difference > CLOCK_WARN_NANOS {
        Finding::warn(check, found, "synchronise both clocks with NTP")
    } else {
        Finding::ok(check, found)
    }
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
    fn a_clock_is_compared_with_the_middle_of_the_request() {
        let at = Offset::from_nanos;
        assert_eq!(clock_ahead_nanos(at(100), at(200), at(1150)), 1000);
        assert_eq!(clock_ahead_nanos(at(100), at(200), at(50)), -100);
    }

    #[test]
    fn clocks_that_differ_are_reported() {
        for (ahead, state) in [(0, Severity::Ok), (-2 * SECOND, Severity::Warn), (400 * SECOND, Severity::Fail)] {
            assert_eq!(clocks("clocks", "the server's", ahead).state, state);
        }
    }
}
