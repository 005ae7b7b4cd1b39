//! Values as people write them in flags, variables and the configuration file: sizes, times and
//! addresses.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
    time::Duration,
};

use hourlog::{Error, Result, wire::Span};
use serde::{Deserialize, Deserializer, de::Error as _};
use tokio::net::{TcpListener, lookup_host};

/// A value in a TOML file: a number, or text with a unit.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u64),
    Text(String),
}

impl Written {
    /// Parses the value by the rules of the flags.
    fn parse<'de, T: FromStr<Err = Error>, D: Deserializer<'de>>(source: D) -> Result<T, D::Error> {
        let text = match Self::deserialize(source)? {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
        };
        text.parse().map_err(D::Error::custom)
    }
}

/// A size in bytes, written `1GB`, `64MiB`, `500k` or `1048576`. At most `i64::MAX`, the limit of
/// NATS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSize(u64);

/// Units in lower case, without the `b` or `ib` at the end.
const SIZE_UNITS: [(&str, u64, u64); 5] = [
    ("", 1, 1),
    ("k", 1_000, 1 << 10),
    ("m", 1_000_000, 1 << 20),
    ("g", 1_000_000_000, 1 << 30),
    ("t", 1_000_000_000_000, 1 << 40),
];

impl ByteSize {
    /// Returns the size in bytes.
    pub(crate) fn bytes(self) -> u64 {
        self.0
    }

    /// Returns the size in bytes as NATS writes it.
    pub(crate) fn signed_bytes(self) -> i64 {
        i64::try_from(self.0).expect("parsing limits the size")
    }
}

impl FromStr for ByteSize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::invalid(format!("{text:?} is not a size; write 1GB, 64MiB, 500k or a number of bytes"));
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim_start().to_ascii_lowercase();
        let (prefix, is_binary) = match unit.strip_suffix('b').unwrap_or(&unit).strip_suffix('i') {
            Some(prefix) => (prefix, true),
            None => (unit.strip_suffix('b').unwrap_or(&unit), false),
        };
        let known = SIZE_UNITS.iter().find(|(known, ..)| *known == prefix);
        let (_, decimal, binary) = known.filter(|_| !is_binary || !prefix.is_empty()).ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let bytes = number.checked_mul(if is_binary { *binary } else { *decimal }).ok_or_else(wrong)?;
        i64::try_from(bytes).map(|_| Self(bytes)).map_err(|_| wrong())
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        Written::parse(source)
    }
}

/// A length of time, written `5m`, `1h30m`, or as a number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(Duration);

impl Seconds {
    /// Returns the length of time.
    pub(crate) fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Seconds {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.parse() {
            Ok(seconds) => Ok(Self(Duration::from_secs(seconds))),
            Err(_) => text.parse().map(|span: Span| Self(span.duration())),
        }
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        Written::parse(source)
    }
}

/// An address to listen on: `127.0.0.1:9464`, `localhost:9464`, or `:9464` for all interfaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddress(String);

impl ListenAddress {
    /// Listens on the first address that can be bound.
    pub(crate) async fn bind(&self) -> std::io::Result<TcpListener> {
        let addresses: Vec<SocketAddr> = match self.0.strip_prefix(':') {
            // An IPv6 socket serves IPv4 too. Some hosts have no IPv6.
            Some(port) => {
                let port = port.parse().map_err(std::io::Error::other)?;
                vec![(Ipv6Addr::UNSPECIFIED, port).into(), (Ipv4Addr::UNSPECIFIED, port).into()]
            }
            None => lookup_host(&self.0).await?.collect(),
        };
        TcpListener::bind(&*addresses).await
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ListenAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let is_host = |host: &str| !host.contains([':', '/', '[', ']', ' ']);
        let is_address = text.parse::<SocketAddr>().is_ok()
            || text.rsplit_once(':').is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok());
        is_address.then(|| Self(text.to_owned())).ok_or_else(|| {
            Error::invalid(format!("{text:?} is not an address; write :9464, localhost:9464 or 127.0.0.1:9464"))
        })
    }
}

impl<'de> Deserialize<'de> for ListenAddress {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        Written::parse(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_decimal_or_a_binary_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("1048576", 1_048_576),
            ("12b", 12),
            ("500k", 500_000),
            ("500K", 500_000),
            ("500 kB", 500_000),
            ("64MiB", 64 << 20),
            ("64Mi", 64 << 20),
            ("1GB", 1_000_000_000),
            ("1g", 1_000_000_000),
            ("1GiB", 1 << 30),
            ("2TiB", 2 << 40),
            ("9223372036854775807", i64::MAX.unsigned_abs()),
        ] {
            assert_eq!(text.parse::<ByteSize>().expect("the size is valid").bytes(), bytes, "{text}");
        }
        for text in ["", "GB", "-1", "1.5GB", "1XB", "1iB", "1 i", "1kk", "9223372036854775808", "9000000000000TB"] {
            let error = text.parse::<ByteSize>().expect_err(text).to_string();
            assert!(error.contains("write 1GB, 64MiB, 500k"), "{error}");
        }
    }

    #[test]
    fn a_length_of_time_has_a_unit_or_is_in_seconds() {
        for (text, seconds) in [("0", 0), ("90", 90), ("90s", 90), ("5m", 300), ("1h30m", 5_400), ("7d", 604_800)] {
            let parsed: Seconds = text.parse().expect("the length is valid");
            assert_eq!(parsed.duration(), Duration::from_secs(seconds), "{text}");
        }
        for text in ["", "-5", "5 minutes", "1.5"] {
            assert!(text.parse::<Seconds>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn an_address_may_lack_the_host_or_name_it() {
        for text in [":9464", "localhost:9464", "127.0.0.1:0", "[::1]:9464", "hourlog.example.com:80"] {
            assert_eq!(text.parse::<ListenAddress>().expect("the address is valid").to_string(), text);
        }
        for text in ["", "9464", "localhost", "localhost:", ":99999", "::1:9464", "http://localhost:9464"] {
            assert!(text.parse::<ListenAddress>().is_err(), "{text:?} was accepted");
        }
    }

    #[tokio::test]
    async fn an_address_without_a_host_listens_on_all_interfaces() {
        for (text, is_everywhere) in [(":0", true), ("localhost:0", false)] {
            let address: ListenAddress = text.parse().expect("the address is valid");
            let listener = address.bind().await.expect("a free port can be bound");
            let bound = listener.local_addr().expect("the listener has an address");
            assert_eq!((bound.ip().is_unspecified(), bound.ip().is_loopback()), (is_everywhere, !is_everywhere));
        }
    }
}
