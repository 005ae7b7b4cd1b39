//! Bugs that a test can switch on, to see that the tests which must notice them do.
//!
//! Without the feature `chaos` a program contains none of them, and asking costs nothing.

/// One deliberate bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failpoint {
    /// The checkpoint of a source is stored before everything up to it is archived.
    CheckpointBeforeRows,
    /// An event's offset is the time at which it was read from the stream.
    LocalClock,
    /// A write that the archive did not accept is dropped.
    BatchDropped,
    /// The stream is not checked for a fork.
    ForkUnseen,
    /// A stream that is being restored is taken for one that has lost its newest messages.
    RestoreUnseen,
    /// A message of the stream is new if it is later than all before, and old if not.
    AgeByTime,
    /// A redelivered event is counted again.
    CountedToIgnored,
    /// A restarted node is trusted to have everything that it acknowledged.
    RollbackUnseen,
    /// The ingest stands still, as if it waited for a lock that nobody releases.
    IngestStands,
    /// The ends of archive and stream are not compared at the start.
    SetBackUnseen,
    /// An instance answers for a log of another one from what the stored checkpoint covers.
    RelayForgotten,
    /// The stream is purged behind the checkpoint of the purging instance, not behind the lowest of all.
    OwnCheckpointPurged,
}

#[cfg(not(feature = "chaos"))]
impl Failpoint {
    /// Returns true if it is switched on in this process.
    pub const fn is_active(self) -> bool {
        false
    }
}

#[cfg(feature = "chaos")]
impl Failpoint {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::CheckpointBeforeRows,
        Self::LocalClock,
        Self::BatchDropped,
        Self::ForkUnseen,
        Self::RestoreUnseen,
        Self::AgeByTime,
        Self::CountedToIgnored,
        Self::RollbackUnseen,
        Self::IngestStands,
        Self::SetBackUnseen,
        Self::RelayForgotten,
        Self::OwnCheckpointPurged,
    ];
    /// The environment variable that names the one to switch on.
    pub const VARIABLE: &str = "HOURLOG_FAILPOINT";

    /// The name for [`Failpoint::VARIABLE`].
    pub fn name(self) -> &'static str {
        match self {
            Self::CheckpointBeforeRows => "checkpoint-before-rows",
            Self::LocalClock => "local-clock",
            Self::BatchDropped => "batch-dropped",
            Self::ForkUnseen => "fork-unseen",
            Self::RestoreUnseen => "restore-unseen",
            Self::AgeByTime => "age-by-time",
            Self::CountedToIgnored => "counted-to-ignored",
            Self::RollbackUnseen => "rollback-unseen",
            Self::IngestStands => "ingest-stands",
            Self::SetBackUnseen => "set-back-unseen",
            Self::RelayForgotten => "relay-forgotten",
            Self::OwnCheckpointPurged => "own-checkpoint-purged",
        }
    }

    /// Returns true if it is switched on in this process.
    ///
    /// # Panics
    /// If the variable names no failpoint.
    pub fn is_active(self) -> bool {
        static ACTIVE: std::sync::OnceLock<Option<Failpoint>> = std::sync::OnceLock::new();
        let active = ACTIVE.get_or_init(|| {
            let name = std::env::var(Self::VARIABLE).ok()?;
            let failpoint = Self::ALL.into_iter().find(|failpoint| failpoint.name() == name);
            Some(failpoint.unwrap_or_else(|| panic!("{} names no failpoint: {name}", Self::VARIABLE)))
        });
        *active == Some(self)
    }
}
