//! The id of a log, validated when it is parsed.

use std::{fmt, str::FromStr, sync::Arc};

use crate::{Error, Result};

/// The number of slots. A slot is the unit of ownership among instances.
///
/// Never changes, because the slot is part of what is stored.
pub const SLOTS: u8 = 64;

/// The id of a log: 1–8 tokens of `[A-Za-z0-9_-]+` joined by `.`, at most 200 bytes.
///
/// Ids whose first token begins with `_` belong to the system; users may read them but not write
/// them. Cheap to clone.
///
/// ```
/// use hourlog::LogId;
/// let id: LogId = "orders.eu".parse()?;
/// assert_eq!(id.as_str(), "orders.eu");
/// assert!("orders.*".parse::<LogId>().is_err());
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId(Arc<str>);

impl LogId {
    /// The most bytes of an id.
    pub const BYTES_MAX: usize = 200;
    /// The most tokens of an id.
    pub const TOKENS_MAX: usize = 8;

    /// Returns the id of the log that holds rejected events.
    pub fn rejected() -> Self {
        Self(Arc::from("_rejected"))
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true if the id belongs to the system: its first token begins with `_`.
    pub fn is_system(&self) -> bool {
        self.0.starts_with('_')
    }

    /// Returns the slot of the log, below [`SLOTS`]: FNV-1a of the id, modulo 64.
    pub fn slot(&self) -> u8 {
        let hash = self
            .0
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        (hash % u64::from(SLOTS)) as u8
    }
}

impl FromStr for LogId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |reason: &str| {
            Err(Error::invalid(format!(
                "log id {:?} {reason}; an id is 1-{} tokens of A-Z a-z 0-9 _ - joined by dots, such as orders.eu",
                crate::error::shorten(text),
                Self::TOKENS_MAX,
            )))
        };
        if text.is_empty() {
            return refuse("is empty");
        }
        if text.len() > LogId::BYTES_MAX {
            return refuse("is longer than 200 bytes");
        }
        if text.split('.').count() > LogId::TOKENS_MAX {
            return refuse("has too many tokens");
        }
        if text.split('.').any(str::is_empty) {
            return refuse("has an empty token");
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if !text.bytes().all(allowed) {
            return refuse("has a character that is not allowed");
        }
        Ok(Self(Arc::from(text)))
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for LogId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_ids_are_accepted_unchanged() {
        for id in ["a", "orders.eu", "_rejected", "A-1.b_2", "a.b.c.d.e.f.g.h", &"x".repeat(200)] {
            assert_eq!(id.parse::<LogId>().expect(id).as_str(), id);
        }
    }

    #[test]
    fn invalid_ids_are_refused() {
        for id in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "a b",
            "a*",
            ">",
            "a/b",
            "a\\b",
            "..",
            "a\0",
            "a\r\n",
            "$JS",
            "ü",
            "a.b.c.d.e.f.g.h.i",
            &"x".repeat(201),
        ] {
            assert!(id.parse::<LogId>().is_err(), "{id:?} was accepted");
        }
    }

    #[test]
    fn slots_never_change() {
        // Stored with the data: another value would lose track of what was archived.
        for (id, slot) in [("a", 12), ("orders.eu", 36), ("_rejected", 20)] {
            let id: LogId = id.parse().expect("a valid id");
            assert_eq!((id.as_str(), id.slot()), (id.as_str(), slot));
        }
    }
}
