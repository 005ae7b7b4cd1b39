//! Backups of a stream: taken by nats-server, or written message by message, and restored in steps.

use std::{io::Write, pin::pin, time::Duration};

use async_nats::Client;
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use hourlog::Offset;
use serde_json::{Value, json};
use tokio::time::timeout;

/// The beginning of an archive, as nats-server 2.15 writes it.
const MAGIC: &[u8] = b"NATSARC1";
/// Number of messages that are fetched at the same time.
const FETCHES_AT_ONCE: usize = 64;

/// A chunk without content: what every compressed stream begins with, and may repeat.
const NO_CONTENT: &[u8] = b"\xff\x06\0\0sNaPpY";
/// The interval at which it is sent. The server ends a restore that stands still for five seconds.
const NO_CONTENT_INTERVAL: Duration = Duration::from_secs(1);

/// A message of a stream, as the server stores it.
#[derive(Debug, Clone)]
pub struct StreamMessage {
    /// Its sequence.
    pub sequence: u64,
    /// The time at which the server took it.
    pub time: Offset,
    /// Its subject.
    pub subject: String,
    /// The block of its headers; empty for none.
    pub headers: Vec<u8>,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// A backup of a stream, as `nats stream backup` makes it.
#[derive(Debug, Clone)]
pub struct StreamBackup {
    name: String,
    config: Value,
    state: Value,
    chunks: Vec<Bytes>,
}

/// A restore under way.
#[derive(Debug)]
pub struct StreamRestore {
    client: Client,
    deliver: String,
    chunks: std::vec::IntoIter<Bytes>,
}

impl StreamBackup {
    /// Asks the server for a backup of `stream`.
    ///
    /// # Panics
    /// If the server refuses.
    pub async fn take(client: &Client, stream: &str) -> Self {
        let inbox = client.new_inbox();
        let mut sent = client.subscribe(inbox.clone()).await.expect("the client can subscribe");
        let mut described =
            jetstream_api(client, &format!("STREAM.SNAPSHOT.{stream}"), &json!({ "deliver_subject": inbox })).await;
        let mut chunks = Vec::new();
        // The client acknowledges each chunk; the last one is empty.
        while let Some(chunk) = sent.next().await.filter(|chunk| !chunk.payload.is_empty()) {
            chunks.push(chunk.payload);
            if let Some(reply) = chunk.reply {
                client.publish(reply, "".into()).await.expect("the message can be sent");
            }
        }
        Self { name: stream.to_owned(), config: described["config"].take(), state: described["state"].take(), chunks }
    }

    /// Writes a backup that holds `messages`, with `per_chunk` messages in each chunk. The settings
    /// are those of `stream` on the server.
    ///
    /// # Panics
    /// If the server does not answer for the stream.
    pub async fn of_messages(client: &Client, stream: &str, messages: &[StreamMessage], per_chunk: usize) -> Self {
        let mut info = jetstream_api(client, &format!("STREAM.INFO.{stream}"), &json!({})).await;
        let (first, last) = (messages.first().map_or(1, |first| first.sequence), messages.last());
        let bytes =
            |message: &StreamMessage| message.subject.len() + message.headers.len() + message.payload.len() + 34;
        let state = json!({
            "messages": messages.len(), "bytes": messages.iter().map(bytes).sum::<usize>(),
            "first_seq": first, "last_seq": last.map_or(first - 1, |last| last.sequence),
        });
        let described = state.to_string();
        let mut archive = MAGIC.to_vec();
        write_entry(&mut archive, "state.json", Offset::from_nanos(0), 0, b"", described.as_bytes());
        let mut chunks = vec![compressed(&archive)];
        for part in messages.chunks(per_chunk) {
            let mut archive = Vec::new();
            for message in part {
                let StreamMessage { sequence, time, subject, headers, payload } = message;
                write_entry(&mut archive, subject, *time, *sequence, headers, payload);
            }
            chunks.push(compressed(&archive));
        }
        let mut end = Vec::new();
        write_entry(&mut end, "", Offset::from_nanos(0), 0, b"", b"");
        chunks.push(compressed(&end));
        Self { name: stream.to_owned(), config: info["config"].take(), state, chunks }
    }

    /// Begins to restore the stream, which must not exist. The server ends a restore that stands
    /// still for five seconds: see [`StreamRestore::stand_still`].
    ///
    /// # Panics
    /// If the server refuses.
    pub async fn begin_restore(&self, client: &Client) -> StreamRestore {
        let body = json!({ "config": self.config, "state": self.state });
        let reply = jetstream_api(client, &format!("STREAM.RESTORE.{}", self.name), &body).await;
        let deliver = reply["deliver_subject"].as_str().expect("the reply names a subject for the chunks").to_owned();
        StreamRestore { client: client.clone(), deliver, chunks: self.chunks.clone().into_iter() }
    }

    /// Restores the stream, which must not exist.
    ///
    /// # Panics
    /// If the server refuses.
    pub async fn restore(&self, client: &Client) {
        self.begin_restore(client).await.finish().await;
    }
}

impl StreamRestore {
    /// Sends the next chunk. Returns false if there is none.
    ///
    /// # Panics
    /// If the server refuses it.
    pub async fn send_next(&mut self) -> bool {
        let Some(chunk) = self.chunks.next() else { return false };
        self.send(chunk).await;
        true
    }

    /// Waits for `work`, however long it takes, without a further message.
    ///
    /// # Panics
    /// If the server ends the restore meanwhile.
    pub async fn stand_still<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            match timeout(NO_CONTENT_INTERVAL, &mut work).await {
                Ok(done) => return done,
                Err(_) => self.send(Bytes::from_static(NO_CONTENT)).await,
            }
        }
    }

    /// Sends all chunks that are left, and ends the restore.
    ///
    /// # Panics
    /// If the server refuses one of them, or the whole.
    pub async fn finish(mut self) {
        while self.send_next().await {}
        // The last chunk is empty.
        self.send(Bytes::new()).await;
    }

    async fn send(&self, chunk: Bytes) {
        let reply = self.client.request(self.deliver.clone(), chunk).await.expect("JetStream accepts the chunk");
        assert!(!String::from_utf8_lossy(&reply.payload).contains("\"error\""), "{:?}", reply.payload);
    }
}

/// Reads all messages of `stream`.
///
/// # Panics
/// If the server does not answer.
pub async fn stream_messages(client: &Client, stream: &str) -> Vec<StreamMessage> {
    let info = jetstream_api(client, &format!("STREAM.INFO.{stream}"), &json!({})).await;
    let end = |name: &str| info["state"][name].as_u64().expect("a state has its ends");
    let fetched = stream::iter(end("first_seq").max(1)..=end("last_seq"))
        .map(|sequence| fetch(client, stream, sequence))
        .buffered(FETCHES_AT_ONCE);
    fetched.filter_map(std::future::ready).collect().await
}

/// Fetches one message; `None` if the stream does not hold it.
async fn fetch(client: &Client, stream: &str, sequence: u64) -> Option<StreamMessage> {
    let request = json!({ "seq": sequence }).to_string();
    let reply = client.request(format!("$JS.API.STREAM.MSG.GET.{stream}"), request.into()).await;
    let reply: Value = serde_json::from_slice(&reply.expect("JetStream replies").payload).expect("the reply is JSON");
    let message = reply.get("message")?;
    let bytes = |name: &str| {
        BASE64_STANDARD.decode(message[name].as_str().unwrap_or_default()).expect("the server encodes bytes")
    };
    Some(StreamMessage {
        sequence,
        time: message["time"].as_str().and_then(|time| time.parse().ok()).expect("a message has a time"),
        subject: message["subject"].as_str().expect("a message has a subject").to_owned(),
        headers: bytes("hdrs"),
        payload: bytes("data"),
    })
}

/// Appends an entry in the form of nats-server's archives.
fn write_entry(archive: &mut Vec<u8>, name: &str, time: Offset, sequence: u64, headers: &[u8], payload: &[u8]) {
    write_varint(archive, name.len() as u64);
    // Signed numbers are written in zigzag.
    write_varint(archive, ((time.nanos() << 1) ^ (time.nanos() >> 63)) as u64);
    for number in [sequence, headers.len() as u64, payload.len() as u64] {
        write_varint(archive, number);
    }
    for part in [name.as_bytes(), headers, payload] {
        archive.extend_from_slice(part);
    }
}

fn write_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Compresses bytes in frames of their own, so that the server can read them as soon as they arrive.
fn compressed(bytes: &[u8]) -> Bytes {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).expect("memory takes every write");
    encoder.into_inner().expect("memory takes every write").into()
}

async fn jetstream_api(client: &Client, subject: &str, body: &Value) -> Value {
    let reply = client.request(format!("$JS.API.{subject}"), body.to_string().into()).await.expect("JetStream replies");
    let reply: Value = serde_json::from_slice(&reply.payload).expect("the reply is JSON");
    assert!(reply["error"].is_null(), "{subject}: {reply}");
    reply
}
