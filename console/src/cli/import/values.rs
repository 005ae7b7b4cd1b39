//! Splitting of JSON text into its values: objects one after another on any number of lines, or the elements of an
//! array. One value is in memory at a time.

use hourlog::{Error, ErrorKind, Result};

/// The state between two bytes of JSON text. It follows brackets and quotes only; the values themselves are
/// checked when they are parsed.
#[derive(Debug)]
pub(super) struct Splitter {
    /// Number of the current line.
    line: u64,
    /// Number of the line in which the current value, or the array around it, begins.
    value_line: u64,
    array_line: Option<u64>,
    /// A value has ended, and no comma has followed it.
    needs_comma: bool,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Between,
    /// In brackets, this many deep.
    Brackets {
        depth: u64,
        string: InString,
    },
    /// In a string that is a value of its own.
    Text {
        escaped: bool,
    },
    /// In a number or a word.
    Bare,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InString {
    No,
    Yes { escaped: bool },
}

/// A value that has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// Bytes that were taken from the input.
    pub(super) bytes: usize,
    /// The line in which the value begins, if it has ended.
    pub(super) ended: Option<u64>,
}

impl Splitter {
    pub(super) fn new() -> Self {
        Self { line: 1, value_line: 1, array_line: None, needs_comma: false, state: State::Between }
    }

    /// Takes bytes from the start of `input`, at most to the end of a value, and appends those of the value to
    /// `value`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for elements of an array without a comma between them.
    pub(super) fn take(&mut self, input: &[u8], value: &mut Vec<u8>) -> Result<Taken> {
        // Where the bytes of the value begin in `input`.
        let mut start = if self.state == State::Between { input.len() } else { 0 };
        for (at, byte) in input.iter().copied().enumerate() {
            let was_between = self.state == State::Between;
            let step = self.step(byte)?;
            if was_between && self.state != State::Between {
                start = at;
            }
            self.line += u64::from(byte == b'\n');
            let end = match step {
                Step::Continue => continue,
                Step::EndsWith => at + 1,
                Step::EndsBefore => at,
            };
            value.extend_from_slice(&input[start..end]);
            return Ok(Taken { bytes: at + 1, ended: Some(self.value_line) });
        }
        value.extend_from_slice(&input[start..]);
        Ok(Taken { bytes: input.len(), ended: None })
    }

    /// Returns the number of the line in which the current value begins, or the last one that has ended.
    pub(super) fn value_line(&self) -> u64 {
        self.value_line
    }

    /// Returns true if a value has begun and does not continue in a string. Strings have no line breaks.
    pub(super) fn continues_on_next_line(&self) -> bool {
        matches!(self.state, State::Brackets { string: InString::No, .. })
    }

    /// Ends the input. Returns the line of the value that ends with it, if there is one.
    ///
    /// # Errors
    /// [`ErrorKind::Integrity`] for a value or an array that does not end.
    pub(super) fn end(&self) -> Result<Option<u64>> {
        let cut = |what: &str, line: u64| {
            let context = format!("the {what} that begins in line {line} does not end; the file may be cut off");
            Err(Error::new(ErrorKind::Integrity, context))
        };
        match (self.state, self.array_line) {
            (State::Brackets { .. } | State::Text { .. }, _) => cut("value", self.value_line),
            (_, Some(line)) => cut("array", line),
            (State::Bare, None) => Ok(Some(self.value_line)),
            (State::Between, None) => Ok(None),
        }
    }

    fn step(&mut self, byte: u8) -> Result<Step> {
        match self.state {
            State::Between => return self.begin(byte).map(|()| Step::Continue),
            State::Brackets { depth, string: InString::Yes { escaped } } => {
                let string = after_string_byte(byte, escaped).map_or(InString::No, |escaped| InString::Yes { escaped });
                self.state = State::Brackets { depth, string };
            }
            State::Brackets { depth, string: InString::No } => match byte {
                b'{' | b'[' => self.state = State::Brackets { depth: depth + 1, string: InString::No },
                b'}' | b']' if depth == 1 => return Ok(self.ended(Step::EndsWith)),
                b'}' | b']' => self.state = State::Brackets { depth: depth - 1, string: InString::No },
                b'"' => self.state = State::Brackets { depth, string: InString::Yes { escaped: false } },
                _ => {}
            },
            State::Text { escaped } => match after_string_byte(byte, escaped) {
                Some(escaped) => self.state = State::Text { escaped },
                None => return Ok(self.ended(Step::EndsWith)),
            },
            State::Bare => {
                let in_array = self.array_line.is_some();
                if is_blank(byte) || (in_array && matches!(byte, b',' | b']')) {
                    self.ended(Step::EndsBefore);
                    self.begin(byte)?;
                    return Ok(Step::EndsBefore);
                }
            }
        }
        Ok(Step::Continue)
    }

    /// Takes a byte between two values.
    fn begin(&mut self, byte: u8) -> Result<()> {
        match (byte, self.array_line) {
            (byte, _) if is_blank(byte) => {}
            (b'[', None) => self.array_line = Some(self.line),
            (b']', Some(_)) => (self.array_line, self.needs_comma) = (None, false),
            (b',', Some(_)) if self.needs_comma => self.needs_comma = false,
            (_, Some(_)) if self.needs_comma => {
                let line = self.line;
                return Err(Error::invalid(format!(
                    "line {line}: a comma or ] is missing after an element of the array"
                )));
            }
            (byte, _) => {
                self.value_line = self.line;
                self.state = match byte {
                    b'{' | b'[' => State::Brackets { depth: 1, string: InString::No },
                    b'"' => State::Text { escaped: false },
                    _ => State::Bare,
                };
            }
        }
        Ok(())
    }

    fn ended(&mut self, step: Step) -> Step {
        self.state = State::Between;
        self.needs_comma = self.array_line.is_some();
        step
    }
}

/// The meaning of a byte.
enum Step {
    Continue,
    /// The value ends with this byte.
    EndsWith,
    /// The value has ended before this byte.
    EndsBefore,
}

/// Returns if the next byte of a string is escaped, or `None` after the quote that ends the string.
fn after_string_byte(byte: u8, escaped: bool) -> Option<bool> {
    match byte {
        b'"' if !escaped => None,
        byte => Some(byte == b'\\' && !escaped),
    }
}

/// Returns true for white space, and for the separator of JSON text sequences.
fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x1e
}

/// Returns true if the beginning of JSON text shows that its values are not one on each line: an array, or an
/// object that goes on after its first line.
pub(super) fn are_not_lines(head: &[u8]) -> bool {
    let text = &head[head.iter().take_while(|byte| byte.is_ascii_whitespace()).count()..];
    match text.first() {
        Some(b'[' | 0x1e) => true,
        Some(b'{') => {
            let Some(line) = text.split(|byte| *byte == b'\n').next().filter(|line| line.len() < text.len()) else {
                return false;
            };
            let mut splitter = Splitter::new();
            let taken = splitter.take(line, &mut Vec::new());
            taken.is_ok_and(|taken| taken.ended.is_none()) && splitter.continues_on_next_line()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Splits `text` in pieces of `piece` bytes, and returns the values with their lines.
    fn split(text: &str, piece: usize) -> Result<Vec<(u64, String)>> {
        let (mut splitter, mut value, mut values) = (Splitter::new(), Vec::new(), Vec::new());
        let mut keep = |line, value: &mut Vec<u8>| {
            values.push((line, String::from_utf8(std::mem::take(value)).expect("values are UTF-8")));
        };
        for mut piece in text.as_bytes().chunks(piece) {
            while !piece.is_empty() {
                let taken = splitter.take(piece, &mut value)?;
                piece = &piece[taken.bytes..];
                if let Some(line) = taken.ended {
                    keep(line, &mut value);
                }
            }
        }
        if let Some(line) = splitter.end()? {
            keep(line, &mut value);
        }
        Ok(values)
    }

    #[test]
    fn values_are_split_wherever_the_input_is_cut() {
        for (text, expected) in [
            ("", &[][..]),
            ("[]", &[]),
            ("[{\"a\":1},{\"b\":[2,{}]}]", &[(1, "{\"a\":1}"), (1, "{\"b\":[2,{}]}")]),
            ("{\n \"a\": \"}\\\"{\"\n}\n\n{}\n", &[(1, "{\n \"a\": \"}\\\"{\"\n}"), (5, "{}")]),
            (
                " [\n {},\n 7, \"x\\\\\", null,\n [1]\n]\n[ {} ]",
                &[(2, "{}"), (3, "7"), (3, "\"x\\\\\""), (3, "null"), (4, "[1]"), (6, "{}")],
            ),
            ("\u{1e}{}\n\u{1e}{}", &[(1, "{}"), (2, "{}")]),
            ("{}junk\n} 1", &[(1, "{}"), (1, "junk"), (2, "}"), (2, "1")]),
            ("[1,]", &[(1, "1")]),
        ] {
            for piece in 1..=text.len().max(1) {
                let values = split(text, piece).expect(text);
                let values: Vec<(u64, &str)> = values.iter().map(|(line, value)| (*line, value.as_str())).collect();
                assert_eq!(values, expected, "{text:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn text_that_is_cut_off_or_broken_is_refused_with_its_line() {
        for (text, reason) in [
            ("[{}", "the array that begins in line 1"),
            ("\n[{}\n", "the array that begins in line 2"),
            ("{}\n{\"a\":", "the value that begins in line 2"),
            ("{\"a\":\"}", "the value that begins in line 1"),
            ("[{}\n{}]", "line 2: a comma or ]"),
            ("[1 2]", "line 1: a comma or ]"),
        ] {
            let error = split(text, 3).expect_err(text).to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }

    #[test]
    fn arrays_and_indented_objects_are_told_from_lines() {
        for (head, expected) in [
            ("[{\"a\":1}]", true),
            ("\n\n  [\n", true),
            ("{\n  \"a\": 1\n}\n", true),
            ("{ \"a\": 1,\n  \"b\": 2 }\n", true),
            ("{\"a\":{\r\n", true),
            ("{\"a\":1}\n{\"b\":2}\n", false),
            ("{\"a\":1}\n{\n", false),
            ("{\"a\":\"cut\nx\"}\n", false),
            ("{\"a\":1", false),
            ("2024-05-01 [", false),
            ("", false),
        ] {
            assert_eq!(are_not_lines(head.as_bytes()), expected, "{head:?}");
        }
    }
}
