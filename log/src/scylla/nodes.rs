//! Which nodes have come back: one that was started again has perhaps lost the newest of what it had taken.
//!
//! Each is asked for the number that it has drawn when it was started. The driver knows only who is connected, and could miss one
//! that was away for a moment.

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
use uuid::Uuid;

use crate::{Error, ErrorKind, Result, planted::Bug};

use super::{ScyllaUrl, unavailable};

/// How long a node may take to answer; one that does not is asked again the next time.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// How often nodes are asked while some of them are away.
const ASKED_EVERY: Duration = Duration::from_secs(1);
/// Both databases keep it.
const GENERATION: &str = "SELECT gossip_generation FROM system.local WHERE key = 'local'";

/// The nodes, by the generations that they said they are of.
#[derive(Debug)]
pub(super) struct Nodes {
    /// `None` where a database does not tell.
    statement: Option<PreparedStatement>,
    /// Whose nodes are asked; all of them where none is named.
    datacenter: Option<String>,
    /// Nothing is kept by two of them.
    one_copy: bool,
    trust: AtomicU8,
    seen: tokio::sync::Mutex<Seen>,
}

/// What an answer of the database is worth. Kept as a number, for it is looked at with each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Trust {
    /// Nobody reads a source again where something is lost: then there is nothing to be told.
    Unwatched,
    /// No node was away.
    Sure,
    /// One did not answer. Before anything else is believed, it is looked whether one was started again.
    Doubtful,
    /// One was. Nothing is believed until what was remembered is forgotten.
    CameBack,
}

#[derive(Debug, Default)]
struct Seen {
    /// What everything that is remembered was written to.
    then: HashMap<Uuid, i32>,
    now: HashMap<Uuid, i32>,
    /// When some of the nodes have answered last while others did not.
    some_answered: Option<Instant>,
    /// A node that is connected has not answered.
    silent: bool,
}

impl Nodes {
    /// The nodes as they are now.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] where they do not answer.
    pub(super) async fn look_at(session: &Session, url: &ScyllaUrl) -> Result<Self> {
        let mut statement = match session.prepare(GENERATION).await {
            Ok(statement) => Some(statement),
            // A database of another kind does not keep it.
            Err(error) if error.to_string().to_lowercase().contains("gossip_generation") => None,
            Err(error) => return Err(unavailable("the nodes do not say when they were started", error)),
        };
        if let Some(statement) = &mut statement {
            statement.set_consistency(Consistency::One);
            statement.set_request_timeout(Some(ANSWERS_WITHIN));
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
        let (datacenter, seen) = (url.datacenter.clone(), tokio::sync::Mutex::default());
        let nodes = Self { statement, datacenter, one_copy, trust, seen };
        nodes.look(session, &mut *nodes.seen.lock().await).await;
        Ok(nodes)
    }

    /// Somebody wants to know from now on. Answers whether a node was started again since it was seen first, or since
    /// [`forget`](Self::forget).
    pub(super) async fn have_come_back(&self, session: &Session) -> bool {
        let _ = self.trust.compare_exchange(Trust::Unwatched as u8, Trust::Sure as u8, Relaxed, Relaxed);
        let mut seen = self.seen.lock().await;
        self.look(session, &mut seen).await;
        seen.now != seen.then
    }

    /// The database did not answer.
    pub(super) fn doubt(&self) {
        if self.statement.is_none() {
            return;
        }
        let _ = self.trust.compare_exchange(Trust::Sure as u8, Trust::Doubtful as u8, Relaxed, Relaxed);
    }

    /// Whether an answer of the database has to be [checked](Self::check).
    pub(super) fn are_doubted(&self) -> bool {
        self.trust.load(Relaxed) >= Trust::Doubtful as u8
    }

    /// An error where a node was started again: what it answers may lack the newest, and what is written to it stands behind a gap.
    pub(super) async fn check(&self, session: &Session) -> Result<()> {
        let mut seen = self.seen.lock().await;
        // While some of many nodes are away, they are not asked with each request.
        let lately = seen.some_answered.is_some_and(|at| at.elapsed() < ASKED_EVERY);
        if self.trust.load(Relaxed) == Trust::Doubtful as u8 && !lately {
            self.look(session, &mut seen).await;
        }
        self.verdict(&seen, false)
    }

    /// An error where something may be lost that counts as written: a node was started again, or does not say whether it was. Where
    /// there is one copy of everything, a node that is away has taken the newest with it, perhaps.
    pub(super) async fn are_sure(&self, session: &Session) -> Result<()> {
        if self.statement.is_none() || self.trust.load(Relaxed) == Trust::Unwatched as u8 {
            return Ok(());
        }
        let mut seen = self.seen.lock().await;
        self.look(session, &mut seen).await;
        self.verdict(&seen, self.one_copy)
    }

    fn verdict(&self, seen: &Seen, all_needed: bool) -> Result<()> {
        let refused = |context: &str| Err(Error::new(ErrorKind::Unavailable, context));
        let trust = self.trust.load(Relaxed);
        if trust == Trust::CameBack as u8 {
            return refused(
                "a node of the database was started again, perhaps without what it took last; that is read again first, ask again in a \
                 moment",
            );
        }
        if trust == Trust::Doubtful as u8 && (seen.silent || all_needed) {
            return refused(
                "a node of the database that was away has not said yet whether it was started again; ask again in a moment",
            );
        }
        Ok(())
    }

    /// What is seen now is how it is to be.
    pub(super) async fn forget(&self) {
        let mut seen = self.seen.lock().await;
        seen.then = seen.now.clone();
        // Whoever does not answer is seen the next time.
        let trust = if self.statement.is_some() { Trust::Doubtful } else { Trust::Sure };
        self.trust.store(trust as u8, Relaxed);
    }

    /// Asks each node for its generation.
    async fn look(&self, session: &Session, seen: &mut Seen) {
        let Some(statement) = &self.statement else { return };
        let state = session.get_cluster_state();
        let of_ours = |node: &&Arc<Node>| self.datacenter.is_none() || node.datacenter == self.datacenter;
        let nodes: Vec<&Arc<Node>> = state.get_nodes_info().iter().filter(of_ours).collect();
        let answers = join_all(nodes.iter().map(|node| generation(session, statement, node))).await;
        let all = answers.iter().all(Option::is_some) && !nodes.is_empty();
        let connected = nodes.iter().zip(&answers).any(|(node, answer)| answer.is_none() && node.is_connected());
        seen.silent = connected || answers.iter().all(Option::is_none);
        seen.some_answered = (!all && answers.iter().any(Option::is_some)).then(Instant::now);
        for (node, generation) in answers.into_iter().flatten() {
            if Bug::SetBackUnseen.is_planted() {
                seen.then.insert(node, generation);
            }
            seen.now.insert(node, generation);
            // Of one that is seen for the first time nothing is known that it could have lost.
            seen.then.entry(node).or_insert(generation);
        }
        let trust = if seen.now != seen.then {
            Trust::CameBack
        } else if all {
            Trust::Sure
        } else {
            Trust::Doubtful
        };
        let _ = self
            .trust
            .fetch_update(Relaxed, Relaxed, |before| (before != Trust::Unwatched as u8).then_some(trust as u8));
    }
}

async fn generation(session: &Session, statement: &PreparedStatement, node: &Arc<Node>) -> Option<(Uuid, i32)> {
    let mut statement = statement.clone();
    let target = NodeIdentifier::Node(Arc::clone(node));
    statement.set_load_balancing_policy(Some(SingleTargetLoadBalancingPolicy::new(target, None)));
    let answer = session.execute_unpaged(&statement, ()).await.ok()?;
    let (generation,) = answer.into_rows_result().ok()?.single_row::<(i32,)>().ok()?;
    Some((node.host_id, generation))
}
