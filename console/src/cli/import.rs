//! `import`: writes JSON lines to logs. Importing the same lines twice adds nothing.
//!
//! `line` parses a line, `plan` decides what to do with it, `archiving` decides how long to wait for
//! the archive. This file reads, publishes and shows progress.

mod archiving;
mod line;
mod plan;

use std::{path::PathBuf, time::Duration};

use clap::Args;
use hourlog::{Error, ErrorKind, LogId, Remote};
use indicatif::ProgressBar;
use tokio::time::Instant;

use crate::{
    exit::Failure,
    output::{counted, human_count},
    progress::{Templates, progress_bar},
    session::Session,
};

use self::{
    archiving::{ArchiveWatch, Progress, SILENT_AFTER, STALLED_AFTER},
    line::Limits,
    plan::{Plan, Step, stopped_at_line},
};
use super::{
    input::FileOrStdin,
    publisher::{Publisher, StreamMessage},
};

/// Import events from JSON lines, such as those that export writes
///
/// Importing the same lines twice adds nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog import examples/quakes.jsonl
  hourlog export orders.eu | hourlog import - --log orders.copy
  echo '{\"log\":\"weather.bergen\",\"time\":\"2018-02-04T21:56:42Z\",\"data\":\"rain\"}' | hourlog import -

Fields of a line: log, time, and optionally metadata and data (or data_base64).
offset, in nanoseconds, may replace time, and wins if both are present.
The other fields that export writes (seq, position, arrived) are ignored.")]
pub(super) struct Import {
    /// File of JSON lines; - reads standard input
    file: PathBuf,
    /// Log to write to [default: the log that each line names]
    #[arg(long, value_name = "ID")]
    log: Option<LogId>,
}

const PROGRESS: Templates =
    Templates { bar: "{bar:40} {percent:>3}%  {msg} events  {eta} left", spinner: "{spinner} {msg} events" };
/// Lines between two updates of the event count on the progress bar.
const LINES_PER_UPDATE: u64 = 256;
/// Pause between two requests for the status.
const STATUS_INTERVAL: Duration = Duration::from_millis(100);

impl Import {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let input = FileOrStdin::from(self.file.as_path());
        let name = input.name();
        let mut lines = input.lines()?;
        let connection = session.open().await?;
        let remote = connection.remote;
        let bar = progress_bar(&session.out, input.bytes(), PROGRESS).with_message("0");
        let mut publisher = Publisher::new(remote.client().clone(), connection.server, session.connect.timeout);
        let mut plan = Plan::new(self.log);
        let mut number = 0_u64;
        // Without a service there is this machine's clock; the service rejects what is too far ahead.
        let ahead_nanos = session.service_ahead_nanos().await.unwrap_or(0);
        while let Some(line) = lines.next().await? {
            number += 1;
            let now = session.now().saturating_add_nanos(ahead_nanos);
            let limits = Limits { now, event_bytes_max: remote.event_bytes_max() };
            let sent = match plan.next_step(&line, limits) {
                Ok(Step::Skip) => Ok(()),
                Ok(Step::Publish(message)) => publisher.send(message).await,
                Err(error) => Err(error),
            };
            if let Err(error) = sent {
                bar.finish_and_clear();
                // The lines before a bad one are imported, the lines after it are not.
                publisher.finish().await?;
                return Err(stopped_at_line(error, &name, number, publisher.acked()).into());
            }
            bar.inc(line.len() as u64);
            if number.is_multiple_of(LINES_PER_UPDATE) {
                bar.set_message(human_count(publisher.acked()));
                session.resume_with(resume_hint(publisher.acked()));
            }
        }
        publisher.finish().await?;
        session.resume_with(resume_hint(publisher.acked()));
        bar.set_message(human_count(publisher.acked()));
        if let Some(last) = publisher.newest() {
            wait_until_archived(&remote, last, &bar).await?;
        }
        bar.finish_and_clear();
        if plan.lacks_trailer() {
            session.out.note(&format!("{name} has no trailer line; the export may be incomplete"));
        }
        let (events, logs) = (counted(publisher.acked(), "event"), counted(plan.logs().len() as u64, "log"));
        session.out.note(&format!("imported {events} into {logs}"));
        Ok(())
    }
}

fn resume_hint(sent: u64) -> String {
    format!("{} sent; import again to continue, nothing is added twice", counted(sent, "event"))
}

/// Waits until the stream's message `last` is archived. The service reports the progress, whatever
/// happens to other requests.
async fn wait_until_archived(remote: &Remote, last: &StreamMessage, bar: &ProgressBar) -> Result<(), Failure> {
    let mut watch = ArchiveWatch::new(last.sequence, Instant::now());
    loop {
        let (archived, trouble) = match remote.status().await {
            Ok(status) => {
                let Some(source) = status.source(&last.stream) else {
                    let stream = &last.stream;
                    let context = format!(
                        "all events are in the stream {stream}, but hourlogd does not read it; give hourlogd that stream, \
                         or another server with -s"
                    );
                    return Err(Error::new(ErrorKind::Refused, context).into());
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
            Err(error) if error.kind() == ErrorKind::Unavailable && watch.has_report() => {
                (None, Some(error.to_string()))
            }
            Err(error) => return Err(error.into()),
        };
        let failed = |what: String| {
            let reason = trouble.as_deref().unwrap_or("hourlog doctor says why");
            let context = format!("all events were sent, but {what}; {reason}");
            Err(Error::new(ErrorKind::Deadline, context).into())
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
