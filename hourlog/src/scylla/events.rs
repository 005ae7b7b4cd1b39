//! Reading events: a row of a page becomes an encoded event, without an event between.

use scylla::{response::PagingState, serialize::row::SerializeRow, statement::prepared::PreparedStatement};

use crate::{
    LogId, Position, Result,
    encoded::Encoder,
    store::{Bucket, EncodedEvent, Scan},
};

use super::{
    Scylla,
    errors::unreadable,
    session::cql_limit,
    values::{self, CqlEvent},
};

impl Scylla {
    /// Reads the events of [`Store::events`](crate::store::Store::events).
    pub(super) async fn scan(&self, id: &LogId, bucket: Bucket, scan: Scan) -> Result<Vec<EncodedEvent>> {
        let Scan { from, to, reverse, limit, bytes } = scan;
        if from > to || limit == 0 {
            return Ok(Vec::new());
        }
        let statements = &self.0.statements;
        let statement = if reverse { &statements.events_reverse } else { &statements.events };
        let start = values::hour_bucket(bucket.start);
        let values = (id.as_str(), start, from.offset.nanos(), from.seq, to.offset.nanos(), to.seq, cql_limit(limit));
        self.encoded(statement, values, bytes).await
    }

    /// Reads the events of a bucket that have these positions, at most
    /// [`POSITIONS_PER_READ`](super::late::POSITIONS_PER_READ).
    pub(super) async fn events_at(
        &self,
        id: &LogId,
        bucket: Bucket,
        positions: Vec<Position>,
    ) -> Result<Vec<EncodedEvent>> {
        let positions: Vec<_> = positions.iter().map(|position| (position.offset.nanos(), position.seq)).collect();
        let values = (id.as_str(), values::hour_bucket(bucket.start), positions);
        self.encoded(&self.0.statements.some_events, values, usize::MAX).await
    }

    /// Reads the events of a statement, up to the one with which they have `bytes` of data and metadata.
    async fn encoded(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow + Sync,
        bytes: usize,
    ) -> Result<Vec<EncodedEvent>> {
        let (mut encoder, mut read_bytes) = (Encoder::default(), 0);
        let mut next = Some(PagingState::start());
        while let Some(from) = next {
            let page;
            (page, next) = self.rows_page(statement, &values, from).await?;
            for row in page.rows::<CqlEvent<'_, '_>>().map_err(|error| unreadable(&error))? {
                let encoded = row.and_then(|row| values::encode(row, &mut encoder));
                read_bytes += encoded.map_err(|error| unreadable(&error))?;
                if read_bytes >= bytes {
                    return Ok(encoder.finish());
                }
            }
        }
        Ok(encoder.finish())
    }
}
