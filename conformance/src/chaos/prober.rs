//! The prober: appends to one log of each slot all the time, and so measures how long a slot has no owner that answers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hourlog::{LogId, Record, Remote, store::SLOTS};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

/// The interval between two appends to a slot.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);
/// The time limit of one append. Others follow meanwhile.
const PROBE_MAX: Duration = Duration::from_secs(5);
/// The most appends to a slot at once.
const PROBES_MAX: usize = 10;
/// The longest wait for the slots to answer again.
const ANSWERS_MAX: Duration = Duration::from_secs(60);
/// The interval between checks that they have.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Running probes. They end when it is dropped.
#[derive(Debug)]
pub struct Prober {
    outages: Arc<Mutex<Vec<Outage>>>,
    _tasks: JoinSet<()>,
}

/// The time since a disruption until each slot answered again.
#[derive(Debug, Clone)]
pub struct Outage {
    /// The disruption.
    pub cause: &'static str,
    begun: Instant,
    /// By slot: the time until the first answer to an append that was sent after the disruption.
    answered: Vec<Option<Duration>>,
}

impl Prober {
    /// Starts the probes, over one connection to the NATS servers at `url`.
    ///
    /// # Panics
    /// If NATS does not answer.
    pub async fn start(url: &str) -> Self {
        let remote = Remote::connect(url).await.expect("NATS answers").with_timeout(PROBE_MAX);
        let outages = Arc::default();
        let mut tasks = JoinSet::new();
        for (slot, log) in one_log_each_slot() {
            tasks.spawn(probe(remote.clone(), slot, log, Arc::clone(&outages)));
        }
        Self { outages, _tasks: tasks }
    }

    /// Notes that a disruption begins.
    pub fn begin(&self, cause: &'static str) {
        let answered = vec![None; usize::from(SLOTS)];
        lock(&self.outages).push(Outage { cause, begun: Instant::now(), answered });
    }

    /// Waits until each slot answers, so that the time after the next disruption is due to that one alone.
    pub async fn settle(&self) {
        self.begin("settling");
        self.wait_until_over().await;
        lock(&self.outages).pop();
    }

    /// Waits until each slot has answered since the last disruption, and ends the probes.
    pub async fn finish(self) -> Vec<Outage> {
        self.wait_until_over().await;
        lock(&self.outages).clone()
    }

    /// Waits until all outages are over, or for [`ANSWERS_MAX`]: slots that do not answer are reported at the end.
    async fn wait_until_over(&self) {
        let is_over = || lock(&self.outages).iter().all(|outage| outage.answered.iter().all(Option::is_some));
        let all_over = timeout(ANSWERS_MAX, async {
            while !is_over() {
                sleep(CHECK_INTERVAL).await;
            }
        });
        let _ = all_over.await;
    }
}

impl Outage {
    /// Returns the times of the slots that answered again, sorted, and the number of the others.
    pub fn times(&self) -> (Vec<Duration>, usize) {
        let mut times: Vec<Duration> = self.answered.iter().flatten().copied().collect();
        times.sort_unstable();
        let silent = self.answered.len() - times.len();
        (times, silent)
    }

    fn answer(&mut self, slot: u8, sent: Instant, now: Instant) {
        let answered = &mut self.answered[usize::from(slot)];
        if sent >= self.begun && answered.is_none() {
            *answered = Some(now - self.begun);
        }
    }
}

async fn probe(remote: Remote, slot: u8, log: LogId, outages: Arc<Mutex<Vec<Outage>>>) {
    // The slots are not probed all at once.
    sleep(PROBE_INTERVAL * u32::from(slot) / u32::from(SLOTS)).await;
    let mut ticks = interval(PROBE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Dropped with this task, which ends them.
    let mut probes = JoinSet::new();
    loop {
        ticks.tick().await;
        while probes.try_join_next().is_some() {}
        if probes.len() >= PROBES_MAX {
            continue;
        }
        let (remote, log, outages) = (remote.clone(), log.clone(), Arc::clone(&outages));
        probes.spawn(async move {
            let sent = Instant::now();
            if remote.append(&log, Record::new("probe")).await.is_ok() {
                let now = Instant::now();
                lock(&outages).iter_mut().for_each(|outage| outage.answer(slot, sent, now));
            }
        });
    }
}

/// Returns a log of each slot. The ledger has none of them.
fn one_log_each_slot() -> BTreeMap<u8, LogId> {
    let mut logs = BTreeMap::new();
    for number in 0.. {
        let log: LogId = format!("chaos.probe.{number}").parse().expect("the test's own id is valid");
        logs.entry(log.slot()).or_insert(log);
        if logs.len() == usize::from(SLOTS) {
            break;
        }
    }
    logs
}

fn lock(outages: &Mutex<Vec<Outage>>) -> MutexGuard<'_, Vec<Outage>> {
    outages.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_append_from_before_a_disruption_does_not_end_it() {
        let begun = Instant::now();
        let mut outage = Outage { cause: "kill", begun, answered: vec![None; 2] };
        let after = |millis| begun + Duration::from_millis(millis);
        outage.answer(0, begun.checked_sub(Duration::from_millis(1)).unwrap_or(begun), after(5));
        outage.answer(1, after(10), after(20));
        outage.answer(1, after(15), after(25));
        let early = begun.checked_sub(Duration::from_millis(1)).is_some();
        assert_eq!(outage.times().0.last(), Some(&Duration::from_millis(20)));
        assert_eq!(outage.times().1, usize::from(early));
    }

    #[test]
    fn each_slot_has_a_log() {
        let logs = one_log_each_slot();
        assert!(logs.iter().all(|(slot, log)| log.slot() == *slot) && logs.len() == usize::from(SLOTS));
    }
}
