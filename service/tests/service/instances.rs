//! Several instances of the service over one archive in a database.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::{Duration, Instant},
};

use async_nats::{HeaderMap, Message, Request, jetstream};
use conformance::{
    guards::new_keyspace,
    servers::{HourlogdProcess, NatsServer},
};
use futures_util::future::join_all;
use hourlog::{
    Record, Remote,
    store::SLOTS,
    wire::{ERROR_CODE, LogsRequest, MergeRequest, ReplayRequest, StatusReply, TimelinesRequest},
};

use crate::kit::{WAIT_MAX, archived, binary, events, log, publish_all};

/// Time within which all instances answer a question to each of them.
const STATUS_GAP: Duration = Duration::from_millis(300);
/// Longer than instances take one that is stopped for alive.
const LONGER_THAN_A_LEASE: Duration = Duration::from_secs(8);
/// Less than that.
const SHORTER_THAN_A_LEASE: Duration = Duration::from_secs(3);
/// Number of logs, in nearly all slots.
const LOGS: u32 = 200;

/// Instances over one archive, with their nats-server.
struct Instances {
    nats: NatsServer,
    flags: Vec<String>,
    processes: Vec<HourlogdProcess>,
}

impl Instances {
    /// Starts `count` instances, which then share all slots.
    async fn start(count: usize, flags: &[&str]) -> Self {
        let nats = NatsServer::start().await;
        let own = ["--nats", &nats.url(), "--store", &new_keyspace(), "--migrate"].map(str::to_owned);
        let flags = own.into_iter().chain(flags.iter().map(|flag| (*flag).to_owned())).collect();
        let mut instances = Self { nats, flags, processes: Vec::new() };
        for _ in 0..count {
            instances.add().await;
        }
        instances.shared_by(count).await;
        instances
    }

    async fn add(&mut self) {
        self.processes.push(HourlogdProcess::start(binary(), &self.flags).await);
    }

    async fn remote(&self) -> Remote {
        Remote::connect(&self.nats.url()).await.expect("NATS answers").with_timeout(WAIT_MAX)
    }

    /// Waits until all instances have stored their checkpoint at the message `sequence`.
    async fn stored(&self, sequence: u64) {
        let remote = self.remote().await;
        let is_stored = |status: &StatusReply| status.sources[0].stored == Some(sequence);
        let stored =
            async { while !remote.statuses(STATUS_GAP).await.is_ok_and(|statuses| statuses.iter().all(is_stored)) {} };
        tokio::time::timeout(WAIT_MAX, stored).await.expect("the instances store their checkpoints");
    }

    /// Waits until `count` instances share all slots, and returns their statuses.
    async fn shared_by(&self, count: usize) -> Vec<StatusReply> {
        let remote = self.remote().await;
        let shared = async {
            loop {
                let statuses = remote.statuses(STATUS_GAP).await.unwrap_or_default();
                let shares: Vec<_> = statuses.iter().filter_map(|status| status.share.as_ref()).collect();
                let is_shared = shares.len() == count
                    && shares.iter().map(|share| share.slots).sum::<u32>() == u32::from(SLOTS)
                    && shares.iter().all(|share| share.others as usize + 1 == count);
                if is_shared {
                    return statuses;
                }
            }
        };
        tokio::time::timeout(WAIT_MAX, shared).await.expect("the instances share the slots")
    }
}

fn id(number: u32) -> String {
    format!("shared.{}", number % LOGS)
}

/// Publishes events with the numbers in `range`, each in the log of its number.
async fn publish(remote: &Remote, range: std::ops::Range<u32>) {
    let mut jetstream = jetstream::new(remote.client().clone());
    jetstream.set_timeout(WAIT_MAX);
    publish_all(&jetstream, range.map(|number| (format!("log.{}", id(number)), number.to_string()))).await;
}

/// Checks that each log has its events up to the number `count`, once and in order, and that they are counted.
async fn check(remote: &Remote, count: u32) {
    check_without(remote, count, 0..0).await;
}

/// Checks the same, without those in `gone`, which nobody can have.
async fn check_without(remote: &Remote, count: u32, gone: std::ops::Range<u32>) {
    let counts: BTreeMap<_, _> =
        archived(remote).await.logs.into_iter().map(|log| (log.log.to_string(), log.events)).collect();
    assert_eq!(counts.values().sum::<u64>(), u64::from(count) - gone.len() as u64, "{counts:?}");
    for number in 0..LOGS {
        let found = events(remote, &id(number)).await;
        let expected = (number..count).step_by(LOGS as usize).filter(|number| !gone.contains(number));
        let expected = expected.map(|number| number.to_string().into_bytes());
        assert!(found.iter().map(|event| event.record.data.to_vec()).eq(expected), "log {number}: {found:?}");
        let described = remote.describe(&log(&id(number))).await.expect("the log exists");
        assert_eq!(described.events, found.len() as u64, "log {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_share_the_slots_and_any_answers_for_any_log() {
    let instances = Instances::start(2, &[]).await;
    let statuses = instances.shared_by(2).await;
    assert!(statuses.iter().all(|status| status.share.as_ref().is_some_and(|share| share.slots >= 16)), "{statuses:?}");
    let remote = instances.remote().await;
    publish(&remote, 0..4_000).await;
    check(&remote, 4_000).await;
    // Both answer, one after the other, and say the same.
    let whole = archived(&remote).await.logs;
    for _ in 0..10 {
        let listed =
            remote.logs(&LogsRequest { all: true, ..LogsRequest::default() }).await.expect("the service answers");
        let counts =
            |logs: &[hourlog::wire::LogReply]| logs.iter().map(|log| (log.log.clone(), log.events)).collect::<Vec<_>>();
        assert_eq!(counts(&listed.logs), counts(&whole));
        let request = MergeRequest { limit: Some(4_000), ..MergeRequest::default() };
        let merged = remote.merge(None, &request).await.expect("the service answers");
        assert_eq!(merged.events.len(), 4_000);
        let counted = remote.timelines(None, &TimelinesRequest::default()).await.expect("the service answers");
        assert_eq!(counted.count, 4_000);
    }
    // A follower that waits is told by the owner, also if the other instance takes its request.
    for number in 0..20 {
        let last = events(&remote, &id(number)).await.last().expect("there are events").position;
        let request = ReplayRequest { after: Some(last.into()), wait: "10s".parse().ok(), ..ReplayRequest::default() };
        let (waiting, writing) = (remote.clone(), remote.clone());
        let (page, appended) = tokio::join!(async { waiting.replay(&log(&id(number)), &request).await }, async {
            writing.append(&log(&id(number)), Record::new("appended")).await
        });
        let (page, appended) = (page.expect("the service answers"), appended.expect("the record is archived"));
        assert_eq!(page.events.first().map(|event| event.position), Some(appended.position));
    }
    let relayed = |statuses: &[StatusReply]| -> Vec<u64> {
        statuses.iter().filter_map(|status| Some(status.share.as_ref()?.relayed)).collect()
    };
    let relayed = relayed(&instances.shared_by(2).await);
    assert!(relayed.iter().all(|relayed| *relayed > 0), "{relayed:?}");
}

/// Reads lists and logs again and again, longer than slots take to move. Each answer has everything up to the number
/// `count`, whichever instance gives it.
async fn read_while_slots_move(remote: &Remote, count: u32) {
    const READERS: u32 = 8;
    let begun = Instant::now();
    let (listed, read) = (AtomicU32::new(0), AtomicU32::new(0));
    let readers = (0..READERS).map(|reader| {
        let (remote, listed, read) = (remote.clone(), &listed, &read);
        async move {
            let request = LogsRequest { fresh: true, all: true, ..LogsRequest::default() };
            for number in (0..LOGS).cycle().skip((LOGS / READERS * reader) as usize) {
                if begun.elapsed() > LONGER_THAN_A_LEASE {
                    return;
                }
                // Without an answer, the reader knows that it has none.
                if let Ok(logs) = remote.logs(&request).await {
                    assert_eq!(logs.logs.iter().map(|log| log.events).sum::<u64>(), u64::from(count));
                    listed.fetch_add(1, Relaxed);
                }
                let request = ReplayRequest { fresh: true, limit: Some(1_000), ..ReplayRequest::default() };
                if let Ok(page) = remote.replay(&log(&id(number)), &request).await {
                    assert_eq!(page.events.len(), (number..count).step_by(LOGS as usize).len(), "log {number}");
                    read.fetch_add(1, Relaxed);
                }
            }
        }
    });
    join_all(readers).await;
    assert!(listed.into_inner() > READERS && read.into_inner() > READERS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_instance_is_replaced_and_nothing_is_lost_or_doubled() {
    let mut instances = Instances::start(2, &[]).await;
    let remote = instances.remote().await;
    publish(&remote, 0..10_000).await;
    instances.processes[0].kill();
    // Published while nobody owns the slots of the killed one.
    publish(&remote, 10_000..20_000).await;
    instances.processes.remove(0);
    read_while_slots_move(&remote, 20_000).await;
    check(&remote, 20_000).await;
    publish(&remote, 20_000..30_000).await;
    let ((), ()) = tokio::join!(instances.add(), read_while_slots_move(&remote, 30_000));
    instances.shared_by(2).await;
    check(&remote, 30_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_stops_gives_its_slots_up_at_once() {
    let mut instances = Instances::start(2, &[]).await;
    let remote = instances.remote().await.with_timeout(SHORTER_THAN_A_LEASE);
    assert!(instances.processes[0].terminate().await.success());
    let appended = join_all((0..LOGS).map(|number| {
        let remote = remote.clone();
        async move { remote.append(&log(&id(number)), Record::new("after")).await }
    }));
    for appended in appended.await {
        appended.expect("the other instance has taken the slots over");
    }
    instances.processes.remove(0);
    instances.shared_by(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_owner_that_wakes_up_does_no_harm() {
    let mut instances = Instances::start(2, &[]).await;
    let remote = instances.remote().await;
    publish(&remote, 0..5_000).await;
    for round in 1..3 {
        let count = 10_000 * round;
        let stopped = round as usize % 2;
        instances.processes[stopped].pause();
        publish(&remote, count - 5_000..count).await;
        tokio::time::sleep(LONGER_THAN_A_LEASE).await;
        publish(&remote, count..count + 2_500).await;
        instances.processes[stopped].resume();
        publish(&remote, count + 2_500..count + 5_000).await;
        instances.shared_by(2).await;
        check(&remote, count + 5_000).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_is_not_sent_on_once_its_time_is_over() {
    let mut instances = Instances::start(2, &[]).await;
    let remote = instances.remote().await;
    publish(&remote, 0..LOGS).await;
    check(&remote, LOGS).await;
    instances.processes[0].pause();
    let appended = join_all((0..LOGS).map(|number| {
        let client = remote.client().clone();
        let mut headers = HeaderMap::new();
        headers.insert("Hourlog-Wait", "1s");
        let request = Request::new().headers(headers).payload("late".into()).timeout(Some(SHORTER_THAN_A_LEASE));
        async move { client.send_request(format!("hourlog.append.{}", id(number)), request).await }
    }));
    // Those that the stopped instance has taken get no reply.
    let replies: Vec<_> = appended.await.into_iter().map(Result::ok).collect();
    let is_error =
        |message: &Message| message.headers.as_ref().is_some_and(|headers| headers.get(ERROR_CODE).is_some());
    let failed = replies.iter().flatten().filter(|message| is_error(message)).count();
    assert!(failed > 5, "{failed} of {LOGS} were relayed to the stopped instance and answered");
    instances.processes[0].kill();
    instances.processes.remove(0);
    instances.shared_by(1).await;
    archived(&remote).await;
    for (number, reply) in (0..LOGS).zip(replies) {
        let is_stored = reply.is_some_and(|message| !is_error(&message));
        assert_eq!(events(&remote, &id(number)).await.len(), 1 + usize::from(is_stored), "log {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_has_lost_its_tail_begins_one_epoch_for_all_instances() {
    let mut instances = Instances::start(2, &[]).await;
    let remote = instances.remote().await;
    publish(&remote, 0..2_000).await;
    check(&remote, 2_000).await;
    let before = instances.nats.snapshot();
    publish(&remote, 2_000..3_000).await;
    check(&remote, 3_000).await;
    // The stream loses the last thousand, which the archive has, and uses their sequences again.
    instances.nats.roll_back(&before).await;
    let remote = instances.remote().await;
    publish(&remote, 3_000..6_000).await;
    check(&remote, 6_000).await;
    // Nothing is stored under another key when other instances read the stream again.
    instances.processes[0].kill();
    instances.processes.remove(0);
    instances.add().await;
    instances.shared_by(2).await;
    check(&remote, 6_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_start_behind_a_purged_stream_begin_one_epoch_together() {
    let mut instances = Instances::start(3, &[]).await;
    let remote = instances.remote().await;
    publish(&remote, 0..1_000).await;
    check(&remote, 1_000).await;
    instances.stored(1_000).await;
    instances.processes.iter_mut().for_each(HourlogdProcess::kill);
    instances.processes.clear();
    // Nobody archives these, and somebody purges half of them.
    publish(&remote, 1_000..2_000).await;
    let stream = jetstream::new(remote.client().clone()).get_stream("HOURLOG").await.expect("the stream exists");
    stream.purge().sequence(1_501).await.expect("the stream can be purged");
    let start = || HourlogdProcess::start(binary(), &instances.flags);
    let (one, another, third, ()) = tokio::join!(start(), start(), start(), publish(&remote, 2_000..4_000));
    instances.processes.extend([one, another, third]);
    instances.shared_by(3).await;
    check_without(&remote, 4_000, 1_000..1_500).await;
    let statuses = instances.shared_by(3).await;
    let said = statuses.iter().find_map(|status| status.sources[0].set_back.as_ref()).expect("the loss is reported");
    assert_eq!(said.missing.messages, 500, "{said:?}");
    assert!(statuses.iter().all(|status| status.sources[0].removed_messages == 0), "{statuses:?}");
    // They go on in the same epoch after another start.
    instances.processes[0].kill();
    instances.processes.remove(0);
    publish(&remote, 4_000..5_000).await;
    check_without(&remote, 5_000, 1_000..1_500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_reject_and_limit_as_one() {
    let instances = Instances::start(2, &["--new-logs-a-second", "1"]).await;
    let remote = instances.remote().await;
    let mut jetstream = jetstream::new(remote.client().clone());
    jetstream.set_timeout(WAIT_MAX);
    let mut sent = BTreeSet::new();
    for number in 0..LOGS {
        let (subject, data) = (format!("log.{}", id(number)), number.to_string());
        let mut headers = HeaderMap::new();
        // Half of them have headers, and every tenth a bad one.
        match number % 10 {
            0 => headers.insert("Hourlog-Time", "yesterday"),
            1..5 => headers.insert("kind", "plain"),
            _ => {}
        }
        let published = jetstream.publish_with_headers(subject, headers, data.clone().into()).await;
        published.expect("the message can be sent").await.expect("the stream accepts the message");
        sent.insert(data);
    }
    let logs = archived(&remote).await.logs;
    let (mut found, mut let_in) = (Vec::new(), 0);
    for listed in &logs {
        let of_log = events(&remote, listed.log.as_str()).await;
        assert_eq!(listed.events, of_log.len() as u64, "{}", listed.log);
        let_in += usize::from(!listed.log.is_system());
        found.extend(of_log.iter().map(|event| String::from_utf8_lossy(&event.record.data).into_owned()));
    }
    // 30 at once, and one for each second that publishing took. Those whose only event is bad are let in, too.
    assert!((20..60).contains(&let_in), "{let_in}");
    assert_eq!(found.len(), LOGS as usize, "each event is in one log");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), sent);
    let rejected = events(&remote, "_rejected").await;
    let reasons: Vec<_> = rejected.iter().map(|event| &event.record.metadata.get("Hourlog-Rejected")[0]).collect();
    // Those with a bad time among the first, which the limit lets in.
    assert!(reasons.iter().any(|reason| reason.contains("yesterday")), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("new log refused")), "{reasons:?}");
}
