//! Untrusted text, made safe to show: it cannot move the cursor, change colors, reverse the reading
//! direction or hide characters.

use std::{borrow::Cow, fmt::Write};

use unicode_width::UnicodeWidthChar;

/// Limit of combining marks on one letter. Writing systems need three.
const MARKS_MAX: usize = 4;

/// Returns `text` as one line: control characters as symbols (`␛`), invisible characters and excess
/// combining marks as `<U+202E>`. Nothing is dropped.
pub fn sanitize(text: &str) -> Cow<'_, str> {
    rewrite(text, false)
}

/// Sanitizes like [`sanitize`], but keeps line breaks and tabs.
pub fn sanitize_lines(text: &str) -> Cow<'_, str> {
    rewrite(text, true)
}

/// Returns bytes as one line: UTF-8 like [`sanitize`], every other byte as `<FF>`.
pub fn sanitize_bytes(bytes: &[u8]) -> Cow<'_, str> {
    sanitize_utf8_chunks(bytes, sanitize)
}

/// Sanitizes like [`sanitize_bytes`], but keeps line breaks and tabs.
pub fn sanitize_byte_lines(bytes: &[u8]) -> Cow<'_, str> {
    sanitize_utf8_chunks(bytes, sanitize_lines)
}

fn sanitize_utf8_chunks(bytes: &[u8], sanitize: fn(&str) -> Cow<'_, str>) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return sanitize(text);
    }
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(&sanitize(chunk.valid()));
        for byte in chunk.invalid() {
            write!(out, "<{byte:02X}>").expect("writing to a String never fails");
        }
    }
    out.into()
}

fn rewrite(text: &str, keep_lines: bool) -> Cow<'_, str> {
    let mut out: Option<String> = None;
    let mut marks = 0;
    for (at, c) in text.char_indices() {
        let escape = escape(c, marks, keep_lines);
        marks = if is_mark(c) { marks + 1 } else { 0 };
        if let (None, Escape::Symbol(_) | Escape::CodePoint) = (&out, &escape) {
            out = Some(text[..at].to_owned());
        }
        let Some(out) = &mut out else { continue };
        match escape {
            Escape::None => out.push(c),
            Escape::Symbol(symbol) => out.push(symbol),
            Escape::CodePoint => write!(out, "<U+{:04X}>", u32::from(c)).expect("writing to a String never fails"),
        }
    }
    out.map_or(Cow::Borrowed(text), Cow::Owned)
}

/// The way to show one character.
enum Escape {
    None,
    Symbol(char),
    CodePoint,
}

fn escape(c: char, marks_before: usize, keep_lines: bool) -> Escape {
    match c {
        '\n' | '\t' if keep_lines => Escape::None,
        '\0'..='\u{1f}' => Escape::Symbol(
            char::from_u32(0x2400 + u32::from(c)).expect("U+2400 to U+241F are the symbols of the control characters"),
        ),
        '\u{7f}' => Escape::Symbol('␡'),
        '\u{80}'..='\u{9f}' => Escape::CodePoint,
        _ if is_hidden(c) || (marks_before >= MARKS_MAX && is_mark(c)) => Escape::CodePoint,
        _ => Escape::None,
    }
}

/// Direction overrides, characters without width or ink, line separators of some terminals, and tag
/// characters.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// A combining mark, which is drawn on the character before it.
fn is_mark(c: char) -> bool {
    c > '\u{2ff}' && !is_hidden(c) && c.width() == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deceptive_characters_are_made_visible() {
        for (text, shown) in [
            ("plain, ümlaut, 日本語, 🌋", "plain, ümlaut, 日本語, 🌋"),
            ("\x1b[31mred\x07\0\r\n\t", "␛[31mred␇␀␍␊␉"),
            ("\x7f\u{9b}2J", "␡<U+009B>2J"),
            ("gnp\u{202e}exe", "gnp<U+202E>exe"),
            ("pay\u{200b}pal\u{feff}", "pay<U+200B>pal<U+FEFF>"),
            ("flag\u{e0041}", "flag<U+E0041>"),
            ("line\u{2028}line", "line<U+2028>line"),
            ("e\u{301}", "e\u{301}"),
            ("z\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}!", "z\u{301}\u{302}\u{303}\u{304}<U+0305><U+0306>!"),
            ("\x07z\u{301}\u{302}\u{303}\u{304}\u{305}", "␇z\u{301}\u{302}\u{303}\u{304}<U+0305>"),
        ] {
            assert_eq!(sanitize(text), shown);
            assert!(sanitize(shown) == shown, "not idempotent: {shown}");
        }
        assert_eq!(sanitize_lines("a\tb\r\nc\x1b"), "a\tb␍\nc␛");
        assert_eq!(sanitize_bytes(b"a\xff\xfe\x1bb"), "a<FF><FE>␛b");
    }

    #[test]
    fn safe_text_is_not_copied() {
        assert!(matches!(sanitize("orders.eu"), Cow::Borrowed(_)));
    }
}
