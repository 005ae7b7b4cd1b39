//! Progress on stderr: stdout is for the results.

/// Prints a line.
#[expect(clippy::print_stderr, reason = "stdout is for the results")]
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}
