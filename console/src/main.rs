//! The `hourlog` binary.

fn main() -> std::process::ExitCode {
    console::cli::main(hourlog::time::system_clock)
}
