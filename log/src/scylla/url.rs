//! Where a database is: `cql://user:pass@host:9042,host2/keyspace?replication=3&dc=eu&consistency=quorum`.

use std::{path::PathBuf, str::FromStr};

use scylla::statement::Consistency;

use crate::{Error, Result};

const EXAMPLE: &str = "one looks like cql://user:pass@host:9042,host2/keyspace?replication=3";

/// A database, and how to use it.
#[derive(Clone, PartialEq, Eq)]
pub struct ScyllaUrl {
    /// `host` or `host:port`, at least one.
    pub nodes: Vec<String>,
    /// A user, and their password.
    pub user: Option<(String, String)>,
    /// The keyspace, made if it is not there.
    pub keyspace: String,
    /// How many copies of everything there are, when the keyspace is made.
    pub replication: u32,
    /// The data centre whose nodes are asked, and that holds the copies.
    pub datacenter: Option<String>,
    /// How many copies have to agree.
    pub consistency: Consistency,
    /// Whom to trust, where it is talked to by TLS.
    pub tls: Option<Tls>,
}

/// Whose certificates are trusted. A node's has to name its IP address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// The authorities that the system trusts.
    System,
    /// The one in this file, as PEM.
    Authority(PathBuf),
}

impl FromStr for ScyllaUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: &str| Error::invalid(format!("this is no address of a CQL database: {why}; {EXAMPLE}"));
        let rest = text.strip_prefix("cql://").ok_or_else(|| wrong("it does not begin with cql://"))?;
        let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (hosts, keyspace) = rest.rsplit_once('/').ok_or_else(|| wrong("it names no keyspace"))?;
        let (user, hosts) = match hosts.rsplit_once('@') {
            Some((user, hosts)) => {
                (Some(user.split_once(':').ok_or_else(|| wrong("the user has no password"))?), hosts)
            }
            None => (None, hosts),
        };
        let nodes: Vec<String> = hosts.split(',').map(str::to_owned).collect();
        if nodes.iter().any(String::is_empty) {
            return Err(wrong("a host has no name"));
        }
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !(1..=48).contains(&keyspace.len())
            || !keyspace.bytes().all(plain)
            || !keyspace.starts_with(|first: char| first.is_ascii_lowercase())
        {
            return Err(wrong("a keyspace has up to 48 of a-z, 0-9 and _, and begins with a letter"));
        }
        let mut url = Self {
            nodes,
            user: user.map(|(name, password)| (name.to_owned(), password.to_owned())),
            keyspace: keyspace.to_owned(),
            replication: 1,
            datacenter: None,
            consistency: Consistency::LocalQuorum,
            tls: None,
        };
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("replication", copies)) => {
                    let copies = copies.parse().ok().filter(|copies| (1..=99).contains(copies));
                    url.replication = copies.ok_or_else(|| wrong("replication is a number from 1 on"))?;
                }
                Some(("dc", name))
                    if !name.is_empty()
                        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)) =>
                {
                    url.datacenter = Some(name.to_owned());
                }
                Some(("consistency", name)) => {
                    url.consistency = match name {
                        "quorum" => Consistency::Quorum,
                        "local_quorum" => Consistency::LocalQuorum,
                        "all" => Consistency::All,
                        _ => {
                            return Err(wrong(
                                "consistency is quorum, local_quorum or all: what was written has to be read",
                            ));
                        }
                    };
                }
                Some(("tls", "system")) => url.tls = Some(Tls::System),
                Some(("tls", file)) if !file.is_empty() => url.tls = Some(Tls::Authority(file.into())),
                _ => return Err(wrong("its options are replication, dc, consistency and tls")),
            }
        }
        Ok(url)
    }
}

impl std::fmt::Debug for ScyllaUrl {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cql://{}/{}", self.nodes.join(","), self.keyspace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_where_and_how() {
        let url: ScyllaUrl = "cql://me:se@cret@a:9042,b/events?replication=3&dc=eu-1&consistency=quorum&tls=/ca.pem"
            .parse()
            .expect("good");
        assert_eq!(url.nodes, ["a:9042", "b"]);
        assert_eq!(url.user, Some(("me".to_owned(), "se@cret".to_owned())));
        assert_eq!((url.keyspace.as_str(), url.replication, url.datacenter.as_deref()), ("events", 3, Some("eu-1")));
        assert_eq!((url.consistency, url.tls.clone()), (Consistency::Quorum, Some(Tls::Authority("/ca.pem".into()))));
        assert!(!format!("{url:?}").contains("cret"));
    }

    #[test]
    fn a_bad_address_says_what_is_wrong() {
        for (text, says) in [
            ("redis://a/b", "cql://"),
            ("cql://a", "keyspace"),
            ("cql://a/", "keyspace"),
            ("cql://a/B", "keyspace"),
            ("cql://a/b; drop", "keyspace"),
            ("cql://,/b", "host"),
            ("cql://me@a/b", "password"),
            ("cql://a/b?replication=0", "replication"),
            ("cql://a/b?consistency=any", "consistency"),
            ("cql://a/b?consistency=one", "has to be read"),
            ("cql://a/b?dc=x'y", "options"),
            ("cql://a/b?tls", "options"),
        ] {
            let error = text.parse::<ScyllaUrl>().expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
