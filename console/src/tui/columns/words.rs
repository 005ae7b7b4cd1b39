//! The words in names of fields.

/// Names of a severity.
const LEVEL: [&str; 4] = ["level", "severity", "lvl", "priority"];
/// Names of a text that says what happened.
const MESSAGE: [&str; 5] = ["msg", "message", "event", "title", "place"];
/// Names of the outcome of a request.
const STATUS: [&str; 2] = ["status", "code"];
/// Names of other fields that people look for first.
const KNOWN: [&str; 12] =
    ["service", "app", "name", "kind", "type", "method", "path", "duration", "ms", "latency", "mag", "amount"];
/// Names of a text that identifies something.
const ID: [&str; 6] = ["id", "uuid", "guid", "hash", "sha", "token"];

/// Returns the last part of a path.
pub(super) fn last_segment(path: &str) -> &str {
    match path.rsplit('.').next() {
        Some(segment) if !segment.is_empty() => segment,
        _ => path,
    }
}

/// Returns the last word of a name or a path: `type` of `magType`, `ms` of `duration_ms`.
pub(super) fn last_word(name: &str) -> &str {
    let name = name.trim_end_matches(|letter: char| !letter.is_alphanumeric());
    let (mut start, mut before) = (0, ' ');
    let mut letters = name.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        // The `S` in `HTTPStatus` begins a word, and so does the `C` in `statusCode`.
        let ends_acronym = before.is_uppercase() && letters.peek().is_some_and(|(_, next)| next.is_lowercase());
        if !letter.is_alphanumeric() {
            start = at + letter.len_utf8();
        } else if letter.is_uppercase() && (before.is_lowercase() || before.is_numeric() || ends_acronym) {
            start = at;
        }
        before = letter;
    }
    &name[start..]
}

pub(super) fn is_level(path: &str) -> bool {
    is_one_of(path, &LEVEL)
}

pub(super) fn is_message(path: &str) -> bool {
    is_one_of(path, &MESSAGE)
}

pub(super) fn is_status(path: &str) -> bool {
    is_one_of(path, &STATUS)
}

pub(super) fn is_id(path: &str) -> bool {
    is_one_of(path, &ID)
}

/// Returns true for names that people look for first.
pub(super) fn is_known(path: &str) -> bool {
    let lists: [&[&str]; 4] = [&LEVEL, &MESSAGE, &STATUS, &KNOWN];
    lists.iter().any(|words| is_one_of(path, words))
}

fn is_one_of(path: &str, words: &[&str]) -> bool {
    let last = last_word(path);
    words.iter().any(|word| word.eq_ignore_ascii_case(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_of_a_name_is_found_in_every_spelling() {
        for (name, expected) in [
            ("level", "level"),
            ("duration_ms", "ms"),
            ("durationMs", "Ms"),
            ("magType", "Type"),
            ("MagType", "Type"),
            ("depth_km", "km"),
            ("HTTPStatus", "Status"),
            ("userID", "ID"),
            ("http.status_code", "code"),
            ("X-Request-Id", "Id"),
            ("LOG_LEVEL", "LEVEL"),
            ("@level", "level"),
            ("größeÄnderung", "Änderung"),
            ("level_", "level"),
            ("type2", "type2"),
            ("", ""),
            ("...", ""),
        ] {
            assert_eq!(last_word(name), expected, "{name}");
        }
    }

    #[test]
    fn known_names_are_known_by_their_last_word() {
        for name in ["level", "Severity", "request.path", "duration_ms", "statusCode", "magType", "place"] {
            assert!(is_known(name), "{name}");
        }
        for name in ["depth_km", "user", "levels", "programs", "lon", "", "typed_value"] {
            assert!(!is_known(name), "{name}");
        }
    }
}
