//! Texts that nobody reads in a table: ids, addresses of pages, and times. Each row has its time
//! already.

use super::words;

/// Length from which digits are an id.
const HEX_DIGITS_MIN: usize = 16;
/// Length from which letters and digits may be an id.
const ID_LETTERS_MIN: usize = 8;

/// Returns true for texts of a field that are not worth a column. `distinct` of them are different.
pub(super) fn are_unreadable(path: &str, texts: &[&str], distinct: usize) -> bool {
    let are_different = is_nearly_all(distinct, texts.len());
    let is_named_id = words::is_id(path);
    let count = |is: &dyn Fn(&str) -> bool| texts.iter().filter(|text| is(text)).count();
    is_nearly_all(count(&|text| is_hex(text) || is_uuid(text) || is_time(text)), texts.len())
        || are_different
            && is_nearly_all(
                count(&|text| is_address(text) || is_id(text) || is_named_id && is_name(text)),
                texts.len(),
            )
}

/// Returns true for nine of ten.
pub(super) fn is_nearly_all(part: usize, all: usize) -> bool {
    part * 10 >= all * 9
}

fn is_hex(text: &str) -> bool {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    digits.len() >= HEX_DIGITS_MIN && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_uuid(text: &str) -> bool {
    matches_pattern(text, b"00000000-0000-0000-0000-000000000000", u8::is_ascii_hexdigit) && text.len() == 36
}

/// Returns true for the beginning of a time, and for seconds or milliseconds since 1970.
fn is_time(text: &str) -> bool {
    let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
    let is_epoch = matches!(whole.len(), 10 | 13) && whole.starts_with('1');
    matches_pattern(text, b"0000-00-00T00:00", u8::is_ascii_digit)
        || matches_pattern(text, b"0000-00-00 00:00", u8::is_ascii_digit)
        || is_epoch && whole.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns true if `text` begins like a pattern, in which a `0` stands for any digit.
fn matches_pattern(text: &str, pattern: &[u8], is_digit: fn(&u8) -> bool) -> bool {
    text.len() >= pattern.len()
        && text.bytes().zip(pattern).all(|(byte, expected)| match expected {
            b'0' => is_digit(&byte),
            _ => byte == *expected,
        })
}

fn is_address(text: &str) -> bool {
    text.contains("://") && is_name(text)
}

/// Returns true for letters mixed with digits, such as `us1000chhc` or `req-000123`.
fn is_id(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    text.len() >= ID_LETTERS_MIN
        && digits >= 3
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-:+=".contains(&byte))
}

/// Returns true for a text without blanks that is not a number.
fn is_name(text: &str) -> bool {
    !text.contains(char::is_whitespace) && text.bytes().any(|byte| !byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_addresses_and_times_are_unreadable() {
        for (path, texts) in [
            ("trace", &["0c59d1525cdf858b933b7090d5ac6af5", "0c59d1525cdf858b933b7090d5ac6af5"][..]),
            ("trace", &["0x00000000deadbeef"]),
            ("n", &["12345678901234567890"]),
            ("key", &["6f1c3f0e-3f4b-4e0a-9c89-3d1d5e3f9c0a"]),
            ("at", &["2018-01-31T01:49:59.650Z", "2018-01-31T01:49:59.650Z"]),
            ("at", &["2018-01-31 01:49:59"]),
            ("ts", &["1517363399", "1517363400"]),
            ("ts", &["1517363399.650"]),
            ("ts", &["1517363399650"]),
            ("link", &["https://example.org/a", "https://example.org/b"]),
            ("event", &["us1000chhc", "us2000crkq"]),
            ("order", &["01ARZ3NDEKTSV4RRFFQ69G5FAV"]),
            ("user_id", &["alice", "bob"]),
        ] {
            let distinct = texts.iter().collect::<std::collections::HashSet<_>>().len();
            assert!(are_unreadable(path, texts, distinct), "{texts:?}");
        }
    }

    #[test]
    fn texts_and_small_numbers_are_readable() {
        for (path, texts) in [
            ("a", &["POST /export/44595 500 in 812.4 ms"][..]),
            ("a", &["/export/44595", "/export/44596"]),
            ("a", &["facade", "deadbeef"]),
            ("a", &["2018-01-31"]),
            ("user_id", &["432", "12"]),
            ("user_id", &["alice", "alice"]),
            ("host", &["web-0000001", "web-0000001"]),
            ("link", &["https://example.org/a", "https://example.org/a"]),
            ("a", &["10.0.0.121", "10.0.0.122"]),
            ("a", &["17179869184"]),
            ("a", &["0.1234567890123456"]),
            ("a", &["-122.1983333"]),
            ("a", &["true"]),
            ("a", &["日本語日本語日本語日本語"]),
        ] {
            let distinct = texts.iter().collect::<std::collections::HashSet<_>>().len();
            assert!(!are_unreadable(path, texts, distinct), "{texts:?}");
        }
    }
}
