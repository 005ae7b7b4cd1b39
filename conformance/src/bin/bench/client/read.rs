//! Reads a whole log through the service, or pages of the same size from a bare responder.

use async_nats::Client;
use futures_util::{StreamExt, TryStreamExt, stream};
use hourlog::{
    LogId, Remote,
    wire::{Compression, ReplayRequest},
};
use serde::{Deserialize, Serialize};

use super::{Report, publish::connect};

/// Reads a log by `readers` readers at once, each all `events` of it, and decodes them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ReplayJob {
    pub url: String,
    pub log: LogId,
    pub events: u64,
    pub readers: u64,
    /// The compression of pages, as the header `Accept-Encoding` names it.
    pub compression: Option<String>,
}

/// Requests pages from a bare responder, one ahead of the page that is counted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PagesJob {
    pub url: String,
    pub subject: String,
    pub pages: u64,
    /// The events that a page stands for.
    pub page_events: u64,
}

impl ReplayJob {
    pub(super) async fn run(self) -> Report {
        let compression = self.compression.as_deref().and_then(|name| Compression::preferred([name]));
        let remote = Remote::new(connect(&self.url).await).with_compression(compression);
        let remote = remote.with_timeout(super::latency::ANSWER_TIME_MAX);
        Report::of(self.events * self.readers, async {
            let readers = stream::iter(0..self.readers).map(|_| read(&remote, &self.log, self.events));
            readers.buffer_unordered(self.readers as usize).collect::<()>().await;
        })
        .await
    }
}

async fn read(remote: &Remote, log: &LogId, events: u64) {
    let request = ReplayRequest { limit: Some(events as u32), ..ReplayRequest::default() };
    let found = remote.events(log.clone(), request);
    let sum =
        found.try_fold((0, 0), |(count, bytes), event| async move { Ok((count + 1, bytes + event.record.data.len())) });
    let (count, bytes) = sum.await.expect("the log can be read");
    assert_eq!(count, events, "events are missing ({bytes} bytes were read)");
}

impl PagesJob {
    pub(super) async fn run(self) -> Report {
        let client = connect(&self.url).await;
        Report::of(self.pages * self.page_events, async {
            let mut ahead = tokio::spawn(page(client.clone(), self.subject.clone()));
            for number in 0..self.pages {
                ahead.await.expect("the task does not panic");
                let (client, subject) = (client.clone(), self.subject.clone());
                ahead =
                    if number + 1 < self.pages { tokio::spawn(page(client, subject)) } else { tokio::spawn(async {}) };
            }
        })
        .await
    }
}

async fn page(client: Client, subject: String) {
    let reply = client.request(subject, r#"{"limit":20000}"#.into()).await.expect("the responder answers");
    assert!(!reply.payload.is_empty(), "the page is empty");
}
