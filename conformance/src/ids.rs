//! Log ids of every shape that NATS allows, for cases and properties.

use hourlog::LogId;
use proptest::{collection::vec, prelude::*};

use crate::kit::id;

/// Ids that begin with one another, that a shell, CSV, a path or a terminal would misread, and that
/// are as long as an id may be.
pub const ODD_IDS: [&str; 22] = [
    "dev.4c:65:a8",
    "dev.4c:65:a8.x",
    "log.a=b",
    "log.é",
    "log.e\u{301}",
    "日本.🌋",
    "a",
    "a!",
    "a/b",
    "a\\b",
    "/.a./",
    "/a",
    "a'b\"c,d;e",
    "=1+1",
    "x$(id)`id`&|<",
    "-rf",
    "#~%25?[x]{y}",
    "pay\u{200b}pal.gnp\u{202e}exe",
    "\u{301}mark",
    "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p",
    LONGEST,
    "A",
];

/// An id of 255 bytes.
const LONGEST: &str = concat!(
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde",
);

/// Returns [`ODD_IDS`] as ids.
pub fn odd_ids() -> impl Iterator<Item = LogId> {
    ODD_IDS.into_iter().map(id)
}

/// The longest random prefix, in tokens and in characters per token. With a number after it, an id
/// fits the limits.
const TOKENS_MAX: usize = 15;
const CHARACTERS_MAX: usize = 4;

/// Random ids without their last token. The caller adds one that makes the id unique.
pub(crate) fn prefixes() -> impl Strategy<Value = String> {
    let characters =
        ['a', 'Z', '0', '_', '-', ':', '=', '/', '\\', '\'', '"', ';', ',', '#', '%', 'é', '\u{301}', '日', '\u{200b}'];
    let token = vec(prop::sample::select(characters.to_vec()), 1..=CHARACTERS_MAX);
    let tokens = vec(token.prop_map(String::from_iter), 1..=TOKENS_MAX);
    // Ids that begin with `_` belong to the system.
    tokens.prop_map(|tokens| tokens.join(".")).prop_map(|id| if id.starts_with('_') { format!("a{id}") } else { id })
}
