//! The list of logs, kept up to date at the cost of what has changed.

use std::{
    collections::{BTreeMap, HashSet},
    time::{Duration, Instant},
};

use hourlog::{
    LogId, Remote, Result,
    wire::{LOGS_MAX as LOGS_PER_REPLY, LogReply, LogsReply, LogsRequest},
};

/// The most logs of the list.
const LOGS_MAX: usize = 100_000;
/// The time after which all logs are listed again: some facts change with the time alone, such as what lies ahead of now.
const LISTED_AGAIN: Duration = Duration::from_secs(300);

/// The logs as the last replies told of them.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    logs: BTreeMap<LogId, LogReply>,
    /// The state of the list after them, and when all logs were listed.
    known: Option<(String, Instant)>,
}

impl Listing {
    /// Asks for what has changed, and returns all logs.
    ///
    /// # Errors
    /// Those of [`Remote::logs`].
    pub(crate) async fn update(&mut self, remote: &Remote) -> Result<LogsReply> {
        // If it fails half-way, the next one lists all logs.
        let reply = match self.known.take().filter(|(_, listed)| listed.elapsed() < LISTED_AGAIN) {
            Some((mark, listed)) => self.changes(remote, mark, listed).await?,
            None => None,
        };
        match reply {
            Some(reply) => Ok(reply),
            None => self.list(remote).await,
        }
    }

    /// Lists all logs.
    async fn list(&mut self, remote: &Remote) -> Result<LogsReply> {
        let (mut logs, mut after, mut mark) = (BTreeMap::new(), None, None);
        loop {
            let mut page = remote.logs(&LogsRequest { after, ..request() }).await?;
            // A log may change while the pages are read. The first mark is from before all of them.
            mark = mark.or(page.mark.take());
            logs.extend(std::mem::take(&mut page.logs).into_iter().map(|log| (log.log.clone(), log)));
            match page.next.take() {
                Some(next) if logs.len() < LOGS_MAX => after = Some(next),
                _ => {
                    self.logs = logs;
                    self.known = mark.map(|mark| (mark, Instant::now()));
                    return Ok(self.all(page));
                }
            }
        }
    }

    /// Takes in what has changed after a mark. Returns `None` if that is not known.
    async fn changes(&mut self, remote: &Remote, mut mark: String, listed: Instant) -> Result<Option<LogsReply>> {
        let mut changed = HashSet::new();
        let reply = loop {
            let mut reply = remote.logs(&LogsRequest { changed_after: Some(mark.clone()), ..request() }).await?;
            let Some(reached) = reply.mark.take().filter(|_| !reply.is_mark_unknown) else { return Ok(None) };
            let is_last = reply.logs.len() + reply.gone.len() < LOGS_PER_REPLY as usize;
            changed.extend(reply.logs.iter().map(|log| log.log.clone()));
            self.take(&mut reply);
            mark = reached;
            if is_last {
                break reply;
            }
        };
        // The rate of a log that gets no more events falls without a change.
        let is_counted = |log: &&LogReply| log.recent.counts.iter().any(|count| *count > 0);
        let falling: Vec<LogId> = self.logs.values().filter(is_counted).map(|log| log.log.clone()).collect();
        let falling: Vec<LogId> = falling.into_iter().filter(|log| !changed.contains(log)).collect();
        for some in falling.chunks(LOGS_PER_REPLY as usize) {
            let mut reply = remote.logs(&LogsRequest { logs: Some(some.to_vec()), ..request() }).await?;
            self.take(&mut reply);
        }
        self.known = Some((mark, listed));
        Ok(Some(self.all(reply)))
    }

    fn take(&mut self, reply: &mut LogsReply) {
        for gone in &reply.gone {
            self.logs.remove(gone);
        }
        self.logs.extend(std::mem::take(&mut reply.logs).into_iter().map(|log| (log.log.clone(), log)));
    }

    /// Returns a reply with all logs.
    fn all(&self, reply: LogsReply) -> LogsReply {
        LogsReply { logs: self.logs.values().cloned().collect(), ..reply }
    }
}

/// A request for all logs, those of the system, too.
fn request() -> LogsRequest {
    LogsRequest { all: true, ..LogsRequest::default() }
}
