//! The way out of an archive in memory.

use std::sync::{Arc, Mutex, PoisonError};

use console::{
    exit::Failure,
    export::Writer,
    replay::{Capture, Pacing, Step, Target},
    tui::{
        excerpt::Excerpt,
        outlet::{Outlet, Route},
        scan::Direction,
        source::Source,
    },
};
use hourlog::{ArrivalCursor, LogId, Offset, Position, Seq};
use tokio::sync::Semaphore;

use super::Archive;

/// Events of a page.
const PAGE: u32 = 400;

/// The events that leave an archive in memory.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    /// The events that may leave it. The next one waits for a permit.
    pub(crate) permits: Arc<Semaphore>,
    /// The subjects and the data that were sent.
    sent: Arc<Mutex<Vec<(String, String)>>>,
}

impl Default for Outbox {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)), sent: Arc::default() }
    }
}

impl Outbox {
    /// An outbox that lets so many events out.
    pub(crate) fn of(events: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(events)), ..Self::default() }
    }

    async fn let_out(&self) {
        self.permits.acquire().await.expect("it is never closed").forget();
    }

    /// The subjects and the data that were sent.
    pub(crate) fn sent(&self) -> Vec<(String, String)> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Outlet for Archive {
    async fn export(&self, log: &LogId, excerpt: &Excerpt, writer: &mut Writer<'_>) -> Result<(), Failure> {
        let mut at = excerpt.from.map_or(Position::MIN, Position::at);
        let until = excerpt.until.map_or(Position::MAX, Position::at);
        writer.begin(log, ArrivalCursor { time: Offset::MAX, seq: Seq::MAX })?;
        while at < until {
            let page = Source::page(self, log, at, Direction::Forward, PAGE, &excerpt.selection).await?;
            for event in page.events.iter().filter(|event| event.position < until) {
                self.outbox.let_out().await;
                writer.event(event)?;
            }
            at = page.to;
        }
        Ok(())
    }

    async fn capture(&self, target: &Target, logs: &[LogId]) -> Result<(Capture, Option<String>), Failure> {
        let is_log = target.subject(&logs[0])?.starts_with("log.");
        Ok((if is_log { Capture::Logs("HOURLOG".to_owned()) } else { Capture::Nothing }, None))
    }

    async fn replay(
        &self,
        route: &Route,
        mut pacing: Pacing<'_>,
        report: &mut (dyn FnMut(Step<'_>) + Send),
    ) -> Result<(), Failure> {
        let mut count = 0;
        while let Some(event) = pacing.next().await? {
            let data = String::from_utf8_lossy(&event.record.data).into_owned();
            let message = (route.target.subject(&event.log)?, data);
            self.outbox.sent.lock().unwrap_or_else(PoisonError::into_inner).push(message);
            count += 1;
            report(Step::Sent);
            report(Step::Confirmed(count, &event));
        }
        Ok(())
    }
}
