//! `-o '%t %k{kind} %d\n'`: events in a format that the user gives.

use std::{io::Write, mem, str::FromStr};

use hourlog::{Event, Metadata};

use super::escapes::push_escaped;

/// The tokens, for help and errors.
const TOKENS: &str = "%t time, %a arrival time, %o offset in nanoseconds, %p position, %q seq, %l log, %d data, \
                      %S size of the data in bytes, %k{NAME} metadata, %m all metadata, %% a percent sign";

/// A format for events.
///
/// Nothing is added to it, no line break either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(Vec<u8>),
    Token(Token),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Time,
    Arrival,
    Offset,
    Position,
    Seq,
    Log,
    Data,
    Size,
    /// The values of one name, separated by commas.
    Metadata(String),
    AllMetadata,
}

impl Template {
    /// Returns true if `text` is a template, and not the name of a format.
    pub(in crate::cli) fn is_meant_by(text: &str) -> bool {
        text.contains(['%', '\\'])
    }

    /// Appends an event in this format. Times are in UTC.
    pub(super) fn write(&self, event: &Event, to: &mut Vec<u8>) {
        for part in &self.0 {
            match part {
                Part::Literal(bytes) => to.extend_from_slice(bytes),
                Part::Token(token) => token.write(event, to),
            }
        }
    }
}

impl Token {
    fn write(&self, event: &Event, to: &mut Vec<u8>) {
        let position = event.position;
        let written = match self {
            Self::Time => write!(to, "{}", position.offset),
            Self::Arrival => write!(to, "{}", event.arrival_time()),
            Self::Offset => write!(to, "{}", position.offset.nanos()),
            Self::Position => write!(to, "{position}"),
            Self::Seq => write!(to, "{}", position.seq),
            Self::Log => write!(to, "{}", event.log),
            Self::Data => to.write_all(&event.record.data),
            Self::Size => write!(to, "{}", event.record.data.len()),
            Self::Metadata(name) => write!(to, "{}", event.record.metadata.get(name).join(",")),
            Self::AllMetadata => write!(to, "{}", all_metadata(&event.record.metadata, " ")),
        };
        written.expect("writing to a Vec never fails");
    }
}

/// Returns names and values as text: `kind=paid,twice`.
pub(super) fn all_metadata(metadata: &Metadata, separator: &str) -> String {
    let pairs: Vec<String> = metadata.iter().map(|(name, values)| format!("{name}={}", values.join(","))).collect();
    pairs.join(separator)
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut parts, mut literal) = (Vec::new(), Vec::new());
        let mut rest = text.chars();
        while let Some(character) = rest.next() {
            let token = match character {
                '\\' => {
                    push_escaped(&mut rest, &mut literal)?;
                    continue;
                }
                '%' => rest.next(),
                other => {
                    literal.extend(other.encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
            };
            let token = match token {
                Some('%') => {
                    literal.push(b'%');
                    continue;
                }
                Some('t') => Token::Time,
                Some('a') => Token::Arrival,
                Some('o') => Token::Offset,
                Some('p') => Token::Position,
                Some('q') => Token::Seq,
                Some('l') => Token::Log,
                Some('d') => Token::Data,
                Some('S') => Token::Size,
                Some('m') => Token::AllMetadata,
                Some('k') => {
                    let name = rest.as_str().strip_prefix('{').and_then(|named| named.split_once('}'));
                    let Some((name, after)) = name.filter(|(name, _)| !name.is_empty()) else {
                        return Err("%k needs the name of metadata, as in %k{kind}".to_owned());
                    };
                    rest = after.chars();
                    Token::Metadata(name.to_owned())
                }
                Some(other) => return Err(format!("%{other} is not a token; there are {TOKENS}")),
                None => return Err(format!("it ends with a percent sign; there are {TOKENS}")),
            };
            if !literal.is_empty() {
                parts.push(Part::Literal(mem::take(&mut literal)));
            }
            parts.push(Part::Token(token));
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self(parts))
    }
}

#[cfg(test)]
mod tests {
    use hourlog::{Position, Record, Seq};

    use super::*;

    fn event() -> Event {
        let position =
            Position { offset: "2018-02-04T21:56:42.5Z".parse().expect("a valid time"), seq: Seq::new(1, 42) };
        let record = Record::new(&b"{\"id\":7}\xff"[..]).with("kind", "paid").with("kind", "twice").with("a", "b");
        let arrived = Some("2018-02-05T00:00:00Z".parse().expect("a valid time"));
        Event { log: "orders.eu".parse().expect("a valid id"), position, arrived, record }
    }

    #[test]
    fn each_token_stands_for_its_part_of_the_event() {
        for (template, expected) in [
            ("%t %k{kind} %d\\n", &b"2018-02-04T21:56:42.5Z paid,twice {\"id\":7}\xff\n"[..]),
            ("%a", b"2018-02-05T00:00:00Z"),
            ("%o/%q", b"1517781402500000000/1099511627818"),
            ("%p@%l", b"1517781402500000000-1099511627818@orders.eu"),
            ("%S\\t%m\\0", b"9\ta=b kind=paid,twice\0"),
            ("[%k{none}]", b"[]"),
            ("100%% \\x41\\\\", b"100% A\\"),
        ] {
            let mut bytes = Vec::new();
            template.parse::<Template>().expect("a valid template").write(&event(), &mut bytes);
            assert_eq!(String::from_utf8_lossy(&bytes), String::from_utf8_lossy(expected), "{template}");
        }
    }

    #[test]
    fn an_unknown_token_is_refused_with_the_list() {
        for template in ["%s", "%", "%k", "%k{}", "%k{kind", "%Kx", "\\q", "%d\\"] {
            let error = template.parse::<Template>().expect_err("it is not valid");
            assert!(!error.is_empty(), "{template}");
        }
        let error = "%s".parse::<Template>().expect_err("there is no such token");
        for token in ["%t", "%a", "%o", "%p", "%q", "%l", "%d", "%S", "%k{kind}", "%m", "%%"] {
            assert!(token.parse::<Template>().is_ok(), "{token}");
            assert!(error.contains(token.split('{').next().unwrap_or(token)), "{error} does not list {token}");
        }
    }
}
