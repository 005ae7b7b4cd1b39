//! The driver's session: how it is configured, and how statements are executed and their rows read.

use std::{sync::Arc, time::Duration};

use scylla::{
    client::{execution_profile::ExecutionProfile, session::Session, session_builder::SessionBuilder},
    deserialize::row::DeserializeRow,
    policies::{load_balancing::DefaultPolicy, retry::DefaultRetryPolicy},
    response::{PagingState, PagingStateResponse, query_result::QueryRowsResult},
    serialize::row::SerializeRow,
    statement::{SerialConsistency, prepared::PreparedStatement},
};

use crate::{Error, ErrorKind, Result};

use super::{
    Scylla, ScyllaUrl,
    errors::{DriverError, NO_ANSWER, connect_error, request_error, unreadable},
    tls,
};

/// The timeout of one request. A write that runs into it is retried.
const REQUEST_MAX: Duration = Duration::from_secs(3);
/// The timeout for opening a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// The interval between keepalive requests of a connection, and their timeout.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// Opens a session with the nodes of `url`.
///
/// # Errors
/// [`ErrorKind::Unavailable`] if no node answers, [`ErrorKind::NotAllowed`] if they reject the user,
/// [`ErrorKind::NotFound`] or [`ErrorKind::Refused`] if a data centre must be named.
pub(super) async fn connect(url: &ScyllaUrl) -> Result<Session> {
    let tls = url.tls.as_ref().map(tls::context).transpose()?;
    let open = async |nodes: &[String]| builder(url).known_nodes(nodes).tls_context(tls.clone()).build().await;
    let session = match open(&url.nodes).await {
        Ok(session) => session,
        Err(mut error) => {
            // The driver reports only the last node. That one may be down, while another rejects the
            // user.
            for node in &url.nodes {
                match open(std::slice::from_ref(node)).await {
                    Err(refused) if refused.refusal().is_some() => error = refused,
                    _ => {}
                }
            }
            return Err(connect_error(url, error));
        }
    };
    check_datacenter(&session, url)?;
    Ok(session)
}

fn builder(url: &ScyllaUrl) -> SessionBuilder {
    let policy = DefaultPolicy::builder().token_aware(true);
    let policy = match &url.datacenter {
        Some(name) => policy.prefer_datacenter(name.clone()),
        None => policy,
    };
    let profile = ExecutionProfile::builder()
        .consistency(url.consistency)
        .serial_consistency(Some(SerialConsistency::LocalSerial))
        .request_timeout(Some(REQUEST_MAX))
        .retry_policy(Arc::new(DefaultRetryPolicy::new()))
        .load_balancing_policy(policy.build())
        .build();
    let builder = SessionBuilder::new()
        .default_execution_profile_handle(profile.into_handle())
        .connection_timeout(CONNECT_MAX)
        .keepalive_interval(KEEPALIVE)
        .keepalive_timeout(KEEPALIVE);
    match &url.user {
        Some((name, password)) => builder.user(name, password),
        None => builder,
    }
}

/// Checks that a data centre is named if there are several: writes of one are read from the same
/// one.
fn check_datacenter(session: &Session, url: &ScyllaUrl) -> Result<()> {
    let state = session.get_cluster_state();
    let mut names: Vec<&str> = state.get_nodes_info().iter().filter_map(|node| node.datacenter.as_deref()).collect();
    names.sort_unstable();
    names.dedup();
    match &url.datacenter {
        Some(name) if !names.contains(&name.as_str()) => Err(Error::new(
            ErrorKind::NotFound,
            format!("data centre {name} does not exist; name one of {}", names.join(", ")),
        )),
        None if names.len() > 1 => {
            let context =
                format!("the nodes are in the data centres {}; name one, as ?dc={}", names.join(", "), names[0]);
            Err(Error::new(ErrorKind::Refused, context))
        }
        _ => Ok(()),
    }
}

impl Scylla {
    /// Executes a statement whose result fits in one page.
    pub(super) async fn execute(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<Option<QueryRowsResult>> {
        let answer = self.0.session.execute_unpaged(statement, values).await;
        let answer = self.unless_restarted(answer.map_err(|error| request_error(NO_ANSWER, error))).await?;
        if answer.is_rows() {
            answer.into_rows_result().map(Some).map_err(|error| unreadable(&error))
        } else {
            Ok(None)
        }
    }

    /// Returns `answer`, or an error if a node may have restarted without its newest writes.
    pub(super) async fn unless_restarted<T>(&self, answer: Result<T>) -> Result<T> {
        if answer.is_err() {
            self.0.nodes.suspect_restart();
        } else if self.0.nodes.need_check() {
            self.0.nodes.check(&self.0.session).await?;
        }
        answer
    }

    /// Reads one page of a statement's rows, which the caller borrows from it, and says where the next one begins.
    pub(super) async fn rows_page(
        &self,
        statement: &PreparedStatement,
        values: &(impl SerializeRow + Sync),
        from: PagingState,
    ) -> Result<(QueryRowsResult, Option<PagingState>)> {
        let answer = self.0.session.execute_single_page(statement, values, from).await;
        let answer = answer.map_err(|error| request_error(NO_ANSWER, error));
        let (rows, next) = self.unless_restarted(answer).await?;
        let rows = rows.into_rows_result().map_err(|error| unreadable(&error))?;
        let next = match next {
            PagingStateResponse::HasMorePages { state } => Some(state),
            PagingStateResponse::NoMorePages => None,
        };
        Ok((rows, next))
    }

    /// Reads all rows of a statement that returns few.
    pub(super) async fn rows<T>(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow + Sync,
    ) -> Result<Vec<T>>
    where
        T: for<'f, 'm> DeserializeRow<'f, 'm>,
    {
        self.rows_while(statement, values, |_: &T| true).await
    }

    /// Reads rows up to the first for which `more` is false.
    pub(super) async fn rows_while<T>(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow + Sync,
        mut more: impl FnMut(&T) -> bool,
    ) -> Result<Vec<T>>
    where
        T: for<'f, 'm> DeserializeRow<'f, 'm>,
    {
        let (mut rows, mut next) = (Vec::new(), Some(PagingState::start()));
        while let Some(from) = next {
            let page;
            (page, next) = self.rows_page(statement, &values, from).await?;
            for row in page.rows::<T>().map_err(|error| unreadable(&error))? {
                let row = row.map_err(|error| unreadable(&error))?;
                if !more(&row) {
                    return Ok(rows);
                }
                rows.push(row);
            }
        }
        Ok(rows)
    }
}

/// Returns true if a lightweight transaction was applied.
///
/// The first column of its result says so; the current values may follow.
pub(super) fn was_applied(answer: Option<QueryRowsResult>) -> Result<bool> {
    let answer = answer.ok_or_else(|| unreadable(&"a transaction returned no row"))?;
    let row = answer.rows::<scylla::value::Row>().map_err(|error| unreadable(&error))?.next();
    let row = row.transpose().map_err(|error| unreadable(&error))?;
    let applied = row.and_then(|row| row.columns.first()?.as_ref()?.as_boolean());
    applied.ok_or_else(|| unreadable(&"a transaction does not say whether it was applied"))
}

/// Returns a limit for CQL, which rejects 0.
pub(super) fn cql_limit(limit: usize) -> i32 {
    i32::try_from(limit).unwrap_or(i32::MAX).max(1)
}
