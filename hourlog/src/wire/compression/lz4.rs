//! Writing a frame of LZ4 from blocks, of which some are compressed already. The library writes a frame only from
//! bytes that it compresses itself.

use lz4_flex::block::{compress_into, get_maximum_output_size};

/// The magic number, then the flags: version 1, independent blocks of at most 256 KiB, no checksums; then the checksum
/// of the flags.
const HEADER: [u8; 7] = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x50, 0xfb];
/// The most bytes that a block holds.
const BLOCK_BYTES_MAX: usize = 256 << 10;
/// Set in the length of a block that is not compressed.
const AS_IT_IS: u32 = 1 << 31;
/// Follows the last block.
const END: [u8; 4] = [0; 4];

/// A frame that is being written.
pub(super) struct Frame {
    frame: Vec<u8>,
    /// The bytes of the next block.
    next: Vec<u8>,
}

impl Frame {
    pub(super) fn new() -> Self {
        Self { frame: HEADER.to_vec(), next: Vec::new() }
    }

    /// The part of the frame that is written.
    pub(super) fn written(&self) -> &[u8] {
        &self.frame
    }

    /// Adds bytes.
    pub(super) fn put(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK_BYTES_MAX - self.next.len()));
            self.next.extend_from_slice(now);
            if self.next.len() == BLOCK_BYTES_MAX {
                self.flush();
            }
            bytes = later;
        }
    }

    /// Adds a block that holds `length` bytes. Returns false if a block may not hold so many.
    pub(super) fn put_block(&mut self, block: &[u8], length: usize) -> bool {
        let Some(size) = u32::try_from(block.len()).ok().filter(|_| length <= BLOCK_BYTES_MAX) else { return false };
        self.flush();
        self.frame.extend(size.to_le_bytes());
        self.frame.extend_from_slice(block);
        true
    }

    /// Writes the bytes that were added.
    pub(super) fn flush(&mut self) {
        if self.next.is_empty() {
            return;
        }
        let start = self.frame.len();
        self.frame.extend([0; size_of::<u32>()]);
        let content = self.frame.len();
        self.frame.resize(content + get_maximum_output_size(self.next.len()), 0);
        let size = match compress_into(&self.next, &mut self.frame[content..]) {
            Ok(size) if size < self.next.len() => {
                self.frame.truncate(content + size);
                size as u32
            }
            _ => {
                self.frame.truncate(content);
                self.frame.extend_from_slice(&self.next);
                self.next.len() as u32 | AS_IT_IS
            }
        };
        self.frame[start..content].copy_from_slice(&size.to_le_bytes());
        self.next.clear();
    }

    /// Returns the whole frame.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.flush();
        self.frame.extend(END);
        self.frame
    }
}
