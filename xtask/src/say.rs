//! What is said: results on stdout, everything else on stderr.

use std::{
    fmt::Display,
    io::{self, Write},
};

/// A line for whoever watches.
pub(crate) fn note(line: impl Display) {
    // Whoever listened may have left; the work goes on.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// A line of the result.
pub(crate) fn result(line: impl Display) {
    // As above: `cargo xtask demo | head` is no failure.
    let _ = writeln!(io::stdout().lock(), "{line}");
}
