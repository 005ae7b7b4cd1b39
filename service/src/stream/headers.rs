//! Headers with a meaning to the service, in letters of any case.
//!
//! NATS compares names byte by byte, but HTTP clients and gateways write them in lowercase. A name
//! in another case would otherwise be plain metadata, and its meaning would be lost silently.

use async_nats::HeaderMap;
use hourlog::{Error, Result};

/// Returns the values of the header `name`, in letters of any case.
pub(crate) fn values<'a>(headers: Option<&'a HeaderMap>, name: &str) -> impl Iterator<Item = &'a str> {
    let matching = headers
        .into_iter()
        .flat_map(HeaderMap::iter)
        .filter(move |(other, _)| AsRef::<str>::as_ref(*other).eq_ignore_ascii_case(name));
    matching.flat_map(|(_, values)| values.iter().map(|value| value.as_str()))
}

/// Returns the one value of the header `name`, in letters of any case.
///
/// # Errors
/// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid) if it has different values.
pub(crate) fn one_value<'a>(headers: Option<&'a HeaderMap>, name: &str) -> Result<Option<&'a str>> {
    let mut values = values(headers, name);
    let Some(first) = values.next() else { return Ok(None) };
    match values.find(|value| *value != first) {
        None => Ok(Some(first)),
        Some(_) => Err(Error::invalid(format!("{name} has different values; give it once"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        pairs.iter().for_each(|(name, value)| headers.append(*name, *value));
        headers
    }

    #[test]
    fn a_header_is_found_in_any_case() {
        for name in ["Nats-Msg-Id", "nats-msg-id", "NATS-MSG-ID", "Nats-msg-ID"] {
            let headers = headers(&[("Kind", "paid"), (name, "7")]);
            assert_eq!(one_value(Some(&headers), "Nats-Msg-Id").expect("one value"), Some("7"), "{name}");
        }
        assert_eq!(one_value(Some(&headers(&[("Kind", "paid")])), "Nats-Msg-Id").expect("no value"), None);
        assert_eq!(one_value(None, "Nats-Msg-Id").expect("no value"), None);
    }

    #[test]
    fn different_values_are_refused_and_equal_ones_are_not() {
        let equal = headers(&[("Nats-Msg-Id", "7"), ("nats-msg-id", "7")]);
        assert_eq!(one_value(Some(&equal), "Nats-Msg-Id").expect("one value"), Some("7"));
        let different = headers(&[("Nats-Msg-Id", "7"), ("nats-msg-id", "8")]);
        let error = one_value(Some(&different), "Nats-Msg-Id").expect_err("two values").to_string();
        assert_eq!(error, "Nats-Msg-Id has different values; give it once");
    }
}
