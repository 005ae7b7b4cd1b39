//! One file of a table: blocks of entries, each with a checksum, read around what is damaged.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    vec,
};

use bytes::Bytes;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::{Compression, Cut, Entry, TOMBSTONES, VALUE, manifest::TableFile, read_section, sections};

const MAGIC: &[u8] = b"LSM\x03";
/// The header of a block: magic, type, checksum of the data, both lengths, checksum of the header.
const HEADER_BYTES: usize = 4 + 1 + 16 + 4 + 4 + 4;
const HEADER_CHECKSUM_BYTES: usize = 4;
/// The types of a block.
const DATA: u8 = 0;
const META: u8 = 3;
/// The end of the entries of a block.
const END_OF_ENTRIES: u8 = 255;
/// The bytes at the end of a block of entries. The first is the interval of its complete keys.
const BLOCK_TRAILER_BYTES: usize = 31;
/// The bytes of one read.
const READ_BYTES: usize = 1 << 18;

/// Reads the entries of a file in the order of their keys.
pub(crate) struct TableReader {
    path: PathBuf,
    file: File,
    length: u64,
    described: TableFile,
    /// `None` if the file's own description is damaged.
    compression: Option<Compression>,
    at: u64,
    entries: vec::IntoIter<Entry>,
    /// The checksum of the file up to `at`; `None` once something was skipped.
    hash: Option<Xxh3>,
    buffer: Vec<u8>,
    buffer_at: u64,
    ended: bool,
    /// The unreadable parts, in words.
    pub(crate) damage: Vec<String>,
    /// The bytes that were read since the last call of [`Self::take_read_bytes`].
    read_bytes: u64,
}

/// A block whose checksums are right.
struct Block {
    kind: u8,
    data: Bytes,
    uncompressed_length: usize,
    stored_length: u64,
}

impl TableReader {
    /// Opens the file that the manifest describes.
    pub(crate) fn open(path: &Path, described: TableFile) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut reader = Self {
            path: path.to_owned(),
            file,
            length,
            described,
            compression: None,
            at: 0,
            entries: Vec::new().into_iter(),
            hash: Some(Xxh3::new()),
            buffer: Vec::new(),
            buffer_at: 0,
            ended: false,
            damage: Vec::new(),
            read_bytes: 0,
        };
        reader.compression = reader.stored_compression()?;
        if reader.compression.is_none() {
            reader.damage.push("its description".to_owned());
        }
        Ok(reader)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the bytes that were read since the last call.
    pub(crate) fn take_read_bytes(&mut self) -> u64 {
        std::mem::take(&mut self.read_bytes)
    }

    /// Returns the next entry; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Entry>> {
        loop {
            if let Some(entry) = self.entries.next() {
                return Ok(Some(entry));
            }
            if self.ended {
                return Ok(None);
            }
            self.next_block()?;
        }
    }

    /// Reads the next block of entries, or ends.
    fn next_block(&mut self) -> io::Result<()> {
        let at = self.at;
        let entries = match self.block(at)? {
            Some(block) if block.kind != DATA => return self.end(),
            Some(block) => {
                let stored_length = block.stored_length;
                let entries = self.decompress(block).and_then(|data| parse_entries(&data, self.described.number));
                self.hash_to(at + stored_length)?;
                entries
            }
            None => None,
        };
        match entries {
            Some(entries) => self.entries = entries.into_iter(),
            None => {
                self.hash = None;
                if self.at == at {
                    self.at = self.next_header(at + 1)?;
                }
                self.damage.push(format!("bytes {at} to {}", self.at));
                self.ended = self.at >= self.length;
            }
        }
        Ok(())
    }

    /// Checks the rest of the file, which has no entries.
    fn end(&mut self) -> io::Result<()> {
        self.ended = true;
        self.hash_to(self.length)?;
        let found = self.hash.as_ref().map(Xxh3::digest128);
        if let (Some(found), Some(expected)) = (found, self.described.checksum)
            && found != expected
        {
            self.damage.push("its index or its description".to_owned());
        }
        Ok(())
    }

    /// Adds the bytes up to `to` to the checksum of the file, and goes there.
    fn hash_to(&mut self, to: u64) -> io::Result<()> {
        while self.at < to {
            let length = (to - self.at).min(READ_BYTES as u64);
            let at = self.at;
            let bytes = self.window(at, length as usize)?.to_vec();
            if let Some(hash) = &mut self.hash {
                hash.update(&bytes);
            }
            self.at += length;
            self.read_bytes += length;
        }
        Ok(())
    }

    /// Returns the bytes at `at`, at most `length`, fewer at the end of the file.
    fn window(&mut self, at: u64, length: usize) -> io::Result<&[u8]> {
        let length = length.min(usize::try_from(self.length.saturating_sub(at)).unwrap_or(usize::MAX));
        let end = self.buffer_at + self.buffer.len() as u64;
        if at < self.buffer_at || at + length as u64 > end {
            let fetch = length.max(READ_BYTES).min(usize::try_from(self.length - at).unwrap_or(usize::MAX));
            self.buffer.resize(fetch, 0);
            self.file.read_exact_at(&mut self.buffer, at)?;
            self.buffer_at = at;
        }
        let from = (at - self.buffer_at) as usize;
        Ok(&self.buffer[from..from + length])
    }

    /// Reads the block at `at`; `None` if there is none, or a damaged one.
    fn block(&mut self, at: u64) -> io::Result<Option<Block>> {
        let Some((kind, checksum, stored, uncompressed)) = parse_header(self.window(at, HEADER_BYTES)?) else {
            return Ok(None);
        };
        if at + HEADER_BYTES as u64 + u64::from(stored) > self.length {
            return Ok(None);
        }
        let data = self.window(at + HEADER_BYTES as u64, stored as usize)?;
        if xxh3_128(data) != checksum {
            return Ok(None);
        }
        let data = Bytes::copy_from_slice(data);
        let (uncompressed_length, stored_length) = (uncompressed as usize, HEADER_BYTES as u64 + u64::from(stored));
        Ok(Some(Block { kind, data, uncompressed_length, stored_length }))
    }

    fn decompress(&self, block: Block) -> Option<Bytes> {
        // Compressed data of the same length is rare. It then fails to parse, and is told as damage.
        let guess = if block.data.len() == block.uncompressed_length { Compression::None } else { Compression::Lz4 };
        self.compression.unwrap_or(guess).open(block.data, block.uncompressed_length)
    }

    /// Returns the place of the next header of a block at or after `from`; the end of the file if there is none.
    fn next_header(&mut self, from: u64) -> io::Result<u64> {
        let mut at = from;
        while at < self.length {
            let window = self.window(at, READ_BYTES)?;
            let found = window.windows(MAGIC.len()).position(|bytes| bytes == MAGIC);
            let window_length = window.len() as u64;
            match found {
                Some(found) => {
                    at += found as u64;
                    if parse_header(self.window(at, HEADER_BYTES)?).is_some() {
                        return Ok(at);
                    }
                    at += 1;
                }
                None if window_length < MAGIC.len() as u64 => break,
                // The magic may begin in this window and end in the next.
                None => at += window_length - (MAGIC.len() as u64 - 1),
            }
        }
        Ok(self.length)
    }

    /// Returns the compression that the file names; `None` if its description is damaged.
    fn stored_compression(&mut self) -> io::Result<Option<Compression>> {
        let Some(sections) = sections(&self.file)? else { return Ok(None) };
        let Some(meta) = read_section(&self.file, &sections, b"meta")? else { return Ok(None) };
        Ok(parse_description(&meta).map(|description| description.compression))
    }
}

/// The description at the end of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Description {
    compression: Compression,
    /// fjall's number of the newest write in it, before that of the manifest is added.
    pub(crate) newest: u64,
}

/// Reads the description of the file at `path`; `None` if the file does not end as a table does, so that fjall cannot
/// open it.
pub(crate) fn description(path: &Path) -> io::Result<Option<Description>> {
    let file = File::open(path)?;
    let Some(sections) = sections(&file)? else { return Ok(None) };
    let meta = read_section(&file, &sections, b"meta")?;
    Ok(meta.and_then(|meta| parse_description(&meta)))
}

fn parse_description(meta: &[u8]) -> Option<Description> {
    let (kind, checksum, ..) = parse_header(meta)?;
    let data = &meta[HEADER_BYTES..];
    if kind != META || xxh3_128(data) != checksum {
        return None;
    }
    let entries = parse_entries(&Bytes::copy_from_slice(data), 0)?;
    let value = |key: &[u8]| entries.iter().find(|entry| entry.key == key)?.value.clone();
    let compression = Compression::of(*value(b"compression#data")?.first()?)?;
    Some(Description { compression, newest: Cut(&value(b"seqno#max")?).u64()? })
}

/// Returns the type, the checksum of the data, its stored and its uncompressed length.
fn parse_header(bytes: &[u8]) -> Option<(u8, u128, u32, u32)> {
    let bytes = bytes.get(..HEADER_BYTES)?;
    let (checked, checksum) = bytes.split_at(HEADER_BYTES - HEADER_CHECKSUM_BYTES);
    if Cut(checksum).u32()? != xxh3_128(checked) as u32 {
        return None;
    }
    let mut cut = Cut(checked);
    if cut.take(MAGIC.len())? != MAGIC {
        return None;
    }
    Some((cut.byte()?, cut.u128()?, cut.u32()?, cut.u32()?))
}

/// Decodes the entries of a block. `number` is added to the number of each.
fn parse_entries(block: &Bytes, number: u64) -> Option<Vec<Entry>> {
    let trailer_at = block.len().checked_sub(BLOCK_TRAILER_BYTES)?;
    let interval = usize::from(*block.get(trailer_at)?);
    let mut cut = Cut(block);
    let mut entries = Vec::new();
    let mut complete_key: &[u8] = &[];
    loop {
        let kind = cut.byte()?;
        if kind == END_OF_ENTRIES {
            return Some(entries);
        }
        if kind != VALUE && !TOMBSTONES.contains(&kind) {
            return None;
        }
        let own_number = cut.varint()?;
        let key = if entries.len().checked_rem(interval)? == 0 {
            let length = cut.length()?;
            complete_key = cut.take(length)?;
            complete_key.to_vec()
        } else {
            let (shared, rest) = (cut.length()?, cut.length()?);
            [complete_key.get(..shared)?, cut.take(rest)?].concat()
        };
        let value = match kind {
            VALUE => {
                let length = cut.length()?;
                Some(block.slice_ref(cut.take(length)?))
            }
            _ => None,
        };
        entries.push(Entry { key, number: own_number.checked_add(number)?, value });
    }
}
