//! The client of the service: logs over NATS, by request and reply.
//!
//! - [`Remote`]: one method an endpoint, and [`Events`] for callers that need only a [`Log`](crate::Log).
//! - [`RemoteBuilder`]: the options of a connection.
//!
//! - [`Arrivals`]: the events of messages that were published.
//!
//! Inside, `append` writes, `pages` reads the next page ahead, `tail` waits for what arrives, `status` asks every
//! instance, `log` is [`RemoteLog`].

mod answer;
mod append;
mod arrivals;
mod builder;
mod cursors;
mod log;
mod page;
mod pages;
mod status;
mod tail;

use std::{sync::Arc, time::Duration};

use async_nats::{
    Client, HeaderMap, Message, Request,
    client::{RequestError, RequestErrorKind},
    connection::State,
    header::{HeaderName, HeaderValue},
};
use bytes::Bytes;
use futures_util::Stream;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    ArrivalCursor, Error, ErrorKind, Event, Events, LogId, Position, Record, Result, header,
    nats::without_secrets,
    wire::{
        self, AlterRequest, Compression, CreateRequest, CursorName, CursorReply, CursorRequest, CursorsReply,
        DeleteCursorReply, DeleteRequest, DescribeReply, LogsReply, LogsRequest, MergeRequest, NamedCursor, NearReply,
        NearRequest, NewestReply, NewestRequest, PurgeRequest, ReceiptReply, ReceiptRequest, ReceiptToken,
        RemovedReply, ReplayRequest, RequeueReply, RequeueRequest, SetCursorReply, SetCursorRequest, Subjects,
        TimelineReply, TimelineRequest, TimelinesReply, TimelinesRequest, shorten,
    },
};

use self::page::EncodedPage;
pub use self::{
    append::new_message_id,
    arrivals::Arrivals,
    builder::RemoteBuilder,
    log::RemoteLog,
    page::{MergedPage, RemotePage},
};

/// The default time for a reply.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// The time for a removal, on top of that for a reply: the service deletes before it answers.
const REMOVAL_MAX: Duration = Duration::from_secs(120);

/// The service, over a connection to NATS. Cheap to clone; clones share the connection.
///
/// Every request has a timeout. Its error is [`ErrorKind::Unavailable`] if no service listens or the
/// server cannot be reached, and [`ErrorKind::Deadline`] if a service listens and is slow.
///
/// ```no_run
/// use hourlog::{Events, Log, Record, Remote};
///
/// # async fn example() -> hourlog::Result<()> {
/// let remote = Remote::connect("nats://127.0.0.1:4222").await?;
/// let mut log = remote.log(&"orders.eu".parse()?).await?;
/// log.write(Record::new("x")).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Remote {
    client: Client,
    subjects: Subjects,
    timeout: Duration,
    server: Arc<str>,
    compression: Option<Compression>,
}

impl Remote {
    /// The service that answers below the default prefix, over a connection that exists.
    pub fn new(client: Client) -> Self {
        Self::with_prefix(client, wire::SERVICE)
    }

    /// The service that is told to answer below `prefix`, over a connection that exists.
    pub fn with_prefix(client: Client, prefix: impl Into<String>) -> Self {
        let info = client.server_info();
        let server = format!("nats://{}:{}", info.host, info.port).into();
        let subjects = Subjects { prefix: prefix.into() };
        Self { client, subjects, timeout: TIMEOUT_DEFAULT, server, compression: None }
    }

    /// Connects to the NATS server at `url`, or to one of several separated by commas.
    ///
    /// # Errors
    /// As [`RemoteBuilder::connect`].
    pub async fn connect(url: &str) -> Result<Self> {
        Self::builder(url).connect().await
    }

    /// Begins a connection with options.
    pub fn builder(url: &str) -> RemoteBuilder {
        RemoteBuilder::new(url)
    }

    /// The same client with another time for a reply. A request that waits for events gets its wait on top.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same client with another name for the server in error messages.
    ///
    /// Anything before an `@` (a user, a password) is removed.
    pub fn with_server_name(mut self, url: &str) -> Self {
        self.server = without_secrets(url).into();
        self
    }

    /// The same client with pages that the service compresses, where that makes them smaller. `None`, the default, asks for
    /// pages as they are.
    ///
    /// Over a network, a page of text arrives in a fraction of the time. On one machine, compression costs more time
    /// than it saves.
    pub fn with_compression(mut self, compression: Option<Compression>) -> Self {
        self.compression = compression;
        self
    }

    /// The connection.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The subjects of the service.
    pub fn subjects(&self) -> &Subjects {
        &self.subjects
    }

    /// Reads one page of `log`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a log that does not exist, [`ErrorKind::Invalid`] for a contradictory
    /// request.
    pub async fn replay(&self, log: &LogId, request: &ReplayRequest) -> Result<RemotePage> {
        self.encoded_page(log, request).await?.decode(log)
    }

    /// Reads one page of `log`. Its events are not decoded yet.
    async fn encoded_page(&self, log: &LogId, request: &ReplayRequest) -> Result<EncodedPage> {
        let wait = request.wait.map_or(Duration::ZERO, wire::Span::duration);
        let reply = self.ask(self.subjects.replay(log), self.page_headers(), json(request)?, wait).await?;
        EncodedPage::read(self.decompressed(reply)?)
    }

    /// Reads one page of all logs below `prefix`, or of all logs, in one timeline.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a contradictory request or a pattern that is not below the prefix,
    /// [`ErrorKind::TooLarge`] for too many logs.
    pub async fn merge(&self, prefix: Option<&LogId>, request: &MergeRequest) -> Result<MergedPage> {
        let wait = request.wait.map_or(Duration::ZERO, wire::Span::duration);
        let reply = self.ask(self.subjects.merge(prefix), self.page_headers(), json(request)?, wait).await?;
        MergedPage::read(self.decompressed(reply)?)
    }

    /// The headers of a request for pages.
    fn page_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(wire::ACCEPT, wire::PROTOBUF);
        if let Some(compression) = self.compression {
            headers.insert(wire::ACCEPT_ENCODING, compression.to_string());
        }
        headers
    }

    /// Describes `log`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a log that does not exist.
    pub async fn describe(&self, log: &LogId) -> Result<DescribeReply> {
        self.ask_json(self.subjects.describe(log), &serde_json::Map::new()).await
    }

    /// Returns the event at a position.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none.
    pub async fn event(&self, log: &LogId, position: Position) -> Result<Event> {
        let request = ReplayRequest { position: Some(position), ..ReplayRequest::default() };
        let page = self.replay(log, &request).await?;
        let missing = || Error::new(ErrorKind::Unexpected, "the reply holds no event");
        page.events.into_iter().next().ok_or_else(missing)
    }

    /// Returns what is around a moment of `log`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] as for [`Remote::describe`].
    pub async fn near(&self, log: &LogId, request: &NearRequest) -> Result<NearReply> {
        self.ask_json(self.subjects.near(log), request).await
    }

    /// Returns the newest events of many logs below `prefix`, or of all logs.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for logs or a pattern that are not below the prefix.
    pub async fn newest(&self, prefix: Option<&LogId>, request: &NewestRequest) -> Result<NewestReply> {
        self.ask_json(self.subjects.newest(prefix), request).await
    }

    /// Counts the events of `log` by time.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] as for [`Remote::describe`], [`ErrorKind::Invalid`] for an empty range.
    pub async fn timeline(&self, log: &LogId, request: &TimelineRequest) -> Result<TimelineReply> {
        self.ask_json(self.subjects.timeline(log), request).await
    }

    /// Counts by time the events of all logs below `prefix`, or of all logs.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for an empty range or a pattern that is not below the prefix, [`ErrorKind::TooLarge`] for too
    /// many logs.
    pub async fn timelines(&self, prefix: Option<&LogId>, request: &TimelinesRequest) -> Result<TimelinesReply> {
        self.ask_json(self.subjects.timelines(prefix), request).await
    }

    /// Lists logs.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for an invalid pattern.
    pub async fn logs(&self, request: &LogsRequest) -> Result<LogsReply> {
        self.ask_json(self.subjects.logs(), request).await
    }

    /// Returns how many messages of a receipt were stored, and how many were there already.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the service knows no message of it.
    pub async fn receipt(&self, token: &ReceiptToken, request: &ReceiptRequest) -> Result<ReceiptReply> {
        self.ask_json(self.subjects.receipt(token), request).await
    }

    /// Creates `log` before its first event.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] if it exists with other settings.
    pub async fn create(&self, log: &LogId, request: &CreateRequest) -> Result<DescribeReply> {
        self.ask_json(self.subjects.admin_create(log), request).await
    }

    /// Returns the cursor that a reader of `log` has stored under `name`; `None` if there is none.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a log that does not exist.
    pub async fn cursor(&self, log: &LogId, name: &CursorName) -> Result<Option<ArrivalCursor>> {
        let request = CursorRequest { name: name.clone() };
        let reply: CursorReply = self.ask_json(self.subjects.cursor_get(log), &request).await?;
        Ok(reply.cursor)
    }

    /// Stores a cursor of a reader of `log`.
    ///
    /// A reader that does so after its work, with the `next` of each page, handles every event exactly once
    /// over restarts. If it is killed between the two, it handles the events of one page again.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a log that does not exist, [`ErrorKind::Refused`] if it has
    /// [`CURSORS_MAX`](wire::CURSORS_MAX) others.
    pub async fn set_cursor(&self, log: &LogId, request: &SetCursorRequest) -> Result<SetCursorReply> {
        self.ask_json(self.subjects.cursor_set(log), request).await
    }

    /// Lists the cursors of the readers of `log`, by name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a log that does not exist.
    pub async fn cursors(&self, log: &LogId) -> Result<Vec<NamedCursor>> {
        let reply: CursorsReply = self.ask_json(self.subjects.cursor_list(log), &serde_json::Map::new()).await?;
        Ok(reply.cursors)
    }

    /// Deletes a cursor of a reader of `log`. Returns false if there was none.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a log that does not exist.
    pub async fn delete_cursor(&self, log: &LogId, name: &CursorName) -> Result<bool> {
        let request = CursorRequest { name: name.clone() };
        let reply: DeleteCursorReply = self.ask_json(self.subjects.cursor_delete(log), &request).await?;
        Ok(reply.deleted)
    }

    /// Changes the settings of `log`, and returns it as it is then.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a log that does not exist, [`ErrorKind::Invalid`] if nothing is to change.
    pub async fn alter(&self, log: &LogId, request: &AlterRequest) -> Result<DescribeReply> {
        self.ask_json(self.subjects.admin_alter(log), request).await
    }

    /// Removes the buckets of `log` that end at or before a time.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a log that does not exist, [`ErrorKind::Invalid`] for a time to come.
    pub async fn purge(&self, log: &LogId, request: &PurgeRequest) -> Result<RemovedReply> {
        self.ask_removal(self.subjects.admin_purge(log), request).await
    }

    /// Removes `log` with everything in it. Its next event creates it again.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a log that does not exist.
    pub async fn delete(&self, log: &LogId, request: &DeleteRequest) -> Result<RemovedReply> {
        self.ask_removal(self.subjects.admin_delete(log), request).await
    }

    /// Sends a page of the rejected events in `log` to their logs again.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a log that does not hold rejected events.
    pub async fn requeue(&self, log: &LogId, request: &RequeueRequest) -> Result<RequeueReply> {
        self.ask_removal(self.subjects.admin_requeue(log), request).await
    }

    /// Sends a request whose work takes longer than a read.
    async fn ask_removal<Q: Serialize, A: DeserializeOwned>(&self, subject: String, request: &Q) -> Result<A> {
        parse(&self.ask(subject, HeaderMap::new(), json(request)?, REMOVAL_MAX).await?.payload)
    }

    /// The events that `request` selects, as a stream; the next pages are read ahead.
    ///
    /// The request's `limit` counts for all of them. Ends at the bound or at the end of the log, and after an
    /// error.
    pub fn events(&self, log: LogId, request: ReplayRequest) -> impl Stream<Item = Result<Event>> + Send + use<> {
        pages::events(self.clone(), log, request)
    }

    /// The pages of [`Remote::events`], as a stream, for a reader that bounds its memory: a page has at most
    /// `page_events_max` events, and up to six more are read ahead.
    pub fn pages(
        &self,
        log: LogId,
        request: ReplayRequest,
        page_events_max: u32,
    ) -> impl Stream<Item = Result<RemotePage>> + Send + use<> {
        pages::stream(pages::Pages::new(self.clone(), log, request).with_page_events_max(page_events_max))
    }

    /// The events after the request's `after` in arrival order, and then every event that arrives, as a
    /// stream.
    ///
    /// Never ends by itself. After the first reply, an outage of the server or the service is retried until
    /// it has recovered. A refusal by a limit is retried from the first request on. Any other error is the last
    /// item, and so is an outage before the first reply.
    pub fn tail(&self, log: LogId, request: ReplayRequest) -> impl Stream<Item = Result<Event>> + Send + use<> {
        tail::tail(self.clone(), log, request)
    }

    /// The pages of [`Remote::tail`], as a stream, for a reader that stores the cursor of each.
    ///
    /// No page waits before one has reached the end of the log; [`RemotePage::end`] tells that it has. A page that
    /// waited for events in vain is empty. [`RemotePage::moved`] tells a reader that its cursor was
    /// ahead of an archive that was set back; [`Remote::tail`] just goes on.
    pub fn tail_pages(
        &self,
        log: LogId,
        request: ReplayRequest,
    ) -> impl Stream<Item = Result<RemotePage>> + Send + use<> {
        tail::pages(self.clone(), log, request)
    }

    async fn ask_json<Q: Serialize, A: DeserializeOwned>(&self, subject: String, request: &Q) -> Result<A> {
        parse(&self.ask(subject, HeaderMap::new(), json(request)?, Duration::ZERO).await?.payload)
    }

    /// Sends one request and returns its reply. `wait` is the time that the service was asked to wait.
    async fn ask(&self, subject: String, headers: HeaderMap, payload: Bytes, wait: Duration) -> Result<Message> {
        match self.request(subject, headers, payload, self.timeout + wait).await {
            Ok(message) => reply(message),
            Err(failure) => Err(self.request_error(failure)),
        }
    }

    /// Sends one request and waits for its reply until `limit`.
    async fn request(
        &self,
        subject: String,
        headers: HeaderMap,
        payload: Bytes,
        limit: Duration,
    ) -> Result<Message, RequestFailure> {
        let request = Request::new().headers(headers).payload(payload).timeout(None);
        // The client's own timeout does not cover the time in which a lost connection accepts no request.
        match tokio::time::timeout(limit, self.client.send_request(subject, request)).await {
            Ok(Ok(message)) => Ok(message),
            Ok(Err(error)) => Err(match error.kind() {
                RequestErrorKind::NoResponders => RequestFailure::NoService,
                RequestErrorKind::MaxPayloadExceeded => RequestFailure::TooLarge(error),
                RequestErrorKind::TimedOut => RequestFailure::TimedOut,
                _ => RequestFailure::Closed(error),
            }),
            Err(_) => Err(RequestFailure::TimedOut),
        }
    }

    /// Returns the payload of a reply as it was before compression.
    fn decompressed(&self, reply: Message) -> Result<Bytes> {
        let encoding = reply.headers.as_ref().and_then(|headers| headers.get(wire::CONTENT_ENCODING));
        let Some(encoding) = encoding else { return Ok(reply.payload) };
        let compression: Compression =
            encoding.as_str().parse().map_err(|error: Error| Error::new(ErrorKind::Unexpected, error.to_string()))?;
        // A larger page holds one event, which fits into a message.
        let bytes_max = wire::COMPRESSED_PAGE_BYTES_MAX.max(self.client.max_payload()) + wire::HEADROOM_BYTES;
        compression.decompress(&reply.payload, bytes_max).map(Bytes::from)
    }

    fn request_error(&self, failure: RequestFailure) -> Error {
        match failure {
            RequestFailure::NoService => self.no_service(),
            RequestFailure::TooLarge(error) => self.too_large().because(error),
            RequestFailure::TimedOut => self.timed_out(),
            RequestFailure::Closed(error) => self.closed(error),
        }
    }

    fn closed(&self, cause: impl Into<async_nats::Error>) -> Error {
        let text = format!("the connection to {} was closed; open another", self.server);
        Error::new(ErrorKind::Unavailable, text).because(cause)
    }

    /// Refuses a record that no stream of this server can hold, before it is sent.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`], with the limit.
    pub fn check_size(&self, record: &Record) -> Result<()> {
        // Headers for the service are not stored. (Several values of one are an error that the service
        // reports.)
        let for_service = [header::TIME, header::ONCE, header::RECEIPT]
            .iter()
            .flat_map(|name| record.metadata.get_any_case(name).map(move |value| name.len() + value.len()));
        let bytes = record.bytes().saturating_sub(for_service.sum());
        if bytes > self.event_bytes_max() {
            return Err(self.too_large());
        }
        Ok(())
    }

    /// The most bytes of data and metadata of an event on this server.
    pub fn event_bytes_max(&self) -> usize {
        self.client.max_payload().saturating_sub(wire::HEADROOM_BYTES)
    }

    fn too_large(&self) -> Error {
        Error::new(
            ErrorKind::TooLarge,
            format!(
                "the event is larger than {} bytes, which is max_payload of {} without {} for headers; send it in parts",
                self.event_bytes_max(),
                self.server,
                wire::HEADROOM_BYTES
            ),
        )
    }

    fn no_service(&self) -> Error {
        Error::new(
            ErrorKind::Unavailable,
            format!("no hourlogd answers on {}; start one with hourlogd --nats {0} --store file:DIR", self.server),
        )
    }

    fn timed_out(&self) -> Error {
        if self.client.connection_state() == State::Connected {
            let text = format!(
                "hourlogd on {} has not answered within {:?}; try again, or allow more time",
                self.server, self.timeout
            );
            Error::new(ErrorKind::Deadline, text)
        } else {
            Error::new(
                ErrorKind::Unavailable,
                format!("the connection to {} is lost; check that nats-server runs there", self.server),
            )
        }
    }
}

/// The reason why a request has no reply.
#[derive(Debug)]
enum RequestFailure {
    /// Nobody listens on the subject.
    NoService,
    TooLarge(RequestError),
    TimedOut,
    /// The client has ended.
    Closed(RequestError),
}

impl Events for Remote {
    type Log = RemoteLog;

    async fn log(&self, id: &LogId) -> Result<RemoteLog> {
        Ok(RemoteLog::new(self.clone(), id.clone()))
    }
}

/// Returns the headers of a message that publishes `record`: its metadata, and its time.
///
/// # Errors
/// [`ErrorKind::Invalid`] for a name or a value that a header cannot have. A NATS server would store some of
/// them, and no client could read them.
pub fn header_map(record: &Record) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    if let Some(time) = record.time {
        headers.insert(header::TIME, time.to_string());
    }
    for (name, values) in record.metadata.iter() {
        let wrong = |why: &str| Error::invalid(format!("metadata name {:?} {why}", shorten(name)));
        if name.is_empty() {
            return Err(wrong("is empty; give it one"));
        }
        let parsed: HeaderName = name
            .parse()
            .map_err(|_| wrong("has a character that a header cannot have; use letters, digits and - _ . only"))?;
        for value in values {
            let value: HeaderValue = value.parse().map_err(|_| {
                wrong("has a value of more than one line, which a header cannot have; put it into the data")
            })?;
            headers.append(parsed.clone(), value);
        }
    }
    Ok(headers)
}

/// Returns a reply, or the error in its headers.
fn reply(message: Message) -> Result<Message> {
    let headers = message.headers.as_ref();
    let Some(code) = headers.and_then(|headers| headers.get(wire::ERROR_CODE)) else {
        return Ok(message);
    };
    let kind = code.as_str().parse().map_or(ErrorKind::Unexpected, ErrorKind::from_code);
    let sentence =
        headers.and_then(|headers| headers.get(wire::ERROR)).map_or("the service gave no reason", |text| text.as_str());
    Err(Error::new(kind, sentence))
}

fn json(request: &impl Serialize) -> Result<Bytes> {
    serde_json::to_vec(request)
        .map(Bytes::from)
        .map_err(|error| Error::new(ErrorKind::Unexpected, "the request cannot be written as JSON").because(error))
}

fn parse<A: DeserializeOwned>(reply: &[u8]) -> Result<A> {
    serde_json::from_slice(reply).map_err(|error| {
        Error::new(
            ErrorKind::Unexpected,
            "the reply is not one of a service of this version; compare hourlog --version and hourlogd --version",
        )
        .because(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_that_no_client_could_read_back_is_refused() {
        for (name, value) in [("", "x"), ("a b", "x"), ("a:b", "x"), ("ü", "x"), ("a", "x\r\ny"), ("a", "x\ny")] {
            let record = Record::new("").with(name, value);
            assert_eq!(header_map(&record).expect_err("it is bad").kind(), ErrorKind::Invalid, "{name:?}");
        }
        let headers = header_map(&Record::new("").with("kind", "paid").with("kind", "zwölf")).expect("good");
        assert_eq!(headers.get_all("kind").map(|value| value.as_str()).collect::<Vec<_>>(), ["paid", "zwölf"]);
    }
}
