//! Gaps: messages that left the stream before they were archived.

use std::time::Instant;

use async_nats::jetstream;
use hourlog::{Offset, Result, store::Store};

use super::{Ingest, IngestArgs, consumer::Messages};
use crate::{
    health::Removed,
    stream::{message::MessageKey, raw},
};

impl<S: Store> Ingest<S> {
    /// Passes over messages that are no longer in the stream, from the next one on: at the end of the
    /// stream nothing else would, so the lag would stay.
    pub(super) async fn skip_removed(
        &mut self,
        handle: &jetstream::stream::Stream,
        messages: Option<&mut Messages>,
    ) -> Result<()> {
        let state = &handle.cached_info().state;
        let next = self.checkpoint.taken().message.sequence + 1;
        if next > state.last_sequence {
            return Ok(());
        }
        let IngestArgs { jetstream, source, .. } = &self.args;
        let (stream, first) = (source.stream(), state.first_sequence);
        let present = if first > next && state.messages > 0 {
            Some(first)
        } else {
            raw::fetch(jetstream, stream, next).await?.map(|message| message.key.sequence)
        };
        // What is published after the state was read is not passed over.
        let last = present.map_or(state.last_sequence, |present| (present - 1).min(state.last_sequence));
        // The client may hold messages that have left the stream since. They came over the same
        // connection, before the replies above.
        if let Some(messages) = messages {
            while let Some(chunk) = messages.next_ready_chunk() {
                self.take(chunk, messages).await?;
            }
        }
        let created =
            i64::try_from(handle.cached_info().created.unix_timestamp_nanos()).map_or(Offset::MIN, Offset::from_nanos);
        self.skip_to(last, created, first > next);
        Ok(())
    }

    /// Passes over the messages up to `last`, because the stream, which was created at `created`, no
    /// longer has them. `are_oldest` is true if they were the stream's oldest.
    fn skip_to(&mut self, last: u64, created: Offset, are_oldest: bool) {
        let taken = self.checkpoint.taken().message;
        if last <= taken.sequence {
            return;
        }
        // Gaps in the middle of an existing stream are its own affair.
        if are_oldest || self.source().is_wal {
            self.report_removed(taken.sequence + 1, last);
        }
        // An earlier time would look as if the stream had been recreated since.
        self.checkpoint.take(MessageKey { sequence: last, time: taken.time.max(created) });
        self.checkpoint.hand_out();
        self.in_flight.push_archived();
    }

    /// Reports that messages left the stream before they were archived.
    pub(super) fn report_removed(&mut self, from: u64, to: u64) {
        let IngestArgs { source, settings, stream, .. } = &self.args;
        // An existing stream is read from the first message that it still has.
        if from == 1 && stream.may_begin_later() {
            return;
        }
        // After a restart of the ingest, the same gap is seen again.
        let from = from.max(self.removals_reported_to + 1);
        if from > to {
            return;
        }
        self.removals_reported_to = to;
        source.health.removed(Removed { at: (settings.clock)(), from, to });
        if let Some(left_out) = self.removals.count(Instant::now()) {
            tracing::error!(stream = %source.stream(), from, to, left_out, "messages were removed from the stream before they were archived");
        }
    }
}
