//! `--after`: the places that a read continues after.

use std::{fmt, str::FromStr};

use hourlog::{ArrivalCursor, Cursor, Error, LogId, Result, wire::MergedPosition};

use super::names::Names;

/// A cursor, and the log of its event: `1795415799411123024-42@orders.eu`. Only a read of one log needs no log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) cursor: Cursor,
    pub(super) log: Option<LogId>,
}

impl FromStr for Place {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // A cursor has no @, and an id may have one.
        let (cursor, log) = match text.split_once('@') {
            Some((cursor, log)) => (cursor, Some(log.parse()?)),
            None => (text, None),
        };
        Ok(Self { cursor: cursor.parse()?, log })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.log {
            Some(log) => write!(f, "{}@{log}", self.cursor),
            None => self.cursor.fmt(f),
        }
    }
}

/// The places that a read continues after, checked against the logs that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum After {
    /// It begins at its start.
    Nothing,
    /// The last event in the order of the merged timeline: by time, seq and log.
    Timeline(MergedPosition),
    /// The last arrival of each log that had one. The other logs begin at the start.
    Arrivals(Vec<(LogId, ArrivalCursor)>),
}

impl After {
    /// # Errors
    /// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid) for places that do not say where to continue.
    pub(super) fn new(places: &[Place], names: &Names) -> Result<Self> {
        let log = |place: &Place| {
            let log = place.log.clone().or_else(|| names.only_log().cloned()).ok_or_else(|| {
                Error::invalid(format!(
                    "--after {0}: with several logs, a place names its log: {0}@LOG, as an interrupted read prints it",
                    place.cursor
                ))
            })?;
            if names.has_patterns() || names.logs().any(|named| *named == log) {
                return Ok(log);
            }
            Err(Error::invalid(format!("--after {place}: {log} is not among the logs to read; correct one of them")))
        };
        match places {
            [] => Ok(Self::Nothing),
            [place @ Place { cursor: Cursor::Timeline(position), .. }] => {
                Ok(Self::Timeline(MergedPosition { position: *position, log: log(place)? }))
            }
            places => {
                let arrivals = places.iter().map(|place| match place.cursor {
                    Cursor::Arrival(cursor) => Ok((log(place)?, cursor)),
                    Cursor::Timeline(position) => Err(Error::invalid(format!(
                        "--after {position}: there is only one place in time order, whatever the number of logs; \
                         give one, or an arrival cursor (a:…) for each log"
                    ))),
                });
                Ok(Self::Arrivals(arrivals.collect::<Result<_>>()?))
            }
        }
    }

    /// Returns the arrival cursor of a log.
    pub(super) fn arrival(&self, log: &LogId) -> Option<ArrivalCursor> {
        match self {
            Self::Arrivals(cursors) => cursors.iter().find(|(of, _)| of == log).map(|(_, cursor)| *cursor),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Place {
        text.parse().expect("a valid place")
    }

    fn names(names: &[&str]) -> Names {
        Names::new(names.iter().map(|name| name.parse().expect("a valid name")).collect())
    }

    #[test]
    fn a_place_is_read_back_from_its_text() {
        for text in ["5-7", "-5-7", "a:5-7", "a:-5-7@orders.eu", "5-7@odd@id-8"] {
            assert_eq!(place(text).to_string(), text);
        }
        for text in ["", "5", "5-7@", "@x", "5-7@a b", "a:5@x"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }

    #[test]
    fn places_of_several_logs_name_them() {
        let after = |places: &[&str], logs: &[&str]| {
            After::new(&places.iter().map(|text| place(text)).collect::<Vec<_>>(), &names(logs))
        };
        assert!(matches!(after(&[], &["a", "b"]), Ok(After::Nothing)));
        assert!(matches!(after(&["5-7"], &["a"]), Ok(After::Timeline(place)) if place.log.as_str() == "a"));
        assert!(matches!(after(&["5-7@b"], &["a.>"]), Ok(After::Timeline(place)) if place.log.as_str() == "b"));
        assert!(matches!(after(&["a:5-7"], &["a"]), Ok(After::Arrivals(cursors)) if cursors.len() == 1));
        assert!(matches!(after(&["a:5-7@a", "a:5-8@b"], &["*"]), Ok(After::Arrivals(cursors)) if cursors.len() == 2));
        for (places, logs) in [
            (&["5-7"][..], &["a", "b"][..]),
            (&["a:5-7"], &["a.>"]),
            (&["5-7@a", "5-8@b"], &["a", "b"]),
            (&["5-7@a", "a:5-8@b"], &["a", "b"]),
        ] {
            assert!(after(places, logs).is_err(), "{places:?} of {logs:?}");
        }
    }
}
