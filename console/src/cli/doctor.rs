//! `doctor`: looks at everything between here and the archive, and says what to do.

use std::time::Duration;

use async_nats::HeaderMap;
use clap::Args;
use futures_util::StreamExt;
use hourlog::{ErrorKind, Offset, SECOND, wire, wire::LogsRequest};
use serde::Serialize;
use serde_json::Value;

use crate::{
    connect::{Connection, Denials, clock_ahead_nanos},
    exit::Failure,
    output::{Column, Side, counted, human_bytes},
    session::Session,
};

/// Check the server, JetStream, the service, the stream and the clocks
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourlog doctor
  hourlog doctor -s nats://staging:4222 -o ndjson")]
pub(super) struct Doctor {
    /// The stream that the service reads
    #[arg(long, value_name = "NAME", env = "HOURLOG_STREAM", default_value = wire::WAL_STREAM)]
    stream: String,
}

/// The oldest server that works, and the oldest without known holes in its authorisation.
const VERSION_MIN: [u64; 3] = [2, 11, 0];
const VERSION_GOOD: [u64; 3] = [2, 12, 7];
/// How long further instances of the service may take to answer after the last one.
const QUIET: Duration = Duration::from_millis(300);
/// A clock that is so far off is said; times beyond five minutes ahead are rejected.
const CLOCK_OFF_NANOS: i64 = SECOND;
/// See [`CLOCK_OFF_NANOS`].
const CLOCK_WRONG_NANOS: i64 = hourlog::AHEAD_NANOS_MAX;
/// A stream that is fuller than this is soon full.
const STREAM_FULL_PERCENT: u64 = 80;

const COLUMNS: [Column; 4] = [
    Column("check", Side::Left),
    Column("state", Side::Left),
    Column("found", Side::Left),
    Column("advice", Side::Left),
];

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    check: &'static str,
    state: State,
    found: String,
    /// What to do; empty when all is well.
    advice: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warn,
    Fail,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

fn ok(check: &'static str, found: impl Into<String>) -> Check {
    Check { check, state: State::Ok, found: found.into(), advice: String::new() }
}

fn warn(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Check {
    Check { check, state: State::Warn, found: found.into(), advice: advice.into() }
}

fn fail(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Check {
    Check { check, state: State::Fail, found: found.into(), advice: advice.into() }
}

impl Doctor {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut checks = Vec::new();
        // What the server refuses is a finding here, and no reason to stop.
        let answered = match session.connect.open(Denials::default()).await {
            Ok(connection) => self.look(session, &connection, &mut checks).await,
            Err(error) => {
                checks.push(fail("server", error.to_string(), "start nats-server -js, or give its address with -s"));
                Err(error.kind())
            }
        };
        let mut rows = session.out.rows(&COLUMNS);
        for check in &checks {
            rows.push(check, || {
                let Check { check, state, found, advice } = check.clone();
                vec![check.to_owned(), state.as_str().to_owned(), found, advice]
            })?;
        }
        rows.finish()?;
        match answered {
            Err(kind) => Err(Failure::Found(kind)),
            Ok(()) if checks.iter().any(|check| check.state == State::Fail) => {
                Err(Failure::Found(ErrorKind::Unexpected))
            }
            Ok(()) => Ok(()),
        }
    }

    /// Looks at one thing after the other. An error is the reason why the service cannot be used at all.
    async fn look(&self, session: &Session, connection: &Connection, checks: &mut Vec<Check>) -> Result<(), ErrorKind> {
        let client = connection.remote.client();
        let info = client.server_info();
        checks.push(version(&connection.server, &info.version));
        checks.push(self.jetstream(session, connection).await);
        let answered = self.service(connection, checks).await;
        self.stream(session, connection, checks).await;
        answered
    }

    async fn jetstream(&self, session: &Session, connection: &Connection) -> Check {
        match self.api(session, connection, "INFO").await {
            Ok(_) => ok("jetstream", "it is on"),
            Err(found) => fail("jetstream", found, "start nats-server with -js, or allow this user $JS.API.INFO"),
        }
    }

    /// What each instance of the service says of itself, and whether one answers a question.
    async fn service(&self, connection: &Connection, checks: &mut Vec<Check>) -> Result<(), ErrorKind> {
        let request = LogsRequest { limit: Some(1), ..LogsRequest::default() };
        let answer = connection.remote.logs(&request).await;
        let reports = reports(connection).await;
        let advice = format!("start hourlogd --nats {} --store file:DIR", connection.server);
        match (&answer, reports.is_empty()) {
            (Ok(_), false) => {
                checks.push(ok("hourlogd", format!("{} running", counted(reports.len() as u64, "instance"))))
            }
            (Ok(_), true) => checks.push(warn(
                "hourlogd",
                "it answers, but says nothing of itself",
                format!("allow this user $SRV.STATS.{}", wire::SERVICE),
            )),
            (Err(error), true) => checks.push(fail("hourlogd", error.to_string(), advice)),
            (Err(error), false) => checks.push(fail(
                "hourlogd",
                format!("{} running, but: {error}", counted(reports.len() as u64, "instance")),
                "compare --prefix here and there, and see what hourlogd has traced",
            )),
        }
        checks.extend(reports.iter().flat_map(state_of));
        answer.map(drop).map_err(|error| error.kind())
    }

    async fn stream(&self, session: &Session, connection: &Connection, checks: &mut Vec<Check>) {
        let before = session.now();
        let info = match self.api(session, connection, &format!("STREAM.INFO.{}", self.stream)).await {
            Ok(info) => info,
            Err(found) => {
                checks.push(fail(
                    "stream",
                    format!("{}: {found}", self.stream),
                    "hourlogd makes it when it starts; --stream names another",
                ));
                return;
            }
        };
        let after = session.now();
        checks.push(settings(&self.stream, &info["config"]));
        checks.push(fill(&info));
        if let Some(there) = info["ts"].as_str().and_then(|ts| ts.parse::<Offset>().ok()) {
            checks.push(clocks(clock_ahead_nanos(before, after, there)));
        }
    }

    /// A question to the JetStream API; what is wrong is said in a few words.
    async fn api(&self, session: &Session, connection: &Connection, subject: &str) -> Result<Value, String> {
        let subject = format!("{}.{subject}", connection.jetstream);
        let request = async_nats::Request::new().timeout(Some(session.connect.timeout));
        let reply =
            connection.remote.client().send_request(subject, request).await.map_err(|error| error.to_string())?;
        let value: Value = serde_json::from_slice(&reply.payload).map_err(|error| error.to_string())?;
        match value["error"]["description"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(value),
        }
    }
}

/// The statistics of every instance that answers.
async fn reports(connection: &Connection) -> Vec<Value> {
    let client = connection.remote.client();
    let inbox = client.new_inbox();
    let Ok(mut replies) = client.subscribe(inbox.clone()).await else { return Vec::new() };
    let subject = format!("$SRV.STATS.{}", wire::SERVICE);
    if client.publish_with_reply_and_headers(subject, inbox, HeaderMap::new(), "".into()).await.is_err() {
        return Vec::new();
    }
    let mut reports = Vec::new();
    while let Ok(Some(reply)) = tokio::time::timeout(QUIET, replies.next()).await {
        reports.extend(serde_json::from_slice(&reply.payload));
    }
    reports
}

/// What an instance says of its archive, its connection and its stream.
fn state_of(report: &Value) -> Vec<Check> {
    let version = report["version"].as_str().unwrap_or("?");
    let endpoints = report["endpoints"].as_array().map(Vec::as_slice).unwrap_or_default();
    let Some(data) = endpoints.iter().map(|endpoint| &endpoint["data"]).find(|data| data.is_object()) else {
        return vec![warn(
            "service",
            format!("hourlogd {version} says nothing of its state"),
            "use the version of this command",
        )];
    };
    let part = |check: &'static str, name: &str, advice: &str| {
        let state = &data[name];
        if state["ok"] != Value::Bool(false) {
            return ok(check, "it does its part");
        }
        let text = |field: &str| state[field].as_str().map(str::to_owned);
        let since = text("since").map(|since| format!(" since {since}")).unwrap_or_default();
        let log = text("log").map(|log| format!(", {log}")).unwrap_or_default();
        let reason = text("reason").unwrap_or_default();
        fail(check, format!("away{since}{log}: {reason}"), advice)
    };
    let count = |name: &str| data[name].as_u64().unwrap_or(0);
    let lag = format!("{} to archive", counted(count("lag"), "message"));
    let rejected = match count("rejected") {
        0 => ok("rejected", "no event since the service started"),
        events => warn(
            "rejected",
            format!("{} since the service started", counted(events, "event")),
            "hourlog read _rejected says why",
        ),
    };
    let rereading = match (count("rereading"), count("set_backs")) {
        (0, 0) => ok("reread", "nothing has to be read from the stream again"),
        (0, times) => ok(
            "reread",
            format!(
                "a node of the archive came back {}; what it may have lost was read from the stream again",
                counted(times, "time")
            ),
        ),
        (messages, _) => warn(
            "reread",
            format!("{} to read again, which the archive may have lost", counted(messages, "message")),
            "wait: readers are answered once that is done",
        ),
    };
    let fork = match &data["fork"] {
        Value::Null => ok("fork", "the stream is in the life that was archived"),
        fork => warn(
            "fork",
            format!(
                "at {} the stream used sequences again from {} on; lost from it: {}, of which up to {} are archived",
                fork["at"].as_str().unwrap_or("?"),
                fork["from"],
                fork["lost"].as_str().unwrap_or("?"),
                fork["archived"]
            ),
            "publish again what was lost and not archived; what came since is archived",
        ),
    };
    vec![
        part(
            "archive",
            "archive",
            "see that its disk has room and is whole, or that its nodes run; events wait in the stream meanwhile",
        ),
        rereading,
        part("ingest", "nats", "see what nats-server has logged; the service tries again by itself"),
        part("wal", "wal", "change the stream's settings back"),
        ok("lag", lag),
        rejected,
        fork,
    ]
}

fn version(server: &str, version: &str) -> Check {
    let mut numbers = version.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
    let parsed: [u64; 3] = std::array::from_fn(|_| numbers.next().unwrap_or(0));
    let found = format!("nats-server {version} at {server}");
    if parsed < VERSION_MIN {
        fail("server", found, "install 2.12.7 or newer; 2.11 is the oldest that works")
    } else if parsed < VERSION_GOOD {
        warn("server", found, "install 2.12.7 or newer: this version has known holes in its authorisation")
    } else {
        ok("server", found)
    }
}

/// The settings by which a stream loses events, with what they have to be. Absent is as good.
fn settings(stream: &str, config: &Value) -> Check {
    let is = |name: &str, bad: &str| config[name].as_str().is_some_and(|value| value == bad);
    let above = |name: &str| config[name].as_i64().is_some_and(|value| value > 0);
    let on = |name: &str| config[name] == Value::Bool(true);
    let set = |name: &str| {
        !matches!(&config[name], Value::Null) && config[name].as_array().is_none_or(|list| !list.is_empty())
    };
    let losing = [
        ("discard: old", is("discard", "old")),
        ("storage: memory", is("storage", "memory")),
        ("retention", config["retention"].as_str().is_some_and(|value| value != "limits")),
        ("persist_mode: async", is("persist_mode", "async")),
        ("max_age", above("max_age")),
        ("max_msgs", above("max_msgs")),
        ("max_msgs_per_subject", above("max_msgs_per_subject")),
        ("allow_rollup_hdrs", on("allow_rollup_hdrs")),
        ("allow_msg_ttl", on("allow_msg_ttl")),
        ("allow_msg_schedules", on("allow_msg_schedules")),
        ("no_ack", on("no_ack")),
        ("subject_transform", set("subject_transform")),
        ("republish", set("republish")),
        ("mirror", set("mirror")),
        ("sources", set("sources")),
    ];
    let losing: Vec<&str> = losing.iter().filter(|(_, bad)| *bad).map(|(name, _)| *name).collect();
    if losing.is_empty() {
        ok("stream", format!("{stream} loses nothing by its settings"))
    } else {
        fail(
            "stream",
            format!("{stream} can lose events by {}", losing.join(", ")),
            format!("nats stream edit {stream}, and take them back"),
        )
    }
}

fn fill(info: &Value) -> Check {
    let bytes = info["state"]["bytes"].as_u64().unwrap_or(0);
    let messages = counted(info["state"]["messages"].as_u64().unwrap_or(0), "message");
    match info["config"]["max_bytes"].as_u64().filter(|max| *max > 0) {
        None => warn(
            "stream fill",
            format!("{messages}, {}, no max_bytes", human_bytes(bytes)),
            "set max_bytes: a full disk stops the server",
        ),
        Some(max) => {
            let percent = bytes.saturating_mul(100) / max;
            let found = format!("{messages}, {percent}% of {}", human_bytes(max));
            if percent >= STREAM_FULL_PERCENT {
                warn("stream fill", found, "raise max_bytes, or purge what is archived; a full stream refuses events")
            } else {
                ok("stream fill", found)
            }
        }
    }
}

fn clocks(ahead_nanos: i64) -> Check {
    let off = ahead_nanos.saturating_abs();
    let direction = if ahead_nanos >= 0 { "ahead" } else { "behind" };
    let found = format!("the server's clock is {:.3} s {direction}", off as f64 / SECOND as f64);
    if off > CLOCK_WRONG_NANOS {
        fail("clocks", found, "set the clocks: events more than 5 minutes ahead are rejected")
    } else if off > CLOCK_OFF_NANOS {
        warn("clocks", found, "let NTP set both clocks")
    } else {
        ok("clocks", found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn old_servers_are_told() {
        for (text, state) in [
            ("2.9.25", State::Fail),
            ("2.10.29", State::Fail),
            ("2.11.0", State::Warn),
            ("2.12.6", State::Warn),
            ("2.12.7", State::Ok),
            ("2.14.0-RC.1", State::Ok),
            ("3.0", State::Ok),
        ] {
            assert_eq!(version("here", text).state, state, "{text}");
        }
    }

    #[test]
    fn a_stream_that_loses_events_is_told_by_name() {
        let good = json!({"discard":"new","storage":"file","retention":"limits","max_age":0,"max_msgs":-1,
            "max_msgs_per_subject":-1,"sources":[],"allow_rollup_hdrs":false});
        assert_eq!(settings("S", &good).state, State::Ok);
        for (name, bad) in [
            ("discard", json!("old")),
            ("storage", json!("memory")),
            ("retention", json!("workqueue")),
            ("max_age", json!(1)),
            ("max_msgs", json!(5)),
            ("max_msgs_per_subject", json!(1)),
            ("allow_rollup_hdrs", json!(true)),
            ("mirror", json!({"name":"x"})),
            ("sources", json!([{"name":"x"}])),
        ] {
            let mut config = good.clone();
            config[name] = bad;
            let check = settings("S", &config);
            assert!(check.state == State::Fail && check.found.contains(name), "{check:?}");
        }
    }

    #[test]
    fn a_part_that_is_away_is_told_with_its_reason() {
        let report = json!({"version":"0.1.0","endpoints":[{"name":"append","data":{
            "archive":{"ok":false,"since":"2018-02-04T21:56:42Z","log":"orders.eu","reason":"no space"},
            "nats":{"ok":true},"wal":{"ok":true},"lag":7,"rejected":0}}]});
        let checks = state_of(&report);
        let failed: Vec<_> = checks.iter().filter(|check| check.state == State::Fail).collect();
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0].found, "away since 2018-02-04T21:56:42Z, orders.eu: no space");
        assert!(checks.iter().any(|check| check.found == "7 messages to archive"));
    }

    #[test]
    fn clocks_are_compared() {
        for (ahead, state) in [(0, State::Ok), (-2 * SECOND, State::Warn), (400 * SECOND, State::Fail)] {
            assert_eq!(clocks(ahead).state, state);
        }
    }
}
