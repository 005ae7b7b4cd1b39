//! The subcommands: a damaged archive is refused, repaired and filled again; a copy is taken under load.

use std::{
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use conformance::servers::HourlogdProcess;
use tempfile::TempDir;

use crate::kit::{Service, archived, binary, events, options, publish_all, service, service_with, until_purged};

/// Runs a subcommand of `hourlogd`.
fn run(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).output().expect("the binary is built")
}

fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

fn path(directory: &Path) -> &str {
    directory.to_str().expect("the path is UTF-8")
}

/// Returns the journals of an archive, the oldest first.
fn journals(directory: &Path) -> Vec<PathBuf> {
    let tables = fs::read_dir(directory.join("tables")).expect("the archive has tables");
    let files = tables.map(|entry| entry.expect("the directory can be read").path());
    let mut journals: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "jnl")).collect();
    journals.sort_unstable();
    journals
}

/// Flips a bit in the middle of a journal.
fn damage(journal: Option<&PathBuf>) {
    let journal = journal.expect("the archive has a journal");
    let bytes = fs::read(journal).expect("the journal can be read");
    let used = bytes.iter().rposition(|byte| *byte != 0).expect("the journal is not empty");
    let file = fs::File::options().write(true).open(journal).expect("the journal can be written");
    file.write_all_at(&[bytes[used / 2] ^ 4], used as u64 / 2).expect("the journal can be written");
}

fn message(number: u32) -> (String, String) {
    (format!("log.kept.{}", number % 3), number.to_string())
}

/// Checks that all of `0..count` are archived once, each in its log.
async fn check_all(service: &Service, count: u32) {
    let remote = service.remote().await;
    let listed = archived(&remote).await.logs;
    assert_eq!(listed.iter().map(|log| log.events).sum::<u64>(), u64::from(count));
    for log in 0..3 {
        let found = events(&remote, &format!("kept.{log}")).await;
        let expected = (0..count).filter(|number| number % 3 == log).map(|number| number.to_string().into_bytes());
        assert!(found.iter().map(|event| event.record.data.to_vec()).eq(expected), "log {log}: {} events", found.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_archive_is_refused_repaired_and_filled_from_the_stream_again() {
    let mut service = service().await;
    // Written in parts, so that the middle of the journal is behind the beginning of the logs.
    for from in (0..900).step_by(90) {
        publish_all(&service.jetstream().await, (from..from + 90).map(message)).await;
        archived(&service.remote().await).await;
    }
    check_all(&service, 900).await;
    let directory = service.directory.path().to_owned();
    let in_use = run(&["check", path(&directory)]);
    assert_eq!(in_use.status.code(), Some(8), "{}", text(&in_use));
    assert!(text(&in_use).contains("in use by another process"), "{}", text(&in_use));
    assert!(service.process.terminate().await.success());
    let whole = run(&["check", path(&directory)]);
    assert!(whole.status.success() && text(&whole).contains("kept.0: whole, 300 events"), "{}", text(&whole));

    damage(journals(&directory).first());
    let arguments = Service::arguments(&service.nats, &directory, &[]);
    let refused = HourlogdProcess::try_start(binary(), arguments).await.expect_err("the archive is damaged");
    assert!(refused.contains("hourlogd check") && refused.contains("hourlogd repair"), "{refused}");
    let checked = run(&["check", path(&directory), "--json"]);
    assert_eq!(checked.status.code(), Some(7), "{}", text(&checked));
    let lines: Vec<serde_json::Value> =
        text(&checked).lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    let summary = lines.last().expect("the summary is the last line");
    assert_eq!((summary["whole"].as_bool(), summary["logs"].as_u64()), (Some(false), Some(3)), "{summary}");
    assert!(lines.iter().any(|line| line["damaged_file"].as_str().is_some_and(|file| file.ends_with(".jnl"))));
    let dry = run(&["repair", &format!("file:{}", path(&directory)), "--dry-run"]);
    assert_eq!(dry.status.code(), Some(7), "{}", text(&dry));

    let repaired = run(&["repair", path(&directory)]);
    assert!(repaired.status.success() && text(&repaired).contains("may be gone"), "{}", text(&repaired));
    assert!(text(&repaired).contains("damaged-"), "{}", text(&repaired));
    service.start_again().await;
    publish_all(&service.jetstream().await, (900..1_000).map(message)).await;
    check_all(&service, 1_000).await;
    assert!(service.process.terminate().await.success());
    let whole = run(&["check", path(&directory), "--quiet"]);
    assert!(whole.status.success(), "{}", text(&whole));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repaired_archive_whose_stream_was_purged_reports_only_what_is_in_neither() {
    let mut service = service_with(&["--wal-keep-seconds", "0", "--wal-keep-bytes", "0"]).await;
    publish_all(&service.jetstream().await, (0..90).map(message)).await;
    check_all(&service, 90).await;
    until_purged(&service).await;
    assert!(service.process.terminate().await.success());
    service.options = options(&[]);
    service.start_again().await;
    publish_all(&service.jetstream().await, (90..3_000).map(message)).await;
    check_all(&service, 3_000).await;
    assert!(service.process.terminate().await.success());
    let directory = service.directory.path().to_owned();
    let repair = || {
        damage(journals(&directory).last());
        let repaired = run(&["repair", path(&directory)]);
        assert!(repaired.status.success() && text(&repaired).contains("damaged-"), "{}", text(&repaired));
    };

    // The stream begins with message 91. The archive had all before it, so it still has them.
    repair();
    for count in [3_300, 3_600] {
        service.start_again().await;
        publish_all(&service.jetstream().await, (count - 300..count).map(message)).await;
        check_all(&service, count).await;
        assert_eq!(service.report().await["set_back"], serde_json::Value::Null);
        let found = events(&service.remote().await, "kept.0").await;
        assert!(found.iter().all(|event| event.position.seq.epoch() == 1));
        service.process.kill();
    }

    // Somebody purges more than the archive had.
    service.start_again().await;
    check_all(&service, 3_600).await;
    assert!(service.process.terminate().await.success());
    publish_all(&service.jetstream().await, (3_600..3_700).map(message)).await;
    let stream = service.jetstream().await.get_stream("HOURLOG").await.expect("the stream exists");
    stream.purge().sequence(3_651).await.expect("the stream can be purged");
    repair();
    service.start_again().await;
    archived(&service.remote().await).await;
    assert_eq!(service.report().await["set_back"]["missing"], "3601-3650");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_busy_service_holds_what_was_archived_and_is_restored() {
    let mut service = service().await;
    let jetstream = service.jetstream().await;
    publish_all(&jetstream, (0..3_000).map(message)).await;
    archived(&service.remote().await).await;
    let place = TempDir::new().expect("a temporary directory can be created");
    let (copy, of_backup) = (place.path().join("copy"), place.path().join("copy"));
    let from = service.directory.path().to_owned();
    let backup = tokio::task::spawn_blocking(move || run(&["backup", path(&from), path(&of_backup)]));
    publish_all(&jetstream, (3_000..12_000).map(message)).await;
    let backup = backup.await.expect("the backup does not panic");
    assert!(backup.status.success() && text(&backup).contains("whole: "), "{}", text(&backup));
    check_all(&service, 12_000).await;
    assert!(service.process.terminate().await.success());

    let directory = service.directory.path().to_owned();
    let refused = run(&["restore", path(&copy), path(&directory)]);
    assert!(refused.status.code() == Some(8) && text(&refused).contains("--replace"), "{}", text(&refused));
    let restored = run(&["restore", &format!("file:{}", path(&copy)), path(&directory), "--replace"]);
    assert!(restored.status.success() && text(&restored).contains("replaced-"), "{}", text(&restored));
    // The stream still has what the copy lacks.
    service.start_again().await;
    check_all(&service, 12_000).await;
}
