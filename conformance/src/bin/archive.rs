//! Opens an archive and prints what is in it, or creates a large one and waits to be killed.
//!
//! A separate process, because a damaged archive may abort it, and because only a killed process leaves its journals.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::PathBuf,
    process::ExitCode,
};

use clap::Parser;
use conformance::{
    rows,
    samples::{self, Size},
};
use hourlog::{Embedded, Result, store::Store};

#[derive(Debug, Parser)]
enum Command {
    /// Prints whether something is missing, the number of events, and a hash over them.
    Read { directory: PathBuf },
    /// Creates a large archive, prints `written`, and keeps it open.
    Write { directory: PathBuf },
}

#[tokio::main]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is the purpose of the program")]
async fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Read { directory } => summarize(directory).await.map(|summary| println!("{summary}")),
        Command::Write { directory } => match samples::create(&directory, Size::Large).await {
            Ok(_open) => {
                println!("written");
                std::future::pending().await
            }
            Err(error) => Err(error),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
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
