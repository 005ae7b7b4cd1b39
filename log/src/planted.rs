//! Bugs that can be planted, so that the tests which must notice them are seen to notice them.
//!
//! Without the feature `chaos` there are none, and asking costs nothing.

/// What is done wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// The place of a source is stored before what lies before it is archived.
    CursorBeforeRows,
    /// An event's offset is the time at which it was read from the stream.
    LocalClock,
    /// A write that the archive did not take is given up.
    BatchDropped,
    /// Nobody looks whether the stream has forked.
    ForkUnseen,
    /// What comes again is counted again.
    ThroughIgnored,
    /// A node that comes back is believed to have everything that it had.
    SetBackUnseen,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::CursorBeforeRows,
        Self::LocalClock,
        Self::BatchDropped,
        Self::ForkUnseen,
        Self::ThroughIgnored,
        Self::SetBackUnseen,
    ];
    /// The environment variable that plants one, by its name.
    pub const VARIABLE: &str = "HOURLOG_PLANTED_BUG";

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::CursorBeforeRows => "cursor-before-rows",
            Self::LocalClock => "local-clock",
            Self::BatchDropped => "batch-dropped",
            Self::ForkUnseen => "fork-unseen",
            Self::ThroughIgnored => "through-ignored",
            Self::SetBackUnseen => "set-back-unseen",
        }
    }

    /// Whether it is planted in this process.
    #[cfg(not(feature = "chaos"))]
    pub const fn is_planted(self) -> bool {
        false
    }

    /// Whether it is planted in this process.
    ///
    /// # Panics
    /// Where the variable names no bug.
    #[cfg(feature = "chaos")]
    pub fn is_planted(self) -> bool {
        static PLANTED: std::sync::OnceLock<Option<Bug>> = std::sync::OnceLock::new();
        let planted = PLANTED.get_or_init(|| {
            let name = std::env::var(Self::VARIABLE).ok()?;
            let bug = Self::ALL.into_iter().find(|bug| bug.name() == name);
            Some(bug.unwrap_or_else(|| panic!("{} names no bug: {name}", Self::VARIABLE)))
        });
        *planted == Some(self)
    }
}
