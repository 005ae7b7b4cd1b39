//! Addresses of NATS servers, and the logins in them.

use async_nats::ServerAddr;
use percent_encoding::percent_decode_str;
use url::Url;

use crate::{Error, Result, nats::errors::without_secrets};

/// A user with a password, or a token.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Identity {
    User(String, String),
    Token(String),
}

/// An address, with its login apart: async-nats ignores a login in an address, and traces it.
pub(super) struct Address {
    pub(super) server: ServerAddr,
    pub(super) identity: Option<Identity>,
}

/// Parses addresses that are separated by commas.
pub(super) fn parse_addresses(servers: &str) -> Result<Vec<Address>> {
    let has_login = servers.contains('@');
    let parts = servers.split(',').map(str::trim).filter(|part| !part.is_empty());
    let addresses: Vec<Address> = parts.map(|part| parse_address(part, has_login)).collect::<Result<_>>()?;
    if addresses.is_empty() {
        return Err(Error::invalid("no address of a NATS server is given; write nats://host:4222"));
    }
    Ok(addresses)
}

/// Returns the login in the addresses. async-nats has one login for all its servers.
pub(super) fn common_identity<'a>(addresses: &'a [Address], servers: &str) -> Result<Option<&'a Identity>> {
    let mut identities = addresses.iter().filter_map(|address| address.identity.as_ref());
    let first = identities.next();
    if first.is_some_and(|first| identities.any(|other| other != first)) {
        return Err(Error::invalid(format!(
            "the addresses {} have different logins; use one login for all of them",
            without_secrets(servers)
        )));
    }
    Ok(first)
}

/// Parses one address. `has_login` is true if a login stands somewhere in the list: a comma in a
/// password splits the list in the wrong place.
fn parse_address(text: &str, has_login: bool) -> Result<Address> {
    let invalid = || {
        if has_login {
            // Not even the host is shown: it may be a part of the password.
            Error::invalid(
                "an address with a login cannot be read; write the special characters of its user, password or token \
                 percent-encoded, such as %40 for @, %2F for /, %2C for a comma and %25 for %",
            )
        } else {
            Error::invalid(format!("{text:?} is not an address of a NATS server; write nats://host:4222"))
        }
    };
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("nats://{text}") };
    let mut url = Url::parse(&with_scheme).map_err(|_| invalid())?;
    match url.scheme() {
        "nats" | "tls" => {}
        "ws" | "wss" => {
            return Err(Error::invalid(format!(
                "{} is a WebSocket address, which is not supported; give the server's nats:// or tls:// address, \
                 usually with port 4222",
                without_secrets(text)
            )));
        }
        _ => return Err(invalid()),
    }
    // A / ? or # in a password ends the host too early, and the rest of the login becomes a path.
    let has_rest = [url.path(), url.query().unwrap_or_default(), url.fragment().unwrap_or_default()]
        .iter()
        .any(|rest| rest.contains('@'));
    if has_rest || url.host_str().is_none_or(str::is_empty) {
        return Err(invalid());
    }
    // `Url` drops an empty password.
    let has_empty_password = with_scheme.rsplit_once('@').is_some_and(|(login, _)| login.ends_with(':'));
    let identity = match (url.username(), url.password().or(has_empty_password.then_some(""))) {
        ("", None) => None,
        (token, None) => Some(Identity::Token(decode(token).ok_or_else(invalid)?)),
        (user, Some(password)) => {
            Some(Identity::User(decode(user).ok_or_else(invalid)?, decode(password).ok_or_else(invalid)?))
        }
    };
    url.set_username("").map_err(|()| invalid())?;
    url.set_password(None).map_err(|()| invalid())?;
    let server = ServerAddr::from_url(url).map_err(|_| invalid())?;
    Ok(Address { server, identity })
}

/// Decodes percent-encoding. `None` for a `%` without two hexadecimal digits.
fn decode(text: &str) -> Option<String> {
    let is_encoded = text.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes().iter().take(2);
        digits.clone().count() == 2 && digits.clone().all(u8::is_ascii_hexdigit)
    });
    if !is_encoded {
        return None;
    }
    percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn user(user: &str, password: &str) -> Option<Identity> {
        Some(Identity::User(user.to_owned(), password.to_owned()))
    }

    fn token(token: &str) -> Option<Identity> {
        Some(Identity::Token(token.to_owned()))
    }

    #[test]
    fn addresses_are_split_and_their_login_is_decoded_and_taken_out() {
        let cases: [(&str, &[&str], Option<Identity>); 12] = [
            ("localhost", &["nats://localhost"], None),
            ("nats://a:4223", &["nats://a:4223"], None),
            ("a, tls://b:1,", &["nats://a", "tls://b:1"], None),
            ("[::1]:4222", &["nats://[::1]:4222"], None),
            ("nats://me:p%40ss@host", &["nats://host"], user("me", "p@ss")),
            ("nats://me:p@ss@host", &["nats://host"], user("me", "p@ss")),
            ("me:secret@host:1", &["nats://host:1"], user("me", "secret")),
            ("nats://me:@host", &["nats://host"], user("me", "")),
            ("nats://t%2Fk%25n@host", &["nats://host"], token("t/k%n")),
            ("token@host", &["nats://host"], token("token")),
            ("a,me:%2C@b", &["nats://a", "nats://b"], user("me", ",")),
            ("me:x@a,nats://me:x@b,c", &["nats://a", "nats://b", "nats://c"], user("me", "x")),
        ];
        for (text, servers, identity) in cases {
            let addresses = parse_addresses(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let parsed: Vec<_> = addresses.iter().map(|address| address.server.as_url_str()).collect();
            assert_eq!(parsed, servers, "{text}");
            let found = common_identity(&addresses, text).expect("the logins are equal");
            assert!(found.cloned() == identity, "{text} has another login");
        }
    }

    #[test]
    fn an_unusable_address_is_refused_with_the_reason_and_without_its_password() {
        for (text, reason) in [
            ("nats://me:se/cret@host", "percent-encoded"),
            ("nats://me:se?cret@host", "percent-encoded"),
            ("nats://me:se#cret@host", "percent-encoded"),
            ("nats://me:1/secret@host", "percent-encoded"),
            ("nats://me:se%cret@host", "percent-encoded"),
            ("nats://me:secret%ff@host", "percent-encoded"),
            ("nats://me:secret,x@host", "percent-encoded"),
            ("nats://secret%@host", "percent-encoded"),
            ("nats://me:secret@host:port", "percent-encoded"),
            ("ws://me:secret@host", "WebSocket"),
            ("wss://host", "nats://"),
            ("http://host", "write nats://host:4222"),
            ("nats://host:port", "write nats://host:4222"),
            ("nats://", "write nats://host:4222"),
            ("", "write nats://host:4222"),
            (",", "write nats://host:4222"),
        ] {
            let Err(error) = parse_addresses(text) else { panic!("{text} was accepted") };
            let shown = format!("{error} {error:?}");
            assert_eq!(error.kind(), ErrorKind::Invalid, "{shown}");
            assert!(shown.contains(reason), "{text}: {shown}");
            assert!(!shown.contains("cret") && !shown.contains("secret"), "{text}: {shown}");
        }
        let addresses = parse_addresses("me:secret@a,you:secret@b").expect("both are valid");
        let Err(error) = common_identity(&addresses, "me:secret@a,you:secret@b") else { panic!("two logins") };
        assert!(error.to_string().contains("a,b have different logins"), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
