//! Replays a log from a time on: `replay [LOG [FROM]]`.
//!
//! With `nats-server -js` and `hourlogd` running, after the example `publish`:
//! `cargo run -p hourlog --features remote --example replay -- orders.eu 2018-01-01T00:00:00Z`
#![allow(clippy::print_stdout)]

use hourlog::{Events, Log, LogId, Offset, Remote};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let id: LogId = arguments.next().as_deref().unwrap_or("orders.eu").parse()?;
    let from: Offset = arguments.next().map_or(Ok(Offset::MIN), |time| time.parse())?;

    let url = std::env::var("NATS_URL").unwrap_or_else(|_| "nats://127.0.0.1:4222".to_owned());
    let remote = Remote::connect(&url).await?;
    let mut log = remote.log(&id).await?;

    let seeked = log.seek(from).await?;
    println!("asked for {from}: {}", seeked.reason.as_str());
    // Pages are fetched in the background: the next one while this one is read.
    while let Some(event) = log.read().await? {
        println!("{}  {}", event.position.offset, String::from_utf8_lossy(&event.record.data));
    }
    Ok(())
}
