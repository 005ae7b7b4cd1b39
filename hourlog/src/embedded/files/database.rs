//! All files of an archive's tables, found without opening them.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

use super::{
    Entry, exists, journal,
    manifest::{self, FILES, Manifest, TableFile},
    merge::{Merge, Source},
    table::{self, TableReader},
};
use crate::{Seq, embedded::journals::content_end, maintenance::FileDamage};

/// The names of the tables, in the order of their creation: fjall numbers them from 1.
pub(crate) const TABLES: [&str; 12] = [
    "events",
    "buckets",
    "eras",
    "arrivals",
    "logs",
    "numbers",
    "deletions",
    "sources",
    "epochs",
    "cursors",
    "properties",
    "meta",
];
/// The number of fjall's own table, which names the others.
const NAMES: u64 = 0;
/// The first byte of a key that names a table.
const NAME: u8 = b'n';
/// The file that marks a complete database of fjall, and its content in this version.
pub(crate) const MARKER: &str = "version";
const MARKER_CONTENT: &[u8] = b"FJL\x03";

/// The damage found so far, and the bytes read.
#[derive(Default)]
pub(crate) struct Observed {
    pub(crate) damage: Vec<FileDamage>,
    pub(crate) read_bytes: u64,
}

/// The files of an archive.
pub(crate) struct Files {
    tables: PathBuf,
    /// The numbers of the tables by name.
    numbers: BTreeMap<String, u64>,
    manifests: BTreeMap<u64, Manifest>,
    journals: Vec<(u64, PathBuf)>,
    pub(crate) bytes: u64,
    pub(crate) observed: Arc<Mutex<Observed>>,
}

/// The newest writes in the journals, by table and key.
pub(crate) type Journaled = BTreeMap<u64, BTreeMap<Bytes, (u64, Option<Bytes>)>>;

/// The rows of a table, in the order of their keys.
pub(crate) type Rows = Merge<TableSource>;

impl Files {
    /// Finds the files of the archive in `directory`, and tells what is missing or damaged among those that describe
    /// the others.
    pub(crate) fn find(directory: &Path) -> io::Result<Self> {
        let mut files = Self {
            tables: directory.join("tables"),
            numbers: BTreeMap::new(),
            manifests: BTreeMap::new(),
            journals: Vec::new(),
            bytes: 0,
            observed: Arc::default(),
        };
        let marker = files.tables.join(MARKER);
        if !exists(&marker) || std::fs::read(&marker)? != MARKER_CONTENT {
            files.tell(&marker, None, "it is missing or damaged".to_owned());
        }
        files.find_manifest(NAMES, None)?;
        let mut names = files.rows_of(NAMES, BTreeMap::new())?;
        let mut numbers = BTreeMap::new();
        while let Some((key, name)) = names.next()? {
            let number = key.strip_prefix(&[NAME]).and_then(|number| number.try_into().ok()).map(u64::from_be_bytes);
            if let (Some(number), Ok(name)) = (number, String::from_utf8(name.to_vec())) {
                numbers.insert(name, number);
            }
        }
        for (name, number) in TABLES.into_iter().zip(1..) {
            if !numbers.contains_key(name) {
                let path = files.folder(NAMES);
                files.tell(&path, Some(name), "the name of the table is missing".to_owned());
                // Without its name, a table has the number that this version gave it.
                if numbers.values().all(|taken| *taken != number) {
                    numbers.insert(name.to_owned(), number);
                }
            }
        }
        files.numbers = numbers;
        for (name, number) in files.numbers.clone() {
            files.find_manifest(number, Some(&name))?;
        }
        files.find_journals()?;
        Ok(files)
    }

    /// Returns true if the archive in `directory` has ever held anything.
    pub(crate) fn are_in_use(directory: &Path) -> io::Result<bool> {
        let tables = directory.join("tables");
        Ok(exists(&directory.join("watermark")) || (exists(&tables) && std::fs::read_dir(tables)?.next().is_some()))
    }

    /// Returns true if no table has a file.
    pub(crate) fn hold_nothing(&self) -> bool {
        let mut tables = self.manifests.iter().filter(|(number, _)| **number != NAMES);
        tables.all(|(_, manifest)| manifest.runs.is_empty())
    }

    fn folder(&self, number: u64) -> PathBuf {
        self.tables.join("keyspaces").join(number.to_string())
    }

    fn tell(&self, path: &Path, table: Option<&str>, detail: String) {
        tell(&self.observed, &self.tables, path, table, detail);
    }

    fn find_manifest(&mut self, number: u64, name: Option<&str>) -> io::Result<()> {
        let folder = self.folder(number);
        let manifest = if exists(&folder) {
            match manifest::read(&folder)? {
                Ok(manifest) => manifest,
                Err(reason) => {
                    self.tell(&folder, name, reason);
                    manifest::without_manifest(&folder)?
                }
            }
        } else {
            self.tell(&folder, name, "the folder is missing".to_owned());
            Manifest { runs: Vec::new() }
        };
        for file in manifest.runs.iter().flatten() {
            let path = folder.join(FILES).join(file.id.to_string());
            match std::fs::metadata(&path) {
                Ok(found) => self.bytes += found.len(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.tell(&path, name, "the file is missing".to_owned());
                }
                Err(error) => return Err(error),
            }
        }
        self.manifests.insert(number, manifest);
        Ok(())
    }

    fn find_journals(&mut self) -> io::Result<()> {
        if !exists(&self.tables) {
            return Ok(());
        }
        for entry in std::fs::read_dir(&self.tables)? {
            let path = entry?.path();
            let number = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".jnl")?.parse().ok());
            if let Some(number) = number {
                self.bytes += path.metadata()?.len();
                self.journals.push((number, path));
            }
        }
        self.journals.sort_unstable();
        Ok(())
    }

    /// Returns the number of fjall for a table.
    pub(crate) fn number(&self, name: &str) -> u64 {
        self.numbers.get(name).copied().unwrap_or(u64::MAX)
    }

    /// Returns fjall's number of the newest write in the files of each table, by the number of the table.
    ///
    /// Checks that each file ends with its description: fjall may end the process over one that does not.
    pub(crate) fn newest_writes(&self) -> io::Result<BTreeMap<u64, u64>> {
        let mut newest = BTreeMap::new();
        for (number, manifest) in &self.manifests {
            let name = self.numbers.iter().find(|(_, found)| *found == number).map(|(name, _)| name.as_str());
            for file in manifest.runs.iter().flatten() {
                let path = self.folder(*number).join(FILES).join(file.id.to_string());
                if !exists(&path) {
                    continue;
                }
                match table::description(&path)? {
                    Some(description) => {
                        let of_file = description.newest.saturating_add(file.number);
                        let of_table = newest.entry(*number).or_insert(of_file);
                        *of_table = of_file.max(*of_table);
                    }
                    None => self.tell(&path, name, "its description is damaged".to_owned()),
                }
            }
        }
        Ok(newest)
    }

    /// Reads all journals. `closed`: nothing was being written when the archive was closed.
    ///
    /// Tells which events may be missing around each place that cannot be read. Returns true if there is none, nor an
    /// unfinished write.
    pub(crate) fn read_journals(&self, closed: bool, mut each: impl FnMut(journal::Batch)) -> io::Result<bool> {
        let events = self.number("events");
        let mut are_whole = true;
        for (at, (_, path)) in self.journals.iter().enumerate() {
            let mut file = File::open(path)?;
            let length = file.metadata()?.len();
            // Zeros follow, which were allocated for later writes.
            let mut bytes = vec![0; usize::try_from(content_end(&mut file)?).unwrap_or(usize::MAX)];
            file.read_exact_at(&mut bytes, 0)?;
            let bytes = Bytes::from(bytes);
            let mut around = Around::default();
            let read = journal::read(&bytes, |batch, gaps| {
                around.see(&batch, gaps, events);
                each(batch);
            });
            around.end();
            are_whole &= read.gaps.is_empty() && read.renumbered.is_empty() && read.tail.is_empty();
            for (gap, (after, before)) in read.gaps.iter().zip(&around.gaps) {
                let detail =
                    format!("bytes {} to {} cannot be read{}", gap.start, gap.end, range_text(*after, *before));
                self.tell(path, None, detail);
            }
            for place in read.renumbered {
                let detail = format!("the number of the batch in bytes {} to {} has changed", place.start, place.end);
                self.tell(path, None, detail);
            }
            let is_newest = at + 1 == self.journals.len();
            let is_damage = || !is_newest || closed || journal::is_finished(&bytes, read.tail.start);
            if !read.tail.is_empty() && is_damage() {
                let after = range_text(around.last, None);
                self.tell(path, None, format!("everything from byte {} on cannot be read{after}", read.tail.start));
            }
            self.observed.lock().unwrap_or_else(PoisonError::into_inner).read_bytes += length;
        }
        Ok(are_whole)
    }

    /// Reads the newest writes in the journals.
    pub(crate) fn journaled(&self, closed: bool) -> io::Result<Journaled> {
        let mut journaled = Journaled::new();
        self.read_journals(closed, |batch| {
            for item in batch.items {
                let table = journaled.entry(item.table).or_default();
                let newest = table.entry(item.key).or_insert((batch.number, None));
                if newest.0 <= batch.number {
                    *newest = (batch.number, item.value);
                }
            }
        })?;
        Ok(journaled)
    }

    /// Returns the rows of a table.
    pub(crate) fn rows(&self, name: &str, journaled: &mut Journaled) -> io::Result<Rows> {
        let number = self.number(name);
        self.rows_of(number, journaled.remove(&number).unwrap_or_default())
    }

    fn rows_of(&self, number: u64, journaled: BTreeMap<Bytes, (u64, Option<Bytes>)>) -> io::Result<Rows> {
        let name = self.numbers.iter().find(|(_, found)| **found == number).map(|(name, _)| name.clone());
        let runs = self.manifests.get(&number).map(|manifest| manifest.runs.clone()).unwrap_or_default();
        let folder = self.folder(number).join(FILES);
        let run = |files: Vec<TableFile>| {
            let mut files: Vec<_> = files.into_iter().map(|file| (folder.join(file.id.to_string()), file)).collect();
            files.reverse();
            TableSource::Run(Box::new(Run {
                files,
                open: None,
                table: name.clone(),
                tables: self.tables.clone(),
                observed: Arc::clone(&self.observed),
            }))
        };
        let sources = runs.into_iter().map(run);
        Merge::new(sources.chain([TableSource::Journal(journaled.into_iter())]).collect())
    }
}

fn tell(observed: &Mutex<Observed>, tables: &Path, path: &Path, table: Option<&str>, detail: String) {
    let relative = path.strip_prefix(tables.parent().unwrap_or(tables)).unwrap_or(path);
    let damage = FileDamage { file: relative.display().to_string(), table: table.map(str::to_owned), detail };
    observed.lock().unwrap_or_else(PoisonError::into_inner).damage.push(damage);
}

/// The newest event before each gap of a journal, and the first one after it.
#[derive(Default)]
struct Around {
    gaps: Vec<(Option<Seq>, Option<Seq>)>,
    last: Option<Seq>,
}

impl Around {
    fn see(&mut self, batch: &journal::Batch, gaps: usize, events: u64) {
        while self.gaps.len() < gaps {
            self.gaps.push((self.last, None));
        }
        let seqs = batch.items.iter().filter(|item| item.table == events);
        let seqs = seqs.filter_map(|item| crate::embedded::keys::last_seq(&item.key).ok());
        let (least, greatest) = seqs.fold((None, None), |(least, greatest): (Option<Seq>, Option<Seq>), seq| {
            (Some(least.map_or(seq, |least| least.min(seq))), greatest.max(Some(seq)))
        });
        if let (Some((_, before @ None)), Some(_)) = (self.gaps.last_mut(), least) {
            *before = least;
        }
        self.last = self.last.max(greatest);
    }

    /// Ends with as many gaps as there may be.
    fn end(&mut self) {
        self.gaps.push((self.last, None));
    }
}

fn range_text(after: Option<Seq>, before: Option<Seq>) -> String {
    match (after, before) {
        (Some(after), Some(before)) => {
            let (after, before) = (after.sequence(), before.sequence());
            format!("; messages between sequences {after} and {before} of the stream may be gone")
        }
        (Some(after), None) => format!("; messages after sequence {} of the stream may be gone", after.sequence()),
        (None, Some(before)) => format!("; messages before sequence {} of the stream may be gone", before.sequence()),
        (None, None) => String::new(),
    }
}

/// Entries of a table: a run of its files, or its writes in the journals.
pub(crate) enum TableSource {
    Run(Box<Run>),
    Journal(std::collections::btree_map::IntoIter<Bytes, (u64, Option<Bytes>)>),
}

/// Files whose keys follow one another. One is open at a time.
pub(crate) struct Run {
    /// The files that are left, the next one last.
    files: Vec<(PathBuf, TableFile)>,
    open: Option<TableReader>,
    table: Option<String>,
    tables: PathBuf,
    observed: Arc<Mutex<Observed>>,
}

impl Source for TableSource {
    fn next(&mut self) -> io::Result<Option<Entry>> {
        match self {
            Self::Run(run) => run.next(),
            Self::Journal(writes) => {
                Ok(writes.next().map(|(key, (number, value))| Entry { key: key.into(), number, value }))
            }
        }
    }
}

impl Run {
    fn next(&mut self) -> io::Result<Option<Entry>> {
        loop {
            if let Some(reader) = &mut self.open {
                if let Some(entry) = reader.next()? {
                    return Ok(Some(entry));
                }
                let read_bytes = reader.take_read_bytes();
                self.observed.lock().unwrap_or_else(PoisonError::into_inner).read_bytes += read_bytes;
                for damage in std::mem::take(&mut reader.damage) {
                    let detail = format!("{damage} cannot be read");
                    tell(&self.observed, &self.tables, reader.path(), self.table.as_deref(), detail);
                }
            }
            let Some((path, file)) = self.files.pop() else {
                self.open = None;
                return Ok(None);
            };
            self.open = match TableReader::open(&path, file) {
                Ok(reader) => Some(reader),
                // Told when the files were found.
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
        }
    }
}
