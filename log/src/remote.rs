//! The client of the service: logs over NATS, by request and reply.
//!
//! - [`Remote`]: asks; one method an endpoint, and [`Events`] for whoever wants a [`Log`](crate::Log) and no more.
//! - `pages`: pages with the next one read ahead; `follow`: what arrives, for ever; `log`: [`RemoteLog`].

mod follow;
mod log;
mod pages;

use std::{sync::Arc, time::Duration};

use async_nats::{
    Client, HeaderMap, Message, Request,
    client::RequestErrorKind,
    connection::State,
    header::{HeaderName, HeaderValue},
};
use bytes::Bytes;
use futures_util::Stream;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    End, Error, ErrorKind, Event, Events, LogId, Metadata, Position, Record, Result, header, shorten,
    wire::{
        self, AppendReply, CreateRequest, DescribeReply, LogsReply, LogsRequest, ReplayRequest, Subjects,
        TimelineReply, TimelineRequest, proto,
    },
};

pub use self::log::RemoteLog;

/// How long an answer may take, unless [`Remote::timeout`] says otherwise.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// The service, over a connection to NATS. Cheap to clone; clones share the connection.
///
/// Every request has a timeout. A service that does not answer is [`ErrorKind::Unavailable`] where nobody listens or the
/// server cannot be reached, and [`ErrorKind::Deadline`] where somebody listens and is slow.
#[derive(Debug, Clone)]
pub struct Remote {
    client: Client,
    subjects: Subjects,
    timeout: Duration,
    server: Arc<str>,
}

/// One page of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemotePage {
    /// In the order that was asked for.
    pub events: Vec<Event>,
    /// What to send as `after` for what follows; absent where nothing was read and none was given.
    pub next: Option<String>,
    /// Why the page ended.
    pub end: End,
    /// The position of its first event.
    pub resolved: Option<Position>,
    /// How many events were looked at.
    pub scanned: u64,
}

impl Remote {
    /// The service that answers below the usual prefix.
    pub fn new(client: Client) -> Self {
        Self::with_prefix(client, wire::SERVICE)
    }

    /// The service that was told to answer below `prefix`.
    pub fn with_prefix(client: Client, prefix: impl Into<String>) -> Self {
        let info = client.server_info();
        let server = format!("nats://{}:{}", info.host, info.port).into();
        Self { client, subjects: Subjects { prefix: prefix.into() }, timeout: TIMEOUT_DEFAULT, server }
    }

    /// Connects to the NATS server at `url`, or to one of several with commas between them.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] where none of them takes the connection, [`ErrorKind::NotAllowed`] where it turns us away.
    pub async fn connect(url: &str) -> Result<Self> {
        let options = async_nats::ConnectOptions::new().connection_timeout(TIMEOUT_DEFAULT);
        let urls: Vec<&str> = url.split(',').map(str::trim).collect();
        match options.connect(urls).await {
            Ok(client) => Ok(Self::new(client).server(url)),
            Err(error) => Err(connect_error(url, error)),
        }
    }

    /// The same, with another time for an answer. A request that waits for events has that wait on top.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same, with errors that name the server so. What stands before an `@` (a user, a password) is left out.
    pub fn server(mut self, url: &str) -> Self {
        self.server = without_secrets(url).into();
        self
    }

    /// The connection.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What to ask on which subject.
    pub fn subjects(&self) -> &Subjects {
        &self.subjects
    }

    /// One page of `log`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a log that never held an event, [`ErrorKind::Invalid`] for a request that contradicts itself.
    pub async fn replay(&self, log: &LogId, request: &ReplayRequest) -> Result<RemotePage> {
        let mut headers = HeaderMap::new();
        headers.insert(wire::ACCEPT, wire::PROTOBUF);
        let wait = request.wait.map_or(Duration::ZERO, wire::Span::duration);
        let reply = self.ask(self.subjects.replay(log), headers, json(request)?, wait).await?;
        let page = proto::decode(reply)?;
        let end = page.end().into();
        let resolved = page.resolved.as_deref().map(str::parse).transpose()?;
        Ok(RemotePage {
            events: page.events.into_iter().map(|event| event.of_log(log)).collect(),
            next: page.next,
            end,
            resolved,
            scanned: page.scanned,
        })
    }

    /// Writes one record; returns once the archive holds it.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`] for what the record itself says, [`ErrorKind::TooLarge`] before it is sent.
    pub async fn append(&self, log: &LogId, record: Record) -> Result<AppendReply> {
        self.fits(&record)?;
        let headers = header_map(&record.metadata)?;
        let reply = self.ask(self.subjects.append(log), headers, record.data.into_bytes(), Duration::ZERO).await?;
        parse(&reply)
    }

    /// What is known of `log`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a log that never held an event and was not made.
    pub async fn describe(&self, log: &LogId) -> Result<DescribeReply> {
        self.ask_json(self.subjects.describe(log), &serde_json::Map::new()).await
    }

    /// Counts of `log` by time.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] as for [`Remote::describe`], [`ErrorKind::Invalid`] for an empty stretch of time.
    pub async fn timeline(&self, log: &LogId, request: &TimelineRequest) -> Result<TimelineReply> {
        self.ask_json(self.subjects.timeline(log), request).await
    }

    /// The logs there are.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a pattern that is none.
    pub async fn logs(&self, request: &LogsRequest) -> Result<LogsReply> {
        self.ask_json(self.subjects.logs(), request).await
    }

    /// Makes `log` before its first event.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] where it is there already and is kept in another way.
    pub async fn create(&self, log: &LogId, request: &CreateRequest) -> Result<DescribeReply> {
        self.ask_json(self.subjects.admin_create(log), request).await
    }

    /// The events that `request` asks for, page by page with the next one read ahead. Its `limit` is for all of them.
    /// Ends where the bound or the end of the log is reached, and behind an error.
    pub fn events(&self, log: LogId, request: ReplayRequest) -> impl Stream<Item = Result<Event>> + Send + use<> {
        pages::events(self.clone(), log, request)
    }

    /// The events behind the request's `after` in the order of their arrival, and then whatever arrives.
    ///
    /// Never ends by itself: once there was an answer, a server or a service that goes away is asked again until it
    /// is back. Other errors, and any before the first answer, are handed out and end it.
    pub fn follow(&self, log: LogId, request: ReplayRequest) -> impl Stream<Item = Result<Event>> + Send + use<> {
        follow::follow(self.clone(), log, request)
    }

    async fn ask_json<Q: Serialize, A: DeserializeOwned>(&self, subject: String, request: &Q) -> Result<A> {
        parse(&self.ask(subject, HeaderMap::new(), json(request)?, Duration::ZERO).await?)
    }

    /// One request and its reply. `wait` is time that the service was asked to let pass.
    async fn ask(&self, subject: String, headers: HeaderMap, payload: Bytes, wait: Duration) -> Result<Bytes> {
        let request = Request::new().headers(headers).payload(payload).timeout(None);
        // The library's own timeout does not cover the time in which a lost connection takes no request.
        match tokio::time::timeout(self.timeout + wait, self.client.send_request(subject, request)).await {
            Ok(Ok(message)) => reply(message),
            Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => Err(self.nobody_answers()),
            Ok(Err(error)) if error.kind() == RequestErrorKind::MaxPayloadExceeded => {
                Err(self.too_large().because(error))
            }
            Ok(Err(error)) if error.kind() == RequestErrorKind::TimedOut => Err(self.timed_out()),
            Ok(Err(error)) => Err(Error::new(
                ErrorKind::Unavailable,
                format!("the connection to {} was closed; open another", self.server),
            )
            .because(error)),
            Err(_) => Err(self.timed_out()),
        }
    }

    /// Refuses what no stream of this server can hold, before it is sent.
    fn fits(&self, record: &Record) -> Result<()> {
        let said = [header::TIME, header::ONCE]
            .iter()
            .flat_map(|name| record.metadata.get(name).iter().map(move |value| name.len() + value.len()));
        // A name that is given several values counts once in the record; who gives these two so is told by the service.
        let bytes = record.bytes().saturating_sub(said.sum());
        if bytes > self.event_bytes_max() {
            return Err(self.too_large());
        }
        Ok(())
    }

    /// The most bytes of data and metadata that an event may have on this server.
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

    fn nobody_answers(&self) -> Error {
        Error::new(
            ErrorKind::Unavailable,
            format!("no hourlogd answers on {}; start one with hourlogd --nats {0} --store file:DIR", self.server),
        )
    }

    fn timed_out(&self) -> Error {
        if self.client.connection_state() == State::Connected {
            let text = format!(
                "hourlogd on {} has not answered within {:?}; try again, or give it longer",
                self.server, self.timeout
            );
            Error::new(ErrorKind::Deadline, text)
        } else {
            Error::new(
                ErrorKind::Unavailable,
                format!("the connection to {} is lost; see that nats-server runs there", self.server),
            )
        }
    }
}

impl Events for Remote {
    type Log = RemoteLog;

    async fn log(&self, id: &LogId) -> Result<RemoteLog> {
        Ok(RemoteLog::new(self.clone(), id.clone()))
    }
}

/// Metadata as the headers of a message.
///
/// # Errors
/// [`ErrorKind::Invalid`] for a name or a value that a header cannot have. What a NATS server would store and its
/// clients could not read is refused here.
pub fn header_map(metadata: &Metadata) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, values) in metadata.iter() {
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

/// Why a connection to `url` could not be made.
pub fn connect_error(url: &str, error: async_nats::ConnectError) -> Error {
    use async_nats::ConnectErrorKind as Kind;
    let url = without_secrets(url);
    let (kind, text) = match error.kind() {
        Kind::ServerParse => (ErrorKind::Invalid, format!("{url:?} is no address of a server; write nats://host:4222")),
        Kind::Authentication | Kind::AuthorizationViolation => (
            ErrorKind::NotAllowed,
            format!("{url} does not let us in; check the user, the password or the credentials"),
        ),
        Kind::Tls => (ErrorKind::Unavailable, format!("{url} cannot be reached by TLS; check the certificates")),
        _ => (
            ErrorKind::Unavailable,
            format!("no nats-server answers at {url}; start one, or give the address of another"),
        ),
    };
    Error::new(kind, text).because(error)
}

/// The addresses of `url` without what stands before an `@`.
pub fn without_secrets(url: &str) -> String {
    let plain = |address: &str| match (address.split_once("://"), address.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        (None, Some((_, host))) => host.to_owned(),
        (_, None) => address.to_owned(),
    };
    url.split(',').map(|address| plain(address.trim())).collect::<Vec<_>>().join(",")
}

/// The payload of a reply, or the error that its headers tell.
fn reply(message: Message) -> Result<Bytes> {
    let headers = message.headers.as_ref();
    let Some(code) = headers.and_then(|headers| headers.get(wire::ERROR_CODE)) else {
        return Ok(message.payload);
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
            "the reply is not what a service of this version answers; compare hourlog --version and hourlogd --version",
        )
        .because(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        for (url, shown) in [
            ("nats://127.0.0.1:4222", "nats://127.0.0.1:4222"),
            ("nats://me:se@cret@host:4222", "nats://host:4222"),
            ("token@host", "host"),
            ("tls://a:b@one,two:4223", "tls://one,two:4223"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }

    #[test]
    fn metadata_that_no_client_could_read_back_is_refused() {
        for (name, value) in [("", "x"), ("a b", "x"), ("a:b", "x"), ("ü", "x"), ("a", "x\r\ny"), ("a", "x\ny")] {
            let record = Record::new("").with(name, value);
            assert_eq!(header_map(&record.metadata).expect_err("it is bad").kind(), ErrorKind::Invalid, "{name:?}");
        }
        let headers = header_map(&Record::new("").with("kind", "paid").with("kind", "zwölf").metadata).expect("good");
        assert_eq!(headers.get_all("kind").map(|value| value.as_str()).collect::<Vec<_>>(), ["paid", "zwölf"]);
    }
}
