//! Compressed files, recognised by their first bytes.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;
use hourlog::{Error, Result};

/// Size of the buffers for compressed and for plain bytes.
const BUFFER_BYTES: usize = 256 * 1024;
/// Bytes that tell the kinds of files apart.
const MAGIC_BYTES: usize = 6;

/// The kind of a file, as its first bytes show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Gzip,
    Zstandard,
}

/// An input whose bytes are plain.
pub(super) struct Plain {
    pub(super) reader: Box<dyn BufRead>,
    /// The input was compressed, so a failure to read it may mean that it is damaged.
    pub(super) compressed: bool,
}

/// Reads an input that may be compressed. Memory is bounded: zstd refuses windows of more than 128 MiB.
///
/// # Errors
/// [`ErrorKind::Invalid`](hourlog::ErrorKind::Invalid) for a file that must be converted first, with the command.
pub(super) fn plain(input: impl Read + 'static) -> io::Result<Result<Plain>> {
    let mut input = BufReader::with_capacity(BUFFER_BYTES, input);
    let mut head = Vec::with_capacity(MAGIC_BYTES);
    input.by_ref().take(MAGIC_BYTES as u64).read_to_end(&mut head)?;
    let kind = kind(&head);
    let whole = Cursor::new(head).chain(input);
    let reader: Box<dyn BufRead> = match kind {
        Err(error) => return Ok(Err(error)),
        Ok(Kind::Plain) => Box::new(whole),
        Ok(Kind::Gzip) => Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(whole))),
        Ok(Kind::Zstandard) => {
            let decoder = zstd::stream::read::Decoder::with_buffer(whole)?;
            Box::new(BufReader::with_capacity(BUFFER_BYTES, decoder))
        }
    };
    Ok(Ok(Plain { reader, compressed: kind.is_ok_and(|kind| kind != Kind::Plain) }))
}

fn kind(head: &[u8]) -> Result<Kind> {
    let command = match head {
        [0x1f, 0x8b, ..] => return Ok(Kind::Gzip),
        // A frame, or a skippable frame before it, as pzstd writes.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => return Ok(Kind::Zstandard),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => "xz -dc",
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => "bzip2 -dc",
        [0x04, 0x22, 0x4d, 0x18, ..] => "lz4 -dc",
        [b'P', b'K', 3, 4, ..] => "unzip -p",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "iconv -f UTF-16 -t UTF-8",
        _ => return Ok(Kind::Plain),
    };
    Err(Error::invalid(format!(
        "the file is not plain, gzip or zstd; convert it with: {command} FILE | hourlog import -"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_files_are_recognised_by_their_first_bytes() {
        for (head, expected) in [
            (&b"{\"log\""[..], Some(Kind::Plain)),
            (b"", Some(Kind::Plain)),
            (b"\x1f\x8b\x08", Some(Kind::Gzip)),
            (b"\x28\xb5\x2f\xfd\x04\x00", Some(Kind::Zstandard)),
            (b"\x50\x2a\x4d\x18\x00\x00", Some(Kind::Zstandard)),
            (b"\xfd7zXZ\x00", None),
            (b"BZh91A", None),
            (b"\xff\xfe{\x00\n\x00", None),
        ] {
            assert_eq!(kind(head).ok(), expected, "{head:?}");
        }
        let error = kind(b"\xfd7zXZ\x00").expect_err("xz is not read").to_string();
        assert!(error.ends_with("xz -dc FILE | hourlog import -"), "{error}");
    }
}
