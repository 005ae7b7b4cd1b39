//! Maps the errors of the driver to [`Error`].

use std::fmt;

use scylla::{
    client::pager::{NextPageError, NextRowError},
    errors::{
        ConnectionError, ConnectionPoolError, ConnectionSetupRequestErrorKind, DbError, ExecutionError, MetadataError,
        MetadataFetchErrorKind, NewSessionError, PagerExecutionError, PrepareError, RequestAttemptError, RequestError,
        SchemaAgreementError, UseKeyspaceError,
    },
};

use crate::{Error, ErrorKind};

use super::{ScyllaUrl, guardrail::Guardrail};

/// The context of a request that failed, whichever statement it was.
pub(super) const NO_ANSWER: &str = "the database did not answer the request; check its health and try again";

/// The reason why the database refuses a request, whichever node is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal<'e> {
    /// The user or the password is wrong or missing.
    Login,
    /// The user lacks a permission, which the text of the database names.
    Permission(&'e str),
    /// A guardrail.
    Guardrail(Guardrail<'e>),
}

impl<'e> Refusal<'e> {
    /// Returns the refusal in an error of the database with this text.
    fn of(error: &DbError, text: &'e str) -> Option<Self> {
        match error {
            DbError::AuthenticationError => Some(Self::Login),
            DbError::Unauthorized => Some(Self::Permission(text)),
            _ => Guardrail::named_in(text).map(Self::Guardrail),
        }
    }
}

/// An error of the driver that can say whether the database refused the request.
pub(super) trait DriverError: std::error::Error + Send + Sync + 'static {
    /// Returns the refusal that caused the error.
    fn refusal(&self) -> Option<Refusal<'_>>;
}

/// Returns the error of a request that failed.
///
/// It is [`ErrorKind::NotAllowed`] if the user lacks a permission, [`ErrorKind::Refused`] if a
/// guardrail forbids it, else [`ErrorKind::Unavailable`] with `context`.
pub(super) fn request_error(context: &str, error: impl DriverError) -> Error {
    let (kind, context) = match error.refusal() {
        None => (ErrorKind::Unavailable, context.to_owned()),
        Some(Refusal::Login) => {
            (ErrorKind::NotAllowed, "the database rejected the user; check the password".to_owned())
        }
        Some(Refusal::Permission(text)) => (ErrorKind::NotAllowed, permission_context(text)),
        Some(Refusal::Guardrail(guardrail)) => (ErrorKind::Refused, guardrail.refusal()),
    };
    Error::new(kind, context).because(error)
}

/// Says which permission is missing, and on what. Both databases use the same words.
fn permission_context(text: &str) -> String {
    let missing = text.split_once(" has no ").and_then(|(_, rest)| rest.split_once(" permission on <"));
    let missing = missing.and_then(|(name, rest)| Some((name, rest.split_once('>')?.0)));
    let (name, resource) = missing.unwrap_or(("SELECT or MODIFY", "the keyspace"));
    let advice = match name {
        "CREATE" | "ALTER" => ", or create the tables once as another user, with --migrate",
        _ => "",
    };
    format!(
        "the user of the database lacks the permission {name} on {resource}; ask its administrator to GRANT it{advice}"
    )
}

/// Returns the error of a session that could not be opened.
pub(super) fn connect_error(url: &ScyllaUrl, error: NewSessionError) -> Error {
    if error.refusal().is_none() {
        let context = format!("no database answers at {url:?}; check that it runs and that the address is right");
        return request_error(&context, error);
    }
    let context = match &url.user {
        Some((name, _)) => format!("the database at {url:?} rejected the user {name}; check the password"),
        None => format!(
            "the database at {url:?} requires a user and a password; give them as cql://user:password@… or as settings"
        ),
    };
    Error::new(ErrorKind::NotAllowed, context).because(error.to_string())
}

/// Returns the error of a response that cannot be decoded.
pub(super) fn unreadable(cause: &dyn fmt::Display) -> Error {
    Error::new(ErrorKind::Integrity, format!("unexpected response from the database: {cause}"))
}

impl DriverError for RequestAttemptError {
    fn refusal(&self) -> Option<Refusal<'_>> {
        match self {
            Self::DbError(error, text) => Refusal::of(error, text),
            _ => None,
        }
    }
}

impl DriverError for ConnectionError {
    fn refusal(&self) -> Option<Refusal<'_>> {
        match self {
            Self::ConnectionSetupRequestError(error) => match error.get_error() {
                ConnectionSetupRequestErrorKind::DbError(error, text) => Refusal::of(error, text),
                ConnectionSetupRequestErrorKind::MissingAuthentication
                | ConnectionSetupRequestErrorKind::StartAuthSessionError(_)
                | ConnectionSetupRequestErrorKind::AuthChallengeEvaluationError(_)
                | ConnectionSetupRequestErrorKind::AuthFinishError(_) => Some(Refusal::Login),
                _ => None,
            },
            Self::UseKeyspaceError(error) => error.refusal(),
            _ => None,
        }
    }
}

impl DriverError for ConnectionPoolError {
    fn refusal(&self) -> Option<Refusal<'_>> {
        match self {
            Self::Broken { last_connection_error } => last_connection_error.refusal(),
            _ => None,
        }
    }
}

impl DriverError for PrepareError {
    fn refusal(&self) -> Option<Refusal<'_>> {
        match self {
            Self::ConnectionPoolError(error) => error.refusal(),
            Self::AllAttemptsFailed { first_attempt } => first_attempt.refusal(),
            _ => None,
        }
    }
}

impl DriverError for UseKeyspaceError {
    fn refusal(&self) -> Option<Refusal<'_>> {
        match self {
            Self::RequestError(error) => error.refusal(),
            _ => None,
        }
    }
}

impl DriverError for SchemaAgreementError {
    fn refusal(&self) -> Option<Refusal<'_>> {
        match self {
            Self::ConnectionPoolError(error) => error.refusal(),
            Self::PrepareError(error) => error.refusal(),
            Self::RequestError(error) => error.refusal(),
            _ => None,
        }
    }
}

impl DriverError for MetadataError {
    fn refusal(&self) -> Option<Refusal<'_>> {
        match self {
            Self::ConnectionPoolError(error) => error.refusal(),
            Self::FetchError(error) => match &error.error {
                MetadataFetchErrorKind::PrepareError(error) => error.refusal(),
                MetadataFetchErrorKind::NextRowError(error) => error.refusal(),
                _ => None,
            },
            _ => None,
        }
    }
}

impl DriverError for NewSessionError {
    fn refusal(&self) -> Option<Refusal<'_>> {
        match self {
            Self::MetadataError(error) => error.refusal(),
            Self::UseKeyspaceError(error) => error.refusal(),
            _ => None,
        }
    }
}

impl DriverError for ExecutionError {
    fn refusal(&self) -> Option<Refusal<'_>> {
        match self {
            Self::PrepareError(error) => error.refusal(),
            Self::ConnectionPoolError(error) => error.refusal(),
            Self::LastAttemptError(error) => error.refusal(),
            Self::UseKeyspaceError(error) => error.refusal(),
            Self::SchemaAgreementError(error) => error.refusal(),
            Self::MetadataError(error) => error.refusal(),
            _ => None,
        }
    }
}

impl DriverError for RequestError {
    fn refusal(&self) -> Option<Refusal<'_>> {
        match self {
            Self::ConnectionPoolError(error) => error.refusal(),
            Self::LastAttemptError(error) => error.refusal(),
            _ => None,
        }
    }
}

impl DriverError for NextPageError {
    fn refusal(&self) -> Option<Refusal<'_>> {
        match self {
            Self::RequestFailure(error) => error.refusal(),
            _ => None,
        }
    }
}

impl DriverError for NextRowError {
    fn refusal(&self) -> Option<Refusal<'_>> {
        match self {
            Self::NextPageError(error) => error.refusal(),
            _ => None,
        }
    }
}

impl DriverError for PagerExecutionError {
    fn refusal(&self) -> Option<Refusal<'_>> {
        match self {
            Self::PrepareError(error) => error.refusal(),
            Self::NextPageError(error) => error.refusal(),
            Self::UseKeyspaceError(error) => error.refusal(),
            Self::SchemaAgreementError(error) => error.refusal(),
            Self::MetadataError(error) => error.refusal(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(error: DbError, text: &str) -> Error {
        request_error("x", ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, text.to_owned())))
    }

    #[test]
    fn only_a_refusal_by_type_is_not_allowed() {
        assert_eq!(of(DbError::AuthenticationError, "").kind(), ErrorKind::NotAllowed);
        assert_eq!(of(DbError::Unauthorized, "").kind(), ErrorKind::NotAllowed);
        // A table or a node may have such a word in its name.
        assert_eq!(of(DbError::ServerError, "authentication.events").kind(), ErrorKind::Unavailable);
    }

    #[test]
    fn a_missing_permission_is_named() {
        let said = |text: &str| of(DbError::Unauthorized, text).to_string();
        let create = said("User me has no CREATE permission on <all keyspaces> or any of its parents");
        assert!(create.contains("CREATE on all keyspaces") && create.contains("--migrate"), "{create}");
        let modify = said("User me has no MODIFY permission on <table k.sources> or any of its parents");
        assert!(modify.contains("MODIFY on table k.sources") && !modify.contains("--migrate"), "{modify}");
        let other = said("You shall not pass");
        assert!(other.contains("SELECT or MODIFY"), "{other}");
    }

    #[test]
    fn a_guardrail_is_refused_with_what_to_set() {
        let error = of(
            DbError::Invalid,
            "Guardrail minimum_timestamp violated: The modification to table sources has a timestamp 5 before the \
             minimum allowable failure threshold 7.",
        );
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains("minimum_timestamp_fail_threshold"), "{error}");
        assert_eq!(of(DbError::Invalid, "no such table").kind(), ErrorKind::Unavailable);
    }
}
