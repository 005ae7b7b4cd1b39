//! The header of a message that a receipt counts.

use std::str::FromStr;

use hourlog::{Error, Result, header, wire::ReceiptToken};

/// A receipt, and the number of a message among those of the receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReceiptNumber {
    pub(crate) token: ReceiptToken,
    pub(crate) number: u64,
}

impl FromStr for ReceiptNumber {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (token, number) = text.split_once(' ')?;
            Some(Self { token: token.parse().ok()?, number: number.parse().ok()? })
        };
        parse().ok_or_else(|| {
            Error::invalid(format!(
                "{} must be a token of {} letters and digits and a whole number",
                header::RECEIPT,
                ReceiptToken::BYTES
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_number_is_read_as_it_is_written() {
        let token: ReceiptToken = "Lw6ZqYhIJqkKGQxVCXyOpi".parse().expect("a valid token");
        assert_eq!(token.header(7).parse::<ReceiptNumber>().expect("valid"), ReceiptNumber { token, number: 7 });
        for text in ["", "7", "Lw6ZqYhIJqkKGQxVCXyOpi", "Lw6ZqYhIJqkKGQxVCXyOpi -1", "short 7"] {
            assert!(text.parse::<ReceiptNumber>().is_err(), "{text}");
        }
    }
}
