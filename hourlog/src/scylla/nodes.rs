//! Detects nodes that have restarted: such a node may have lost its newest writes.
//!
//! Each node is asked for its generation, a number that it draws when it starts. The driver knows
//! only which nodes are connected, and could miss a quick restart.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use scylla::{
    client::session::Session,
    cluster::{Node, metadata::Strategy},
    policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy},
    statement::{Consistency, prepared::PreparedStatement},
};
use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;

use crate::{Error, ErrorKind, Result, failpoint::Failpoint};

use super::{ScyllaUrl, errors::request_error};

/// The timeout of a node's answer. A node that misses it is asked again the next time.
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// The interval between questions while some nodes do not answer.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Both databases have this column.
const GENERATION: &str = "SELECT gossip_generation FROM system.local WHERE key = 'local'";

/// The nodes, with their generations.
#[derive(Debug)]
pub(super) struct Nodes {
    /// `None` if the database does not report generations.
    statement: Option<PreparedStatement>,
    /// The data centre whose nodes are asked; `None` for all nodes.
    datacenter: Option<String>,
    /// True if every row is on one node only.
    one_copy: bool,
    trust: AtomicU8,
    /// Locked during a question, at most [`ANSWER_MAX`]. The lock is fair, so a future that waits for
    /// it without being polled holds up all others.
    generations: Mutex<Generations>,
}

/// The trust in an answer of the database. Stored as a number, since every request reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Trust {
    /// No caller can catch up after a loss, so restarts do not matter.
    Unwatched,
    /// No node has restarted.
    Trusted,
    /// A request failed or a node did not answer. Restarts must be ruled out before the next answer
    /// counts.
    Doubtful,
    /// A node has restarted. No answer counts until the cache is cleared.
    Restarted,
}

#[derive(Debug, Default)]
struct Generations {
    /// The generations that everything in the cache was written to.
    accepted: HashMap<Uuid, i32>,
    current: HashMap<Uuid, i32>,
    /// The last time that some nodes answered and others did not.
    partly_answered: Option<Instant>,
    /// True if a connected node did not answer, or none did.
    silent: bool,
    /// The beginning of the newest question to the nodes that has ended.
    asked: Option<Instant>,
}

impl Generations {
    /// Returns true if the nodes were asked after `since`.
    fn are_newer_than(&self, since: Instant) -> bool {
        self.asked.is_some_and(|asked| asked > since)
    }
}

impl Nodes {
    /// Records the current generations of the nodes.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if they do not answer.
    pub(super) async fn observe(session: &Session, url: &ScyllaUrl) -> Result<Self> {
        let mut statement = match session.prepare(GENERATION).await {
            Ok(statement) => Some(statement),
            // Another kind of database does not have the column.
            Err(error) if error.to_string().to_lowercase().contains("gossip_generation") => None,
            Err(error) => {
                return Err(request_error("the nodes do not report their generation; check their health", error));
            }
        };
        if let Some(statement) = &mut statement {
            statement.set_consistency(Consistency::One);
            statement.set_request_timeout(Some(ANSWER_MAX));
            statement.set_is_idempotent(true);
        }
        let trust = AtomicU8::new(Trust::Unwatched as u8);
        let state = session.get_cluster_state();
        let strategy = state.get_keyspace(&url.keyspace).map(|keyspace| &keyspace.strategy);
        let one_copy = match strategy {
            Some(Strategy::SimpleStrategy { replication_factor }) => *replication_factor < 2,
            Some(Strategy::NetworkTopologyStrategy { datacenter_repfactors }) => {
                datacenter_repfactors.values().all(|copies| *copies < 2)
            }
            _ => false,
        };
        let (datacenter, generations) = (url.datacenter.clone(), Mutex::default());
        let nodes = Self { statement, datacenter, one_copy, trust, generations };
        nodes.refresh(session, &mut *nodes.generations.lock().await).await;
        Ok(nodes)
    }

    /// Returns true if a node has restarted since its generation was first read, or since
    /// [`accept_restarts`](Self::accept_restarts).
    ///
    /// From the first call on, a restart invalidates answers until it is accepted.
    pub(super) async fn have_restarted(&self, session: &Session) -> bool {
        let _ = self.trust.compare_exchange(Trust::Unwatched as u8, Trust::Trusted as u8, Relaxed, Relaxed);
        let generations = self.ask(session).await;
        generations.current != generations.accepted
    }

    /// Returns the generations, from a question that began after the call.
    ///
    /// Callers that wait at the same time share one question. If each asked its own, a thousand
    /// requests over a slow database would wait for a thousand answers, one after the other.
    async fn ask(&self, session: &Session) -> MutexGuard<'_, Generations> {
        let called = Instant::now();
        let mut generations = self.generations.lock().await;
        if !generations.are_newer_than(called) {
            self.refresh(session, &mut generations).await;
        }
        generations
    }

    /// Records that a request failed: a node may be restarting.
    pub(super) fn suspect_restart(&self) {
        if self.statement.is_none() {
            return;
        }
        let _ = self.trust.compare_exchange(Trust::Trusted as u8, Trust::Doubtful as u8, Relaxed, Relaxed);
    }

    /// Returns true if an answer of the database must be [checked](Self::check).
    pub(super) fn need_check(&self) -> bool {
        self.trust.load(Relaxed) >= Trust::Doubtful as u8
    }

    /// Fails if a node has restarted: its answers may lack the newest writes, and a write to it
    /// would follow a gap.
    pub(super) async fn check(&self, session: &Session) -> Result<()> {
        let called = Instant::now();
        let mut generations = self.generations.lock().await;
        // While some nodes are down, do not ask them with every request.
        let recently = generations.partly_answered.is_some_and(|at| at.elapsed() < ASK_EVERY);
        let is_known = recently || generations.are_newer_than(called);
        if self.trust.load(Relaxed) == Trust::Doubtful as u8 && !is_known {
            self.refresh(session, &mut generations).await;
        }
        self.judge(&generations, false)
    }

    /// Fails if an acknowledged write may be lost: a node has restarted, or does not say whether it
    /// has.
    ///
    /// With one copy of every row, a node that is down may have taken the newest writes with it.
    pub(super) async fn check_no_restart(&self, session: &Session) -> Result<()> {
        if self.statement.is_none() || self.trust.load(Relaxed) == Trust::Unwatched as u8 {
            return Ok(());
        }
        let generations = self.ask(session).await;
        self.judge(&generations, self.one_copy)
    }

    fn judge(&self, generations: &Generations, all_needed: bool) -> Result<()> {
        let refused = |context: &str| Err(Error::new(ErrorKind::Unavailable, context));
        let trust = self.trust.load(Relaxed);
        if trust == Trust::Restarted as u8 {
            return refused(
                "a node of the database has restarted and may have lost its newest writes; the service catches up, \
                 try again in a moment",
            );
        }
        if trust == Trust::Doubtful as u8 && (generations.silent || all_needed) {
            return refused("a node of the database has not yet said whether it restarted; try again in a moment");
        }
        Ok(())
    }

    /// Accepts the current generations, once the cache holds nothing that was written to earlier
    /// ones.
    pub(super) async fn accept_restarts(&self) {
        let mut generations = self.generations.lock().await;
        generations.accepted = generations.current.clone();
        // Nodes that have not answered are checked the next time.
        let trust = if self.statement.is_some() { Trust::Doubtful } else { Trust::Trusted };
        self.trust.store(trust as u8, Relaxed);
    }

    /// Asks every node for its generation.
    async fn refresh(&self, session: &Session, generations: &mut Generations) {
        let Some(statement) = &self.statement else { return };
        let begun = Instant::now();
        let state = session.get_cluster_state();
        let is_asked = |node: &&Arc<Node>| self.datacenter.is_none() || node.datacenter == self.datacenter;
        let nodes: Vec<&Arc<Node>> = state.get_nodes_info().iter().filter(is_asked).collect();
        let answers = join_all(nodes.iter().map(|node| generation(session, statement, node))).await;
        let all = answers.iter().all(Option::is_some) && !nodes.is_empty();
        let silent_connected = nodes.iter().zip(&answers).any(|(node, answer)| answer.is_none() && node.is_connected());
        generations.silent = silent_connected || answers.iter().all(Option::is_none);
        generations.partly_answered = (!all && answers.iter().any(Option::is_some)).then(Instant::now);
        for (node, generation) in answers.into_iter().flatten() {
            if Failpoint::RollbackUnseen.is_active() {
                generations.accepted.insert(node, generation);
            }
            generations.current.insert(node, generation);
            // Nothing in the cache was written to a node that is seen for the first time.
            generations.accepted.entry(node).or_insert(generation);
        }
        let trust = if generations.current != generations.accepted {
            Trust::Restarted
        } else if all {
            Trust::Trusted
        } else {
            Trust::Doubtful
        };
        let _ = self
            .trust
            .fetch_update(Relaxed, Relaxed, |before| (before != Trust::Unwatched as u8).then_some(trust as u8));
        // Last: a question that was dropped halfway must not count as answered.
        generations.asked = Some(begun);
    }
}

/// Asks one node for its generation; `None` if it does not answer.
async fn generation(session: &Session, statement: &PreparedStatement, node: &Arc<Node>) -> Option<(Uuid, i32)> {
    let mut statement = statement.clone();
    let target = NodeIdentifier::Node(Arc::clone(node));
    statement.set_load_balancing_policy(Some(SingleTargetLoadBalancingPolicy::new(target, None)));
    let answer = session.execute_unpaged(&statement, ()).await.ok()?;
    let (generation,) = answer.into_rows_result().ok()?.single_row::<(i32,)>().ok()?;
    Some((node.host_id, generation))
}
