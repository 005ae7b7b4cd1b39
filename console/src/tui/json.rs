//! JSON in tokens, as it was written: the order of fields, doubled fields and the digits of numbers stay.

use std::{borrow::Cow, fmt::Write};

/// Words that CEL reserves. They cannot stand after a dot.
#[rustfmt::skip]
const CEL_WORDS: [&str; 21] = [
    "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import",
    "let", "loop", "package", "namespace", "return", "var", "void", "while",
];

/// The kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// `{`
    ObjectStart,
    /// `}`
    ObjectEnd,
    /// `[`
    ArrayStart,
    /// `]`
    ArrayEnd,
    /// `,`
    Comma,
    /// `:`
    Colon,
    /// The name of a field. Its closing quote is missing if the text is cut off.
    Key,
    /// A value in quotes. Its closing quote is missing if the text is cut off.
    String,
    /// A number as JSON allows it.
    Number,
    /// `true`, `false` or `null`.
    Word,
    /// Letters that are not JSON, up to the next blank, quote or punctuation.
    Other,
}

/// A piece of JSON. It is never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    /// The kind.
    pub(crate) kind: TokenKind,
    /// The text as written; a string has its quotes.
    pub(crate) text: &'a str,
}

/// The tokens of a text. They are read one by one, so the rest of the text costs nothing.
#[derive(Debug, Clone)]
pub(crate) struct Tokens<'a> {
    rest: &'a str,
    /// The open objects (true) and arrays (false), outermost first.
    is_object: Vec<bool>,
    /// A string at this place is a key.
    is_key_next: bool,
}

/// A step on the way to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment<'a> {
    /// A field of an object. The name has no quotes and no escapes.
    Key(Cow<'a, str>),
    /// An element of an array, counted from zero.
    Index(usize),
}

/// Returns the tokens of a text. Together they are the whole text without the blanks between them,
/// even if it is cut off or is not JSON.
pub(crate) fn tokens(json: &str) -> Tokens<'_> {
    Tokens { rest: json, is_object: Vec::new(), is_key_next: false }
}

/// Returns the value of a string as written: without quotes, and with escapes resolved.
///
/// A broken escape stays as it is, and so does a text that does not begin with a quote.
pub(crate) fn unquoted(text: &str) -> Cow<'_, str> {
    let Some(mut rest) = text.strip_prefix('"') else { return Cow::Borrowed(text) };
    if !rest.contains('\\') {
        return Cow::Borrowed(rest.strip_suffix('"').unwrap_or(rest));
    }
    let mut value = String::with_capacity(rest.len());
    while let Some(at) = rest.find(['\\', '"']) {
        value.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with('"') {
            return Cow::Owned(value);
        }
        if let Some((letter, after)) = unescaped(rest) {
            value.push(letter);
            rest = after;
        } else {
            value.push('\\');
            rest = &rest[1..];
        }
    }
    value.push_str(rest);
    Cow::Owned(value)
}

/// Returns the way to a value as an expression in CEL, such as `json.list[0]["odd key"]`.
pub(crate) fn expression(path: &[Segment<'_>]) -> String {
    let mut text = String::from("json");
    for segment in path {
        match segment {
            Segment::Key(key) if is_cel_identifier(key) => {
                text.push('.');
                text.push_str(key);
            }
            Segment::Key(key) => {
                text.push('[');
                push_cel_string(&mut text, key);
                text.push(']');
            }
            Segment::Index(index) => {
                let _ = write!(text, "[{index}]");
            }
        }
    }
    text
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let rest = self.rest.trim_start_matches(is_blank);
        let (kind, end) = match *rest.as_bytes().first()? {
            b'{' => (TokenKind::ObjectStart, 1),
            b'}' => (TokenKind::ObjectEnd, 1),
            b'[' => (TokenKind::ArrayStart, 1),
            b']' => (TokenKind::ArrayEnd, 1),
            b',' => (TokenKind::Comma, 1),
            b':' => (TokenKind::Colon, 1),
            b'"' => (if self.is_key_next { TokenKind::Key } else { TokenKind::String }, string_end(rest)),
            _ => {
                let end = rest.find(|letter| is_blank(letter) || "{}[],:\"".contains(letter)).unwrap_or(rest.len());
                (bare_kind(&rest[..end]), end)
            }
        };
        match kind {
            TokenKind::ObjectStart => self.is_object.push(true),
            TokenKind::ArrayStart => self.is_object.push(false),
            TokenKind::ObjectEnd | TokenKind::ArrayEnd => drop(self.is_object.pop()),
            _ => {}
        }
        self.is_key_next = match kind {
            TokenKind::ObjectStart => true,
            TokenKind::Comma => self.is_object.last() == Some(&true),
            _ => false,
        };
        let (text, rest) = rest.split_at(end);
        self.rest = rest;
        Some(Token { kind, text })
    }
}

fn is_blank(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\n' | '\r')
}

/// Returns the end of the string at the beginning of `json`.
fn string_end(json: &str) -> usize {
    let mut is_escaped = false;
    let end = json.bytes().enumerate().skip(1).find(|(_, byte)| {
        let is_end = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        is_end
    });
    end.map_or(json.len(), |(at, _)| at + 1)
}

/// Returns the kind of a text without quotes or punctuation.
fn bare_kind(text: &str) -> TokenKind {
    match text {
        "true" | "false" | "null" => TokenKind::Word,
        _ if is_number(text) => TokenKind::Number,
        _ => TokenKind::Other,
    }
}

fn is_number(text: &str) -> bool {
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (text, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    are_digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && are_digits(fraction)
        && are_digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))
}

/// Returns the letter that the escape at the beginning of `text` means, and the text after it.
fn unescaped(text: &str) -> Option<(char, &str)> {
    let after = text.strip_prefix('\\')?;
    let letter = match after.bytes().next()? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unescaped_unicode(text),
        _ => return None,
    };
    Some((letter, &after[1..]))
}

/// Like [`unescaped`], for `\u00fc` or a surrogate pair.
fn unescaped_unicode(text: &str) -> Option<(char, &str)> {
    let (first, after) = utf16_unit(text)?;
    if let Some(letter) = char::from_u32(first.into()) {
        return Some((letter, after));
    }
    let (second, after) = utf16_unit(after)?;
    let letter = char::decode_utf16([first, second]).next()?.ok()?;
    Some((letter, after))
}

/// Returns the number of an escape such as `\u00fc`, and the text after it.
fn utf16_unit(text: &str) -> Option<(u16, &str)> {
    let (digits, after) = text.strip_prefix("\\u")?.split_at_checked(4)?;
    // `from_str_radix` allows a sign.
    let are_digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let unit = u16::from_str_radix(digits, 16).ok().filter(|_| are_digits)?;
    Some((unit, after))
}

fn is_cel_identifier(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    text.bytes().next().is_some_and(is_letter)
        && text.bytes().all(|byte| is_letter(byte) || byte.is_ascii_digit())
        && !CEL_WORDS.contains(&text)
}

fn push_cel_string(text: &mut String, value: &str) {
    text.push('"');
    for letter in value.chars() {
        match letter {
            '"' | '\\' => text.extend(['\\', letter]),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            letter if letter.is_control() => {
                let _ = write!(text, "\\u{:04x}", u32::from(letter));
            }
            letter => text.push(letter),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a line for each token: its kind and its text.
    fn shown(json: &str) -> String {
        tokens(json).map(|token| format!("{:?} {}", token.kind, token.text)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn tokens_are_the_text_as_written() {
        let json = " {\"a\" :[1.10,\n\"x, {y}: \\\"z\\\"\"],\t\"a\":{\"\":-0.0e+12} , \"b\":null}\r\n";
        let expected = r#"ObjectStart {
Key "a"
Colon :
ArrayStart [
Number 1.10
Comma ,
String "x, {y}: \"z\""
ArrayEnd ]
Comma ,
Key "a"
Colon :
ObjectStart {
Key ""
Colon :
Number -0.0e+12
ObjectEnd }
Comma ,
Key "b"
Colon :
Word null
ObjectEnd }"#;
        assert_eq!(shown(json), expected);
    }

    #[test]
    fn tokens_lose_nothing_of_a_text_that_is_cut_off_or_is_not_json() {
        let texts = [
            r#"{"a":[1,{"b":"München, \u00fc"},-2.50e3],"c":"\\\"","d":[true,nul]}"#,
            r#"]}{]"a"b"c":}[,,"d"{:"e"1"f\"#,
            "\u{feff}{\u{0}\u{b}\u{a0}日本語:\"\u{1b}[31m\n\"--1..ee\\}",
        ];
        let letters = |text: &str| text.split([' ', '\n']).collect::<String>();
        for text in texts {
            for (start, _) in text.char_indices() {
                for (length, _) in text[start..].char_indices() {
                    let part = &text[start..start + length];
                    let joined: String = tokens(part).map(|token| token.text).collect();
                    assert_eq!(letters(&joined), letters(part));
                }
            }
        }
    }

    #[test]
    fn a_bare_text_is_a_number_or_a_word_only_if_json_allows_it() {
        let table = [
            (TokenKind::Number, "0 -0 10 6.40 1e9 1E+9 -2.50e-3 23958446825181076828"),
            (TokenKind::Word, "true false null"),
            (TokenKind::Other, "- 01 -01 1. .5 1.e3 1e 1e+ +1 1e1.5 0x1f NaN Infinity True nul nulls ü \u{feff}1"),
        ];
        for (kind, texts) in table {
            for text in texts.split(' ') {
                assert_eq!(tokens(text).collect::<Vec<_>>(), [Token { kind, text }]);
            }
        }
    }

    #[test]
    fn a_string_is_a_key_only_at_the_start_of_a_member_of_an_object() {
        let json = r#""s" {"k":"s","k":["s",{"k":{}},"s"],"k":"s"} ["s"] , "s" ] {"k" "s",[],"k""#;
        for token in tokens(json).filter(|token| token.text.starts_with('"')) {
            let kind = if token.text == r#""k""# { TokenKind::Key } else { TokenKind::String };
            assert_eq!(token.kind, kind, "{token:?}");
        }
    }

    #[test]
    fn unquoted_resolves_escapes_and_keeps_broken_ones() {
        let table = [
            (r#""""#, ""),
            (r#"""#, ""),
            (r#""München""#, "München"),
            (r#""cut"#, "cut"),
            (r#""a\"b\\c\/d\n\t\r\b\fe""#, "a\"b\\c/d\n\t\r\u{8}\u{c}e"),
            (r#""\u00fc\u00FC\u0000""#, "üü\0"),
            (r#""\ud83d\ude00!""#, "😀!"),
            (r#""\ud83d""#, r"\ud83d"),
            (r#""\ud83d\u0041""#, r"\ud83dA"),
            (r#""\ude00\ud83d\ude00""#, r"\ude00😀"),
            (r#""\ud83d\ud83d\ude00""#, r"\ud83d😀"),
            (r#""\u+041\u00g0\u00ü""#, r"\u+041\u00g0\u00ü"),
            (r#""\x\ü""#, r"\x\ü"),
            (r#""cut\""#, "cut\""),
            (r#""cut\"#, r"cut\"),
            (r#""cut\u00"#, r"cut\u00"),
            (r#""cut\ud83d\ude"#, r"cut\ud83d\ude"),
            ("6.4", "6.4"),
            ("", ""),
        ];
        for (text, expected) in table {
            assert_eq!(unquoted(text), expected, "{text}");
        }
    }

    #[test]
    fn a_string_without_escapes_is_not_copied() {
        assert!(matches!(unquoted(r#""place""#), Cow::Borrowed("place")));
    }

    #[test]
    fn an_expression_has_a_dot_only_before_an_identifier() {
        let table = [
            ("mag", "json.mag"),
            ("_a1", "json._a1"),
            ("json", "json.json"),
            ("In", "json.In"),
            ("in", r#"json["in"]"#),
            ("namespace", r#"json["namespace"]"#),
            ("1a", r#"json["1a"]"#),
            ("", r#"json[""]"#),
            ("odd key", r#"json["odd key"]"#),
            ("a-b", r#"json["a-b"]"#),
            ("größe", r#"json["größe"]"#),
            ("a\"b\\c", r#"json["a\"b\\c"]"#),
            ("\n\r\t\0\u{1b}\u{85}", r#"json["\n\r\t\u0000\u001b\u0085"]"#),
        ];
        for (key, expected) in table {
            assert_eq!(expression(&[Segment::Key(key.into())]), expected);
        }
    }

    #[test]
    fn an_expression_leads_from_the_whole_to_the_value() {
        let key = |key: &'static str| Segment::Key(key.into());
        assert_eq!(expression(&[]), "json");
        assert_eq!(expression(&[Segment::Index(0), Segment::Index(12)]), "json[0][12]");
        assert_eq!(
            expression(&[key("list"), Segment::Index(0), key("odd key"), key("id")]),
            r#"json.list[0]["odd key"].id"#
        );
    }
}
