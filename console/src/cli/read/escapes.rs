//! Escapes in a text that the user gives: `\n`, `\t`, `\0`, `\x1e`.

use std::str::Chars;

/// Appends the byte that stands in `rest`, which follows a backslash.
///
/// # Errors
/// A sentence on an escape that does not exist.
pub(super) fn push_escaped(rest: &mut Chars<'_>, bytes: &mut Vec<u8>) -> Result<(), String> {
    let escape = rest.next();
    bytes.push(match escape {
        Some('n') => b'\n',
        Some('r') => b'\r',
        Some('t') => b'\t',
        Some('0') => 0,
        Some('\\') => b'\\',
        Some('x') => {
            let digits: String = rest.by_ref().take(2).collect();
            match u8::from_str_radix(&digits, 16) {
                Ok(byte) if digits.len() == 2 && !digits.starts_with('+') => byte,
                _ => return Err(format!("\\x{digits} needs two hexadecimal digits, as in \\x1e")),
            }
        }
        Some(other) => return Err(format!("\\{other} is not an escape; there are \\n \\r \\t \\0 \\xHH and \\\\")),
        None => return Err("it ends with a backslash; write \\\\ for one".to_owned()),
    });
    Ok(())
}

/// Returns `text` with its escapes replaced.
pub(super) fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '\\' => push_escaped(&mut rest, &mut bytes)?,
            other => bytes.extend(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_stand_for_bytes() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("a\\n", b"a\n"),
            ("\\0", b"\0"),
            ("\\x1E\\xff\\\\n", b"\x1e\xff\\n"),
            ("é\\t", b"\xc3\xa9\t"),
        ] {
            assert_eq!(unescape(text).expect("the escapes exist"), bytes, "{text}");
        }
        for text in ["\\", "\\q", "\\x", "\\x1", "\\xg0", "\\x+1"] {
            assert!(unescape(text).is_err(), "{text}");
        }
    }
}
