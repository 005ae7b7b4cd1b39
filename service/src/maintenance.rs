//! Running the subcommands: check, repair, backup and restore of an archive, without the service.

mod report;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use hourlog::{
    Error, ErrorKind, Result, Scylla,
    maintenance::{backup_directory, check_directory, check_store, repair_directory, restore_directory},
};
use serde_json::json;

use crate::{
    config::{Maintenance, Options, Output, StoreUrl},
    open_files,
};
use report::Report;

/// Runs a subcommand. `options` has the login of a database.
pub async fn run(maintenance: Maintenance, options: Options) -> ExitCode {
    open_files::raise_limit();
    match carry_out(maintenance, options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(ErrorKind::Integrity.exit_code()),
        Err(error) => {
            report::print_error(&error);
            ExitCode::from(error.kind().exit_code())
        }
    }
}

/// Returns true unless the archive is damaged.
async fn carry_out(maintenance: Maintenance, options: Options) -> Result<bool> {
    match maintenance {
        Maintenance::Check { store, output } => check(&store, options, output).await,
        Maintenance::Repair { directory, dry_run, output } => {
            let directory = named_directory(&directory)?;
            let report = Report::new(output);
            let repaired = repair_directory(&directory, dry_run, |finding| report.tell(&finding))?;
            let (before, directory) = (&repaired.before, directory.display());
            report.end(&summary_json(before), &before.to_string());
            match &repaired.aside {
                Some(aside) => report.end(
                    &json!({ "repaired": true, "aside": aside }),
                    &format!(
                        "repaired; the old files are in {}; start the service: it reads the stream again from the \
                             oldest message that it still has",
                        aside.display()
                    ),
                ),
                None if before.is_whole() => {
                    report.end(&json!({ "repaired": false }), "there is nothing to repair");
                }
                None => report.end(
                    &json!({ "repaired": false }),
                    &format!("nothing was changed; `hourlogd repair {directory}` keeps what can be read"),
                ),
            }
            Ok(before.is_whole() || repaired.aside.is_some())
        }
        Maintenance::Backup { directory, to, output } => {
            let (directory, to) = (named_directory(&directory)?, named_directory(&to)?);
            let report = Report::new(output);
            let done = backup_directory(&directory, &to, |finding| report.tell(&finding))?;
            let text =
                format!("{}; {} files with {} bytes copied to {}", done.summary, done.files, done.bytes, to.display());
            let mut result = summary_json(&done.summary);
            result["files"] = done.files.into();
            result["file_bytes"] = done.bytes.into();
            report.end(&result, &text);
            Ok(true)
        }
        Maintenance::Restore { from, directory, replace, output } => {
            let (from, directory) = (named_directory(&from)?, named_directory(&directory)?);
            let report = Report::new(output);
            let told = |finding| report.tell(&finding);
            let (summary, aside) = restore_directory(&from, &directory, replace, told)?;
            let mut result = summary_json(&summary);
            result["aside"] = json!(aside);
            let aside = aside.map_or_else(String::new, |aside| format!("; the old archive is in {}", aside.display()));
            let text = format!(
                "{summary}; restored to {}{aside}; events that arrived after the backup come from the stream, as far \
                     as it still has them: the service tells at its start what neither has",
                directory.display()
            );
            report.end(&result, &text);
            Ok(true)
        }
    }
}

async fn check(store: &str, options: Options, output: Output) -> Result<bool> {
    let report = Report::new(output);
    let url = if has_scheme(store) { store.to_owned() } else { format!("file:{store}") };
    let summary = match (Options { store: Some(url), ..options.with_file()? }).store()? {
        StoreUrl::File(directory) => check_directory(directory, |finding| report.tell(&finding))?,
        StoreUrl::Scylla(url) => {
            let archive = Scylla::open(&url, false).await?;
            check_store(&archive, |finding| report.tell(&finding)).await?
        }
        StoreUrl::Memory => return Err(Error::invalid("an archive in memory cannot be checked; name a directory")),
    };
    report.end(&summary_json(&summary), &summary.to_string());
    Ok(summary.is_whole())
}

/// Returns the directory that an argument names, as DIR or file:DIR.
fn named_directory(argument: &Path) -> Result<PathBuf> {
    let Some(url) = argument.to_str().filter(|text| has_scheme(text)) else {
        return Ok(argument.to_owned());
    };
    match url.parse() {
        Ok(StoreUrl::File(directory)) => Ok(directory),
        // Not quoted: it may hold a password.
        _ => Err(Error::invalid("repair, backup and restore work on directories only; name each as DIR or file:DIR")),
    }
}

/// Returns true if an argument begins with the scheme of an archive, or of any URL. A directory may have a colon.
fn has_scheme(argument: &str) -> bool {
    ["file:", "cql:", "memory:"].iter().any(|scheme| argument.starts_with(scheme))
        || argument.split_once("://").is_some_and(|(scheme, _)| !scheme.contains('/'))
}

fn summary_json(summary: &hourlog::maintenance::Summary) -> serde_json::Value {
    json!({
        "whole": summary.is_whole(),
        "logs": summary.logs,
        "damaged_logs": summary.damaged_logs,
        "buckets": summary.buckets,
        "damaged_buckets": summary.damaged_buckets,
        "events": summary.events,
        "bytes": summary.bytes,
        "gone": summary.gone,
        "damaged_files": summary.damaged_files,
        "damaged_rows": summary.damaged_rows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_named_with_or_without_its_scheme() {
        for argument in ["/a/b", "file:/a/b", "file:///a/b"] {
            assert_eq!(
                named_directory(Path::new(argument)).expect("it is a directory"),
                Path::new("/a/b"),
                "{argument}"
            );
        }
        for argument in ["copy-10:30", "a/b://c", "c:"] {
            assert_eq!(named_directory(Path::new(argument)).expect("it is a directory"), Path::new(argument));
        }
        for argument in ["file:", "cql://me:secret@host/keyspace", "memory:", "s3://bucket/copy"] {
            let refused = named_directory(Path::new(argument))
                .expect_err("the argument names another kind of archive")
                .to_string();
            assert!(refused.contains("DIR or file:DIR") && !refused.contains("secret"), "{argument}: {refused}");
        }
    }
}
