//! Opens an archive and says what is in it: a process of its own, for a damaged one may end it.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::PathBuf,
    process::ExitCode,
};

use conformance::chaos::readers;
use hourlog::{Embedded, Result, Store};

#[tokio::main]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "what it finds is what the program is for")]
async fn main() -> ExitCode {
    let directory: PathBuf = std::env::args_os().nth(1).expect("the directory of an archive").into();
    match look(directory).await {
        Ok(found) => {
            println!("{found}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether something is missing, how many events there are, and what they are, in all the orders there are.
async fn look(directory: PathBuf) -> Result<String> {
    let store = Embedded::open(directory)?;
    let missing = if store.missing().is_some() { "missing" } else { "whole" };
    let (mut count, mut hash) = (0, DefaultHasher::new());
    for (log, row) in store.logs(None, usize::MAX).await? {
        let (events, arrived) = readers::archive(&store, &log).await?;
        count += events.len();
        row.created.nanos().hash(&mut hash);
        for (event, arrived) in events.iter().zip(arrived) {
            let place = |position: hourlog::Position| (position.offset.nanos(), position.seq);
            (place(event.position), place(arrived), &event.record.data[..]).hash(&mut hash);
        }
    }
    for (slot, source) in store.sources("S").await? {
        (slot, source.cursor, source.head).hash(&mut hash);
    }
    Ok(format!("{missing} {count} {:016x}", hash.finish()))
}
