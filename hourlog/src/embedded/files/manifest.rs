//! The manifest of a table: the files that make it up, in sorted runs.

use std::{fs::File, io, path::Path};

use super::{Cut, exists, read_section, sections};

/// The name of the file that names the manifest in effect. Replaced by a rename.
pub(crate) const CURRENT: &str = "current";
/// The directory of the files, below that of the table.
pub(crate) const FILES: &str = "tables";
/// The bytes of an entry of the manifest.
const ENTRY_BYTES: usize = 8 + 1 + 16 + 8;

/// A file of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TableFile {
    /// Its name.
    pub(crate) id: u64,
    /// The checksum of the whole file; `None` if the manifest is lost.
    pub(crate) checksum: Option<u128>,
    /// Added to the number of every write in it.
    pub(crate) number: u64,
}

/// The files of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// The runs: the files of each are disjoint and in the order of their keys.
    pub(crate) runs: Vec<Vec<TableFile>>,
}

/// Reads the manifest of the table in `directory`.
///
/// Returns the reason if it is damaged or absent.
pub(crate) fn read(directory: &Path) -> io::Result<Result<Manifest, String>> {
    let current = directory.join(CURRENT);
    if !exists(&current) {
        return Ok(Err(format!("{CURRENT} is missing")));
    }
    let Some((name, checksum)) = parse_current(&std::fs::read(current)?) else {
        return Ok(Err(format!("{CURRENT} cannot be read")));
    };
    let path = directory.join(&name);
    if !exists(&path) {
        return Ok(Err(format!("{name} is missing, or {CURRENT} is damaged")));
    }
    if xxhash_rust::xxh3::xxh3_128(&std::fs::read(&path)?) != checksum {
        return Ok(Err(format!("{name} does not have the checksum in {CURRENT}")));
    }
    let file = File::open(&path)?;
    let tables = match sections(&file)? {
        Some(sections) => read_section(&file, &sections, b"tables")?,
        None => None,
    };
    Ok(match tables.and_then(|bytes| parse(&bytes)) {
        Some(runs) => Ok(Manifest { runs }),
        None => Err(format!("{name} cannot be read")),
    })
}

/// Returns the name of the manifest's file that the content of [`CURRENT`] names.
pub(crate) fn current_name(current: &[u8]) -> Option<String> {
    parse_current(current).map(|(name, _)| name)
}

fn parse_current(bytes: &[u8]) -> Option<(String, u128)> {
    let mut cut = Cut(bytes);
    let (version, checksum) = (cut.u64()?, cut.u128()?);
    (cut.byte()? == 0 && cut.0.is_empty()).then(|| (format!("v{version}"), checksum))
}

fn parse(bytes: &[u8]) -> Option<Vec<Vec<TableFile>>> {
    let mut cut = Cut(bytes);
    let levels = cut.byte()?;
    let mut runs = Vec::new();
    for _ in 0..levels {
        for _ in 0..cut.byte()? {
            let count = cut.u32()? as usize;
            if count > cut.0.len() / ENTRY_BYTES {
                return None;
            }
            let mut run = Vec::with_capacity(count);
            for _ in 0..count {
                let id = cut.u64()?;
                if cut.byte()? != 0 {
                    return None;
                }
                run.push(TableFile { id, checksum: Some(cut.u128()?), number: cut.u64()? });
            }
            runs.push(run);
        }
    }
    Some(runs)
}

/// Returns every file in the directory of a table whose manifest is lost, each as a run of its own.
pub(crate) fn without_manifest(directory: &Path) -> io::Result<Manifest> {
    let mut runs = Vec::new();
    if exists(&directory.join(FILES)) {
        for entry in std::fs::read_dir(directory.join(FILES))? {
            let id = entry?.file_name().to_str().and_then(|name| name.parse().ok());
            runs.extend(id.map(|id| vec![TableFile { id, checksum: None, number: 0 }]));
        }
    }
    runs.sort_unstable_by_key(|run| run[0].id);
    Ok(Manifest { runs })
}
