//! A bare responder: answers every request with the same bytes from memory.

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

use super::{Report, publish::connect};
use crate::payload::Payload;

/// Answers requests on `subject` with `bytes` bytes, until it is killed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RespondJob {
    pub url: String,
    pub subject: String,
    pub bytes: usize,
}

impl RespondJob {
    pub(super) async fn run(self, ready: impl FnOnce()) -> Report {
        let client = connect(&self.url).await;
        let mut requests = client.subscribe(self.subject).await.expect("NATS answers");
        client.flush().await.expect("NATS answers");
        let answer = Payload::Random(self.bytes).data(0);
        ready();
        while let Some(request) = requests.next().await {
            if let Some(reply) = request.reply {
                client.publish(reply, answer.clone()).await.expect("the answer can be sent");
            }
        }
        Report::default()
    }
}
