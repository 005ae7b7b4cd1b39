//! An archive of before: doctor, status and read say what it lost and where a reader was moved.

use std::time::{Duration, Instant};

use conformance::servers::{NatsServer, WAIT_MAX, copy_directory, replace_directory};
use hourlog::{Embedded, Record, Remote};
use hourlogd::{Margin, Running, Settings};
use tempfile::TempDir;

use super::{Stage, states, watching::found};

async fn start(nats: &NatsServer, archive: &TempDir) -> Running {
    let margin = Margin { age: Duration::ZERO, bytes: 0 };
    let settings = Settings { nats: nats.url(), margin, ..Settings::default() };
    let store = Embedded::open(archive.path()).expect("no other process has the archive open");
    hourlogd::start(settings, store).await.expect("the service starts")
}

async fn append(remote: &Remote, count: usize) {
    for _ in 0..count {
        let log = "orders".parse().expect("the id is valid");
        remote.append(&log, Record::new("x")).await.expect("the record is archived");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_status_and_read_say_that_the_archive_was_set_back() {
    let nats = NatsServer::start().await;
    let [archive, copy, work] = [(), (), ()].map(|()| TempDir::new().expect("a directory can be created"));
    let running = start(&nats, &archive).await;
    let remote = Remote::connect(&nats.url()).await.expect("NATS answers");
    append(&remote, 5).await;
    running.stop().await.expect("the service stops");
    copy_directory(archive.path(), copy.path());

    let running = start(&nats, &archive).await;
    append(&remote, 15).await;
    let jetstream = async_nats::jetstream::new(remote.client().clone());
    let mut stream = jetstream.get_stream("HOURLOG").await.expect("the stream exists");
    let begun = Instant::now();
    while stream.info().await.expect("the server replies").state.messages > 0 {
        assert!(begun.elapsed() < WAIT_MAX, "the janitor did not purge the stream");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    running.stop().await.expect("the service stops");
    replace_directory(copy.path(), archive.path());
    let running = start(&nats, &archive).await;
    append(&remote, 3).await;

    let stage = Stage { url: nats.url(), work, running, _archive: archive, _nats: nats };
    let doctor = stage.run("doctor").await;
    assert!(states(&doctor).contains("fork:ok set back:warn removed:ok"), "{}", states(&doctor));
    let said = found(&doctor, "set back");
    assert!(said.contains("or HOURLOG was purged: messages 6-20 are in neither"), "{said}");
    assert!(said.contains("publish messages 6-20 again, and no others"), "{said}");
    assert_eq!(doctor.code, Some(0));
    let status = stage.run("status -o table").await;
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("messages 6-20 are in neither the archive nor the stream"), "{status}");

    // A reader that had read message 20 gets the three new events, and is told.
    let ahead = format!("a:1-{}", (1_u64 << 40) + 20);
    for follow in ["", " -f"] {
        let read = stage.run(&format!("read orders --after {ahead} --limit 3 -o raw{follow}")).await;
        assert_eq!((read.code, read.stdout.as_slice()), (Some(0), &b"x\nx\nx\n"[..]), "{}", read.stderr);
        let told = read.stderr.matches(&format!("cursor {ahead} was moved to a:")).count();
        assert!(told == 1 && read.stderr.contains("messages 6–20 are in neither"), "{}", read.stderr);
    }
}
