//! The source of imported events: two equal lines of different sources are two events.

use std::{path::Path, str::FromStr};

use async_nats::HeaderValue;
use hourlog::{Error, ErrorKind, header};

use super::line::{ImportedEvent, Limits};
use crate::cli::input::FileOrStdin;

/// The most bytes of a name: that of a file name.
const BYTES_MAX: usize = 255;
/// Endings of compressed files. The same file without one is the same source.
const COMPRESSED: [&str; 2] = [".gz", ".zst"];
/// Directories whose files stand for something else.
const NO_FILES: [&str; 3] = ["/dev/fd", "/dev/stdin", "/proc"];

/// The name of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SourceName(HeaderValue);

impl FromStr for SourceName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        // NATS trims values, and the name must stay the same.
        let is_plain = !text.is_empty() && text.trim() == text && !text.chars().any(char::is_control);
        let value = text.parse().ok().filter(|_| is_plain && text.len() <= BYTES_MAX);
        value.map(Self).ok_or_else(|| {
            Error::invalid(format!("a source is a name of 1 to {BYTES_MAX} bytes without line breaks, such as web1"))
        })
    }
}

/// The source of an import's lines.
#[derive(Debug, Clone, Default)]
pub(super) struct Source {
    name: Option<SourceName>,
    /// The user gave the name, so it counts for the lines of an export, too.
    is_typed: bool,
}

impl Source {
    /// Returns the source that the user gave, or else the name of the file. Standard input has none.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a file whose name cannot be that of a source.
    pub(super) fn new(typed: Option<SourceName>, input: &FileOrStdin) -> Result<Self, Error> {
        let is_typed = typed.is_some();
        let name = match (typed, input) {
            (Some(name), _) => Some(name),
            (None, FileOrStdin::Stdin) => None,
            (None, FileOrStdin::File(path)) => name_of_file(path)?,
        };
        Ok(Self { name, is_typed })
    }

    /// Adds the source to an event that has none. Returns true if an equal event without a source counts as the
    /// same one, as imports of before there were sources have stored it.
    ///
    /// An export keeps the sources of its events, also the missing ones: imported into another log, it must
    /// add each event.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] if the event is then too large.
    pub(super) fn apply(&self, event: &mut ImportedEvent, limits: Limits) -> Result<bool, Error> {
        let counts = self.is_typed || !event.exported;
        let own = !event.metadata.get(header::SOURCE).is_empty();
        if let Some(SourceName(name)) = self.name.as_ref().filter(|_| counts && !own) {
            event.metadata.push(header::SOURCE, name.as_str());
            event.headers.insert(header::SOURCE, name.clone());
            let (bytes, max) = (event.data.len() + event.metadata.bytes(), limits.event_bytes_max);
            if bytes > max {
                let context =
                    format!("with its source, the event has {bytes} bytes, but messages of this server hold {max}");
                return Err(Error::new(ErrorKind::TooLarge, context));
            }
        }
        Ok(counts && !(own && event.exported))
    }
}

fn name_of_file(path: &Path) -> Result<Option<SourceName>, Error> {
    let is_file = path.is_file() && !NO_FILES.iter().any(|directory| path.starts_with(directory));
    let Some(name) = path.file_name().filter(|_| is_file) else { return Ok(None) };
    let name = name.to_string_lossy();
    let name = COMPRESSED.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
    let unusable = |_| Error::invalid(format!("{} cannot be the name of a source; give --source NAME", path.display()));
    name.parse().map(Some).map_err(unusable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::import::{
        line,
        native::{self, NativeLine},
        time::TimeRules,
    };
    use hourlog::Offset;

    const LIMITS: Limits =
        Limits { now: Offset::from_nanos(1_600_000_000 * hourlog::time::SECOND), event_bytes_max: 100 };

    fn event(line: &str) -> ImportedEvent {
        match native::parse(line, &TimeRules::default()) {
            Ok(NativeLine::Event(draft)) => line::checked(draft, None, LIMITS).expect(line),
            other => panic!("{line} is not an event: {other:?}"),
        }
    }

    #[test]
    fn the_default_is_the_name_of_the_file_without_the_ending_of_its_compression() {
        let directory = tempfile::tempdir().expect("a directory can be created");
        let name = |file: &str| {
            let path = directory.path().join(file);
            std::fs::write(&path, "").expect("a file can be written");
            let source = Source::new(None, &FileOrStdin::File(path)).map_err(|error| error.to_string())?;
            Ok::<_, String>(source.name.map(|SourceName(name)| name.to_string()))
        };
        assert_eq!(name("a.jsonl"), Ok(Some("a.jsonl".to_owned())));
        assert_eq!(name("a.jsonl.gz"), Ok(Some("a.jsonl".to_owned())));
        assert_eq!(name("app.log.1.zst"), Ok(Some("app.log.1".to_owned())));
        assert!(name("two\nlines").is_err_and(|error| error.ends_with("give --source NAME")));
        for other in
            [FileOrStdin::Stdin, FileOrStdin::File("/dev/fd/63".into()), FileOrStdin::File("/dev/stdin".into())]
        {
            assert_eq!(Source::new(None, &other).map(|source| source.name).ok(), Some(None), "{other:?}");
        }
        for text in ["", " a", "a\n", &"x".repeat(256)] {
            assert!(text.parse::<SourceName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_export_keeps_its_sources_unless_one_is_given() {
        let plain = r#"{"log":"a","time":"@1","data":"x"}"#;
        let own = r#"{"log":"a","time":"@1","metadata":{"hourlog-source":"own"},"data":"x"}"#;
        let exported = r#"{"log":"a","position":"5-42","time":"@5","data":"x"}"#;
        let exported_own =
            r#"{"log":"a","position":"5-42","time":"@5","metadata":{"Hourlog-Source":["own"]},"data":"x"}"#;
        let source = |is_typed| Source { name: Some("web1".parse().expect("a valid name")), is_typed };
        for (source, line, expected) in [
            (source(false), plain, (Some("web1"), true)),
            (source(false), own, (Some("own"), true)),
            (source(false), exported, (None, false)),
            (source(false), exported_own, (Some("own"), false)),
            (source(true), exported, (Some("web1"), true)),
            (source(true), exported_own, (Some("own"), false)),
            (Source::default(), plain, (None, true)),
            (Source::default(), exported, (None, false)),
        ] {
            let mut event = event(line);
            let is_lenient = source.apply(&mut event, LIMITS).expect("it is small enough");
            let name = event.headers.get(header::SOURCE).map(|value| value.as_str().to_owned());
            assert_eq!((name.as_deref(), is_lenient), expected, "{source:?} {line}");
            assert_eq!(event.metadata.get(header::SOURCE).first(), name.as_ref(), "{line}");
        }
        let large = event(&format!(r#"{{"log":"a","time":"@1","data":"{}"}}"#, "x".repeat(95)));
        let refused = source(false).apply(&mut { large }, LIMITS).expect_err("it is too large");
        assert_eq!(refused.kind(), ErrorKind::TooLarge);
    }
}
