//! The lines of an input in batches: what is written together, bounded in lines and bytes.

use hourlog::{Error, Record};

use crate::{
    cli::input::{Lines, without_line_break},
    exit::Failure,
    rate::Rate,
};

/// The most lines in one batch. They share few requests and few disk syncs.
const LINES_MAX: usize = 1_000;
/// The most bytes in one batch, except for its last line. A batch is kept in memory until it is archived.
const BYTES_MAX: usize = 8 << 20;

/// A line as a record.
#[derive(Debug)]
pub(super) struct NumberedRecord {
    /// The number of the line in the input, from 1.
    pub(super) number: u64,
    pub(super) record: Record,
}

/// The next part of the input.
#[derive(Debug)]
pub(super) enum Next {
    /// Lines to write, at least one.
    Lines(Vec<NumberedRecord>),
    /// A line that cannot be written.
    Bad { number: u64, error: Error },
    /// The end of the input.
    End,
}

/// An input whose lines become records.
#[derive(Debug)]
pub(super) struct Batches {
    lines: Lines,
    template: Record,
    /// The number of the last line.
    number: u64,
    /// Returned next: what ended the last batch.
    held: Option<Result<Next, Failure>>,
}

impl Batches {
    /// Returns batches of records that are `template` with a line as data.
    pub(super) fn new(lines: Lines, template: Record) -> Self {
        Self { lines, template, number: 0, held: None }
    }

    /// Waits for a line, and takes those after it that are ready, as many as `rate` allows. `check` refuses a
    /// record that cannot be written. It ends a batch, so that the lines before it are written first.
    ///
    /// # Errors
    /// That of the input.
    pub(super) async fn next(
        &mut self,
        rate: Option<&mut Rate>,
        check: impl Fn(&Record) -> Result<(), Error>,
    ) -> Result<Next, Failure> {
        if let Some(held) = self.held.take() {
            return held;
        }
        let Some(first) = self.lines.next().await? else { return Ok(Next::End) };
        let (mut lines_max, mut next) = (LINES_MAX, Some(first));
        let mut rate = rate;
        if let Some(rate) = &mut rate {
            lines_max = rate.wait().await.clamp(1, LINES_MAX);
        }
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(line) = next.take() {
            self.number += 1;
            let number = self.number;
            let data = without_line_break(&line);
            let record = Record { data: data.into(), ..self.template.clone() };
            if let Err(error) = check(&record) {
                self.held = Some(Ok(Next::Bad { number, error }));
                break;
            }
            bytes += line.len();
            batch.push(NumberedRecord { number, record });
            if batch.len() >= lines_max || bytes >= BYTES_MAX {
                break;
            }
            next = self.lines.try_next().unwrap_or_else(|failure| {
                self.held = Some(Err(failure));
                None
            });
        }
        if let Some(rate) = &mut rate {
            rate.sent(batch.len());
        }
        match batch.is_empty() {
            true => self.held.take().unwrap_or(Ok(Next::End)),
            false => Ok(Next::Lines(batch)),
        }
    }
}
