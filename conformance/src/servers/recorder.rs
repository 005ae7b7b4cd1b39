//! A listener that records what a client sends before it is logged in.
//!
//! A nats-server does not tell which password it was sent, so it cannot show that none was.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// The first line of a nats-server.
const INFO: &str = "INFO {\"server_id\":\"RECORDER\",\"version\":\"2.15.2\",\"go\":\"\",\"host\":\"127.0.0.1\",\
    \"port\":4222,\"headers\":true,\"max_payload\":1048576,\"proto\":1,\"auth_required\":true}\r\n";
/// The refusal of a login.
const REFUSAL: &str = "-ERR 'Authorization Violation'\r\n";

/// A listener that speaks like a nats-server which refuses every login.
#[derive(Debug)]
pub struct Recorder {
    port: u16,
    received: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl Recorder {
    /// Listens on a free port.
    ///
    /// # Panics
    /// If this machine has no free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("the listener has an address").port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let recorded = Arc::clone(&received);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                record(client, &recorded).await;
            }
        });
        Self { port, received, task }
    }

    /// The address, without a scheme and a login.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns everything that clients have sent so far.
    pub fn received(&self) -> String {
        let received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&received).into_owned()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Records one connection until its login, or the beginning of TLS, is complete. A client that ends
/// it early is recorded, too.
async fn record(mut client: TcpStream, received: &Mutex<Vec<u8>>) {
    if client.write_all(INFO.as_bytes()).await.is_err() {
        return;
    }
    let (mut sent, mut buffer) = (Vec::new(), [0; 4_096]);
    while let Ok(count @ 1..) = client.read(&mut buffer).await {
        sent.extend_from_slice(&buffer[..count]);
        received.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
        let is_plain = sent.starts_with(b"CONNECT");
        if !is_plain || sent.ends_with(b"PING\r\n") {
            // A client that has gone needs no answer.
            let _ = client.write_all(REFUSAL.as_bytes()).await;
            return;
        }
    }
}
