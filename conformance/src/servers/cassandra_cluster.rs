//! A cluster of Cassandra nodes for one test, which may kill each of them.

use std::time::Duration;

use cassandra_node::{Place, READY_TIME_MAX};
use tokio::time::{sleep, timeout};

use super::CassandraNode;

/// The interval between checks that the nodes reach each other. A check reads the log of each node.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Running nodes that share their data. Each is killed on drop.
#[derive(Debug)]
pub struct CassandraCluster {
    nodes: Vec<CassandraNode>,
}

impl CassandraCluster {
    /// Starts `nodes` nodes one after the other, and waits until each reaches all others.
    ///
    /// # Panics
    /// If Cassandra is not installed (the message says how to get it), does not start, or this machine lacks
    /// 127.0.0.2 and the addresses after it.
    pub async fn start(nodes: u8) -> Self {
        let places = Place::in_cluster(nodes).expect("the addresses and ports are free");
        let mut cluster = Self { nodes: Vec::new() };
        for place in places {
            cluster.nodes.push(CassandraNode::start_at(place, "").await);
        }
        cluster.wait_until_whole().await;
        cluster
    }

    /// Returns the URL of a keyspace with `replication` copies, as `hourlogd` accepts it.
    pub fn url(&self, keyspace: &str, replication: u32) -> String {
        let login = match &self.nodes[..] {
            [alone] => alone.login(),
            nodes => nodes.iter().map(CassandraNode::address).collect::<Vec<_>>().join(","),
        };
        format!("cql://{login}/{keyspace}?replication={replication}")
    }

    /// Returns the nodes.
    pub fn nodes(&self) -> &[CassandraNode] {
        &self.nodes
    }

    /// Returns one node, to disrupt it.
    pub fn node(&mut self, index: usize) -> &mut CassandraNode {
        &mut self.nodes[index]
    }

    /// Waits until each node reaches all others, which takes some seconds after a restart.
    ///
    /// # Panics
    /// If they do not, because one of them has ended or is paused.
    pub async fn wait_until_whole(&self) {
        let peers = self.nodes.len() - 1;
        let whole = timeout(READY_TIME_MAX, async {
            while !self.nodes.iter().all(|node| node.live_peers() == peers) {
                sleep(CHECK_INTERVAL).await;
            }
        });
        if whole.await.is_err() {
            let reached: Vec<usize> = self.nodes.iter().map(CassandraNode::live_peers).collect();
            panic!("the nodes reach {reached:?} others after {READY_TIME_MAX:?}");
        }
    }
}
