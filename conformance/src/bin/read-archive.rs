//! Opens an archive and prints what is in it.
//!
//! A separate process, because a damaged archive may abort it.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::PathBuf,
    process::ExitCode,
};

use conformance::rows;
use hourlog::{Embedded, Result, store::Store};

#[tokio::main]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is the purpose of the program")]
async fn main() -> ExitCode {
    let directory: PathBuf =
        std::env::args_os().nth(1).expect("the first argument is the directory of an archive").into();
    match summarize(directory).await {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether something is missing, the number of events, and a hash over the archive in both
/// orders.
async fn summarize(directory: PathBuf) -> Result<String> {
    let store = Embedded::open(directory)?;
    let missing = if store.missing().is_some() { "missing" } else { "complete" };
    let (mut count, mut hash) = (0, DefaultHasher::new());
    for (log, row) in store.logs(None, usize::MAX).await? {
        let (events, arrived) = rows::read_all(&store, &log).await?;
        count += events.len();
        row.created.nanos().hash(&mut hash);
        for (event, arrived) in events.iter().zip(arrived) {
            let key = |position: hourlog::Position| (position.offset.nanos(), position.seq);
            (key(event.position), key(arrived), &event.record.data[..]).hash(&mut hash);
        }
    }
    for (slot, source) in store.sources("S").await? {
        (slot, source.checkpoint, source.head).hash(&mut hash);
    }
    Ok(format!("{missing} {count} {:016x}", hash.finish()))
}
