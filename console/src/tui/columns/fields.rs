//! The fields of an event's data, read from JSON or logfmt.

use std::borrow::Cow;

use crate::tui::json::{TokenKind, Tokens, tokens, unquoted};

/// Limit of the data that is read. A row shows only its first columns.
const BYTES_MAX: usize = 8 << 10;
/// Limit of the text of an array or a deep object.
const COMPACT_BYTES_MAX: usize = 256;
/// Limit of the fields of an event. Objects with more are maps with data for keys.
const FIELDS_MAX: usize = 256;

/// A field of an event's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    /// Path, such as `mag`, `user.name` or a key of logfmt.
    pub(crate) path: Cow<'a, str>,
    /// The value as written; a string has no quotes and no escapes.
    pub(crate) text: Cow<'a, str>,
    /// The value is a number, not a string with digits.
    pub(crate) is_number: bool,
}

/// Reads the fields of data that is a JSON object or a line of logfmt. Other data has none.
///
/// Objects in the object are flattened. Arrays and deeper objects are one field without blanks.
/// Nulls are left out. Data that is cut off has the fields before the cut.
pub(crate) fn fields(data: &[u8]) -> Vec<Field<'_>> {
    let read = &data[..data.len().min(BYTES_MAX)];
    let text = read.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let mut fields = Vec::new();
    let mut tokens = tokens(text);
    match tokens.next().map(|token| token.kind) {
        Some(TokenKind::ObjectStart) => {
            let _ = read_object(&mut fields, &mut tokens, None);
        }
        Some(TokenKind::Other) => fields = read_logfmt(text, text.len() < data.len()).unwrap_or_default(),
        _ => {}
    }
    fields
}

/// Returns the field at a path. Of doubled fields it is the last one, as readers of JSON do it.
pub(crate) fn find<'f, 'a>(fields: &'f [Field<'a>], path: &str) -> Option<&'f Field<'a>> {
    fields.iter().rfind(|field| field.path == path)
}

/// Returns true for a number as JSON writes it.
pub(super) fn is_number(text: &str) -> bool {
    tokens(text).next().is_some_and(|token| token.kind == TokenKind::Number && token.text == text)
}

/// Returns the number of digits after the point. A text that is not such a number has none.
pub(super) fn decimals(text: &str) -> Option<usize> {
    let has_point = is_number(text) && !text.contains(['e', 'E']);
    has_point.then(|| text.split_once('.').map_or(0, |(_, decimals)| decimals.len()))
}

/// Reads an object up to its end. Returns none at a cut or at an error.
fn read_object<'a>(fields: &mut Vec<Field<'a>>, tokens: &mut Tokens<'a>, parent: Option<&str>) -> Option<()> {
    loop {
        let key = tokens.next()?;
        match key.kind {
            TokenKind::Key => {}
            TokenKind::ObjectEnd => return Some(()),
            _ => return None,
        }
        if tokens.next()?.kind != TokenKind::Colon || fields.len() >= FIELDS_MAX {
            return None;
        }
        let name = unquoted(key.text);
        let value = tokens.next()?;
        let text = match value.kind {
            TokenKind::String => Some(unquoted(value.text)),
            TokenKind::Number | TokenKind::Word => Some(Cow::Borrowed(value.text)).filter(|text| text != "null"),
            TokenKind::ObjectStart if parent.is_none() => {
                read_object(fields, tokens, Some(&name))?;
                None
            }
            TokenKind::ObjectStart | TokenKind::ArrayStart => Some(Cow::Owned(compact(value.text, tokens))),
            _ => return None,
        };
        let separator = tokens.next().map(|token| token.kind);
        // A number at the end of the text may have lost digits.
        if let Some(text) = text.filter(|_| separator.is_some() || value.kind != TokenKind::Number) {
            let path = parent.map_or(name.clone(), |parent| format!("{parent}.{name}").into());
            fields.push(Field { path, text, is_number: value.kind == TokenKind::Number });
        }
        match separator? {
            TokenKind::Comma => {}
            TokenKind::ObjectEnd => return Some(()),
            _ => return None,
        }
    }
}

/// Reads an array or an object after its opening bracket. Returns its text without blanks.
fn compact(opening: &str, tokens: &mut Tokens<'_>) -> String {
    let mut text = opening.to_owned();
    let mut left = COMPACT_BYTES_MAX - text.len();
    let mut depth = 1_usize;
    while depth > 0
        && let Some(token) = tokens.next()
    {
        match token.kind {
            TokenKind::ObjectStart | TokenKind::ArrayStart => depth += 1,
            TokenKind::ObjectEnd | TokenKind::ArrayEnd => depth -= 1,
            _ => {}
        }
        let mut end = token.text.len().min(left);
        while !token.text.is_char_boundary(end) {
            end -= 1;
        }
        text.push_str(&token.text[..end]);
        // The rest is read to find the end, but nothing is added after a cut.
        left = if end < token.text.len() { 0 } else { left - end };
    }
    text
}

/// Reads a text that is wholly made of pairs like `key=value` and `key="a value"`.
fn read_logfmt(text: &str, is_cut: bool) -> Option<Vec<Field<'_>>> {
    let mut fields = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() && fields.len() < FIELDS_MAX {
        let (key, after) = rest.split_once('=')?;
        let end = match tokens(after).next() {
            Some(token) if after.starts_with('"') => token.text.len(),
            _ => after.find(char::is_whitespace).unwrap_or(after.len()),
        };
        let (value, after) = after.split_at(end);
        if !is_logfmt_key(key) || !(after.is_empty() || after.starts_with(char::is_whitespace)) {
            return None;
        }
        fields.push(Field { path: key.into(), text: unquoted(value), is_number: is_number(value) });
        rest = after.trim_start();
    }
    if is_cut && rest.is_empty() {
        fields.pop();
    }
    // Prose may have one `=`.
    (fields.len() >= 2).then_some(fields)
}

fn is_logfmt_key(key: &str) -> bool {
    key.starts_with(|letter: char| letter.is_alphabetic() || letter == '_' || letter == '@')
        && key.chars().all(|letter| letter.is_alphanumeric() || "_-.@".contains(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the fields as `path=text`; a number has a `#` before it.
    fn shown(data: &[u8]) -> Vec<String> {
        let show =
            |field: &Field<'_>| format!("{}={}{}", field.path, if field.is_number { "#" } else { "" }, field.text);
        fields(data).iter().map(show).collect()
    }

    #[test]
    fn json_is_flattened_to_two_levels_and_keeps_its_texts() {
        for (data, expected) in [
            (
                r#"{"mag":1.10,"n":23958446825181076828,"ok":true}"#,
                &["mag=#1.10", "n=#23958446825181076828", "ok=true"][..],
            ),
            (r#" { "a" : "M\u00fcnchen\n" , "b" : "12" } "#, &["a=München\n", "b=12"]),
            (r#"{"user":{"name":"x","age":3},"z":1}"#, &["user.name=x", "user.age=#3", "z=#1"]),
            (r#"{"a":{"b":{"c":[1, 2]},"d":[ {"e" : "f"} ]}}"#, &[r#"a.b={"c":[1,2]}"#, r#"a.d=[{"e":"f"}]"#]),
            (r#"{"a":null,"b":{},"c":[],"d":"","e":"null"}"#, &["c=[]", "d=", "e=null"]),
            (r#"{"a":1,"a":2}"#, &["a=#1", "a=#2"]),
            (r#"{"a.b":1,"":2}"#, &["a.b=#1", "=#2"]),
            ("{}", &[]),
            ("[1,2]", &[]),
            (r#""text""#, &[]),
            ("12", &[]),
        ] {
            assert_eq!(shown(data.as_bytes()), expected, "{data}");
        }
    }

    #[test]
    fn data_that_is_cut_off_or_broken_has_the_fields_before_that() {
        for (data, expected) in [
            (&br#"{"a":1,"b":2"#[..], &["a=#1"][..]),
            (br#"{"a":1,"b"#, &["a=#1"]),
            (br#"{"a":1,"b":"te"#, &["a=#1", "b=te"]),
            (br#"{"a":1,"b":[1,"x"#, &["a=#1", "b=[1,\"x"]),
            (br#"{"a":1,"b":nul"#, &["a=#1"]),
            (br#"{"a":1,"b":x,"c":1}"#, &["a=#1"]),
            (br#"{"a":1,"b":1 2}"#, &["a=#1", "b=#1"]),
            (b"{\"a\":1,\"b\":\"M\xfcnchen\"}", &["a=#1", "b=M"]),
            (b"{not json}", &[]),
            (b"{a=1 b=2}", &[]),
            (b"", &[]),
            (b"\xff", &[]),
        ] {
            assert_eq!(shown(data), expected, "{}", data.escape_ascii());
        }
    }

    #[test]
    fn logfmt_is_a_line_of_nothing_but_pairs() {
        for (data, expected) in [
            ("level=info ms=12.5 msg=\"a \\\"b\\\" c\"\n", &["level=info", "ms=#12.5", "msg=a \"b\" c"][..]),
            ("a= b=x=y", &["a=", "b=x=y"]),
            ("http.status=200  @t=1 zip=007", &["http.status=#200", "@t=#1", "zip=007"]),
            ("a=\"1\" b=\"unfinished", &["a=1", "b=unfinished"]),
            ("a=1", &[]),
            ("a=1 b=2 and more", &[]),
            ("started a=1 b=2", &[]),
            ("a=1 b=\"2\"3", &[]),
            ("http://x/?a=1 b=2", &[]),
            ("- a=1", &[]),
        ] {
            assert_eq!(shown(data.as_bytes()), expected, "{data}");
        }
    }

    #[test]
    fn no_more_than_the_limits_is_read() {
        let long = format!(r#"{{"a":1,"b":"{}","c":3}}"#, "x".repeat(BYTES_MAX));
        let found = fields(long.as_bytes());
        assert_eq!(found.iter().map(|field| &*field.path).collect::<Vec<_>>(), ["a", "b"]);

        let array = format!(r#"{{"a":[{}"ü"],"b":1}}"#, r#""üüü","#.repeat(200));
        let found = fields(array.as_bytes());
        assert!((COMPACT_BYTES_MAX - 3..=COMPACT_BYTES_MAX).contains(&found[0].text.len()), "{}", found[0].text.len());
        assert_eq!(found[1].text, "1");

        let pairs = "key=value ".repeat(BYTES_MAX / 10 + 1);
        assert_eq!(fields(pairs.as_bytes()).len(), FIELDS_MAX);
        let members: String = (0..1_000).map(|n| format!(r#""k{n}":{n},"#)).collect();
        assert_eq!(fields(format!("{{{members}\"z\":1}}").as_bytes()).len(), FIELDS_MAX);
        let cut = format!("a=1 b=2 c={}", "x".repeat(BYTES_MAX));
        assert_eq!(fields(cut.as_bytes()).len(), 2);
        let deep = format!(r#"{{"a":{}"#, "[{\"b\":".repeat(BYTES_MAX / 6));
        assert_eq!(fields(deep.as_bytes()).len(), 1);
    }

    #[test]
    fn the_last_of_doubled_fields_is_found() {
        let found = fields(br#"{"a":1,"user":{"name":"x"},"a":2}"#);
        assert_eq!(find(&found, "a").map(|field| &*field.text), Some("2"));
        assert_eq!(find(&found, "user.name").map(|field| &*field.text), Some("x"));
        assert_eq!(find(&found, "user"), None);
    }

    #[test]
    fn any_bytes_can_be_read() {
        let sources: [&[u8]; 3] = [
            br#"{"a":{"b":[1,"\ud83d\ude00"],"c":-1.5e3},"d":null}"#,
            b"k=v k2=\"v \\\"2\" =x",
            "ü=1 b=\"…\"".as_bytes(),
        ];
        for source in sources {
            for at in 0..source.len() {
                let _ = fields(&source[at..]);
                let _ = fields(&source[..at]);
                for byte in [0, b'"', b'\\', b'{', b'}', b']', b'=', b' ', 0x80, 0xff] {
                    let mut changed = source.to_vec();
                    changed[at] = byte;
                    let _ = fields(&changed);
                }
            }
        }
    }
}
