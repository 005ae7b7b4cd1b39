//! Errors of connections and publishes, as [`Error`]s that say what to do.

use std::io;

use async_nats::{
    ConnectError, ConnectErrorKind,
    jetstream::{
        self, ErrorCode,
        context::{PublishError, PublishErrorKind},
    },
    rustls,
};

use crate::{Error, ErrorKind, Sent};

/// Explains why no connection to `url` could be made.
///
/// The kind is [`ErrorKind::Unavailable`] exactly if a retry may help.
pub fn connect_error(url: &str, error: ConnectError) -> Error {
    use ConnectErrorKind as Kind;
    let url = without_secrets(url);
    let tls_cause = find_cause::<rustls::Error>(&error);
    let io_kind = find_cause::<io::Error>(&error).map(io::Error::kind);
    let (kind, text) = match (error.kind(), tls_cause, io_kind) {
        (Kind::ServerParse, ..) => {
            (ErrorKind::Invalid, format!("{url:?} is not an address of a NATS server; write nats://host:4222"))
        }
        (Kind::Authentication | Kind::AuthorizationViolation, ..) => (
            ErrorKind::NotAllowed,
            format!("the NATS server at {url} refuses the login; check the user, the password or the credentials"),
        ),
        // With `verify`, the client certificate is a login. A server that refuses it is like one that
        // refuses a password, so a process exits with the same code.
        (_, Some(cause), _) if refuses_certificate(cause) => (
            ErrorKind::NotAllowed,
            format!(
                "TLS with the NATS server at {url} failed: it refuses the client certificate, or there is none \
                 ({cause}); give a certificate that the server's CA has signed, and its key"
            ),
        ),
        // Every other failure of TLS is a wrong setting, like a wrong address: a CA that did not sign
        // the server's certificate, or TLS with a server that has none. A retry does not help.
        (_, Some(cause), _) => (
            ErrorKind::Invalid,
            format!(
                "TLS with the NATS server at {url} failed ({cause}); check the CA, the client certificate, and that \
                 the server speaks TLS"
            ),
        ),
        (Kind::Tls, ..) => (
            ErrorKind::Invalid,
            format!("TLS with the NATS server at {url} failed; check the files with the certificates and the key"),
        ),
        (Kind::Dns, ..) => (
            ErrorKind::Unavailable,
            format!("the host name of the NATS server at {url} cannot be resolved; check the address and the DNS"),
        ),
        (Kind::TimedOut, ..) | (_, _, Some(io::ErrorKind::TimedOut)) => return timeout_error(&url).because(error),
        (_, _, Some(io::ErrorKind::ConnectionRefused)) => (
            ErrorKind::Unavailable,
            format!(
                "no NATS server answers at {url}; the connection was refused: start one with nats-server -js, or give \
                 another address"
            ),
        ),
        (Kind::Io, _, io_kind) if io_kind.is_none_or(is_closed) => (
            ErrorKind::Unavailable,
            format!(
                "the server at {url} closed the connection before the login; check that it is a NATS server, and \
                 whether it expects TLS first or a client certificate"
            ),
        ),
        _ => (
            ErrorKind::Unavailable,
            format!("no NATS server answers at {url}; start one with nats-server -js, or give another address"),
        ),
    };
    Error::new(kind, text).because(error)
}

/// True if the server ended the handshake because of the client's certificate, or the lack of one.
fn refuses_certificate(error: &rustls::Error) -> bool {
    use rustls::AlertDescription as Alert;
    matches!(
        error,
        rustls::Error::AlertReceived(
            Alert::CertificateRequired
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
        )
    )
}

/// True if the other side ended the connection.
fn is_closed(kind: io::ErrorKind) -> bool {
    use io::ErrorKind as Kind;
    matches!(kind, Kind::UnexpectedEof | Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe)
}

/// Explains that no server at `url` answered within the time limit.
pub(super) fn timeout_error(url: &str) -> Error {
    let url = without_secrets(url);
    Error::new(
        ErrorKind::Unavailable,
        format!(
            "no NATS server answers at {url} in time; check the address and the firewall, and use TLS first if the \
             server does"
        ),
    )
}

/// Returns the first cause of the type `T`, also inside of an [`io::Error`].
fn find_cause<'a, T: std::error::Error + 'static>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a T> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        // The source of an `io::Error` is the source of the error in it, so that would be skipped.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// Explains why `stream`, a stream or a server as the user knows it, did not take an event.
///
/// [`Error::sent`] of the result tells if the stream may have it nevertheless.
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
    use PublishErrorKind as Kind;
    let sent = match (error.kind(), code) {
        // The server has answered, or there was nothing to answer.
        (_, Some(_)) | (Kind::StreamNotFound | Kind::MaxPayloadExceeded | Kind::MaxAckPending, _) => Sent::No,
        _ => Sent::Unknown,
    };
    Error::new(kind, text).with_sent(sent).because(error)
}

/// Returns the addresses in `url` without anything before an `@`: a user, a password, a token.
///
/// Works on text that is not a valid address too, so that a mistyped password is not shown either.
pub fn without_secrets(url: &str) -> String {
    let plain = |address: &str, is_after_logins: bool| match (address.split_once("://"), address.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        (None, Some((_, host))) => host.to_owned(),
        // A comma in a password has split the list there.
        (_, None) if !is_after_logins && !has_valid_port(address) => "…".to_owned(),
        (_, None) => address.to_owned(),
    };
    let last_login = url.rfind('@').unwrap_or(0);
    let mut at = 0;
    let parts = url.split(',').map(|address| {
        let is_after_logins = at >= last_login;
        at += address.len() + 1;
        plain(address.trim(), is_after_logins)
    });
    parts.collect::<Vec<_>>().join(",")
}

/// True if `address` has a number as its port, or no port.
fn has_valid_port(address: &str) -> bool {
    let host = address.split_once("://").map_or(address, |(_, host)| host).trim_end_matches('/');
    match host.rsplit_once(':') {
        Some((_, port)) => host.ends_with(']') || port.parse::<u16>().is_ok(),
        None => true,
    }
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
            ("one:4222,[::1],a:b@two", "one:4222,[::1],two"),
            ("nats://me:se,cret@host", "…,host"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }

    #[test]
    fn a_failed_connection_is_explained_by_its_cause() {
        use ConnectErrorKind as Kind;
        let tls = || rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let refused = || rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired);
        let io = io::Error::from;
        for (error, kind, text) in [
            (ConnectError::with_source(Kind::Io, io::Error::other(tls())), ErrorKind::Invalid, "TLS with"),
            (ConnectError::with_source(Kind::Tls, io(io::ErrorKind::InvalidData)), ErrorKind::Invalid, "TLS with"),
            (ConnectError::with_source(Kind::Dns, io::Error::other("x")), ErrorKind::Unavailable, "cannot be resolved"),
            (ConnectError::new(Kind::TimedOut), ErrorKind::Unavailable, "in time"),
            (ConnectError::from(io(io::ErrorKind::TimedOut)), ErrorKind::Unavailable, "in time"),
            (ConnectError::from(io(io::ErrorKind::ConnectionRefused)), ErrorKind::Unavailable, "was refused"),
            (ConnectError::from(io(io::ErrorKind::UnexpectedEof)), ErrorKind::Unavailable, "TLS first"),
            (ConnectError::with_source(Kind::Io, "expected INFO, got nothing"), ErrorKind::Unavailable, "TLS first"),
            (ConnectError::with_source(Kind::Io, io::Error::other(refused())), ErrorKind::NotAllowed, "TLS with"),
            (ConnectError::new(Kind::AuthorizationViolation), ErrorKind::NotAllowed, "refuses the login"),
        ] {
            let explained = connect_error("nats://me:secret@host", error);
            assert_eq!(explained.kind(), kind, "{explained}");
            assert!(explained.to_string().contains(text), "{explained}");
            assert!(explained.to_string().contains("host") && !explained.to_string().contains("secret"));
        }
    }
}
