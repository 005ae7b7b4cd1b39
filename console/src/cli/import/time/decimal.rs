//! Numbers in decimal notation, without rounding.

/// Digits and exponent of the longest number that is read as a time. No clock has more.
const NUMBER_BYTES_MAX: usize = 40;

/// A decimal number, exactly as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decimal {
    digits: i128,
    exponent: i32,
}

impl Decimal {
    /// Parses `[-]digits[.digits][e[+-]digits]`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let may_stand_in_a_number = |byte: u8| byte.is_ascii_digit() || b".eE+-".contains(&byte);
        let begins_with_a_digit = text.strip_prefix('-').unwrap_or(text).starts_with(|c: char| c.is_ascii_digit());
        if text.len() > NUMBER_BYTES_MAX || !begins_with_a_digit || !text.bytes().all(may_stand_in_a_number) {
            return None;
        }
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok().filter(|e| e.abs() < 100)?),
            None => (text, 0),
        };
        let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if mantissa.ends_with('.') || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits: i128 = format!("{whole}{decimals}").parse().ok()?;
        Some(Self { digits, exponent: exponent - i32::try_from(decimals.len()).ok()? })
    }

    /// Returns the number times ten to the power of `exponent`, without its decimals.
    pub(super) fn scaled(self, exponent: i32) -> Option<i128> {
        let exponent = self.exponent + exponent;
        let power = 10_i128.checked_pow(exponent.unsigned_abs());
        match (exponent >= 0, power) {
            (true, power) => self.digits.checked_mul(power?),
            (false, Some(power)) => Some(self.digits.div_euclid(power)),
            (false, None) => None,
        }
    }

    /// Returns how many digits stand before the decimal point.
    pub(super) fn whole_digits(self) -> Option<usize> {
        self.scaled(0).map(|whole| whole.unsigned_abs().to_string().len())
    }
}
