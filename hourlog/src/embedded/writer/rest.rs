//! The rest of an archive to which nothing is written for a while: what is in memory is written out.
//!
//! An archive that rests takes little memory, and starts quickly even after a kill. fjall keeps what it has written
//! out in memory until a table is written out once more. So a rest has two steps, with the work of fjall's threads
//! between them. Nothing waits for these.

use std::time::Duration;

use crate::{Result, embedded::tables::Tables};

/// The time without a write after which the archive rests.
///
/// Ingest and the checkpoint write several times a second while there are events. A log that gets an event every few
/// seconds keeps the archive awake, so that no small files are written.
const REST_AFTER: Duration = Duration::from_secs(3);
/// The pause before the second step is tried.
const STEP_PAUSE: Duration = Duration::from_millis(50);
/// The bytes that may stay only in memory and in the journals. Writing out fewer would fill the disk with small files.
const RESTING_BYTES_MAX: u64 = 1 << 20;

/// The steps of a rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// Something was written since the last rest.
    Awake,
    /// fjall writes the tables. Writes meanwhile change nothing.
    WritingOut,
    /// Everything is done until the next write.
    Done,
}

impl Rest {
    /// Returns the time without a write after which the next step is due; `None` if there is none.
    pub(super) fn pause(self) -> Option<Duration> {
        match self {
            Self::Awake => Some(REST_AFTER),
            Self::WritingOut => Some(STEP_PAUSE),
            Self::Done => None,
        }
    }

    /// Notes a write. Makes the second step, if it is due: there may be no pause for it.
    pub(super) fn written(&mut self, tables: &Tables) -> Result<()> {
        match self {
            Self::WritingOut => self.step(tables),
            Self::Awake | Self::Done => {
                *self = Self::Awake;
                Ok(())
            }
        }
    }

    /// Makes the next step, which is due.
    pub(super) fn step(&mut self, tables: &Tables) -> Result<()> {
        match self {
            Self::WritingOut if tables.are_writing_out() => Ok(()),
            Self::WritingOut => {
                // Writes from meanwhile get a rest of their own.
                *self = Self::Awake;
                tables.forget_written()
            }
            Self::Awake if tables.unwritten_bytes() >= RESTING_BYTES_MAX => {
                *self = Self::WritingOut;
                tables.begin_write_out()
            }
            Self::Awake | Self::Done => {
                *self = Self::Done;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::tables::broken;

    #[test]
    fn a_rest_writes_out_much_and_leaves_little_where_it_is() -> Result<()> {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let tables = Tables::open(directory.path())?;
        let insert = |bytes: u64| {
            let mut batch = tables.batch();
            batch.insert(&tables.events, "key", vec![0; bytes as usize]);
            batch.commit().map_err(broken)
        };
        let mut rest = Rest::Awake;
        insert(RESTING_BYTES_MAX / 2)?;
        rest.written(&tables)?;
        rest.step(&tables)?;
        assert_eq!((rest, rest.pause(), tables.unwritten_bytes() > 0), (Rest::Done, None, true));

        insert(RESTING_BYTES_MAX)?;
        rest.written(&tables)?;
        assert_eq!(rest.pause(), Some(REST_AFTER));
        rest.step(&tables)?;
        assert_eq!((rest, rest.pause()), (Rest::WritingOut, Some(STEP_PAUSE)));
        // A write does not keep the second step from being made.
        insert(1)?;
        while rest == Rest::WritingOut {
            rest.written(&tables)?;
        }
        assert_eq!(rest.pause(), Some(REST_AFTER));
        rest.step(&tables)?;
        assert_eq!(rest, Rest::Done);
        assert!(tables.bytes_held() < RESTING_BYTES_MAX, "{} bytes are held in memory", tables.bytes_held());
        Ok(())
    }
}
