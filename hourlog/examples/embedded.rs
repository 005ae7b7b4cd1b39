//! An archive without a server: writes, seeks and reads in one directory, `embedded [DIR]`.
//!
//! `cargo run -p hourlog --features embedded --example embedded`
#![allow(clippy::print_stdout)]

use std::time::Duration;

use hourlog::{Archive, Embedded, Events, Log, Offset, Record, time::system_clock};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let dir = std::env::args().nth(1).unwrap_or_else(|| "target/embedded-example".to_owned());
    let archive = Archive::new(Embedded::open(&dir)?, system_clock);
    let mut log = archive.log(&"weather.bergen".parse()?).await?;

    let noon: Offset = "2018-02-04T12:00:00Z".parse()?;
    for (minutes, text) in [(0, "rain"), (30, "more rain"), (60, "still rain")] {
        let offset = noon + Duration::from_secs(minutes * 60);
        // Returns once it is on disk.
        log.write(Record::new(text).at(offset)).await?;
    }

    log.seek(noon + Duration::from_secs(60)).await?;
    while let Some(event) = log.read().await? {
        println!("{}  {}", event.position, String::from_utf8_lossy(&event.record.data));
    }
    Ok(())
}
