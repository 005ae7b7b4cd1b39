//! The id of a log, validated when it is parsed.

use std::{fmt, str::FromStr, sync::Arc};

use crate::{Error, Result};

/// The number of slots. A slot is the unit of ownership among instances.
///
/// Never changes, because the slot is part of what is stored.
pub const SLOTS: u8 = 64;

/// The id of a log: a NATS subject of 1–16 tokens joined by `.`, at most 255 bytes of UTF-8.
///
/// An id may have any character except blanks, control characters, `*`, `>` and U+FFFD, and does
/// not begin with `$`. It is compared byte by byte: two Unicode forms of one letter make two ids.
/// Ids that begin with `_` belong to the system; users may read them but not write them.
///
/// Show an id as untrusted text, because it may hold invisible characters. Cheap to clone.
///
/// ```
/// use hourlog::LogId;
/// let id: LogId = "dev.4c:65:a8".parse()?;
/// assert_eq!(id.as_str(), "dev.4c:65:a8");
/// assert!("orders.*".parse::<LogId>().is_err());
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId(Arc<str>);

impl LogId {
    /// The most bytes of an id.
    pub const BYTES_MAX: usize = 255;
    /// The most tokens of an id.
    pub const TOKENS_MAX: usize = 16;

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
        match fault(text) {
            None => Ok(Self(Arc::from(text))),
            Some(fault) => Err(Error::invalid(format!(
                "log id {:?} {fault}; an id is a NATS subject without wildcards, such as orders.eu",
                crate::error::shorten(text),
            ))),
        }
    }
}

/// Returns why `text` is not an id.
fn fault(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some("is empty".to_owned());
    }
    if text.len() > LogId::BYTES_MAX {
        return Some(format!("is longer than {} bytes", LogId::BYTES_MAX));
    }
    if text.split('.').count() > LogId::TOKENS_MAX {
        return Some(format!("has more than {} tokens", LogId::TOKENS_MAX));
    }
    if text.split('.').any(str::is_empty) {
        return Some("has an empty token".to_owned());
    }
    if text.starts_with('$') {
        return Some("begins with $, which is for subjects of NATS itself".to_owned());
    }
    text.chars().find_map(|character| match character {
        // NATS takes these for wildcards only where they are a whole token. A text that contains
        // one is always a pattern here, so that no id can be mistaken for one.
        '*' | '>' => Some(format!("has the character {character}, which is for patterns")),
        // Stands for bytes that are not UTF-8, so different subjects would have one id.
        char::REPLACEMENT_CHARACTER => Some("is not UTF-8".to_owned()),
        _ if character.is_control() || character.is_whitespace() => {
            Some(format!("has the character {character:?}, which is not allowed"))
        }
        _ => None,
    })
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
        for id in [
            "a",
            "orders.eu",
            "_rejected",
            "_rejected.ORDERS",
            "A-1.b_2",
            "dev.4c:65:a8",
            "log.a=b",
            "log.é",
            "log.e\u{301}",
            "日本.🌋",
            "a.$b._c",
            "a'b\"c`d;e&f|g(h)",
            // The levels of the MQTT topic /a//b.c/ in NATS.
            "/.a./.b//c./",
            "a\\b",
            "pay\u{200b}pal.\u{202e}",
            "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p",
            &"x".repeat(255),
        ] {
            assert_eq!(id.parse::<LogId>().expect(id).as_str(), id);
        }
    }

    #[test]
    fn invalid_ids_are_refused_with_the_reason() {
        for (id, reason) in [
            ("", "is empty"),
            (".", "empty token"),
            ("a.", "empty token"),
            (".a", "empty token"),
            ("a..b", "empty token"),
            ("..", "empty token"),
            ("a b", "' '"),
            ("a\u{a0}b", "not allowed"),
            ("a\u{2028}", "not allowed"),
            ("a\0", "'\\0'"),
            ("a\r\n", "'\\r'"),
            ("a\u{1b}[2J", "'\\u{1b}'"),
            ("a\u{7f}", "'\\u{7f}'"),
            ("a\u{9b}", "'\\u{9b}'"),
            ("*", "patterns"),
            ("a.*", "patterns"),
            ("a*b", "patterns"),
            (">", "patterns"),
            ("a->b", "patterns"),
            ("$JS.API", "begins with $"),
            ("a\u{fffd}", "not UTF-8"),
            ("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q", "16 tokens"),
            (&"x".repeat(256), "255 bytes"),
            (&"é".repeat(128), "255 bytes"),
        ] {
            let error = id.parse::<LogId>().expect_err(id).to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn ids_that_look_alike_are_different() {
        let [composed, decomposed]: [LogId; 2] = ["é", "e\u{301}"].map(|id| id.parse().expect("a valid id"));
        assert_ne!(composed, decomposed);
    }

    #[test]
    fn ids_of_the_system_begin_with_an_underscore() {
        for (id, expected) in [("_rejected", true), ("_rejected.ORDERS", true), ("a._b", false), ("é._", false)] {
            assert_eq!(id.parse::<LogId>().expect(id).is_system(), expected, "{id}");
        }
    }

    #[test]
    fn slots_never_change() {
        // Stored with the data: another value would lose track of what was archived.
        for (id, slot) in [("a", 12), ("orders.eu", 36), ("_rejected", 20), ("log.é", 25)] {
            let id: LogId = id.parse().expect("a valid id");
            assert_eq!((id.as_str(), id.slot()), (id.as_str(), slot));
        }
    }
}
