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

use super::ScyllaUrl;

/// The context of a request that failed, whichever statement it was.
pub(super) const NO_ANSWER: &str = "the database did not answer the request; check its health and try again";

/// An error of the driver that can say whether the database refused the user.
pub(super) trait DriverError: std::error::Error + Send + Sync + 'static {
    /// Returns true if the database rejected the login, or the user lacks a permission.
    fn is_not_allowed(&self) -> bool;
}

/// Returns the error of a request that failed.
///
/// It is [`ErrorKind::NotAllowed`] if the database refused the user, else
/// [`ErrorKind::Unavailable`].
pub(super) fn request_error(context: &str, error: impl DriverError) -> Error {
    let kind = if error.is_not_allowed() { ErrorKind::NotAllowed } else { ErrorKind::Unavailable };
    Error::new(kind, context.to_owned()).because(error)
}

/// Returns the error of a session that could not be opened.
pub(super) fn connect_error(url: &ScyllaUrl, error: NewSessionError) -> Error {
    if !error.is_not_allowed() {
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

impl DriverError for DbError {
    fn is_not_allowed(&self) -> bool {
        matches!(self, Self::AuthenticationError | Self::Unauthorized)
    }
}

impl DriverError for RequestAttemptError {
    fn is_not_allowed(&self) -> bool {
        matches!(self, Self::DbError(error, _) if error.is_not_allowed())
    }
}

impl DriverError for ConnectionError {
    fn is_not_allowed(&self) -> bool {
        match self {
            Self::ConnectionSetupRequestError(error) => match error.get_error() {
                ConnectionSetupRequestErrorKind::DbError(error, _) => error.is_not_allowed(),
                ConnectionSetupRequestErrorKind::MissingAuthentication
                | ConnectionSetupRequestErrorKind::StartAuthSessionError(_)
                | ConnectionSetupRequestErrorKind::AuthChallengeEvaluationError(_)
                | ConnectionSetupRequestErrorKind::AuthFinishError(_) => true,
                _ => false,
            },
            Self::UseKeyspaceError(error) => error.is_not_allowed(),
            _ => false,
        }
    }
}

impl DriverError for ConnectionPoolError {
    fn is_not_allowed(&self) -> bool {
        matches!(self, Self::Broken { last_connection_error } if last_connection_error.is_not_allowed())
    }
}

impl DriverError for PrepareError {
    fn is_not_allowed(&self) -> bool {
        match self {
            Self::ConnectionPoolError(error) => error.is_not_allowed(),
            Self::AllAttemptsFailed { first_attempt } => first_attempt.is_not_allowed(),
            _ => false,
        }
    }
}

impl DriverError for UseKeyspaceError {
    fn is_not_allowed(&self) -> bool {
        matches!(self, Self::RequestError(error) if error.is_not_allowed())
    }
}

impl DriverError for SchemaAgreementError {
    fn is_not_allowed(&self) -> bool {
        match self {
            Self::ConnectionPoolError(error) => error.is_not_allowed(),
            Self::PrepareError(error) => error.is_not_allowed(),
            Self::RequestError(error) => error.is_not_allowed(),
            _ => false,
        }
    }
}

impl DriverError for MetadataError {
    fn is_not_allowed(&self) -> bool {
        match self {
            Self::ConnectionPoolError(error) => error.is_not_allowed(),
            Self::FetchError(error) => {
                matches!(&error.error, MetadataFetchErrorKind::PrepareError(error) if error.is_not_allowed())
                    || matches!(
                        &error.error,
                        MetadataFetchErrorKind::NextRowError(error) if error.is_not_allowed()
                    )
            }
            _ => false,
        }
    }
}

impl DriverError for NewSessionError {
    fn is_not_allowed(&self) -> bool {
        match self {
            Self::MetadataError(error) => error.is_not_allowed(),
            Self::UseKeyspaceError(error) => error.is_not_allowed(),
            _ => false,
        }
    }
}

impl DriverError for ExecutionError {
    fn is_not_allowed(&self) -> bool {
        match self {
            Self::PrepareError(error) => error.is_not_allowed(),
            Self::ConnectionPoolError(error) => error.is_not_allowed(),
            Self::LastAttemptError(error) => error.is_not_allowed(),
            Self::UseKeyspaceError(error) => error.is_not_allowed(),
            Self::SchemaAgreementError(error) => error.is_not_allowed(),
            Self::MetadataError(error) => error.is_not_allowed(),
            _ => false,
        }
    }
}

impl DriverError for RequestError {
    fn is_not_allowed(&self) -> bool {
        match self {
            Self::ConnectionPoolError(error) => error.is_not_allowed(),
            Self::LastAttemptError(error) => error.is_not_allowed(),
            _ => false,
        }
    }
}

impl DriverError for NextPageError {
    fn is_not_allowed(&self) -> bool {
        matches!(self, Self::RequestFailure(error) if error.is_not_allowed())
    }
}

impl DriverError for NextRowError {
    fn is_not_allowed(&self) -> bool {
        matches!(self, Self::NextPageError(error) if error.is_not_allowed())
    }
}

impl DriverError for PagerExecutionError {
    fn is_not_allowed(&self) -> bool {
        match self {
            Self::PrepareError(error) => error.is_not_allowed(),
            Self::NextPageError(error) => error.is_not_allowed(),
            Self::UseKeyspaceError(error) => error.is_not_allowed(),
            Self::SchemaAgreementError(error) => error.is_not_allowed(),
            Self::MetadataError(error) => error.is_not_allowed(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_by_type_is_not_allowed() {
        let of = |error: DbError, text: &str| {
            let attempt = RequestAttemptError::DbError(error, text.to_owned());
            request_error("x", ExecutionError::LastAttemptError(attempt)).kind()
        };
        assert_eq!(of(DbError::AuthenticationError, ""), ErrorKind::NotAllowed);
        assert_eq!(of(DbError::Unauthorized, ""), ErrorKind::NotAllowed);
        // A table or a node may have such a word in its name.
        assert_eq!(of(DbError::ServerError, "authentication.events"), ErrorKind::Unavailable);
    }
}
