//! The file in which the state of logs is kept, one for each service.

use std::{fs, io, path::PathBuf};

use etcetera::{BaseStrategy, choose_base_strategy};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::tui::state::State;

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
