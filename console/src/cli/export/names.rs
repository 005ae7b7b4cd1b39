//! The logs that an export is of.

use std::{collections::HashSet, pin::pin};

use futures_util::TryStreamExt;
use hourlog::{Error, ErrorKind, LogId, Remote, wire::LogsRequest};

use crate::{cli::listing, exit::Failure};

/// A log to export.
#[derive(Debug)]
pub(super) struct Named {
    /// Its id.
    pub(super) log: LogId,
    /// The number of its events, if a list has told it.
    pub(super) events: Option<u64>,
}

/// The logs that ids and patterns name.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The logs to export, each once.
    pub(super) logs: Vec<Named>,
    /// The system's own logs with events that a pattern matches, unless it begins with `_`.
    pub(super) left_out: Vec<Named>,
}

impl Names {
    /// Finds the logs with the given ids, and those that match the given patterns.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if a pattern matches no log.
    pub(super) async fn find(remote: &Remote, names: &[String]) -> Result<Self, Failure> {
        let mut found = Self::default();
        for name in names {
            if !name.contains(['*', '>']) {
                found.logs.push(Named { log: name.parse()?, events: None });
                continue;
            }
            let before = found.logs.len();
            let request = LogsRequest { pattern: Some(name.clone()), all: true, ..LogsRequest::default() };
            let mut matches = pin!(listing::logs(remote, request));
            while let Some(reply) = matches.try_next().await? {
                let named = Named { log: reply.log, events: Some(reply.events) };
                if !named.log.is_system() || listing::names_system(name) {
                    found.logs.push(named);
                } else if reply.events > 0 {
                    found.left_out.push(named);
                }
            }
            if found.logs.len() == before {
                let text = match found.left_out.first() {
                    Some(Named { log, .. }) => {
                        format!("only logs of the system match {name}; export them by their ids, such as {log}")
                    }
                    None => format!("no log matches {name}; hourlog ls lists the logs"),
                };
                return Err(Error::new(ErrorKind::NotFound, text).into());
            }
        }
        let mut seen = HashSet::new();
        found.logs.retain(|named| seen.insert(named.log.clone()));
        found.left_out.retain(|named| seen.insert(named.log.clone()));
        Ok(found)
    }

    /// Counts all events of the logs.
    pub(super) async fn count_events(&self, remote: &Remote) -> Result<u64, Failure> {
        let mut events = 0;
        for named in &self.logs {
            events += match named.events {
                Some(events) => events,
                None => remote.describe(&named.log).await?.events,
            };
        }
        Ok(events)
    }
}
