//! The nemesis: kills, pauses and rolls back the servers one after the other, in a random order.

use std::{path::PathBuf, sync::Arc, time::Duration};

use hourlog::wire::WAL_STREAM;
use rand::{Rng, rngs::StdRng, seq::SliceRandom};
use tempfile::TempDir;
use tokio::{sync::RwLock, time::sleep};

use super::ledger::{Ledger, Loss};
use crate::servers::{CassandraNode, Service, StreamBackup, StreamMessage, archived, stream_messages};

/// The most forks between the copy of an archive and its loss.
const FORKS_LOST_MAX: usize = 2;

/// The most messages of a stream that is restored. Older ones, which are archived, are purged before.
const RESTORED_MAX: usize = 2_000;
/// Number of messages in a chunk of a restore.
const RESTORED_PER_CHUNK: usize = 250;
/// The nanoseconds by which a server's clock is ahead before it goes back.
const AHEAD_NANOS: i64 = 5_000_000_000;

/// One way to disrupt the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disruption {
    /// Kills the service (SIGKILL).
    KillService,
    /// Pauses the service for some seconds (SIGSTOP).
    PauseService,
    /// Kills nats-server (SIGKILL).
    KillNats,
    /// Pauses nats-server for some seconds (SIGSTOP).
    PauseNats,
    /// Makes the archive fail for half of the logs for some seconds, then kills the service.
    FailArchive,
    /// Restarts nats-server from earlier files, so that it uses sequences again.
    ///
    /// Everything that it had acknowledged is archived before.
    RollBackNats,
    /// Deletes the stream and restores it from a backup, in steps. The service is killed meanwhile, or
    /// not.
    RestoreStream,
    /// Restarts the stream without its newest messages, on a server whose clock was ahead and goes back:
    /// the next messages are earlier than the lost ones.
    SetClockBack,
    /// Puts an earlier copy of the archive's directory back, after the service was killed.
    ///
    /// The stream still has everything since the copy.
    RollBackArchive,
    /// As [`RollBackArchive`](Self::RollBackArchive), but the stream was purged since the copy, and may
    /// have forked. The events since are lost, and the service must report how many.
    LoseArchiveTail,
    /// Kills the database (SIGKILL).
    KillDatabase,
    /// Pauses the database for some seconds (SIGSTOP).
    PauseDatabase,
    /// Restarts the database from files that are up to fifteen seconds old.
    RollBackDatabase,
    /// As [`RollBackDatabase`](Self::RollBackDatabase) after the stream has forked, and kills the service while it restores
    /// what the database has lost.
    ForkAndRollBackDatabase,
}

impl Disruption {
    /// The disruptions for every kind of archive.
    const OVER_ANY: [Self; 8] = [
        Self::KillService,
        Self::PauseService,
        Self::KillNats,
        Self::PauseNats,
        Self::FailArchive,
        Self::RollBackNats,
        Self::RestoreStream,
        Self::SetClockBack,
    ];

    /// Returns the disruptions for an archive in a directory.
    pub fn over_directory() -> Vec<Self> {
        [&Self::OVER_ANY[..], &[Self::RollBackArchive, Self::LoseArchiveTail]].concat()
    }

    /// Returns the disruptions for an archive in a database.
    pub fn over_database() -> Vec<Self> {
        [
            &Self::OVER_ANY[..],
            &[Self::KillDatabase, Self::PauseDatabase, Self::RollBackDatabase, Self::ForkAndRollBackDatabase],
        ]
        .concat()
    }
}

/// Disrupts a service, its NATS server and its database.
#[derive(Debug)]
pub struct Nemesis<'a> {
    /// The service.
    pub service: &'a mut Service,
    /// Its database, if it has one.
    pub database: Option<&'a mut CassandraNode>,
    /// The archive fails while this file exists.
    pub fault_file: PathBuf,
    /// Held for writing while no operation may be in flight.
    pub gate: Arc<RwLock<()>>,
    /// Notes which operations may be lost.
    pub ledger: Arc<Ledger>,
    /// The source of everything random.
    pub random: StdRng,
}

/// Returns the headers of a copy of `message` that the archive stores only if it lacks the event.
fn stored_once(message: &StreamMessage) -> Vec<u8> {
    let kept = message.headers.strip_suffix(b"\r\n").unwrap_or(b"NATS/1.0\r\n");
    [kept, format!("Hourlog-Time: {}\r\nHourlog-Once: 0\r\n\r\n", message.time).as_bytes()].concat()
}

impl Nemesis<'_> {
    /// Carries out each of `disruptions` once, in a random order. The publishers work before and
    /// after each.
    ///
    /// # Panics
    /// If a server does not restart.
    pub async fn round(&mut self, disruptions: &[Disruption]) {
        let mut disruptions = disruptions.to_vec();
        disruptions.shuffle(&mut self.random);
        for disruption in disruptions {
            self.pause(300..1_200).await;
            self.disrupt(disruption).await;
        }
        self.pause(300..1_200).await;
    }

    async fn disrupt(&mut self, disruption: Disruption) {
        match disruption {
            Disruption::KillService => {
                self.service.process.kill();
                self.pause(0..500).await;
                self.service.start_again().await;
            }
            Disruption::PauseService => {
                self.service.process.pause();
                self.pause(500..3_000).await;
                self.service.process.resume();
            }
            Disruption::KillNats => {
                self.service.nats.kill();
                self.pause(0..500).await;
                self.service.nats.restart().await;
            }
            Disruption::PauseNats => {
                self.service.nats.pause();
                self.pause(500..3_000).await;
                self.service.nats.resume();
            }
            Disruption::FailArchive => {
                std::fs::write(&self.fault_file, "").expect("the run's own directory is writable");
                self.pause(800..2_000).await;
                self.service.process.kill();
                std::fs::remove_file(&self.fault_file).expect("the file was written above");
                self.service.start_again().await;
            }
            Disruption::RollBackNats => self.roll_back_nats().await,
            Disruption::RestoreStream => self.restore_stream().await,
            Disruption::SetClockBack => self.set_clock_back().await,
            Disruption::RollBackArchive => {
                let before = self.copy_archive().await;
                self.pause(300..1_000).await;
                self.service.process.kill();
                self.service.put_archive_back(&before).await;
            }
            Disruption::LoseArchiveTail => self.lose_archive_tail().await,
            Disruption::KillDatabase => {
                self.database().kill();
                self.pause(0..2_000).await;
                self.database().start_again().await;
            }
            Disruption::PauseDatabase => {
                self.database().pause();
                self.pause(1_000..6_000).await;
                self.database().resume();
            }
            Disruption::RollBackDatabase => {
                let before = self.database().snapshot();
                self.pause(8_000..14_000).await;
                self.database().roll_back(&before).await;
            }
            Disruption::ForkAndRollBackDatabase => {
                self.roll_back_nats().await;
                // The service begins the epoch within this time, and its rows are not synced yet.
                self.pause(1_000..4_000).await;
                let before = self.database().snapshot();
                self.database().roll_back(&before).await;
                self.pause(0..2_500).await;
                self.service.process.kill();
                self.service.start_again().await;
            }
        }
    }

    async fn roll_back_nats(&mut self) {
        let before = self.service.nats.snapshot();
        self.pause(300..1_000).await;
        let gate = Arc::clone(&self.gate);
        let _nothing_in_flight = gate.write().await;
        archived(&self.service.remote().await).await;
        if self.database.is_some() {
            self.wait_for_checkpoint().await;
        }
        self.service.nats.roll_back(&before).await;
    }

    async fn restore_stream(&mut self) {
        let gate = Arc::clone(&self.gate);
        let _nothing_in_flight = gate.write().await;
        let messages = self.archived_messages().await;
        let kill_at = self.random.random_range(0..2 * messages.len().div_ceil(RESTORED_PER_CHUNK) + 2);
        self.replace_stream(&messages, Some(kill_at)).await;
        archived(&self.service.remote().await).await;
    }

    async fn set_clock_back(&mut self) {
        let gate = Arc::clone(&self.gate);
        let _nothing_in_flight = gate.write().await;
        let messages = self.archived_messages().await;
        // The lost messages are stored once, so they leave no event that the ledger does not know.
        let is_plain = |message: &&StreamMessage| !String::from_utf8_lossy(&message.headers).contains("Hourlog-Time:");
        let Some(model) = messages.iter().rev().find(is_plain) else { return };
        let last = messages.last().expect("one of them is plain");
        let count = self.random.random_range(20..200);
        let lost = (1..=count).map(|number| StreamMessage {
            sequence: last.sequence + number,
            time: last.time.saturating_add_nanos(AHEAD_NANOS + number as i64),
            headers: stored_once(model),
            ..model.clone()
        });
        let with_lost: Vec<StreamMessage> = messages.iter().cloned().chain(lost).collect();
        self.replace_stream(&with_lost, None).await;
        archived(&self.service.remote().await).await;
        self.replace_stream(&messages, None).await;
    }

    /// Waits until everything is archived, and returns the stream's messages, of which it keeps only the
    /// newest.
    async fn archived_messages(&mut self) -> Vec<StreamMessage> {
        archived(&self.service.remote().await).await;
        if self.database.is_some() {
            self.wait_for_checkpoint().await;
        }
        let jetstream = self.service.jetstream().await;
        let stream = jetstream.get_stream(WAL_STREAM).await.expect("the stream exists");
        stream.purge().keep(RESTORED_MAX as u64).await.expect("the stream can be purged");
        stream_messages(self.service.remote().await.client(), WAL_STREAM).await
    }

    /// Deletes the stream, and restores it with `messages` in steps. Kills the service at a step.
    async fn replace_stream(&mut self, messages: &[StreamMessage], kill_at: Option<usize>) {
        let client = self.service.remote().await.client().clone();
        let backup = StreamBackup::of_messages(&client, WAL_STREAM, messages, RESTORED_PER_CHUNK).await;
        let jetstream = self.service.jetstream().await;
        jetstream.delete_stream(WAL_STREAM).await.expect("the stream can be deleted");
        let mut restore = backup.begin_restore(&client).await;
        for step in 0.. {
            if kill_at == Some(step) {
                self.service.process.kill();
                restore.stand_still(self.service.start_again()).await;
            }
            if !restore.send_next().await {
                break;
            }
            self.pause(0..400).await;
        }
        restore.finish().await;
    }

    async fn lose_archive_tail(&mut self) {
        let gate = Arc::clone(&self.gate);
        let (before, known, copied_at) = {
            let _nothing_in_flight = gate.write().await;
            archived(&self.service.remote().await).await;
            self.wait_for_checkpoint().await;
            let known = self.service.report().await["set_back"].clone();
            (self.copy_archive().await, known, self.ledger.tick())
        };
        // A request of a follower that was under way during the kill fails after two seconds.
        self.pause(2_000..2_500).await;
        // The copy knows none of the epochs that these forks begin.
        let forks = self.random.random_range(0..=FORKS_LOST_MAX);
        for _ in 0..forks {
            self.roll_back_nats().await;
        }
        self.pause(300..1_000).await;
        let _nothing_in_flight = gate.write().await;
        archived(&self.service.remote().await).await;
        self.service.process.kill();
        let jetstream = self.service.jetstream().await;
        let stream = jetstream.get_stream(WAL_STREAM).await.expect("the stream exists");
        stream.purge().await.expect("the stream can be purged");
        self.service.put_archive_back(&before).await;
        archived(&self.service.remote().await).await;
        let said = self.service.report().await["set_back"].clone();
        // The copy knows of earlier losses.
        let reported = if said == known { 0 } else { said["messages"].as_u64().expect("the report counts the loss") };
        let operations = copied_at + 1..self.ledger.tick() + 1;
        self.ledger.lose(Loss { operations, reported, is_exact: forks == 0 });
    }

    /// Kills the service, copies the directory of its archive, and restarts it.
    async fn copy_archive(&mut self) -> TempDir {
        self.service.process.kill();
        let copy = self.service.copy_archive();
        self.service.start_again().await;
        copy
    }

    fn database(&mut self) -> &mut CassandraNode {
        self.database.as_mut().expect("only a run with a database disrupts it")
    }

    /// Waits until the service has stored a checkpoint of everything archived so far.
    ///
    /// The database can no longer lose what lies before the checkpoint. Without this wait, the
    /// stream and the database could lose the same seconds, and the events of these seconds would
    /// be lost.
    async fn wait_for_checkpoint(&self) {
        let archived = self.service.report().await["archived"].as_u64();
        while self.service.report().await["stored"].as_u64() < archived {
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn pause(&mut self, millis: std::ops::Range<u64>) {
        sleep(Duration::from_millis(self.random.random_range(millis))).await;
    }
}
