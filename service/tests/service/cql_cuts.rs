//! A slow database, a connection to NATS that is cut again and again, and a process that is paused:
//! nothing hangs.

use std::time::Duration;

use conformance::{
    guards::new_keyspace,
    servers::{NatsServer, Proxy, Service},
};
use hourlog::store::ScyllaUrl;

use crate::kit::{archived, events, options, publish_all};

/// Number of times that the connection to NATS is cut.
const CUTS: usize = 200;
/// Delay of each answer of the database. A service that reads, writes and stores its checkpoint waits for
/// several of them one after the other.
const DELAY: Duration = Duration::from_millis(40);
/// The longest time between a message and the cut. Within it, the service asks the database for anything that
/// it asks for, and a cut hits each kind of question.
const UNTIL_CUT_MAX: Duration = Duration::from_millis(400);
/// The pauses of the process at the end.
const PAUSES: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(3), Duration::from_secs(5)];

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_database_with_cut_connections_and_a_paused_service_hang_nothing() {
    let store = new_keyspace();
    let url: ScyllaUrl = store.parse().expect("the URL is valid");
    let node = url.nodes.first().expect("the URL names a node");
    let (nats, database) = (NatsServer::start().await, Proxy::start(node).await);
    let proxy = Proxy::start(&format!("127.0.0.1:{}", nats.port())).await;
    let (address, store) = (format!("nats://{}", proxy.address()), store.replace(node, &database.address()));
    let mut service = Service::start(nats, options(&["--nats", &address, "--store", &store, "--migrate"])).await;
    let jetstream = service.jetstream().await;
    let message = |number: usize| (format!("log.cut.{}", number % 5), number.to_string());

    database.delay(DELAY);
    for cut in 0..CUTS {
        publish_all(&jetstream, [message(cut)]).await;
        tokio::time::sleep(rand::random_range(Duration::ZERO..UNTIL_CUT_MAX)).await;
        proxy.cut();
    }
    for pause in PAUSES {
        publish_all(&jetstream, [message(0)]).await;
        service.process.pause();
        tokio::time::sleep(pause).await;
        service.process.resume();
    }
    let remote = service.remote().await;
    let listed = archived(&remote).await.logs;
    assert_eq!(listed.iter().map(|log| log.events).sum::<u64>(), (CUTS + PAUSES.len()) as u64);
    let found = events(&remote, "cut.3").await;
    let expected = (0..CUTS).filter(|number| number % 5 == 3).map(|number| number.to_string().into_bytes());
    assert!(found.iter().map(|event| event.record.data.to_vec()).eq(expected), "{found:?}");
}
