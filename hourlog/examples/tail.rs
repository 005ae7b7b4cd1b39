//! Prints the events of a log as they arrive, from the first one on, until it is stopped: `tail [LOG]`.
//!
//! With `nats-server -js` and `hourlogd` running:
//! `cargo run -p hourlog --features remote --example tail -- orders.eu`, and in another terminal
//! `nats pub log.orders.eu '{"id":9}'`
#![allow(clippy::print_stdout)]

use std::pin::pin;

use futures_util::StreamExt;
use hourlog::{LogId, Remote, wire::ReplayRequest};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let id: LogId = std::env::args().nth(1).as_deref().unwrap_or("orders.eu").parse()?;
    let url = std::env::var("NATS_URL").unwrap_or_else(|_| "nats://127.0.0.1:4222".to_owned());
    let remote = Remote::connect(&url).await?;

    let mut events = pin!(remote.tail(id, ReplayRequest::default()));
    while let Some(event) = events.next().await {
        let event = event?;
        println!("{}  {}", event.position, String::from_utf8_lossy(&event.record.data));
    }
    Ok(())
}
