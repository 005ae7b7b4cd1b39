//! `--delimiter`: the bytes after each event of `read -o raw`.

use std::str::FromStr;

use super::escapes::unescape;

/// The bytes after each event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delimiter(Vec<u8>);

impl Delimiter {
    /// No bytes: the events stand one behind the other, and a single one is exactly its data.
    pub(super) const NONE: Self = Self(Vec::new());

    /// A line break.
    pub(super) fn newline() -> Self {
        Self(vec![b'\n'])
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for Delimiter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "newline" => Ok(Self::newline()),
            "nul" => Ok(Self(vec![0])),
            "none" => Ok(Self::NONE),
            text => unescape(text).map(Self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_have_names_or_escapes() {
        for (text, bytes) in
            [("newline", &b"\n"[..]), ("nul", b"\0"), ("none", b""), ("", b""), ("\\n--\\n", b"\n--\n"), (",", b",")]
        {
            assert_eq!(text.parse::<Delimiter>().expect("a valid delimiter").as_bytes(), bytes, "{text}");
        }
        assert!("\\q".parse::<Delimiter>().is_err());
    }
}
