//! `doctor`: checks everything between this machine and the archive.
//!
//! This file gathers the facts; `checks`, `stream_checks`, `service_checks` and `loss_checks` judge them.

mod checks;
mod finding;
mod loss_checks;
mod rejections;
mod service_checks;
mod stream_checks;

use clap::Args;
use hourlog::{
    Error, ErrorKind, LogId, Offset,
    wire::{LogsRequest, ReplayRequest, Span, StatusReply},
};
use serde_json::Value;

use crate::{
    connect::{Connection, Denials},
    exit::Failure,
    output::{Align, TableColumn},
    session::{Session, clock_ahead_nanos},
};

use self::{
    checks::Clocks,
    finding::{Finding, Severity},
    rejections::REJECTIONS_MAX,
};
use super::status::INSTANCE_GAP_MAX;

/// Check the server, JetStream, the service, its streams and the clocks
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog doctor
  hourlog doctor --lag-max 1m || echo 'the archive is behind'
  hourlog doctor -s nats://staging:4222 -o ndjson")]
pub(super) struct Doctor {
    /// Stream to check [default: those that the service reads]
    #[arg(long, value_name = "NAME", env = "HOURLOG_STREAM")]
    stream: Option<String>,
    /// Age of the oldest message that is not archived, above which the check of the lag fails
    #[arg(long, value_name = "SPAN", default_value = "5m")]
    lag_max: Span,
}

/// The most logs with events ahead of now that a check lists.
const AHEAD_LOGS_MAX: u32 = 10;
/// The most requests that look for them. One of them looks at thousands of logs.
const AHEAD_REQUESTS_MAX: usize = 10;

const COLUMNS: [TableColumn; 4] = [
    TableColumn("check", Align::Left),
    TableColumn("state", Align::Left),
    TableColumn("found", Align::Text),
    TableColumn("advice", Align::Text),
];

impl Doctor {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut findings = Vec::new();
        // Here a denial is a finding, not a reason to stop.
        let denials = Denials::default();
        let usable = match session.connect.open(denials.clone()).await {
            Ok(connection) => {
                let checkup = Checkup { doctor: &self, session, connection: &connection, denials: &denials };
                checkup.check_all(&mut findings).await
            }
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
}

/// The checks over one connection.
struct Checkup<'a> {
    doctor: &'a Doctor,
    session: &'a Session,
    connection: &'a Connection,
    denials: &'a Denials,
}

impl Checkup<'_> {
    /// Runs all checks.
    ///
    /// # Errors
    /// The kind of the service's error, if the service cannot be used at all.
    async fn check_all(&self, findings: &mut Vec<Finding>) -> Result<(), ErrorKind> {
        let remote = &self.connection.remote;
        findings.push(checks::server(&self.connection.server, &remote.client().server_info().version));
        // Alone, because without an inbox no other request can get a reply.
        let jetstream = self.jetstream_request("INFO").await;
        if let Some(denial) = self.denials.inbox() {
            findings.push(checks::no_inbox(&denial));
            return Err(ErrorKind::NotAllowed);
        }
        findings.push(checks::jetstream(jetstream.map(drop)));

        let ((statuses, asked), logs) = tokio::join!(self.statuses(), self.logs());
        findings.push(service_checks::service(&statuses, &self.connection.server, &self.inbox_prefix()));
        findings.extend(service_checks::logs(&statuses, &logs, &remote.subjects().logs()));
        let usable = match (&statuses, &logs) {
            (Err(_), Err(error)) => Err(error.kind()),
            _ => Ok(()),
        };
        let statuses = statuses.unwrap_or_default();
        findings.extend(service_checks::archives(&statuses));
        findings.extend(service_checks::shares(&statuses));
        for status in &statuses {
            let mut of_instance = service_checks::instance(status, self.doctor.lag_max);
            of_instance.push(self.rejections(status).await);
            if statuses.len() > 1 {
                of_instance.iter_mut().for_each(|finding| finding.found.push_str(&format!(" ({})", status.instance)));
            }
            findings.extend(of_instance);
        }
        let mut jetstream = None;
        for stream in self.streams(&statuses) {
            jetstream = self.check_stream(&stream, findings).await.or(jetstream);
        }
        // The service answers at once, so its clock is compared like that of the server.
        let ahead = |now: Offset| clock_ahead_nanos(asked.0, asked.1, now);
        let service = statuses.iter().map(|status| ahead(status.now)).max_by_key(|ahead| ahead.saturating_abs());
        // A user who may not ask JetStream learns its time from the service.
        let jetstream = jetstream.or(statuses.iter().find_map(|status| status.jetstream_now.map(ahead)));
        findings.extend(checks::clocks(Clocks { jetstream, service }));
        if logs.is_ok() {
            findings.push(self.ahead().await);
        }
        usable
    }

    /// Returns the statuses of all instances, and the times between which they were asked and replied.
    async fn statuses(&self) -> (Result<Vec<StatusReply>, Error>, (Offset, Offset)) {
        let (remote, before) = (&self.connection.remote, self.session.now());
        let subject = remote.subjects().status();
        let statuses = self.denials.unless(Some(&subject), remote.statuses(INSTANCE_GAP_MAX)).await;
        // The request ends this long after the last reply.
        let gap = i64::try_from(INSTANCE_GAP_MAX.as_nanos()).expect("the gap is short");
        (statuses, (before, self.session.now().saturating_add_nanos(-gap)))
    }

    async fn logs(&self) -> Result<(), Error> {
        let (remote, request) = (&self.connection.remote, LogsRequest { limit: Some(1), ..LogsRequest::default() });
        self.denials.unless(Some(&remote.subjects().logs()), remote.logs(&request)).await.map(drop)
    }

    /// Judges the logs that have events ahead of now.
    async fn ahead(&self) -> Finding {
        let remote = &self.connection.remote;
        let (mut after, mut logs) = (None, Vec::new());
        for _ in 0..AHEAD_REQUESTS_MAX {
            let limit = Some(AHEAD_LOGS_MAX);
            let request = LogsRequest { after, limit, ahead: true, all: true, ..LogsRequest::default() };
            match self.denials.unless(Some(&remote.subjects().logs()), remote.logs(&request)).await {
                Ok(reply) => {
                    logs.extend(reply.logs);
                    after = reply.next.filter(|_| logs.len() < AHEAD_LOGS_MAX as usize);
                }
                Err(error) => return service_checks::ahead_unknown(&error),
            }
            if after.is_none() {
                break;
            }
        }
        service_checks::ahead(&logs, after.as_ref())
    }

    /// Judges the rejected events of an instance. Reads the newest ones only if there are any.
    async fn rejections(&self, status: &StatusReply) -> Finding {
        if status.counters.rejected == 0 {
            return rejections::none();
        }
        let (remote, log) = (&self.connection.remote, LogId::rejected());
        let request = ReplayRequest { reverse: true, limit: Some(REJECTIONS_MAX), ..ReplayRequest::default() };
        let page = self.denials.unless(Some(&remote.subjects().replay(&log)), remote.replay(&log, &request)).await;
        rejections::judge(status.counters.rejected, page.map(|page| page.events))
    }

    /// Returns the streams to check.
    fn streams(&self, statuses: &[StatusReply]) -> Vec<String> {
        if let Some(stream) = &self.doctor.stream {
            return vec![stream.clone()];
        }
        let mut streams: Vec<String> =
            statuses.iter().flat_map(|status| &status.sources).map(|source| source.stream.clone()).collect();
        streams.sort_unstable();
        streams.dedup();
        if streams.is_empty() {
            streams.push(hourlog::wire::WAL_STREAM.to_owned());
        }
        streams
    }

    /// Checks a stream. Returns how far JetStream's clock is ahead of ours.
    async fn check_stream(&self, stream: &str, findings: &mut Vec<Finding>) -> Option<i64> {
        let before = self.session.now();
        let info = match self.jetstream_request(&format!("STREAM.INFO.{stream}")).await {
            Ok(info) => info,
            Err(error) => {
                findings.push(stream_checks::no_stream(stream, &error));
                return None;
            }
        };
        let after = self.session.now();
        match serde_json::from_value(info["config"].clone()) {
            Ok(config) => {
                let max_payload = self.connection.remote.client().max_payload();
                findings.push(stream_checks::settings(stream, &config, max_payload));
            }
            Err(error) => findings.push(stream_checks::unknown_settings(stream, &error.to_string())),
        }
        findings.push(stream_checks::fill(&info));
        let server_time = info["ts"].as_str().and_then(|ts| ts.parse::<Offset>().ok());
        server_time.map(|time| clock_ahead_nanos(before, after, time))
    }

    /// Sends a request to the JetStream API.
    async fn jetstream_request(&self, subject: &str) -> Result<Value, Error> {
        self.connection.ask_jetstream(subject, self.session.connect.timeout, self.denials).await
    }

    /// Returns the prefix of the subjects on which this client receives replies.
    fn inbox_prefix(&self) -> String {
        let inbox = self.connection.remote.client().new_inbox();
        inbox.rsplit_once('.').map_or(inbox.clone(), |(prefix, _)| prefix.to_owned())
    }
}
