//! The files of fjall, read without fjall: so that a damaged archive can be read around its damage, and
//! nothing is changed by looking.
//!
//! fjall opens a database completely or not at all, truncates journals while it reads them, and deletes what it
//! does not know. Here every length is checked before it is used, and every piece of data against its checksum.

pub(super) mod database;
pub(super) mod journal;
pub(super) mod manifest;
pub(super) mod merge;
pub(super) mod table;

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt, path::Path};

use bytes::Bytes;

use crate::{Error, ErrorKind};

use super::open_files;

/// One version of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: Vec<u8>,
    /// fjall's own number of the write; the greatest one of a key is in effect.
    pub(super) number: u64,
    /// `None` if the write deletes the key.
    pub(super) value: Option<Bytes>,
}

/// The types of a value in tables and journals.
const VALUE: u8 = 0;
const TOMBSTONES: [u8; 2] = [1, 2];

/// The rest of some bytes that are being decoded. Every read is `None` beyond their end.
#[derive(Clone)]
struct Cut<'a>(&'a [u8]);

impl<'a> Cut<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn u128(&mut self) -> Option<u128> {
        self.array().map(u128::from_le_bytes)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn length(&mut self) -> Option<usize> {
        self.varint().and_then(|length| usize::try_from(length).ok())
    }
}

/// The compression of a block or a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Lz4,
}

impl Compression {
    fn of(tag: u8) -> Option<Self> {
        match tag {
            0 => Some(Self::None),
            1 => Some(Self::Lz4),
            _ => None,
        }
    }

    /// Returns the data of `stored`, which has `length` bytes.
    fn open(self, stored: Bytes, length: usize) -> Option<Bytes> {
        match self {
            Self::None => (stored.len() == length).then_some(stored),
            Self::Lz4 => {
                let data = lz4_flex::block::decompress(&stored, length).ok()?;
                (data.len() == length).then(|| data.into())
            }
        }
    }
}

/// The bytes at the end of a table file or a manifest.
const TRAILER_BYTES: usize = 4 + 1 + 1 + 16 + 8 + 8;

/// The places of the sections of a file, by name.
type Sections = Vec<(Vec<u8>, Range<u64>)>;

/// Returns the place of each section of a table file or a manifest; `None` if its table of contents is damaged.
fn sections(file: &File) -> io::Result<Option<Sections>> {
    let length = file.metadata()?.len();
    let Some(trailer_at) = length.checked_sub(TRAILER_BYTES as u64) else { return Ok(None) };
    let mut trailer = [0; TRAILER_BYTES];
    file.read_exact_at(&mut trailer, trailer_at)?;
    let mut cut = Cut(&trailer);
    let head = cut.array::<6>();
    let (checksum, at, contents_length) = (cut.u128(), cut.u64(), cut.u64());
    let (Some(checksum), Some(at), Some(contents_length)) = (checksum, at, contents_length) else { return Ok(None) };
    if head != Some(*b"SFA!\x01\x00") || at.checked_add(contents_length) != Some(trailer_at) {
        return Ok(None);
    }
    let mut contents = vec![0; usize::try_from(contents_length).unwrap_or_default()];
    file.read_exact_at(&mut contents, at)?;
    if xxhash_rust::xxh3::xxh3_128(&contents) != checksum {
        return Ok(None);
    }
    Ok(parse_sections(&contents, at))
}

fn parse_sections(contents: &[u8], end: u64) -> Option<Sections> {
    let mut cut = Cut(contents);
    if cut.take(4)? != b"TOC!" {
        return None;
    }
    let count = cut.u32()?;
    let mut sections = Vec::new();
    for _ in 0..count {
        let (from, length) = (cut.u64()?, cut.u64()?);
        let name_length = cut.u16()?;
        let name = cut.take(name_length.into())?.to_vec();
        let to = from.checked_add(length).filter(|to| *to <= end)?;
        sections.push((name, from..to));
    }
    Some(sections)
}

/// Reads the bytes of a section.
fn read_section(file: &File, sections: &[(Vec<u8>, Range<u64>)], name: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let Some((_, range)) = sections.iter().find(|(found, _)| found == name) else { return Ok(None) };
    let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or_default()];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(Some(bytes))
}

/// Returns true if the file at `path` exists. Any other error than its absence counts as existing.
pub(super) fn exists(path: &Path) -> bool {
    path.try_exists().unwrap_or(true)
}

/// The error for files that the disk does not give.
pub(super) fn disk_failed(error: io::Error) -> Error {
    if let Some(exhausted) = open_files::exhausted(&error) {
        return exhausted;
    }
    Error::new(ErrorKind::Unavailable, "cannot read the files of the archive; check its disk").because(error)
}

/// The error for a directory without an archive.
pub(super) fn no_archive(directory: &Path) -> Error {
    let context = format!("there is no archive in {}; check the directory", directory.display());
    Error::new(ErrorKind::NotFound, context)
}

/// As [`disk_failed`], with the directory of the archive.
pub(super) fn cannot_read(directory: &Path, error: io::Error) -> Error {
    if let Some(exhausted) = open_files::exhausted(&error) {
        return exhausted;
    }
    let context = format!("cannot read the archive in {}; check its disk", directory.display());
    Error::new(ErrorKind::Unavailable, context).because(error)
}
