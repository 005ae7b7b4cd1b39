//! `cargo xtask schema`: writes the descriptions of what crosses NATS, which are made from the code.

use anyhow::Result;

use crate::{process, workspace::Workspace};

/// Tells the test that compares the files to write them.
const WRITE_VARIABLE: &str = "HOURLOG_WRITE_SCHEMA";

pub(crate) fn run() -> Result<()> {
    let mut test = Workspace::find()?.cargo();
    test.args(["test", "--package", "hourlog", "--features", "schema", "--lib", "the_files_are_those_of_the_code"]);
    process::run(test.env(WRITE_VARIABLE, "1"))
}
