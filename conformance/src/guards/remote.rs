//! The service over NATS, with an archive of either kind.

use hourlog::remote::Remote;
use hourlogd::{Running, Settings};

use crate::{
    guard::{Guard, StoreGuard},
    guards::{InDirectory, InKeyspace, embedded, scylla},
    servers::NatsServer,
};

/// A client of a service that runs in this process, over a nats-server and an archive that are its own.
#[derive(Debug)]
pub struct OverNats<A> {
    remote: Remote,
    // In this order: the service goes before what it stands on.
    running: Running,
    archive: A,
    nats: NatsServer,
}

/// A service on an empty archive in a directory.
///
/// # Panics
/// Where a part of it does not start; the message says which and why.
pub async fn remote_embedded() -> OverNats<InDirectory> {
    OverNats::open(NatsServer::start().await, embedded().await).await
}

/// A service on an empty archive in a database.
///
/// # Panics
/// Where a part of it does not start; the message says which and why.
pub async fn remote_scylla() -> OverNats<InKeyspace> {
    OverNats::open(NatsServer::start().await, scylla().await).await
}

impl<A: StoreGuard> OverNats<A> {
    async fn open(nats: NatsServer, archive: A) -> Self {
        let settings = Settings { nats: nats.url(), ..Settings::default() };
        let running = hourlogd::start(settings, archive.store().clone()).await.expect("the service starts");
        let remote = Remote::connect(&nats.url()).await.expect("the server is there");
        Self { remote, running, archive, nats }
    }

    /// The archive below the service.
    pub fn store(&self) -> &A::Store {
        self.archive.store()
    }

    /// The server that it runs over.
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
