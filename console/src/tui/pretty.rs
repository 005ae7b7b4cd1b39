//! JSON, indented, line by line. It is the text as it was written: the order of fields, doubled
//! fields and the digits of numbers stay.

use std::{borrow::Cow, iter::Peekable};

use crate::tui::json::{Segment, Token, TokenKind, Tokens, expression, tokens, unquoted};

/// Limit of the way to a value. Each line has its own copy, so that without a limit the time for a
/// deeply nested text would grow with its square.
const PATH_BYTES_MAX: usize = 2048;
/// Cost of a step on the way, in addition to its key. It limits the way to 128 steps.
const STEP_BYTES: usize = 16;

/// The way in which a part is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    /// The name of a field.
    Key,
    /// A string, or letters that are not JSON.
    Text,
    /// A number.
    Number,
    /// `true`, `false` or `null`.
    Word,
    /// Brackets, commas, colons, and a folded value.
    Punctuation,
    /// The sign of a value that has changed.
    Changed,
}

/// A part of a line. It comes from the data and is not sanitized.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    /// The way in which it is drawn.
    pub(crate) ink: Ink,
    /// The text.
    pub(crate) text: Cow<'a, str>,
}

/// A line of indented JSON. It is never without parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PrettyLine<'a> {
    /// Columns before the first part: two for each level.
    pub(crate) indent: usize,
    /// The parts, such as `"mag"`, `: `, `6.4` and `,`.
    pub(crate) parts: Vec<Part<'a>>,
    /// The value that begins on this line. It is missing if the line only closes, and if the way to
    /// the value is too long (128 steps) or unknown (the text is not JSON).
    pub(crate) value: Option<LineValue<'a>>,
}

/// The value that begins on a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LineValue<'a> {
    /// The way to it.
    pub(crate) path: Vec<Segment<'a>>,
    /// The text as written; `{` or `[` for an object or an array.
    pub(crate) text: &'a str,
}

/// The lines of a text. They are read one by one, so the rest of the text costs nothing.
#[derive(Debug, Clone)]
pub(crate) struct PrettyLines<'a, F> {
    tokens: Peekable<Tokens<'a>>,
    /// The open objects and arrays, outermost first.
    levels: Vec<Level<'a>>,
    is_folded: F,
}

/// Returns the lines of `json`, with a line for each value. It may be cut off anywhere.
///
/// `is_folded` gets the CEL expression of an object or array that is not empty. If it returns true,
/// the value takes one line, such as `{…4}` with the number of its members.
pub(crate) fn pretty_lines<'a, F: Fn(&str) -> bool>(json: &'a str, is_folded: F) -> PrettyLines<'a, F> {
    PrettyLines { tokens: tokens(json).peekable(), levels: Vec::new(), is_folded }
}

impl<'a, F: Fn(&str) -> bool> Iterator for PrettyLines<'a, F> {
    type Item = PrettyLine<'a>;

    /// A line is an end, or a key, a colon and a value; then a comma. In a text that is not JSON each
    /// may be missing, and a token out of this order begins the next line.
    fn next(&mut self) -> Option<PrettyLine<'a>> {
        self.tokens.peek()?;
        if let Some(end) = self.next_if(is_end) {
            self.levels.pop();
            let mut line = self.line();
            line.push(Ink::Punctuation, end.text);
            self.add_comma(&mut line);
            return Some(line);
        }
        let mut line = self.line();
        if let Some(key) = self.next_if(|kind| kind == TokenKind::Key) {
            line.push(Ink::Key, key.text);
            if let Some(level) = self.levels.last_mut() {
                level.key = Some(key.text);
            }
        }
        if self.next_if(|kind| kind == TokenKind::Colon).is_some() {
            line.push(Ink::Punctuation, ": ");
        }
        if let Some(value) = self.next_if(is_value) {
            let path = self.path();
            if is_start(value.kind) {
                let text = self.container(value, path.as_deref());
                line.push(Ink::Punctuation, text);
            } else {
                line.push(ink(value.kind), value.text);
            }
            line.value = path.map(|path| LineValue { path, text: value.text });
        }
        self.add_comma(&mut line);
        Some(line)
    }
}

impl<'a, F: Fn(&str) -> bool> PrettyLines<'a, F> {
    fn line(&self) -> PrettyLine<'a> {
        PrettyLine { indent: 2 * self.levels.len(), parts: Vec::with_capacity(4), value: None }
    }

    fn next_if(&mut self, is_wanted: impl Fn(TokenKind) -> bool) -> Option<Token<'a>> {
        self.tokens.next_if(|token| is_wanted(token.kind))
    }

    /// Returns the way to the member that is being read, if it is known and not too long.
    fn path(&self) -> Option<Vec<Segment<'a>>> {
        if self.levels.last().is_some_and(|level| level.member_path_bytes() > PATH_BYTES_MAX) {
            return None;
        }
        self.levels.iter().map(Level::segment).collect()
    }

    /// Reads an object or array whose start has been taken: all of it if it is empty or folded.
    fn container(&mut self, start: Token<'a>, path: Option<&[Segment<'_>]>) -> Cow<'a, str> {
        if let Some(end) = self.next_if(is_end) {
            return Cow::Owned([start.text, end.text].concat());
        }
        let has_members = self.tokens.peek().is_some();
        if has_members && path.is_some_and(|path| (self.is_folded)(&expression(path))) {
            return Cow::Owned(self.fold(start));
        }
        let path_bytes = self.levels.last().map_or(0, Level::member_path_bytes);
        let is_object = start.kind == TokenKind::ObjectStart;
        self.levels.push(Level { is_object, key: None, index: 0, path_bytes });
        Cow::Borrowed(start.text)
    }

    /// Skips an object or array whose start has been taken. Returns it as `{…4}`, without the end if
    /// the text is cut off.
    fn fold(&mut self, start: Token<'a>) -> String {
        let (mut depth, mut members, mut is_member_next) = (0_usize, 0_usize, true);
        for token in self.tokens.by_ref() {
            match token.kind {
                kind if is_end(kind) && depth == 0 => return format!("{}…{members}{}", start.text, token.text),
                kind if is_end(kind) => depth -= 1,
                TokenKind::Comma if depth == 0 => is_member_next = true,
                kind => {
                    if depth == 0 && is_member_next {
                        members += 1;
                        is_member_next = false;
                    }
                    depth += usize::from(is_start(kind));
                }
            }
        }
        format!("{}…{members}", start.text)
    }

    /// Adds the comma that comes next, unless the line has just opened an object or array.
    fn add_comma(&mut self, line: &mut PrettyLine<'a>) {
        if line.indent < 2 * self.levels.len() {
            return;
        }
        let Some(comma) = self.next_if(|kind| kind == TokenKind::Comma) else { return };
        line.push(Ink::Punctuation, comma.text);
        if let Some(level) = self.levels.last_mut() {
            level.key = None;
            level.index += 1;
        }
    }
}

impl<'a> PrettyLine<'a> {
    fn push(&mut self, ink: Ink, text: impl Into<Cow<'a, str>>) {
        self.parts.push(Part { ink, text: text.into() });
    }
}

/// An open object or array.
#[derive(Debug, Clone)]
struct Level<'a> {
    is_object: bool,
    /// The key of the member that is being read, as written.
    key: Option<&'a str>,
    /// The number of members before the one that is being read.
    index: usize,
    /// The cost of the way to this object or array; see [`PATH_BYTES_MAX`].
    path_bytes: usize,
}

impl<'a> Level<'a> {
    fn segment(&self) -> Option<Segment<'a>> {
        if self.is_object { Some(Segment::Key(unquoted(self.key?))) } else { Some(Segment::Index(self.index)) }
    }

    fn member_path_bytes(&self) -> usize {
        self.path_bytes + STEP_BYTES + self.key.map_or(0, str::len)
    }
}

fn is_start(kind: TokenKind) -> bool {
    matches!(kind, TokenKind::ObjectStart | TokenKind::ArrayStart)
}

fn is_end(kind: TokenKind) -> bool {
    matches!(kind, TokenKind::ObjectEnd | TokenKind::ArrayEnd)
}

fn is_value(kind: TokenKind) -> bool {
    is_start(kind) || matches!(kind, TokenKind::String | TokenKind::Number | TokenKind::Word | TokenKind::Other)
}

/// Returns the ink of a scalar.
fn ink(kind: TokenKind) -> Ink {
    match kind {
        TokenKind::Number => Ink::Number,
        TokenKind::Word => Ink::Word,
        _ => Ink::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the lines as text, with the values at these expressions folded.
    fn indented(json: &str, folded: &[&str]) -> String {
        let lines = pretty_lines(json, |value| folded.contains(&value));
        lines.map(|line| " ".repeat(line.indent) + &text(&line)).collect::<Vec<_>>().join("\n")
    }

    fn text(line: &PrettyLine<'_>) -> String {
        line.parts.iter().map(|part| &*part.text).collect()
    }

    #[test]
    fn order_digits_and_doubled_fields_stay() {
        let json = r#"{"b":23958446825181076828, "a":1.10,"a":[ ], "c" :{"d":"x, {y}: \"z\"","e":[1,null]}}"#;
        let expected = "{\n  \"b\": 23958446825181076828,\n  \"a\": 1.10,\n  \"a\": [],\n  \"c\": {\n    \
                        \"d\": \"x, {y}: \\\"z\\\"\",\n    \"e\": [\n      1,\n      null\n    ]\n  }\n}";
        assert_eq!(indented(json, &[]), expected);
        assert_eq!(indented("{}", &[]), "{}");
        assert_eq!(indented(r#""\\""#, &[]), r#""\\""#);
    }

    #[test]
    fn a_text_that_is_cut_off_anywhere_is_shown_as_far_as_it_goes() {
        let json = r#"{"a":[1,{"b":"München, \u00fc"},-2.50e3],"c":"\\\"","d":[]}"#;
        let letters = |text: &str| text.split_whitespace().collect::<String>();
        for cut in 0..=json.chars().count() {
            let part: String = json.chars().take(cut).collect();
            assert_eq!(letters(&indented(&part, &[])), letters(&part));
        }
    }

    #[test]
    fn a_text_that_is_not_json_is_shown_whole_and_each_value_has_a_line() {
        let table = [
            ("", ""),
            (" \n", ""),
            ("1 2", "1\n2"),
            ("]]", "]\n]"),
            ("{]", "{]"),
            ("[1}2]", "[\n  1\n}\n2\n]"),
            ("[1,]", "[\n  1,\n]"),
            ("[,,1", "[\n  ,\n  ,\n  1"),
            ("{:1 a, b}", "{\n  : 1\n  a,\n  b\n}"),
            (r#"{"a" "b""c","#, "{\n  \"a\"\"b\"\n  \"c\","),
            ("{}{", "{}\n{"),
        ];
        for (json, expected) in table {
            assert_eq!(indented(json, &[]), expected, "{json}");
        }
    }

    #[test]
    fn a_part_has_the_ink_of_its_kind() {
        let json = r#"{"mag":6.4,"place":"Chile","felt":null,"tags":[],"bad":nil}"#;
        let parts: Vec<_> = pretty_lines(json, |_| false).flat_map(|line| line.parts).collect();
        let table = [
            (Ink::Key, r#""mag" "place" "felt" "tags" "bad""#),
            (Ink::Text, r#""Chile" nil"#),
            (Ink::Number, "6.4"),
            (Ink::Word, "null"),
            (Ink::Punctuation, "{ :  , :  , :  , :  [] , :  }"),
        ];
        for (ink, expected) in table {
            let inked: Vec<_> = parts.iter().filter(|part| part.ink == ink).map(|part| &*part.text).collect();
            assert_eq!(inked.join(" "), expected);
        }
    }

    #[test]
    fn a_line_knows_the_way_to_its_value_and_the_value_as_written() {
        let json = r#"{"a":[1.0,{"b c":"\u00fc"},[]], "\u0061":{"in":true,"ü":[[2]]},"a":{}}"#;
        let lines = pretty_lines(json, |_| false);
        let values: Vec<_> = lines.map(|line| line.value.map(|it| (expression(&it.path), it.text))).collect();
        let table = [
            Some(("json", "{")),
            Some(("json.a", "[")),
            Some(("json.a[0]", "1.0")),
            Some(("json.a[1]", "{")),
            Some((r#"json.a[1]["b c"]"#, r#""\u00fc""#)),
            None,
            Some(("json.a[2]", "[")),
            None,
            Some(("json.a", "{")),
            Some((r#"json.a["in"]"#, "true")),
            Some((r#"json.a["ü"]"#, "[")),
            Some((r#"json.a["ü"][0]"#, "[")),
            Some((r#"json.a["ü"][0][0]"#, "2")),
            None,
            None,
            None,
            Some(("json.a", "{")),
            None,
        ];
        let table = table.map(|value| value.map(|(path, text)| (path.to_owned(), text)));
        assert_eq!(values, table);
    }

    #[test]
    fn a_value_whose_way_is_unknown_or_too_long_has_none() {
        let long_key = format!(r#"{{"{}":1}}"#, "k".repeat(PATH_BYTES_MAX));
        for json in [r#"{"a":1,2}"#, r#"{"a":1,[2]}"#, &long_key] {
            let scalars = pretty_lines(json, |_| false).filter(|line| text(line).contains(['1', '2']));
            let last = scalars.last().expect("each text has a number");
            assert_eq!(last.value, None, "{json}");
        }
    }

    #[test]
    fn a_folded_value_takes_one_line_that_counts_its_members() {
        let json = r#"{"a":{"x":1,"y":[1,2,{"z":[]}],"x":{}},"b":[[1,2],[3]],"c":[]}"#;
        let table: [(&[&str], &str); 5] = [
            (&["json"], "{…3}"),
            (&["json.a", "json.b"], r#"{ "a": {…3}, "b": […2], "c": [] }"#),
            (&["json.a", "json.b[0]"], r#"{ "a": {…3}, "b": [ […2], [ 3 ] ], "c": [] }"#),
            (&["json.a", "json.b[1]", "json.c"], r#"{ "a": {…3}, "b": [ [ 1, 2 ], […1] ], "c": [] }"#),
            (&["json.a.y[2]", "json.b"], r#"{ "a": { "x": 1, "y": [ 1, 2, {…1} ], "x": {} }, "b": […2], "c": [] }"#),
        ];
        for (folded, expected) in table {
            let lines = pretty_lines(json, |value| folded.contains(&value));
            assert_eq!(lines.map(|line| text(&line)).collect::<Vec<_>>().join(" "), expected);
        }
        let line = pretty_lines(json, |_| true).next().expect("the text has a line");
        assert_eq!(line.parts, [Part { ink: Ink::Punctuation, text: "{…3}".into() }]);
        assert_eq!(line.value, Some(LineValue { path: Vec::new(), text: "{" }));
    }

    #[test]
    fn a_folded_value_that_is_cut_off_has_no_end() {
        let table = [("[", "["), ("[1", "[…1"), ("[1,", "[…1"), (r#"{"a":[1,2],"b"#, "{…2"), ("[,", "[…0")];
        for (json, expected) in table {
            assert_eq!(indented(json, &["json"]), expected);
        }
    }

    #[test]
    fn only_objects_and_arrays_with_members_are_asked_for() {
        let asked = std::cell::RefCell::new(Vec::new());
        let is_folded = |value: &str| {
            asked.borrow_mut().push(value.to_owned());
            false
        };
        assert_eq!(pretty_lines(r#"{"a":[[],{},1,"b"],"c":{"d":null},"e":["#, is_folded).count(), 11);
        assert_eq!(*asked.borrow(), ["json", "json.a", "json.c"]);
    }

    #[test]
    fn the_first_lines_leave_the_rest_of_the_text_unread() {
        let json = format!(r#"{{"a":1,"b":[2,{}"#, "[{\"".repeat(300_000));
        let mut lines = pretty_lines(&json, |_| false);
        let first: Vec<_> = lines.by_ref().take(3).map(|line| text(&line)).collect();
        assert_eq!(first, ["{", r#""a": 1,"#, r#""b": ["#]);
        let unread: Vec<_> = lines.tokens.map(|token| token.text).take(3).collect();
        assert_eq!(unread, ["2", ",", "["]);
    }

    #[test]
    fn a_hundred_thousand_nested_arrays_have_lines_and_fold() {
        let depth = 100_000;
        let open = "[".repeat(depth);
        let json = format!("{open}1{}", "]".repeat(depth));
        assert_eq!(pretty_lines(&json, |_| false).count(), 2 * depth + 1);
        assert_eq!(pretty_lines(&open, |_| false).count(), depth);
        assert_eq!(indented(&json, &["json"]), "[…1]");
        let innermost = pretty_lines(&json, |_| false).nth(depth).expect("the number has a line");
        assert_eq!((innermost.indent, text(&innermost), innermost.value), (2 * depth, "1".to_owned(), None));
    }
}
