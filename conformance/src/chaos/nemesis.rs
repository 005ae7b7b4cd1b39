//! The one that does harm: kills, holds, and takes away, one thing after the other, in an order drawn from the seed.

use std::{path::PathBuf, sync::Arc, time::Duration};

use rand::{Rng, rngs::StdRng, seq::SliceRandom};
use tokio::{sync::RwLock, time::sleep};

use crate::servers::{CassandraNode, Service, archived};

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harm {
    /// kill -9 of the service.
    KillService,
    /// SIGSTOP of the service for some seconds.
    HoldService,
    /// kill -9 of nats-server.
    KillNats,
    /// SIGSTOP of nats-server for some seconds.
    HoldNats,
    /// The archive takes no events of half of the logs for some seconds; meanwhile the service is killed.
    FailArchive,
    /// nats-server comes back with its files of before, and uses sequences again. All that it had acknowledged is archived.
    SetBackNats,
    /// kill -9 of the database.
    KillDatabase,
    /// SIGSTOP of the database for some seconds.
    HoldDatabase,
    /// The database comes back with its files of up to fifteen seconds before.
    SetBackDatabase,
}

impl Harm {
    /// All of it that an archive in a directory can come to.
    pub const OVER_DIRECTORY: [Self; 6] =
        [Self::KillService, Self::HoldService, Self::KillNats, Self::HoldNats, Self::FailArchive, Self::SetBackNats];
    /// All of it that an archive in a database can come to.
    pub const OVER_DATABASE: [Self; 9] = [
        Self::KillService,
        Self::HoldService,
        Self::KillNats,
        Self::HoldNats,
        Self::FailArchive,
        Self::SetBackNats,
        Self::KillDatabase,
        Self::HoldDatabase,
        Self::SetBackDatabase,
    ];
}

/// Does harm to a service and to what it stands on.
#[derive(Debug)]
pub struct Nemesis<'a> {
    /// The service.
    pub service: &'a mut Service,
    /// Its database, where it has one.
    pub database: Option<&'a mut CassandraNode>,
    /// The archive fails while this file is there.
    pub fault_file: PathBuf,
    /// Held alone while nothing may be under way.
    pub gate: Arc<RwLock<()>>,
    /// What is drawn.
    pub random: StdRng,
}

impl Nemesis<'_> {
    /// Each of `harms` once, in an order that is drawn, with the publishers at work before and after each.
    ///
    /// # Panics
    /// Where a server does not come back.
    pub async fn round(&mut self, harms: &[Harm]) {
        let mut harms = harms.to_vec();
        harms.shuffle(&mut self.random);
        for harm in harms {
            self.pause(300..1_200).await;
            self.harm(harm).await;
        }
        self.pause(300..1_200).await;
    }

    async fn harm(&mut self, harm: Harm) {
        match harm {
            Harm::KillService => {
                self.service.process.kill();
                self.pause(0..500).await;
                self.service.start_again().await;
            }
            Harm::HoldService => {
                self.service.process.pause();
                self.pause(500..3_000).await;
                self.service.process.resume();
            }
            Harm::KillNats => {
                self.service.nats.kill();
                self.pause(0..500).await;
                self.service.nats.restart().await;
            }
            Harm::HoldNats => {
                self.service.nats.pause();
                self.pause(500..3_000).await;
                self.service.nats.resume();
            }
            Harm::FailArchive => {
                std::fs::write(&self.fault_file, "").expect("the directory is the run's own");
                self.pause(800..2_000).await;
                self.service.process.kill();
                std::fs::remove_file(&self.fault_file).expect("it was written");
                self.service.start_again().await;
            }
            Harm::SetBackNats => {
                let before = self.service.nats.snapshot();
                self.pause(300..1_000).await;
                let gate = Arc::clone(&self.gate);
                let _nothing_under_way = gate.write().await;
                archived(&self.service.remote().await).await;
                if self.database.is_some() {
                    self.sure().await;
                }
                self.service.nats.set_back(&before).await;
            }
            Harm::KillDatabase => {
                self.database().kill();
                self.pause(0..2_000).await;
                self.database().start_again().await;
            }
            Harm::HoldDatabase => {
                self.database().pause();
                self.pause(1_000..6_000).await;
                self.database().resume();
            }
            Harm::SetBackDatabase => {
                let before = self.database().snapshot();
                self.pause(8_000..14_000).await;
                self.database().set_back(&before).await;
            }
        }
    }

    fn database(&mut self) -> &mut CassandraNode {
        self.database.as_mut().expect("a run without a database does it no harm")
    }

    /// Returns once the service has stored the place that it had archived: nothing that lies before it can get lost with the database.
    /// What the stream and the database lose in the same seconds is lost.
    async fn sure(&self) {
        let archived = self.service.report().await["archived"].as_u64();
        while self.service.report().await["stored"].as_u64() < archived {
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn pause(&mut self, millis: std::ops::Range<u64>) {
        sleep(Duration::from_millis(self.random.random_range(millis))).await;
    }
}
