//! Appends. Each call has one message id, so its own retries store the record once.

use std::time::{Duration, Instant};

use async_nats::{HeaderMap, Message, connection::State};

use crate::{
    Error, ErrorKind, LogId, Record, Result, Sent,
    backoff::Backoff,
    header,
    time::SECOND,
    wire::{self, AppendReply, Span},
};

use super::{Remote, RequestFailure, header_map, parse, reply};

/// The longest time after the first attempt in which a record is sent again: half of the two minutes for which
/// the stream recognises a message id. The other half is for an attempt that is under way for long.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// The time for asking again what has become of a record, as a multiple of the time for a reply.
const RETRY_TIMEOUTS: u32 = 5;
/// The first and the longest pause between attempts.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// The interval between checks for a connection.
const CONNECTION_CHECK: Duration = Duration::from_millis(20);

/// Returns a message id that nobody else has.
///
/// A caller that may have to repeat an append after its process has ended makes the id first, keeps it, and
/// appends with it as [`header::MSG_ID`].
///
/// ```
/// use hourlog::{Record, header, remote::new_message_id};
/// let id = new_message_id();
/// let record = Record::new("x").with(header::MSG_ID, id.as_str());
/// assert_ne!(id, new_message_id());
/// # drop(record);
/// ```
pub fn new_message_id() -> String {
    nuid::next().to_string()
}

impl Remote {
    /// Writes one record, and returns once the archive holds it.
    ///
    /// The record has one message id in all attempts of this call: its own [`header::MSG_ID`], or a new one,
    /// which is not stored. If it is not known what has become of an attempt, the service is asked again with
    /// that id, for five more timeouts and at most a minute.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`] if the record's time or headers are bad, [`ErrorKind::TooLarge`] if it does
    /// not fit into a message. [`Error::sent`] tells if another attempt could store the record twice.
    pub async fn append(&self, log: &LogId, record: Record) -> Result<AppendReply> {
        let has_id = record.metadata.get_any_case(header::MSG_ID).next().is_some();
        let new_id = (!has_id).then(new_message_id);
        let prepared = self.check_size(&record).and_then(|()| self.append_headers(&record, new_id.as_deref()));
        let mut headers = prepared.map_err(|error| error.with_sent(Sent::No))?;
        let subject = self.subjects.append(log);
        let begun = Instant::now();
        let mut attempts = Attempts::new(self.timeout);
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        let mut connection_wait = self.timeout;
        loop {
            let error = match self.append_once(&subject, headers, &record, connection_wait).await {
                // With a new id, the duplicate is an earlier attempt of this call.
                Ok(reply) => return Ok(AppendReply { duplicate: reply.duplicate && has_id, ..reply }),
                Err(error) => error,
            };
            let error = match attempts.after(error, begun.elapsed()) {
                Some(error) => error,
                None => {
                    tokio::time::sleep(backoff.next_pause()).await;
                    headers = self.append_headers(&record, new_id.as_deref())?;
                    // A retry waits for a connection only while it may begin.
                    connection_wait = self.timeout.min(RETRY_MAX.saturating_sub(begun.elapsed()));
                    continue;
                }
            };
            return Err(error);
        }
    }

    async fn append_once(
        &self,
        subject: &str,
        headers: HeaderMap,
        record: &Record,
        connection_wait: Duration,
    ) -> Result<AppendReply> {
        // Without a connection, the client would keep the request and send it at any later time.
        if !self.is_connected_within(connection_wait).await {
            return Err(self.timed_out().with_sent(Sent::No));
        }
        let data = record.data.clone().into_bytes();
        let answer = match self.request(subject.to_owned(), headers, data, self.timeout).await {
            Ok(message) => message,
            Err(RequestFailure::TimedOut) => return Err(self.append_timed_out()),
            Err(RequestFailure::Closed(cause)) => return Err(self.closed(cause).with_sent(Sent::Unknown)),
            Err(failure) => return Err(self.request_error(failure).with_sent(Sent::No)),
        };
        let sent = sent(&answer);
        match reply(answer).and_then(|answer| parse(&answer.payload)) {
            Ok(reply) => Ok(reply),
            Err(error) => Err(error.with_sent(sent.unwrap_or(Sent::Unknown))),
        }
    }

    /// Returns the headers of an append: those of the record, a new id that is not stored, and the time in which
    /// the service must answer, so that it says what it knows before the request times out.
    fn append_headers(&self, record: &Record, new_id: Option<&str>) -> Result<HeaderMap> {
        let mut headers = header_map(record)?;
        if let Some(id) = new_id {
            headers.insert(header::MSG_ID, id);
            if record.metadata.get_any_case(header::STORED_MSG_ID).next().is_none() {
                headers.insert(header::STORED_MSG_ID, "");
            }
        }
        let wait = self.timeout - self.timeout / 5;
        let nanos = i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX).max(SECOND / 1_000);
        headers.insert(wire::WAIT, Span(nanos).to_string());
        Ok(headers)
    }

    async fn is_connected_within(&self, limit: Duration) -> bool {
        let begun = Instant::now();
        while self.client.connection_state() != State::Connected {
            if begun.elapsed() > limit {
                return false;
            }
            tokio::time::sleep(CONNECTION_CHECK).await;
        }
        true
    }

    /// Returns the error of a request without a reply. It gives no advice: to try again could store the record
    /// twice.
    fn append_timed_out(&self) -> Error {
        let (kind, text) = match self.client.connection_state() {
            State::Connected => {
                (ErrorKind::Deadline, format!("hourlogd on {} has not answered within {:?}", self.server, self.timeout))
            }
            _ => (ErrorKind::Unavailable, format!("the connection to {} was lost", self.server)),
        };
        Error::new(kind, text).with_sent(Sent::Unknown)
    }
}

/// Returns the state of the record that an error reply tells.
fn sent(message: &Message) -> Option<Sent> {
    let headers = message.headers.as_ref()?;
    wire::sent_from(|name| headers.get(name).map(|value| value.as_str()))
}

/// The attempts of one append: the rule for another one.
#[derive(Debug)]
struct Attempts {
    retry_max: Duration,
    /// It is not known what has become of an earlier attempt.
    is_uncertain: bool,
}

impl Attempts {
    fn new(timeout: Duration) -> Self {
        let retry_max = timeout.saturating_mul(RETRY_TIMEOUTS + 1).min(RETRY_MAX);
        Self { retry_max, is_uncertain: false }
    }

    /// Returns the error of the append after an attempt has failed, or `None` if another attempt may tell what
    /// has become of the record. `elapsed` is the time since the first attempt.
    fn after(&mut self, error: Error, elapsed: Duration) -> Option<Error> {
        match error.sent() {
            Some(Sent::InStream { .. }) => return Some(error),
            // An earlier attempt may still have stored it.
            Some(Sent::No) if self.is_uncertain => {}
            Some(Sent::No) => return Some(error),
            Some(Sent::Unknown) | None => self.is_uncertain = true,
        }
        let may_pass = matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Deadline | ErrorKind::Refused);
        (!may_pass || elapsed >= self.retry_max).then(|| error.with_sent(Sent::Unknown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECONDS: [Duration; 3] = [Duration::ZERO, Duration::from_secs(29), Duration::from_secs(30)];

    fn failed(kind: ErrorKind, sent: Sent) -> Error {
        Error::new(kind, "failed").with_sent(sent)
    }

    #[test]
    fn a_record_is_sent_again_only_while_its_state_is_unknown() {
        let in_stream = || Sent::InStream { stream: "HOURLOG".into(), sequence: 42 };
        let outcome = |attempts: &mut Attempts, error, elapsed| {
            attempts.after(error, elapsed).map(|error: Error| error.sent().cloned().expect("it is set"))
        };
        for sent in [Sent::No, in_stream()] {
            let mut attempts = Attempts::new(Duration::from_secs(5));
            let ended = outcome(&mut attempts, failed(ErrorKind::Unavailable, sent.clone()), SECONDS[0]);
            assert_eq!(ended, Some(sent), "a known state ends the call");
        }
        let mut attempts = Attempts::new(Duration::from_secs(5));
        assert_eq!(outcome(&mut attempts, failed(ErrorKind::Deadline, Sent::Unknown), SECONDS[0]), None);
        assert_eq!(outcome(&mut attempts, failed(ErrorKind::Unavailable, Sent::No), SECONDS[1]), None);
        let late = outcome(&mut attempts, failed(ErrorKind::Unavailable, Sent::No), SECONDS[2]);
        assert_eq!(late, Some(Sent::Unknown), "an earlier attempt may have stored it");
        let found = outcome(&mut attempts, failed(ErrorKind::Deadline, in_stream()), SECONDS[2]);
        assert_eq!(found, Some(in_stream()));
        let mut attempts = Attempts::new(Duration::from_secs(5));
        let unexpected = outcome(&mut attempts, failed(ErrorKind::Unexpected, Sent::Unknown), SECONDS[0]);
        assert_eq!(unexpected, Some(Sent::Unknown), "asking again does not help");
    }

    #[test]
    fn no_attempt_is_near_the_end_of_the_time_in_which_the_stream_recognises_an_id() {
        let mut attempts = Attempts::new(Duration::from_secs(3_600));
        assert!(attempts.after(failed(ErrorKind::Deadline, Sent::Unknown), RETRY_MAX).is_some());
        assert!(Attempts::new(Duration::MAX).retry_max <= RETRY_MAX);
    }
}
