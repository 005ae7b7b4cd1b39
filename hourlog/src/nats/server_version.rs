//! Versions of nats-server: too old, with known holes, or good.

/// The oldest version that has what Hourlog uses.
const OLDEST: [u64; 3] = [2, 11, 0];
/// The oldest version without known authorisation holes.
const OLDEST_SAFE: [u64; 3] = [2, 12, 7];

/// The verdict on a server's version.
///
/// ```
/// use hourlog::nats::{ServerVersion, server_version};
/// let advice = match server_version("2.11.4") {
///     ServerVersion::TooOld => "update nats-server to 2.11 or newer",
///     ServerVersion::Unsafe => "update nats-server to 2.12.7 or newer",
///     ServerVersion::Good => "",
/// };
/// assert_eq!(advice, "update nats-server to 2.12.7 or newer");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerVersion {
    /// Older than 2.11: it lacks what Hourlog uses.
    TooOld,
    /// Older than 2.12.7: it works, and has known authorisation holes.
    Unsafe,
    /// 2.12.7 or newer.
    Good,
}

/// Returns the verdict on a version such as `2.15.2` or `2.15.2-RC.1`.
///
/// ```
/// use hourlog::nats::{ServerVersion, server_version};
/// assert_eq!(server_version("2.10.29"), ServerVersion::TooOld);
/// assert_eq!(server_version("2.15.2-RC.1"), ServerVersion::Good);
/// ```
pub fn server_version(version: &str) -> ServerVersion {
    let mut numbers = version.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
    let parsed: [u64; 3] = std::array::from_fn(|_| numbers.next().unwrap_or(0));
    if parsed < OLDEST {
        ServerVersion::TooOld
    } else if parsed < OLDEST_SAFE {
        ServerVersion::Unsafe
    } else {
        ServerVersion::Good
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        for (version, expected) in [
            ("2.9.25", ServerVersion::TooOld),
            ("2.10.29", ServerVersion::TooOld),
            ("2.11.0", ServerVersion::Unsafe),
            ("2.12.6", ServerVersion::Unsafe),
            ("2.12.7", ServerVersion::Good),
            ("2.15.2-RC.1", ServerVersion::Good),
            ("3.0.0", ServerVersion::Good),
        ] {
            assert_eq!(server_version(version), expected, "{version}");
        }
    }
}
