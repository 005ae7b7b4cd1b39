//! Errors of connections and publishes, as [`Error`]s that say what to do.

use async_nats::{
    ConnectError, ConnectErrorKind,
    jetstream::{
        self, ErrorCode,
        context::{PublishError, PublishErrorKind},
    },
};

use crate::{Error, ErrorKind};

/// Explains why no connection to `url` could be made.
pub fn connect_error(url: &str, error: ConnectError) -> Error {
    use ConnectErrorKind as Kind;
    let url = without_secrets(url);
    let (kind, text) = match error.kind() {
        Kind::ServerParse => {
            (ErrorKind::Invalid, format!("{url:?} is not an address of a NATS server; write nats://host:4222"))
        }
        Kind::Authentication | Kind::AuthorizationViolation => (
            ErrorKind::NotAllowed,
            format!("the NATS server at {url} refuses the login; check the user, the password or the credentials"),
        ),
        Kind::Tls => (ErrorKind::Unavailable, format!("TLS with {url} failed; check the certificates")),
        _ => (
            ErrorKind::Unavailable,
            format!("no NATS server answers at {url}; start one with nats-server -js, or give another address"),
        ),
    };
    Error::new(kind, text).because(error)
}

/// Explains why `stream`, a stream or a server as the user knows it, did not take an event.
pub fn publish_error(stream: &str, error: PublishError) -> Error {
    let code = std::error::Error::source(&error)
        .and_then(|source| source.downcast_ref::<jetstream::Error>())
        .map(jetstream::Error::error_code);
    let (kind, text) = match (error.kind(), code) {
        (PublishErrorKind::MaxPayloadExceeded, _) | (_, Some(ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM)) => {
            (ErrorKind::TooLarge, format!("the event is larger than {stream} takes; send it in parts"))
        }
        (PublishErrorKind::StreamNotFound, _) => {
            (ErrorKind::Unavailable, format!("{stream} does not exist; start hourlogd, which creates it"))
        }
        (
            _,
            Some(
                ErrorCode::STREAM_STORE_FAILED
                | ErrorCode::INSUFFICIENT_RESOURCES
                | ErrorCode::ACCOUNT_RESOURCES_EXCEEDED,
            ),
        ) => (
            ErrorKind::Refused,
            format!(
                "{stream} is full (max_bytes): the archive must catch up first; hourlog doctor says why it has not"
            ),
        ),
        (PublishErrorKind::TimedOut, _) => (
            ErrorKind::Unavailable,
            format!("{stream} has not acknowledged the event in time; hourlog doctor says why"),
        ),
        _ => (ErrorKind::Unavailable, format!("{stream} did not take the event; hourlog doctor says why")),
    };
    Error::new(kind, text).because(error)
}

/// Returns the addresses in `url` without anything before an `@`: a user, a password, a token.
///
/// Works on text that is not a valid address too, so that a mistyped password is not shown either.
pub fn without_secrets(url: &str) -> String {
    let plain = |address: &str| match (address.split_once("://"), address.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        (None, Some((_, host))) => host.to_owned(),
        (_, None) => address.to_owned(),
    };
    url.split(',').map(|address| plain(address.trim())).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        for (url, shown) in [
            ("nats://127.0.0.1:4222", "nats://127.0.0.1:4222"),
            ("nats://me:se@cret@host:4222", "nats://host:4222"),
            ("nats://me:pa?s/s@host:4222", "nats://host:4222"),
            ("token@host", "host"),
            ("tls://a:b@one,two:4223", "tls://one,two:4223"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }
}
