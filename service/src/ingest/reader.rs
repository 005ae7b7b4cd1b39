//! The ways to read a stream: through a consumer of the client, or raw after it met poison.

use std::time::Instant;

use async_nats::jetstream::stream::Stream;
use hourlog::{Error, Result, store::Store};

use super::{
    Ingest,
    consumer::{self, HELD_MESSAGES_MAX, Messages, Received},
    raw_reader::RawReader,
};
use crate::stream::{connect, raw::RawMessage};

/// The reader of a stream.
pub(super) enum Reader {
    /// A pull consumer.
    Consumer(Box<Messages>),
    /// Requests for single messages.
    Raw(Box<RawReader>),
}

/// Messages that were read together.
pub(super) enum Batch {
    /// Parsed by the client.
    Parsed(Vec<Received>),
    /// As the server stores them.
    Raw(Vec<RawMessage>),
}

impl Reader {
    /// Waits for messages from the sequence `next` on. Returns `None` at the end of the consumer.
    ///
    /// # Errors
    /// The error of JetStream.
    pub(super) async fn next_batch(&mut self, next: u64) -> Option<Result<Batch>> {
        match self {
            Self::Consumer(messages) => messages.next_chunk().await.map(|chunk| Ok(Batch::Parsed(chunk))),
            Self::Raw(reader) => Some(reader.next_batch(next).await.map(Batch::Raw)),
        }
    }
}

impl<S: Store> Ingest<S> {
    /// Begins to read the stream after the last message taken.
    pub(super) async fn open(&mut self, handle: &Stream) -> Result<Reader> {
        let taken = self.checkpoint.taken().message.sequence;
        (self.counted, self.opened_after) = (0, taken);
        if self.caution.reads_raw(Instant::now()) {
            return Ok(Reader::Raw(Box::new(RawReader::new(self.args.jetstream.clone(), handle.clone()))));
        }
        let consumer = consumer::create(handle, taken + 1).await?;
        if consumer.cached_info().num_pending == 0 {
            self.source().limit_catch_up(taken);
        }
        Ok(Reader::Consumer(Box::new(Messages::pull(&consumer).await?)))
    }

    /// Takes messages and hands them out. After an error, hands out the messages before it.
    pub(super) async fn take(&mut self, batch: Batch, reader: &mut Reader) -> Result<()> {
        match batch {
            Batch::Parsed(received) => {
                let Reader::Consumer(messages) = reader else { unreachable!("only the client parses messages") };
                self.take_parsed(received, messages).await
            }
            Batch::Raw(batch) => {
                self.take_raw(batch).await?;
                if let Reader::Raw(raw) = reader
                    && !self.caution.reads_raw(Instant::now())
                {
                    let handle = raw.handle().clone();
                    *reader = self.open(&handle).await?;
                }
                Ok(())
            }
        }
    }

    /// Takes what arrived before the connection was lost. The next message is then the one that may
    /// have broken it. Returns the error that ends the read.
    pub(super) async fn lost_connection(&mut self, reader: &mut Reader) -> Error {
        match self.take_ready(reader).await {
            Ok(()) => self.interrupted(),
            Err(error) => error,
        }
    }

    /// Takes the messages that the client holds already.
    ///
    /// While they are taken, more may come: these are left for the next read.
    pub(super) async fn take_ready(&mut self, reader: &mut Reader) -> Result<()> {
        let Reader::Consumer(messages) = reader else { return Ok(()) };
        let mut left = HELD_MESSAGES_MAX;
        while left > 0
            && let Some(chunk) = messages.next_ready_chunk()
        {
            left = left.saturating_sub(chunk.len());
            self.take_parsed(chunk, messages).await?;
            if self.in_flight.is_full() {
                self.drain_in_flight().await?;
            }
        }
        Ok(())
    }

    /// Connects again if the client has ended. It does on a header that makes its task panic.
    pub(super) async fn connect_again(&mut self) -> Result<()> {
        if self.args.losses.has_changed().is_ok() {
            return Ok(());
        }
        let shutdown = self.args.shutdown.clone();
        let connection = tokio::select! {
            connection = connect::connect(&self.args.settings, "ingest") => connection?,
            () = shutdown.cancelled() => return Err(self.interrupted()),
        };
        self.args.jetstream = connect::jetstream(connection.client.clone(), &self.args.settings);
        self.args.client = connection.client;
        self.args.losses = connection.losses;
        Ok(())
    }
}
