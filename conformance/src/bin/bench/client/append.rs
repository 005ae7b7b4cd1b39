//! Appends records through the service, many under way.

use futures_util::{StreamExt, stream};
use hourlog::{LogId, Record, Remote};
use serde::{Deserialize, Serialize};

use super::{Report, latency::ANSWER_TIME_MAX, publish::connect};
use crate::payload::Payload;

/// Appends `events` records, `under_way` at a time, to the logs in turn.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AppendJob {
    pub url: String,
    pub logs: u64,
    pub events: u64,
    pub under_way: u64,
    pub payload: Payload,
}

impl AppendJob {
    pub(super) async fn run(self) -> Report {
        let remote = Remote::new(connect(&self.url).await).with_timeout(ANSWER_TIME_MAX);
        let id = |log: u64| format!("append.{log}").parse::<LogId>().expect("the benchmark's own id is valid");
        let logs: Vec<LogId> = (0..self.logs).map(id).collect();
        Report::of(self.events, async {
            let append = async |number: u64| {
                let log = &logs[(number % self.logs) as usize];
                let record = Record::new(self.payload.data(number));
                remote.append(log, record).await.expect("the archive accepts it");
            };
            stream::iter(0..self.events).map(append).buffer_unordered(self.under_way as usize).collect::<()>().await;
        })
        .await
    }
}
