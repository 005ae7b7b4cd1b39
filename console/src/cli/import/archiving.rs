//! Progress of the archive while an import waits for it, as the service reports it.

use std::time::Duration;

use tokio::time::Instant;

/// Time without progress after which the archive counts as stalled.
pub(super) const STALLED_AFTER: Duration = Duration::from_secs(30);
/// Time without a report after which the service counts as gone.
pub(super) const SILENT_AFTER: Duration = Duration::from_secs(60);

/// The wait until a stream is archived up to a sequence.
#[derive(Debug)]
pub(super) struct ArchiveWatch {
    until: u64,
    /// The sequence of the last report.
    archived: Option<u64>,
    progress_at: Instant,
    reported_at: Instant,
}

/// The result of an observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Everything is archived.
    Done,
    /// This number of messages is left.
    Left(u64),
    /// The reports have shown no progress for [`STALLED_AFTER`].
    Stalled,
    /// There was no report for [`SILENT_AFTER`].
    Silent,
}

impl ArchiveWatch {
    /// Starts a watch that ends at the sequence `until`.
    pub(super) fn new(until: u64, now: Instant) -> Self {
        Self { until, archived: None, progress_at: now, reported_at: now }
    }

    /// Returns true once the service has reported.
    pub(super) fn has_report(&self) -> bool {
        self.archived.is_some()
    }

    /// Records the sequence that the service reports as archived; `None` if it did not answer. A missing
    /// answer says nothing about the archive, so only reports can show that it makes no progress.
    pub(super) fn observe(&mut self, archived: Option<u64>, now: Instant) -> Progress {
        let Some(archived) = archived else {
            if now.duration_since(self.reported_at) > SILENT_AFTER {
                return Progress::Silent;
            }
            // The time without reports is not one without progress.
            self.progress_at = now;
            return Progress::Left(self.left());
        };
        self.reported_at = now;
        // After a rollback of the archive the sequence moves back. That is progress, too.
        if self.archived.replace(archived) != Some(archived) {
            self.progress_at = now;
        }
        if archived >= self.until {
            Progress::Done
        } else if now.duration_since(self.progress_at) > STALLED_AFTER {
            Progress::Stalled
        } else {
            Progress::Left(self.left())
        }
    }

    fn left(&self) -> u64 {
        self.until.saturating_sub(self.archived.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(until: u64, observations: &[(u64, Option<u64>, Progress)]) {
        let start = Instant::now();
        let mut watch = ArchiveWatch::new(until, start);
        for (seconds, archived, progress) in observations {
            assert_eq!(watch.observe(*archived, start + Duration::from_secs(*seconds)), *progress, "after {seconds} s");
        }
    }

    #[test]
    fn an_archive_stalls_only_if_its_reports_show_no_progress() {
        check(
            100,
            &[
                (1, Some(0), Progress::Left(100)),
                (31, Some(0), Progress::Left(100)),
                (32, Some(1), Progress::Left(99)),
                (62, Some(1), Progress::Left(99)),
                (63, Some(1), Progress::Stalled),
                (64, Some(0), Progress::Left(100)),
                (65, Some(100), Progress::Done),
            ],
        );
    }

    #[test]
    fn answers_that_fail_say_nothing_about_the_archive() {
        check(
            300_000,
            &[
                (1, Some(5_000), Progress::Left(295_000)),
                (50, None, Progress::Left(295_000)),
                (55, Some(5_000), Progress::Left(295_000)),
                (70, Some(275_000), Progress::Left(25_000)),
                (130, None, Progress::Left(25_000)),
                (131, None, Progress::Silent),
                (132, Some(400_000), Progress::Done),
            ],
        );
    }
}
