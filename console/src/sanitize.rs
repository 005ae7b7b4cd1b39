//! Text from outside, made safe to show: nothing in it moves the cursor, changes colours, turns the direction of
//! reading or hides.

use std::{borrow::Cow, fmt::Write};

use unicode_width::UnicodeWidthChar;

/// The most marks that may stand on one letter; writing systems need three.
const MARKS_MAX: usize = 4;

/// `text` in one line: control characters as pictures (`␛`), characters that cannot be seen as `<U+202E>`, and so the
/// marks that pile up on one letter. Nothing is left out.
pub fn sanitize(text: &str) -> Cow<'_, str> {
    rewrite(text, false)
}

/// The same, but line ends and tabs stay what they are.
pub fn sanitize_lines(text: &str) -> Cow<'_, str> {
    rewrite(text, true)
}

/// Bytes in one line: what is UTF-8 as [`sanitize`] has it, each other byte as `<FF>`.
pub fn sanitize_bytes(bytes: &[u8]) -> Cow<'_, str> {
    bytes_with(bytes, sanitize)
}

/// Bytes with the line ends and tabs that they have, otherwise as [`sanitize_bytes`].
pub fn sanitize_byte_lines(bytes: &[u8]) -> Cow<'_, str> {
    bytes_with(bytes, sanitize_lines)
}

fn bytes_with(bytes: &[u8], safe: fn(&str) -> Cow<'_, str>) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return safe(text);
    }
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(&safe(chunk.valid()));
        for byte in chunk.invalid() {
            write!(out, "<{byte:02X}>").expect("a string takes everything");
        }
    }
    out.into()
}

fn rewrite(text: &str, keep_lines: bool) -> Cow<'_, str> {
    let mut out: Option<String> = None;
    let mut marks = 0;
    for (at, c) in text.char_indices() {
        let shown = look(c, marks, keep_lines);
        marks = if is_mark(c) { marks + 1 } else { 0 };
        if let (None, Shown::Picture(_) | Shown::Spelled) = (&out, &shown) {
            out = Some(text[..at].to_owned());
        }
        let Some(out) = &mut out else { continue };
        match shown {
            Shown::AsIs => out.push(c),
            Shown::Picture(picture) => out.push(picture),
            Shown::Spelled => write!(out, "<U+{:04X}>", u32::from(c)).expect("a string takes everything"),
        }
    }
    out.map_or(Cow::Borrowed(text), Cow::Owned)
}

enum Shown {
    AsIs,
    Picture(char),
    Spelled,
}

fn look(c: char, marks_before: usize, keep_lines: bool) -> Shown {
    match c {
        '\n' | '\t' if keep_lines => Shown::AsIs,
        '\0'..='\u{1f}' => {
            Shown::Picture(char::from_u32(0x2400 + u32::from(c)).expect("the block of pictures begins there"))
        }
        '\u{7f}' => Shown::Picture('␡'),
        '\u{80}'..='\u{9f}' => Shown::Spelled,
        _ if is_hidden(c) || (marks_before >= MARKS_MAX && is_mark(c)) => Shown::Spelled,
        _ => Shown::AsIs,
    }
}

/// Turns of direction, characters without width or ink, separators that some terminals take for line ends, tags.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Stands on the character before it.
fn is_mark(c: char) -> bool {
    c > '\u{2ff}' && !is_hidden(c) && c.width() == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_deceive_is_shown_as_what_it_is() {
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
            assert!(sanitize(shown) == shown, "shown twice: {shown}");
        }
        assert_eq!(sanitize_lines("a\tb\r\nc\x1b"), "a\tb␍\nc␛");
        assert_eq!(sanitize_bytes(b"a\xff\xfe\x1bb"), "a<FF><FE>␛b");
    }

    #[test]
    fn what_is_safe_is_not_copied() {
        assert!(matches!(sanitize("orders.eu"), Cow::Borrowed(_)));
    }
}
