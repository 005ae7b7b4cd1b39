//! Output of xtask: results on stdout, everything else on stderr.

use std::{
    fmt::Display,
    io::{self, Write},
};

/// Prints a line about the progress.
pub(crate) fn note(line: impl Display) {
    // A closed stderr does not stop the work.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Prints a line of the result.
pub(crate) fn result(line: impl Display) {
    // A closed stdout does not either: `cargo xtask demo | head` is fine.
    let _ = writeln!(io::stdout().lock(), "{line}");
}
