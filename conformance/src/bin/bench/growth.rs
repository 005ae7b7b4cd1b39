//! The growth mode: how the figures change when one size grows. A table each.

mod busy;
mod event_size;
mod events;
mod latency;
mod logs;
mod readers;

use futures_util::future::LocalBoxFuture;

use crate::{results::GrowthTable, row::Bench};

/// A table: one line for each size.
#[derive(Debug)]
pub(crate) struct Table {
    pub name: &'static str,
    pub title: &'static str,
    how: &'static str,
    columns: &'static [&'static str],
    measure: for<'a> fn(&'a Bench) -> LocalBoxFuture<'a, Lines>,
}

/// The cells of a table, line by line.
type Lines = Vec<Vec<String>>;

/// All tables.
pub(crate) const ALL: [Table; 6] =
    [events::TABLE, logs::TABLE, event_size::TABLE, readers::TABLE, busy::TABLE, latency::TABLE];

impl Table {
    pub(crate) async fn measure(&self, bench: &Bench) -> GrowthTable {
        GrowthTable {
            name: self.name.to_owned(),
            title: self.title.to_owned(),
            how: self.how.to_owned(),
            columns: self.columns.iter().map(|column| (*column).to_owned()).collect(),
            lines: (self.measure)(bench).await,
        }
    }
}
