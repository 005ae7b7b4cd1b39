//! The subcommands that work on an archive without the service, as the command line has them.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Subcommands, which work on an archive without the service.
#[derive(Debug, Clone, Subcommand)]
pub enum Maintenance {
    /// Read everything in an archive, and tell per log and bucket what is whole and what is not.
    ///
    /// Changes nothing. A directory must not be in use by a service. Exits with 7 if anything is damaged.
    Check {
        /// Archive: DIR, file:DIR or cql://HOST/KEYSPACE.
        #[arg(value_name = "STORE")]
        store: String,
        /// Form of the result.
        #[command(flatten)]
        output: Output,
    },
    /// Keep what can be read of a damaged archive, and tell exactly what is gone.
    ///
    /// The old files are moved to DIR/damaged-TIME. The next start of the service reads the stream again from the
    /// oldest message that it still has.
    Repair {
        /// Directory of the archive: DIR or file:DIR.
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// Only tell what is damaged.
        #[arg(long)]
        dry_run: bool,
        /// Form of the result.
        #[command(flatten)]
        output: Output,
    },
    /// Copy an archive, also while a service writes to it, and check the copy.
    ///
    /// The copy holds at least what was archived before the backup began.
    Backup {
        /// Directory of the archive: DIR or file:DIR.
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// New directory for the copy.
        #[arg(value_name = "TO")]
        to: PathBuf,
        /// Form of the result.
        #[command(flatten)]
        output: Output,
    },
    /// Check a copy, and put it in place.
    Restore {
        /// Directory of the copy.
        #[arg(value_name = "FROM")]
        from: PathBuf,
        /// Directory for the archive.
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// Move an archive that is there to DIR/replaced-TIME.
        #[arg(long)]
        replace: bool,
        /// Form of the result.
        #[command(flatten)]
        output: Output,
    },
}

/// How results are printed.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct Output {
    /// Print each result as a line of JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Print only what is damaged, and the result.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}
