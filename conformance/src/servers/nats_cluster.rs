//! A cluster of nats-servers with JetStream for one test, which may kill each of them.

use std::{net::Ipv4Addr, time::Duration};

use async_nats::jetstream::{self, stream};
use cassandra_node::free_ports;
use tokio::time::{sleep, timeout};

use super::{NatsOptions, NatsServer, READY_TIMEOUT};

/// The stream that shows whether the servers keep copies.
const PROBE: &str = "PROBE";
/// Time limit of one attempt to create it: a server without a leader does not answer.
const PROBE_MAX: Duration = Duration::from_millis(500);
/// The interval between attempts.
const PROBE_INTERVAL: Duration = Duration::from_millis(100);

/// Running servers. Each keeps its ports and its directory over restarts, and is killed on drop.
#[derive(Debug)]
pub struct NatsCluster {
    servers: Vec<NatsServer>,
}

impl NatsCluster {
    /// Starts three servers, and waits until a stream can have a copy on each.
    ///
    /// # Panics
    /// If nats-server is not installed (the message says how to get it), or does not start.
    pub async fn start() -> Self {
        let route_ports: [u16; 3] = free_ports(&[Ipv4Addr::LOCALHOST]).expect("ports are free");
        let routes: Vec<String> = route_ports.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
        let mut cluster = Self { servers: Vec::new() };
        for (number, port) in route_ports.iter().enumerate() {
            // Without advertisements, clients use only the addresses that they were given: those of a proxy, for example.
            let config = format!(
                "server_name: nats-{}\ncluster {{ name: hourlog, listen: \"127.0.0.1:{port}\", no_advertise: true, routes: {routes:?} }}\n",
                number + 1
            );
            cluster.servers.push(NatsServer::start_with(NatsOptions { config, ..NatsOptions::default() }).await);
        }
        cluster.wait_until_whole().await;
        cluster
    }

    /// Starts one server by itself.
    ///
    /// # Panics
    /// As [`NatsCluster::start`].
    pub async fn start_alone() -> Self {
        Self { servers: vec![NatsServer::start().await] }
    }

    /// Returns the URLs of all servers, separated by commas.
    pub fn urls(&self) -> String {
        self.servers.iter().map(NatsServer::url).collect::<Vec<_>>().join(",")
    }

    /// Returns the servers.
    pub fn servers(&self) -> &[NatsServer] {
        &self.servers
    }

    /// Returns one server, to disrupt it.
    pub fn server(&mut self, index: usize) -> &mut NatsServer {
        &mut self.servers[index]
    }

    /// Waits until JetStream has a leader and can create a stream with a copy on each server.
    ///
    /// # Panics
    /// If that takes longer than [`READY_TIMEOUT`].
    pub async fn wait_until_whole(&self) {
        let client = async_nats::connect(self.servers[0].url()).await.expect("a running server accepts connections");
        let mut jetstream = jetstream::new(client);
        jetstream.set_timeout(PROBE_MAX);
        let config =
            stream::Config { name: PROBE.to_owned(), num_replicas: self.servers.len(), ..stream::Config::default() };
        let created = timeout(READY_TIMEOUT, async {
            loop {
                match jetstream.create_stream(config.clone()).await {
                    Ok(_) => return,
                    Err(_) => sleep(PROBE_INTERVAL).await,
                }
            }
        });
        created.await.expect("the servers elect a leader");
        jetstream.set_timeout(READY_TIMEOUT);
        jetstream.delete_stream(PROBE).await.expect("the leader answers");
    }
}
