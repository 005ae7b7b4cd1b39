//! The client of a service over NATS, with an archive in a directory or in a database.

use hourlog::remote::Remote;
use hourlogd::{Running, Settings};

use crate::{
    guard::{Guard, StoreGuard},
    guards::{InDirectory, InKeyspace, embedded, scylla},
    servers::NatsServer,
};

/// A client of a service that runs in this process, with its own nats-server and archive.
#[derive(Debug)]
pub struct OverNats<A> {
    remote: Remote,
    // Dropped in this order: the service before its archive and its server.
    running: Running,
    archive: A,
    nats: NatsServer,
}

/// Starts a service on an empty archive in a directory.
///
/// # Panics
/// If a part of it does not start; the message says which and why.
pub async fn remote_embedded() -> OverNats<InDirectory> {
    OverNats::open(NatsServer::start().await, embedded().await).await
}

/// Starts a service on an empty archive in a database.
///
/// # Panics
/// If a part of it does not start; the message says which and why.
pub async fn remote_scylla() -> OverNats<InKeyspace> {
    OverNats::open(NatsServer::start().await, scylla().await).await
}

impl<A: StoreGuard> OverNats<A> {
    async fn open(nats: NatsServer, archive: A) -> Self {
        let settings = Settings { nats: nats.url(), ..Settings::default() };
        let running = hourlogd::start(settings, archive.store().clone()).await.expect("the service starts");
        let remote = Remote::connect(&nats.url()).await.expect("NATS answers");
        Self { remote, running, archive, nats }
    }

    /// The store of the service.
    pub fn store(&self) -> &A::Store {
        self.archive.store()
    }

    /// The server between the client and the service.
    pub fn nats(&self) -> &NatsServer {
        &self.nats
    }
}

impl<A: StoreGuard> Guard for OverNats<A> {
    type Events = Remote;

    fn events(&self) -> &Remote {
        &self.remote
    }

    async fn restart(self) -> Self {
        let Self { remote, running, archive, nats } = self;
        drop(remote);
        running.stop().await.expect("the service stops");
        Self::open(nats, archive.restart().await).await
    }
}
