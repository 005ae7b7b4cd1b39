//! Permissions that the server denies on an open connection.

use async_nats::Event;
use hourlog::{Error, ErrorKind};
use tokio::sync::{
    broadcast::{self, error::RecvError},
    watch,
};

/// Unread denials kept for each waiting request.
const UNREAD_MAX: usize = 64;
/// The start of a denial to subscribe.
const SUBSCRIPTION: &str = "Subscription";

/// The denials of a connection. The server reports them beside a request, which is then never
/// answered.
#[derive(Debug, Clone)]
pub struct Denials {
    received: broadcast::Sender<String>,
    /// The denial of our own inbox, if any. No reply can arrive on such a connection.
    inbox: watch::Sender<Option<String>>,
}

impl Default for Denials {
    fn default() -> Self {
        Self { received: broadcast::Sender::new(UNREAD_MAX), inbox: watch::Sender::default() }
    }
}

impl Denials {
    /// Waits for the reply to a request, unless the server denies our inbox or `subject`. Without a
    /// `subject`, any denial counts.
    ///
    /// # Errors
    /// The request's own errors, and [`ErrorKind::NotAllowed`].
    pub async fn unless<T, E: From<Error>>(
        &self,
        subject: Option<&str>,
        request: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut received = self.received.subscribe();
        let concerns = |denial: &str| subject.is_none_or(|subject| denial.ends_with(&format!("\"{subject}\"")));
        if let Some(inbox) = &*self.inbox.borrow() {
            return Err(not_allowed(inbox).into());
        }
        let denied = async {
            loop {
                match received.recv().await {
                    Ok(denial) if denial.starts_with(SUBSCRIPTION) || concerns(&denial) => return denial,
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        tokio::select! {
            biased;
            reply = request => reply,
            denial = denied => Err(not_allowed(&denial).into()),
        }
    }

    /// Returns the denial of our own inbox, if any. No reply can arrive then.
    pub fn inbox(&self) -> Option<String> {
        self.inbox.borrow().clone()
    }

    /// Records a denial if `event` is one.
    pub(super) fn record(&self, event: &Event) {
        match event {
            // A reconnect may have changed the permissions.
            Event::Connected => drop(self.inbox.send_replace(None)),
            Event::ServerError(error) => {
                let Some(denial) = parse_denial(&error.to_string()) else { return };
                if denial.starts_with(SUBSCRIPTION) {
                    self.inbox.send_replace(Some(denial.clone()));
                }
                // There may be no request that waits.
                let _ = self.received.send(denial);
            }
            _ => {}
        }
    }
}

/// Returns the denied operation, such as `Publish to "hourlog.logs"`, if the error is a denial.
fn parse_denial(error: &str) -> Option<String> {
    let (_, denial) =
        error.split_once("Permissions Violation for ").or_else(|| error.split_once("permissions violation for "))?;
    Some(denial.trim_end_matches(['\'', ' ']).to_owned())
}

fn not_allowed(denial: &str) -> Error {
    Error::new(
        ErrorKind::NotAllowed,
        format!("the server does not allow {denial}; ask its operator for the permission, or connect as another user"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_is_told_apart_from_other_errors() {
        let error = r#"nats: Permissions Violation for Publish to "hourlog.logs""#;
        assert_eq!(parse_denial(error).as_deref(), Some(r#"Publish to "hourlog.logs""#));
        assert_eq!(parse_denial("nats: slow consumer"), None);
    }
}
