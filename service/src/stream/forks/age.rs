//! The age of a message: old if it was read before, new if not. Told by its identity, never by its
//! sequence alone, and by its time only where no clock can mislead.

use hourlog::{Offset, Result};

use crate::stream::message::MessageKey;

/// The age of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// It was read before.
    Old,
    /// It was never read, although another message with its sequence may have been.
    New,
    /// The archive would not hold it either way.
    Undecided,
}

/// The extent to which a stream was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadSoFar {
    /// The newest message that was handed out in this epoch, if it is known.
    pub(crate) head: Option<MessageKey>,
    /// The sequence up to which everything is archived.
    pub(crate) archived: u64,
    /// The greatest time of a message so far.
    pub(crate) max_time: Offset,
}

/// The knowledge of the archive about one message.
pub(crate) trait ArchiveOfMessage {
    /// Returns true if it holds the message's event, with the same arrival time.
    fn holds(&mut self) -> impl Future<Output = Result<bool>> + Send;
    /// Returns true if it may have held the event and removed it.
    fn may_have_removed(&mut self) -> impl Future<Output = Result<bool>> + Send;
    /// Returns true if it may have skipped the event, because it held an equal one.
    fn may_have_skipped(&self) -> bool;
}

impl ReadSoFar {
    /// Returns the age of the message with this key. Nothing that was read may be in flight.
    ///
    /// # Errors
    /// The error of `archive`.
    pub(crate) async fn age(&self, key: MessageKey, archive: &mut impl ArchiveOfMessage) -> Result<Age> {
        if let Some(head) = self.head.filter(|head| head.sequence == key.sequence) {
            return Ok(if head == key { Age::Old } else { Age::New });
        }
        if archive.holds().await? {
            return Ok(Age::Old);
        }
        // A clock that was set back makes a new message look early, never an old one late.
        if key.time > self.max_time {
            return Ok(Age::New);
        }
        // Handed out before a crash, and perhaps not archived.
        if key.sequence > self.archived || archive.may_have_skipped() || archive.may_have_removed().await? {
            return Ok(Age::Undecided);
        }
        Ok(Age::New)
    }
}
