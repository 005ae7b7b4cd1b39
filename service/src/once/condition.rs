//! The condition under which an event is stored.

use std::str::FromStr;

use hourlog::{Error, Result, header};

/// The word after the number of [`header::ONCE`].
const LENIENT: &str = "lenient";

/// The condition of [`header::ONCE`]: the event is stored only if few enough equal ones arrived before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Once {
    /// The most equal events with which it is stored.
    pub(crate) earlier_max: u64,
    /// Two events are equal also if only one of them has a source.
    ///
    /// Events that were stored before there were sources have none. A file that was imported then adds nothing now.
    pub(crate) is_lenient: bool,
}

impl FromStr for Once {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (number, is_lenient) = match text.split_once(' ') {
            Some((number, word)) if word.trim() == LENIENT => (number, true),
            _ => (text, false),
        };
        // A `u32` is more than any file has lines; a larger number would overflow where equal events
        // are counted.
        let earlier_max: Option<u32> = number.parse().ok();
        let earlier_max = earlier_max.map(u64::from).ok_or_else(|| {
            Error::invalid(format!(
                "{} must be a whole number from 0 to 4294967295, alone or with {LENIENT} after it",
                header::ONCE
            ))
        })?;
        Ok(Self { earlier_max, is_lenient })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_a_number_alone_or_with_one_word() {
        let parsed = |text: &str| text.parse::<Once>().ok().map(|once| (once.earlier_max, once.is_lenient));
        assert_eq!(parsed("0"), Some((0, false)));
        assert_eq!(parsed("4294967295 lenient"), Some((4_294_967_295, true)));
        for text in ["", "-1", "4294967296", "lenient", "0 strict", "0lenient", "x lenient"] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }
}
