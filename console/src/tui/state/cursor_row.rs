//! The row of a list on which its cursor is drawn.

/// The row of a list on which its cursor is drawn, if there are enough rows before and after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CursorRow {
    /// The middle row, after a jump.
    #[default]
    Middle,
    /// The last row.
    Bottom,
    /// The row with this index.
    At(usize),
}

impl CursorRow {
    /// Returns the index in a list of `rows` rows.
    pub fn index(self, rows: usize) -> usize {
        let last = rows.saturating_sub(1);
        match self {
            Self::Middle => rows / 2,
            Self::Bottom => last,
            Self::At(row) => row.min(last),
        }
    }

    /// Returns the index of the item in the first row, if the cursor is on the item with this index of `count`.
    pub fn first(self, index: usize, rows: usize, count: usize) -> usize {
        index.saturating_sub(self.index(rows)).min(count.saturating_sub(rows))
    }

    /// Returns the row after `steps` steps. The list does not scroll until the cursor leaves it.
    #[must_use]
    pub fn step(self, steps: i64, rows: usize) -> Self {
        let steps = isize::try_from(steps).unwrap_or(0);
        Self::At(self.index(rows).saturating_add_signed(steps).min(rows.saturating_sub(1)))
    }
}
