//! Writes three orders to a log of the service, one of them with a time of its own.
//!
//! With `nats-server -js` and `hourlogd --nats nats://127.0.0.1:4222 --store memory:` running:
//! `cargo run -p hourlog --features remote --example publish`
#![allow(clippy::print_stdout)]

use hourlog::{Events, Log, Offset, Record, Remote};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("NATS_URL").unwrap_or_else(|_| "nats://127.0.0.1:4222".to_owned());
    let remote = Remote::connect(&url).await?;
    let mut log = remote.log(&"orders.eu".parse()?).await?;

    let late: Offset = "2018-02-04T21:56:42.123Z".parse()?;
    for record in [
        Record::new(r#"{"id":7}"#).with("kind", "paid").with("kind", "twice"),
        Record::new(r#"{"id":8}"#),
        Record::new(r#"{"id":1}"#).at(late),
    ] {
        // Returns once the archive holds the record.
        println!("{}", log.write(record).await?);
    }
    Ok(())
}
