//! A look at the files of an archive before fjall opens it.
//!
//! fjall deletes a table whose manifest or name is gone, truncates a journal at its first damage, and may end the
//! process over a length that has changed. An archive that it would harm is refused, so that what is left of it can
//! be repaired.

use std::{io, path::Path, sync::PoisonError};

use bytes::Bytes;

use crate::{Error, Result};

use super::{
    files::{cannot_read, database::Files},
    tables::{FORMAT, damaged, other_format},
    watermark::Contents,
};

/// The damages that an error names.
const NAMED_MAX: usize = 3;

/// The journals of an archive that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Journaled {
    /// Everything in the journals is in the tables, too: fjall would read them and pass over all of it.
    Written,
    /// Something may be only in the journals.
    Unwritten,
}

/// Checks the journals, the manifests and the description of each file.
///
/// # Errors
/// [`ErrorKind::Integrity`](crate::ErrorKind::Integrity) if any is damaged or missing, or another version wrote them.
pub(super) fn check(directory: &Path, watermark: Option<Contents>) -> Result<Journaled> {
    let cannot = |error: io::Error| cannot_read(directory, error);
    if !Files::are_in_use(directory).map_err(cannot)? {
        return Ok(Journaled::Unwritten);
    }
    let files = Files::find(directory).map_err(cannot)?;
    let meta = files.number("meta");
    let (mut is_new, mut format): (bool, Option<Bytes>) = (watermark.is_none() && files.hold_nothing(), None);
    let closed = watermark.is_some_and(|watermark| watermark.closed);
    let newest = files.newest_writes().map_err(cannot)?;
    let mut are_written = true;
    let read = files.read_journals(closed, |batch| {
        is_new = false;
        let is_written = |table| newest.get(table).is_some_and(|newest| batch.number <= *newest);
        are_written &= batch.items.iter().all(|item| is_written(&item.table));
        let newest = batch.items.into_iter().rfind(|item| item.table == meta && *item.key == *b"format");
        format = newest.and_then(|item| item.value).or(format.take());
    });
    are_written &= read.map_err(cannot)?;
    if is_new {
        // Its creation was interrupted.
        return Ok(Journaled::Unwritten);
    }
    let mut rows = files.rows("meta", &mut Default::default()).map_err(cannot)?;
    while let Some((key, value)) = rows.next().map_err(cannot)? {
        if key == b"format" {
            format.get_or_insert(value);
        }
    }
    if let Some(found) = format.filter(|found| **found != [FORMAT]) {
        return Err(other_format(directory, &found));
    }
    let observed = files.observed.lock().unwrap_or_else(PoisonError::into_inner);
    match observed.damage.as_slice() {
        [] if are_written => Ok(Journaled::Written),
        [] => Ok(Journaled::Unwritten),
        damage => {
            let named: Vec<_> = damage.iter().take(NAMED_MAX).map(ToString::to_string).collect();
            let more = if damage.len() > NAMED_MAX { ", and more" } else { "" };
            Err(Error::because(damaged(directory), format!("{}{more}", named.join(", "))))
        }
    }
}
