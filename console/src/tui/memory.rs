//! The state of logs as users left them, kept in a file for each service.

use std::{fs, io, path::PathBuf};

use etcetera::{BaseStrategy, choose_base_strategy};
use hourlog::{LogId, Offset, Position};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::state::State;

/// Everything that is kept.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Memory {
    /// The logs.
    pub(crate) logs: Vec<LogMemory>,
    /// The texts that were entered, by the kind of the prompt.
    pub(crate) history: Vec<(String, Vec<String>)>,
}

/// The state of a log, or of several that were open as one.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LogMemory {
    /// The logs.
    pub(crate) lanes: Vec<LogId>,
    /// The playhead; absent at the newest event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) playhead: Option<Position>,
    /// The time that the scrubber showed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) window: Option<(Offset, Offset)>,
    /// The marks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) marks: Vec<Position>,
    /// The filters as they were typed, and true for those that were on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) filters: Vec<(String, bool)>,
    /// The paths of the columns, if the user has chosen them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) columns: Option<Vec<String>>,
}

/// The file for one service.
#[derive(Debug)]
pub(crate) struct MemoryFile(PathBuf);

impl MemoryFile {
    /// Returns the file for the service that is reached as `name`; `None` if the system has no place for it.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let directory = choose_base_strategy().ok()?.state_dir()?.join("hourlog/console");
        // A name may hold anything, so it is not that of a file.
        let hash = Sha256::digest(name.as_bytes());
        let hash: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Some(Self(directory.join(format!("{hash}.json"))))
    }

    /// Puts what was kept into a state. Of a file that cannot be read, the user is told.
    pub(crate) fn restore(&self, state: &mut State) {
        let memory = match fs::read(&self.0) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => Err(error),
        };
        match memory {
            Ok(memory) => state.remember_logs(memory),
            Err(error) => state.say(format!("{} cannot be read: {error}", self.0.display())),
        }
    }

    /// Keeps what is in a state. The file is replaced as a whole.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn save(&self, state: &State) -> io::Result<()> {
        let directory = self.0.parent().unwrap_or(&self.0);
        fs::create_dir_all(directory)?;
        let mut file = NamedTempFile::new_in(directory)?;
        serde_json::to_writer(&mut file, &state.memory())?;
        file.persist(&self.0)?;
        Ok(())
    }
}
