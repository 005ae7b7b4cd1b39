//! Archives of random events, to be damaged.

use std::path::Path;

use hourlog::{
    Embedded, Offset, Record, Result, Seq,
    store::{EventRow, Store, Write},
    time::{HOUR, MINUTE},
};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{
    guard::log_id,
    kit::at,
    rows::{self, RowSource},
};

/// How much an archive holds.
#[derive(Debug, Clone, Copy)]
pub enum Size {
    /// It fits into its journal.
    Small,
    /// It has tables and several journals.
    Large,
}

/// Creates an archive of `size` in `directory`, with one log and the checkpoint of a source after each batch.
///
/// # Errors
/// Those of [`Embedded::open`] and [`Store::write`].
pub async fn create(directory: &Path, size: Size) -> Result<Embedded> {
    let store = Embedded::open(directory)?;
    let (batches, events, bytes) = match size {
        Size::Small => (200, 10, 100),
        Size::Large => (150, 1_000, 1_000),
    };
    let mut random = StdRng::seed_from_u64(7);
    let mut source = RowSource::new(log_id());
    for batch in 1..=batches {
        let rows: Vec<EventRow> = (0..events)
            .map(|event| {
                let now = at("10:00:00").saturating_add_nanos((batch * events + event) * MINUTE / 20);
                let late = if event % 7 == 0 { now.saturating_add_nanos(-HOUR) } else { now };
                let data: Vec<u8> = (0..bytes).map(|_| random.random()).collect();
                source.arrival(late, now, Record::new(data))
            })
            .collect();
        rows::write(&store, &log_id(), &rows).await?;
        store.write(vec![archived(batch)]).await?;
    }
    Ok(store)
}

/// The checkpoint of a source, after `number` messages of stream `S`.
pub fn archived(number: i64) -> Write {
    let (seq, time) = (Seq::from_number(number), Offset::from_nanos(number));
    Write::Archived { stream: "S".into(), slot: 0, seq, time, max_time: time }
}
