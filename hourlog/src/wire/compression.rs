//! Compressed replies: `Accept-Encoding` in a request, `Content-Encoding` in its reply.

mod lz4;

use std::{
    fmt,
    io::{self, Read, Write},
    str::FromStr,
};

use lz4_flex::frame::FrameDecoder;

use crate::{Error, ErrorKind, Result};

/// The request header that names the compressions that the requester can read, preferred ones first.
pub const ACCEPT_ENCODING: &str = "Accept-Encoding";
/// The reply header that names the compression of the payload; absent if there is none.
pub const CONTENT_ENCODING: &str = "Content-Encoding";

/// The most bytes of the events in a compressed page, before compression. Bounds the memory and the time for one page, on
/// both sides.
pub const COMPRESSED_PAGE_BYTES_MAX: usize = 4 << 20;

/// The level of zstd. On logs as JSON, 3 takes 1.5 times as long as 1 and saves nothing; -3 makes pages 1.5 times larger
/// and saves a quarter of the time.
const ZSTD_LEVEL: i32 = 1;
/// The largest window of zstd that is read, as a power of two: the one of the highest level that compresses so few bytes.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// The most bytes that a compression adds: for its header and its end, and one for this many of the content, which has a
/// few for each block.
const OVERHEAD_BYTES_MAX: (usize, usize) = (64, 4_096);
/// Part of a reply by which a compression must make it smaller.
const SAVED_MIN: usize = 8;

/// A compression of replies, in the frame format that tools and libraries of all languages read.
///
/// ```
/// use hourlog::wire::{Compression, Compressor};
/// let mut compressor = Compressor::new(Compression::Zstd, 2_000);
/// assert!(compressor.add("paid ".repeat(300).as_bytes()));
/// let compressed = compressor.finish();
/// assert!(compressed.len() < 100);
/// assert_eq!(Compression::Zstd.decompress(&compressed, 10_000)?.len(), 1_500);
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Zstandard (RFC 8878).
    Zstd,
    /// The frame format of LZ4.
    Lz4,
}

impl Compression {
    /// Returns the first compression that the values of an [`ACCEPT_ENCODING`] name; `None` if that is none at all
    /// (`identity`), or not known here. A name with the weight 0 is passed over; other weights are ignored.
    ///
    /// ```
    /// use hourlog::wire::Compression;
    /// assert_eq!(Compression::preferred(["br, lz4;q=0.5, zstd"]), Some(Compression::Lz4));
    /// assert_eq!(Compression::preferred(["zstd;q=0", "identity"]), None);
    /// ```
    pub fn preferred<'a>(values: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        for name in values.into_iter().flat_map(|value| value.split(',')) {
            let (name, weight) = name.split_once(';').unwrap_or((name, ""));
            let weight = weight.trim().trim_start_matches(['q', 'Q', '=', ' ']).parse().unwrap_or(1.0_f32);
            if weight == 0.0 {
                continue;
            }
            match name.trim() {
                none if none.eq_ignore_ascii_case("identity") => return None,
                name => {
                    if let Ok(compression) = name.parse() {
                        return Some(compression);
                    }
                }
            }
        }
        None
    }

    /// Returns what was compressed into `bytes`.
    ///
    /// # Errors
    /// [`ErrorKind::Unexpected`] if they are damaged, or hold more than `bytes_max`.
    pub fn decompress(self, bytes: &[u8], bytes_max: usize) -> Result<Vec<u8>> {
        let damaged = |error: io::Error| {
            Error::new(ErrorKind::Unexpected, format!("the reply cannot be read as {self}; ask again")).because(error)
        };
        // One byte more tells that there is more.
        let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
        // The usual sizes of what is compressed. More is allocated as it comes.
        let mut read = Vec::with_capacity(bytes.len().saturating_mul(6).min(bytes_max.saturating_add(1)));
        match self {
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(damaged)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(damaged)?;
                decoder.take(limit).read_to_end(&mut read)
            }
            Self::Lz4 => FrameDecoder::new(bytes).take(limit).read_to_end(&mut read),
        }
        .map_err(damaged)?;
        if read.len() > bytes_max {
            let context = format!("the reply holds more than {bytes_max} bytes; ask for fewer events at a time");
            return Err(Error::new(ErrorKind::Unexpected, context));
        }
        Ok(read)
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
        })
    }
}

impl FromStr for Compression {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        match name {
            _ if is("zstd") => Ok(Self::Zstd),
            _ if is("lz4") => Ok(Self::Lz4),
            _ => Err(Error::invalid(format!(
                "{:?} is not a compression; write zstd or lz4",
                crate::error::shorten(name)
            ))),
        }
    }
}

/// Compresses parts one after the other, up to a number of bytes. See [`Compression`].
pub struct Compressor {
    encoder: Encoder,
    /// The most bytes of the result.
    bytes_max: usize,
    /// The bytes that were added.
    added: usize,
    /// The bytes that were added since the last flush. They may all be in the encoder.
    pending: usize,
}

enum Encoder {
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Lz4(lz4::Frame),
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor")
            .field("bytes_max", &self.bytes_max)
            .field("added", &self.added)
            .finish_non_exhaustive()
    }
}

impl Compressor {
    /// Begins a result of at most `bytes_max` bytes.
    pub fn new(compression: Compression, bytes_max: usize) -> Self {
        let encoder = match compression {
            Compression::Zstd => Encoder::Zstd(
                zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL).expect("the level is one of zstd"),
            ),
            Compression::Lz4 => Encoder::Lz4(lz4::Frame::new()),
        };
        Self { encoder, bytes_max, added: 0, pending: 0 }
    }

    /// Adds `part`, and returns true, if the result is sure to stay within its bytes.
    pub fn add(&mut self, part: &[u8]) -> bool {
        if !self.has_room(part.len()) {
            // Then the size of what was added before is known.
            self.flush();
            if !self.has_room(part.len()) {
                return false;
            }
        }
        self.put(part);
        true
    }

    /// Adds what a block of LZ4 holds, which is `length` bytes, and returns true, if it can be added as it is: the result is
    /// to be LZ4, and stays within its bytes.
    pub fn add_lz4(&mut self, block: &[u8], length: usize) -> bool {
        let Encoder::Lz4(frame) = &mut self.encoder else { return false };
        frame.flush();
        self.pending = 0;
        let is_added = frame.written().len() + block.len() + OVERHEAD_BYTES_MAX.0 <= self.bytes_max
            && frame.put_block(block, length);
        self.added += if is_added { length } else { 0 };
        is_added
    }

    /// Adds `part`, however large it is, and returns true if the result stays within its bytes. After false, there is no
    /// result.
    pub fn squeeze(&mut self, part: &[u8]) -> bool {
        self.put(part);
        self.flush();
        self.has_room(0)
    }

    /// Returns true if compression has made what was added smaller by an eighth or more.
    pub fn pays(&mut self) -> bool {
        self.flush();
        self.result().len() <= self.added - self.added / SAVED_MIN
    }

    /// Adds the last part, whatever its size, and returns the result.
    pub fn finish_with(mut self, last: &[u8]) -> Vec<u8> {
        self.put(last);
        self.finish()
    }

    /// Returns the result.
    pub fn finish(self) -> Vec<u8> {
        match self.encoder {
            Encoder::Zstd(encoder) => encoder.finish().expect(IN_MEMORY),
            Encoder::Lz4(frame) => frame.finish(),
        }
    }

    fn has_room(&self, bytes: usize) -> bool {
        // The encoder may not make the rest smaller.
        let rest = self.pending + bytes;
        self.result().len() + rest + OVERHEAD_BYTES_MAX.0 + rest / OVERHEAD_BYTES_MAX.1 <= self.bytes_max
    }

    fn put(&mut self, part: &[u8]) {
        match &mut self.encoder {
            Encoder::Zstd(encoder) => encoder.write_all(part).expect(IN_MEMORY),
            Encoder::Lz4(frame) => frame.put(part),
        }
        self.added += part.len();
        self.pending += part.len();
    }

    fn flush(&mut self) {
        match &mut self.encoder {
            Encoder::Zstd(encoder) => encoder.flush().expect(IN_MEMORY),
            Encoder::Lz4(frame) => frame.flush(),
        }
        self.pending = 0;
    }

    fn result(&self) -> &[u8] {
        match &self.encoder {
            Encoder::Zstd(encoder) => encoder.get_ref(),
            Encoder::Lz4(frame) => frame.written(),
        }
    }
}

const IN_MEMORY: &str = "memory can be written";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const ALL: [Compression; 2] = [Compression::Zstd, Compression::Lz4];

    /// Bytes that no compression makes smaller.
    fn noise(length: usize) -> Vec<u8> {
        Random(88_172_645_463_325_252).bytes(length)
    }

    #[test]
    fn the_first_known_name_is_preferred_and_a_weight_of_zero_excludes_it() {
        for (values, expected) in [
            (vec![], None),
            (vec!["gzip, br"], None),
            (vec!["zstd"], Some(Compression::Zstd)),
            (vec!["LZ4"], Some(Compression::Lz4)),
            (vec!["lz4, zstd"], Some(Compression::Lz4)),
            (vec!["br", "zstd;q=0.1,lz4"], Some(Compression::Zstd)),
            (vec!["zstd; q=0, lz4;q=1"], Some(Compression::Lz4)),
            (vec!["zstd;q=0.000"], None),
            (vec!["identity, zstd"], None),
            (vec![",;,zstd"], Some(Compression::Zstd)),
        ] {
            assert_eq!(Compression::preferred(values.iter().copied()), expected, "{values:?}");
        }
    }

    #[test]
    fn added_bytes_stay_within_the_limit_and_are_read_again() {
        let noise = noise(60_000);
        let text = br#"{"level":"info","service":"checkout","path":"/api/v1/orders","status":200}"#;
        for compression in ALL {
            for bytes_max in [1_000, 10_000, 100_000] {
                for noisy in [0, 1, 3] {
                    let mut compressor = Compressor::new(compression, bytes_max);
                    let (mut added, mut is_full) = (Vec::new(), false);
                    for number in 0..20_000 {
                        let part = if number % 4 < noisy {
                            let from = number * 97 % (noise.len() - 300);
                            &noise[from..from + 1 + number % 300]
                        } else {
                            &text[..]
                        };
                        if !compressor.add(part) {
                            is_full = true;
                            break;
                        }
                        added.extend_from_slice(part);
                    }
                    let compressed = compressor.finish();
                    assert!(compressed.len() <= bytes_max, "{compression} {bytes_max} {noisy}: {}", compressed.len());
                    let is_used = !is_full || compressed.len() > bytes_max / 4;
                    assert!(is_used, "{compression} {bytes_max} {noisy}: {}", compressed.len());
                    assert_eq!(compression.decompress(&compressed, added.len()).expect("its own bytes"), added);
                }
            }
        }
    }

    #[test]
    fn more_than_the_limit_is_refused_before_it_is_in_memory() {
        for compression in ALL {
            let mut compressor = Compressor::new(compression, usize::MAX);
            (0..64).for_each(|_| assert!(compressor.add(&[0; 1 << 20])));
            let compressed = compressor.finish();
            assert!(compressed.len() < 1 << 20);
            let error = compression.decompress(&compressed, 1 << 20).expect_err("too much");
            assert_eq!(error.to_string(), "the reply holds more than 1048576 bytes; ask for fewer events at a time");
            assert_eq!(compression.decompress(&compressed, 64 << 20).expect("as much as allowed").len(), 64 << 20);
        }
    }

    #[test]
    fn damaged_bytes_are_an_error_and_never_a_panic() {
        for compression in ALL {
            let mut compressor = Compressor::new(compression, 10_000);
            assert!(compressor.add("paid ".repeat(300).as_bytes()));
            let compressed = compressor.finish();
            for length in 0..compressed.len() - 4 {
                let read = compression.decompress(&compressed[..length], 10_000).unwrap_or_default();
                assert!(read.len() < 1_500);
            }
            assert!(compression.decompress(b"not compressed", 10_000).is_err());
        }
    }

    #[test]
    fn blocks_of_lz4_are_added_as_they_are() {
        let text = br#"{"level":"info","path":"/api/v1/orders","status":200}"#.repeat(500);
        let block = lz4_flex::block::compress(&text);
        let mut compressor = Compressor::new(Compression::Lz4, 100_000);
        assert!(compressor.add(b"first"));
        assert!(compressor.add_lz4(&block, text.len()) && compressor.add_lz4(&block, text.len()));
        // A block of a frame may not hold so many.
        assert!(!compressor.add_lz4(&block, (256 << 10) + 1));
        assert!(compressor.pays());
        let compressed = compressor.finish_with(b"last");
        let expected = [b"first", &text[..], &text, b"last"].concat();
        assert_eq!(Compression::Lz4.decompress(&compressed, 100_000).expect("its own bytes"), expected);
        assert!(!Compressor::new(Compression::Zstd, 100_000).add_lz4(&block, text.len()));
        assert!(!Compressor::new(Compression::Lz4, block.len()).add_lz4(&block, text.len()));
    }

    #[test]
    fn one_part_may_be_larger_than_the_result() {
        for compression in ALL {
            let text = "paid ".repeat(10_000);
            let mut compressor = Compressor::new(compression, 2_000);
            assert!(!compressor.add(text.as_bytes()));
            assert!(compressor.squeeze(text.as_bytes()));
            let compressed = compressor.finish();
            assert!(compressed.len() <= 2_000);
            assert_eq!(compression.decompress(&compressed, 50_000).expect("its own bytes"), text.as_bytes());
            assert!(!Compressor::new(compression, 2_000).squeeze(&noise(10_000)));
        }
    }

    #[test]
    fn compression_pays_for_text_and_not_for_noise() {
        for compression in ALL {
            for (part, pays) in [(&noise(50_000)[..], false), ("paid ".repeat(10_000).as_bytes(), true)] {
                let mut compressor = Compressor::new(compression, 1 << 20);
                assert!(compressor.add(part));
                assert_eq!(compressor.pays(), pays, "{compression}");
            }
        }
    }
}
