//! The URL of a database:
//! `cql://user:pass@host:9042,host2/keyspace?replication=3&dc=eu&consistency=quorum`.

use std::{borrow::Cow, path::PathBuf, str::FromStr};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use scylla::statement::Consistency;
use url::Url;

use crate::{Error, Result};

const EXAMPLE: &str = "write cql://user:pass@host:9042,host2/keyspace?replication=3";

/// Characters that end or change a part of a URL. They are encoded before the `url` crate sees
/// them.
const DELIMITERS: &AsciiSet = &CONTROLS.add(b' ').add(b'/').add(b'?').add(b'#').add(b'@');

/// The address of a database, and how to use it.
///
/// ```
/// # fn main() -> hourlog::Result<()> {
/// let url: hourlog::store::ScyllaUrl = "cql://me:a%40b@node1:9042,node2/events?replication=3".parse()?;
/// assert_eq!(url.nodes, ["node1:9042", "node2"]);
/// assert_eq!(url.user, Some(("me".to_owned(), "a@b".to_owned())));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ScyllaUrl {
    /// The nodes to contact first, as `host` or `host:port`; at least one.
    pub nodes: Vec<String>,
    /// The user and the password, decoded.
    pub user: Option<(String, String)>,
    /// The keyspace. A migration creates it if it is missing.
    pub keyspace: String,
    /// The number of copies of every row, if the keyspace is created.
    pub replication: u32,
    /// The data centre whose nodes are used, and that holds the copies.
    pub datacenter: Option<String>,
    /// The copies that must acknowledge a read or a write.
    pub consistency: Consistency,
    /// The certificates to trust, if TLS is used.
    pub tls: Option<Tls>,
}

/// The certificates to trust. The certificate of a node must name its IP address.
///
/// ```
/// use hourlog::store::{ScyllaUrl, Tls};
/// let url: ScyllaUrl = "cql://node1/events?tls=/etc/ca.pem".parse()?;
/// assert_eq!(url.tls, Some(Tls::Authority("/etc/ca.pem".into())));
/// let url: ScyllaUrl = "cql://node1/events?tls=system".parse()?;
/// assert_eq!(url.tls, Some(Tls::System));
/// # Ok::<(), hourlog::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// The CA certificates of the system.
    System,
    /// The CA certificates in this PEM file.
    Authority(PathBuf),
}

impl FromStr for ScyllaUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let rest = text.strip_prefix("cql://").ok_or_else(|| invalid("it does not begin with cql://"))?;
        let (login, rest) = split_login(rest);
        if login.is_some_and(|login| !login.contains(':')) {
            return Err(invalid("the user has no password"));
        }
        let (hosts, rest) = rest.split_once('/').ok_or_else(|| invalid("it names no keyspace"))?;
        let (keyspace, options) = rest.split_once('?').unwrap_or((rest, ""));
        let nodes: Vec<String> = hosts.split(',').map(str::to_owned).collect();
        if !nodes.iter().all(|node| is_host(node)) {
            return Err(invalid("every host is NAME or NAME:PORT"));
        }
        if !is_keyspace(keyspace) {
            return Err(invalid("a keyspace has up to 48 of a-z, 0-9 and _, and begins with a letter"));
        }
        // The `url` crate accepts one host only.
        let login = login.map(|login| format!("{}@", utf8_percent_encode(login, DELIMITERS))).unwrap_or_default();
        let options = utf8_percent_encode(options, DELIMITERS);
        let parsed = Url::parse(&format!("cql://{login}{}/?{options}", nodes[0]));
        let parsed = parsed.map_err(|error| invalid("it cannot be parsed").because(error))?;
        let user = if login.is_empty() {
            None
        } else {
            let password = parsed.password().unwrap_or_default();
            Some((decode(parsed.username())?.into_owned(), decode(password)?.into_owned()))
        };
        let mut url = Self {
            nodes,
            user,
            keyspace: keyspace.to_owned(),
            replication: 1,
            datacenter: None,
            consistency: Consistency::LocalQuorum,
            tls: None,
        };
        for option in parsed.query().unwrap_or_default().split('&').filter(|option| !option.is_empty()) {
            // Not `query_pairs`, which turns a `+` in a file name into a space.
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            url.set_option(name, &decode(value)?)?;
        }
        Ok(url)
    }
}

impl ScyllaUrl {
    fn set_option(&mut self, name: &str, value: &str) -> Result<()> {
        match (name, value) {
            ("replication", copies) => {
                let copies = copies.parse().ok().filter(|copies| (1..=99).contains(copies));
                self.replication = copies.ok_or_else(|| invalid("replication is a number from 1 to 99"))?;
            }
            ("dc", name)
                if !name.is_empty()
                    && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)) =>
            {
                self.datacenter = Some(name.to_owned());
            }
            ("consistency", name) => {
                self.consistency = match name {
                    "quorum" => Consistency::Quorum,
                    "local_quorum" => Consistency::LocalQuorum,
                    "all" => Consistency::All,
                    _ => {
                        return Err(invalid(
                            "consistency is quorum, local_quorum or all, because every write must be readable",
                        ));
                    }
                };
            }
            ("tls", "system") => self.tls = Some(Tls::System),
            ("tls", file) if !file.is_empty() => self.tls = Some(Tls::Authority(file.into())),
            _ => return Err(invalid("its options are replication, dc, consistency and tls, each as NAME=VALUE")),
        }
        Ok(())
    }
}

fn invalid(reason: &str) -> Error {
    Error::invalid(format!("not a valid address of a CQL database: {reason}; {EXAMPLE}"))
}

/// Splits the login off what follows `cql://`.
///
/// A password may contain raw `@`, `/` and `?`. The login therefore ends at the first `@` that is
/// followed by hosts and a keyspace.
fn split_login(rest: &str) -> (Option<&str>, &str) {
    let names_keyspace = |text: &str| {
        text.split_once('/').is_some_and(|(hosts, rest)| {
            let keyspace = rest.split_once('?').map_or(rest, |(keyspace, _)| keyspace);
            hosts.split(',').all(is_host) && is_keyspace(keyspace)
        })
    };
    if names_keyspace(rest) {
        return (None, rest);
    }
    let found = rest.match_indices('@').map(|(at, _)| at).find(|at| names_keyspace(&rest[at + 1..]));
    // None is valid. The last `@` before the options leads to the most useful error.
    let before_options = rest.split_once('?').map_or(rest, |(before, _)| before);
    match found.or_else(|| before_options.rfind('@')) {
        Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
        None => (None, rest),
    }
}

/// Returns true for a name or an address, with or without a port.
fn is_host(text: &str) -> bool {
    let parsed = if text.contains(['/', '?', '#', '@']) { None } else { Url::parse(&format!("cql://{text}")).ok() };
    parsed.is_some_and(|url| url.has_host())
}

fn is_keyspace(name: &str) -> bool {
    (1..=48).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && name.starts_with(|first: char| first.is_ascii_lowercase())
}

/// Decodes the percent escapes of `text`. A `%` without two hexadecimal digits stays.
fn decode(text: &str) -> Result<Cow<'_, str>> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map_err(|_| invalid("a percent escape is not UTF-8, and a % is written as %25"))
}

impl std::fmt::Debug for ScyllaUrl {
    /// Omits the login.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cql://{}/{}", self.nodes.join(","), self.keyspace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user_of(text: &str) -> Option<(String, String)> {
        text.parse::<ScyllaUrl>().expect(text).user
    }

    #[test]
    fn a_url_names_nodes_keyspace_and_options() {
        let url: ScyllaUrl = "cql://me:se@cret@a:9042,b/events?replication=3&dc=eu-1&consistency=quorum&tls=/ca.pem"
            .parse()
            .expect("a valid URL");
        assert_eq!(url.nodes, ["a:9042", "b"]);
        assert_eq!(url.user, Some(("me".to_owned(), "se@cret".to_owned())));
        assert_eq!((url.keyspace.as_str(), url.replication, url.datacenter.as_deref()), ("events", 3, Some("eu-1")));
        assert_eq!((url.consistency, url.tls.clone()), (Consistency::Quorum, Some(Tls::Authority("/ca.pem".into()))));
        assert!(!format!("{url:?}").contains("cret"));
    }

    #[test]
    fn a_password_may_contain_reserved_characters_encoded_or_not() {
        for (written, password) in [
            ("%3F%40%25%2F%3A%23", "?@%/:#"),
            ("a?b", "a?b"),
            ("a@b", "a@b"),
            ("a/b", "a/b"),
            ("a#b", "a#b"),
            ("a:b", "a:b"),
            ("100%", "100%"),
            ("a%zz+b", "a%zz+b"),
            ("", ""),
            ("s%C3%A9 cret", "sé cret"),
        ] {
            let expected = Some(("m e".to_owned(), password.to_owned()));
            assert_eq!(user_of(&format!("cql://m%20e:{written}@a:9042,[::1]:9042/b?tls=/x@y/ca.pem")), expected);
        }
        assert_eq!(user_of("cql://a,b/c?tls=/x@y/c"), None);
    }

    #[test]
    fn option_values_are_percent_decoded() {
        let url: ScyllaUrl = "cql://a/b?tls=/my%20ca+1.pem".parse().expect("a valid URL");
        assert_eq!(url.tls, Some(Tls::Authority("/my ca+1.pem".into())));
    }

    #[test]
    fn an_invalid_url_says_what_to_write() {
        for (text, says) in [
            ("redis://a/b", "cql://"),
            ("cql://a", "keyspace"),
            ("cql://a/", "keyspace"),
            ("cql://a/B", "keyspace"),
            ("cql://a/b; drop", "keyspace"),
            ("cql://,/b", "host"),
            ("cql://a:port/b", "host"),
            ("cql://me@a/b", "password"),
            ("cql://me:%FF@a/b", "UTF-8"),
            ("cql://a/b?replication=0", "replication"),
            ("cql://a/b?consistency=any", "consistency"),
            ("cql://a/b?consistency=one", "must be read"),
            ("cql://a/b?dc=x'y", "options"),
            ("cql://a/b?tls", "options"),
        ] {
            let error = text.parse::<ScyllaUrl>().expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
