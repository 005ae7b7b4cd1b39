//! `hourlog`: the command line.

fn main() -> std::process::ExitCode {
    console::cli::main(hourlog::system_clock)
}
