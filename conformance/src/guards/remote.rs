//! The service over NATS, with an archive in one directory.

use hourlog::{Embedded, remote::Remote};
use hourlogd::{Running, Settings};
use tempfile::TempDir;

use crate::{guard::Guard, servers::NatsServer};

/// A client of a service that runs in this process, over a nats-server and in a directory that are its own.
#[derive(Debug)]
pub struct OverNats {
    remote: Remote,
    // In this order: the service goes before what it stands on.
    running: Running,
    store: Embedded,
    directory: TempDir,
    nats: NatsServer,
}

/// A service on an empty archive.
///
/// # Panics
/// Where a part of it does not start; the message says which and why.
pub async fn remote_embedded() -> OverNats {
    let nats = NatsServer::start().await;
    OverNats::open(nats, TempDir::new().expect("a directory can be made")).await
}

impl OverNats {
    async fn open(nats: NatsServer, directory: TempDir) -> Self {
        let store = Embedded::open(directory.path()).expect("the directory is this test's own");
        let settings = Settings { nats: nats.url(), ..Settings::default() };
        let running = hourlogd::start(settings, store.clone()).await.expect("the service starts");
        let remote = Remote::connect(&nats.url()).await.expect("the server is there");
        Self { remote, running, store, directory, nats }
    }

    /// The archive below the service.
    pub fn store(&self) -> &Embedded {
        &self.store
    }

    /// The server that it runs over.
    pub fn nats(&self) -> &NatsServer {
        &self.nats
    }
}

impl Guard for OverNats {
    type Events = Remote;

    fn events(&self) -> &Remote {
        &self.remote
    }

    async fn restart(self) -> Self {
        let Self { remote, running, store, directory, nats } = self;
        drop(remote);
        running.stop().await.expect("the service stops");
        drop(store);
        Self::open(nats, directory).await
    }
}
