//! A TCP proxy before a server: it cuts, delays or silences the connections through it.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
    time::Instant,
};

/// The most bytes that are passed on at once.
const BUFFER_BYTES: usize = 64 << 10;
/// The most parts that are held back in one direction: enough for a delay of 20 ms at any rate of a test.
const DELAYED_MAX: usize = 256;

/// A proxy on a free port. Ends its connections on drop.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    mode: watch::Sender<Mode>,
    task: JoinHandle<()>,
}

/// The present behaviour towards all connections.
#[derive(Debug, Clone, Copy, Default)]
struct Mode {
    /// Number of times that the connections were cut.
    cuts: u64,
    is_silent: bool,
    delay: Duration,
}

impl Proxy {
    /// Listens on a free port, and connects each client to `target`, given as `host:port`.
    ///
    /// # Panics
    /// If this machine has no free port.
    pub async fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("the listener has an address").port();
        let mode = watch::Sender::new(Mode::default());
        let (modes, target) = (mode.clone(), target.to_owned());
        let task = tokio::spawn(async move {
            // Dropped with this task, which ends the connections.
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                connections.spawn(connect(client, target.clone(), modes.subscribe()));
            }
        });
        Self { port, mode, task }
    }

    /// The address for clients.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends all connections. Clients may connect again at once.
    pub fn cut(&self) {
        self.mode.send_modify(|mode| mode.cuts += 1);
    }

    /// Holds everything back, in both directions, while `is_silent`. Connections stay open: neither
    /// side can tell that the other is not reached.
    pub fn silence(&self, is_silent: bool) {
        self.mode.send_modify(|mode| mode.is_silent = is_silent);
    }

    /// Delays each answer of the server.
    pub fn delay(&self, delay: Duration) {
        self.mode.send_modify(|mode| mode.delay = delay);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Passes on what client and server send, until one of them ends or the connection is cut.
async fn connect(client: TcpStream, target: String, mut mode: watch::Receiver<Mode>) {
    let cuts = mode.borrow_and_update().cuts;
    let (requests, answers) = (mode.clone(), mode.clone());
    let pass_on = async {
        let Ok(server) = TcpStream::connect(target).await else { return };
        // Small messages must not wait for each other.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        tokio::select! {
            () = pump(from_client, to_server, requests, false) => {}
            () = pump(from_server, to_client, answers, true) => {}
        }
    };
    tokio::select! {
        () = pass_on => {}
        _ = mode.wait_for(|mode| mode.cuts != cuts) => {}
    }
}

/// Passes bytes on in one direction, until one side ends. Answers of the server are delayed, each by itself: a delay
/// does not lower the rate.
async fn pump(from: OwnedReadHalf, to: OwnedWriteHalf, mode: watch::Receiver<Mode>, are_answers: bool) {
    let (tx, rx) = mpsc::channel(DELAYED_MAX);
    tokio::join!(receive(from, tx, mode.clone(), are_answers), send(to, rx, mode));
}

/// Bytes, and the moment at which they are passed on.
type Delayed = (Instant, Vec<u8>);

async fn receive(mut from: OwnedReadHalf, tx: mpsc::Sender<Delayed>, mode: watch::Receiver<Mode>, are_answers: bool) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            () = tx.closed() => return,
        };
        let Ok(count @ 1..) = read else { return };
        let delay = if are_answers { mode.borrow().delay } else { Duration::ZERO };
        if tx.send((Instant::now() + delay, buffer[..count].to_vec())).await.is_err() {
            return;
        }
    }
}

async fn send(mut to: OwnedWriteHalf, mut rx: mpsc::Receiver<Delayed>, mut mode: watch::Receiver<Mode>) {
    while let Some((due, bytes)) = rx.recv().await {
        tokio::time::sleep_until(due).await;
        if mode.wait_for(|mode| !mode.is_silent).await.is_err() || to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}
