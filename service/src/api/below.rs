//! The logs below a prefix: those that a request for several logs is about.

use hourlog::{Error, ErrorKind, LogId, Result, store::Store, wire::LogsRequest};

use crate::pattern::Pattern;

use super::{Api, logs};

/// The most logs of one request. Each takes a read, even if it has nothing to add.
const LOGS_MAX: usize = 10_000;

/// The patterns of the logs that are asked for.
#[derive(Debug)]
pub(super) struct Below(Vec<Pattern>);

impl Below {
    /// The log `prefix` and what is below it, or all logs; only those that match `pattern`, which must stay there.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a pattern that is none, or that is not below the prefix.
    pub(super) fn new(prefix: Option<&LogId>, pattern: Option<&str>) -> Result<Self> {
        let pattern = pattern.map(str::parse::<Pattern>).transpose()?;
        match (prefix, pattern) {
            (None, None) => Ok(Self(vec![">".parse()?])),
            (None, Some(pattern)) => Ok(Self(vec![pattern])),
            (Some(prefix), None) => Ok(Self(vec![prefix.into(), format!("{prefix}.>").parse()?])),
            (Some(prefix), Some(pattern)) if pattern.is_below(prefix) => Ok(Self(vec![pattern])),
            (Some(prefix), Some(pattern)) => Err(Error::invalid(format!(
                "the pattern {pattern} is not below {prefix}, which the subject names; begin it with {prefix}"
            ))),
        }
    }

    /// Returns the logs, by id.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] if there are too many.
    pub(super) async fn logs<S: Store>(&self, api: &Api<S>) -> Result<Vec<LogId>> {
        let found = self.first_logs(api, LOGS_MAX + 1).await?;
        if found.len() > LOGS_MAX {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("more than {LOGS_MAX} logs are asked for; name fewer with a longer prefix or a pattern"),
            ));
        }
        Ok(found)
    }

    /// Returns the first logs, by id: at most `limit`.
    pub(super) async fn first_logs<S: Store>(&self, api: &Api<S>, limit: usize) -> Result<Vec<LogId>> {
        let mut found = Vec::new();
        for pattern in &self.0 {
            if let Some(id) = pattern.id() {
                found.extend(api.store.log(&id).await?.map(|_| id));
                continue;
            }
            let (logs, _) = logs::find(api, &LogsRequest::default(), pattern, limit).await?;
            found.extend(logs.into_iter().map(|(id, _)| id));
        }
        found.truncate(limit);
        Ok(found)
    }
}
