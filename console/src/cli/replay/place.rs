//! The place that a replay has reached, on the screen and in the file of `--resume`.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use hourlog::wire::MergedPosition;

use crate::{exit::Failure, session::Session, typed::Typed};

/// The last event that has certainly been sent.
#[derive(Debug)]
pub(super) struct Reached {
    place: Arc<Mutex<Option<MergedPosition>>>,
    file: Option<PathBuf>,
}

impl Reached {
    /// Begins at `place`. A user who stops the command is told how to go on.
    ///
    /// # Errors
    /// [`Failure::Io`] if the file cannot be written.
    pub(super) fn begin(
        session: &Session,
        typed: Typed,
        file: Option<PathBuf>,
        place: Option<MergedPosition>,
    ) -> Result<Self, Failure> {
        if let Some(path) = &file {
            let new = new_of(path);
            let created = fs::write(&new, "").and_then(|()| fs::remove_file(&new));
            created.map_err(|error| Failure::write(path.display(), error))?;
        }
        let place = Arc::new(Mutex::new(place));
        let (shared, has_file) = (Arc::clone(&place), file.is_some());
        session.resume_by(move || match &*shared.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(place) if !has_file => {
                typed.clone().without(&["since", "after"]).with("--after", place.to_string()).resume()
            }
            _ => typed.resume(),
        });
        Ok(Self { place, file })
    }

    /// Moves to `place`, also in the file.
    pub(super) fn set(&self, place: MergedPosition) -> Result<(), Failure> {
        if let Some(path) = &self.file {
            write(path, &place).map_err(|error| Failure::write(path.display(), error))?;
        }
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
        Ok(())
    }
}

/// Returns the place in a file; `None` if there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<MergedPosition>, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => text.trim().parse().map(Some).map_err(|error| {
            Failure::usage(format!("--resume {}: {error}; remove the file to begin again", path.display()))
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::read(path.display(), error)),
    }
}

/// Writes the place. A reader of the file sees the old one or the new one.
fn write(path: &Path, place: &MergedPosition) -> io::Result<()> {
    let new = new_of(path);
    fs::write(&new, format!("{place}\n"))?;
    fs::rename(new, path)
}

/// Returns the path of the file that takes the place of another.
fn new_of(path: &Path) -> PathBuf {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    new.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_back_from_its_file() {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let path = directory.path().join("place");
        assert!(matches!(read(&path), Ok(None)));
        let place: MergedPosition = "5-7@orders.eu".parse().expect("a place");
        write(&path, &place).expect("the directory is there");
        assert!(matches!(read(&path), Ok(Some(read)) if read == place));
        fs::write(&path, "tomorrow").expect("the directory is there");
        assert!(read(&path).is_err());
    }
}
