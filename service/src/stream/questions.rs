//! Questions to a stream: its state, and if it stores messages.

use std::time::Duration;

use async_nats::jetstream::{
    self, ErrorCode,
    response::Response,
    stream::{DiscardPolicy, Info},
};
use hourlog::{Error, ErrorKind, Offset, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::time::timeout;

/// Time limit for an answer. A healthy server answers within milliseconds.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// The part of a stream's limit below which its room counts as used up: messages differ in size.
const FULL_DIVISOR: u64 = 100;

/// The reply to a purge. Its counts do not matter.
#[derive(Deserialize)]
struct Purged {}

/// The state of a stream, and the server's time when it was told.
#[derive(Debug, Deserialize)]
pub(crate) struct TimedState {
    #[serde(flatten)]
    pub(crate) info: Info,
    #[serde(rename = "ts")]
    pub(crate) time: Offset,
}

/// Asks JetStream about the stream, and reads what `T` has of the answer; `None` if the stream does not exist.
///
/// # Errors
/// [`ErrorKind::Unavailable`] if JetStream does not answer.
pub(crate) async fn info<T: DeserializeOwned>(
    jetstream: &jetstream::Context,
    stream: &str,
    question: &impl Serialize,
) -> Result<Option<T>> {
    // The client library's own question drops fields.
    let cause: async_nats::Error = match jetstream.request(format!("STREAM.INFO.{stream}"), question).await {
        Ok(Response::Ok(info)) => return Ok(Some(info)),
        Ok(Response::Err { error }) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => return Ok(None),
        Ok(Response::Err { error }) => error.into(),
        Err(error) => error.into(),
    };
    Err(Error::new(ErrorKind::Unavailable, silent(stream)).because(cause))
}

/// Returns the description of an error for a stream about which JetStream does not answer.
pub(super) fn silent(stream: &str) -> String {
    format!(
        "JetStream does not answer for the stream {stream}; check that it is enabled (nats-server -js) and that this user \
         may use it"
    )
}

/// Returns the state of the stream.
///
/// # Errors
/// [`ErrorKind::Unavailable`] if the server does not answer in time, [`ErrorKind::NotFound`] if the
/// stream does not exist.
pub(crate) async fn state(jetstream: &jetstream::Context, stream: &str) -> Result<TimedState> {
    let state = timeout(ANSWER_MAX, info(jetstream, stream, &())).await.map_err(|_| {
        let context = format!(
            "the stream {stream} has not answered for {} s; check nats-server and the network to it",
            ANSWER_MAX.as_secs()
        );
        Error::new(ErrorKind::Unavailable, context)
    })?;
    state?.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("the stream {stream} does not exist")))
}

/// Asks if the stream still stores messages. Returns `None` if it does not answer in time.
///
/// After a failed write, such as on a full disk, nats-server stores nothing in the stream until it is
/// restarted, and answers no publisher; but it goes on answering for the stream's state. It refuses
/// a purge with the error of that write. So this purges what cannot exist: messages on a new subject,
/// before the stream's second one. Nothing is removed and nothing is stored, however often it is
/// asked.
///
/// # Errors
/// [`ErrorKind::Unavailable`] with the server's reason.
pub(crate) async fn stores(jetstream: &jetstream::Context, stream: &str) -> Option<Result<()>> {
    let nothing = serde_json::json!({ "filter": format!("_HOURLOG.{}", nuid::next()), "seq": 2 });
    let reply = timeout(ANSWER_MAX, jetstream.request(format!("STREAM.PURGE.{stream}"), &nothing)).await;
    match reply.ok()?.ok()? {
        Response::Err { error } if error.error_code() == ErrorCode::STREAM_GENERALOR => Some(Err(Error::new(
            ErrorKind::Unavailable,
            format!(
                "the stream {stream} stores no messages, and publishers get no answer: {error}; give the disk of \
                 nats-server room, then restart nats-server"
            ),
        ))),
        // Any other refusal, such as a missing right, says nothing about the stream's files.
        Response::Ok(Purged {}) | Response::Err { .. } => Some(Ok(())),
    }
}

/// Refuses a full stream: it answers publishers, but with an error.
///
/// # Errors
/// [`ErrorKind::Unavailable`] with its size and its limit.
pub(crate) fn check_room(info: &Info) -> Result<()> {
    let (bytes, messages) = (info.state.bytes, info.state.messages);
    let bytes_max = u64::try_from(info.config.max_bytes).unwrap_or(0);
    if info.config.discard != DiscardPolicy::New || !is_full(bytes, messages, bytes_max) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Unavailable,
        format!(
            "the stream {} is full and refuses messages (503, 10077): it holds {bytes} of {bytes_max} bytes; it has room \
             again once its messages are archived, or with a larger max_bytes",
            info.config.name
        ),
    ))
}

/// Returns true if a stream that may hold `bytes_max` has no room for a message of average size. No
/// limit is 0.
fn is_full(bytes: u64, messages: u64, bytes_max: u64) -> bool {
    let average = bytes.checked_div(messages).unwrap_or(0);
    bytes_max > 0 && bytes.saturating_add(average.max(bytes_max / FULL_DIVISOR)) > bytes_max
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_full_once_an_average_message_has_no_room() {
        for (bytes, messages, bytes_max, expected) in [
            (0, 0, 0, false),
            (1 << 40, 7, 0, false),
            (0, 0, 1_000, false),
            (90_000, 9, 100_000, false),
            (95_000, 9, 100_000, true),
            (98_000, 9_800, 100_000, false),
            (99_500, 9_950, 100_000, true),
        ] {
            assert_eq!(is_full(bytes, messages, bytes_max), expected, "{bytes} of {bytes_max}");
        }
    }
}
