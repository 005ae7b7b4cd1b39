//! `doctor`: checks everything between this machine and the archive.
//!
//! This file gathers the facts; `checks` judges them.

mod checks;

use std::time::Duration;

use async_nats::HeaderMap;
use clap::Args;
use futures_util::StreamExt;
use hourlog::{ErrorKind, Offset, wire, wire::LogsRequest};
use serde_json::Value;

use crate::{
    connect::{Connection, Denials},
    exit::Failure,
    output::{Align, TableColumn},
    session::Session,
};

use self::checks::{Finding, Severity, clock_ahead_nanos};

/// Check the server, JetStream, the service, its stream and the clocks
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog doctor
  hourlog doctor -s nats://staging:4222 -o ndjson")]
pub(super) struct Doctor {
    /// Stream that the service reads
    #[arg(long, value_name = "NAME", env = "HOURLOG_STREAM", default_value = wire::WAL_STREAM)]
    stream: String,
}

const COLUMNS: [TableColumn; 4] = [
    TableColumn("check", Align::Left),
    TableColumn("state", Align::Left),
    TableColumn("found", Align::Left),
    TableColumn("advice", Align::Left),
];
/// Time to wait for one more instance of the service after the last one has replied.
const REPLY_GAP_MAX: Duration = Duration::from_millis(300);

impl Doctor {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut findings = Vec::new();
        // Denials go to a channel that nobody reads: here they are findings, not a reason to stop.
        let usable = match session.connect.open(Denials::default()).await {
            Ok(connection) => self.check_all(session, &connection, &mut findings).await,
            Err(error) => {
                findings.push(checks::unreachable(&error));
                Err(error.kind())
            }
        };
        let mut table = session.out.table(&COLUMNS);
        for finding in &findings {
            table.push(finding, || finding.cells())?;
        }
        table.finish()?;
        match usable {
            Err(kind) => Err(Failure::ChecksFailed(kind)),
            Ok(()) if findings.iter().any(|finding| finding.state == Severity::Fail) => {
                Err(Failure::ChecksFailed(ErrorKind::Unexpected))
            }
            Ok(()) => Ok(()),
        }
    }

    /// Runs all checks over `connection`.
    ///
    /// # Errors
    /// The kind of the service's error, if the service cannot be used at all.
    async fn check_all(
        &self,
        session: &Session,
        connection: &Connection,
        findings: &mut Vec<Finding>,
    ) -> Result<(), ErrorKind> {
        let info = connection.remote.client().server_info();
        findings.push(checks::server(&connection.server, &info.version));
        let jetstream = jetstream_request(session, connection, "INFO").await;
        findings.push(checks::jetstream(jetstream.map(drop)));

        let request = LogsRequest { limit: Some(1), ..LogsRequest::default() };
        let reply = connection.remote.logs(&request).await;
        let reports = instance_reports(connection).await;
        findings.push(checks::service(reply.as_ref().err(), reports.len(), &connection.server));
        findings.extend(reports.iter().flat_map(checks::instance));

        self.check_stream(session, connection, findings).await;
        reply.map(drop).map_err(|error| error.kind())
    }

    async fn check_stream(&self, session: &Session, connection: &Connection, findings: &mut Vec<Finding>) {
        let before = session.now();
        let info = match jetstream_request(session, connection, &format!("STREAM.INFO.{}", self.stream)).await {
            Ok(info) => info,
            Err(reason) => return findings.push(checks::no_stream(&self.stream, &reason)),
        };
        let after = session.now();
        match serde_json::from_value(info["config"].clone()) {
            Ok(config) => {
                let max_payload = connection.remote.client().max_payload();
                findings.push(checks::stream_settings(&self.stream, &config, max_payload));
            }
            Err(error) => findings.push(checks::unknown_stream_settings(&self.stream, &error.to_string())),
        }
        findings.push(checks::stream_fill(&info));
        if let Some(server_time) = info["ts"].as_str().and_then(|ts| ts.parse::<Offset>().ok()) {
            findings.push(checks::clocks(clock_ahead_nanos(before, after, server_time)));
        }
    }
}

/// Sends a request to the JetStream API. An error is a short text.
async fn jetstream_request(session: &Session, connection: &Connection, subject: &str) -> Result<Value, String> {
    let subject = format!("{}.{subject}", connection.jetstream);
    let request = async_nats::Request::new().timeout(Some(session.connect.timeout));
    let reply = connection.remote.client().send_request(subject, request).await.map_err(|error| error.to_string())?;
    let value: Value = serde_json::from_slice(&reply.payload).map_err(|error| error.to_string())?;
    match value["error"]["description"].as_str() {
        Some(error) => Err(error.to_owned()),
        None => Ok(value),
    }
}

/// Returns the statistics of every instance of the service that replies.
async fn instance_reports(connection: &Connection) -> Vec<Value> {
    let client = connection.remote.client();
    let inbox = client.new_inbox();
    let Ok(mut replies) = client.subscribe(inbox.clone()).await else { return Vec::new() };
    let subject = format!("$SRV.STATS.{}", wire::SERVICE);
    if client.publish_with_reply_and_headers(subject, inbox, HeaderMap::new(), "".into()).await.is_err() {
        return Vec::new();
    }
    let mut reports = Vec::new();
    while let Ok(Some(reply)) = tokio::time::timeout(REPLY_GAP_MAX, replies.next()).await {
        reports.extend(serde_json::from_slice(&reply.payload));
    }
    reports
}
