//! The stream that stores what a replay sends.

use std::collections::BTreeSet;

use async_nats::jetstream::{self, Context, context::GetStreamByNameErrorKind};
use futures_util::{StreamExt, TryStreamExt, stream};
use hourlog::{
    Error, ErrorKind, LogId, Result,
    wire::{WAL_PREFIX, wal_subject},
};

use crate::{
    connect::{Connect, Connection, Denials},
    exit::Failure,
};

use super::target::Target;

/// The subjects that are asked for at once.
const ASKED_AT_ONCE: usize = 16;

/// The fate of the messages of a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Capture {
    /// They go to those who subscribe.
    Nothing,
    /// This stream stores them, and hourlog does not read it.
    Stream(String),
    /// They become events: hourlog reads this stream.
    Logs(String),
}

impl Capture {
    /// Asks JetStream and the service. For a user who may not ask, there is a remark.
    pub(crate) async fn find(
        connect: &Connect,
        connection: &Connection,
        target: &Target,
        logs: &[LogId],
    ) -> Result<(Self, Option<String>), Failure> {
        let mut subjects = BTreeSet::new();
        for log in logs {
            let subject = target.subject(log)?;
            if subject == wal_subject(log) {
                return Err(Failure::usage(format!(
                    "--to: {subject} is the subject of {log} itself, which would repeat its own events without an end; name \
                     another one"
                )));
            }
            subjects.insert(subject);
        }
        // A connection of its own, because a denial ends the command on the other one.
        let denials = Denials::default();
        let asking = connect.open(denials.clone()).await?;
        let jetstream = jetstream::ContextBuilder::new()
            .timeout(connect.timeout)
            .api_prefix(&connection.jetstream)
            .build(asking.remote.client().clone());
        let names = format!("{}.STREAM.NAMES", connection.jetstream);
        let stream_of = |subject: String| stream_of(&jetstream, subject);
        let asked = stream::iter(subjects.clone()).map(stream_of).buffered(ASKED_AT_ONCE);
        let streams = match denials.unless(Some(&names), asked.try_collect::<Vec<_>>()).await {
            Ok(streams) => streams,
            Err(error) if error.kind() != ErrorKind::NotAllowed => return Err(error.into()),
            Err(error) => {
                let remark = format!("cannot ask which stream stores the subject, so none is assumed: {error}");
                let capture = match subjects.iter().any(|subject| subject.starts_with(WAL_PREFIX)) {
                    true => Self::Logs("HOURLOG".to_owned()),
                    false => Self::Nothing,
                };
                return Ok((capture, Some(remark)));
            }
        };
        let first = streams.first().cloned().flatten();
        if let Some((subject, stream)) = subjects.iter().zip(&streams).find(|(_, stream)| **stream != first) {
            let named = |stream: &Option<String>| {
                stream.as_ref().map_or("no stream".to_owned(), |name| format!("the stream {name}"))
            };
            return Err(Failure::usage(format!(
                "--to: {} stores {subject}, and {} stores others; replay these logs on their own",
                named(stream),
                named(&first)
            )));
        }
        let Some(stream) = first else { return Ok((Self::Nothing, None)) };
        let status = denials.unless(Some(&asking.remote.subjects().status()), asking.remote.status()).await;
        let capture = match status {
            Ok(status) if status.source(&stream).is_none() => Self::Stream(stream),
            Err(error) if error.kind() != ErrorKind::NotAllowed => return Err(error.into()),
            _ => Self::Logs(stream),
        };
        Ok((capture, None))
    }

    /// Returns a sentence on what becomes of the messages.
    pub(crate) fn sentence(&self) -> String {
        match self {
            Self::Nothing => "no stream stores these subjects: only those who subscribe get the messages".to_owned(),
            Self::Stream(stream) => format!("the stream {stream} stores the messages"),
            Self::Logs(stream) => {
                format!("hourlog reads the stream {stream}: with --into-log, the messages become new events")
            }
        }
    }

    /// Refuses to write to logs unless the user said so, and to anything else if the user did.
    pub(crate) fn check(&self, to: &str, is_into_log: bool) -> Result<()> {
        match (self, is_into_log) {
            (Self::Logs(stream), false) => Err(Error::invalid(format!(
                "hourlog reads the stream {stream}, which stores {to}: the events would become new ones of the log that it \
                 names; add --into-log if they shall"
            ))),
            (Self::Nothing | Self::Stream(_), true) => {
                Err(Error::invalid(format!("--into-log: hourlog reads no stream that stores {to}; leave it out")))
            }
            _ => Ok(()),
        }
    }
}

/// Returns the stream that stores a subject.
async fn stream_of(jetstream: &Context, subject: String) -> Result<Option<String>> {
    match jetstream.stream_by_subject(subject).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if error.kind() == GetStreamByNameErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::new(ErrorKind::Unavailable, "JetStream does not answer").because(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_written_only_if_the_user_says_so() {
        let (logs, stream) = (Capture::Logs("HOURLOG".to_owned()), Capture::Stream("AUDIT".to_owned()));
        assert!(logs.check("log.a", true).is_ok() && stream.check("a", false).is_ok());
        assert!(Capture::Nothing.check("a", false).is_ok());
        for (capture, is_into_log, said) in [
            (&logs, false, "hourlog reads the stream HOURLOG, which stores log.a"),
            (&stream, true, "leave it out"),
            (&Capture::Nothing, true, "leave it out"),
        ] {
            let error = capture.check("log.a", is_into_log).expect_err("it is refused").to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
