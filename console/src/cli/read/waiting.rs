//! Waiting for logs that do not exist yet.

use std::time::Duration;

use hourlog::{ErrorKind, LogId, Remote, wire::ReplayRequest};

use crate::{exit::Failure, session::Session};

use super::{merge::LOGS_MAX, names::Names};

/// Interval between two questions for a log that does not exist. Nothing announces its first event to a reader.
pub(super) const INTERVAL: Duration = Duration::from_millis(500);

/// Returns true if a log exists.
pub(super) async fn exists(remote: &Remote, log: &LogId) -> Result<bool, Failure> {
    match remote.replay(log, &ReplayRequest { limit: Some(1), ..ReplayRequest::default() }).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Tells the user that a log is waited for.
pub(super) fn tell(session: &Session, log: &LogId) {
    session.out.note(&format!("no log {log} yet; waiting for its first event"));
}

/// Waits until each log exists, and one that matches each pattern.
pub(super) async fn until_exist(session: &Session, remote: &Remote, names: &Names) -> Result<(), Failure> {
    let mut is_told = false;
    loop {
        let found = names.find(remote, LOGS_MAX).await?;
        let mut missing = found.unmatched;
        for log in names.logs() {
            if !exists(remote, log).await? {
                missing.push(log.to_string());
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        if !is_told {
            session.out.note(&format!("no log {} yet; waiting for its first event", missing.join(", ")));
            session.out.flush()?;
            is_told = true;
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
