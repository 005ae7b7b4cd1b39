//! The workload of a run: publishers and followers, until everything that they sent is archived and read.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use hourlog::{
    Error, ErrorKind, LogId, Position, Remote,
    wire::{LogsRequest, ReplayRequest},
};
use tokio::{
    sync::RwLock,
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};

use super::{
    evidence::{self, Evidence},
    ledger::{self, Ledger},
    publishers::{self, PublisherContext},
    readers,
    verdict::{Finding, Verdict},
    waits::Waits,
};
use crate::servers::{WAIT_MAX, archived};

/// The logs that are followed during a run.
const FOLLOWED: [u32; 4] = [0, 7, 19, 42];
/// The pause before a request is repeated that the service could not answer yet.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Running publishers and followers.
#[derive(Debug)]
pub struct Workload {
    context: PublisherContext,
    publishers: JoinSet<()>,
    stop_followers: Arc<AtomicBool>,
    followers: Vec<(u32, JoinHandle<Vec<Position>>)>,
}

impl Workload {
    /// Starts the publishers and the followers. Both connect to the NATS servers at `url`. A publisher pauses between two
    /// operations, for `pause_max` at most.
    ///
    /// # Panics
    /// If NATS does not answer.
    pub async fn start(url: &str, seed: u64, pause_max: Duration) -> Self {
        let context = PublisherContext {
            url: url.to_owned(),
            ledger: Arc::new(Ledger::new(seed)),
            gate: Arc::new(RwLock::new(())),
            pause_max,
            waits: Arc::new(Waits::of_logs(FOLLOWED)),
            stop: Arc::new(AtomicBool::new(false)),
        };
        let publishers = publishers::start(&context, seed).await;
        let stop_followers = Arc::new(AtomicBool::new(false));
        let follow =
            |number| readers::follow(url.to_owned(), number, Arc::clone(&context.waits), Arc::clone(&stop_followers));
        let followers = FOLLOWED.map(|number| (number, follow(number))).into();
        Self { context, publishers, stop_followers, followers }
    }

    /// The ledger of the publishers.
    pub fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&self.context.ledger)
    }

    /// The gate: no operation is in flight while it is held for writing.
    pub fn gate(&self) -> Arc<RwLock<()>> {
        Arc::clone(&self.context.gate)
    }

    /// The longest waits so far.
    pub fn waits(&self) -> Arc<Waits> {
        Arc::clone(&self.context.waits)
    }

    /// Stops the publishers, waits until everything that was sent is answered and archived, and reads it.
    ///
    /// # Panics
    /// If the service does not answer.
    pub async fn finish(mut self, recovery_timeout: Duration, verdict: &mut Verdict) -> Evidence {
        self.context.stop.store(true, Relaxed);
        let remote = Remote::connect(&self.context.url).await.expect("NATS answers").with_timeout(WAIT_MAX);
        let counts = self.wait_for_recovery(&remote, recovery_timeout, verdict).await;
        self.stop_followers.store(true, Relaxed);
        let mut followed = BTreeMap::new();
        for (number, follower) in self.followers {
            followed.insert(number, follower.await.expect("a follower does not panic"));
        }
        let replayed = evidence::replay_twice(&remote, &counts, verdict).await;
        Evidence { counts, followed, replayed }
    }

    /// Waits until everything that was sent is answered and archived. Returns the service's count of each
    /// log.
    async fn wait_for_recovery(
        &mut self,
        remote: &Remote,
        recovery_timeout: Duration,
        verdict: &mut Verdict,
    ) -> BTreeMap<LogId, u64> {
        let last_answers = async {
            while let Some(ended) = self.publishers.join_next().await {
                ended.expect("a publisher does not panic");
            }
        };
        if timeout(recovery_timeout, last_answers).await.is_err() {
            verdict.note(Finding::Stuck, || "some operations are still not answered".to_owned());
        }
        let everything = async {
            // Several instances of the service may own the logs, and each knows only what it has archived itself.
            for number in 0..ledger::LOGS {
                wait_until_archived(remote, &ledger::log(number)).await;
            }
            archived(remote).await
        };
        let counts = match timeout(recovery_timeout, everything).await {
            Ok(logs) => logs.logs,
            Err(_) => {
                verdict.note(Finding::Stuck, || "some messages of the stream are still not archived".to_owned());
                let request = LogsRequest { all: true, ..LogsRequest::default() };
                remote.logs(&request).await.expect("the service answers").logs
            }
        };
        counts.into_iter().map(|log| (log.log, log.events)).collect()
    }
}

/// Waits until the instance that owns `log` has archived everything that was published to it.
///
/// # Panics
/// If the service refuses the request.
async fn wait_until_archived(remote: &Remote, log: &LogId) {
    let request = ReplayRequest { fresh: true, limit: Some(1), ..Default::default() };
    let may_pass = |error: &Error| matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Deadline);
    loop {
        match remote.replay(log, &request).await {
            Ok(_) => return,
            // Nothing was published to it.
            Err(error) if error.kind() == ErrorKind::NotFound => return,
            Err(error) if may_pass(&error) => sleep(RETRY_INTERVAL).await,
            Err(error) => panic!("{log}: {error}"),
        }
    }
}
