//! Checks of the service: from the status of each instance.

use std::time::Duration;

use hourlog::{
    Error, ErrorKind, LogId, Offset, Record,
    wire::{ComponentStatus, DiskStatus, LogReply, ShareStatus, SourceStatus, Span, StatusReply},
};

use crate::{
    cli::status::state,
    output::{counted, human_bytes},
};

use super::{finding::Finding, loss_checks};

/// Free bytes of the archive's disk with which writes may soon fail. A merge of tables needs room for
/// a copy of them.
const DISK_FAIL_BYTES: u64 = 256 << 20;
/// Free bytes of the archive's disk that are worth a warning.
const DISK_WARN_BYTES: u64 = 1 << 30;
/// Free part of the archive's disk that is worth a warning, in percent.
const DISK_WARN_PERCENT: u64 = 5;

/// Judges the statuses of all instances, or the reason why there is none.
pub(super) fn service(statuses: &Result<Vec<StatusReply>, Error>, server: &str, inbox_prefix: &str) -> Finding {
    match statuses {
        Ok(statuses) => {
            let versions: Vec<&str> = statuses.iter().map(|status| status.version.as_str()).collect();
            let running = counted(statuses.len() as u64, "instance");
            Finding::ok("hourlogd", format!("{running} running, version {}", versions.join(", ")))
        }
        Err(error) => Finding::not_checked("hourlogd", error).unwrap_or_else(|| {
            // The service drops a request whose reply subject it does not know as an inbox.
            let advice = if error.kind() == ErrorKind::Deadline && !inbox_prefix.starts_with("_INBOX") {
                format!("replies go to {inbox_prefix}.>; start hourlogd with --inbox-prefix {inbox_prefix}")
            } else if error.kind() == ErrorKind::Deadline {
                "read hourlogd's trace; install the same version of hourlogd and hourlog".to_owned()
            } else {
                format!("start hourlogd --nats {server} --store file:DIR; compare --prefix on both sides")
            };
            Finding::fail("hourlogd", error.to_string(), advice)
        }),
    }
}

/// Judges the reply to a reader's request, if it fails although the service runs.
pub(super) fn logs(
    statuses: &Result<Vec<StatusReply>, Error>,
    logs: &Result<(), Error>,
    subject: &str,
) -> Option<Finding> {
    let error = logs.as_ref().err()?;
    let not_allowed = Finding::not_checked("readers", error);
    not_allowed.or_else(|| {
        statuses.is_ok().then(|| {
            Finding::fail("readers", format!("{subject}: {error}"), "wait if it is catching up; read hourlogd's trace")
        })
    })
}

/// Judges the archives of several instances on one prefix.
pub(super) fn archives(statuses: &[StatusReply]) -> Option<Finding> {
    let mut ids: Vec<&str> = statuses.iter().map(|status| status.archive.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    (ids.len() > 1).then(|| {
        Finding::fail(
            "archives",
            format!("{} archives answer on one prefix: {}", ids.len(), ids.join(", ")),
            "stop one instance, or give it a --prefix and a --stream of its own",
        )
    })
}

/// Judges the division of work among the instances over a shared archive.
pub(super) fn shares(statuses: &[StatusReply]) -> Option<Finding> {
    let shares: Vec<&ShareStatus> = statuses.iter().filter_map(|status| status.share.as_ref()).collect();
    if shares.is_empty() {
        return None;
    }
    let slots: Vec<String> = shares.iter().map(|share| share.slots.to_string()).collect();
    let owned = format!("{} with {} of 64 slots", counted(shares.len() as u64, "instance"), slots.join(" and "));
    let advice = "if this stays for more than ten seconds, read the trace of the instances; restart one that is stuck";
    if let Some(deaf) = statuses.iter().find(|status| status.share.as_ref().is_some_and(|share| !share.alive)) {
        let found = format!("{owned}; {} does not hear its own heartbeats", deaf.instance);
        return Some(Finding::fail("instances", found, "check its connection to NATS and its permissions"));
    }
    let known = shares.iter().all(|share| share.others as usize + 1 == shares.len());
    if !known || shares.iter().map(|share| share.slots).sum::<u32>() != 64 {
        let found = format!("{owned}; they do not know each other, or one has not replied");
        return Some(Finding::warn("instances", found, advice));
    }
    Some(Finding::ok("instances", owned))
}

/// Judges the status of one instance: its archive, its disk and its streams.
pub(super) fn instance(status: &StatusReply, lag_max: Span) -> Vec<Finding> {
    let archive = &status.archive;
    let mut findings = vec![component(
        "archive",
        "",
        &archive.state,
        "check that its disk has space and no errors, or that its nodes run; events wait in the stream meanwhile",
    )];
    findings.extend(archive.disk.as_ref().map(disk));
    for source in &status.sources {
        findings.extend([
            component(
                "ingest",
                &source.stream,
                &source.reading,
                match source.awaited_messages {
                    0 => "read the log of nats-server; hourlogd reconnects by itself",
                    _ => "restore the stream, or wait for its restore to end; without one, new messages begin an epoch",
                },
            ),
            component("wal", &source.stream, &source.settings, "restore the stream's settings"),
            component(
                "answers",
                &source.stream,
                &source.answering,
                "check nats-server and the network between it and hourlogd",
            ),
            component(
                "stores",
                &source.stream,
                &source.storing,
                "check the disk of nats-server and the stream's limit; publishers get errors or no answer",
            ),
            component(
                "progress",
                &source.stream,
                &source.progress,
                "keep hourlogd's trace, then restart hourlogd; events wait in the stream",
            ),
            lag(source, lag_max.duration()),
            catch_up(source, archive.rollbacks),
            loss_checks::fork(source, status.now),
            loss_checks::set_back(source, status.now),
            loss_checks::removed(source, status.now),
            poison(source),
            arrivals(source, status.jetstream_now.unwrap_or(status.now)),
        ]);
    }
    findings.push(replies_dropped(status.counters.replies_dropped));
    findings
}

fn component(check: &'static str, stream: &str, status: &ComponentStatus, advice: &str) -> Finding {
    let found = if stream.is_empty() { state(status) } else { format!("{stream} is {}", state(status)) };
    if status.ok { Finding::ok(check, found) } else { Finding::fail(check, found, advice) }
}

fn disk(disk: &DiskStatus) -> Finding {
    let (free, total) = (disk.free_bytes, disk.total_bytes);
    let used = disk.table_bytes + disk.journal_bytes;
    let found =
        format!("{} of {} free; the archive takes {}", human_bytes(free), human_bytes(total), human_bytes(used));
    let advice = "free some room, or set a retention; a full disk stops the archive, and events wait in the stream";
    if free < DISK_FAIL_BYTES {
        Finding::fail("disk", found, advice)
    } else if free < DISK_WARN_BYTES || free < total / 100 * DISK_WARN_PERCENT {
        Finding::warn("disk", found, advice)
    } else {
        Finding::ok("disk", found)
    }
}

fn lag(source: &SourceStatus, lag_max: Duration) -> Finding {
    let (Some(messages), age) = (source.lag_messages, source.lag_seconds.unwrap_or(0.0)) else {
        return Finding::warn(
            "lag",
            format!("{}: unknown, because the stream does not answer", source.stream),
            "see what the other checks of the stream say",
        );
    };
    let found = format!("{}: {} to archive, the oldest {age:.1} s old", source.stream, counted(messages, "message"));
    if age > lag_max.as_secs_f64() {
        Finding::fail(
            "lag",
            format!("{found}, above the limit of {lag_max:?}"),
            "check the load of the archive; events wait in the stream, which refuses them once it is full",
        )
    } else {
        Finding::ok("lag", found)
    }
}

fn catch_up(source: &SourceStatus, restarts: u64) -> Finding {
    match (source.catching_up, restarts) {
        (0, 0) => Finding::ok("reread", "nothing to read from the stream again"),
        (0, restarts) => Finding::ok(
            "reread",
            format!("{} of an archive node; hourlogd has caught up", counted(restarts, "restart")),
        ),
        (messages, _) => Finding::warn(
            "reread",
            format!("{} to read again, because the archive may have lost them", counted(messages, "message")),
            "wait: hourlogd answers readers once it has caught up",
        ),
    }
}

fn poison(source: &SourceStatus) -> Finding {
    match source.poison_messages {
        0 => Finding::ok("poison", format!("{} has had no message that breaks a client", source.stream)),
        count => Finding::warn(
            "poison",
            format!("{} of {} would break a client; they are rejected", counted(count, "message"), source.stream),
            "hourlog read _rejected shows them; mend or stop the publisher, they slow down all logs",
        ),
    }
}

/// Judges the greatest arrival time of a stream's messages at `now`, JetStream's time.
fn arrivals(source: &SourceStatus, now: Offset) -> Finding {
    let stream = &source.stream;
    match source.max_time.filter(|time| *time > now.saturating_add_nanos(Record::AHEAD_NANOS_MAX)) {
        None => Finding::ok("arrivals", format!("no message of {stream} came at a time ahead of now")),
        Some(time) => Finding::warn(
            "arrivals",
            format!(
                "a message of {stream} came at {time}, so JetStream's clock was ahead; until that time every event counts as \
                 late; none is lost"
            ),
            "mend the clock of nats-server; to be rid of it sooner, export the logs and import them into a new archive",
        ),
    }
}

/// Judges the logs that have events ahead of now. The search ended at the log `unseen`.
pub(super) fn ahead(logs: &[LogReply], unseen: Option<&LogId>) -> Finding {
    let more = unseen.map_or_else(String::new, |log| format!("; logs after {log} were not checked"));
    let of_log = |log: &LogReply| {
        log.ahead.map(|ahead| {
            let at_least = if ahead.at_least { "at least " } else { "" };
            format!("{}: {at_least}{} from {} to {}", log.log, ahead.events, ahead.first, ahead.last)
        })
    };
    let found: Vec<String> = logs.iter().filter_map(of_log).collect();
    if found.is_empty() {
        return Finding::ok("ahead", format!("no event lies ahead of now{more}"));
    }
    Finding::warn(
        "ahead",
        format!("events lie ahead of now: {}{more}", found.join(", ")),
        "mend the clock that they come from; hourlog read LOG --since now shows them",
    )
}

/// Judges a reply to the question for such logs that is an error.
pub(super) fn ahead_unknown(error: &Error) -> Finding {
    Finding::not_checked("ahead", error)
        .unwrap_or_else(|| Finding::warn("ahead", format!("not checked: {error}"), "run doctor again in a moment"))
}

fn replies_dropped(count: u64) -> Finding {
    match count {
        0 => Finding::ok("replies", "no request was dropped"),
        count => Finding::warn(
            "replies",
            format!("{} dropped, because the reply subject is not an inbox", counted(count, "request")),
            "start hourlogd with --inbox-prefix, if these are the inboxes of a client; its trace names them",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::Severity;
    use hourlog::wire::{ArchiveStatus, CounterStatus};

    fn healthy() -> StatusReply {
        let state = ComponentStatus { ok: true, since: None, log: None, reason: None };
        let at = "2018-02-04T21:56:42Z".parse().expect("a valid time");
        let archive = ArchiveStatus {
            kind: "embedded".to_owned(),
            id: "a".to_owned(),
            state: state.clone(),
            rollbacks: 0,
            disk: None,
        };
        let source = SourceStatus {
            stream: "HOURLOG".to_owned(),
            kind: "wal".to_owned(),
            reading: state.clone(),
            settings: state.clone(),
            answering: state.clone(),
            storing: state.clone(),
            progress: state,
            lag_messages: Some(0),
            lag_seconds: Some(0.0),
            published: 7,
            archived: 7,
            stored: Some(7),
            catching_up: 0,
            max_time: Some(at),
            messages: 7,
            bytes: 700,
            bytes_max: Some(1_000_000),
            fork: None,
            set_back: None,
            awaited_messages: 0,
            removed_messages: 0,
            removed: None,
            removed_at: None,
            gaps: 0,
            poison_messages: 0,
        };
        StatusReply {
            share: None,
            instance: "i".to_owned(),
            version: "0.1.0".to_owned(),
            started: at,
            now: at,
            jetstream_now: Some(at),
            prefix: "hourlog".to_owned(),
            archive,
            sources: vec![source],
            counters: CounterStatus::default(),
        }
    }

    /// Checks which findings of an instance are not ok.
    #[track_caller]
    fn check(change: impl FnOnce(&mut StatusReply), expected: &[(&str, Severity, &str)]) {
        let mut status = healthy();
        change(&mut status);
        let findings = instance(&status, Span(60 * hourlog::time::SECOND));
        let problems: Vec<_> = findings.iter().filter(|finding| finding.state != Severity::Ok).collect();
        assert_eq!(problems.len(), expected.len(), "{problems:?}");
        for (problem, (check, state, found)) in problems.iter().zip(expected) {
            assert_eq!((problem.check, problem.state), (*check, *state), "{problem:?}");
            assert!(problem.found.contains(found), "{problem:?}");
        }
    }

    #[test]
    fn a_healthy_instance_has_no_problem() {
        check(|_| {}, &[]);
    }

    #[test]
    fn a_degraded_component_is_reported_with_its_reason() {
        check(
            |status| {
                status.archive.state = ComponentStatus {
                    ok: false,
                    since: Some(status.now),
                    log: "orders.eu".parse().ok(),
                    reason: Some("no space".to_owned()),
                }
            },
            &[("archive", Severity::Fail, "degraded since 2018-02-04T21:56:42Z, orders.eu: no space")],
        );
    }

    #[test]
    fn a_lag_above_the_limit_fails() {
        check(|status| status.sources[0].lag_seconds = Some(60.0), &[]);
        check(
            |status| (status.sources[0].lag_messages, status.sources[0].lag_seconds) = (Some(7), Some(61.5)),
            &[("lag", Severity::Fail, "7 messages to archive, the oldest 61.5 s old")],
        );
    }

    #[test]
    fn a_stream_that_is_silent_or_stores_nothing_and_a_stalled_ingest_are_reported() {
        let degraded = |status: &StatusReply, reason: &str| ComponentStatus {
            ok: false,
            since: Some(status.now),
            log: None,
            reason: Some(reason.to_owned()),
        };
        check(
            |status| {
                let (silent, full, stalled) =
                    (degraded(status, "no answer"), degraded(status, "no space"), degraded(status, "nothing moves"));
                let source = &mut status.sources[0];
                (source.answering, source.storing, source.progress) = (silent, full, stalled);
                (source.lag_messages, source.lag_seconds) = (None, None);
            },
            &[
                ("answers", Severity::Fail, "no answer"),
                ("stores", Severity::Fail, "no space"),
                ("progress", Severity::Fail, "nothing moves"),
                ("lag", Severity::Warn, "unknown"),
            ],
        );
    }

    #[test]
    fn lost_messages_and_dropped_requests_are_reported() {
        check(
            |status| {
                let source = &mut status.sources[0];
                (source.removed, source.removed_messages, source.gaps) = (Some((8_001, 8_412)), 415, 3);
                source.removed_at = Some(status.now);
                source.poison_messages = 2;
                status.sources[0].catching_up = 3;
                status.counters.replies_dropped = 1;
            },
            &[
                ("reread", Severity::Warn, "3 messages"),
                (
                    "removed",
                    Severity::Warn,
                    "messages 8,001–8,412 are missing in the stream HOURLOG; with older ones 415 messages in 3 gaps",
                ),
                ("poison", Severity::Warn, "2 messages of HOURLOG would break a client"),
                ("replies", Severity::Warn, "1 request dropped"),
            ],
        );
    }

    #[test]
    fn a_clock_of_jetstream_that_was_ahead_is_reported_until_its_time_has_come() {
        let later = |status: &mut StatusReply, seconds: i64| {
            status.sources[0].max_time = Some(status.now.saturating_add_nanos(seconds * hourlog::time::SECOND));
        };
        check(|status| later(status, 299), &[]);
        check(|status| later(status, 301), &[("arrivals", Severity::Warn, "came at 2018-02-04T22:01:43Z")]);
        // The service's own clock takes no part.
        check(
            |status| {
                later(status, 301);
                status.jetstream_now = Some(status.now.saturating_add_nanos(60 * hourlog::time::SECOND));
            },
            &[],
        );
    }

    #[test]
    fn logs_with_events_ahead_of_now_are_named() {
        assert_eq!(ahead(&[], None).state, Severity::Ok);
        let log: LogReply = serde_json::from_str(
            r#"{"log":"dev.7","events":9,"bytes":1,"recent":{"to":"2018-02-04T10:00:00Z","counts":[]},"ahead":
                {"events":3,"first":"2099-01-01T00:00:00Z","last":"2099-01-02T00:00:00Z"}}"#,
        )
        .expect("a log with three events ahead");
        let unseen = "dev.8".parse().expect("a valid id");
        let finding = ahead(&[log], Some(&unseen));
        assert_eq!(finding.state, Severity::Warn);
        let expected = "dev.7: 3 from 2099-01-01T00:00:00Z to 2099-01-02T00:00:00Z; logs after dev.8 were not checked";
        assert!(finding.found.contains(expected), "{finding:?}");
    }

    #[test]
    fn the_disk_is_reported_before_it_is_full() {
        const GIB: u64 = 1 << 30;
        for (free_bytes, total_bytes, state) in [
            (90 * GIB, 100 * GIB, Severity::Ok),
            (4 * GIB, 100 * GIB, Severity::Warn),
            (GIB / 2, 2 * GIB, Severity::Warn),
            (GIB / 8, 2 * GIB, Severity::Fail),
        ] {
            let status = DiskStatus { journal_bytes: 1, table_bytes: 2, free_bytes, total_bytes };
            assert_eq!(disk(&status).state, state, "{free_bytes} of {total_bytes}");
        }
    }

    #[test]
    fn instances_that_do_not_share_all_slots_are_reported() {
        let share = |slots, others, alive| {
            let since = "2018-02-04T21:56:42Z".parse().expect("a valid time");
            let share = Some(ShareStatus { slots, since, others, leads: false, alive, relayed: 0 });
            StatusReply { share, ..healthy() }
        };
        let judged = |statuses: &[StatusReply]| shares(statuses).map(|finding| (finding.state, finding.found));
        assert_eq!(judged(&[healthy()]), None);
        let (state, found) = judged(&[share(40, 1, true), share(24, 1, true)]).expect("they share an archive");
        assert_eq!((state, found.as_str()), (Severity::Ok, "2 instances with 40 and 24 of 64 slots"));
        for (statuses, expected) in [
            ([share(64, 0, true), share(24, 1, true)], Severity::Warn),
            ([share(32, 2, true), share(32, 2, true)], Severity::Warn),
            ([share(40, 1, true), share(24, 1, false)], Severity::Fail),
        ] {
            assert_eq!(judged(&statuses).map(|(state, _)| state), Some(expected));
        }
    }

    #[test]
    fn two_archives_on_one_prefix_fail() {
        let (first, mut second) = (healthy(), healthy());
        assert_eq!(archives(&[first.clone(), second.clone()]), None, "two instances of one archive");
        second.archive.id = "b".to_owned();
        let finding = archives(&[first, second]).expect("there are two archives");
        assert!(finding.state == Severity::Fail && finding.found.contains("a, b"), "{finding:?}");
    }

    #[test]
    fn a_service_that_does_not_answer_is_told_apart_from_a_reply_that_it_drops() {
        let fails = |kind, inbox: &str| service(&Err(Error::new(kind, "x")), "nats://a", inbox);
        assert!(fails(ErrorKind::Unavailable, "_INBOX").advice.contains("start hourlogd --nats nats://a"));
        assert!(fails(ErrorKind::Deadline, "clients.bob").advice.contains("--inbox-prefix clients.bob"));
        assert_eq!(fails(ErrorKind::NotAllowed, "_INBOX").state, Severity::Warn);
        assert_eq!(service(&Ok(vec![healthy(), healthy()]), "nats://a", "_INBOX").state, Severity::Ok);
    }
}
