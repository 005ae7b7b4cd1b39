//! Commands that are typed into the palette with what they are for: `goto 10:00`, `speed 60`, `columns mag,place`, `open a.*`.

use hourlog::{LogId, pace::Speed};

use super::lanes::{LANES_MAX, Lanes};

/// The commands, each with a sentence about it.
const COMMANDS: [(&str, &str); 4] = [
    ("goto ", "go to this time"),
    ("speed ", "play at this speed: 60 is a minute in a second"),
    ("columns ", "show these columns, in this order"),
    ("open ", "open these logs as one; * stands for letters without a dot, {a,b} for one of several"),
];

/// A typed command.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TypedCommand {
    /// Go to a time.
    GoTo(String),
    /// Play at a speed.
    Speed(Speed),
    /// Show these columns.
    Columns(Vec<String>),
    /// Open logs as one.
    Open(Lanes),
}

/// Returns the sentence about the command that a text begins with.
pub(crate) fn help(text: &str) -> Option<&'static str> {
    COMMANDS.iter().find(|(name, _)| text.trim_start().starts_with(name)).map(|(_, help)| *help)
}

/// Reads a command. `logs` are those that there are.
///
/// # Errors
/// A sentence about what is wrong.
pub(crate) fn read<'l>(text: &str, logs: impl Iterator<Item = &'l LogId>) -> Option<Result<TypedCommand, String>> {
    let (name, rest) = text.trim_start().split_once(' ')?;
    let rest = rest.trim();
    Some(match name {
        "goto" => Ok(TypedCommand::GoTo(rest.to_owned())),
        "speed" => rest.parse().map(TypedCommand::Speed).map_err(|error: hourlog::Error| error.to_string()),
        "columns" => {
            let paths = rest.split([',', ' ']).filter(|path| !path.is_empty()).map(str::to_owned).collect();
            Ok(TypedCommand::Columns(paths))
        }
        "open" => {
            let patterns: Vec<String> = rest.split_whitespace().flat_map(alternatives).collect();
            let found = logs.filter(|log| patterns.iter().any(|pattern| is_like(log.as_str(), pattern)));
            let found: Vec<LogId> = found.take(LANES_MAX + 1).cloned().collect();
            match Lanes::new(found) {
                Some(lanes) if lanes.logs().len() <= LANES_MAX => Ok(TypedCommand::Open(lanes)),
                Some(_) => Err(format!("more than {LANES_MAX} logs match")),
                None => Err("no log matches".to_owned()),
            }
        }
        _ => return None,
    })
}

/// Returns the patterns that one with braces stands for: `a.{b,c}` is `a.b` and `a.c`.
fn alternatives(pattern: &str) -> Vec<String> {
    let inside = pattern.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
    let Some((before, (several, after))) = inside else { return vec![pattern.to_owned()] };
    several.split(',').flat_map(|one| alternatives(&format!("{before}{one}{after}"))).collect()
}

/// Returns true if an id is like a pattern, in which `*` stands for letters without a dot.
fn is_like(id: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => id == pattern,
        Some((before, after)) => id.strip_prefix(before).is_some_and(|rest| {
            let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            ends.take_while(|end| !rest[..*end].contains('.')).any(|end| is_like(&rest[end..], after))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(text: &str) -> Result<String, String> {
        let logs: Vec<LogId> =
            ["app.web", "app.db.a", "quakes.ci", "quakes.us"].map(|id| id.parse().expect("a valid id")).into();
        match read(text, logs.iter()) {
            Some(Ok(TypedCommand::Open(lanes))) => {
                Ok(lanes.logs().iter().map(LogId::as_str).collect::<Vec<_>>().join(" "))
            }
            Some(Err(error)) => Err(error),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn logs_are_named_by_patterns() {
        assert_eq!(opened("open quakes.{ci,us} app.*"), Ok("app.web quakes.ci quakes.us".to_owned()));
        assert_eq!(opened("open app.db.a"), Ok("app.db.a".to_owned()));
        assert_eq!(opened("open *.*s"), Ok("quakes.us".to_owned()));
        assert_eq!(opened("open none"), Err("no log matches".to_owned()));
    }

    #[test]
    fn other_commands_are_read_and_a_wrong_speed_is_refused() {
        let none = || std::iter::empty();
        assert_eq!(read("goto 10:00", none()), Some(Ok(TypedCommand::GoTo("10:00".to_owned()))));
        assert_eq!(
            read("columns mag, place", none()),
            Some(Ok(TypedCommand::Columns(vec!["mag".to_owned(), "place".to_owned()])))
        );
        assert!(matches!(read("speed 60", none()), Some(Ok(TypedCommand::Speed(_)))));
        assert!(matches!(read("speed fast", none()), Some(Err(_))));
        assert_eq!((read("zoom", none()), read("log quakes.us", none())), (None, None));
    }
}
