//! A writer into memory that lets waiting threads have the processor, again and again.
//!
//! A large reply takes milliseconds to encode. The system interrupts a busy thread only at its next tick,
//! so a small request on the same processor could wait for all of that time.

use std::io;

/// Bytes between two yields. To encode them takes a small part of a millisecond.
const BYTES_PER_YIELD: usize = 64 << 10;

/// Bytes in memory that are written to.
#[derive(Debug, Default)]
pub(super) struct YieldingWriter {
    pub(super) bytes: Vec<u8>,
    since_yield: usize,
}

impl io::Write for YieldingWriter {
    fn write(&mut self, some: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(some);
        self.since_yield += some.len();
        if self.since_yield >= BYTES_PER_YIELD {
            self.since_yield = 0;
            std::thread::yield_now();
        }
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
