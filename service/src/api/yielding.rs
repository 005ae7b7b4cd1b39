//! A writer into memory that lets waiting threads have the processor, again and again.
//!
//! A large reply takes milliseconds to encode. The system interrupts a busy thread only at its next tick,
//! so a small request on the same processor could wait for all of that time.

use std::io;

/// Bytes between two yields. To encode them takes a small part of a millisecond.
const BYTES_PER_YIELD: usize = 64 << 10;

/// Lets waiting threads have the processor each time that so many bytes were written.
#[derive(Debug, Default)]
pub(super) struct Yields {
    bytes: usize,
}

impl Yields {
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.bytes += bytes;
        if self.bytes >= BYTES_PER_YIELD {
            self.bytes = 0;
            std::thread::yield_now();
        }
    }
}

/// Bytes in memory that are written to.
#[derive(Debug, Default)]
pub(super) struct YieldingWriter {
    pub(super) bytes: Vec<u8>,
    yields: Yields,
}

impl YieldingWriter {
    pub(super) fn put(&mut self, some: &[u8]) {
        self.bytes.extend_from_slice(some);
        self.yields.wrote(some.len());
    }

    /// Appends what `append` appends.
    pub(super) fn put_with<E>(&mut self, append: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        let before = self.bytes.len();
        append(&mut self.bytes)?;
        self.yields.wrote(self.bytes.len() - before);
        Ok(())
    }
}

impl io::Write for YieldingWriter {
    fn write(&mut self, some: &[u8]) -> io::Result<usize> {
        self.put(some);
        Ok(some.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn everything_is_written_however_large() {
        let mut writer = YieldingWriter::default();
        let parts: Vec<Vec<u8>> = (0..40_u8).map(|number| vec![number; 5_000]).collect();
        for part in &parts {
            writer.write_all(part).expect("memory can be written");
        }
        assert_eq!(writer.bytes, parts.concat());
    }
}
