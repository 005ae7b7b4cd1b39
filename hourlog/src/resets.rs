//! Reset checkpoints: how far the streams were archived before a damaged archive began to read them again.

use crate::{
    Error, ErrorKind, Result, Seq,
    store::{SLOTS, Store},
};

/// Returns the checkpoints of `stream` that were reset last, by slot. Empty if none were.
///
/// An embedded archive that was repaired, or opened after a loss, reads its streams again from their oldest
/// messages. A stream no longer has all that was archived by then, and need not.
///
/// ```
/// use hourlog::{Memory, store::reset_checkpoints};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// assert!(reset_checkpoints(&Memory::new(), "HOURLOG").await?.is_empty());
/// # Ok::<(), hourlog::Error>(())
/// # }).unwrap();
/// ```
///
/// # Errors
/// The store's error, and [`ErrorKind::Integrity`] if what it holds cannot be read.
pub async fn reset_checkpoints<S: Store>(store: &S, stream: &str) -> Result<Vec<(u8, Seq)>> {
    let text = store.property(&property(stream)).await?.unwrap_or_default();
    let unreadable = || {
        let context = format!("the archive's property {} is unreadable; restore a backup", property(stream));
        Error::new(ErrorKind::Integrity, context)
    };
    text.split_whitespace().map(|pair| read(pair).ok_or_else(unreadable)).collect()
}

/// Returns the name of the property that keeps the reset checkpoints of `stream`.
pub(crate) fn property(stream: &str) -> String {
    format!("reset/{stream}")
}

/// Returns the value of the property.
#[cfg(any(test, feature = "embedded"))]
pub(crate) fn value(checkpoints: &[(u8, Seq)]) -> String {
    let pairs: Vec<String> = checkpoints.iter().map(|(slot, seq)| format!("{slot}:{seq}")).collect();
    pairs.join(" ")
}

fn read(pair: &str) -> Option<(u8, Seq)> {
    let (slot, seq) = pair.split_once(':')?;
    let slot = slot.parse().ok().filter(|slot| *slot < SLOTS)?;
    Some((slot, Seq::from_number(seq.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_of_the_property_is_read_as_it_was_written() {
        let checkpoints = [(0, Seq::new(1, 500)), (SLOTS - 1, Seq::new(33, 7))];
        let text = value(&checkpoints);
        assert!(text.split(' ').map(read).eq(checkpoints.map(Some)), "{text}");
        for bad in ["", "1", "64:1", "0:", "x:1"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
