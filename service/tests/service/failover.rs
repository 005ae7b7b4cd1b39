//! Several addresses: a connection survives the server that it was made to.

use std::time::Duration;

use conformance::servers::{HourlogdProcess, NatsOptions, NatsServer};
use hourlog::{Record, Remote};
use tempfile::TempDir;

use crate::kit::{WAIT_MAX, binary, events, log};

/// The domain of JetStream.
const DOMAIN: &str = "hub";

/// Starts a server without JetStream that passes everything on to `hub`.
async fn leaf(hub: u16) -> NatsServer {
    let config = format!("leafnodes {{ remotes: [{{ url: \"nats://127.0.0.1:{hub}\" }}], reconnect: 1 }}");
    let leaf = NatsServer::start_with(NatsOptions { config, without_jetstream: true, ..NatsOptions::default() }).await;
    let is_linked = || leaf.stderr_lines().iter().any(|line| line.contains("JetStream using domains"));
    let linked = tokio::time::timeout(WAIT_MAX, async {
        while !is_linked() {
            tokio::task::yield_now().await;
        }
    });
    linked.await.expect("the leaf node reaches the hub");
    leaf
}

/// Starts a server with JetStream that leaf nodes can connect to. Returns the port for them, too.
///
/// JetStream has a domain of its own: without one, its requests do not pass through a leaf node.
async fn hub(directory: &TempDir) -> (NatsServer, u16) {
    let config = format!(
        "jetstream {{ store_dir: {:?}, domain: {DOMAIN} }}\nleafnodes {{ listen: \"127.0.0.1:-1\" }}",
        directory.path()
    );
    let hub = NatsServer::start_with(NatsOptions { config, without_jetstream: true, ..NatsOptions::default() }).await;
    let lines = hub.stderr_lines();
    let port = lines.iter().find_map(|line| {
        let (_, address) = line.split_once("Listening for leafnode connections on ")?;
        address.rsplit_once(':')?.1.trim().parse().ok()
    });
    (hub, port.expect("the server tells the port"))
}

/// Appends an event until it is archived. A request that was under way when a server died fails.
async fn append(remote: &Remote, text: &str) {
    let begun = tokio::time::Instant::now();
    loop {
        let record = Record::new(text).with("Nats-Msg-Id", text);
        match tokio::time::timeout(Duration::from_secs(2), remote.append(&log("orders"), record)).await {
            Ok(Ok(_)) => return,
            Ok(Err(error)) if begun.elapsed() > WAIT_MAX => panic!("{error}"),
            Ok(Err(_)) => tokio::task::yield_now().await,
            Err(_) => assert!(begun.elapsed() < WAIT_MAX, "no append is answered"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn service_and_client_survive_the_death_of_each_of_two_servers() {
    // JetStream runs elsewhere, so that only the connection is lost.
    let directory = TempDir::new().expect("a temporary directory can be created");
    let (_hub, port) = hub(&directory).await;
    let mut servers = [leaf(port).await, leaf(port).await];
    let addresses = servers.each_ref().map(NatsServer::url).join(",");
    let arguments = ["--store", "memory:", "--nats", &addresses, "--js-domain", DOMAIN];
    let service = HourlogdProcess::start(binary(), arguments).await;
    let remote = Remote::connect(&addresses).await.expect("a server runs").with_timeout(WAIT_MAX);
    append(&remote, "before").await;
    // Nobody knows which of the two a connection has chosen, so both die in turn.
    servers[0].kill();
    append(&remote, "without the first").await;
    servers[0].restart().await;
    servers[1].kill();
    append(&remote, "without the second").await;
    let read = events(&remote, "orders").await;
    let read: Vec<_> = read.iter().map(|event| String::from_utf8_lossy(&event.record.data).into_owned()).collect();
    assert_eq!(read, ["before", "without the first", "without the second"]);
    let losses = service.stderr_lines().iter().filter(|line| line.contains("disconnected from NATS")).count();
    assert!(losses > 0, "the service never lost its connection");
}
