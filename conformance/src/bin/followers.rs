//! A trial of many readers: each follows a log while events come in, and checks that it gets each event of the log once,
//! in order. Meanwhile another user reads a small page.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use clap::Parser;
use conformance::{
    servers::{NatsServer, Service, ServiceOptions, archived},
    trial::{small_replay, summary},
};
use futures_util::StreamExt;
use hourlog::{Remote, wire::ReplayRequest};
use tokio::task::JoinSet;

/// Follows many logs with many readers, and measures the small replays of another user
#[derive(Debug, Clone, Parser)]
#[command(name = "followers", after_help = "Example:\n  followers --hourlogd target/release/hourlogd")]
struct FollowersOptions {
    /// Readers, each of one log
    #[arg(long, default_value_t = 1_000)]
    readers: usize,
    /// Logs
    #[arg(long, default_value_t = 100)]
    logs: usize,
    /// Events a second of all logs together
    #[arg(long, default_value_t = 5_000)]
    rate: u32,
    /// Seconds for which events come in
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Readers that share a connection
    #[arg(long, default_value_t = 10)]
    share: usize,
    /// The service
    #[arg(long, value_name = "FILE", required_unless_present = "server")]
    hourlogd: Option<PathBuf>,
    /// Be the readers, on this server. The trial starts them as a process of their own
    #[arg(long, value_name = "URL", hide = true)]
    server: Option<String>,
}

/// Time for which the other user reads before the readers begin.
const QUIET: Duration = Duration::from_secs(5);
/// Longest time without an event for a reader that lacks some.
const SILENT_MAX: Duration = Duration::from_secs(30);
/// The interval between two bursts of events.
const TICK: Duration = Duration::from_millis(10);

#[tokio::main]
async fn main() {
    let options = FollowersOptions::parse();
    match (&options.server, &options.hourlogd) {
        (Some(server), _) => follow_all(server, &options).await,
        (None, Some(hourlogd)) => try_out(hourlogd, &options).await,
        (None, None) => {}
    }
}

#[expect(clippy::print_stdout, reason = "printing is the purpose of the program")]
async fn try_out(hourlogd: &Path, options: &FollowersOptions) {
    let service = Service::start(NatsServer::start().await, ServiceOptions::new(hourlogd, &[])).await;
    let jetstream = service.jetstream().await;
    for number in 0..100 {
        let sent = jetstream.client().publish("log.small", number.to_string().into()).await;
        sent.expect("the message can be sent");
    }
    for log in 0..options.logs {
        let first =
            jetstream.publish(format!("log.followed.{log}"), "0".into()).await.expect("the message can be sent");
        first.await.expect("the stream accepts the message");
    }
    archived(&service.remote().await).await;
    let user = async_nats::connect(service.nats.url()).await.expect("NATS answers");
    let (mut quiet, begun) = (Vec::new(), Instant::now());
    while begun.elapsed() < QUIET {
        quiet.push(small_replay(&user).await);
    }
    let before = service.process.resident_mib();
    let mut readers = start_readers(&service.nats.url(), options);
    let (mut busy, begun, mut sent) = (Vec::new(), Instant::now(), 0_u64);
    let total = u64::from(options.rate) * u64::from(options.seconds);
    let mut ticks = tokio::time::interval(TICK);
    while sent < total {
        ticks.tick().await;
        let due = (begun.elapsed().as_secs_f64() * f64::from(options.rate)) as u64;
        while sent < due.min(total) {
            let (log, number) = (sent % options.logs as u64, sent / options.logs as u64 + 1);
            let published = jetstream.client().publish(format!("log.followed.{log}"), number.to_string().into()).await;
            published.expect("the message can be sent");
            sent += 1;
        }
        busy.push(small_replay(&user).await);
    }
    let published = begun.elapsed();
    while readers.try_wait().expect("a process can be asked").is_none() {
        busy.push(small_replay(&user).await);
        tokio::time::sleep(TICK).await;
    }
    let readers = readers.wait_with_output().expect("the readers write what they got");
    assert!(readers.status.success(), "a reader missed events, or got one twice");
    println!(
        "{} readers of {} logs, {sent} events in {:.1} s: {}; resident before {before} MiB, at most {} MiB; small replays: \
         quiet {}, beside the readers {}",
        options.readers,
        options.logs,
        published.as_secs_f64(),
        String::from_utf8_lossy(&readers.stdout).trim_end(),
        service.process.resident_mib_max(),
        summary(quiet),
        summary(busy),
    );
}

/// Starts the readers as a process of the lowest priority: real ones run on other machines.
fn start_readers(server: &str, options: &FollowersOptions) -> Child {
    let this = std::env::current_exe().expect("a program knows its file");
    let number = |name: &str, value: usize| [format!("--{name}"), value.to_string()];
    let readers = Command::new("nice")
        .args(["-n", "19"])
        .arg(this)
        .args(number("readers", options.readers))
        .args(number("logs", options.logs))
        .args(number("rate", options.rate as usize))
        .args(number("seconds", options.seconds as usize))
        .args(number("share", options.share))
        .args(["--server", server])
        .stdout(Stdio::piped())
        .spawn();
    readers.expect("the program nice starts the readers")
}

/// Follows the logs until each reader has all events, and prints how late they were.
#[expect(clippy::print_stdout, reason = "the trial reads it")]
async fn follow_all(server: &str, options: &FollowersOptions) {
    let each = u64::from(options.rate) * u64::from(options.seconds) / options.logs as u64;
    let mut readers = JoinSet::new();
    for first in (0..options.readers).step_by(options.share) {
        let remote = Remote::connect(server).await.expect("NATS answers");
        for reader in first..(first + options.share).min(options.readers) {
            readers.spawn(follow(remote.clone(), reader % options.logs, each));
        }
    }
    let late: Vec<Duration> = readers.join_all().await.concat();
    println!("each got each event once, in order; from a message to its reader {}", summary(late));
}

/// Follows a log up to its event `last`. Returns how late some of the events were.
async fn follow(remote: Remote, log: usize, last: u64) -> Vec<Duration> {
    let id = format!("followed.{log}").parse().expect("a valid id");
    let mut events = std::pin::pin!(remote.tail(id, ReplayRequest::default()));
    let (mut late, mut next) = (Vec::new(), 0);
    while next <= last {
        let event = tokio::time::timeout(SILENT_MAX, events.next()).await.expect("a reader is left without events");
        let event = event.expect("a follower goes on").expect("the service answers");
        assert_eq!(&*event.record.data, next.to_string().as_bytes(), "a reader of {} got another event", event.log);
        if next > 0 {
            late.push(hourlog::time::system_clock().duration_since(event.arrival_time()));
        }
        next += 1;
    }
    late
}
