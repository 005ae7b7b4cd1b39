//! The nemesis: kills, pauses and rolls back the servers one after the other, in a random order.

use std::{path::PathBuf, sync::Arc, time::Duration};

use rand::{Rng, rngs::StdRng, seq::SliceRandom};
use tokio::{sync::RwLock, time::sleep};

use crate::servers::{CassandraNode, Service, archived};

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
    /// Kills the database (SIGKILL).
    KillDatabase,
    /// Pauses the database for some seconds (SIGSTOP).
    PauseDatabase,
    /// Restarts the database from files that are up to fifteen seconds old.
    RollBackDatabase,
}

impl Disruption {
    /// The disruptions for an archive in a directory.
    pub const OVER_DIRECTORY: [Self; 6] =
        [Self::KillService, Self::PauseService, Self::KillNats, Self::PauseNats, Self::FailArchive, Self::RollBackNats];
    /// The disruptions for an archive in a database.
    pub const OVER_DATABASE: [Self; 9] = [
        Self::KillService,
        Self::PauseService,
        Self::KillNats,
        Self::PauseNats,
        Self::FailArchive,
        Self::RollBackNats,
        Self::KillDatabase,
        Self::PauseDatabase,
        Self::RollBackDatabase,
    ];
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
    /// The source of everything random.
    pub random: StdRng,
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
            Disruption::RollBackNats => {
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
        }
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
