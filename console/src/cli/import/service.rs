//! The questions of an import to the service: its clock, the archived sequence, and the receipt.

use hourlog::{
    Error, ErrorKind, Remote,
    wire::{ReceiptReply, ReceiptRequest, ReceiptToken, StatusReply},
};
use indicatif::ProgressBar;
use tokio::time::Instant;

use std::time::Duration;

use crate::{
    connect::Denials,
    exit::Failure,
    output::human_count,
    publisher::StreamMessage,
    session::{Session, clock_ahead_nanos},
};

use super::archiving::{ArchiveWatch, Progress, SILENT_AFTER, STALLED_AFTER};

/// Pause between two requests for the status.
const STATUS_INTERVAL: Duration = Duration::from_millis(100);

/// A connection of its own: a user who may only publish may ask for nothing, and a denial ends the command on
/// the other one.
#[derive(Debug)]
pub(super) struct Service {
    remote: Remote,
    denials: Denials,
    /// The reason why the service cannot be asked, if the server does not allow it.
    denied: Option<Error>,
    /// The service has answered.
    has_answered: bool,
}

impl Service {
    /// Connects. Returns with it how far JetStream's clock is ahead of this machine's; 0 if the service does not
    /// tell. It rejects what is too far ahead.
    pub(super) async fn open(session: &Session) -> Result<(Self, i64), Failure> {
        let denials = Denials::default();
        let remote = session.connect.open(denials.clone()).await?.remote;
        let mut service = Self { remote, denials, denied: None, has_answered: false };
        let asked = session.now();
        let ahead_nanos = match service.status().await {
            Ok(status) => {
                service.has_answered = true;
                status.jetstream_now.map_or(0, |now| clock_ahead_nanos(asked, session.now(), now))
            }
            Err(error) => {
                service.denied = Some(error).filter(|error| error.kind() == ErrorKind::NotAllowed);
                0
            }
        };
        Ok((service, ahead_nanos))
    }

    async fn status(&self) -> Result<StatusReply, Error> {
        self.denials.unless(Some(&self.remote.subjects().status()), self.remote.status()).await
    }

    /// Returns the receipt of messages that are archived.
    ///
    /// # Errors
    /// Those of [`Remote::receipt`], and [`ErrorKind::NotAllowed`].
    pub(super) async fn receipt(&self, token: &ReceiptToken) -> Result<ReceiptReply, Error> {
        let request = ReceiptRequest::default();
        self.denials.unless(Some(&self.remote.subjects().receipt(token)), self.remote.receipt(token, &request)).await
    }

    /// Waits until the stream's message `last` is archived. The service reports the progress, whatever
    /// happens to other requests.
    ///
    /// # Errors
    /// [`ErrorKind::NotAllowed`] if the user may not ask. Otherwise, the events may not be archived yet.
    pub(super) async fn wait_until_archived(&self, last: &StreamMessage, bar: &ProgressBar) -> Result<(), Error> {
        if let Some(denied) = &self.denied {
            return Err(Error::new(denied.kind(), denied.to_string()));
        }
        let mut watch = ArchiveWatch::new(last.sequence, Instant::now());
        loop {
            let (archived, trouble) = match self.status().await {
                Ok(status) => {
                    let Some(source) = status.source(&last.stream) else {
                        let stream = &last.stream;
                        let context = format!(
                            "all events are in the stream {stream}, but hourlogd does not read it; give hourlogd that stream, \
                             or another server with -s"
                        );
                        return Err(Error::new(ErrorKind::Refused, context));
                    };
                    (
                        Some(source.archived),
                        [&status.archive.state, &source.reading, &source.progress]
                            .into_iter()
                            .find_map(|state| state.reason.clone()),
                    )
                }
                // A service that has reported may be restarting.
                Err(error) if error.kind() == ErrorKind::Deadline => (None, Some(error.to_string())),
                Err(error) if error.kind() == ErrorKind::Unavailable && (self.has_answered || watch.has_report()) => {
                    (None, Some(error.to_string()))
                }
                Err(error) => return Err(error),
            };
            let failed = |what: String| {
                let reason = trouble.as_deref().unwrap_or("hourlog doctor says why");
                Err(Error::new(ErrorKind::Deadline, format!("all events were sent, but {what}; {reason}")))
            };
            match watch.observe(archived, Instant::now()) {
                Progress::Done => return Ok(()),
                Progress::Left(left) => bar.set_message(format!("archiving, {} left of all", human_count(left))),
                Progress::Stalled => return failed(format!("the archive has made no progress for {STALLED_AFTER:?}")),
                Progress::Silent => return failed(format!("hourlogd has not answered for {SILENT_AFTER:?}")),
            }
            tokio::time::sleep(STATUS_INTERVAL).await;
        }
    }
}
