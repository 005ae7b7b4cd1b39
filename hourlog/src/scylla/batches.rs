//! Batches: statements that are sent as one request.
//!
//! They are unlogged, so that they cost no more than their rows. A batch may be applied in part; nothing depends on it.

use scylla::{
    serialize::{
        SerializationError,
        batch::BatchValues,
        row::{RowSerializationContext, SerializeRow},
        writers::RowWriter,
    },
    statement::{
        batch::{Batch, BatchType},
        prepared::PreparedStatement,
    },
};

use crate::Result;

use super::{Scylla, errors::request_error, statements::Statements};

/// The most rows of one batch, all in one partition. Larger batches raise the write p99 to 0.3 s.
pub(super) const BATCH_ROWS_MAX: usize = 50;
/// The statements or batches of one write that are in flight at once.
pub(super) const CONCURRENT_STATEMENTS: usize = 16;

/// The batches that are sent often. Building a batch costs as much as filling it.
pub(super) struct Batches {
    /// 1, 2, 3… events.
    events: Vec<Batch>,
    /// The same, each followed by the row that lists those of them that are late.
    listed_events: Vec<Batch>,
    /// An era with its first bucket.
    pub(super) era: Batch,
}

impl Batches {
    pub(super) fn new(statements: &Statements) -> Self {
        let events: Vec<Batch> = (1..=BATCH_ROWS_MAX).map(|rows| unlogged(&statements.add_event, rows)).collect();
        let listed = |batch: &Batch| {
            let mut batch = batch.clone();
            batch.append_statement(statements.add_arrivals.clone());
            batch
        };
        let listed_events = events.iter().map(listed).collect();
        let mut era = unlogged(&statements.add_era, 1);
        era.append_statement(statements.set_bucket.clone());
        Self { events, listed_events, era }
    }

    /// Returns the batch of that many events, with the row that lists them if `is_listed`.
    pub(super) fn of_events(&self, events: usize, is_listed: bool) -> &Batch {
        if is_listed { &self.listed_events[events - 1] } else { &self.events[events - 1] }
    }
}

/// Returns a batch that executes a statement `rows` times.
pub(super) fn unlogged(statement: &PreparedStatement, rows: usize) -> Batch {
    let mut batch = Batch::new_with_statements(BatchType::Unlogged, vec![statement.clone().into(); rows]);
    batch.set_is_idempotent(true);
    batch
}

/// The values of one of two statements.
pub(super) enum OneOf<A, B> {
    First(A),
    Second(B),
}

impl<A: SerializeRow, B: SerializeRow> SerializeRow for OneOf<A, B> {
    fn serialize(
        &self,
        context: &RowSerializationContext<'_>,
        writer: &mut RowWriter<'_>,
    ) -> Result<(), SerializationError> {
        match self {
            Self::First(values) => values.serialize(context, writer),
            Self::Second(values) => values.serialize(context, writer),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::First(values) => values.is_empty(),
            Self::Second(values) => values.is_empty(),
        }
    }
}

impl Scylla {
    /// Executes a batch.
    pub(super) async fn execute_batch(&self, batch: &Batch, values: impl BatchValues) -> Result<()> {
        let written = self.0.session.batch(batch, values).await.map(drop).map_err(|error| {
            request_error("the database did not accept a batch of rows; check its health and try again", error)
        });
        self.unless_restarted(written).await
    }
}
