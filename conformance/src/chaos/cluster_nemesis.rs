//! The nemesis of a cluster: disrupts one of several instances, NATS servers or database nodes at a time.

use std::{ops::Range, time::Duration};

use hourlog::{Remote, wire::StatusReply};
use rand::{Rng, rngs::StdRng, seq::SliceRandom};
use tokio::time::sleep;

use super::{instance::Instance, prober::Prober};
use crate::servers::{CassandraCluster, NatsCluster};

/// The pauses of an instance, in milliseconds: half of them are longer than its lease of five seconds.
const PAUSES: [Range<u64>; 2] = [1_000..4_500, 5_500..12_000];
/// The time for which a lease is not renewed.
const LEASE_STOPPED: Duration = Duration::from_secs(30);
/// The age of the files from which a database node is restarted. Some of its writes since were synced.
const ROLLED_BACK: Duration = Duration::from_secs(15);
/// The time for which the archive of an instance fails: the others store checkpoints of what is archived meanwhile.
const ARCHIVE_FAILS: Duration = Duration::from_secs(40);

/// The time within which all instances answer a question to each of them.
const STATUS_GAP: Duration = Duration::from_millis(300);

/// One way to disrupt a cluster. The instance, server or node is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClusterDisruption {
    /// Kills an instance (SIGKILL), and starts another.
    KillInstance,
    /// Replaces all instances, one after the other: stops one gracefully (SIGTERM), and starts another.
    ReplaceInstances,
    /// Pauses an instance for 1 to 12 seconds (SIGSTOP), half of the times for longer than its lease.
    PauseInstance,
    /// Stops the lease of an instance for 30 seconds. Meanwhile, two own the same slots.
    StopLease,
    /// Makes the archive of an instance that does not purge the stream fail for half of the logs for 40 seconds, then
    /// kills it, and starts another.
    FailArchive,
    /// Cuts an instance from all NATS servers for 2 to 12 seconds. Its messages are delivered late, or lost.
    CutInstance,
    /// Kills a NATS server (SIGKILL), and starts it again.
    KillNats,
    /// Pauses a NATS server for some seconds (SIGSTOP).
    PauseNats,
    /// Kills a database node (SIGKILL), and starts it again after up to 10 seconds.
    KillNode,
    /// Pauses a database node for up to 10 seconds (SIGSTOP).
    PauseNode,
    /// Restarts a database node from files that are fifteen seconds old.
    RollBackNode,
}

impl ClusterDisruption {
    /// All of them. Each makes sense for one server, too.
    pub const ALL: [Self; 11] = [
        Self::KillInstance,
        Self::ReplaceInstances,
        Self::PauseInstance,
        Self::StopLease,
        Self::FailArchive,
        Self::CutInstance,
        Self::KillNats,
        Self::PauseNats,
        Self::KillNode,
        Self::PauseNode,
        Self::RollBackNode,
    ];

    /// Returns true for a disruption of an instance. The time until another one answers for its slots is measured.
    pub fn is_measured(self) -> bool {
        match self {
            Self::KillInstance | Self::ReplaceInstances | Self::PauseInstance | Self::StopLease | Self::CutInstance => {
                true
            }
            Self::FailArchive
            | Self::KillNats
            | Self::PauseNats
            | Self::KillNode
            | Self::PauseNode
            | Self::RollBackNode => false,
        }
    }
}

/// Disrupts instances, their NATS servers and their database.
#[derive(Debug)]
pub struct ClusterNemesis<'a> {
    /// The instances of the service.
    pub instances: &'a mut [Instance],
    /// Their NATS servers.
    pub nats: &'a mut NatsCluster,
    /// Their database.
    pub database: &'a mut CassandraCluster,
    /// Measures how long disrupted instances are missed.
    pub prober: &'a Prober,
    /// The source of everything random.
    pub random: &'a mut StdRng,
}

impl ClusterNemesis<'_> {
    /// Returns `disruptions` in a random order.
    pub fn shuffled(disruptions: &[ClusterDisruption], random: &mut StdRng) -> Vec<ClusterDisruption> {
        let mut disruptions = disruptions.to_vec();
        disruptions.shuffle(random);
        disruptions
    }

    /// Carries out one disruption, and returns what it disrupted. The publishers work before and after it.
    ///
    /// # Panics
    /// If a server does not restart.
    pub async fn disrupt(&mut self, disruption: ClusterDisruption) -> String {
        self.pause(300..1_200).await;
        if disruption.is_measured() {
            self.prober.settle().await;
        }
        let mut index = self.random.random_range(0..self.count(disruption));
        if disruption == ClusterDisruption::FailArchive && Some(index) == self.leader().await {
            index = (index + 1) % self.instances.len();
        }
        match disruption {
            ClusterDisruption::KillInstance => {
                self.prober.begin("kill -9");
                self.instances[index].process().kill();
                self.pause(0..8_000).await;
                self.instances[index].start_again().await;
            }
            ClusterDisruption::ReplaceInstances => {
                for index in 0..self.instances.len() {
                    self.prober.settle().await;
                    self.prober.begin("SIGTERM");
                    self.instances[index].process().terminate().await;
                    self.instances[index].start_again().await;
                    self.pause(300..3_000).await;
                }
                return "all instances".to_owned();
            }
            ClusterDisruption::PauseInstance => {
                let millis = PAUSES[self.random.random_range(0..PAUSES.len())].clone();
                self.prober.begin("SIGSTOP");
                self.instances[index].process().pause();
                self.pause(millis).await;
                self.instances[index].process().resume();
            }
            ClusterDisruption::StopLease => {
                self.prober.begin("lease stopped");
                self.instances[index].stop_lease(true);
                sleep(LEASE_STOPPED).await;
                self.instances[index].stop_lease(false);
            }
            ClusterDisruption::FailArchive => {
                self.instances[index].fail_archive(true);
                sleep(ARCHIVE_FAILS).await;
                self.instances[index].process().kill();
                self.instances[index].fail_archive(false);
                self.pause(0..8_000).await;
                self.instances[index].start_again().await;
            }
            ClusterDisruption::CutInstance => {
                self.prober.begin("cut from NATS");
                self.instances[index].silence(true);
                self.pause(2_000..12_000).await;
                if self.random.random() {
                    self.instances[index].disconnect();
                }
                self.instances[index].silence(false);
            }
            ClusterDisruption::KillNats => {
                self.nats.server(index).kill();
                self.pause(0..5_000).await;
                self.nats.server(index).restart().await;
                self.nats.wait_until_whole().await;
            }
            ClusterDisruption::PauseNats => {
                self.nats.server(index).pause();
                self.pause(1_000..10_000).await;
                self.nats.server(index).resume();
                self.nats.wait_until_whole().await;
            }
            ClusterDisruption::KillNode => {
                self.database.node(index).kill();
                self.pause(0..10_000).await;
                self.database.node(index).start_again().await;
                self.database.wait_until_whole().await;
            }
            ClusterDisruption::PauseNode => {
                self.database.node(index).pause();
                self.pause(1_000..10_000).await;
                self.database.node(index).resume();
                self.database.wait_until_whole().await;
            }
            ClusterDisruption::RollBackNode => {
                let before = self.database.node(index).snapshot();
                sleep(ROLLED_BACK).await;
                self.database.node(index).roll_back(&before).await;
                self.database.wait_until_whole().await;
            }
        }
        self.pause(300..1_200).await;
        format!("number {}", index + 1)
    }

    /// Returns the instance that purges the stream; `None` if it does not answer.
    async fn leader(&mut self) -> Option<usize> {
        let remote = Remote::connect(&self.nats.urls()).await.ok()?;
        let statuses = remote.statuses(STATUS_GAP).await.ok()?;
        let leads = |status: &&StatusReply| status.share.as_ref().is_some_and(|share| share.leads);
        let id = &statuses.iter().find(leads)?.instance;
        let has_id = |instance: &mut Instance| instance.process().stderr_lines().iter().any(|line| line.contains(id));
        self.instances.iter_mut().position(has_id)
    }

    /// Returns the number of instances, servers or nodes that a disruption can draw from.
    fn count(&self, disruption: ClusterDisruption) -> usize {
        match disruption {
            ClusterDisruption::KillNats | ClusterDisruption::PauseNats => self.nats.servers().len(),
            ClusterDisruption::KillNode | ClusterDisruption::PauseNode | ClusterDisruption::RollBackNode => {
                self.database.nodes().len()
            }
            _ => self.instances.len(),
        }
    }

    async fn pause(&mut self, millis: Range<u64>) {
        sleep(Duration::from_millis(self.random.random_range(millis))).await;
    }
}
